//! Proves that no output of the crate reveals the client's identity or the token.
//!
//! Every member that identifies a client contains one canary. The subject and a custom claim contain another one. The
//! tokens are canaries themselves. The tests search all return values, responses, errors and logs for them.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::{
    collections::HashMap,
    convert::Infallible,
    error::Error as _,
    fmt::Debug,
    io::{self, Write},
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::State,
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use metrics_util::debugging::DebuggingRecorder;
use serde::Deserialize;
use serde_json::{Value, json};
use tower::{Layer as _, Service as _, ServiceExt as _};
use tower_bearer::{
    AccessToken, AccessTokenRule, Algorithm, Claims, ClaimsSet, Event, Observer, RejectionReason,
    ResourceServer, ResourceServerCredential, RoutingValidator, Scope, TokenValidator, ValidatedToken,
    ValidationError,
    integration::metrics::MetricsObserver,
    testing::{SigningKey, TestAuthorizationServer, TokenBuilder},
};
use tracing::level_filters::LevelFilter;

const ISSUER: &str = "https://as.example.com";
const RESOURCE: &str = "https://orders.example.com";
const READ: Scope = Scope::from_static("orders:read");

/// The value of all members that identify the client. It must not appear anywhere.
const CLIENT: &str = "canary-client-4711";
/// The value of `sub` and of a custom claim. Only handlers may see it.
const PERSON: &str = "canary-person-4712";
/// The secret of this resource server. Only the authorization server may see it.
const SECRET: &str = "canary-secret-4713";

/// Returns the members that identify a client: all that src/claims/client_identity.rs lists, and some that begin with
/// `client_`.
fn client_identifiers() -> Vec<String> {
    const KNOWN: [&str; 11] = [
        "azp",
        "cid",
        "appid",
        "applicationId",
        "app_displayname",
        "appidacr",
        "azpacr",
        "clientId",
        "clientHost",
        "clientAddress",
        "issued_to",
    ];
    const WITH_PREFIX: [&str; 6] =
        ["client_id", "client_name", "client_uri", "client_auth_method", "client_tenant", "client_"];
    let source = include_str!("../src/claims/client_identity.rs");
    let (_, list) = source.split_once("const CLIENT_IDENTIFIERS: [&str; ").unwrap();
    let (_, list) = list.split_once('=').unwrap();
    let (list, _) = list.split_once("];").unwrap();
    let mut names: Vec<String> = list.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    for name in KNOWN {
        assert!(names.iter().any(|listed| listed == name), "{name} is not in the list");
    }
    names.extend(WITH_PREFIX.map(str::to_owned));
    names
}

/// Returns a name as a JSON string with every third character escaped.
fn escaped(name: &str) -> String {
    let escape = |letter: char| format!("\\u{:04X}", u32::from(letter));
    let letters = name.chars().enumerate();
    letters.map(|(at, letter)| if at % 3 == 0 { escape(letter) } else { letter.to_string() }).collect()
}

/// Returns all identifying members as JSON, with the canary in values of several types.
fn identifying_members(spell: fn(&str) -> String) -> String {
    let values = [
        json!(CLIENT),
        json!([CLIENT]),
        json!({"id": CLIENT, CLIENT: true}),
        json!({"act": {"client_id": CLIENT}}),
        json!(format!("\u{1F600} {CLIENT} \"\\")),
    ];
    let names = client_identifiers();
    let members = names.iter().zip(values.iter().cycle());
    members.map(|(name, value)| format!("\"{}\":{value}", spell(name))).collect::<Vec<_>>().join(",")
}

