//! Proves what refusals look like over HTTP (RFC 9110), with CORS and over gRPC.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tower::{Layer as _, ServiceBuilder, ServiceExt as _};
use tower_bearer::{
    AccessToken, ClaimsSet, GrpcRequestBody, ProtectedResourceMetadata, Refusal, Rejection, RejectionBody,
    RejectionReason, ResourceServer, ResourceServerBuilder, Scope, ScopeRequirement, TokenValidator,
    ValidateTokenLayer, ValidatedToken, ValidationError,
    testing::{TestAuthorizationServer, bearer, challenges},
};
use tower_http::cors::{Any, CorsLayer};

use crate::support::{
    Answer, App, ISSUER, METADATA_URL, READ, RESOURCE, UnreadBody, WRITE, plain, with_authorization,
    with_authorizations,
};

/// Every outcome that is a refusal, with the codes of `docs/requirements.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    C0,
    It,
    Ir,
    Is,
    Ua,
    Bg,
    Cf,
}

const OUTCOMES: [Outcome; 7] =
    [Outcome::C0, Outcome::It, Outcome::Ir, Outcome::Is, Outcome::Ua, Outcome::Bg, Outcome::Cf];

/// A value that is in every token and must not be in any response.
const CANARY: &str = "canary-4711";

impl Outcome {
    fn status(self) -> u16 {
        match self {
            Self::C0 | Self::It => 401,
            Self::Ir => 400,
            Self::Is => 403,
            Self::Ua => 503,
            Self::Bg => 502,
            Self::Cf => 500,
        }
    }

    fn grpc_status(self) -> &'static str {
        match self {
            Self::C0 | Self::It | Self::Ir => "16",
            Self::Is => "7",
            Self::Ua | Self::Bg => "14",
            Self::Cf => "13",
        }
    }

    fn error(self) -> Option<&'static str> {
        match self {
            Self::It => Some("invalid_token"),
            Self::Ir => Some("invalid_request"),
            Self::Is => Some("insufficient_scope"),
            Self::C0 | Self::Ua | Self::Bg | Self::Cf => None,
        }
    }

    fn has_challenge(self) -> bool {
        matches!(self, Self::C0 | Self::It | Self::Ir | Self::Is)
    }

    /// Sends a request that leads to this outcome, to a service that introspects its tokens.
    async fn provoke(self, change: impl Fn(&mut Request<Full<Bytes>>)) -> Answer {
        self.provoke_with(|server| server, change).await
    }

    async fn provoke_with(
        self,
        configure: impl FnOnce(ResourceServerBuilder) -> ResourceServerBuilder,
        change: impl Fn(&mut Request<Full<Bytes>>),
    ) -> Answer {
        self.provoke_at(configure, App::new, change).await
    }

    /// Sends a gRPC call that leads to this outcome, to a service behind a layer with `grpc()`.
    async fn provoke_over_grpc(self, content_type: &'static str) -> Answer {
        self.provoke_at(|server| server, App::grpc, grpc_call(content_type)).await
    }

    async fn provoke_at(
        self,
        configure: impl FnOnce(ResourceServerBuilder) -> ResourceServerBuilder,
        app: impl FnOnce(ValidateTokenLayer) -> App,
        change: impl Fn(&mut Request<Full<Bytes>>),
    ) -> Answer {
        let authority = TestAuthorizationServer::new(ISSUER);
        let validator = authority.introspection_validator(RESOURCE).build().unwrap();
        let server = authority.resource_server_with(validator);
        let server = server.resource_metadata(ProtectedResourceMetadata::new(RESOURCE));
        let app = app(configure(server).build().unwrap().require_scopes(READ));
        let scope = if self == Self::Is { "orders:list" } else { "orders:read" };
        let token = authority.token().subject(CANARY).scope(scope).opaque();
        let endpoint = authority.introspection_endpoint();
        let status = |status: u16| {
            move |_: &Request<Bytes>| Response::builder().status(status).body(Bytes::from(CANARY)).unwrap()
        };
        match self {
            Self::It => authority.revoke(&token),
            Self::Ua => authority.go_down(),
            Self::Bg => authority.answer(&endpoint, status(200)),
            Self::Cf => authority.answer(&endpoint, status(401)),
            Self::C0 | Self::Ir | Self::Is => {}
        }
        let field = format!("Bearer {token}");
        let mut request = match self {
            Self::C0 => plain(),
            Self::Ir => with_authorizations(&[field.as_bytes(), field.as_bytes()]),
            _ => with_authorization(&field),
        };
        change(&mut request);
        let answer = app.send(request).await;
        assert_eq!(answer.calls, 0, "{self:?}");
        assert_reveals_nothing(&token, &answer);
        answer
    }

    #[track_caller]
    fn assert_challenge(self, answer: &Answer) {
        let mut expected = bearer().scope("orders:read").param("resource_metadata", METADATA_URL);
        if let Some(error) = self.error() {
            expected = expected.error(error);
        }
        if self.has_challenge() {
            assert_eq!(answer.challenges, [expected], "{self:?}");
        } else {
            assert!(!answer.headers.contains_key("www-authenticate"), "{self:?}");
        }
    }

    #[track_caller]
    fn assert_reason(self, reason: Option<&ValidationError>) {
        let fits = match reason {
            Some(ValidationError::NoCredentials) => self == Self::C0,
            Some(ValidationError::Inactive) => self == Self::It,
            Some(ValidationError::MultipleAuthorizationHeaders { found: 2, .. }) => self == Self::Ir,
            Some(ValidationError::InsufficientScope { .. }) => self == Self::Is,
            Some(ValidationError::IntrospectionUnavailable { .. }) => self == Self::Ua,
            Some(ValidationError::IntrospectionMalformed { .. }) => self == Self::Bg,
            Some(ValidationError::IntrospectionRefused { status: 401, .. }) => self == Self::Cf,
            _ => false,
        };
        assert!(fits, "{self:?}: {reason:?}");
    }
}

