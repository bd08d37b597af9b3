//! The identifier of an authorization server: [`Issuer`] (RFC 8414 section 2).

use std::{fmt, sync::Arc};

use crate::{
    ConfigError,
    config_error::Problem,
    url_policy::{Loopback, check_url},
};

/// The issuer identifier of an authorization server: an `https` URL without query and fragment (RFC 8414 section 2).
///
/// It is kept as it was written and compared character by character with tokens and metadata (RFC 8414 section 4). An issuer
/// with a trailing slash, as at Auth0, is not the same as one without.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Issuer(Arc<str>);

impl Issuer {
    /// Takes an issuer identifier.
    ///
    /// # Errors
    /// If it is not an `https` URL, or has a query, a fragment, a user name or a password.
    pub fn new(issuer: &str) -> Result<Self, ConfigError> {
        Ok(Self::check(issuer, Loopback::Refuse)?)
    }

    /// Takes an issuer identifier that may be an `http` URL if its host is this machine: `127.0.0.0/8`, `[::1]` or
    /// `localhost`. For development and tests.
    ///
    /// # Errors
    /// As for [`new`](Self::new), except for such an `http` URL.
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

    /// Tells whether the server is reached over TLS. Schemes are compared without case (RFC 3986 section 3.1).
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
