//! Validates tokens: the trait [`TokenValidator`], and [`RoutingValidator`] to choose between validators.
//!
//! This crate has two validators: `JwtValidator` verifies JWTs locally, `IntrospectionValidator` sends tokens to the
//! authorization server. You can write your own, instead of these or around them.
//!
//! # A token table
//! For tokens that your service issued itself, such as API keys:
//!
//! ```
//! use std::collections::HashMap;
//! use tower_bearer::{AccessToken, ClaimsSet, TokenValidator, UnixTime, ValidatedToken, ValidationError};
//!
//! struct Row {
//!     user: String,
//!     scopes: String,
//!     expires_at: UnixTime,
//! }
//!
//! struct TokenTable {
//!     /// Keyed by the SHA-256 of the token, so that the table contains no tokens.
//!     rows: HashMap<[u8; 32], Row>,
//! }
//!
//! impl TokenTable {
//!     async fn find(&self, hash: [u8; 32]) -> Result<Option<&Row>, std::io::Error> {
//!         Ok(self.rows.get(&hash))
//!     }
//! }
//!
//! impl TokenValidator for TokenTable {
//!     async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
//!         let row = self.find(token.sha256()).await.map_err(ValidationError::unavailable)?; // 503
//!         let row = row.ok_or_else(|| ValidationError::refused("token not in the table"))?; // 401 invalid_token
//!         let claims = ClaimsSet::new()
//!             .with_subject(row.user.as_str())
//!             .with_scopes(&row.scopes)
//!             .with_expiry(row.expires_at); // checked by the layer
//!         Ok(ValidatedToken::from_trusted_claims(claims))
//!     }
//! }
//!
//! // To add a row for a key that was just issued:
//! # fn add(rows: &mut HashMap<[u8; 32], Row>, key: &str, row: Row) {
//! rows.insert(AccessToken::new(key).sha256(), row);
//! # }
//! ```
//!
//! [Issue and accept your own tokens](crate::guides::own_tokens) has a complete service, with a database and revocation at once.
//!
//! The key is read from `Authorization: Bearer`, like any token. To accept a header such as `X-Api-Key`, move its value
//! there in an outer layer.
//!
//! # A validator around another
//! For an additional check that must wait for something, such as a list of revoked tokens in a database. A check of values
//! in memory needs no validator: use a [`RequestRule`](crate::RequestRule), which is checked on every request while the
//! verdict on the token stays in the cache.
//!
//! ```
//! use std::{collections::HashSet, sync::RwLock};
//! use tower_bearer::{AccessToken, Dependency, Issuer, TokenValidator, ValidatedToken, ValidationError};
//!
//! struct Denylist<V> {
//!     inner: V,
//!     revoked: RwLock<HashSet<String>>,
//! }
//!
//! impl<V: TokenValidator> TokenValidator for Denylist<V> {
//!     async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
//!         let token = self.inner.validate(token).await?;
//!         let revoked = self.revoked.read().map_err(|_| ValidationError::internal("the list is poisoned"))?; // 500
//!         match token.token_id() {
//!             Some(id) if !revoked.contains(id) => Ok(token),
//!             Some(_) => Err(ValidationError::refused("token on the list of revoked tokens")),
//!             None => Err(ValidationError::MissingClaim("jti")),
//!         }
//!     }
//!
//!     // For the metadata of the resource server, and for `RoutingValidator::route`.
//!     fn issuers(&self) -> Vec<Issuer> {
//!         self.inner.issuers()
//!     }
//!
//!     // For metrics, `ResourceServer::ready` and `ResourceServer::health`.
//!     fn dependencies(&self) -> Vec<Dependency> {
//!         self.inner.dependencies()
//!     }
//! }
//! ```
//!
//! Both validators run for every request, because verdicts of custom validators are not cached. If `inner` introspects,
//! every request is an introspection call, whatever its `cache_ttl`. To avoid that, return
//! `Ok(token.reusable_for(Duration::from_secs(5)))`. A revoked token is then accepted for up to five more seconds.

mod built_in;
mod cached;
mod erased;
mod lookups;
mod outage_log;
mod route;
mod token_hash;
mod unbuilt;
mod verdict_cache;

use std::{future::Future, sync::Arc};

pub use self::route::RoutingValidator;
use self::verdict_cache::VerdictCache;
pub(crate) use self::{
    built_in::{BuiltIn, Private},
    cached::CachedValidator,
    erased::{ErasedValidator, erase},
    outage_log::OutageLog,
    token_hash::{BuildTokenHasher, TokenHash, TokenHasher},
};
use crate::{AccessToken, Dependency, Issuer, ValidatedToken, ValidationError};