/// Asserts that the response contains neither the token, nor its claims, nor the authorization server's response.
#[track_caller]
fn assert_reveals_nothing(token: &str, answer: &Answer) {
    let text = format!("{:?} {:?}", answer.headers, answer.body);
    for secret in [token, CANARY, "orders:list", "alice", ISSUER] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

fn set(name: &'static str, value: &'static str) -> impl Fn(&mut Request<Full<Bytes>>) {
    move |request| {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
}

/// Turns a request into a gRPC call.
fn grpc_call(content_type: &'static str) -> impl Fn(&mut Request<Full<Bytes>>) {
    move |request| {
        *request.method_mut() = Method::POST;
        set("content-type", content_type)(request);
    }
}

fn unchanged(_: &mut Request<Full<Bytes>>) {}

#[tokio::test]
async fn rhttp_01_every_outcome_has_its_status_and_challenge() {
    for outcome in OUTCOMES {
        let answer = outcome.provoke(unchanged).await;

        outcome.assert_reason(answer.reason.as_ref());
        assert_eq!(answer.status, outcome.status(), "{outcome:?}");
        assert_eq!(answer.headers["cache-control"], "no-store");
        outcome.assert_challenge(&answer);
    }
}

#[tokio::test]
async fn rhttp_02_refusal_has_at_most_one_challenge_field_with_one_scheme() {
    for outcome in OUTCOMES {
        let answer = outcome.provoke(unchanged).await;

        let fields = answer.headers.get_all("www-authenticate").iter().count();
        assert_eq!(fields, usize::from(outcome.has_challenge()), "{outcome:?}");
        assert_eq!(answer.challenges.len(), fields, "{outcome:?}");
        assert!(answer.challenges.iter().all(|challenge| challenge.scheme() == "Bearer"));
    }
}

#[tokio::test]
async fn rhttp_03_retry_after_of_a_503_has_jitter() {
    let mut seen = BTreeSet::new();

    for _ in 0..40 {
        let answer = Outcome::Ua.provoke(unchanged).await;

        answer.assert_unavailable();
        seen.insert(answer.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap());
    }

    // Two seconds plus up to three seconds of jitter.
    assert!(seen.len() > 1 && seen.iter().all(|seconds| (2..=5).contains(seconds)), "{seen:?}");
    for outcome in OUTCOMES.into_iter().filter(|outcome| *outcome != Outcome::Ua) {
        assert!(!outcome.provoke(unchanged).await.headers.contains_key("retry-after"), "{outcome:?}");
    }
}

/// A validator that is always unavailable, with this `Retry-After`.
struct Unavailable(Duration);

impl TokenValidator for Unavailable {
    async fn validate(&self, _: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        Err(ValidationError::unavailable("table locked").with_retry_after(self.0))
    }
}

#[tokio::test]
async fn rhttp_03_retry_after_of_a_custom_validator_is_passed_on_within_limits() {
    const ONE_HOUR: u64 = 60 * 60;

    for (wait, at_least) in [
        (Duration::ZERO, 1),
        (Duration::from_millis(1), 1),
        (Duration::from_secs(90), 90),
        (Duration::from_secs(u64::MAX), ONE_HOUR),
        (Duration::MAX, ONE_HOUR),
    ] {
        let server = ResourceServer::builder(Unavailable(wait)).build().unwrap();
        let app = App::new(server.require_token().grpc());

        let over_http = app.present("token").await;
        let mut request = with_authorization("Bearer token");
        grpc_call("application/grpc")(&mut request);
        let over_grpc = app.send(request).await;

        over_http.assert_unavailable();
        let number =
            |headers: &HeaderMap, name: &str| headers[name].to_str().unwrap().parse::<u64>().unwrap();
        let seconds = number(&over_http.headers, "retry-after");
        assert!((at_least..=at_least + 3).contains(&seconds), "{wait:?}: {seconds}");
        // gRPC proposal A6 makes it a signed 32-bit integer.
        let millis = number(&over_grpc.headers, "grpc-retry-pushback-ms");
        assert!((at_least * 1_000..=(at_least + 3) * 1_000).contains(&millis), "{wait:?}: {millis}");
        assert!(i32::try_from(millis).is_ok());
    }
}

/// Returns a guarded service, with optional CORS layers around and inside the guard, and the number of its calls.
fn orders(
    server: &ResourceServer,
    outer: Option<CorsLayer>,
    inner: Option<CorsLayer>,
) -> (impl AsyncFn(Request<Full<Bytes>>) -> Response<Bytes> + use<>, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let service = ServiceBuilder::new()
        .option_layer(outer)
        .layer(server.require_scopes(READ))
        .option_layer(inner)
        .service_fn(move |_: Request<Full<Bytes>>| {
            counted.fetch_add(1, Ordering::SeqCst);
            async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"orders")))) }
        });
    let send = async move |request| {
        let response = service.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Response::from_parts(
            parts,
            body.collect().await.map_err(|_| "failed to read the body").unwrap().to_bytes(),
        )
    };
    (send, calls)
}

