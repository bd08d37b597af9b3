//! The authorization server that issues the tokens: [`AuthorizationServer`] and its [`Issuer`].
//!
//! ```
//! use tower_bearer::AuthorizationServer;
//!
//! // The metadata names the keys and the introspection endpoint (RFC 8414 or OpenID Connect Discovery).
//! let discovered = AuthorizationServer::discover("https://as.example.com/tenant");
//!
//! // Without discovery: the v1 issuer of Entra ID has no metadata.
//! let given = AuthorizationServer::with_endpoints("https://sts.windows.net/9b6e3b0a/")
//!     .jwks_uri("https://login.microsoftonline.com/9b6e3b0a/discovery/keys");
//! # let _ = (discovered, given);
//! ```

mod checked;
mod issuer;
pub(crate) mod metadata;

use std::{fmt, sync::Arc};

pub(crate) use self::checked::CheckedAuthorizationServer;
pub use self::issuer::Issuer;
#[cfg(feature = "jwt")]
use crate::KeySet;
use crate::{HttpClient, url_policy::Loopback, user_info::without_user_info};

/// An authorization server (RFC 6749 section 1.1) whose tokens are accepted.
///
/// Creating one checks and fetches nothing. The `build()` of a validator checks all settings and reports every problem
/// in one [`ConfigError`](crate::ConfigError). Keys and metadata are fetched when the first token arrives, so a service
/// starts even if its authorization server is down.
///
/// All URLs must be `https` and have no user name, password or fragment. Not checked: what their hosts resolve to.
#[derive(Clone)]
#[must_use]
pub struct AuthorizationServer {
    issuer: Box<str>,
    loopback: Loopback,
    /// Whether endpoints that are not configured are discovered in metadata.
    discovered: bool,
    jwks_uri: Option<Box<str>>,
    introspection_endpoint: Option<Box<str>>,
    #[cfg(feature = "jwt")]
    keys: Option<KeySet>,
    http_client: Option<Arc<dyn HttpClient>>,
}

impl AuthorizationServer {
    /// Creates an authorization server whose endpoints are discovered in its metadata.
    ///
    /// Three URLs are tried, in this order: `/.well-known/oauth-authorization-server` (RFC 8414 section 3.1) and
    /// `/.well-known/openid-configuration`, both inserted before the path of the issuer, then
    /// `/.well-known/openid-configuration` appended to the issuer (OpenID Connect Discovery 1.0 section 4). Metadata
    /// that names another issuer is not used and ends the search (RFC 8414 section 3.3). Metadata is fetched again
    /// after a day, or if the keys or the introspection endpoint are not found at the URL in it.
    ///
    /// The issuer must be an `https` URL without query, fragment and user name (RFC 8414 section 2); `build()` checks it.
    pub fn discover(issuer: impl Into<String>) -> Self {
        Self::new(issuer.into(), true)
    }

    /// Creates an authorization server whose endpoints or keys are configured.
    ///
    /// No metadata is fetched. Set [`jwks_uri`](Self::jwks_uri),
    /// [`introspection_endpoint`](Self::introspection_endpoint) or [`keys`](Self::keys).
    ///
    /// The issuer must be an `https` URL without query, fragment and user name (RFC 8414 section 2); `build()` checks it.
    pub fn with_endpoints(issuer: impl Into<String>) -> Self {
        Self::new(issuer.into(), false)
    }

    fn new(issuer: String, discovered: bool) -> Self {
        Self {
            issuer: issuer.into(),
            loopback: Loopback::Refuse,
            discovered,
            jwks_uri: None,
            introspection_endpoint: None,
            #[cfg(feature = "jwt")]
            keys: None,
            http_client: None,
        }
    }

    /// Accepts `http` URLs on this machine, for development and tests.
    ///
    /// The hosts `127.0.0.0/8`, `[::1]` and `localhost` are accepted. Default: every URL must be `https`.
    pub fn allow_http_on_loopback(mut self) -> Self {
        self.loopback = Loopback::Accept;
        self
    }

    /// Sets the URL of the key set (RFC 7517 section 5). Default: from metadata.
    pub fn jwks_uri(mut self, url: impl Into<String>) -> Self {
        self.jwks_uri = Some(url.into().into());
        self
    }

    /// Sets the URL of the introspection endpoint (RFC 7662 section 2).
    ///
    /// Default: from metadata.
    pub fn introspection_endpoint(mut self, url: impl Into<String>) -> Self {
        self.introspection_endpoint = Some(url.into().into());
        self
    }

    /// Sets fixed keys (RFC 7517 section 5). Default: keys are fetched.
    ///
    /// With fixed keys, no keys are fetched, so a new key requires a restart.
    #[cfg(feature = "jwt")]
    pub fn keys(mut self, keys: KeySet) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Sets the HTTP client for this authorization server.
    ///
    /// Default: a new `ReqwestClient` for each validator, if the feature `reqwest` is enabled. Without this feature a
    /// client is required, unless nothing is fetched. To share connections between validators, set clones of one
    /// `ReqwestClient`.
    pub fn http_client(mut self, client: impl HttpClient) -> Self {
        self.http_client = Some(Arc::new(client));
        self
    }

    /// Sets the HTTP client if none is set.
    pub(crate) fn default_http_client(mut self, client: Option<&Arc<dyn HttpClient>>) -> Self {
        self.http_client = self.http_client.or_else(|| client.cloned());
        self
    }

    /// Returns the issuer identifier as configured. It may not have been checked yet.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }
}

/// Hides user names and passwords in URLs. `build()` refuses such URLs.
impl fmt::Debug for AuthorizationServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = |url: &Option<Box<str>>| url.as_deref().map(|url| without_user_info(url).into_owned());
        f.debug_struct("AuthorizationServer")
            .field("issuer", &without_user_info(&self.issuer))
            .field("loopback", &self.loopback)
            .field("discovered", &self.discovered)
            .field("jwks_uri", &url(&self.jwks_uri))
            .field("introspection_endpoint", &url(&self.introspection_endpoint))
            .field("http_client", &self.http_client)
            .finish_non_exhaustive()
    }
}
