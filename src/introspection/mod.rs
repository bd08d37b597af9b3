//! Validates tokens by asking the authorization server: [`IntrospectionValidator`] (RFC 7662).
//!
//! For opaque tokens, and for JWTs whose revocation must take effect soon. The layer reuses a good verdict for at most the
//! [`cache_ttl`](IntrospectionValidatorBuilder::cache_ttl), and never beyond `exp`. Concurrent requests with the same new
//! token share one call, which goes on if their callers leave.
//!
//! | the authorization server | the caller gets |
//! |---|---|
//! | answers `active: false` | 401 `invalid_token` |
//! | cannot be reached, does not answer in time, or answers 5xx or 429 | 503, nothing is remembered |
//! | sends something that is not an introspection response | 502, nothing is remembered |
//! | answers 401, 403, 404 or 405 | 500, nothing is remembered |
//!
//! # Finding the endpoint
//!
//! With [`AuthorizationServer::discover`] the first request reads the metadata. The URL is kept until another one is found.
//! The metadata is read again after a day, and if the endpoint does not respond or answers 404 or 405, but at most every 10
//! seconds; requests do not wait for it. While no URL is known, a failed search is repeated after one second at the
//! earliest. The first two searches without a response are not followed by this pause, so that a server that restarts is
//! found at once.
//!
//! # Logs
//!
//! A change of state is logged, not every request: `error` if the server refuses us, `warn` if it does not answer or makes
//! no sense, `info` when it works again. Each of these is logged at most once a minute, since a caller may cause some of
//! them with a token that a firewall does not like.
//!
//! # Limits
//!
//! At most 256 calls run at once; a request that needs one more is answered 503. A response is read up to 256 KiB.
//!
//! **Not checked**: whether the token is for this resource server, if the response has no `aud` and
//! [`dangerously_allow_missing_audience`](IntrospectionValidatorBuilder::dangerously_allow_missing_audience) is set.
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
mod call;
mod credential;
mod failure;
mod inactive_cache;
mod location;
mod outage_log;
mod request;
mod response;
mod status;
mod validation;

use std::{fmt, sync::Arc};

use self::validation::Introspection;
pub use self::{builder::IntrospectionValidatorBuilder, credential::ResourceServerCredential};
use crate::{
    AccessToken, Audience, AuthorizationServer, Issuer, TokenValidator, ValidatedToken, ValidationError,
    validator::{BuiltIn, Private},
};

/// Validates access tokens by asking the authorization server (RFC 7662). Clones are cheap and share their state.
#[derive(Clone)]
pub struct IntrospectionValidator(Arc<Introspection>);

impl IntrospectionValidator {
    /// Starts a configuration.
    ///
    /// Tokens of this authorization server are accepted if they are for this audience (RFC 9700 section 2.3). The credential
    /// is the one that this resource server has at the introspection endpoint (RFC 7662 section 2.1). Everything is checked in
    /// [`build`](IntrospectionValidatorBuilder::build).
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
        vec![self.0.issuer.clone()]
    }

    /// No, if every request is to be asked about: a shared answer may be older than the request.
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
            .field("server", &self.0.endpoint.location.server)
            .field("credential", &self.0.endpoint.credential)
            .field("policy", &self.0.policy)
            .field("ttl", &self.0.ttl)
            .finish_non_exhaustive()
    }
}