fn cors() -> CorsLayer {
    CorsLayer::new().allow_origin(Any).allow_methods([Method::GET]).allow_headers(Any)
}

fn preflight() -> Request<Full<Bytes>> {
    Request::options("/orders")
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "authorization")
        .body(Full::default())
        .unwrap()
}

#[tokio::test]
async fn rhttp_04_preflight_passes_to_an_inner_cors_layer_if_configured() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.jwt_validator(RESOURCE).build().unwrap();
    let server = authority.resource_server_with(validator).dangerously_pass_cors_preflight().build().unwrap();
    let (send, calls) = orders(&server, None, Some(cors()));

    let response = send(preflight()).await;

    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    assert_eq!(response.headers()["access-control-allow-methods"], "GET");
    assert_eq!(calls.load(Ordering::SeqCst), 0, "the CORS layer did not answer the preflight");
    // Anything but a preflight is refused.
    for missing in ["origin", "access-control-request-method"] {
        let mut request = preflight();
        request.headers_mut().remove(missing);
        assert_eq!(send(request).await.status(), StatusCode::UNAUTHORIZED, "without {missing}");
    }
    for method in [Method::GET, Method::POST, Method::HEAD] {
        let mut request = preflight();
        *request.method_mut() = method;
        assert_eq!(send(request).await.status(), StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn rhttp_04_preflight_is_refused_by_default_and_answered_by_an_outer_cors_layer() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let server = authority.resource_server(RESOURCE);
    let (send_inner, _) = orders(&server, None, Some(cors()));
    let (send_outer, calls) = orders(&server, Some(cors()), None);

    assert_eq!(send_inner(preflight()).await.status(), StatusCode::UNAUTHORIZED);
    let answered = send_outer(preflight()).await;
    assert_eq!(answered.status(), StatusCode::OK);
    assert_eq!(answered.headers()["access-control-allow-origin"], "*");
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn rhttp_04_a56_options_with_credentials_or_a_body_is_not_a_preflight() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.jwt_validator(RESOURCE).build().unwrap();
    let server = authority.resource_server_with(validator).dangerously_pass_cors_preflight();
    let app = App::new(server.build().unwrap().require_scopes(READ).grpc());
    app.send(preflight()).await.assert_pass();

    for (name, value, status, error) in [
        ("authorization", "Bearer junk", StatusCode::UNAUTHORIZED, Some("invalid_token")),
        ("authorization", "Basic YTpi", StatusCode::UNAUTHORIZED, None),
        ("content-type", "application/grpc", StatusCode::UNAUTHORIZED, None),
        ("content-type", "text/plain", StatusCode::UNAUTHORIZED, None),
        ("content-length", "1", StatusCode::UNAUTHORIZED, None),
        ("content-length", "00", StatusCode::UNAUTHORIZED, None),
        ("transfer-encoding", "chunked", StatusCode::UNAUTHORIZED, None),
    ] {
        let mut request = preflight();
        set(name, value)(&mut request);

        app.send(request).await.assert_refused(status, error);
    }
    let mut request = preflight();
    set("content-length", "0")(&mut request);
    app.send(request).await.assert_pass();
    let mut request = preflight();
    set("content-length", "0")(&mut request);
    request.headers_mut().append("content-length", HeaderValue::from_static("7"));
    app.send(request).await.assert_unauthorized();
}

#[tokio::test]
async fn rhttp_04_a56_request_whose_token_an_outer_layer_removed_is_not_a_preflight() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = || authority.jwt_validator(RESOURCE).build().unwrap();
    let server = authority.resource_server_with(validator()).dangerously_pass_cors_preflight();
    let server = server.build().unwrap();
    let other = authority.resource_server_with(validator()).build().unwrap();
    let token = format!("Bearer {}", authority.token().sign());

    for (outer, status) in [(&server, StatusCode::FORBIDDEN), (&other, StatusCode::UNAUTHORIZED)] {
        let service = ServiceBuilder::new()
            .layer(outer.require_token())
            .layer(server.require_scopes(READ))
            .service_fn(async |_| -> Result<Response<Full<Bytes>>, Infallible> { unreachable!("called") });
        let mut request = preflight();
        request.headers_mut().insert("authorization", token.parse().unwrap());

        assert_eq!(service.oneshot(request).await.unwrap().status(), status);
    }
}

