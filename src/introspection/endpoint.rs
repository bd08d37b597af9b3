//! The introspection endpoint: asked, and its answers told apart.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::Semaphore;
use url::Url;

use super::{
    ResourceServerCredential,
    inactive_cache::InactiveCache,
    request::introspection_request,
    response::{self, IntrospectionPolicy},
};
use crate::{
    AccessToken, Clock, HttpClient, Issuer, ValidatedToken, ValidationError,
    authorization_server::{CheckedAuthorizationServer, metadata::ServerMetadata},
    http_client::fetch::{FetchError, send_within},
    refusal::DEFAULT_RETRY_AFTER,
    single_flight::{FlightError, SingleFlight},
    token::Reuse,
};

/// Longest answer read, in bytes.
const MAX_ANSWER_LEN: usize = 256 * 1024;

/// Most calls at once; one more is answered 503. At the default timeout of 3 seconds a server that hangs is asked some
/// 80 times a second, and no caller waits in a queue.
pub(super) const MAX_CALLS: usize = 256;

/// Longest `Retry-After` of the authorization server that is passed on.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Time between two searches in vain: every new token would start one.
const SEARCH_PAUSE: Duration = Duration::from_secs(1);

/// Time for which an endpoint counts as found, whatever it answers: a token may drive a firewall before it to a 404.
const LOCATION_COOL_DOWN: Duration = Duration::from_secs(10);

/// Where the endpoint is, as far as metadata has said.
#[derive(Default)]
pub(super) enum Located {
    #[default]
    Nowhere,
    At {
        url: Url,
        /// When it was found, on the monotonic clock.
        since: Duration,
    },
    NotFound {
        error: FetchError,
        /// When it is worth another search, on the monotonic clock.
        until: Duration,
    },
}

/// The endpoint, and all that is known of it.
pub(super) struct Introspection {
    pub(super) server: CheckedAuthorizationServer,
    pub(super) credential: ResourceServerCredential,
    pub(super) client: Arc<dyn HttpClient>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) policy: IntrospectionPolicy,
    pub(super) ttl: Duration,
    pub(super) timeout: Duration,
    pub(super) token_type_hint: bool,
    pub(super) inactive: InactiveCache,
    pub(super) calls: Semaphore,
    /// Whether the last call brought no verdict.
    pub(super) in_trouble: AtomicBool,
    /// Whether the log has said what to do about answers without `aud`.
    pub(super) said_audience: AtomicBool,
    /// What metadata said of where the endpoint is. Held for a look only, never while waiting.
    pub(super) located: Mutex<Located>,
    /// The search for it, if one is under way.
    pub(super) discovery: Arc<SingleFlight<(), Result<Url, FetchError>>>,
}

impl Introspection {
    pub(super) async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        let hash = self.inactive.hash(token);
        if self.inactive.contains(hash) {
            return Err(ValidationError::Inactive);
        }
        let answer = tokio::time::timeout(self.timeout, self.ask(token))
            .await
            .unwrap_or_else(|_| Err(self.unavailable(format!("no answer within {:?}", self.timeout))));
        let verdict = answer.and_then(|body| self.judge(&body));
        match &verdict {
            Err(ValidationError::Inactive) => self.inactive.insert(hash),
            Err(ValidationError::AudienceMismatch { found: 0, .. }) => self.say_audience(),
            _ => {}
        }
        self.report(verdict.as_ref().err());
        verdict
    }

    /// Says once what can be done about answers without `aud`, which may come with every token.
    fn say_audience(&self) {
        if !self.said_audience.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                issuer = %self.server.issuer,
                "introspection answer without aud refused; if the authorization server answers only for tokens of this \
                 resource server, say so with allow_missing_audience()"
            );
        }
    }

    /// Says once when the authorization server gives no verdict any more, and once when it does again: during an outage
    /// every request would say the same.
    fn report(&self, error: Option<&ValidationError>) {
        let issuer = &self.server.issuer;
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
    async fn ask(&self, token: &AccessToken) -> Result<Bytes, ValidationError> {
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
        response: &http::Response<Bytes>,
    ) -> ValidationError {
        let issuer = self.server.issuer.as_str().into();
        match status.as_u16() {
            429 | 500..=599 => ValidationError::IntrospectionUnavailable {
                issuer,
                reason: format!("POST {endpoint}: status {}", status.as_u16()).into(),
                retry_after: response::retry_after(response)
                    .unwrap_or(DEFAULT_RETRY_AFTER)
                    .min(MAX_RETRY_AFTER),
            },
            401 | 403 | 404 | 405 => {
                if matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) {
                    // It may have moved: metadata will say.
                    self.forget_location();
                }
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
        if let Some(given) = &self.server.introspection_endpoint {
            return Ok(given.clone());
        }
        match &*self.located() {
            Located::At { url, .. } => return Ok(url.clone()),
            Located::NotFound { error, until } if self.clock.monotonic() < *until => {
                return Err(self.unavailable(error.to_string()));
            }
            Located::NotFound { .. } | Located::Nowhere => {}
        }
        let discovery = || {
            let (client, issuer, timeout) =
                (Arc::clone(&self.client), self.server.issuer.clone(), self.timeout);
            async move { discover(&*client, &issuer, timeout).await }
        };
        let found = match self.discovery.run((), discovery).await {
            Ok(found) => found,
            Err(FlightError::Full | FlightError::Lost) => {
                Err(FetchError::Unusable("discovery was lost".into()))
            }
        };
        let now = self.clock.monotonic();
        *self.located() = match &found {
            Ok(url) => Located::At { url: url.clone(), since: now },
            Err(error @ FetchError::Unusable(_)) => {
                Located::NotFound { error: error.clone(), until: now.saturating_add(SEARCH_PAUSE) }
            }
            // Who is down is not burdened by being asked, and is found as soon as it is back.
            Err(FetchError::NoAnswer(_)) => Located::Nowhere,
        };
        found.map_err(|error| self.unavailable(error.to_string()))
    }

    /// Forgets where the endpoint is, if it was not found there just now.
    fn forget_location(&self) {
        let mut located = self.located();
        if let Located::At { since, .. } = &*located
            && self.clock.monotonic().saturating_sub(*since) >= LOCATION_COOL_DOWN
        {
            *located = Located::Nowhere;
        }
    }

    fn located(&self) -> MutexGuard<'_, Located> {
        // Whole after each statement, so a panic elsewhere spoils nothing.
        self.located.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unavailable(&self, reason: String) -> ValidationError {
        ValidationError::IntrospectionUnavailable {
            issuer: self.server.issuer.as_str().into(),
            reason: reason.into(),
            retry_after: DEFAULT_RETRY_AFTER,
        }
    }

    fn malformed(&self, reason: &str) -> ValidationError {
        ValidationError::IntrospectionMalformed {
            issuer: self.server.issuer.as_str().into(),
            reason: reason.into(),
        }
    }
}

async fn discover(client: &dyn HttpClient, issuer: &Issuer, timeout: Duration) -> Result<Url, FetchError> {
    ServerMetadata::fetch(client, issuer, timeout).await?.introspection_endpoint
}
