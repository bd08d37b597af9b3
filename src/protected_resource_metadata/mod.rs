//! What the resource publishes about itself: [`ProtectedResourceMetadata`] (RFC 9728).
//!
//! A client that gets a 401 finds the document's address in the challenge, and in the document the authorization servers
//! to get a token from. Most of it follows from the configuration and cannot contradict it: the authorization servers
//! come from the validator, the scopes from the guards.
//!
//! ```
//! use tower_bearer::ProtectedResourceMetadata;
//!
//! # fn main() -> Result<(), tower_bearer::ConfigError> {
//! let metadata = ProtectedResourceMetadata::new("https://example.com/mcp")?
//!     .resource_name("Jenkins")
//!     .resource_name_in("de", "Jenkins der Fertigung")
//!     .resource_documentation("https://example.com/docs")?;
//! # let _ = metadata;
//! # Ok(())
//! # }
//! ```

mod document;
mod service;

use serde_json::{Map, Value};
use url::Url;

pub(crate) use self::document::{OFFLINE_ACCESS, Publication, WELL_KNOWN};
pub use self::service::MetadataService;
use crate::{
    ConfigError, Scope,
    authorization_server::url_policy::{Loopback, check_url},
    resource_server::Problem,
};

/// The settings of the metadata document of one protected resource.
#[derive(Clone, Debug)]
#[must_use]
pub struct ProtectedResourceMetadata {
    /// As it was written: it is published so, and compared so by clients (RFC 9728 section 3.3).
    resource: Box<str>,
    url: Url,
    scopes_supported: Option<Vec<Scope>>,
    members: Map<String, Value>,
    loopback: Loopback,
}

impl ProtectedResourceMetadata {
    /// Names the resource by its identifier: the URL that its clients use.
    ///
    /// Clients compare it with the URL of their request, so it is the public one, as seen from outside of any proxy;
    /// nothing is taken from the `Host` header.
    ///
    /// # Errors
    /// When it is no `https` URL, or has a fragment or a user name (RFC 9728 section 1.2).
    pub fn new(resource: &str) -> Result<Self, ConfigError> {
        Self::with(resource, Loopback::Refuse)
    }

    /// Names a resource that may be served on this machine without TLS, for development and tests: `http` is accepted for
    /// `127.0.0.0/8`, `[::1]` and `localhost`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn new_on_loopback(resource: &str) -> Result<Self, ConfigError> {
        Self::with(resource, Loopback::Accept)
    }

    fn with(resource: &str, loopback: Loopback) -> Result<Self, ConfigError> {
        let url = check_url("resource", resource, loopback)?;
        if url.query().is_some() {
            tracing::warn!(
                resource,
                "resource identifier with a query, which RFC 9728 section 1.2 advises against"
            );
        }
        Ok(Self { resource: resource.into(), url, scopes_supported: None, members: Map::new(), loopback })
    }

    /// Lists the scopes to publish (`scopes_supported`); the fewer, the less a careless client asks for. Default: the
    /// baseline scopes and those of the guards made so far.
    ///
    /// # Errors
    /// When `offline_access` is among them: whether a client gets a refresh token is not the resource's business.
    pub fn scopes_supported(mut self, scopes: impl IntoIterator<Item = Scope>) -> Result<Self, ConfigError> {
        let scopes: Vec<_> = scopes.into_iter().collect();
        if scopes.iter().any(|scope| scope.as_str() == OFFLINE_ACCESS) {
            return Err(
                Problem::new("scopes_supported", OFFLINE_ACCESS, "expected scopes of this resource").into()
            );
        }
        self.scopes_supported = Some(scopes);
        Ok(self)
    }

    /// Sets the name to show to people (`resource_name`).
    pub fn resource_name(self, name: impl Into<String>) -> Self {
        self.with_member("resource_name", name.into())
    }

    /// Sets the name to show to people who read this language, a tag of BCP 47 (RFC 9728 section 2.1).
    pub fn resource_name_in(self, language: &str, name: impl Into<String>) -> Self {
        self.with_member(&format!("resource_name#{language}"), name.into())
    }

    /// Sets the address of a page for developers (`resource_documentation`).
    ///
    /// # Errors
    /// When it is no `https` URL.
    pub fn resource_documentation(self, url: &str) -> Result<Self, ConfigError> {
        self.with_url("resource_documentation", url)
    }

    /// Sets the address of a page about how data may be used (`resource_policy_uri`).
    ///
    /// # Errors
    /// When it is no `https` URL.
    pub fn resource_policy_uri(self, url: &str) -> Result<Self, ConfigError> {
        self.with_url("resource_policy_uri", url)
    }

    /// Sets the address of the terms of service (`resource_tos_uri`).
    ///
    /// # Errors
    /// When it is no `https` URL.
    pub fn resource_tos_uri(self, url: &str) -> Result<Self, ConfigError> {
        self.with_url("resource_tos_uri", url)
    }

    /// Adds a member that this crate does not know, such as a translation (`resource_tos_uri#de`).
    ///
    /// # Errors
    /// When the name is of a member that follows from the configuration, or the value is empty: a member without value
    /// is left out (RFC 9728 section 3.2).
    pub fn member(self, name: &str, value: impl Into<Value>) -> Result<Self, ConfigError> {
        let value = value.into();
        if DERIVED.contains(&name) {
            let expected = "expected a member that does not follow from the configuration";
            return Err(Problem::new("metadata member", name, expected).into());
        }
        let is_empty = match &value {
            Value::Null => true,
            Value::Array(values) => values.is_empty(),
            Value::String(text) => text.is_empty(),
            Value::Object(_) | Value::Bool(_) | Value::Number(_) => false,
        };
        if is_empty {
            return Err(
                Problem::new("metadata member", name, "expected a value (RFC 9728 section 3.2)").into()
            );
        }
        Ok(self.with_member(name, value))
    }

    /// Adds the metadata as a JWT that you signed elsewhere (`signed_metadata`, RFC 9728 section 2.2). Nothing here signs
    /// or checks it.
    pub fn signed_metadata(self, jwt: impl Into<String>) -> Self {
        self.with_member("signed_metadata", jwt.into())
    }

    fn with_url(self, name: &'static str, url: &str) -> Result<Self, ConfigError> {
        check_url(name, url, self.loopback)?;
        Ok(self.with_member(name, url))
    }

    fn with_member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }
}

/// Members that follow from the configuration; the last three say what a token bound to a key is worth here, where each
/// is refused.
const DERIVED: [&str; 7] = [
    "resource",
    "authorization_servers",
    "bearer_methods_supported",
    "scopes_supported",
    "dpop_signing_alg_values_supported",
    "dpop_bound_access_tokens_required",
    "tls_client_certificate_bound_access_tokens",
];
