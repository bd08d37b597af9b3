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
mod layers;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;

pub use self::builder::ResourceServerBuilder;
use self::layers::Layers;
use crate::{
    Challenge, ConfigError, GrpcMethods, Health, LayerDescription, MetadataService, NotReady, Requirement,
    RequirementPolicy, ScopeRequirement, TokenValidator, ValidateGrpcTokenLayer, ValidateTokenLayer,
    config_error::Problem,
    health::wait,
    protected_resource_metadata::Publication,
    token::{GuardSettings, ServerId},
    validate_token::Policy,
    validator::{CachedValidator, erase},
};

/// A resource server: which tokens it accepts, and how it refuses requests.
///
/// The role is that of RFC 6749 section 1.1.
///
/// It is cheap to clone. All clones and layers share one verdict cache and the settings. Only
/// [`reconfigure`](Self::reconfigure) changes the settings. Pass it to the functions that build your routers.
///
/// # Where to put the layers
/// The outermost layer sends the 401, and clients request exactly the scopes in it. Put
/// [`require_scopes`](Self::require_scopes) on the route, or on a router whose routes all require the same scopes. A
/// [`require_token`](Self::require_token) around the whole application would send the 401 and name too few scopes.
#[derive(Clone)]
pub struct ResourceServer(pub(crate) Arc<Shared>);

/// What all clones of a resource server and its layers share.
pub(crate) struct Shared {
    pub(crate) id: ServerId,
    settings: ArcSwap<Settings>,
    /// Number of times the settings were replaced.
    generation: AtomicU64,
    pub(crate) publication: Option<Publication>,
    pub(crate) layers: Layers,
    /// Whether it was logged that a layer refused a request for the metadata.
    has_warned_of_metadata: AtomicBool,
}

/// The settings that can be replaced together.
pub(crate) struct Settings {
    pub(crate) validator: Arc<CachedValidator>,
    pub(crate) guard: Arc<GuardSettings>,
    pub(crate) policy: Option<Arc<dyn RequirementPolicy>>,
    /// The same policy, if it is for MCP.
    #[cfg(feature = "mcp")]
    mcp_policy: Option<crate::mcp::McpOperations>,
}

impl Shared {
    fn new(settings: Settings, publication: Option<Publication>) -> Self {
        Self {
            id: ServerId::new(),
            settings: ArcSwap::from_pointee(settings),
            generation: AtomicU64::new(0),
            publication,
            layers: Layers::default(),
            has_warned_of_metadata: AtomicBool::new(false),
        }
    }

    /// Returns a number that changes when the settings are replaced. Every request reads it.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Returns the settings, and their generation or an older one.
    pub(crate) fn current(&self) -> (u64, Arc<Settings>) {
        // In this order: `replace` stores the settings first, so they are at least as new as the number.
        let generation = self.generation();
        (generation, self.settings.load_full())
    }

    fn replace(&self, settings: Arc<Settings>) {
        self.settings.store(settings);
        self.generation.fetch_add(1, Ordering::Release);
    }
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
    #[track_caller]
    pub fn require_token(&self) -> ValidateTokenLayer {
        self.require_by(Requirement::token())
    }

    /// Creates a layer that requires a valid token with these scopes.
    ///
    /// `scopes` is one scope, an array of scopes that are all required, or a [`ScopeRequirement`]. An empty array does
    /// not compile. For a list from configuration, see [`ScopeRequirement::all_of`].
    ///
    /// Its challenges contain these scopes. The metadata lists them in `scopes_supported`, unless that was configured.
    #[track_caller]
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
    #[track_caller]
    pub fn allow_anonymous(&self) -> ValidateTokenLayer {
        self.require_by(Requirement::public())
    }

    /// Creates a layer that requires of each request what a policy decides.
    ///
    /// For services with one layer and many operations. Policies are:
    ///
    /// * [`PathRules`](crate::PathRules): by method and path, for gateways;
    /// * [`GrpcMethods`]: by gRPC method, with [`require_grpc`](Self::require_grpc);
    /// * a closure, or your own [`RequirementPolicy`].
    ///
    /// The policy is called before the token is validated, so that the 401 names the scopes of the operation. The metadata lists
    /// [its scopes](RequirementPolicy::scopes) in `scopes_supported`, unless that was configured.
    ///
    /// ```
    /// use http::Method;
    /// use tower_bearer::{ConfigError, PathRules, Requirement, ResourceServer, Scope, ValidateTokenLayer};
    ///
    /// const READ: Scope = Scope::from_static("orders:read");
    /// const WRITE: Scope = Scope::from_static("orders:write");
    ///
    /// fn layer(resource_server: &ResourceServer) -> Result<ValidateTokenLayer, ConfigError> {
    ///     let paths = PathRules::builder()
    ///         .rule([Method::GET], "/orders/{id}", READ)
    ///         .rule([Method::PUT], "/orders/{id}", [READ, WRITE])
    ///         .any_method("/health", Requirement::public())
    ///         .build()?;
    ///     Ok(resource_server.require_by(paths))
    /// }
    /// # let _ = layer;
    /// ```
    #[track_caller]
    pub fn require_by(&self, policy: impl RequirementPolicy) -> ValidateTokenLayer {
        if let Some(publication) = &self.0.publication {
            publication.add_scopes(&policy.scopes());
        }
        ValidateTokenLayer::new(self.clone(), Policy::OfLayer(Arc::new(policy)))
    }

