//! Refuses requests: the cause, the rejection and the response.
//!
//! 1. A [`ValidationError`] is the cause, for operators.
//! 2. A [`Rejection`] is one of ten kinds of responses.
//! 3. A [`Refusal`] contains both and the settings of the layer, and creates the response: over HTTP a status, a
//!    challenge and a body; over gRPC a trailers-only status.
//!
//! # Logs
//! Every refusal is logged once, when its response is created. The level is `debug`, because anyone can cause refusals.
//! It is `error` for a bug in the service: a handler without a layer, or a validator that panicked. Outages of an
//! authorization server and a refused introspection credential are logged at `warn` or `error` where they are detected.
//! Each line has the cause, the method and the path. Log lines never contain a token or a subject.
//!
//! The target `tower_bearer::audit` has an `info` line for each 403 that asks a client to get more scopes, and a `debug` line
//! for each request that is admitted with scopes. Both have the required scopes as `rule`.

mod body;
mod challenge;
mod claim_error;
mod custom_errors;
mod error_info;
mod excerpt;
mod grpc;
mod http;
mod rejection;
mod request_kind;
mod request_summary;
mod validation_error;

use std::{fmt, sync::Arc};

use ::http::{HeaderValue, Method, Response, Uri, header::CACHE_CONTROL};
use bytes::Bytes;

pub use self::{
    body::RejectionBody,
    challenge::Challenge,
    claim_error::ClaimError,
    excerpt::Excerpt,
    rejection::{ErrorCode, Rejection, RejectionReason},
    validation_error::ValidationError,
};
pub(crate) use self::{
    body::{WriteBody, json_body},
    challenge::{ChallengeSettings, is_error_uri, is_quotable, nameable},
    custom_errors::DEFAULT_RETRY_AFTER,
    grpc::GrpcEnd,
    request_kind::RequestKind,
    request_summary::RequestSummary,
};
use crate::{Event, Scope, observer::Observation};

/// The log target for 403s that ask for more scopes, and for requests that are admitted with scopes.
pub(crate) const AUDIT: &str = "tower_bearer::audit";

/// A refused request, with everything that its response contains.
///
/// Layers, extractors and [`ValidatedToken::require`](crate::ValidatedToken::require) create refusals. The response has
/// the same challenge and body in all cases:
///
/// * any `http` service: [`into_http`](Self::into_http);
/// * axum (feature `axum`): it implements `IntoResponse`;
/// * tonic (feature `tonic`): it converts into a `tonic::Status`.
///
/// `Display` shows the cause, which is for operators. It may contain the issuer and times in the token, so do not send
/// it to the client.
#[derive(Clone)]
#[must_use = "a refusal has no effect until it is returned as a response"]
pub struct Refusal(Box<Parts>);

#[derive(Clone)]
struct Parts {
    reason: RejectionReason,
    rejection: Rejection,
    settings: Arc<RefusalSettings>,
    scopes: Vec<Scope>,
    kind: RequestKind,
    /// `None` for a token that passed no layer.
    request: Option<RequestSummary>,
}

impl Refusal {
    /// Creates a refusal. `scopes` are the scopes in the challenge.
    pub(crate) fn new(
        error: ValidationError,
        settings: &Arc<RefusalSettings>,
        scopes: &[Scope],
        request: Option<RequestSummary>,
    ) -> Self {
        let rejection = Rejection::from(&error);
        let scopes = if rejection.is_challenge() { nameable(scopes.iter().cloned()) } else { Vec::new() };
        Self(Box::new(Parts {
            reason: RejectionReason::new(error),
            rejection,
            settings: Arc::clone(settings),
            scopes,
            kind: request.as_ref().map(|request| request.kind).unwrap_or_default(),
            request,
        }))
    }

    /// Creates a refusal for a request that passed no layer.
    pub(crate) fn without_layer(error: ValidationError, request: Option<RequestSummary>) -> Self {
        let scopes = match &error {
            ValidationError::InsufficientScope { required, .. } => required.named().to_vec(),
            _ => Vec::new(),
        };
        Self::new(error, &Arc::new(RefusalSettings::default()), &scopes, request)
    }

    /// Returns the cause, for operators.
    pub fn error(&self) -> &ValidationError {
        self.0.reason.error()
    }

    /// Returns the rejection, which determines the status and the `error` of the challenge.
    pub fn rejection(&self) -> Rejection {
        self.0.rejection
    }

