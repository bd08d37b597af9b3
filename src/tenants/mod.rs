//! Validates tokens of issuers that are known only while the program runs: [`ResolvingValidator`].
//!
//! For a service whose customers bring their own authorization servers. You implement [`IssuerResolver`], which finds the
//! tenant of an issuer, for example in a database, and returns how its tokens are validated.
//!
//! ```
//! # #[cfg(all(feature = "jwt", feature = "reqwest"))]
//! # fn main() -> Result<(), tower_bearer::ConfigError> {
//! use std::{collections::HashMap, sync::RwLock};
//! use tower_bearer::{
//!     AuthorizationServer, JwtValidator, ResourceServer, ValidationError,
//!     tenants::{IssuerResolver, ResolvingValidator, Tenant, UnverifiedIssuer},
//! };
//!
//! struct Row {
//!     issuer: String,
//!     audience: String,
//!     version: u64,
//! }
//!
//! struct TenantTable {
//!     rows: RwLock<HashMap<String, Row>>,
//! }
//!
//! impl IssuerResolver for TenantTable {
//!     async fn resolve(&self, issuer: &UnverifiedIssuer) -> Result<Option<Tenant>, ValidationError> {
//!         let rows = self.rows.read().map_err(|_| ValidationError::internal("the table is poisoned"))?; // 500
//!         Ok(issuer.find_in(&rows).map(|row| {
//!             let authorization_server = AuthorizationServer::discover(&row.issuer);
//!             Tenant::jwt(JwtValidator::builder(authorization_server, &row.audience)).version(row.version)
//!         }))
//!     }
//! }
//!
//! let table = TenantTable { rows: RwLock::default() };
//! let validator = ResolvingValidator::builder(table).build()?;
//! let tenants = validator.clone();
//! let resource_server = ResourceServer::builder(validator).build()?;
//!
//! // After a row was added, changed or deleted:
//! tenants.invalidate("https://login.acme.example");
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "jwt", feature = "reqwest")))]
//! # fn main() {}
//! ```
//!
//! # What happens for a token
//! 1. The issuer is read from the token, which is not verified yet. Tokens without an issuer go to
//!    [`otherwise`](ResolvingValidatorBuilder::otherwise).
//! 2. If its tenant is not known, the resolver is asked. Requests with the same issuer share one question. If the resolver
//!    does not know the issuer, the token is refused with 401, and **nothing is fetched**.
//! 3. The validator of the tenant validates the token, with the keys, the audience, the algorithms and the rules of this
//!    tenant only. It also verifies the issuer.
//!
//! # When a tenant changes
//! | | takes effect |
//! |---|---|
//! | [`invalidate`](ResolvingValidator::invalidate) is called | before it returns, also for cached verdicts and tokens that are being validated |
//! | only the resolver's answer changes | after the [`tenant_ttl`](ResolvingValidatorBuilder::tenant_ttl), 5 minutes, also for cached verdicts |
//! | an issuer becomes known to the resolver | after the [`unknown_issuer_ttl`](ResolvingValidatorBuilder::unknown_issuer_ttl), 10 seconds |
//!
//! # When the resolver fails
//! Tokens of tenants that are not known are answered with 503. Known tenants are served until their
//! [`max_tenant_age`](ResolvingValidatorBuilder::max_tenant_age), 1 hour after the resolver's last answer. A resolver that
//! takes longer than the [`resolve_timeout`](ResolvingValidatorBuilder::resolve_timeout), panics, or returns an unusable tenant
//! has failed too. The log has a warning when this begins.
//!
//! # Addresses
//! By default, the tenants share one HTTP client that connects only to the public internet. See
//! [`http_client`](ResolvingValidatorBuilder::http_client).
//!
//! # What operators see
//! The events of all tenants reach the [observer](crate::ResourceServerBuilder::observer) of the resource server, also those of
//! tenants that are resolved later. [`Health::tenants`](crate::Health::tenants) has the state of the resolver, and at most 20 failing
//! authorization servers one by one. Tenants do not change [readiness](crate::health#readiness).
//!
//! # Metadata
//! The `authorization_servers` of the [metadata](crate::protected_resource_metadata) cannot list the issuers of tenants. A client
//! that has no other way to find its authorization server needs a resource of its own for each tenant.
//!
//! # Memory
//! A tenant with an RSA key and an elliptic curve key uses about 6 KB: 5 KB on the heap of Rust, and its parsed keys. 10,000
//! tenants use about 63 MB. `tests/allocations/tenant_memory.rs` measures this. There is no background task, thread or connection
//! pool per tenant. The keys of each tenant remember the last 16 unknown keys, as hashes. Tokens with invented keys can fill this
//! with at most 2.5 KB per tenant, 25 MB for 10,000. Issuers that the resolver does not know use at most about a megabyte together.

mod builder;
mod known_tenants;
mod record;
mod resolver_calls;
mod source_state;
mod tenant;
mod tenant_state;
mod unverified_issuer;
mod validator;

use std::{future::Future, sync::Arc};

use self::tenant_state::TenantState;
pub use self::{
    builder::ResolvingValidatorBuilder, tenant::Tenant, unverified_issuer::UnverifiedIssuer,
    validator::ResolvingValidator,
};
use crate::{BoxFuture, ValidationError};

/// Finds the tenant of an issuer.
///
/// See the [module documentation](self) for an example.
pub trait IssuerResolver: Send + Sync + 'static {
    /// Returns the tenant of an issuer, or `None` if there is none. Write it as an `async fn`.
    ///
    /// Anyone can send tokens with made-up issuers, and each of them causes a call, so it should be cheap. At most 1,024 calls
    /// for new issuers run at once; other requests with new issuers are answered with 503. Up to 1,024 calls for known tenants
    /// can run at the same time. A call continues if the client disconnects, and ends after the
    /// [`resolve_timeout`](ResolvingValidatorBuilder::resolve_timeout).
    ///
    /// # Errors
    /// If the tenant cannot be looked up now: [`ValidationError::unavailable`]. Any other error except
    /// [`internal`](ValidationError::internal) is treated in the same way, so an unknown issuer must be `Ok(None)`.
    fn resolve(
        &self,
        issuer: &UnverifiedIssuer,
    ) -> impl Future<Output = Result<Option<Tenant>, ValidationError>> + Send;
}

/// Forwards to the shared resolver.
impl<R: IssuerResolver> IssuerResolver for Arc<R> {
    fn resolve(
        &self,
        issuer: &UnverifiedIssuer,
    ) -> impl Future<Output = Result<Option<Tenant>, ValidationError>> + Send {
        R::resolve(self, issuer)
    }
}

/// An object-safe [`IssuerResolver`].
trait ErasedResolver: Send + Sync {
    fn resolve<'a>(
        &'a self,
        issuer: &'a UnverifiedIssuer,
    ) -> BoxFuture<'a, Result<Option<Tenant>, ValidationError>>;
}

impl<R: IssuerResolver> ErasedResolver for R {
    fn resolve<'a>(
        &'a self,
        issuer: &'a UnverifiedIssuer,
    ) -> BoxFuture<'a, Result<Option<Tenant>, ValidationError>> {
        Box::pin(IssuerResolver::resolve(self, issuer))
    }
}
