//! A service behind a layer, which records the requests that reach it, and assertions about its responses.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer, Service, ServiceExt as _, util::BoxCloneSyncService};
use tower_bearer::{
    JwtValidatorBuilder, RejectionReason, ResponseBody, ValidateTokenLayer, ValidatedToken, ValidationError,
    testing::{ParsedChallenge, TestAuthorizationServer, challenges},
};

use super::{ISSUER, RESOURCE, with_authorization};

/// A service behind a layer. Clones share the recorded requests.
#[derive(Clone)]
pub(crate) struct App {
    service: BoxCloneSyncService<Request<Full<Bytes>>, Response<Bytes>, Infallible>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request that reached the inner service.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) headers: HeaderMap,
    pub(crate) token: Option<ValidatedToken>,
}

/// Records each request it receives, with any body type.
#[derive(Clone)]
pub(crate) struct Recorder(Arc<Mutex<Vec<Seen>>>);

impl<B> Service<Request<B>> for Recorder {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let token = request.extensions().get::<ValidatedToken>().cloned();
        self.0.lock().unwrap().push(Seen { headers: request.headers().clone(), token });
        ready(Ok(Response::new(Full::new(Bytes::from_static(b"orders")))))
    }
}

/// A response whose body has been read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) challenges: Vec<ParsedChallenge>,
    /// The reason, if the response is a refusal.
    pub(crate) reason: Option<ValidationError>,
    /// Number of calls of the inner service for this request.
    pub(crate) calls: usize,
}

impl App {
    pub(crate) fn new<L>(layer: L) -> Self
    where
        L: Layer<Recorder>,
        L::Service: Service<
                Request<Full<Bytes>>,
                Response = Response<ResponseBody<Full<Bytes>>>,
                Error = Infallible,
                Future: Send,
            > + Clone
            + Send
            + Sync
            + 'static,
    {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let inner = Recorder(Arc::clone(&seen));
        let service =
            layer.layer(inner).and_then(|response: Response<ResponseBody<Full<Bytes>>>| async move {
                let (parts, body) = response.into_parts();
                Ok(Response::from_parts(parts, body.collect().await.unwrap().to_bytes()))
            });
        Self { service: BoxCloneSyncService::new(service), seen }
    }

    /// Creates an app behind a layer with `grpc()`.
    pub(crate) fn grpc(layer: ValidateTokenLayer) -> Self {
        Self::new(layer.grpc())
    }

    /// Sends a request and reads the whole response.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let before = self.seen.lock().unwrap().len();
        let response = self.service.clone().oneshot(request).await.unwrap();
        let challenges = challenges(&response);
        let reason = response.extensions().get::<RejectionReason>().map(|reason| reason.error().clone());
        let (parts, body) = response.into_parts();
        let calls = self.seen.lock().unwrap().len() - before;
        Answer { status: parts.status, headers: parts.headers, body, challenges, reason, calls }
    }

    /// Sends a request with `Authorization: Bearer <token>`.
    pub(crate) async fn present(&self, token: &str) -> Answer {
        self.send(with_authorization(&format!("Bearer {token}"))).await
    }

    /// Returns the last request that reached the inner service.
    pub(crate) fn last_seen(&self) -> Seen {
        self.seen.lock().unwrap().last().cloned().expect("the inner service was called")
    }
}

impl Answer {
    /// Asserts `PASS`: the inner service responded.
    #[track_caller]
    pub(crate) fn assert_pass(&self) {
        assert_eq!((self.status, self.calls), (StatusCode::OK, 1), "{:?}", self.reason);
        assert_eq!(self.body, "orders");
    }

    /// Asserts a refusal with this status and, in its only challenge, this error. Also asserts that the inner service
    /// was not called and that the response must not be stored.
    #[track_caller]
    pub(crate) fn assert_refused(&self, status: StatusCode, error: Option<&str>) {
        assert_eq!((self.status, self.calls), (status, 0), "{:?}", self.reason);
        assert_eq!(self.headers["cache-control"], "no-store");
        assert!(self.reason.is_some(), "the refusal has no reason in its extensions");
        let errors: Vec<_> = self.challenges.iter().map(|challenge| challenge.param("error")).collect();
        let is_challenge = matches!(status.as_u16(), 400 | 401 | 403);
        let expected = if is_challenge { vec![error] } else { Vec::new() };
        assert_eq!(errors, expected, "{:?}", self.reason);
    }

