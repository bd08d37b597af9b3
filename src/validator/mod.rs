//! Who decides about a token: the trait [`TokenValidator`], and [`RoutingValidator`] to choose among several.
//!
//! This crate brings two: `JwtValidator` verifies on the spot, `IntrospectionValidator` asks the authorization server.
//! A service with a token table of its own writes a third:
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
//! /// Random strings, stored hashed.
//! struct TokenTable {
//!     rows: HashMap<[u8; 32], Row>,
//! }
//!
//! impl TokenValidator for TokenTable {
//!     async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
//!         let row = self.rows.get(&token.sha256()).ok_or(ValidationError::Inactive)?; // 401 invalid_token
//!         Ok(ValidatedToken::from_trusted_claims(
//!             ClaimsSet::new()
//!                 .with_subject(row.user.as_str())
//!                 .with_scopes(&row.scopes)
//!                 .with_expiry(row.expires_at), // still checked by the layer
//!         ))
//!     }
//! }
//! ```
//!
//! A table that cannot be reached is `ValidationError::unavailable`: 503, since the token may be fine.

mod cached;
mod route;
mod token_hash;
mod verdict_cache;

use std::{future::Future, sync::Arc};

pub use self::route::RoutingValidator;
pub(crate) use self::route::UnverifiedIssuer;
use self::verdict_cache::VerdictCache;
pub(crate) use self::{
    cached::CachedValidator,
    token_hash::{BuildTokenHasher, TokenHash, TokenHasher},
};
use crate::{AccessToken, BoxFuture, Issuer, ValidatedToken, ValidationError};

/// Decides whether an access token is good, and what it says.
///
/// It gets the token only, not the request: the layer extracts the token, checks the time once more, the scopes and
/// whether the token is bound to a key, and writes the refusal. None of that can be forgotten here.
pub trait TokenValidator: Send + Sync + 'static {
    /// Validates one token. Write it as an `async fn`.
    ///
    /// The future is dropped when the caller goes away.
    fn validate(
        &self,
        token: &AccessToken,
    ) -> impl Future<Output = Result<ValidatedToken, ValidationError>> + Send;

    /// Returns the issuers whose tokens it validates, for `authorization_servers` in the metadata of RFC 9728.
    ///
    /// Default: none.
    fn issuers(&self) -> Vec<Issuer> {
        Vec::new()
    }

    /// Tells whether callers who present this same token at the same time may share one call, which then goes on when
    /// they leave. Right where a call is dear and an answer some milliseconds old is as good as a new one.
    ///
    /// A shared call is ended after a minute, since nobody who waits could end it; put a shorter deadline around yours.
    ///
    /// Default: no.
    fn shares_calls(&self, token: &AccessToken) -> bool {
        let _ = token;
        false
    }
}

/// A validator that is shared is a validator.
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

    fn shares_calls(&self, token: &AccessToken) -> bool {
        V::shares_calls(self, token)
    }
}

/// [`TokenValidator`] made object-safe, so that layers need no type parameter for it.
pub(crate) trait ErasedValidator: Send + Sync {
    fn validate<'a>(
        &'a self,
        token: &'a AccessToken,
    ) -> BoxFuture<'a, Result<ValidatedToken, ValidationError>>;

    fn issuers(&self) -> Vec<Issuer>;

    fn shares_calls(&self, token: &AccessToken) -> bool;
}

impl<V: TokenValidator> ErasedValidator for V {
    fn validate<'a>(
        &'a self,
        token: &'a AccessToken,
    ) -> BoxFuture<'a, Result<ValidatedToken, ValidationError>> {
        Box::pin(TokenValidator::validate(self, token))
    }

    fn issuers(&self) -> Vec<Issuer> {
        TokenValidator::issuers(self)
    }

    fn shares_calls(&self, token: &AccessToken) -> bool {
        TokenValidator::shares_calls(self, token)
    }
}
