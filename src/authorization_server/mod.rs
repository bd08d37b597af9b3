//! Who issues the tokens: [`AuthorizationServer`], its [`Issuer`] and its endpoints, discovered or given.
//!
//! ```
//! # fn main() -> Result<(), tower_bearer::ConfigError> {
//! use tower_bearer::AuthorizationServer;
//!
//! // Metadata of RFC 8414, or of OpenID Connect Discovery, tells where keys and introspection are.
//! let discovered = AuthorizationServer::discover("https://as.example.com/tenant")?;
//!
//! // Without discovery: Entra ID's v1 issuer has no metadata of its own.
//! let given = AuthorizationServer::new("https://sts.windows.net/9b6e3b0a/")?
//!     .jwks_uri("https://login.microsoftonline.com/9b6e3b0a/discovery/keys")?;
//! # let _ = (discovered, given);
//! # Ok(())
//! # }
//! ```

mod issuer;
pub(crate) mod metadata;
pub(crate) mod url_policy;

use std::sync::Arc;

use url::Url;

pub use self::issuer::Issuer;
use self::url_policy::{Loopback, check_url};
#[cfg(feature = "jwt")]
use crate::KeySet;
use crate::{ConfigError, HttpClient};

/// An authorization server (RFC 6749 section 1.1) whose tokens are accepted.
///
/// Nothing is fetched when it is made: a service starts while its authorization server is down.
#[derive(Clone, Debug)]
#[must_use]
pub struct AuthorizationServer {
    issuer: Issuer,
    loopback: Loopback,
    /// Whether metadata tells the endpoints that are not given.
    discovered: bool,
    jwks_uri: Option<Url>,
    introspection_endpoint: Option<Url>,
    #[cfg(feature = "jwt")]
    keys: Option<KeySet>,
    http_client: Option<Arc<dyn HttpClient>>,
}

impl AuthorizationServer {
    /// Names an authorization server that publishes metadata.
    ///
    /// Looked for, in this order: `/.well-known/oauth-authorization-server` (RFC 8414 section 3.1), then
    /// `/.well-known/openid-configuration`, both before the issuer's path, then the latter behind it (OpenID Connect
    /// Discovery 1.0 section 4). A document that names another issuer ends the search and is not used. What was found is
    /// looked for again after a day, and when keys or introspection are not where it says.
    ///
    /// # Errors
    /// When the issuer is no `https` URL, or has a query, a fragment or a user name (RFC 8414 section 2).
    pub fn discover(issuer: &str) -> Result<Self, ConfigError> {
        Self::with_issuer(issuer, Loopback::Refuse, true)
    }

    /// Names an authorization server that publishes metadata and may run on this machine without TLS, for development
    /// and tests: `http` is accepted for `127.0.0.0/8`, `[::1]` and `localhost`.
    ///
    /// # Errors
    /// As [`discover`](Self::discover).
    pub fn discover_on_loopback(issuer: &str) -> Result<Self, ConfigError> {
        Self::with_issuer(issuer, Loopback::Accept, true)
    }

    /// Names an authorization server whose endpoints or keys are given, each by a method.
    ///
    /// # Errors
    /// As [`discover`](Self::discover).
    pub fn new(issuer: &str) -> Result<Self, ConfigError> {
        Self::with_issuer(issuer, Loopback::Refuse, false)
    }

    /// Names an authorization server whose endpoints or keys are given, and which may run on this machine without TLS.
    ///
    /// # Errors
    /// As [`discover`](Self::discover).
    pub fn new_on_loopback(issuer: &str) -> Result<Self, ConfigError> {
        Self::with_issuer(issuer, Loopback::Accept, false)
    }

    fn with_issuer(issuer: &str, loopback: Loopback, discovered: bool) -> Result<Self, ConfigError> {
        Ok(Self {
            issuer: Issuer::check(issuer, loopback)?,
            loopback,
            discovered,
            jwks_uri: None,
            introspection_endpoint: None,
            #[cfg(feature = "jwt")]
            keys: None,
            http_client: None,
        })
    }

    /// Gives the address of the key set (RFC 7517 section 5), whatever metadata says.
    ///
    /// # Errors
    /// When it is no `https` URL.
    pub fn jwks_uri(mut self, url: &str) -> Result<Self, ConfigError> {
        self.jwks_uri = Some(check_url("jwks_uri", url, self.loopback)?);
        Ok(self)
    }

    /// Gives the address of the introspection endpoint (RFC 7662 section 2), whatever metadata says.
    ///
    /// # Errors
    /// When it is no `https` URL.
    pub fn introspection_endpoint(mut self, url: &str) -> Result<Self, ConfigError> {
        self.introspection_endpoint = Some(check_url("introspection_endpoint", url, self.loopback)?);
        Ok(self)
    }

    /// Gives the keys themselves: nothing is fetched, and a new key needs a restart.
    #[cfg(feature = "jwt")]
    pub fn keys(mut self, keys: KeySet) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Sets the client that talks to this authorization server. Default: a `ReqwestClient` for each validator, with the
    /// feature `reqwest`; without it one must be set wherever something is fetched.
    ///
    /// Clones of a `ReqwestClient` share their connections.
    pub fn http_client(mut self, client: impl HttpClient) -> Self {
        self.http_client = Some(Arc::new(client));
        self
    }

    /// Returns the issuer identifier.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }
}

impl AuthorizationServer {
    /// Returns the client that was set, or makes the default one.
    pub(crate) fn client(&self) -> Result<Arc<dyn HttpClient>, crate::resource_server::Problem> {
        if let Some(client) = &self.http_client {
            return Ok(Arc::clone(client));
        }
        #[cfg(feature = "reqwest")]
        return match self.default_client() {
            Ok(client) => Ok(Arc::new(client)),
            Err(error) => Err(crate::resource_server::Problem::new(
                "http_client",
                error.to_string(),
                "expected a TLS stack",
            )),
        };
        #[cfg(not(feature = "reqwest"))]
        Err(crate::resource_server::Problem::without_value(
            "http_client",
            "expected an HttpClient, or the feature reqwest, to talk to the authorization server",
        ))
    }

    /// A proxy that the environment names has no way to this machine's loopback.
    #[cfg(feature = "reqwest")]
    fn default_client(&self) -> Result<crate::ReqwestClient, crate::HttpError> {
        match self.loopback {
            Loopback::Accept => crate::ReqwestClient::for_loopback(),
            Loopback::Refuse => crate::ReqwestClient::new(),
        }
    }

    pub(crate) fn is_discovered(&self) -> bool {
        self.discovered
    }

    #[cfg(feature = "jwt")]
    pub(crate) fn given_keys(&self) -> Option<&KeySet> {
        self.keys.as_ref()
    }

    pub(crate) fn given_jwks_uri(&self) -> Option<&Url> {
        self.jwks_uri.as_ref()
    }

    pub(crate) fn given_introspection_endpoint(&self) -> Option<&Url> {
        self.introspection_endpoint.as_ref()
    }
}
