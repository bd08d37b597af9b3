//! Validates tokens by introspection: [`IntrospectionValidator`] (RFC 7662).
//!
//! Use it for opaque tokens, and for JWTs whose revocation must take effect soon. The layer reuses a positive result
//! for at most [`cache_ttl`](IntrospectionValidatorBuilder::cache_ttl), and never after `exp`. Concurrent requests with
//! the same new token share one call, which goes on if a client disconnects.
//!
//! | the authorization server | the client gets |
//! |---|---|
//! | answers `active: false` | 401 `invalid_token` |
//! | cannot be reached, does not answer in time, or answers 5xx or 429 | 503, not cached |
//! | sends something that is not an introspection response | 502, not cached |
//! | answers 401, 403, 404 or 405 | 500, not cached |
//!
//! # Finding the endpoint
//!
//! With [`AuthorizationServer::discover`], the first request fetches the metadata. The URL stays in use until a new one
//! is found. The metadata is fetched again in the background after a day, or if the endpoint does not respond or
//! answers 404 or 405, but at most every 10 seconds. Requests do not wait for it. While no URL is known, there is a
//! pause of one second after a failed search. There is no pause after the first two searches that get no response, so
//! that a restarting server is found at once.
//!
//! # Logs
//!
//! Changes of state are logged, not every request: `error` if the server refuses the request, `warn` if it does not
//! respond or sends an invalid response, `info` when it works again. Each state is logged at most once a minute,
//! because a client can cause some of them with a token that a firewall refuses.
//!
//! # Limits
//!
//! At most 256 calls run at once. Further requests are answered with 503. The maximum length of a response is 256 KiB.
//!
//! **Not checked**: whether the token is for this resource server, if the response has no `aud` and
//! [`dangerously_allow_missing_audience`](IntrospectionValidatorBuilder::dangerously_allow_missing_audience) is set.
//! The layer checks the scopes for each route.
//!
//! ```
//! use std::time::Duration;
//! use tower_bearer::{AuthorizationServer, IntrospectionValidator, ResourceServerCredential};
//!
//! # #[cfg(feature = "reqwest")]
//! # fn main() -> Result<(), tower_bearer::ConfigError> {
//! let authorization_server = AuthorizationServer::discover("https://as.example.com");
//! // The credential of this resource server, registered at the authorization server.
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
mod source_state;
mod status;
mod validation;

use std::{fmt, sync::Arc};

use self::validation::Introspection;
pub use self::{builder::IntrospectionValidatorBuilder, credential::ResourceServerCredential};
use crate::{
    AccessToken, Audience, AuthorizationServer, Dependency, Issuer, TokenValidator, ValidatedToken,
    ValidationError,
    validator::{BuiltIn, Private},
};

/// Validates access tokens by introspection at the authorization server (RFC 7662).
///
/// Cloning is cheap, and clones share their state. See the [module documentation](self) for responses, logs and limits.
#[derive(Clone)]
pub struct IntrospectionValidator(Arc<Introspection>);

impl IntrospectionValidator {
    /// Creates a builder from the authorization server, the credential and the audience.
    ///
    /// The credential is that of this resource server at the introspection endpoint (RFC 7662 section 2.1). Tokens are
    /// accepted if they are for the audience (RFC 9700 section 2.3). All settings are checked in
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

    /// Returns false if results are not reused, because a shared answer may be older than the request.
    fn shares_calls(&self, _: &AccessToken) -> bool {
        !self.0.ttl.is_zero()
    }

    fn dependencies(&self) -> Vec<Dependency> {
        vec![Dependency::new(Arc::<Introspection>::clone(&self.0))]
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
