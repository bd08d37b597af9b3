//! Tokens that the authorization server is asked about: [`IntrospectionValidator`] (RFC 7662).
//!
//! For opaque tokens, and for JWTs whose revocation must count at once. Good verdicts are remembered by the layer for at
//! most the [time to live](IntrospectionValidatorBuilder::cache_ttl), never past `exp`; many who present the same new
//! token at the same time cause one call, which goes on when they leave.
//!
//! | the server | the caller gets |
//! |---|---|
//! | says `active: false` | 401 `invalid_token` |
//! | is out of reach, or answers 5xx or 429 | 503; nothing is remembered |
//! | answers what is no introspection response | 502; nothing is remembered |
//! | refuses our credential (401, 403, 404, 405) | 500, and an error in the log |
//!
//! **Not checked**: that the token was meant for this resource server where the answer has no `aud` and you said that the
//! authorization server checks it ([`allow_missing_audience`](IntrospectionValidatorBuilder::allow_missing_audience)).
//!
//! ```
//! use std::time::Duration;
//! use tower_bearer::{AuthorizationServer, IntrospectionValidator, ResourceServerCredential};
//!
//! # #[cfg(feature = "reqwest")]
//! # fn main() -> Result<(), tower_bearer::ConfigError> {
//! let authorization_server = AuthorizationServer::discover("https://as.example.com");
//! // The credential of this resource server itself, registered for it at the authorization server.
//! let credential = ResourceServerCredential::secret_basic("orders", "s3cret");
//! let validator = IntrospectionValidator::builder(authorization_server, credential, "https://orders.example.com")
//!     .cache_ttl(Duration::from_secs(30))
//!     .build()?;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "reqwest"))]
//! # fn main() {}
//! ```

mod builder;
mod credential;
mod endpoint;
mod inactive_cache;
mod request;
mod response;

use std::{fmt, sync::Arc};

use self::endpoint::Introspection;
pub use self::{builder::IntrospectionValidatorBuilder, credential::ResourceServerCredential};
use crate::{
    AccessToken, Audience, AuthorizationServer, Issuer, TokenValidator, ValidatedToken, ValidationError,
    validator::{BuiltIn, Private},
};

/// Validates access tokens by asking the authorization server. Free to clone.
#[derive(Clone)]
pub struct IntrospectionValidator(Arc<Introspection>);

impl IntrospectionValidator {
    /// Starts a configuration: whom to ask, with which credential of ours, and for whom tokens must be.
    pub fn builder(
        authorization_server: AuthorizationServer,
        credential: ResourceServerCredential,
        audience: impl Into<Audience>,
    ) -> IntrospectionValidatorBuilder {
        IntrospectionValidatorBuilder::new(authorization_server, credential, audience.into())
    }
}

impl TokenValidator for IntrospectionValidator {
    async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        self.0.validate(token).await
    }

    fn issuers(&self) -> Vec<Issuer> {
        vec![self.0.server.issuer.clone()]
    }

    /// With a time to live of zero nothing is shared: an answer asked for before a revocation would outlive it.
    fn shares_calls(&self, _: &AccessToken) -> bool {
        !self.0.ttl.is_zero()
    }

    fn __built_in(&self, _: Private) -> Option<BuiltIn> {
        Some(BuiltIn::default())
    }
}

impl fmt::Debug for IntrospectionValidator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionValidator")
            .field("server", &self.0.server)
            .field("credential", &self.0.credential)
            .field("policy", &self.0.policy)
            .field("ttl", &self.0.ttl)
            .finish_non_exhaustive()
    }
}