/// Returns the claims of a valid token with canaries at the top level and in nested actors.
fn claims_with_canaries(token: &TokenBuilder, spell: fn(&str) -> String) -> String {
    let members = identifying_members(spell);
    let mut claims = token.claims().clone();
    claims.insert("sub".to_owned(), PERSON.into());
    claims.insert("tenant".to_owned(), PERSON.into());
    claims.insert("scope".to_owned(), "orders:read".into());
    let claims = Value::from(claims).to_string();
    let claims = claims.strip_suffix('}').unwrap();
    let (act, may_act) = (spell("act"), spell("may_act"));
    // Keycloak puts the client's identifier into the name of the service account.
    let account = format!(r#""{}":"service-account-{CLIENT}""#, spell("preferred_username"));
    let actor =
        format!(r#"{{"sub":"service",{account},"{act}":{{{members},"{may_act}":{{{members}}}}},{members}}}"#);
    format!(r#"{claims},{account},{members},"{act}":{actor},"{may_act}":{actor}}}"#)
}

fn unescaped(name: &str) -> String {
    name.to_owned()
}

/// The log of the whole process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Starts to record all levels, once for all tests in this file.
    fn start() -> Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::default();
            let written = log.clone();
            tracing_subscriber::fmt()
                .with_max_level(LevelFilter::TRACE)
                .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
                .with_ansi(false)
                .with_writer(move || written.clone())
                .init();
            log
        })
        .clone()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Values that must not appear, each with a description.
#[derive(Clone, Default)]
struct Canaries(Vec<(&'static str, String)>);

impl Canaries {
    fn clients() -> Self {
        Self(vec![("client", CLIENT.to_owned())])
    }

    /// Returns the canaries that must not appear in responses, errors and logs.
    fn all() -> Self {
        let mut all = Self::clients();
        all.0.push(("person", PERSON.to_owned()));
        all.0.push(("secret", SECRET.to_owned()));
        all
    }

    /// Adds a token and the beginnings of its parts, except the header, which begins the same in all tokens.
    fn and_token(mut self, token: &str) -> Self {
        let parts = token.split('.').skip(1).filter(|part| part.len() >= 20).map(|part| &part[..20]);
        self.0.extend(parts.chain([token]).map(|part| ("token", part.to_owned())));
        self
    }

    #[track_caller]
    fn assert_absent(&self, place: &str, text: &str) {
        for (what, canary) in &self.0 {
            assert!(!text.contains(canary), "{what} appears in {place}: {text}");
            // `Debug` formats bytes as a list of numbers.
            let bytes = format!("{:?}", canary.as_bytes());
            assert!(
                !text.contains(bytes.trim_matches(['[', ']'])),
                "{what} appears in {place} as bytes: {text}"
            );
        }
    }

    #[track_caller]
    fn assert_absent_in_debug(&self, place: &str, value: &(impl Debug + ?Sized)) {
        self.assert_absent(place, &format!("{value:?}"));
        self.assert_absent(place, &format!("{value:#?}"));
    }

    /// Checks a response, the reason in its extensions and all sources of the reason.
    async fn assert_absent_in_answer(&self, place: &str, response: Response<Body>) -> (StatusCode, String) {
        self.assert_absent_in_debug(place, &response);
        if let Some(reason) = response.extensions().get::<RejectionReason>() {
            self.assert_absent_in_debug(place, reason);
            self.assert_absent(place, &reason.error().to_string());
            let mut cause = reason.error().source();
            while let Some(error) = cause {
                self.assert_absent(place, &error.to_string());
                self.assert_absent_in_debug(place, &error);
                cause = error.source();
            }
        }
        let status = response.status();
        for (name, value) in response.headers() {
            self.assert_absent(place, name.as_str());
            self.assert_absent(place, &String::from_utf8_lossy(value.as_bytes()));
        }
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        self.assert_absent(place, &body);
        (status, body)
    }
}

/// Everything that handlers can see, as text.
type Shown = Arc<Mutex<Vec<String>>>;

/// A claims type that tries to read the client under every name.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ClientClaims {
    #[serde(alias = "azp", alias = "cid", alias = "appid", alias = "app_displayname", alias = "appidacr")]
    client_id: Option<Value>,
    #[serde(alias = "azpacr", alias = "clientHost", alias = "clientAddress", alias = "client_name")]
    #[serde(rename = "clientId")]
    client: Option<Value>,
    #[serde(
        alias = "issued_to",
        alias = "applicationId",
        alias = "client_auth_method",
        alias = "client_tenant"
    )]
    client_uri: Option<Value>,
    tenant: Option<String>,
    #[serde(flatten)]
    others: HashMap<String, Value>,
}

/// Records the output of every accessor of a token.
fn record_token(token: &ValidatedToken, shown: &Shown) {
    let claims: &ClaimsSet = token.claims();
    let record = |text: String| shown.lock().unwrap().push(text);

    record(format!("{:?}", claims.issuer()));
    record(format!("{:?}", claims.subject()));
    record(format!("{:?}", claims.audience().collect::<Vec<_>>()));
    record(format!("{:?} {:?} {:?}", claims.expires_at(), claims.not_before(), claims.issued_at()));
    record(format!("{:?}", claims.token_id()));
    record(format!("{:?} {}", claims.scopes(), claims.scopes()));
    record(serde_json::to_string(claims).unwrap());
    record(serde_json::to_string_pretty(claims).unwrap());
    record(serde_json::to_value(claims).unwrap().to_string());
    record(format!("{:?}", claims.deserialize::<Value>().unwrap()));
    record(format!("{:?}", claims.deserialize::<HashMap<String, Value>>().unwrap()));
    record(format!(
        "{:?}",
        claims.deserialize::<HashMap<String, Box<serde_json::value::RawValue>>>().unwrap()
    ));
    record(format!("{:?}", claims.deserialize::<ClientClaims>().unwrap()));
    for name in client_identifiers().iter().map(String::as_str).chain(["act", "may_act", "tenant", ""]) {
        record(format!("{name} {:?}", claims.claim::<Value>(name).unwrap()));
        record(format!("{name} {:?}", claims.claim::<Box<serde_json::value::RawValue>>(name).unwrap()));
    }
    record(format!("{:?} {:?}", claims.claim::<u8>("tenant"), claims.claim::<u8>("act")));
    record(format!("{:?}", claims.deserialize::<Vec<u8>>().unwrap_err().to_string()));
    // A changed copy.
    let changed = claims.clone().with_claim("more", &1).unwrap().with_subject("bob");
    record(serde_json::to_string(&changed).unwrap());
}