#[tokio::test]
async fn rhttp_04_preflight_reaches_the_service_without_the_token_of_an_outer_layer() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.jwt_validator(RESOURCE).build().unwrap();
    let server = authority.resource_server_with(validator).dangerously_pass_cors_preflight().build().unwrap();
    let app = App::new(server.require_scopes(READ));
    let mut request = preflight();
    request
        .extensions_mut()
        .insert(ValidatedToken::from_trusted_claims(ClaimsSet::new().with_subject("mallory")));

    app.send(request).await.assert_pass();

    assert!(app.last_seen().token.is_none());
}

#[tokio::test]
async fn outer_cors_layer_lets_other_origins_read_a_refusal() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let (send, _) = orders(&authority.resource_server(RESOURCE), Some(cors()), None);
    let mut request = plain();
    request.headers_mut().insert("origin", HeaderValue::from_static("https://app.example.com"));

    let response = send(request).await;

    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    assert_eq!(response.headers()["access-control-expose-headers"], "WWW-Authenticate, Retry-After");
}

#[tokio::test]
async fn refusal_exposes_its_headers_if_the_request_has_an_origin() {
    for outcome in OUTCOMES {
        let with_origin = outcome.provoke(set("origin", "https://app.example.com")).await;
        let without = outcome.provoke(unchanged).await;

        let exposed = with_origin.headers["access-control-expose-headers"].to_str().unwrap();
        let exposed: Vec<_> = exposed.split(", ").collect();
        for name in ["www-authenticate", "retry-after"] {
            let is_exposed = exposed.iter().any(|exposed| exposed.eq_ignore_ascii_case(name));
            assert!(is_exposed || !with_origin.headers.contains_key(name), "{outcome:?} {name}");
        }
        assert!(!without.headers.contains_key("access-control-expose-headers"));
        // Which origins may read the response is up to the CORS layer.
        assert!(!with_origin.headers.contains_key("access-control-allow-origin"));
    }
}

