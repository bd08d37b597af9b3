//! What is configured once: [`ResourceServer`], and the layers it makes.
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

use std::{fmt, sync::Arc};

pub use self::builder::ResourceServerBuilder;
use crate::{
    Challenge, Clock, ConfigError, MetadataService, RequestRule, Scope, ScopeHierarchy, ScopeRequirement,
    TokenValidator, ValidateTokenLayer,
    config_error::Problem,
    protected_resource_metadata::Publication,
    refusal::RefusalSettings,
    token::ServerId,
    validate_token::Admit,
    validator::{CachedValidator, erase},
};

/// A resource server (RFC 6749 section 1.1): which tokens it accepts, and how it refuses requests.
///
/// Immutable and cheap to clone. All clones and all layers share one cache of verdicts. Pass it to the functions that build
/// your routers.
///
/// # Where to put the layers
/// The outermost layer answers the 401, and clients request exactly the scopes that it names. So put
/// [`require_scopes`](Self::require_scopes) on the route, or on a router whose routes all need the same; a [`require_token`](Self::require_token) around
/// everything would answer first and name too few scopes.
#[derive(Clone)]
pub struct ResourceServer(pub(crate) Arc<Settings>);

pub(crate) struct Settings {
    pub(crate) id: ServerId,
    pub(crate) validator: Arc<CachedValidator>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) refusals: Arc<RefusalSettings>,
    pub(crate) publication: Option<Publication>,
    pub(crate) hierarchy: Arc<ScopeHierarchy>,
    pub(crate) baseline: Box<[Scope]>,
    pub(crate) claim_rules: Box<[RequestRule]>,
    pub(crate) forward_credential: bool,
    pub(crate) pass_cors_preflight: bool,
}

impl ResourceServer {
    /// Starts a configuration; the validator decides which tokens are good.
    pub fn builder(validator: impl TokenValidator) -> ResourceServerBuilder {
        ResourceServerBuilder::new(erase(validator))
    }

    /// Makes a layer that requires a valid token.
    ///
    /// Its challenges name the [baseline scopes](ResourceServerBuilder::baseline_scopes).
    pub fn require_token(&self) -> ValidateTokenLayer {
        ValidateTokenLayer::new(self.clone(), Admit::WithToken, ScopeRequirement::none())
    }

    /// Makes a layer that requires a valid token with scopes: one scope, an array of which all are needed, or a
    /// [`ScopeRequirement`]. An empty array does not compile; for a list from a configuration, see
    /// [`ScopeRequirement::all_of`].
    ///
    /// Its challenges name these scopes, and the metadata lists them among `scopes_supported` from now on, unless it has a
    /// list of its own.
    pub fn require_scopes(&self, scopes: impl Into<ScopeRequirement>) -> ValidateTokenLayer {
        let scopes = scopes.into();
        if let Some(publication) = &self.0.publication {
            publication.add_scopes(scopes.all_scopes());
        }
        ValidateTokenLayer::new(self.clone(), Admit::WithToken, scopes)
    }

    /// Makes a layer that also lets requests without a token pass. A token that is presented must be valid.
    ///
    /// Handlers take an `Option<ValidatedToken>`. A token under the scheme `DPoP` (RFC 9449 section 7.1) is refused with
    /// 401: it is an access token that nothing here validates, so its request is not anonymous. Credentials of other
    /// schemes, such as `Basic`, are not access tokens of OAuth 2.0: they count as none and stay in the request.
    pub fn allow_anonymous(&self) -> ValidateTokenLayer {
        ValidateTokenLayer::new(self.clone(), Admit::WithOrWithoutToken, ScopeRequirement::none())
    }

    /// Starts a challenge (`WWW-Authenticate`) with the realm and the metadata address of this resource server, for a
    /// handler that refuses a request by itself. For missing scopes use [`ValidatedToken::require`] instead.
    ///
    /// [`ValidatedToken::require`]: crate::ValidatedToken::require
    pub fn challenge(&self) -> Challenge {
        Challenge::new(&self.0.refusals)
    }

    /// Returns every path at which the metadata belongs (RFC 9728 section 3.1), such as
    /// `/.well-known/oauth-protected-resource/mcp` for the resource `https://example.com/mcp`. Empty without metadata.
    ///
    /// There is a second one for a resource whose path ends with a slash, because clients differ in how they build the path.
    /// The first one is the path that challenges name.
    pub fn metadata_paths(&self) -> Vec<&str> {
        self.0.publication.as_ref().map_or_else(Vec::new, Publication::paths)
    }

    /// Makes the service that answers with the metadata (RFC 9728 section 3). It is public, so put no layer around it.
    ///
    /// In axum, `metadata_router` also mounts it.
    ///
    /// # Errors
    /// If the resource server has no [metadata](ResourceServerBuilder::resource_metadata).
    pub fn metadata_service(&self) -> Result<MetadataService, ConfigError> {
        match &self.0.publication {
            Some(publication) => Ok(MetadataService::new(publication.clone())),
            None => {
                let expected = "expected metadata to serve; set it on the builder of the resource server";
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
