//! Validates a token by introspection, step by step: [`Introspection`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    call::{Answer, EndpointClient},
    failure::CallFailure,
    inactive_cache::InactiveCache,
    outage_log::OutageLog,
    response::{self, IntrospectionPolicy},
    source_state::CallRecord,
};
use crate::{AccessToken, ClaimsSet, Clock, Issuer, ValidatedToken, ValidationError, token::Reuse};

/// The settings and state of a validator.
pub(super) struct Introspection {
    pub(super) issuer: Issuer,
    pub(super) endpoint: EndpointClient,
    pub(super) policy: IntrospectionPolicy,
    /// How long a positive result may be reused.
    pub(super) ttl: Duration,
    pub(super) inactive: InactiveCache,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) outages: OutageLog,
    pub(super) calls: CallRecord,
    /// Whether the warning about responses without `aud` was logged.
    pub(super) has_logged_audience: AtomicBool,
}

impl Introspection {
    pub(super) async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        let hash = self.inactive.hash(token);
        if self.inactive.contains(hash) {
            return Err(ValidationError::Inactive);
        }
        let began = self.clock.monotonic();
        let verdict = self.endpoint.ask(token).await.and_then(|answer| self.parse(&answer));
        self.outages.report(verdict.as_ref().err());
        self.record(began, verdict.as_ref().err());
        let (asked, claims) = verdict.map_err(|failure| failure.to_error(&self.issuer))?;
        let Some(claims) = claims else {
            self.inactive.insert(hash, asked);
            return Err(ValidationError::Inactive);
        };
        let expired_from = self.policy.check(&claims, self.clock.now()).inspect_err(|error| {
            if matches!(error, ValidationError::AudienceMismatch { found: 0, .. }) {
                self.log_missing_audience();
            }
        })?;
        Ok(ValidatedToken::introspected(claims, expired_from, self.reuse(asked)))
    }

    /// Parses an answer. Returns when the request was sent, and the claims if the token is active.
    fn parse(&self, answer: &Answer) -> Result<(Duration, Option<ClaimsSet>), CallFailure> {
        let claims =
            response::parse(&answer.body, &self.policy.scope_sources).map_err(CallFailure::malformed)?;
        Ok((answer.asked, claims))
    }

    /// Returns how long a verdict may be reused. The time starts when the request was sent, because the answer may not
    /// include a revocation after that.
    fn reuse(&self, asked: Duration) -> Reuse {
        let age = self.clock.monotonic().saturating_sub(asked);
        match self.ttl.saturating_sub(age) {
            Duration::ZERO => Reuse::Never,
            left => Reuse::For(left),
        }
    }

    /// Logs a warning that names the setting for responses without `aud`, only once, because every response may lack
    /// it.
    fn log_missing_audience(&self) {
        if !self.has_logged_audience.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                issuer = %self.issuer,
                "introspection response without aud refused; if the authorization server answers only about tokens for \
                 this resource server, call dangerously_allow_missing_audience()"
            );
        }
    }
}