#[tokio::test]
async fn rhttp_05_refused_head_has_the_headers_of_a_get_and_no_body() {
    for outcome in OUTCOMES {
        let mut get = outcome.provoke(unchanged).await;
        let mut head = outcome.provoke(|request| *request.method_mut() = Method::HEAD).await;

        assert_eq!(head.status, get.status);
        assert!(head.body.is_empty() && !get.body.is_empty(), "{outcome:?}");
        assert_eq!(head.headers["content-length"], get.body.len().to_string());
        // The values differ because of the jitter.
        assert_eq!(head.headers.remove("retry-after").is_some(), get.headers.remove("retry-after").is_some());
        assert_eq!(head.headers, get.headers, "{outcome:?}");
    }
}

#[tokio::test]
async fn rhttp_06_refusal_does_not_read_the_body() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let service = authority.resource_server(RESOURCE).require_scopes(READ).layer(tower::service_fn(
        |_: Request<UnreadBody>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) },
    ));
    let valid = authority.token().scope("orders:read");

    for (authorization, status) in [
        (None, 401),
        (Some("Bearer".to_owned()), 400),
        (Some("Bearer null".to_owned()), 401),
        (Some(format!("Bearer {}", valid.clone().signature([0; 64]).sign())), 401),
        (Some(format!("Bearer {}", valid.scope("orders:list").sign())), 403),
    ] {
        let mut request = Request::put("/orders").body(UnreadBody).unwrap();
        if let Some(value) = &authorization {
            request.headers_mut().insert("authorization", value.parse().unwrap());
        }

        let response = service.clone().oneshot(request).await.unwrap();

        assert_eq!(response.status(), status, "{authorization:?}");
        assert!(!response.headers().contains_key("connection"), "keep-alive is left to the HTTP server");
    }
}

#[tokio::test]
async fn refusal_body_has_no_more_detail_than_the_challenge() {
    for (outcome, expected) in OUTCOMES.into_iter().zip([
        json!({"status": 401, "title": "Unauthorized"}),
        json!({
            "status": 401,
            "title": "Unauthorized",
            "error": "invalid_token",
            "error_description": "The access token is malformed, expired, withdrawn or not for this resource",
        }),
        json!({
            "status": 400,
            "title": "Bad Request",
            "error": "invalid_request",
            "error_description": "Exactly one authorization header is expected: Bearer, a space and the token",
        }),
        json!({
            "status": 403,
            "title": "Forbidden",
            "error": "insufficient_scope",
            "error_description": "The access token does not allow this operation",
        }),
        json!({"status": 503, "title": "Service Unavailable"}),
        json!({"status": 502, "title": "Bad Gateway"}),
        json!({"status": 500, "title": "Internal Server Error"}),
    ]) {
        let answer = outcome.provoke(unchanged).await;

        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(answer.headers["content-length"], answer.body.len().to_string());
        assert_eq!(serde_json::from_slice::<Value>(&answer.body).unwrap(), expected, "{outcome:?}");
    }
}

