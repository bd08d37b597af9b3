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
//! let authorization_server = AuthorizationServer::discover("https://as.example.com")?;
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
mod inactive_cache;
mod request;
mod response;

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::StatusCode;
use tokio::sync::Semaphore;
use url::Url;

pub use self::{builder::IntrospectionValidatorBuilder, credential::ResourceServerCredential};
use self::{inactive_cache::InactiveCache, request::introspection_request, response::IntrospectionPolicy};
use crate::{
    AccessToken, Audience, AuthorizationServer, Clock, HttpClient, Issuer, TokenValidator, ValidatedToken,
    ValidationError, authorization_server::metadata::ServerMetadata, error::DEFAULT_RETRY_AFTER,
    http_client::send_within, token::Reuse,
};

/// Longest answer read, in bytes.
const MAX_ANSWER_LEN: usize = 256 * 1024;

/// Most calls at once; one more is answered 503. At the default timeout of 3 seconds a server that hangs is asked some
/// 80 times a second, and no caller waits in a queue.
const MAX_CALLS: usize = 256;

/// Longest `Retry-After` of the authorization server that is passed on.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Validates access tokens by asking the authorization server. Free to clone.
#[derive(Clone)]
pub struct IntrospectionValidator(Arc<Introspection>);

struct Introspection {
    server: AuthorizationServer,
    credential: ResourceServerCredential,
    client: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
    policy: IntrospectionPolicy,
    ttl: Duration,
    timeout: Duration,
    token_type_hint: bool,
    inactive: InactiveCache,
    calls: Semaphore,
    /// Whether the last call brought no verdict.
    in_trouble: AtomicBool,
    /// Where metadata said that the endpoint is; forgotten when it answers that it is not there.
    discovered: Mutex<Option<Url>>,
}

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
        vec![self.0.server.issuer().clone()]
    }

    /// With a time to live of zero nothing is shared: an answer asked for before a revocation would outlive it.
    fn shares_calls(&self, _: &AccessToken) -> bool {
        !self.0.ttl.is_zero()
    }
}

impl Introspection {
    async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        let hash = self.inactive.hash(token);
        if self.inactive.contains(hash) {
            return Err(ValidationError::Inactive);
        }
        let answer = tokio::time::timeout(self.timeout, self.ask(token))
            .await
            .unwrap_or_else(|_| Err(self.unavailable(format!("no answer within {:?}", self.timeout))));
        let verdict = answer.and_then(|body| self.judge(&body));
        if let Err(ValidationError::Inactive) = &verdict {
            self.inactive.insert(hash);
        }
        self.report(verdict.as_ref().err());
        verdict
    }

    /// Says once when the authorization server gives no verdict any more, and once when it does again: during an outage
    /// every request would say the same.
    fn report(&self, error: Option<&ValidationError>) {
        let issuer = self.server.issuer();
        match error {
            Some(error @ ValidationError::IntrospectionRefused { .. }) => {
                if !self.in_trouble.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "no verdicts from the authorization server");
                }
            }
            Some(
                error @ (ValidationError::IntrospectionUnavailable { .. }
                | ValidationError::IntrospectionMalformed { .. }),
            ) => {
                if !self.in_trouble.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "no verdicts from the authorization server");
                }
            }
            _ => {
                if self.in_trouble.load(Ordering::Relaxed) && self.in_trouble.swap(false, Ordering::Relaxed) {
                    tracing::info!(%issuer, "verdicts from the authorization server again");
                }
            }
        }
    }

    /// Sends the question and returns the body of a 200 with JSON.
    async fn ask(&self, token: &AccessToken) -> Result<bytes::Bytes, ValidationError> {
        let Ok(_call) = self.calls.try_acquire() else {
            return Err(self.unavailable("too many calls under way".into()));
        };
        let endpoint = self.endpoint().await?;
        let request = introspection_request(&endpoint, token, &self.credential, self.token_type_hint)
            .map_err(|error| self.unavailable(error.to_string()))?;
        let response = send_within(&*self.client, request, MAX_ANSWER_LEN, self.timeout).await;
        let response = response.map_err(|error| match error.is_body_too_long() {
            true => self.malformed(&error.to_string()),
            false => self.unavailable(format!("POST {endpoint}: {error}")),
        })?;
        match response.status() {
            StatusCode::OK => response::check_is_json(&response).map_err(|reason| self.malformed(reason))?,
            status => return Err(self.error_status(&endpoint, status, &response)),
        }
        Ok(response.into_body())
    }

    // RFC 7662 section 2.3 and what is plain from the status: trouble over there, trouble with us, or nonsense.
    fn error_status(
        &self,
        endpoint: &Url,
        status: StatusCode,
        response: &http::Response<bytes::Bytes>,
    ) -> ValidationError {
        let issuer = self.server.issuer().as_str().into();
        match status.as_u16() {
            429 | 500..=599 => ValidationError::IntrospectionUnavailable {
                issuer,
                reason: format!("POST {endpoint}: status {}", status.as_u16()).into(),
                retry_after: response::retry_after(response)
                    .unwrap_or(DEFAULT_RETRY_AFTER)
                    .min(MAX_RETRY_AFTER),
            },
            401 | 403 | 404 | 405 => {
                // It may have moved: metadata will say.
                *self.discovered.lock().unwrap_or_else(PoisonError::into_inner) = None;
                ValidationError::IntrospectionRefused { issuer, status: status.as_u16() }
            }
            // A redirect is not followed: it would carry our credential and the token to an address nobody configured.
            300..=399 => self.malformed("a redirect, which is not followed"),
            // RFC 7662 section 2.2 has `active: false` for every odd token; some servers say 400 for our credential.
            400 => self.malformed("status 400, which may be about this resource server's credential"),
            _ => self.malformed("neither 200 nor a status that RFC 7662 knows"),
        }
    }

    /// Makes a verdict of the answer.
    fn judge(&self, body: &[u8]) -> Result<ValidatedToken, ValidationError> {
        let active =
            response::parse(body, self.policy.scope_array).map_err(|reason| self.malformed(&reason))?;
        let active = active.ok_or(ValidationError::Inactive)?;
        let expired_from = self.policy.check(&active, self.clock.now())?;
        let reuse = if self.ttl.is_zero() { Reuse::Never } else { Reuse::For(self.ttl) };
        Ok(ValidatedToken::introspected(active, expired_from, reuse))
    }

    /// Returns the endpoint: as configured, as metadata said before, or as it says now.
    async fn endpoint(&self) -> Result<Url, ValidationError> {
        let known = self.server.given_introspection_endpoint().cloned();
        let known = known.or_else(|| self.discovered.lock().unwrap_or_else(PoisonError::into_inner).clone());
        if let Some(url) = known {
            return Ok(url);
        }
        let metadata = ServerMetadata::fetch(&*self.client, self.server.issuer(), self.timeout)
            .await
            .map_err(|error| self.unavailable(error.to_string()))?;
        let url = metadata
            .introspection_endpoint
            .ok_or_else(|| self.unavailable("metadata without introspection_endpoint".into()))?;
        *self.discovered.lock().unwrap_or_else(PoisonError::into_inner) = Some(url.clone());
        Ok(url)
    }

    fn unavailable(&self, reason: String) -> ValidationError {
        ValidationError::IntrospectionUnavailable {
            issuer: self.server.issuer().as_str().into(),
            reason: reason.into(),
            retry_after: DEFAULT_RETRY_AFTER,
        }
    }

    fn malformed(&self, reason: &str) -> ValidationError {
        ValidationError::IntrospectionMalformed {
            issuer: self.server.issuer().as_str().into(),
            reason: reason.into(),
        }
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
