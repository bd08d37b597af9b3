//! The identifier of an authorization server: [`Issuer`] (RFC 8414 section 2).

use std::{fmt, sync::Arc};

use crate::{
    ConfigError,
    config_error::Problem,
    url_policy::{Loopback, check_url},
};

/// The issuer identifier of an authorization server (RFC 8414 section 2).
///
/// An `https` URL without query and fragment.
///
/// It is not normalized. It is compared character by character with tokens and metadata (RFC 8414 section 4). An issuer
/// with a trailing slash, as at Auth0, is different from one without.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Issuer(Arc<str>);

impl Issuer {
    /// Creates an issuer identifier from an `https` URL.
    ///
    /// Not checked: whether the server exists, and what the host resolves to.
    ///
    /// # Errors
    /// If it is not an `https` URL, or has a query, a fragment, a user name or a password.
    pub fn new(issuer: &str) -> Result<Self, ConfigError> {
        Ok(Self::check(issuer, Loopback::Refuse)?)
    }

    /// Creates an issuer identifier that may also be an `http` URL on this machine.
    ///
    /// Allowed hosts for `http` are `127.0.0.0/8`, `[::1]` and `localhost`. For development and tests.
    ///
    /// # Errors
    /// As for [`new`](Self::new), except that such an `http` URL is accepted.
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

    /// Returns whether the URL is `https`. Schemes are case-insensitive (RFC 3986 section 3.1).
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