#[tokio::test]
async fn custom_body_changes_neither_status_nor_headers() {
    fn problem(refusal: &Refusal) -> RejectionBody {
        RejectionBody::new(
            HeaderValue::from_static("application/problem+json"),
            format!("{{\"detail\":\"{}\"}}", refusal.rejection().description()),
        )
    }

    for outcome in OUTCOMES {
        let mut default = outcome.provoke(unchanged).await;
        let mut custom = outcome.provoke_with(|server| server.rejection_body(problem), unchanged).await;

        let description = Rejection::from(custom.reason.as_ref().unwrap()).description();
        assert_eq!(custom.body, format!("{{\"detail\":\"{description}\"}}"));
        assert_eq!(custom.headers["content-length"], custom.body.len().to_string());
        assert_eq!(custom.headers["content-type"], "application/problem+json");
        assert_eq!(custom.status, default.status);
        for name in ["content-type", "content-length", "retry-after"] {
            assert_eq!(custom.headers.remove(name).is_some(), default.headers.remove(name).is_some());
        }
        assert_eq!(custom.headers, default.headers, "{outcome:?}");
    }
}

#[tokio::test]
async fn only_refusals_have_the_reason_in_their_extensions() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let service = authority.resource_server(RESOURCE).require_scopes(READ).layer(tower::service_fn(
        |_: Request<()>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) },
    ));
    let token = authority.token().scope("orders:read").sign();
    let request = |token: &str| {
        Request::get("/orders").header("authorization", format!("Bearer {token}")).body(()).unwrap()
    };

    let passed = service.clone().oneshot(request(&token)).await.unwrap();
    let refused = service.oneshot(request("null")).await.unwrap();

    assert!(passed.extensions().get::<RejectionReason>().is_none());
    let reason = refused.extensions().get::<RejectionReason>().unwrap();
    assert!(matches!(reason.error(), ValidationError::MalformedToken(_)), "{reason:?}");
}

const GRPC_CONTENT_TYPES: [(&str, &str); 8] = [
    ("application/grpc", "application/grpc"),
    ("application/grpc+proto", "application/grpc"),
    ("application/grpc+json", "application/grpc"),
    ("Application/gRPC;charset=utf-8", "application/grpc"),
    ("application/grpc-web", "application/grpc-web"),
    ("application/grpc-web+proto", "application/grpc-web"),
    ("application/grpc-web-text", "application/grpc-web-text"),
    ("application/grpc-web-text+proto", "application/grpc-web-text"),
];

