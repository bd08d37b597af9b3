//! Calls the introspection endpoint: [`EndpointClient`].

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use url::Url;

use super::{
    ResourceServerCredential, failure::CallFailure, location::EndpointLocation,
    request::introspection_request, status::check_status,
};
use crate::{
    AccessToken, Clock, HttpClient,
    http_client::fetch::{FetchError, send},
};

/// Maximum length of a response, in bytes.
const MAX_RESPONSE_LEN: usize = 256 * 1024;

/// Maximum number of concurrent calls. Further calls fail immediately. With the default timeout of 3 seconds, a server
/// that does not respond receives about 80 calls per second.
pub(super) const MAX_CALLS: usize = 256;

/// Calls the introspection endpoint with a deadline and a limit on concurrent calls.
pub(super) struct EndpointClient {
    pub(super) location: Arc<EndpointLocation>,
    pub(super) credential: ResourceServerCredential,
    client: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
    timeout: Duration,
    token_type_hint: bool,
    calls: Semaphore,
}

/// A response with status 200 and JSON.
pub(super) struct Answer {
    pub(super) body: Bytes,
    /// When the request was sent, on the monotonic clock. The answer may be as old as this.
    pub(super) asked: Duration,
}

impl EndpointClient {
    pub(super) fn new(
        location: Arc<EndpointLocation>,
        credential: ResourceServerCredential,
        client: Arc<dyn HttpClient>,
        clock: Arc<dyn Clock>,
        timeout: Duration,
        token_type_hint: bool,
    ) -> Self {
        let calls = Semaphore::new(MAX_CALLS);
        Self { location, credential, client, clock, timeout, token_type_hint, calls }
    }

    pub(super) fn calls_in_progress(&self) -> usize {
        MAX_CALLS.saturating_sub(self.calls.available_permits())
    }

    /// Introspects a token. The deadline includes discovery of the endpoint.
    pub(super) async fn ask(&self, token: &AccessToken) -> Result<Answer, CallFailure> {
        let Ok(_permit) = self.calls.try_acquire() else {
            return Err(CallFailure::TooManyCalls);
        };
        let deadline = Instant::now() + self.timeout;
        let endpoint = timeout_at(deadline, self.location.find()).await.unwrap_or_else(|_| {
            Err(FetchError::NoResponse(format!("no metadata within {:?}", self.timeout)))
        })?;
        let answer = timeout_at(deadline, self.ask_at(&endpoint, token)).await.unwrap_or_else(|_| {
            Err(no_response(&endpoint, format_args!("no response within {:?}", self.timeout)))
        });
        if answer.as_ref().is_err_and(CallFailure::may_have_moved) {
            self.location.record_possible_move();
        }
        answer
    }

    async fn ask_at(&self, endpoint: &Url, token: &AccessToken) -> Result<Answer, CallFailure> {
        let request = introspection_request(endpoint, token, &self.credential, self.token_type_hint)
            .map_err(|error| no_response(endpoint, error))?;
        let asked = self.clock.monotonic();
        let response = send(&*self.client, request, MAX_RESPONSE_LEN, self.timeout).await;
        let response = response.map_err(|error| match error.is_body_too_long() {
            true => CallFailure::malformed(error.to_string()),
            false => no_response(endpoint, error),
        })?;
        check_status(endpoint, &response)?;
        Ok(Answer { body: response.into_body(), asked })
    }
}

fn no_response(endpoint: &Url, error: impl fmt::Display) -> CallFailure {
    CallFailure::NoResponse { reason: format!("POST {endpoint}: {error}") }
}