    /// Creates a layer that requires of each request what the [policy of the resource
    /// server](ResourceServerBuilder::policy) decides.
    ///
    /// Works like [`require_by`](Self::require_by), except that [`reconfigure`](Self::reconfigure) replaces the policy together
    /// with all other settings.
    ///
    /// # Errors
    /// If the resource server has no policy.
    #[track_caller]
    pub fn require_policy(&self) -> Result<ValidateTokenLayer, ConfigError> {
        if self.0.current().1.policy.is_none() {
            let expected = "expected a policy; set it on the builder of the resource server";
            return Err(Problem::without_value("policy", expected).into());
        }
        Ok(ValidateTokenLayer::new(self.clone(), Policy::OfServer))
    }

    /// Creates a layer for an MCP server whose operations are the [policy of the resource
    /// server](ResourceServerBuilder::policy) (feature `mcp`).
    ///
    /// Works like [`require_mcp`](Self::require_mcp), except that [`reconfigure`](Self::reconfigure) replaces the operations
    /// together with all other settings.
    ///
    /// # Errors
    /// If the resource server has no policy, or one that is not [`McpOperations`](crate::mcp::McpOperations).
    #[cfg(feature = "mcp")]
    #[track_caller]
    pub fn require_mcp_policy(&self) -> Result<crate::ValidateMcpTokenLayer, ConfigError> {
        let layer = self.require_policy()?;
        let Some(operations) = self.mcp_policy() else {
            return Err(Problem::without_value("policy", "expected McpOperations").into());
        };
        Ok(crate::ValidateMcpTokenLayer::of_policy(layer, self, operations))
    }

    /// Returns the policy, if it is one for MCP.
    #[cfg(feature = "mcp")]
    pub(crate) fn mcp_policy(&self) -> Option<crate::mcp::McpOperations> {
        self.0.current().1.mcp_policy.clone()
    }

    /// Replaces all settings by those of `next`, while requests are served.
    ///
    /// The settings are those of the [builder](ResourceServerBuilder): the validator, the cache, the policy, the metadata,
    /// everything. All layers use them from the next request on. A layer of [`require_by`](Self::require_by) keeps its own policy,
    /// and one of [`require_scopes`](Self::require_scopes) its scopes.
    ///
    /// No verdict under the old settings is used afterwards. Cached verdicts are dropped, because `next` has a cache of its
    /// own, and a request whose token is being validated is decided again with the new settings. A request that was already
    /// accepted completes, and so does its stream.
    ///
    /// The new validator may still have to fetch its keys, so that the next requests wait for them.
    ///
    /// ```
    /// use tower_bearer::{ConfigError, ResourceServer, TokenValidator};
    ///
    /// fn change(resource_server: &ResourceServer, validator: impl TokenValidator) -> Result<(), ConfigError> {
    ///     // If a setting is invalid, `?` returns here, and nothing changes.
    ///     let next = ResourceServer::builder(validator).realm("orders").build()?;
    ///     resource_server.reconfigure(&next)
    /// }
    /// ```
    ///
    /// # Errors
    /// Nothing changes if the metadata of `next` is served at other [paths](Self::metadata_paths), since those are mounted
    /// already, or if only one of the two has metadata, or if `next` has no policy and this resource server has one. A policy
    /// for MCP is only replaced by another one for MCP.
    pub fn reconfigure(&self, next: &Self) -> Result<(), ConfigError> {
        let (_, settings) = next.0.current();
        let mut problems = Vec::new();
        let (_, current) = self.0.current();
        if settings.policy.is_none() && current.policy.is_some() {
            let expected = "expected a policy, because layers use the one of this resource server";
            problems.push(Problem::without_value("policy", expected));
        }
        #[cfg(feature = "mcp")]
        if settings.policy.is_some() && settings.mcp_policy.is_none() && current.mcp_policy.is_some() {
            let expected = "expected McpOperations, because layers use those of this resource server";
            problems.push(Problem::without_value("policy", expected));
        }
        match (&self.0.publication, &next.0.publication) {
            (Some(publication), Some(next)) => problems.extend(publication.check_replacement(next).err()),
            (None, None) => {}
            (Some(_), None) => {
                let expected =
                    "expected metadata, because it is served already; restart the service to remove it";
                problems.push(Problem::without_value("resource_metadata", expected));
            }
            (None, Some(_)) => {
                let expected = "expected no metadata, because none is served; restart the service to add it";
                problems.push(Problem::without_value("resource_metadata", expected));
            }
        }
        ConfigError::unless_none(problems, ())?;
        if let (Some(publication), Some(next)) = (&self.0.publication, &next.0.publication) {
            publication.replace(next);
        }
        self.0.replace(settings);
        Ok(())
    }