    /// Returns the scopes in the challenge. Empty if there is no challenge.
    pub fn scopes(&self) -> &[Scope] {
        &self.0.scopes
    }

    /// Returns the method of the request. `None` if the token passed no layer, as in a test of a handler.
    pub fn method(&self) -> Option<&Method> {
        self.0.request.as_ref().map(|request| &request.method)
    }

    /// Returns the URI of the request. `None` if the token passed no layer, as in a test of a handler.
    ///
    /// With the feature `axum`, it includes the prefix that `Router::nest` removes (`OriginalUri` in axum). Other routers and
    /// proxies in front may have changed it.
    pub fn uri(&self) -> Option<&Uri> {
        self.0.request.as_ref().map(|request| &request.uri)
    }

    /// Returns the value of `WWW-Authenticate`, or `None` if the rejection has no challenge.
    pub fn challenge(&self) -> Option<HeaderValue> {
        self.challenge_naming(&self.0.scopes)
    }

    fn challenge_naming(&self, scopes: &[Scope]) -> Option<HeaderValue> {
        if !self.0.rejection.is_challenge() {
            return None;
        }
        let mut challenge = Challenge::new(&self.0.settings).scope(scopes.iter().cloned());
        if let ValidationError::InsufficientUserAuthentication { acr_values, max_age, .. } = self.error() {
            challenge = challenge.authentication(acr_values, *max_age);
        }
        Some(match self.0.rejection.error_code() {
            Some(code) => challenge.error(code).to_header_value(),
            None => challenge.to_header_value(),
        })
    }

    /// Creates the HTTP response, logs the refusal and reports it to the observer.
    ///
    /// A gRPC call behind a layer with [`grpc()`](crate::ValidateTokenLayer::grpc) is answered with HTTP 200 and a
    /// `grpc-status`. Any other request is answered with the HTTP status of [`rejection`](Self::rejection).
    pub fn into_http(self) -> Response<Bytes> {
        self.report();
        let mut response = if self.0.kind.is_grpc() { grpc::write(&self) } else { http::write(&self) };
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.extensions_mut().insert(self.0.reason);
        response
    }

    /// Reports that the request is answered with this refusal.
    pub(crate) fn report(&self) {
        self.log();
        let (rejection, error) = (self.rejection(), self.error().kind());
        let (status, error_code) = (rejection.status(), rejection.error_code().map(ErrorCode::as_str));
        self.0.settings.observation.notify(&Event::RequestRefused { status, error_code, error });
    }

    /// Logs the cause. Failures of other services are logged at a higher level where they are detected.
    fn log(&self) {
        let status = self.rejection().status().as_u16();
        if let ValidationError::InsufficientScope { required, .. } = self.error() {
            tracing::info!(target: AUDIT, rule = ?required.to_string(), "token lacks scopes, client asked to get more");
        }
        let method = self.method();
        let path = || self.uri().map(|uri| Excerpt::new(uri.path()));
        match self.error() {
            error @ (ValidationError::Internal { .. } | ValidationError::NoLayer) => {
                tracing::error!(status, ?method, path = ?path(), %error, "request refused");
            }
            error => tracing::debug!(status, ?method, path = ?path(), %error, "request refused"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error().fmt(f)
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("rejection", &self.0.rejection)
            .field("error", self.error())
            .field("scopes", &self.0.scopes)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.error())
    }
}

/// The settings for all refusals of a resource server.
pub(crate) struct RefusalSettings {
    pub(crate) challenge: ChallengeSettings,
    pub(crate) write_body: Box<WriteBody>,
    /// Whether malformed gRPC requests are answered with 3 `INVALID_ARGUMENT`.
    pub(crate) grpc_invalid_argument: bool,
    pub(crate) observation: Observation,
}

impl Default for RefusalSettings {
    fn default() -> Self {
        Self {
            challenge: ChallengeSettings::default(),
            write_body: Box::new(json_body),
            grpc_invalid_argument: false,
            observation: Observation::default(),
        }
    }
}

impl fmt::Debug for RefusalSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefusalSettings").field("challenge", &self.challenge).finish_non_exhaustive()
    }
}

/// Returns up to 3 seconds, so that clients refused during an outage do not all retry at the same time.
fn jitter() -> u64 {
    const MAX_JITTER: u8 = 3;
    let mut byte = [0];
    // Without random bytes there is no jitter, and the response is still correct.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    u64::from(byte[0] % (MAX_JITTER + 1))
}