/// Returns an application whose handlers record everything they can see.
fn app(server: &ResourceServer, shown: &Shown) -> Router {
    async fn by_token(State(shown): State<Shown>, token: ValidatedToken) -> &'static str {
        record_token(&token, &shown);
        "orders"
    }
    async fn by_option(State(shown): State<Shown>, token: Option<ValidatedToken>) -> &'static str {
        record_token(&token.unwrap(), &shown);
        "orders"
    }
    async fn by_value(State(shown): State<Shown>, Claims(claims): Claims<Value>) -> &'static str {
        shown.lock().unwrap().push(claims.to_string());
        "orders"
    }
    async fn by_type(State(shown): State<Shown>, claims: Claims<ClientClaims>) -> &'static str {
        assert_eq!(claims.0.tenant.as_deref(), Some(PERSON));
        assert!(claims.0.others.contains_key("act"));
        shown.lock().unwrap().push(format!("{claims:?}"));
        "orders"
    }
    async fn by_request(State(shown): State<Shown>, request: Request<Body>) -> &'static str {
        shown.lock().unwrap().push(format!("{request:?}"));
        for value in request.headers().values() {
            shown.lock().unwrap().push(String::from_utf8_lossy(value.as_bytes()).into_owned());
        }
        record_token(request.extensions().get::<ValidatedToken>().unwrap(), &shown);
        "orders"
    }
    async fn wrong_claims_type(_: Claims<Vec<u8>>) -> &'static str {
        unreachable!("claims are not an array")
    }
    Router::new()
        .route("/token", get(by_token))
        .route("/value", get(by_value))
        .route("/type", get(by_type))
        .route("/request", get(by_request))
        .route("/wrong-claims-type", get(wrong_claims_type))
        .layer(server.require_scopes(READ))
        .merge(Router::new().route("/option", get(by_option)).layer(server.allow_anonymous()))
        .merge(Router::new().route("/grpc", post(by_token)).layer(server.require_scopes(READ).grpc()))
        .merge(Router::new().route("/without-layer", get(by_token)))
        .with_state(Arc::clone(shown))
}

fn request(path: &str, token: &str) -> Request<Body> {
    Request::get(path).header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap()
}

/// Sends a token to every route twice, the second time cached, and checks everything for canaries.
async fn present_everywhere(server: &ResourceServer, token: &str) {
    let shown = Shown::default();
    let app = app(server, &shown);
    let answers = Canaries::all().and_token(token);

    for path in ["/token", "/value", "/type", "/request", "/option"].repeat(2) {
        let response = app.clone().oneshot(request(path, token)).await.unwrap();
        let (status, body) = answers.assert_absent_in_answer(path, response).await;
        assert_eq!((status, &*body), (StatusCode::OK, "orders"), "{path}");
    }
    let wrong_type = app.clone().oneshot(request("/wrong-claims-type", token)).await.unwrap();
    assert_eq!(
        answers.assert_absent_in_answer("/wrong-claims-type", wrong_type).await.0,
        StatusCode::FORBIDDEN
    );
    let without_layer = app.oneshot(request("/without-layer", token)).await.unwrap();
    assert_eq!(
        answers.assert_absent_in_answer("/without-layer", without_layer).await.0,
        StatusCode::INTERNAL_SERVER_ERROR
    );

    let shown = shown.lock().unwrap();
    let handlers = Canaries::clients().and_token(token);
    for text in shown.iter() {
        handlers.assert_absent("what a handler sees", text);
    }
    assert!(shown.iter().any(|text| text.contains(PERSON)), "handlers did not see the custom claim");
    assert!(shown.iter().any(|text| text.contains("\"sub\":\"service\"")), "handlers did not see the actor");
    answers.assert_absent("the log", &Log::start().text());
}

fn jwt_with_canaries(authority: &TestAuthorizationServer, spell: fn(&str) -> String) -> String {
    let token = authority.token();
    let claims = claims_with_canaries(&token, spell);
    token.raw_payload(claims).sign()
}

