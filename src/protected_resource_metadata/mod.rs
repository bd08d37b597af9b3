//! What the resource publishes about itself: [`ProtectedResourceMetadata`] (RFC 9728).
//!
//! A client that gets a 401 finds the URL of the document in the challenge. The document names the authorization servers to get
//! a token from. Most of it follows from the configuration and cannot contradict it: the authorization servers come from the
//! validator, the scopes from the guards.
//!
//! ```
//! use tower_bearer::ProtectedResourceMetadata;
//!
//! let metadata = ProtectedResourceMetadata::new("https://example.com/mcp")
//!     .resource_name("Jenkins")
//!     .resource_name_in("de", "Jenkins der Fertigung")
//!     .resource_documentation("https://example.com/docs");
//! # let _ = metadata;
//! ```

mod document;
mod service;

use std::fmt;

use serde_json::{Map, Value};

pub(crate) use self::document::Publication;
pub use self::service::MetadataService;
use crate::{
    Scope, config_error::Problem, scope::OFFLINE_ACCESS, url_policy::Loopback, user_info::without_user_info,
};

/// The settings of the metadata document of one protected resource.
///
/// Nothing is checked when it is made: [`ResourceServerBuilder::build`](crate::ResourceServerBuilder::build) checks all
/// settings and reports every problem in one [`ConfigError`](crate::ConfigError).
#[derive(Clone)]
#[must_use]
pub struct ProtectedResourceMetadata {
    /// As it was written: it is published so, and clients compare it so (RFC 9728 section 3.3).
    resource: Box<str>,
    scopes_supported: Option<Vec<Scope>>,
    members: Map<String, Value>,
    /// Members that must be URLs, checked when the resource server is built.
    urls: Vec<(&'static str, Box<str>)>,
    loopback: Loopback,
    problems: Vec<Problem>,
}

impl ProtectedResourceMetadata {
    /// Names the resource by its identifier: the URL that its clients use.
    ///
    /// Clients compare it with the URL of their request, so give the public URL, as seen from outside of any proxy. Nothing is
    /// taken from the `Host` header. It must be an `https` URL without fragment and user name (RFC 9728 section 1.2).
    pub fn new(resource: impl Into<String>) -> Self {
        Self {
            resource: resource.into().into(),
            scopes_supported: None,
            members: Map::new(),
            urls: Vec::new(),
            loopback: Loopback::Refuse,
            problems: Vec::new(),
        }
    }

    /// Accepts `http` URLs on this machine (`127.0.0.0/8`, `[::1]` and `localhost`), for development and tests. Default:
    /// every URL must be `https`.
    pub fn allow_http_on_loopback(mut self) -> Self {
        self.loopback = Loopback::Accept;
        self
    }

    /// Lists the scopes to publish (`scopes_supported`, RFC 9728 section 2). Clients that ask for all of them get fewer rights
    /// if the list is short. Default: the baseline scopes and those of the guards made so far.
    ///
    /// `offline_access` is refused: whether a client gets a refresh token is not the resource's business.
    pub fn scopes_supported(mut self, scopes: impl IntoIterator<Item = Scope>) -> Self {
        let scopes: Vec<_> = scopes.into_iter().collect();
        if scopes.iter().any(|scope| scope.as_str() == OFFLINE_ACCESS) {
            let expected = "expected scopes of this resource";
            self.problems.push(Problem::new("scopes_supported", OFFLINE_ACCESS, expected));
        }
        self.scopes_supported = Some(scopes);
        self
    }

    /// Sets the name to show to users (`resource_name`). Default: none.
    pub fn resource_name(self, name: impl Into<String>) -> Self {
        self.with_member("resource_name", name.into())
    }

    /// Sets the name to show to users in one language, given as a BCP 47 tag such as `de` (RFC 9728 section 2.1).
    pub fn resource_name_in(self, language: &str, name: impl Into<String>) -> Self {
        self.with_member(&format!("resource_name#{language}"), name.into())
    }

    /// Sets the address of a page for developers (`resource_documentation`), an `https` URL.
    pub fn resource_documentation(self, url: impl Into<String>) -> Self {
        self.with_url("resource_documentation", url.into())
    }

    /// Sets the address of a page about how data may be used (`resource_policy_uri`), an `https` URL.
    pub fn resource_policy_uri(self, url: impl Into<String>) -> Self {
        self.with_url("resource_policy_uri", url.into())
    }

    /// Sets the address of the terms of service (`resource_tos_uri`), an `https` URL.
    pub fn resource_tos_uri(self, url: impl Into<String>) -> Self {
        self.with_url("resource_tos_uri", url.into())
    }

    /// Adds a member that this crate does not know, such as a translation (`resource_tos_uri#de`).
    ///
    /// Refused are the names of members that follow from the configuration, and empty values: a member without value is left
    /// out (RFC 9728 section 3.2).
    pub fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        let is_empty = match &value {
            Value::Null => true,
            Value::Array(values) => values.is_empty(),
            Value::String(text) => text.is_empty(),
            Value::Object(_) | Value::Bool(_) | Value::Number(_) => false,
        };
        if DERIVED.contains(&name) {
            let expected = "expected a member that does not follow from the configuration";
            self.problems.push(Problem::new("metadata member", name, expected));
        } else if is_empty {
            let expected = "expected a value (RFC 9728 section 3.2)";
            self.problems.push(Problem::new("metadata member", name, expected));
        }
        self.with_member(name, value)
    }

    /// Adds the metadata as a signed JWT (`signed_metadata`, RFC 9728 section 2.2). It is published as given and not checked.
    pub fn signed_metadata(self, jwt: impl Into<String>) -> Self {
        self.with_member("signed_metadata", jwt.into())
    }

    fn with_url(mut self, name: &'static str, url: String) -> Self {
        self.urls.push((name, url.clone().into()));
        self.with_member(name, url)
    }

    fn with_member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }
}

/// Hides user names and passwords in URLs, which are refused later, and the values of other members.
impl fmt::Debug for ProtectedResourceMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtectedResourceMetadata")
            .field("resource", &without_user_info(&self.resource))
            .field("scopes_supported", &self.scopes_supported)
            .field("members", &self.members.keys().collect::<Vec<_>>())
            .field("loopback", &self.loopback)
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}

/// Members that follow from the configuration. The last three are about tokens bound to a key, which are all refused here.
const DERIVED: [&str; 7] = [
    "resource",
    "authorization_servers",
    "bearer_methods_supported",
    "scopes_supported",
    "dpop_signing_alg_values_supported",
    "dpop_bound_access_tokens_required",
    "tls_client_certificate_bound_access_tokens",
];
