//! The configuration of a resource server, which creates layers: [`ResourceServer`].
//!
//! ```
//! # #[cfg(all(feature = "jwt", feature = "reqwest"))]
//! # fn main() -> Result<(), tower_bearer::ConfigError> {
//! use tower_bearer::{
//!     AuthorizationServer, JwtValidator, ProtectedResourceMetadata, ResourceServer, Scope, ScopeHierarchy,
//! };
//!
//! const READ: Scope = Scope::from_static("orders:read");
//! const WRITE: Scope = Scope::from_static("orders:write");
//!
//! let authorization_server = AuthorizationServer::discover("https://as.example.com");
//! let validator = JwtValidator::builder(authorization_server, "https://orders.example.com").build()?;
//! let resource_server = ResourceServer::builder(validator)
//!     .resource_metadata(ProtectedResourceMetadata::new("https://orders.example.com"))
//!     .scope_hierarchy(ScopeHierarchy::default().implies(WRITE, [READ]))
//!     .build()?;
//!
//! let reading = resource_server.require_scopes(READ);  // a valid token with this scope
//! let anyone = resource_server.require_token();         // a valid token
//! let guests = resource_server.allow_anonymous();      // a valid token, or none
//! # let _ = (reading, anyone, guests);
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "jwt", feature = "reqwest")))]
//! # fn main() {}
//! ```

mod builder;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

pub use self::builder::ResourceServerBuilder;
use crate::{
    Challenge, Clock, ConfigError, MetadataService, RequestRule, Requirement, RequirementPolicy, Scope,
    ScopeHierarchy, ScopeRequirement, TokenValidator, ValidateTokenLayer,
    config_error::Problem,
    protected_resource_metadata::Publication,
    refusal::RefusalSettings,
    token::ServerId,
    validator::{CachedValidator, erase},
};

/// A resource server: which tokens it accepts, and how it refuses requests.
///
/// The role is that of RFC 6749 section 1.1.
///
/// It is immutable and cheap to clone. All clones and layers share one verdict cache. Pass it to the functions that
/// build your routers.
///
/// # Where to put the layers
/// The outermost layer sends the 401, and clients request exactly the scopes in it. Put
/// [`require_scopes`](Self::require_scopes) on the route, or on a router whose routes all require the same scopes. A
/// [`require_token`](Self::require_token) around the whole application would send the 401 and name too few scopes.
#[derive(Clone)]
pub struct ResourceServer(pub(crate) Arc<Settings>);

pub(crate) struct Settings {
    pub(crate) id: ServerId,
    pub(crate) validator: Arc<CachedValidator>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) refusals: Arc<RefusalSettings>,
    pub(crate) publication: Option<Publication>,
    pub(crate) hierarchy: Arc<ScopeHierarchy>,
    pub(crate) baseline: Arc<[Scope]>,
    pub(crate) claim_rules: Box<[RequestRule]>,
    pub(crate) forward_credential: bool,
    pub(crate) pass_cors_preflight: bool,
    pub(crate) streams_outlive_tokens: bool,
    /// Whether it was logged that a layer refused a request for the metadata.
    pub(crate) has_warned_of_metadata: AtomicBool,
}

impl ResourceServer {
    /// Creates a builder from the validator, which decides which tokens are valid.
    ///
    /// The `Result` of a validator's `build()` is also accepted. If you leave out the `?`,
    /// [`build`](ResourceServerBuilder::build) reports the problems of both together.
    pub fn builder(validator: impl TokenValidator) -> ResourceServerBuilder {
        ResourceServerBuilder::new(erase(validator))
    }

    /// Creates a layer that requires a valid token.
    ///
    /// Its challenges contain the [baseline scopes](ResourceServerBuilder::baseline_scopes).
    pub fn require_token(&self) -> ValidateTokenLayer {
        self.require_by(Requirement::token())
    }

    /// Creates a layer that requires a valid token with these scopes.
    ///
    /// `scopes` is one scope, an array of scopes that are all required, or a [`ScopeRequirement`]. An empty array does
    /// not compile. For a list from configuration, see [`ScopeRequirement::all_of`].
    ///
    /// Its challenges contain these scopes. The metadata lists them in `scopes_supported`, unless that was configured.
    pub fn require_scopes(&self, scopes: impl Into<ScopeRequirement>) -> ValidateTokenLayer {
        self.require_by(Requirement::scopes(scopes))
    }

    /// Creates a layer that also accepts requests without a token.
    ///
    /// If a request has a token, it must be valid.
    ///
    /// Handlers take an `Option<ValidatedToken>`. A token with the scheme `DPoP` (RFC 9449 section 7.1) is refused with
    /// 401, because it is an access token that this crate does not validate. Credentials of other schemes, such as
    /// `Basic`, are not OAuth 2.0 access tokens: such a request counts as anonymous, and the credentials stay in it.
    pub fn allow_anonymous(&self) -> ValidateTokenLayer {
        self.require_by(Requirement::public())
    }

