//! Checks the settings of an authorization server: [`CheckedAuthorizationServer`].

use std::sync::Arc;

use url::Url;

use super::{AuthorizationServer, Issuer};
#[cfg(feature = "jwt")]
use crate::KeySet;
#[cfg(feature = "reqwest")]
use crate::url_policy::Loopback;
use crate::{HttpClient, config_error::Problem, url_policy::check_url};

/// An authorization server with checked settings.
#[derive(Clone, Debug)]
pub(crate) struct CheckedAuthorizationServer {
    pub(crate) issuer: Issuer,
    /// Whether endpoints that are not configured are discovered in metadata.
    pub(crate) discovered: bool,
    pub(crate) jwks_uri: Option<Url>,
    pub(crate) introspection_endpoint: Option<Url>,
    #[cfg(feature = "jwt")]
    pub(crate) keys: Option<KeySet>,
    #[cfg(feature = "reqwest")]
    loopback: Loopback,
    http_client: Option<Arc<dyn HttpClient>>,
}

impl AuthorizationServer {
    /// Checks all settings and adds problems to `problems`. Returns `None` if there are any.
    pub(crate) fn check(self, problems: &mut Vec<Problem>) -> Option<CheckedAuthorizationServer> {
        let mut url = |setting, text: Option<&str>| {
            let checked = text.map(|text| check_url(setting, text, self.loopback)).transpose();
            checked.map_err(|problem| problems.push(problem))
        };
        let jwks_uri = url("jwks_uri", self.jwks_uri.as_deref());
        let introspection_endpoint = url("introspection_endpoint", self.introspection_endpoint.as_deref());
        let issuer = Issuer::check(&self.issuer, self.loopback).map_err(|problem| problems.push(problem));
        Some(CheckedAuthorizationServer {
            issuer: issuer.ok()?,
            discovered: self.discovered,
            jwks_uri: jwks_uri.ok()?,
            introspection_endpoint: introspection_endpoint.ok()?,
            #[cfg(feature = "jwt")]
            keys: self.keys,
            #[cfg(feature = "reqwest")]
            loopback: self.loopback,
            http_client: self.http_client,
        })
    }
}

impl CheckedAuthorizationServer {
    /// Returns the configured client, or creates the default one.
    pub(crate) fn client(&self) -> Result<Arc<dyn HttpClient>, Problem> {
        if let Some(client) = &self.http_client {
            return Ok(Arc::clone(client));
        }
        #[cfg(feature = "reqwest")]
        return match self.default_client() {
            Ok(client) => Ok(Arc::new(client)),
            Err(error) => Err(Problem::new("http_client", error.to_string(), "expected a TLS stack")),
        };
        #[cfg(not(feature = "reqwest"))]
        Err(Problem::without_value(
            "http_client",
            "expected an HttpClient, or the feature reqwest, to send requests to the authorization server",
        ))
    }

    /// Creates a `ReqwestClient`. Proxies are disabled for loopback addresses, because a proxy cannot reach them.
    #[cfg(feature = "reqwest")]
    fn default_client(&self) -> Result<crate::ReqwestClient, crate::HttpError> {
        match self.loopback {
            Loopback::Accept => crate::ReqwestClient::for_loopback(),
            Loopback::Refuse => crate::ReqwestClient::new(),
        }
    }
}