#[tokio::test]
async fn rgrpc_01_refusal_is_status_200_without_a_body() {
    for (requested, answered) in GRPC_CONTENT_TYPES {
        for outcome in OUTCOMES {
            let answer = outcome.provoke_over_grpc(requested).await;

            assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0), "{requested} {outcome:?}");
            assert_eq!(answer.headers["content-type"], answered);
            assert_eq!(answer.headers["cache-control"], "no-store");
            for name in ["content-length", "retry-after"] {
                assert!(!answer.headers.contains_key(name), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn rgrpc_02_every_outcome_has_its_code_and_challenge() {
    for (content_type, _) in GRPC_CONTENT_TYPES {
        for outcome in OUTCOMES {
            let answer = outcome.provoke_over_grpc(content_type).await;

            outcome.assert_reason(answer.reason.as_ref());
            assert_eq!(answer.headers["grpc-status"], outcome.grpc_status(), "{content_type} {outcome:?}");
            outcome.assert_challenge(&answer);
        }
    }
}

#[tokio::test]
async fn rgrpc_11_a55_content_type_changes_no_refusal_of_a_layer_without_grpc() {
    for (content_type, _) in GRPC_CONTENT_TYPES {
        for outcome in OUTCOMES {
            for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT] {
                let answer = outcome
                    .provoke(|request| {
                        grpc_call(content_type)(request);
                        *request.method_mut() = method.clone();
                    })
                    .await;

                assert_eq!(answer.status, outcome.status(), "{method} {content_type} {outcome:?}");
                assert!(!answer.headers.contains_key("grpc-status"), "{method} {content_type} {outcome:?}");
                outcome.assert_challenge(&answer);
            }
        }
    }
}

#[tokio::test]
async fn rgrpc_11_a55_grpc_layer_refuses_only_post_as_grpc() {
    for (content_type, _) in GRPC_CONTENT_TYPES {
        for outcome in OUTCOMES {
            for method in [Method::GET, Method::HEAD, Method::PUT, Method::OPTIONS] {
                let change = |request: &mut Request<Full<Bytes>>| {
                    grpc_call(content_type)(request);
                    *request.method_mut() = method.clone();
                };

                let answer = outcome.provoke_at(|server| server, App::grpc, change).await;

                assert_eq!(answer.status, outcome.status(), "{method} {content_type} {outcome:?}");
                assert!(!answer.headers.contains_key("grpc-status"), "{method} {content_type} {outcome:?}");
            }
        }
    }
}

#[tokio::test]
async fn rgrpc_03_message_is_the_static_description_and_needs_no_encoding() {
    for outcome in OUTCOMES {
        let answer = outcome.provoke_over_grpc("application/grpc").await;

        let description = Rejection::from(answer.reason.as_ref().unwrap()).description();
        assert_eq!(answer.headers["grpc-message"], description);
        assert!(description.bytes().all(|byte| matches!(byte, 0x20..=0x24 | 0x26..=0x7e)));
    }
}

#[tokio::test]
async fn rgrpc_01_refusal_ends_the_stream_with_its_headers() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let service = authority.resource_server(RESOURCE).require_scopes(READ).grpc().layer(tower::service_fn(
        |_: Request<GrpcRequestBody<()>>| async {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        },
    ));
    let request =
        Request::post("/orders.Orders/List").header("content-type", "application/grpc").body(()).unwrap();

    let response = service.oneshot(request).await.unwrap();

    assert!(response.body().is_end_stream());
}

#[tokio::test]
async fn rgrpc_01_content_type_that_only_resembles_grpc_is_refused_as_http() {
    for content_type in [
        "application/grpcx",
        "application/grpc-foo",
        "application/grpc-webx",
        "text/grpc",
        "application/json",
        "",
    ] {
        let answer = Outcome::C0.provoke_over_grpc(content_type).await;

        answer.assert_unauthorized();
        assert!(!answer.headers.contains_key("grpc-status"), "{content_type}");
    }
}

#[tokio::test]
async fn rgrpc_02_malformed_request_is_status_3_if_configured() {
    for outcome in OUTCOMES {
        let answer = outcome
            .provoke_at(
                ResourceServerBuilder::grpc_invalid_argument,
                App::grpc,
                grpc_call("application/grpc"),
            )
            .await;

        let expected = if outcome == Outcome::Ir { "3" } else { outcome.grpc_status() };
        assert_eq!(answer.headers["grpc-status"], expected, "{outcome:?}");
    }
}

#[tokio::test]
async fn rgrpc_04_outage_has_a_retry_pushback() {
    let answer = Outcome::Ua.provoke_over_grpc("application/grpc").await;

    let millis: i32 = answer.headers["grpc-retry-pushback-ms"].to_str().unwrap().parse().unwrap();
    assert!((2_000..=5_000).contains(&millis), "{millis}");
}

#[tokio::test]
async fn rgrpc_07_duplicate_joined_and_binary_authorization_metadata_is_refused() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let app = App::new(authority.resource_server(RESOURCE).require_scopes(READ).grpc());
    let token = authority.token().scope("orders:read").sign();
    let field = format!("Bearer {token}");
    let joined = format!("{field},{field}");

    let mut binary = plain();
    binary.headers_mut().insert("authorization-bin", field.parse().unwrap());
    for (mut request, is_malformed) in [
        (with_authorizations(&[field.as_bytes(), field.as_bytes()]), true),
        (with_authorization(&joined), true),
        (binary, false),
    ] {
        grpc_call("application/grpc")(&mut request);

        let answer = app.send(request).await;

        assert_eq!((answer.calls, &answer.headers["grpc-status"]), (0, &HeaderValue::from_static("16")));
        let error = is_malformed.then_some("invalid_request");
        assert_eq!(answer.challenges[0].param("error"), error);
    }
}