    /// Creates a layer that requires of each request what a policy decides.
    ///
    /// For services with one layer and many operations. Policies are:
    ///
    /// * [`PathRules`](crate::PathRules): by method and path, for gateways;
    /// * [`GrpcMethods`](crate::GrpcMethods): by gRPC method;
    /// * a closure, or your own [`RequirementPolicy`].
    ///
    /// The policy is called before the token is validated, so that the 401 names the scopes of the operation. The metadata lists
    /// [its scopes](RequirementPolicy::scopes) in `scopes_supported`, unless that was configured.
    ///
    /// ```
    /// use http::Method;
    /// use tower_bearer::{ConfigError, GrpcMethods, PathRules, Requirement, ResourceServer, Scope};
    ///
    /// const READ: Scope = Scope::from_static("orders:read");
    /// const WRITE: Scope = Scope::from_static("orders:write");
    ///
    /// fn layers(resource_server: &ResourceServer) -> Result<(), ConfigError> {
    ///     let paths = PathRules::builder()
    ///         .rule([Method::GET], "/orders/{id}", READ)
    ///         .rule([Method::PUT], "/orders/{id}", [READ, WRITE])
    ///         .any_method("/health", Requirement::public())
    ///         .build()?;
    ///     let gateway = resource_server.require_by(paths);
    ///     let methods = GrpcMethods::builder()
    ///         .method("/orders.v1.Orders/List", READ)
    ///         .method("/orders.v1.Orders/Cancel", [READ, WRITE])
    ///         .build()?;
    ///     let grpc = resource_server.require_by(methods).grpc();
    /// #   let _ = (gateway, grpc);
    ///     Ok(())
    /// }
    /// # let _ = layers;
    /// ```
    pub fn require_by(&self, policy: impl RequirementPolicy) -> ValidateTokenLayer {
        if let Some(publication) = &self.0.publication {
            publication.add_scopes(&policy.scopes());
        }
        ValidateTokenLayer::new(self.clone(), Arc::new(policy))
    }

    /// Creates a layer for an MCP server, with a requirement for each operation (feature `mcp`).
    ///
    /// It reads the operation from the body of the request. See [`mcp`](crate::mcp) for an example. The metadata lists all
    /// scopes of the operations in `scopes_supported`, unless that was configured.
    ///
    /// # Security
    /// Put it around the MCP server only, for example with `Router::nest_service`. It ignores paths, so it
    /// applies the rules of MCP to all routes behind it: `GET` and `DELETE` require what [`connecting`](crate::mcp::McpOperationsBuilder::connecting)
    /// requires, and may be public.
    #[cfg(feature = "mcp")]
    pub fn require_mcp(&self, operations: crate::mcp::McpOperations) -> crate::ValidateMcpTokenLayer {
        crate::ValidateMcpTokenLayer::new(self, operations)
    }

    /// Logs once that a layer refused a request for the metadata, because clients need it to get a token.
    pub(crate) fn warn_of_refused_metadata(&self, path: Option<&str>) {
        let Some(path) = path.filter(|path| self.metadata_paths().contains(path)) else { return };
        if !self.0.has_warned_of_metadata.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                path,
                "metadata refused, so clients cannot find out where to get a token: serve it outside of this layer, for \
                 example with `Router::merge` after `Router::layer`"
            );
        }
    }

    /// Creates a challenge (`WWW-Authenticate`) for a handler that refuses a request itself.
    ///
    /// It has the realm and the metadata URL of this resource server. For missing scopes, use
    /// [`ValidatedToken::require`] instead.
    ///
    /// [`ValidatedToken::require`]: crate::ValidatedToken::require
    pub fn challenge(&self) -> Challenge {
        Challenge::new(&self.0.refusals)
    }

    /// Returns every path at which to serve the metadata (RFC 9728 section 3.1).
    ///
    /// For example, `/.well-known/oauth-protected-resource/mcp` for the resource `https://example.com/mcp`. Empty if
    /// there is no metadata.
    ///
    /// If the path of the resource ends with a slash, there is a second path, because clients build the path in
    /// different ways. [`also_at_root`](crate::ProtectedResourceMetadata::also_at_root) adds another. Challenges name the
    /// first path.
    pub fn metadata_paths(&self) -> Vec<&str> {
        self.0.publication.as_ref().map_or_else(Vec::new, Publication::paths)
    }

    /// Creates the service that serves the metadata (RFC 9728 section 3).
    ///
    /// The metadata is public, so do not add a layer to it. The first request that a layer refuses at one of these paths is logged
    /// at `warn`.
    ///
    /// With axum, `metadata_router` also mounts it.
    ///
    /// # Errors
    /// If the resource server has no [metadata](ResourceServerBuilder::resource_metadata).
    pub fn metadata_service(&self) -> Result<MetadataService, ConfigError> {
        match &self.0.publication {
            Some(publication) => Ok(MetadataService::new(publication.clone())),
            None => {
                let expected = "expected metadata; set it on the builder of the resource server";
                Err(Problem::without_value("resource_metadata", expected).into())
            }
        }
    }

    /// Returns the metadata document as JSON, if there is one.
    pub fn metadata(&self) -> Option<serde_json::Value> {
        self.0.publication.as_ref().map(Publication::document)
    }
}

impl fmt::Debug for ResourceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceServer")
            .field("issuers", &self.0.validator.issuers())
            .field("challenge", &self.0.refusals.challenge)
            .field("hierarchy", &self.0.hierarchy)
            .field("baseline", &self.0.baseline)
            .field("claim_rules", &self.0.claim_rules)
            .finish_non_exhaustive()
    }
}