#[tokio::test]
async fn r7662_11_claims_of_a_jwt_do_not_identify_the_client() {
    Log::start();
    let authority = TestAuthorizationServer::new(ISSUER);
    let strict = authority.resource_server(RESOURCE);
    let lenient = authority
        .jwt_validator(RESOURCE)
        .accept_typ_jwt(AccessTokenRule::audience_is_only_in_access_tokens())
        .build()
        .unwrap();
    let lenient = authority.resource_server_with(lenient).build().unwrap();

    for spell in [unescaped, escaped as fn(&str) -> String] {
        present_everywhere(&strict, &jwt_with_canaries(&authority, spell)).await;
        present_everywhere(&lenient, &jwt_with_canaries(&authority, spell)).await;
    }
}

/// Sets the response of the introspection endpoint.
fn answer_introspection(authority: &TestAuthorizationServer, status: u16, content_type: &str, body: &str) {
    let (content_type, body) = (content_type.to_owned(), Bytes::from(body.to_owned()));
    authority.answer(&authority.introspection_endpoint(), move |_| {
        let response = Response::builder().status(status).header("content-type", &content_type);
        response.body(body.clone()).unwrap()
    });
}

#[tokio::test]
async fn r7662_11_claims_of_an_introspected_token_do_not_identify_the_client() {
    Log::start();
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.introspection_validator(RESOURCE).build().unwrap();
    let server = authority.resource_server_with(validator).build().unwrap();

    for spell in [unescaped, escaped as fn(&str) -> String] {
        let claims = claims_with_canaries(&authority.token(), spell);
        let answer =
            format!("{},\"active\":true,\"username\":\"{CLIENT}\"}}", claims.strip_suffix('}').unwrap());
        answer_introspection(&authority, 200, "application/json", &answer);

        present_everywhere(&server, &format!("canary-token-{}", spell("a").len())).await;
    }
}

#[tokio::test]
async fn claims_of_a_custom_validator_do_not_identify_the_client() {
    /// Accepts every token and sets claims that identify the client.
    struct RevealsClient;

    impl TokenValidator for RevealsClient {
        async fn validate(&self, _: &AccessToken) -> Result<ValidatedToken, ValidationError> {
            let actor = json!({"sub": "service", "client_id": CLIENT, "act": {"azp": CLIENT}});
            let mut claims = ClaimsSet::new();
            for name in client_identifiers() {
                claims = claims.with_claim(&name, &CLIENT)?;
            }
            let claims = claims
                .with_claim("act", &actor)?
                .with_claim("may_act", &actor)?
                .with_claim("tenant", &PERSON)?
                .with_subject(PERSON)
                .with_scopes("orders:read");
            Ok(ValidatedToken::from_trusted_claims(claims).reusable_for(Duration::from_secs(60)))
        }
    }
    Log::start();

    present_everywhere(&ResourceServer::builder(RevealsClient).build().unwrap(), "canary-token-custom").await;
}