    /// Asserts `IT`: 401 `invalid_token`.
    #[track_caller]
    pub(crate) fn assert_invalid_token(&self) {
        self.assert_refused(StatusCode::UNAUTHORIZED, Some("invalid_token"));
    }

    /// Asserts `IR`: 400 `invalid_request`.
    #[track_caller]
    pub(crate) fn assert_invalid_request(&self) {
        self.assert_refused(StatusCode::BAD_REQUEST, Some("invalid_request"));
    }

    /// Asserts `IS`: 403 `insufficient_scope` with exactly these scopes.
    #[track_caller]
    pub(crate) fn assert_insufficient_scope(&self, scope: &str) {
        self.assert_refused(StatusCode::FORBIDDEN, Some("insufficient_scope"));
        assert_eq!(self.challenges[0].param("scope"), Some(scope));
    }

    /// Asserts `C0`: 401 without any error.
    #[track_caller]
    pub(crate) fn assert_unauthorized(&self) {
        self.assert_refused(StatusCode::UNAUTHORIZED, None);
        assert_eq!(self.challenges[0].param("error_description"), None);
    }

    /// Asserts `UA`: 503 with `Retry-After` in seconds.
    #[track_caller]
    pub(crate) fn assert_unavailable(&self) {
        self.assert_refused(StatusCode::SERVICE_UNAVAILABLE, None);
        assert!(self.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    }

    /// Asserts `BG`: 502.
    #[track_caller]
    pub(crate) fn assert_bad_gateway(&self) {
        self.assert_refused(StatusCode::BAD_GATEWAY, None);
    }

    /// Asserts the exact text of the only challenge.
    #[track_caller]
    pub(crate) fn assert_challenge(&self, expected: &str) {
        assert_eq!(self.headers.get_all("www-authenticate").iter().collect::<Vec<_>>(), [expected]);
    }

    /// Asserts `CF`: 500.
    #[track_caller]
    pub(crate) fn assert_internal(&self) {
        self.assert_refused(StatusCode::INTERNAL_SERVER_ERROR, None);
    }
}

/// Asserts the error that caused a refusal.
macro_rules! assert_reason {
    ($answer:expr, $pattern:pat $(if $guard:expr)?) => {
        match &$answer.reason {
            Some($pattern) $(if $guard)? => {}
            other => panic!("refused for {other:?}, expected {}", stringify!($pattern $(if $guard)?)),
        }
    };
}
pub(crate) use assert_reason;

/// Returns an authorization server and an app that requires its tokens. The app has already fetched the keys, so that
/// a token is refused only for what the test changes in it.
pub(crate) async fn server_and_app() -> (TestAuthorizationServer, App) {
    let authority = TestAuthorizationServer::new(ISSUER);
    let app = App::new(authority.resource_server(RESOURCE).require_token());
    app.present(&authority.token().sign()).await.assert_pass();
    (authority, app)
}

/// Like [`server_and_app`], with a configured validator.
pub(crate) async fn server_and_app_with(
    configure: impl FnOnce(JwtValidatorBuilder) -> JwtValidatorBuilder,
) -> (TestAuthorizationServer, App) {
    let authority = TestAuthorizationServer::new(ISSUER);
    let app = app_with(&authority, configure);
    app.present(&authority.token().sign()).await.assert_pass();
    (authority, app)
}

/// Returns an app that requires tokens of this server, with a configured validator.
pub(crate) fn app_with(
    authority: &TestAuthorizationServer,
    configure: impl FnOnce(JwtValidatorBuilder) -> JwtValidatorBuilder,
) -> App {
    let validator = configure(authority.jwt_validator(RESOURCE)).build().unwrap();
    App::new(authority.resource_server_with(validator).build().unwrap().require_token())
}

/// Asserts `IT` with a reason that matches the pattern.
macro_rules! assert_invalid {
    ($answer:expr, $reason:pat $(if $guard:expr)? $(,)?) => {
        assert_invalid!($answer, $reason $(if $guard)?, "")
    };
    ($answer:expr, $reason:pat $(if $guard:expr)?, $($context:tt)+) => {{
        let answer = &$answer;
        let context = format!($($context)+);
        assert!(
            matches!(answer.reason.as_ref(), Some($reason) $(if $guard)?),
            "{context}: {:?} instead of {}",
            answer.reason,
            stringify!($reason)
        );
        answer.assert_invalid_token();
    }};
}
pub(crate) use assert_invalid;
