//! The identifier of an authorization server: [`Issuer`] (RFC 8414 section 2).

use std::{fmt, sync::Arc};

use crate::{
    ConfigError,
    config_error::Problem,
    url_policy::{Loopback, check_url},
};

/// The issuer identifier of an authorization server: an `https` URL without query and fragment.
///
/// Kept as it was written, and compared character by character with what tokens and metadata say (RFC 8414 section 4): a
/// trailing slash makes another issuer, and Auth0's have one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Issuer(Arc<str>);

impl Issuer {
    /// Takes an issuer identifier.
    ///
    /// # Errors
    /// When it is no `https` URL, or has a query, a fragment or a user name.
    pub fn new(issuer: &str) -> Result<Self, ConfigError> {
        Ok(Self::check(issuer, Loopback::Refuse)?)
    }

    /// Takes an issuer identifier that may be an `http` URL, on this machine only: `127.0.0.0/8`, `[::1]` or
    /// `localhost`. For development and tests.
    ///
    /// # Errors
    /// When it is neither that nor what [`new`](Self::new) takes.
    pub fn new_on_loopback(issuer: &str) -> Result<Self, ConfigError> {
        Ok(Self::check(issuer, Loopback::Accept)?)
    }

    pub(super) fn check(issuer: &str, loopback: Loopback) -> Result<Self, Problem> {
        let url = check_url("issuer", issuer, loopback)?;
        if url.query().is_some() {
            return Err(Problem::new("issuer", issuer, "expected a URL without query (RFC 8414 section 2)"));
        }
        Ok(Self(issuer.into()))
    }

    /// Tells whether the server is reached over TLS; schemes compare without case (RFC 3986 section 3.1).
    pub(super) fn has_tls(&self) -> bool {
        self.0.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"))
    }

    /// Returns the identifier as it was configured.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Issuer({:?})", self.0)
    }
}