/// serde_json parses the text in a member with this name as JSON. That would restore claims that were dropped, so such
/// a token is refused.
#[tokio::test]
async fn token_with_the_reserved_name_of_a_raw_value_is_refused() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let server = authority.resource_server(RESOURCE);
    let shown = Shown::default();
    let app = app(&server, &shown);
    let hidden = Value::from(json!({"client_id": CLIENT}).to_string());
    let raw_value = "$serde_json::private::RawValue";

    for name in [raw_value.to_owned(), escaped(raw_value)] {
        for claim in ["act", "may_act", "foo"] {
            for value in [
                format!(r#"{{"{name}":{hidden}}}"#),
                format!(r#"[{{"a":{{"{name}":{hidden}}}}}]"#),
                format!(r#"{{"act":{{"{name}":{hidden}}}}}"#),
            ] {
                let token = authority.token().scope("orders:read");
                let claims = Value::from(token.claims().clone()).to_string();
                let claims = format!("{},\"{claim}\":{value}}}", claims.strip_suffix('}').unwrap());
                let token = token.raw_payload(claims).sign();
                for path in ["/request", "/value", "/token"] {
                    let response = app.clone().oneshot(request(path, &token)).await.unwrap();
                    let (status, _) = Canaries::all().assert_absent_in_answer(path, response).await;
                    assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}, {claim}: {value}");
                }
            }
        }
    }
    assert!(shown.lock().unwrap().is_empty(), "a handler was called");
}

/// Formats every public type that holds or has held a token.
#[tokio::test]
async fn debug_output_reveals_neither_token_nor_client_nor_person() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let jwt = authority.jwt_validator(RESOURCE).build().unwrap();
    let token = jwt_with_canaries(&authority, unescaped);
    let canaries = Canaries::all().and_token(&token);
    let access_token = AccessToken::new(token.as_str());
    let validated = TokenValidator::validate(&jwt, &access_token).await.unwrap();
    let credential = ResourceServerCredential::secret_basic("orders", SECRET);
    let introspection = tower_bearer::IntrospectionValidator::builder(
        authority.authorization_server(),
        credential.clone(),
        RESOURCE,
    );
    canaries.assert_absent_in_debug("IntrospectionValidatorBuilder", &introspection);
    let introspection = introspection.build().unwrap();
    let routing = RoutingValidator::new().route(jwt.clone()).otherwise(introspection.clone());
    let server = authority.resource_server(RESOURCE);
    let layer = server.require_scopes(READ);

    canaries.assert_absent_in_debug("AccessToken", &access_token);
    canaries.assert_absent_in_debug("ValidatedToken", &validated);
    canaries.assert_absent_in_debug("ClaimsSet", validated.claims());
    canaries.assert_absent_in_debug("Option<ValidatedToken>", &Some(&validated));
    canaries.assert_absent_in_debug("JwtValidator", &jwt);
    canaries.assert_absent_in_debug("ResourceServerCredential", &credential);
    canaries.assert_absent_in_debug("IntrospectionValidator", &introspection);
    canaries.assert_absent_in_debug("RoutingValidator", &routing);
    canaries.assert_absent_in_debug("ResourceServer", &server);
    canaries.assert_absent_in_debug("ResourceServerBuilder", &authority.resource_server_with(routing));
    canaries.assert_absent_in_debug("ValidateTokenLayer", &layer);
    canaries.assert_absent_in_debug("AuthorizationServer", &authority.authorization_server());
    canaries.assert_absent_in_debug("TestAuthorizationServer", &authority);
    canaries.assert_absent_in_debug("the token's hash", &access_token.sha256());

    // The future in each of its states: before the first poll, waiting for keys, and completed.
    authority.hold(&authority.jwks_uri());
    let inner = tower::service_fn(|request: Request<Body>| async move {
        assert!(request.extensions().get::<ValidatedToken>().is_some());
        Ok::<_, Infallible>(Response::new(Body::from("orders")))
    });
    let mut service = layer.layer(inner);
    let mut future = Box::pin(service.call(request("/", &token)));
    canaries.assert_absent_in_debug("ResponseFuture", &future);
    let pending =
        std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_pending())).await;
    assert!(pending, "the request did not wait for the keys");
    canaries.assert_absent_in_debug("ResponseFuture", &future);
    authority.release(&authority.jwks_uri());
    let response = future.await.unwrap();
    canaries.assert_absent_in_debug("a response that passed", &response);
    assert_eq!(response.status(), StatusCode::OK);
    let future = service.call(request("/", &token));
    canaries.assert_absent_in_debug("ResponseFuture of a known token", &future);
    let future = service.call(request("/", "canary-token-refused.a.b"));
    canaries.assert_absent_in_debug("ResponseFuture of a refused token", &future);

    // A forwarded header is marked as sensitive.
    let validator = authority.jwt_validator(RESOURCE).build().unwrap();
    let server = authority.resource_server_with(validator).dangerously_forward_credential().build().unwrap();
    let debugged = Shown::default();
    let inner = {
        let debugged = Arc::clone(&debugged);
        tower::service_fn(move |request: Request<Body>| {
            assert!(request.headers().contains_key("authorization"));
            debugged.lock().unwrap().push(format!("{request:?}"));
            async { Ok::<_, Infallible>(Response::new(Body::empty())) }
        })
    };
    for _ in 0..2 {
        let response =
            server.require_token().layer(inner.clone()).oneshot(request("/", &token)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
    for text in debugged.lock().unwrap().iter() {
        canaries.assert_absent("the forwarded request", text);
    }
}

/// Sends a token that must be refused in requests of each kind, and checks the responses and the log for canaries.
async fn refuse(server: &ResourceServer, place: &str, token: &str, expected: StatusCode) {
    let canaries = Canaries::all().and_token(token);
    let shown = Shown::default();
    let app = app(server, &shown);
    let with = |request: Request<Body>, name: &'static str, value: &'static str| {
        let (mut head, body) = request.into_parts();
        head.headers.insert(name, http::HeaderValue::from_static(value));
        Request::from_parts(head, body)
    };
    let call = || {
        let request = Request::post("/grpc").header("authorization", format!("Bearer {token}"));
        request.body(Body::empty()).unwrap()
    };
    let head =
        Request::head("/token").header("authorization", format!("bearer  {token}")).body(Body::empty());

    for request in [
        request("/token", token),
        request("/option", token),
        with(request("/token", token), "origin", "https://app.example.com"),
        head.unwrap(),
        with(call(), "content-type", "application/grpc"),
        with(call(), "content-type", "application/grpc-web+proto"),
    ] {
        let is_grpc = request.headers().contains_key("content-type");
        let response = app.clone().oneshot(request).await.unwrap();
        assert!(response.extensions().get::<RejectionReason>().is_some(), "{place}");
        let (status, _) = canaries.assert_absent_in_answer(place, response).await;
        assert_eq!(status, if is_grpc { StatusCode::OK } else { expected }, "{place}");
    }
    assert_eq!(shown.lock().unwrap().len(), 0, "{place}");
    canaries.assert_absent(&format!("the log of {place}"), &Log::start().text());
}

#[tokio::test]
async fn refusals_of_jwts_reveal_neither_token_nor_client_nor_person() {
    Log::start();
    let authority = TestAuthorizationServer::new(ISSUER);
    let server = authority.resource_server(RESOURCE);
    app(&server, &Shown::default())
        .oneshot(request("/token", &jwt_with_canaries(&authority, unescaped)))
        .await
        .unwrap();
    let unknown_key = SigningKey::generate("unknown", Algorithm::ES256);
    let same_kid = unknown_key.with_kid(authority.keys()[0].kid());
    let with_canaries = |token: TokenBuilder| {
        let claims = claims_with_canaries(&token, unescaped);
        token.raw_payload(claims)
    };
    let token = || authority.token();
    // A claim of the wrong type whose whole value is a canary.
    let wrong = |name: &str, value: Value| {
        let mut claims = token().claims().clone();
        claims.insert(name.to_owned(), value);
        token().raw_payload(Value::from(claims).to_string())
    };
    let with_member = |member: &str| {
        let claims = claims_with_canaries(&token(), unescaped);
        token().raw_payload(format!("{},{member}}}", claims.strip_suffix('}').unwrap()))
    };

    let refused = [
        ("alg none", with_canaries(token()).header("alg", "none")),
        ("typ", with_canaries(token()).header("typ", "JWT")),
        ("crit", with_canaries(token()).header("crit", json!([CLIENT])).header(CLIENT, 1)),
        ("kid not a string", with_canaries(token()).header("kid", json!([CLIENT]))),
        ("alg not a string", with_canaries(token()).header("alg", json!({"a": CLIENT}))),
        ("expired", with_canaries(token().claim("exp", 1_700_000_000))),
        ("nbf", with_canaries(token().claim("nbf", 1_900_000_000))),
        ("iat", with_canaries(token().claim("iat", 1_900_000_000))),
        ("other issuer", with_canaries(token().issuer("https://evil.example"))),
        ("other audience", with_canaries(token().audience("https://other.example.com"))),
        ("ID token", with_canaries(token().audience(CLIENT))),
        ("ID token for several", with_canaries(token().claim("aud", [CLIENT, "https://other.example.com"]))),
        ("no audience", with_canaries(token().without_claim("aud"))),
        ("no jti", with_canaries(token().without_claim("jti"))),
        ("unknown key", with_canaries(token()).key(&unknown_key)),
        ("bad signature", with_canaries(token()).key(&same_kid)),
        ("no signature", with_canaries(token()).signature([])),
        ("bound", with_canaries(token().claim("cnf", json!({"jkt": PERSON})))),
        ("duplicate client", with_member(&format!("\"client_id\":\"{CLIENT}\""))),
        ("lone surrogate", with_member(&format!("\"foo\":\"{PERSON}\\ud800\""))),
        ("not JSON", token().raw_payload(format!("{CLIENT} {PERSON}"))),
        ("not an object", token().raw_payload(json!([CLIENT, PERSON]).to_string())),
        ("header not JSON", with_canaries(token()).raw_header(CLIENT)),
        ("exp", wrong("exp", json!(CLIENT))),
        ("iat", wrong("iat", json!([PERSON]))),
        ("sub", wrong("sub", json!({"a": PERSON}))),
        ("jti", wrong("jti", json!([CLIENT]))),
        ("aud", wrong("aud", json!([[CLIENT]]))),
        ("scope", wrong("scope", json!([CLIENT]))),
        ("scp", wrong("scp", json!({"a": CLIENT}))),
        ("act", wrong("act", json!(CLIENT))),
        ("act with an array", wrong("act", json!({"act": [CLIENT]}))),
        ("may_act", wrong("may_act", json!([PERSON]))),
    ];
    for (place, token) in refused {
        refuse(&server, place, &token.sign(), StatusCode::UNAUTHORIZED).await;
    }
    for (place, text) in [
        ("five parts", format!("a.{0}.b.{0}.c", URL_SAFE_NO_PAD.encode(format!("{CLIENT} {PERSON}")))),
        ("one part", format!("{CLIENT}-{PERSON}")),
        ("too long", format!("{CLIENT}{}", "a".repeat(16 * 1024))),
    ] {
        refuse(&server, place, &text, StatusCode::UNAUTHORIZED).await;
    }

    // Without the required scope: the scopes of the token may be logged, because they identify nobody.
    let narrow = {
        let token = authority.token();
        let claims = claims_with_canaries(&token, unescaped).replace("orders:read", "orders:list");
        token.raw_payload(claims).sign()
    };
    let shown = Shown::default();
    let response = app(&server, &shown).oneshot(request("/token", &narrow)).await.unwrap();
    let canaries = Canaries::all().and_token(&narrow);
    assert_eq!(canaries.assert_absent_in_answer("scope", response).await.0, StatusCode::FORBIDDEN);
    canaries.assert_absent("the log of scope", &Log::start().text());

    // The authorization server is down before the first fetch.
    let down = TestAuthorizationServer::new("https://down.example.com");
    down.go_down();
    let validator = down.jwt_validator(RESOURCE).build().unwrap();
    let server = down.resource_server_with(validator).build().unwrap();
    let token = jwt_with_canaries(&down, unescaped);
    refuse(&server, "no keys", &token, StatusCode::SERVICE_UNAVAILABLE).await;
}

#[tokio::test]
async fn malformed_requests_reveal_no_token() {
    Log::start();
    let authority = TestAuthorizationServer::new(ISSUER);
    let server = authority.resource_server(RESOURCE);
    let token = jwt_with_canaries(&authority, unescaped);
    let canaries = Canaries::all().and_token(&token);
    let basic = format!("Basic {token}");
    let bearer = format!("Bearer {token}");

    for (values, query, status) in [
        (vec![bearer.clone(), bearer.clone()], "", 400),
        (vec![bearer.clone(), basic.clone()], "", 400),
        (vec![format!("{bearer} {CLIENT}")], "", 400),
        (vec![format!("{bearer}, Bearer {token}")], "", 400),
        (vec![format!("Bearer \"{token}\"")], "", 400),
        (vec![format!("Bearer{token}")], "", 401),
        (vec![basic], "", 401),
        (vec![format!("DPoP {token}")], "", 401),
        (vec![token.clone()], "", 401),
        (vec![], token.as_str(), 401),
    ] {
        let uri = if query.is_empty() { "/token".to_owned() } else { format!("/token?access_token={query}") };
        let mut request = Request::get(uri).header("cookie", format!("access_token={token}"));
        for value in &values {
            request = request.header("authorization", value);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = app(&server, &Shown::default()).oneshot(request).await.unwrap();

        let (found, _) = canaries.assert_absent_in_answer("a malformed request", response).await;
        assert_eq!(found.as_u16(), status, "{} fields", values.len());
    }
    canaries.assert_absent("the log", &Log::start().text());
}

#[tokio::test]
async fn refusals_after_introspection_reveal_neither_token_nor_client_nor_person() {
    Log::start();
    let authority = TestAuthorizationServer::new(ISSUER);
    let credential = ResourceServerCredential::secret_post("orders", SECRET);
    let validator = || {
        tower_bearer::IntrospectionValidator::builder(
            authority.authorization_server(),
            credential.clone(),
            RESOURCE,
        )
        .clock(authority.clock().clone())
        .build()
        .unwrap()
    };
    let claims = |name: &str, value: Value| {
        let mut claims = authority.token().audience(RESOURCE).claims().clone();
        claims.insert("active".to_owned(), true.into());
        for identifier in client_identifiers() {
            claims.insert(identifier, CLIENT.into());
        }
        claims.insert("sub".to_owned(), PERSON.into());
        claims.insert("username".to_owned(), PERSON.into());
        claims.insert(name.to_owned(), value);
        Value::from(claims).to_string()
    };
    let echo =
        json!({"error": CLIENT, "error_description": format!("canary-token {CLIENT} {PERSON} {SECRET}")});
    let json = "application/json";

    for (place, status, content_type, body, expected) in [
        ("inactive", 200, json, claims("active", json!(false)), 401),
        ("active not a boolean", 200, json, claims("active", json!(CLIENT)), 502),
        ("active null", 200, json, claims("active", json!(null)), 502),
        ("expired", 200, json, claims("exp", json!(1_700_000_000)), 401),
        ("exp not a number", 200, json, claims("exp", json!(CLIENT)), 502),
        ("sub not a string", 200, json, claims("sub", json!([PERSON])), 502),
        ("act not an object", 200, json, claims("act", json!(CLIENT)), 502),
        ("scope an object", 200, json, claims("scope", json!({"a": CLIENT})), 403),
        ("other issuer", 200, json, claims("iss", json!("https://evil.example")), 401),
        ("other audience", 200, json, claims("aud", json!("https://other.example.com")), 401),
        ("ID token", 200, json, claims("aud", json!(CLIENT)), 401),
        ("no audience", 200, json, claims("aud", json!([])), 401),
        ("refresh token", 200, json, claims("token_type", json!("refresh_token")), 401),
        ("bound", 200, json, claims("cnf", json!({"jkt": PERSON})), 401),
        ("HTML", 200, "text/html", format!("<p>{CLIENT} {PERSON} {SECRET}"), 502),
        ("not JSON", 200, json, format!("{CLIENT} {PERSON}"), 502),
        ("status 400", 400, json, echo.to_string(), 502),
        ("status 401", 401, json, echo.to_string(), 500),
        ("status 403", 403, json, echo.to_string(), 500),
        ("status 418", 418, json, echo.to_string(), 502),
        ("status 500", 500, json, echo.to_string(), 503),
        ("status 429", 429, json, echo.to_string(), 503),
    ] {
        answer_introspection(&authority, status, content_type, &body);
        let server = authority.resource_server_with(validator()).build().unwrap();
        let token = format!("canary-token-{status}-{}", place.replace(' ', "-"));
        let expected = StatusCode::from_u16(expected).unwrap();
        match expected {
            StatusCode::FORBIDDEN => {
                let response =
                    app(&server, &Shown::default()).oneshot(request("/token", &token)).await.unwrap();
                let canaries = Canaries::all().and_token(&token);
                assert_eq!(canaries.assert_absent_in_answer(place, response).await.0, expected, "{place}");
            }
            _ => refuse(&server, place, &token, expected).await,
        }
    }
    authority.go_down();
    let server = authority.resource_server_with(validator()).build().unwrap();
    refuse(&server, "down", "canary-token-down", StatusCode::SERVICE_UNAVAILABLE).await;
}

/// Records all events as text, and metrics.
#[derive(Default)]
struct Watched {
    events: Mutex<Vec<String>>,
    metrics: MetricsObserver,
}

impl Observer for Watched {
    fn on_event(&self, event: &Event<'_>) {
        self.events.lock().unwrap().push(format!("{event:?}"));
        self.metrics.on_event(event);
    }
}

#[tokio::test]
async fn events_metrics_health_and_pseudonyms_reveal_neither_token_nor_client_nor_person() {
    Log::start();
    let recorder = DebuggingRecorder::new();
    let _local = metrics::set_default_local_recorder(&recorder);
    let authority = TestAuthorizationServer::new(ISSUER);
    let watched = Arc::new(Watched::default());
    let introspection = authority.introspection_validator(RESOURCE).build();
    let validator =
        RoutingValidator::new().route(authority.jwt_validator(RESOURCE).build()).otherwise(introspection);
    let server = authority.resource_server_with(validator);
    let server = server.observer(watched.clone()).pseudonym_key([7; 32]).build().unwrap();
    let good = jwt_with_canaries(&authority, unescaped);
    let forged = format!("{}AAAAAAAA", &good[..good.len() - 8]);
    let opaque = "canary-token-of-events";
    let answer = format!(
        "{},\"active\":true}}",
        claims_with_canaries(&authority.token(), unescaped).strip_suffix('}').unwrap()
    );
    answer_introspection(&authority, 200, "application/json", &answer);

    present_everywhere(&server, &good).await;
    present_everywhere(&server, opaque).await;
    refuse(&server, "forged", &forged, StatusCode::UNAUTHORIZED).await;
    answer_introspection(&authority, 200, "application/json", &answer[1..]);
    refuse(&server, "malformed", "canary-token-malformed", StatusCode::BAD_GATEWAY).await;
    authority.go_down();
    refuse(&server, "down", "canary-token-down", StatusCode::SERVICE_UNAVAILABLE).await;
    watched.metrics.record_health(&server.health());

    let mut canaries = Canaries::all();
    for token in [&*good, &forged, opaque, "canary-token-malformed", "canary-token-down"] {
        canaries = canaries.and_token(token);
    }
    let events = watched.events.lock().unwrap().join("\n");
    for event in ["RequestDecided", "RequestRefused", "ValidatorCalled", "KeysFetched", "IntrospectionCalled"]
    {
        assert!(events.contains(event), "no {event}");
    }
    canaries.assert_absent("events", &events);
    let snapshot = format!("{:?}", recorder.snapshotter().snapshot().into_vec());
    assert!(snapshot.contains("tower_bearer.refusals"));
    canaries.assert_absent("metrics", &snapshot);
    let health = server.health();
    canaries.assert_absent_in_debug("health", &health);
    canaries.assert_absent("health", &serde_json::to_string(&health).unwrap());
    assert!(health.sources.iter().any(|source| source.last_failure.is_some()));
}

#[test]
fn log_is_recorded() {
    let log = Log::start();

    tracing::trace!(canary = "canary-of-the-log", "recorded");

    assert!(log.text().contains("canary-of-the-log"), "the log records nothing");
}