    /// Creates a layer for a gRPC service or server, with a requirement for each method.
    ///
    /// Refusals are gRPC statuses, as described at [`grpc()`](ValidateTokenLayer::grpc). The same as
    /// `require_by(methods).grpc()`. For an example, see [`GrpcMethods`].
    #[track_caller]
    pub fn require_grpc(&self, methods: GrpcMethods) -> ValidateGrpcTokenLayer {
        self.require_by(methods).grpc()
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
    #[track_caller]
    pub fn require_mcp(&self, operations: crate::mcp::McpOperations) -> crate::ValidateMcpTokenLayer {
        crate::ValidateMcpTokenLayer::new(self, operations)
    }

    /// Describes all layers that exist, in the order in which they were created, for people who review them.
    ///
    /// A layer exists while it or a service that it wraps does. Layers of clones are included. The file and the line in which each was
    /// created tell them apart. Whether a layer is in the router, and where, is not known here.
    ///
    /// ```
    /// # use tower_bearer::{ResourceServer, Scope};
    /// # const READ: Scope = Scope::from_static("orders:read");
    /// fn print_layers(resource_server: &ResourceServer) {
    ///     let list = resource_server.require_scopes(READ);
    ///     for layer in resource_server.layers() {
    ///         print!("{layer}"); // "src/main.rs:5", and "all requests    orders:read"
    ///     }
    /// #   let _ = list;
    /// }
    /// # let _ = print_layers;
    /// ```
    pub fn layers(&self) -> Vec<LayerDescription> {
        self.0.layers.existing().iter().map(|guard| LayerDescription::of(guard)).collect()
    }

    /// Logs once that a layer refused a request for the metadata, because clients need it to get a token.
    pub(crate) fn warn_of_refused_metadata(&self, path: Option<&str>) {
        let is_metadata =
            |path: &str| self.0.publication.as_ref().is_some_and(|publication| publication.is_at(path));
        let Some(path) = path.filter(|path| is_metadata(path)) else { return };
        if !self.0.has_warned_of_metadata.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                path,
                "metadata refused, so clients cannot find out where to get a token: serve it outside of this layer, for \
                 example with `Router::merge` after `Router::layer`"
            );
        }
    }

    /// Waits until requests can be served: until the keys and the introspection endpoint of every issuer are known.
    ///
    /// Call it at start, before the service accepts connections, so that the first requests do not wait. Failed attempts are
    /// repeated after a pause, which grows from 1 to 4 seconds. Without this call, the first requests fetch what they need.
    ///
    /// Waits for the [dependencies](TokenValidator::dependencies) of the validator. A custom validator must return them. Does
    /// not wait for [tenants](crate::tenants), which are not known yet, and does not ask their resolver. Not checked: whether
    /// the introspection endpoint accepts the credential.
    ///
    /// # Errors
    /// If not everything is known within `limit`. The error names each issuer, and why the last attempt failed. The service
    /// may start anyway: requests are answered with 503 until the authorization server is back.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn ready(&self, limit: Duration) -> Result<(), NotReady> {
        let (_, settings) = self.0.current();
        let dependencies = settings.validator.dependencies();
        wait(&dependencies, limit).await
    }

    /// Returns the state of keys, introspection endpoints, tenants and the verdict cache. See [`health`](crate::health).
    ///
    /// Cheap enough for each health probe. Nothing is fetched. It looks at each tenant in memory, which takes a few milliseconds
    /// for 10,000.
    pub fn health(&self) -> Health {
        self.0.current().1.validator.health()
    }

    /// Creates a challenge (`WWW-Authenticate`) for a handler that refuses a request itself.
    ///
    /// It has the realm and the metadata URL of this resource server. For missing scopes, use
    /// [`ValidatedToken::require`] instead.
    ///
    /// [`ValidatedToken::require`]: crate::ValidatedToken::require
    pub fn challenge(&self) -> Challenge {
        Challenge::new(&self.0.current().1.guard.refusals)
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
        let paths = self.0.publication.iter().flat_map(Publication::paths);
        paths.map(|path| &**path).collect()
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
        let (_, settings) = self.0.current();
        f.debug_struct("ResourceServer")
            .field("issuers", &settings.validator.issuers())
            .field("challenge", &settings.guard.refusals.challenge)
            .field("hierarchy", &settings.guard.hierarchy)
            .field("baseline", &settings.guard.baseline)
            .field("claim_rules", &settings.guard.claim_rules)
            .finish_non_exhaustive()
    }
}