#[tokio::test]
async fn rgrpc_08_grpc_web_refusal_exposes_its_headers_to_browsers() {
    for outcome in OUTCOMES {
        let answer = outcome
            .provoke_at(
                |server| server,
                App::grpc,
                |request| {
                    grpc_call("application/grpc-web+proto")(request);
                    set("origin", "https://app.example.com")(request);
                },
            )
            .await;

        let exposed = answer.headers["access-control-expose-headers"].to_str().unwrap();
        let exposed: Vec<_> = exposed.split(", ").map(str::to_ascii_lowercase).collect();
        for name in ["www-authenticate", "grpc-status", "grpc-message", "grpc-retry-pushback-ms"] {
            assert!(exposed.contains(&name.to_owned()) || !answer.headers.contains_key(name), "{name}");
        }
    }
}

/// Returns the size that clients limit to 8 KiB: names, values and 32 bytes per field (RFC 9113 section 10.5.1).
fn size_of(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
}

#[tokio::test]
async fn rgrpc_10_long_scope_list_is_left_out_of_a_grpc_challenge() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let server = authority.resource_server(RESOURCE);
    let token = authority.token().sign();

    for count in [1, 100, 140, 200, 500, 5_000] {
        let scopes: Vec<_> = (0..count)
            .map(|number| Scope::new(&format!("https://orders.example.com/scope/{number}")).unwrap())
            .collect();
        let named = scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ");
        let app = App::new(server.require_scopes(ScopeRequirement::all_of(scopes).unwrap()).grpc());
        let mut request = with_authorization(&format!("Bearer {token}"));
        grpc_call("application/grpc")(&mut request);

        let answer = app.send(request).await;

        assert_eq!(answer.headers["grpc-status"], "7");
        assert!(size_of(&answer.headers) < 8 * 1024, "{count}: {}", size_of(&answer.headers));
        let mut expected = bearer().error("insufficient_scope").param("resource_metadata", METADATA_URL);
        if named.len() < 5 * 1024 {
            expected = expected.scope(&named);
        }
        assert_eq!(answer.challenges, [expected], "{count}");
        // Over HTTP the limit does not apply, so all scopes are named.
        app.present(&token).await.assert_insufficient_scope(&named);
    }
}

#[tokio::test]
async fn rgrpc_10_challenge_that_is_too_long_without_scopes_is_left_out() {
    let realm = "a".repeat(9_000);

    let answer =
        Outcome::Is.provoke_at(|server| server.realm(realm), App::grpc, grpc_call("application/grpc")).await;

    assert_eq!(answer.headers["grpc-status"], "7");
    assert!(size_of(&answer.headers) < 8 * 1024, "{}", size_of(&answer.headers));
}

#[tokio::test]
async fn inner_refusal_names_the_scopes_of_all_nested_layers() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let server = authority.resource_server(RESOURCE);
    let service = ServiceBuilder::new()
        .layer(server.require_scopes(READ))
        .layer(server.require_scopes(WRITE))
        .service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
    let request = |scope: &str| {
        let token = authority.token().scope(scope).sign();
        Request::get("/orders").header("authorization", format!("Bearer {token}")).body(()).unwrap()
    };

    let passed = service.clone().oneshot(request("orders:write orders:read")).await.unwrap();
    let refused = service.oneshot(request("orders:read")).await.unwrap();

    assert_eq!(passed.status(), StatusCode::OK);
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let expected = bearer().error("insufficient_scope").scope("orders:read orders:write");
    assert_eq!(challenges(&refused), [expected]);
    let reason = refused.extensions().get::<RejectionReason>().unwrap();
    assert!(matches!(reason.error(), ValidationError::InsufficientScope { .. }), "{reason:?}");
}