/// Validates access tokens.
///
/// A validator receives the token, not the request. The layer extracts the token from the request, checks `exp` again,
/// refuses tokens that are bound to a key (`cnf`), checks the scopes and sends the refusal. **The validator must check
/// everything else**: that the token is genuine, its issuer, its audience and `nbf`. See the [module
/// documentation](self) for examples.
///
/// # Reuse
/// The layer caches the verdicts of this crate's validators, so that most requests do not call them. A custom validator
/// is called for every request, even if it wraps one of this crate's, unless it calls [`ValidatedToken::reusable_for`].
///
/// # Errors and what is logged
/// | the validator returns | the client gets | the log gets |
/// |---|---|---|
/// | [`refused`](ValidationError::refused), or any other variant about the token | 401 `invalid_token` | DEBUG for each request |
/// | [`unavailable`](ValidationError::unavailable) | 503 with `Retry-After` | WARN when an outage begins, INFO when it is over, DEBUG for each request |
/// | [`internal`](ValidationError::internal) | 500 | ERROR for each request |
/// | nothing, because it panics | 500 | ERROR for each request |
///
/// An outage is over when the validator returns a verdict again and has not failed for 10 seconds. The text of these
/// errors is never sent to the client.
///
/// `?` converts a [`ClaimError`](crate::ClaimError). An error from
/// [`ClaimsSet::with_claim`](crate::ClaimsSet::with_claim) becomes 500, because the value comes from your own code. An
/// error from reading a claim of a token becomes 401.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not validate tokens",
    label = "expected a validator",
    note = "a builder becomes a validator with `.build()?`; your own type needs `impl TokenValidator`"
)]
pub trait TokenValidator: Send + Sync + 'static {
    /// Validates one token. Write it as an `async fn`.
    ///
    /// The future is dropped if the client disconnects, unless [`shares_calls`](Self::shares_calls) returns true. There
    /// is no deadline, so set a timeout for every call that can hang.
    ///
    /// # Errors
    /// If the token is not valid, or its validity cannot be determined. See [the
    /// table](TokenValidator#errors-and-what-is-logged).
    fn validate(
        &self,
        token: &AccessToken,
    ) -> impl Future<Output = Result<ValidatedToken, ValidationError>> + Send;

    /// Returns the issuers whose tokens this validator accepts.
    ///
    /// They are published as `authorization_servers` in the metadata (RFC 9728 section 2), and
    /// [`RoutingValidator::route`] uses them to choose a validator. A validator that wraps another one should forward
    /// them. Called while the resource server is built, so it must not block.
    ///
    /// Default: none. Without issuers, clients cannot find out from the metadata where to get a token, so `build()` of
    /// the resource server logs a warning. It does not for [tenants](crate::tenants#metadata), whose issuers are not known yet.
    fn issuers(&self) -> Vec<Issuer> {
        Vec::new()
    }

    /// Returns handles to what this validator needs from authorization servers: keys and introspection endpoints.
    ///
    /// The resource server uses them to report to its [`Observer`](crate::Observer), to
    /// [wait until it is ready](crate::ResourceServer::ready) and to report its
    /// [health](crate::ResourceServer::health). A validator that wraps another one should forward them. Must not block.
    ///
    /// Default: none. A validator without dependencies is always ready.
    fn dependencies(&self) -> Vec<Dependency> {
        Vec::new()
    }

    /// Returns whether concurrent requests with the same token share one call.
    ///
    /// Return true if a call of [`validate`](Self::validate) is expensive and a result that is a few milliseconds old
    /// is acceptable. A shared call continues if the clients that wait for it disconnect. It is cancelled after 60
    /// seconds; set a shorter timeout of your own. At most 1,024 shared calls run at once. Further requests are
    /// answered with 503.
    ///
    /// Default: false. A validator that wraps another one does not inherit this.
    fn shares_calls(&self, token: &AccessToken) -> bool {
        let _ = token;
        false
    }

    /// Not part of the public API. Cannot be overridden outside this crate, since its types cannot be named there.
    #[doc(hidden)]
    fn __built_in(&self, _: Private) -> Option<BuiltIn> {
        None
    }
}

/// Forwards all methods to the shared validator.
impl<V: TokenValidator> TokenValidator for Arc<V> {
    fn validate(
        &self,
        token: &AccessToken,
    ) -> impl Future<Output = Result<ValidatedToken, ValidationError>> + Send {
        V::validate(self, token)
    }

    fn issuers(&self) -> Vec<Issuer> {
        V::issuers(self)
    }

    fn dependencies(&self) -> Vec<Dependency> {
        V::dependencies(self)
    }

    fn shares_calls(&self, token: &AccessToken) -> bool {
        V::shares_calls(self, token)
    }

    fn __built_in(&self, private: Private) -> Option<BuiltIn> {
        V::__built_in(self, private)
    }
}
