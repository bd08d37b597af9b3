//! Publishes metadata about the protected resource: [`ProtectedResourceMetadata`] (RFC 9728).
//!
//! A client that receives a 401 finds the URL of the metadata in the challenge. The metadata names the authorization
//! servers that issue tokens. Most members are derived from the configuration, so they cannot contradict it: the
//! authorization servers come from the validator, the scopes from the guards.
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
/// Creating one checks nothing. [`ResourceServerBuilder::build`](crate::ResourceServerBuilder::build) checks all
/// settings and reports every problem in one [`ConfigError`](crate::ConfigError).
#[derive(Clone)]
#[must_use]
pub struct ProtectedResourceMetadata {
    /// Published exactly as configured, because clients compare it as a string (RFC 9728 section 3.3).
    resource: Box<str>,
    scopes_supported: Option<Vec<Scope>>,
    members: Map<String, Value>,
    /// Members that must be URLs, checked when the resource server is built.
    urls: Vec<(&'static str, Box<str>)>,
    loopback: Loopback,
    also_at_root: bool,
    problems: Vec<Problem>,
}

impl ProtectedResourceMetadata {
    /// Creates metadata for the resource with this identifier: the URL that clients use.
    ///
    /// It must be an `https` URL without fragment, user name or password (RFC 9728 section 1.2); `build()` checks this.
    ///
    /// # Deployment
    /// Clients compare it with the URL of their request, so write scheme and host in lower case; otherwise there is a warning. Behind a proxy, use the public URL. The `Host` header is never
    /// used.
    pub fn new(resource: impl Into<String>) -> Self {
        Self {
            resource: resource.into().into(),
            scopes_supported: None,
            members: Map::new(),
            urls: Vec::new(),
            loopback: Loopback::Refuse,
            also_at_root: false,
            problems: Vec::new(),
        }
    }

    /// Accepts `http` URLs on this machine, for development and tests.
    ///
    /// The hosts `127.0.0.0/8`, `[::1]` and `localhost` are accepted. Default: every URL must be `https`.
    pub fn allow_http_on_loopback(mut self) -> Self {
        self.loopback = Loopback::Accept;
        self
    }

    /// Also serves the document at the root: `/.well-known/oauth-protected-resource`. Default: only at the path of the resource.
    ///
    /// Some MCP clients only look there if they cannot read the URL in the challenge. RFC 9728 section 3.3 gives this URL to the
    /// resource without a path, so call this only if the host has no other protected resource.
    pub fn also_at_root(mut self) -> Self {
        self.also_at_root = true;
        self
    }

    /// Sets the published scopes (`scopes_supported`, RFC 9728 section 2).
    ///
    /// Default: the baseline scopes and those of the guards created so far. Some clients request all published scopes,
    /// so a short list keeps their tokens narrow.
    ///
    /// `offline_access` is refused, because it asks for a refresh token and is not a scope of the resource.
    pub fn scopes_supported(mut self, scopes: impl IntoIterator<Item = Scope>) -> Self {
        let scopes: Vec<_> = scopes.into_iter().collect();
        if scopes.iter().any(|scope| scope.as_str() == OFFLINE_ACCESS) {
            let expected = "expected scopes of this resource";
            self.problems.push(Problem::new("scopes_supported", OFFLINE_ACCESS, expected));
        }
        self.scopes_supported = Some(scopes);
        self
    }

    /// Sets the name shown to users (`resource_name`, RFC 9728 section 2). Default: none.
    pub fn resource_name(self, name: impl Into<String>) -> Self {
        self.with_member("resource_name", name.into())
    }

    /// Sets the name shown to users in one language (RFC 9728 section 2.1). Default: none.
    ///
    /// `language` is a BCP 47 tag such as `de`. Not checked: whether it is a valid tag.
    pub fn resource_name_in(self, language: &str, name: impl Into<String>) -> Self {
        self.with_member(&format!("resource_name#{language}"), name.into())
    }

    /// Sets the `https` URL of a page for developers (`resource_documentation`). Default: none.
    pub fn resource_documentation(self, url: impl Into<String>) -> Self {
        self.with_url("resource_documentation", url.into())
    }

    /// Sets the `https` URL of the policy on data use (`resource_policy_uri`). Default: none.
    pub fn resource_policy_uri(self, url: impl Into<String>) -> Self {
        self.with_url("resource_policy_uri", url.into())
    }

    /// Sets the `https` URL of the terms of service (`resource_tos_uri`). Default: none.
    pub fn resource_tos_uri(self, url: impl Into<String>) -> Self {
        self.with_url("resource_tos_uri", url.into())
    }

    /// Adds any other member, such as a translation (`resource_tos_uri#de`).
    ///
    /// `build()` refuses members that are derived from the configuration, and empty values, because members without a
    /// value must be omitted (RFC 9728 section 3.2). Not checked: the value.
    pub fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        let is_empty = match &value {
            Value::Null => true,
            Value::Array(values) => values.is_empty(),
            Value::String(text) => text.is_empty(),
            Value::Object(_) | Value::Bool(_) | Value::Number(_) => false,
        };
        if DERIVED.contains(&name) {
            let expected = "expected a member that is not derived from the configuration";
            self.problems.push(Problem::new("metadata member", name, expected));
        } else if is_empty {
            let expected = "expected a value (RFC 9728 section 3.2)";
            self.problems.push(Problem::new("metadata member", name, expected));
        }
        self.with_member(name, value)
    }

    /// Adds the metadata as a signed JWT (`signed_metadata`, RFC 9728 section 2.2).
    ///
    /// Default: none. Not checked: the JWT is published as it is.
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

/// Hides user names and passwords in URLs, and the values of other members.
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

/// Members that are derived from the configuration. The last three are about tokens that are bound to a key, which this
/// crate refuses.
const DERIVED: [&str; 7] = [
    "resource",
    "authorization_servers",
    "bearer_methods_supported",
    "scopes_supported",
    "dpop_signing_alg_values_supported",
    "dpop_bound_access_tokens_required",
    "tls_client_certificate_bound_access_tokens",
];
