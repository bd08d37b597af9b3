//! Proves how tokens are introspected (RFC 7662), and how each kind of response is treated.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::AUTHORIZATION};
use serde_json::{Map, Value, json};
use tokio::{sync::Barrier, task::JoinSet};
use tower_bearer::{
    AuthorizationServer, BoxFuture, HttpClient, HttpError, IntrospectionValidator,
    IntrospectionValidatorBuilder, ResourceServer, ResourceServerCredential, UnixTime, ValidationError,
    testing::TestAuthorizationServer,
};
use url::form_urlencoded;

use crate::support::{Answer, App, ISSUER, Log, READ, RESOURCE, assert_reason, settle};

/// The metadata URL of [`ISSUER`].
const METADATA: &str = "https://as.example.com/.well-known/oauth-authorization-server";

const ENDPOINT: &str = "https://as.example.com/introspect";

fn app() -> (TestAuthorizationServer, App) {
    app_with(|builder| builder)
}

fn app_with(
    configure: impl FnOnce(IntrospectionValidatorBuilder) -> IntrospectionValidatorBuilder,
) -> (TestAuthorizationServer, App) {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = configure(authority.introspection_validator(RESOURCE)).build().unwrap();
    (authority.clone(), app_of(&authority, validator))
}

fn app_of(authority: &TestAuthorizationServer, validator: IntrospectionValidator) -> App {
    App::new(authority.resource_server_with(validator).build().unwrap().require_scopes(READ))
}

fn opaque_token(authority: &TestAuthorizationServer) -> String {
    authority.token().scope("orders:read").opaque()
}

/// Returns an active response for a valid token, for tests that then change one member.
fn active(authority: &TestAuthorizationServer) -> Value {
    let mut claims = authority.token().scope("orders:read").claims().clone();
    claims.insert("active".into(), true.into());
    claims.into()
}

/// Returns an active response with one member replaced, or removed if `value` is `None`.
fn active_with(authority: &TestAuthorizationServer, name: &str, value: impl Into<Option<Value>>) -> Value {
    let mut answer = active(authority);
    let members = answer.as_object_mut().unwrap();
    match value.into() {
        Some(value) => members.insert(name.into(), value),
        None => members.remove(name),
    };
    answer
}

/// Makes the endpoint answer every token with 200 and this body, labeled as JSON.
fn answer_with(authority: &TestAuthorizationServer, body: impl ToString) {
    let body = Bytes::from(body.to_string());
    authority.answer(ENDPOINT, move |_| response(200, "application/json", body.clone()));
}

fn response(status: u16, content_type: &str, body: impl Into<Bytes>) -> Response<Bytes> {
    Response::builder().status(status).header("content-type", content_type).body(body.into()).unwrap()
}

#[track_caller]
fn assert_malformed(answer: &Answer) {
    answer.assert_bad_gateway();
    assert_reason!(answer, ValidationError::IntrospectionMalformed { .. });
}

/// Parses the fields of the posted form, in order.
fn form(request: &Request<Bytes>) -> Vec<(String, String)> {
    form_urlencoded::parse(request.body()).into_owned().collect()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.into(), value.into())
}

#[tokio::test]
async fn r7662_01_token_is_posted_in_a_form() {
    let (authority, app) = app();
    let token = opaque_token(&authority);

    app.present(&token).await.assert_pass();

    let [request]: [_; 1] = authority.requests_to(ENDPOINT).try_into().unwrap();
    assert_eq!(request.method(), Method::POST);
    assert_eq!(request.headers()["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(request.headers()["accept"], "application/json");
    assert_eq!(form(&request), [pair("token", &token)]);
    assert!(authority.requests().iter().all(|request| !request.uri().to_string().contains(&token)));
}

#[tokio::test]
async fn r7662_01_token68_characters_are_sent_unchanged() {
    let (authority, app) = app();
    let token = "a+b/c~d.e_f-g==";

    app.present(token).await.assert_invalid_token();

    assert_eq!(form(&authority.requests_to(ENDPOINT)[0]), [pair("token", token)]);
}

#[tokio::test]
async fn r7662_02_token_type_hint_is_sent_if_configured() {
    let (authority, app) = app_with(IntrospectionValidatorBuilder::token_type_hint);
    let token = opaque_token(&authority);

    app.present(&token).await.assert_pass();

    let expected = [pair("token", &token), pair("token_type_hint", "access_token")];
    assert_eq!(form(&authority.requests_to(ENDPOINT)[0]), expected);
}

#[tokio::test]
async fn r7662_03_each_kind_of_credential_is_sent_in_one_place_only() {
    let (id, secret) = ("resource-server", "resource-server-secret");
    let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));

    for (credential, header, in_form) in [
        (ResourceServerCredential::secret_basic(id, secret), Some(basic), vec![]),
        (ResourceServerCredential::bearer(secret), Some(format!("Bearer {secret}")), vec![]),
        (
            ResourceServerCredential::secret_post(id, secret),
            None,
            vec![pair("client_id", id), pair("client_secret", secret)],
        ),
    ] {
        let authority = TestAuthorizationServer::new(ISSUER);
        let server = authority.authorization_server();
        let validator = IntrospectionValidator::builder(server, credential, RESOURCE);
        let app = app_of(&authority, validator.clock(authority.clock().clone()).build().unwrap());
        let token = authority.token().audience(RESOURCE).scope("orders:read").opaque();

        app.present(&token).await.assert_pass();

        let [request]: [_; 1] = authority.requests_to(ENDPOINT).try_into().unwrap();
        let headers: Vec<_> = request.headers().get_all(AUTHORIZATION).iter().collect();
        assert_eq!(headers, header.iter().collect::<Vec<_>>());
        assert!(headers.iter().all(|value| value.is_sensitive()));
        assert_eq!(form(&request)[1..], in_form);
        // Discovery is public, so the credential is not sent.
        let discovery = &authority.requests_to(&authority.metadata_url())[0];
        assert!(!discovery.headers().contains_key(AUTHORIZATION));
        assert!(authority.requests().iter().all(|request| !request.uri().to_string().contains(secret)));
    }
}

// RFC 6749 section 2.3.1: both halves are form-encoded before they are joined by a colon.
#[tokio::test]
async fn r7662_03_basic_credential_is_form_encoded() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let credential = ResourceServerCredential::secret_basic("orders:eu", "s%c r+t/\u{e9}");
    let validator = IntrospectionValidator::builder(authority.authorization_server(), credential, RESOURCE);
    let app = app_of(&authority, validator.build().unwrap());

    app.present("token").await.assert_internal();

    let expected = format!("Basic {}", STANDARD.encode("orders%3Aeu:s%25c+r%2Bt%2F%C3%A9"));
    assert_eq!(authority.requests_to(ENDPOINT)[0].headers()[AUTHORIZATION], expected);
}

#[test]
fn r7662_03_credential_with_invalid_header_characters_is_refused() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let credential = ResourceServerCredential::bearer("s3cret\n");

    let error = IntrospectionValidator::builder(authority.authorization_server(), credential, RESOURCE)
        .build()
        .unwrap_err()
        .to_string();

    assert!(error.contains("credential") && !error.contains("s3cret"), "{error}");
}

#[tokio::test]
async fn r7662_05_active_that_is_not_a_boolean_is_502() {
    let (authority, app) = app();
    let token = opaque_token(&authority);
    let twice = |active: &str| active_with(&authority, "active", None).to_string().replacen('{', active, 1);

    for body in [
        active_with(&authority, "active", json!("true")).to_string(),
        active_with(&authority, "active", json!(1)).to_string(),
        active_with(&authority, "active", json!(null)).to_string(),
        active_with(&authority, "active", json!([true])).to_string(),
        active_with(&authority, "active", None).to_string(),
        twice(r#"{"active":true,"active":true,"#),
        twice(r#"{"active":false,"active":true,"#),
        twice(r#"{"active":true,"\u0061ctive":false,"#),
    ] {
        answer_with(&authority, &body);

        assert_malformed(&app.present(&token).await);
    }
    // None of these responses was cached.
    authority.answer_as_usual(ENDPOINT);
    app.present(&token).await.assert_pass();
    assert_eq!(authority.introspections(), 9);
}

#[tokio::test]
async fn r7662_06_inactive_token_is_refused_regardless_of_other_members() {
    for body in [
        json!({"active": false}),
        json!({"active": false, "scope": "admin orders:read", "aud": RESOURCE, "iss": ISSUER}),
        json!({"active": false, "exp": "never", "aud": 7}),
    ] {
        let (authority, app) = app();
        answer_with(&authority, body);

        let answer = app.present(&opaque_token(&authority)).await;

        answer.assert_invalid_token();
        answer.assert_challenge(
            "Bearer error=\"invalid_token\", error_description=\"The access token is malformed, expired, \
             withdrawn or not for this resource\", scope=\"orders:read\"",
        );
        assert_reason!(answer, ValidationError::Inactive);
    }
}

#[tokio::test]
async fn r7662_06_inactive_response_is_cached_for_5_seconds() {
    let (authority, app) = app();

    for (seconds, introspections) in [(0, 1), (4, 1), (1, 2), (0, 2)] {
        authority.clock().advance(Duration::from_secs(seconds));
        assert_reason!(app.present("junk").await, ValidationError::Inactive);
        assert_eq!(authority.introspections(), introspections);
    }
}

#[tokio::test]
async fn r7662_06_inactive_ttl_of_zero_caches_nothing() {
    for configure in [
        |builder: IntrospectionValidatorBuilder| builder.inactive_ttl(Duration::ZERO),
        |builder: IntrospectionValidatorBuilder| builder.cache_ttl(Duration::ZERO),
    ] {
        let (authority, app) = app_with(configure);

        for introspections in 1..=3 {
            app.present("junk").await.assert_invalid_token();
            assert_eq!(authority.introspections(), introspections);
        }
    }
}

#[tokio::test]
async fn r7662_07_times_of_an_active_token_are_checked() {
    let (authority, app) = app();
    let now = UnixTime::from_secs(1_800_000_000);
    assert_eq!(tower_bearer::Clock::now(authority.clock()), now);

    // The clock skew is 30 seconds.
    for (claim, value, passes) in [
        ("exp", json!(now.as_secs() - 29), true),
        ("exp", json!(now.as_secs() - 30), false),
        ("exp", json!(1_000), false),
        ("nbf", json!(now.as_secs() + 30), true),
        ("nbf", json!(now.as_secs() + 31), false),
        ("exp", Value::Null, true),
    ] {
        let value = Some(value).filter(|value| !value.is_null());
        answer_with(&authority, active_with(&authority, claim, value.clone()));

        // Use a new token for each case, because responses are cached.
        let answer = app.present(&opaque_token(&authority)).await;

        match (passes, claim) {
            (true, _) => answer.assert_pass(),
            (false, "exp") => assert_reason!(answer, ValidationError::Expired { .. }),
            (false, _) => assert_reason!(answer, ValidationError::NotYetValid { claim: "nbf", .. }),
        }
        if !passes {
            answer.assert_invalid_token();
        }
    }
}

#[tokio::test]
async fn r7662_07_time_that_is_not_a_number_is_502() {
    let (authority, app) = app();

    for (claim, value) in
        [("exp", json!("1900000000")), ("exp", json!(-1)), ("nbf", json!("0")), ("iat", json!({}))]
    {
        answer_with(&authority, active_with(&authority, claim, value));

        assert_malformed(&app.present(&opaque_token(&authority)).await);
    }
}

#[tokio::test]
async fn null_member_counts_as_absent() {
    let (authority, app) = app();

    for name in ["exp", "nbf", "iat", "sub", "jti", "username", "token_type"] {
        answer_with(&authority, active_with(&authority, name, json!(null)));

        app.present(&opaque_token(&authority)).await.assert_pass();
    }
    answer_with(&authority, active_with(&authority, "aud", json!(null)));
    let answer = app.present(&opaque_token(&authority)).await;
    answer.assert_invalid_token();
    assert_reason!(answer, ValidationError::AudienceMismatch { .. });
}

#[tokio::test]
async fn r7662_08_response_without_our_audience_is_refused() {
    let strict = app();
    let trusting = app_with(IntrospectionValidatorBuilder::dangerously_allow_missing_audience);

    for (aud, passes_strict, passes_trusting) in [
        (Some(json!(RESOURCE)), true, true),
        (Some(json!(["https://other.example.com", RESOURCE])), true, true),
        (Some(json!("https://other.example.com")), false, false),
        (Some(json!(["https://other.example.com"])), false, false),
        (Some(json!("https://orders.example.com.evil.example")), false, false),
        (Some(json!("HTTPS://ORDERS.EXAMPLE.COM")), false, false),
        (Some(json!("https://orders.example.com/orders")), false, false),
        (Some(json!("")), false, false),
        (None, false, true),
        (Some(json!([])), false, true),
    ] {
        for ((authority, app), passes) in [(&strict, passes_strict), (&trusting, passes_trusting)] {
            answer_with(authority, active_with(authority, "aud", aud.clone()));

            let answer = app.present(&opaque_token(authority)).await;

            if passes {
                answer.assert_pass();
                continue;
            }
            answer.assert_invalid_token();
            let named = match &aud {
                Some(Value::Array(names)) => names.len(),
                Some(_) => 1,
                None => 0,
            };
            assert_reason!(
                answer,
                ValidationError::AudienceMismatch { found, .. } if *found == named
            );
        }
    }
}

#[tokio::test]
async fn r7662_08_log_names_the_setting_for_a_missing_audience() {
    let (authority, app) = app();
    let (log, _recording) = Log::record();
    answer_with(&authority, active_with(&authority, "aud", None));

    app.present(&opaque_token(&authority)).await.assert_invalid_token();

    assert!(log.text().contains("dangerously_allow_missing_audience()"), "{}", log.text());
}

#[tokio::test]
async fn r7662_09_response_with_another_issuer_is_refused() {
    let (authority, app) = app();

    for iss in ["https://as.example.com/", "https://AS.example.com", "https://other.example.com", ""] {
        answer_with(&authority, active_with(&authority, "iss", json!(iss)));

        let answer = app.present(&opaque_token(&authority)).await;

        answer.assert_invalid_token();
        assert_reason!(answer, ValidationError::IssuerMismatch { expected, .. } if **expected == *ISSUER);
    }
    answer_with(&authority, active_with(&authority, "iss", None));
    app.present(&opaque_token(&authority)).await.assert_pass();
}

#[tokio::test]
async fn r7662_10_scope_is_a_string_and_an_array_only_if_configured() {
    let strict = app();
    let relaxed = app_with(IntrospectionValidatorBuilder::accept_scope_array);

    for (scope, passes_strict, passes_relaxed) in [
        (json!("orders:read"), true, true),
        (json!("orders:list orders:read"), true, true),
        (json!("orders:list"), false, false),
        (json!("orders:read:all"), false, false),
        (json!(["orders:list", "orders:read"]), false, true),
        (json!(["orders:list orders:read"]), false, false),
        (json!([]), false, false),
    ] {
        for ((authority, app), passes) in [(&strict, passes_strict), (&relaxed, passes_relaxed)] {
            answer_with(authority, active_with(authority, "scope", scope.clone()));

            let answer = app.present(&opaque_token(authority)).await;

            if passes {
                answer.assert_pass();
            } else {
                answer.assert_insufficient_scope("orders:read");
                assert_reason!(answer, ValidationError::InsufficientScope { .. });
            }
        }
    }
}

#[tokio::test]
async fn r7662_11_client_identity_is_dropped() {
    let (log, _recording) = Log::record();
    let (authority, app) = app();
    let canary = "canary-4711";
    let identifying = ["client_id", "username", "azp", "cid", "appid", "client_name"];
    let mut body = active(&authority);
    for name in identifying {
        body[name] = canary.into();
    }
    body["act"] = json!({"sub": "bob", "client_id": canary, "act": {"azp": canary}});
    answer_with(&authority, body);

    app.present(&opaque_token(&authority)).await.assert_pass();

    let token = app.last_seen().token.unwrap();
    for name in identifying {
        assert_eq!(token.claim::<Value>(name).unwrap(), None, "{name}");
    }
    let all: Map<String, Value> = token.deserialize().unwrap();
    assert_eq!(all["act"], json!({"sub": "bob", "act": {}}));
    assert!(identifying.iter().all(|name| !all.contains_key(*name)), "{all:?}");
    assert!(!all.contains_key("active"));
    for text in [format!("{token:?}"), serde_json::to_string(token.claims()).unwrap(), log.text()] {
        assert!(!text.contains(canary), "{text}");
    }
}

#[tokio::test]
async fn r7662_12_server_error_is_503_and_not_cached() {
    for status in [500, 502, 503, 504, 429] {
        let (authority, app) = app();
        let token = opaque_token(&authority);
        // The body must not be used.
        authority.answer(ENDPOINT, move |_| response(status, "application/json", r#"{"active":false}"#));

        let answer = app.present(&token).await;

        answer.assert_unavailable();
        assert_reason!(answer, ValidationError::IntrospectionUnavailable { .. });
        // The failure was not cached, so the token passes once the server has recovered.
        authority.answer_as_usual(ENDPOINT);
        app.present(&token).await.assert_pass();
    }
}

#[tokio::test]
async fn r7662_12_unreachable_authorization_server_is_503_and_not_cached() {
    let (authority, app) = app();
    let token = opaque_token(&authority);
    authority.go_down();

    // First the metadata is unreachable, then the endpoint.
    for _ in 0..2 {
        let answer = app.present(&token).await;

        answer.assert_unavailable();
        assert_reason!(answer, ValidationError::IntrospectionUnavailable { .. });
        authority.come_back();
        app.present("other").await.assert_invalid_token();
        authority.go_down();
    }
    authority.come_back();
    app.present(&token).await.assert_pass();
}

#[tokio::test]
async fn r7662_12_timeout_is_503_and_not_cached() {
    let (authority, app) = app_with(|builder| builder.timeout(Duration::from_millis(100)));
    let token = opaque_token(&authority);
    authority.hold(ENDPOINT);

    let answer = app.present(&token).await;

    answer.assert_unavailable();
    assert_reason!(answer, ValidationError::IntrospectionUnavailable { .. });
    authority.release(ENDPOINT);
    app.present(&token).await.assert_pass();
}

/// A client whose connection always fails with this error.
#[derive(Debug)]
struct FailingClient(&'static str);

impl HttpClient for FailingClient {
    fn send(&self, _: Request<Bytes>, _: usize) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        Box::pin(async { Err(HttpError::new(self.0)) })
    }
}

#[tokio::test]
async fn r7662_12_broken_connection_is_503() {
    for error in ["invalid peer certificate: Expired", "unexpected end of file, 20 bytes of 60 were read"] {
        let authority = TestAuthorizationServer::new(ISSUER);
        let server = AuthorizationServer::with_endpoints(ISSUER).introspection_endpoint(ENDPOINT);
        let server = server.http_client(FailingClient(error));
        let credential = ResourceServerCredential::bearer("s3cret");
        let validator = IntrospectionValidator::builder(server, credential, RESOURCE).build().unwrap();

        let answer = app_of(&authority, validator).present("token").await;

        answer.assert_unavailable();
        assert_reason!(
            answer,
            ValidationError::IntrospectionUnavailable { reason, .. } if reason.contains(error)
        );
    }
}

#[tokio::test]
async fn retry_after_of_a_429_is_passed_on_within_limits() {
    let (authority, app) = app();

    // Up to a few seconds of jitter are added. The value is capped at a minute, and dates are ignored.
    for (sent, at_least) in
        [("7", 7), ("0", 1), ("86400", 60), ("Fri, 31 Dec 1999 23:59:59 GMT", 1), ("-1", 1)]
    {
        authority.answer(ENDPOINT, move |_| {
            let mut busy = response(429, "text/plain", "");
            busy.headers_mut().insert("retry-after", sent.parse().unwrap());
            busy
        });

        let answer = app.present(&opaque_token(&authority)).await;

        answer.assert_unavailable();
        let seconds: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((at_least..at_least + 5).contains(&seconds), "{sent}: {seconds}");
    }
}

#[tokio::test]
async fn r7662_14_refused_credential_is_500() {
    for status in [401, 403, 404, 405] {
        let (authority, app) = app();
        let token = opaque_token(&authority);
        authority.answer(ENDPOINT, move |_| response(status, "application/json", r#"{"active":false}"#));

        let answer = app.present(&token).await;

        answer.assert_internal();
        assert_reason!(
            answer,
            ValidationError::IntrospectionRefused { status: found, .. } if *found == status
        );
        assert!(!answer.headers.contains_key("www-authenticate"));
        // The failure was not cached.
        authority.answer_as_usual(ENDPOINT);
        app.present(&token).await.assert_pass();
    }
}

#[tokio::test]
async fn r7662_14_response_400_is_502_and_the_log_mentions_the_credential() {
    let (authority, app) = app();
    let (log, _recording) = Log::record();
    authority.answer(ENDPOINT, |_| response(400, "application/json", r#"{"error":"invalid_request"}"#));

    assert_malformed(&app.present(&opaque_token(&authority)).await);
    assert!(log.text().contains("credential"), "{}", log.text());
}

#[tokio::test]
async fn r7662_15_response_that_is_not_json_or_too_long_is_502() {
    let (authority, app) = app();
    let body = active(&authority).to_string();
    let padded = |length: usize| format!("{body}{}", " ".repeat(length - body.len()));

    for (content_type, body, passes) in [
        ("application/json", body.clone(), true),
        ("application/json; charset=utf-8", body.clone(), true),
        ("Application/JSON", body.clone(), true),
        ("text/html", body.clone(), false),
        ("text/html", "<html>Sign in</html>".to_owned(), false),
        ("application/json", "<html>Sign in</html>".to_owned(), false),
        ("application/token-introspection+jwt", body.clone(), false),
        ("", body.clone(), false),
        ("application/json", String::new(), false),
        ("application/json", body[..body.len() - 1].to_owned(), false),
        ("application/json", format!("[{body}]"), false),
        ("application/json", format!("{body}{body}"), false),
        ("application/json", padded(256 * 1024), true),
        ("application/json", padded(256 * 1024 + 1), false),
        ("application/json", padded(300 * 1024), false),
    ] {
        let length = body.len();
        authority.answer(ENDPOINT, move |_| response(200, content_type, body.clone()));

        let answer = app.present(&opaque_token(&authority)).await;

        if passes {
            answer.assert_pass();
        } else {
            assert_malformed(&answer);
        }
        assert_eq!(answer.status == StatusCode::OK, passes, "{content_type}, {length} bytes");
    }
}

#[tokio::test]
async fn r7662_16_response_is_cached_for_the_configured_ttl() {
    let (authority, app) = app_with(|builder| builder.cache_ttl(Duration::from_secs(60)));
    let token = opaque_token(&authority);

    for (seconds, introspections) in [(0, 1), (59, 1), (1, 2), (59, 2), (1, 3)] {
        authority.clock().advance(Duration::from_secs(seconds));
        app.present(&token).await.assert_pass();
        assert_eq!(authority.introspections(), introspections);
    }
}

// RFC 7662 section 4: "If the response contains the "exp" parameter (expiration), the response MUST NOT be cached
// beyond the time indicated therein." The clock skew of 30 seconds applies to validation, not to caching.
#[tokio::test]
async fn r7662_16_response_is_not_cached_beyond_exp() {
    let (authority, app) = app_with(|builder| builder.cache_ttl(Duration::from_secs(60)));
    let exp = UnixTime::from_secs(1_800_000_005).as_secs();
    answer_with(&authority, active_with(&authority, "exp", json!(exp)));
    let token = opaque_token(&authority);

    for (seconds, introspections) in [(0, 1), (4, 1), (1, 2), (1, 3)] {
        authority.clock().advance(Duration::from_secs(seconds));
        app.present(&token).await.assert_pass();
        assert_eq!(authority.introspections(), introspections);
    }
}

// The wall clock can be set forward while the monotonic clock does not move.
#[tokio::test]
async fn r7662_16_cached_response_is_dropped_if_the_clock_is_set_beyond_exp() {
    let (authority, app) = app();
    let exp = UnixTime::from_secs(1_800_000_005);
    answer_with(&authority, active_with(&authority, "exp", json!(exp.as_secs())));
    let token = opaque_token(&authority);
    app.present(&token).await.assert_pass();
    authority.clock().set(exp);

    app.present(&token).await.assert_pass();

    assert_eq!(authority.introspections(), 2);
}

#[tokio::test]
async fn r7662_16_cache_ttl_of_zero_caches_nothing() {
    let (authority, app) = app_with(|builder| builder.cache_ttl(Duration::ZERO));
    let token = opaque_token(&authority);

    for introspections in 1..=3 {
        app.present(&token).await.assert_pass();
        assert_eq!(authority.introspections(), introspections);
    }
    authority.revoke(&token);
    app.present(&token).await.assert_invalid_token();
}

#[tokio::test]
async fn r7662_17_cached_token_is_refused_once_it_has_expired() {
    let (authority, app) = app_with(|builder| builder.cache_ttl(Duration::from_secs(3_600)));
    let exp = UnixTime::from_secs(1_800_000_600);
    // The server keeps reporting the token as active.
    answer_with(&authority, active_with(&authority, "exp", json!(exp.as_secs())));
    let token = opaque_token(&authority);
    app.present(&token).await.assert_pass();
    authority.clock().advance(Duration::from_secs(599));
    app.present(&token).await.assert_pass();
    assert_eq!(authority.introspections(), 1);
    authority.clock().advance(Duration::from_secs(31));

    let answer = app.present(&token).await;

    answer.assert_invalid_token();
    assert_reason!(answer, ValidationError::Expired { exp: found, .. } if *found == exp);
}

const CALLERS: usize = 1_000;

/// Polls a future once.
fn poll_once<F: Future>(caller: Pin<&mut F>) -> Poll<F::Output> {
    caller.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn r7662_18_thousand_callers_share_one_call_even_if_the_first_is_cancelled() {
    let (authority, app) = app();
    let token = opaque_token(&authority);
    authority.hold(ENDPOINT);
    let mut callers: Vec<_> = (0..CALLERS).map(|_| Box::pin(app.present(&token))).collect();
    for caller in &mut callers {
        // Each of them now waits for the call that the first one started.
        assert!(poll_once(caller.as_mut()).is_pending());
    }
    drop(callers.remove(0));
    authority.release(ENDPOINT);

    for caller in callers {
        let answer = caller.await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, &b"orders"[..]));
    }

    assert_eq!(authority.introspections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r7662_18_thousand_callers_on_several_threads_share_one_call() {
    let (authority, app) = app();
    let token: Arc<str> = opaque_token(&authority).into();
    authority.hold(ENDPOINT);
    let mut first = Box::pin(app.present(&token));
    assert!(poll_once(first.as_mut()).is_pending());
    let all_wait = Arc::new(Barrier::new(CALLERS));
    let mut callers = JoinSet::new();
    for _ in 1..CALLERS {
        let (app, token, all_wait) = (app.clone(), Arc::clone(&token), Arc::clone(&all_wait));
        callers.spawn(async move {
            let mut caller = pin!(app.present(&token));
            assert!(poll_once(caller.as_mut()).is_pending());
            all_wait.wait().await;
            caller.await.status
        });
    }

    all_wait.wait().await;
    drop(first);
    authority.release(ENDPOINT);
    let statuses = callers.join_all().await;

    assert_eq!(statuses, vec![StatusCode::OK; CALLERS - 1]);
    assert_eq!(authority.introspections(), 1);
}

#[tokio::test]
async fn r7662_18_callers_with_an_inactive_token_share_one_call() {
    let (authority, app) = app_with(|builder| builder.inactive_ttl(Duration::ZERO));
    authority.hold(ENDPOINT);
    let mut callers: Vec<_> = (0..10).map(|_| Box::pin(app.present("junk"))).collect();
    for caller in &mut callers {
        assert!(poll_once(caller.as_mut()).is_pending());
    }
    authority.release(ENDPOINT);

    for caller in callers {
        assert_reason!(caller.await, ValidationError::Inactive);
    }

    assert_eq!(authority.introspections(), 1);
}

#[tokio::test]
async fn r7662_19_two_resource_servers_do_not_share_cached_responses() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.introspection_validator(RESOURCE).build().unwrap();
    let one = app_of(&authority, validator.clone());
    let other = app_of(&authority, validator);
    let token = opaque_token(&authority);

    for (app, introspections) in [(&one, 1), (&other, 2), (&one, 2), (&other, 2)] {
        app.present(&token).await.assert_pass();
        assert_eq!(authority.introspections(), introspections);
    }
}

#[tokio::test]
async fn r7662_19_debug_output_and_logs_show_neither_token_nor_credential() {
    let (log, _recording) = Log::record();
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.introspection_validator(RESOURCE).build().unwrap();
    let server = authority.resource_server_with(validator.clone()).build().unwrap();
    let app = App::new(server.require_scopes(READ));
    let token = opaque_token(&authority);
    app.present(&token).await.assert_pass();
    app.present("opaque-junk").await.assert_invalid_token();
    authority.go_down();
    app.present("opaque-other").await.assert_unavailable();

    let texts =
        [format!("{server:?}"), format!("{validator:?}"), format!("{:?}", app.last_seen()), log.text()];

    for text in texts {
        for secret in [token.as_str(), "opaque-junk", "opaque-other", "resource-server-secret"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

/// More than the 10 000 inactive tokens that are cached.
const JUNK: usize = 11_000;

#[tokio::test]
async fn r7662_20_inactive_tokens_do_not_evict_active_ones() {
    // The cache holds only a few tokens, so a single inactive one in it would soon evict the active one.
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.introspection_validator(RESOURCE).build().unwrap();
    let server = authority.resource_server_with(validator).verdict_cache_bytes(16 * 1024).build().unwrap();
    let app = App::new(server.require_scopes(READ));
    let token = opaque_token(&authority);
    app.present(&token).await.assert_pass();

    for number in 0..JUNK {
        assert_eq!(app.present(&format!("junk-{number}")).await.status, StatusCode::UNAUTHORIZED);
    }

    app.present(&token).await.assert_pass();
    let introspections_of_token = authority
        .requests_to(ENDPOINT)
        .iter()
        .filter(|request| request.body().ends_with(token.as_bytes()))
        .count();
    assert_eq!(introspections_of_token, 1, "the active token was evicted");
    assert_eq!(authority.introspections(), 1 + JUNK);
}

#[tokio::test]
async fn r7662_23_configured_endpoint_without_https_is_refused() {
    let server = || AuthorizationServer::with_endpoints(ISSUER);
    let build = |server| {
        let credential = ResourceServerCredential::secret_basic("orders", "secret");
        IntrospectionValidator::builder(server, credential, RESOURCE).build()
    };

    for endpoint in
        ["http://as/introspect", "http://as.example.com/introspect", "http://127.0.0.1:8080/introspect"]
    {
        let error = build(server().introspection_endpoint(endpoint)).unwrap_err().to_string();
        assert!(error.starts_with("introspection_endpoint "), "{error}");
    }
    let loopback = AuthorizationServer::with_endpoints("http://127.0.0.1:8080").allow_http_on_loopback();
    assert!(build(loopback.introspection_endpoint("http://127.0.0.1:8080/introspect")).is_ok());
}

#[tokio::test]
async fn r7662_23_endpoint_without_https_in_the_metadata_is_never_called() {
    let (authority, app) = app();
    let endpoint = "http://as.example.com/introspect";
    authority.answer(&authority.metadata_url(), move |_| {
        let metadata = json!({"issuer": ISSUER, "introspection_endpoint": endpoint});
        response(200, "application/json", metadata.to_string())
    });

    let answer = app.present(&opaque_token(&authority)).await;

    answer.assert_unavailable();
    assert_reason!(answer, ValidationError::IntrospectionUnavailable { .. });
    assert!(authority.requests_to(endpoint).is_empty());
}

#[tokio::test]
async fn r7662_24_redirects_are_not_followed() {
    let (authority, app) = app();
    let elsewhere = "https://as.example.com/elsewhere";
    let body = active(&authority).to_string();
    authority.answer(elsewhere, move |_| response(200, "application/json", body.clone()));

    for status in [301, 302, 303, 307, 308] {
        authority.answer(ENDPOINT, move |_| {
            let mut redirect = response(status, "application/json", "");
            redirect.headers_mut().insert("location", elsewhere.parse().unwrap());
            redirect
        });

        assert_malformed(&app.present(&opaque_token(&authority)).await);
    }
    assert!(authority.requests_to(elsewhere).is_empty());
}

#[tokio::test]
async fn r7662_25_token_bound_to_a_key_is_refused_as_a_bearer_token() {
    let (authority, app) = app();

    for cnf in [
        json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
        json!({"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}),
        json!({}),
        json!({"jkt": 1}),
        json!({"foo": 1}),
        json!("x"),
    ] {
        answer_with(&authority, active_with(&authority, "cnf", cnf));
        let token = opaque_token(&authority);

        // Uncached, then cached.
        for _ in 0..2 {
            let answer = app.present(&token).await;

            answer.assert_invalid_token();
            assert_reason!(answer, ValidationError::SenderConstraintNotProved);
        }
    }
}

#[tokio::test]
async fn r7662_26_token_of_another_scheme_is_refused_as_a_bearer_token() {
    let (authority, app) = app();

    for (token_type, passes) in [
        (Some(json!("DPoP")), false),
        (Some(json!("dpop")), false),
        (Some(json!("Bearer")), true),
        (Some(json!("bearer")), true),
        (Some(json!("access_token")), true),
        (Some(json!(7)), true),
        (None, true),
    ] {
        answer_with(&authority, active_with(&authority, "token_type", token_type));

        let answer = app.present(&opaque_token(&authority)).await;

        if passes {
            answer.assert_pass();
        } else {
            answer.assert_invalid_token();
            assert_reason!(answer, ValidationError::SenderConstraintNotProved);
        }
    }
}

#[tokio::test]
async fn r7662_27_refresh_and_id_tokens_are_refused() {
    let (authority, app) = app();

    for (name, value, passes) in [
        ("token_type", "refresh_token", false),
        ("token_type", "REFRESH_TOKEN", false),
        ("token_type", "id_token", false),
        ("token_use", "refresh_token", false),
        ("token_use", "id", false),
        ("typ", "Refresh", false),
        ("typ", "Offline", false),
        ("typ", "ID", false),
        ("typ", "Bearer", true),
        ("typ", "at+jwt", true),
        ("token_use", "access", true),
        ("token_use", "access_token", true),
    ] {
        answer_with(&authority, active_with(&authority, name, json!(value)));

        let answer = app.present(&opaque_token(&authority)).await;

        if passes {
            answer.assert_pass();
        } else {
            answer.assert_invalid_token();
            assert_reason!(answer, ValidationError::NotAnAccessToken { .. });
        }
    }
}

#[tokio::test]
async fn r7662_28_unknown_members_are_kept_as_claims() {
    let (authority, app) = app();
    let mut body = active(&authority);
    body["tenant"] = "north".into();
    body["https://example.com/roles"] = json!(["picker", {"level": 2}]);
    answer_with(&authority, body);

    app.present(&opaque_token(&authority)).await.assert_pass();

    let token = app.last_seen().token.unwrap();
    assert_eq!(token.claim::<String>("tenant").unwrap().as_deref(), Some("north"));
    let roles: Option<Value> = token.claim("https://example.com/roles").unwrap();
    assert_eq!(roles, Some(json!(["picker", {"level": 2}])));
}

#[test]
fn building_an_introspection_validator_sends_no_request() {
    let authority = TestAuthorizationServer::new(ISSUER);
    authority.go_down();

    let validator = authority.introspection_validator(RESOURCE).build().unwrap();
    ResourceServer::builder(validator).build().unwrap();

    assert!(authority.requests().is_empty());
}

#[tokio::test]
async fn r7662_29_failed_endpoint_discovery_is_not_repeated_for_every_token() {
    let (authority, app) = app();
    authority.answer(METADATA, |_| {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NOT_FOUND;
        response
    });

    for index in 0..100 {
        app.present(&format!("token-{index}")).await.assert_unavailable();
    }

    assert_eq!(authority.requests_to(METADATA).len(), 1);
    authority.answer_as_usual(METADATA);
    authority.clock().advance(Duration::from_secs(1));
    app.present(&opaque_token(&authority)).await.assert_pass();
}

#[tokio::test]
async fn r7662_29_response_404_does_not_cause_discovery_on_every_request() {
    let (authority, app) = app_with(|builder| builder.cache_ttl(Duration::ZERO));
    app.present(&opaque_token(&authority)).await.assert_pass();
    authority.answer(ENDPOINT, |_| {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NOT_FOUND;
        response
    });

    for _ in 0..50 {
        app.present("../../etc/passwd").await.assert_internal();
    }
    assert_eq!(authority.requests_to(METADATA).len(), 1);

    authority.clock().advance(Duration::from_secs(10));
    app.present("x").await.assert_internal();
    // Let the background discovery finish.
    settle().await;
    authority.answer_as_usual(ENDPOINT);
    app.present(&opaque_token(&authority)).await.assert_pass();
    assert_eq!(authority.requests_to(METADATA).len(), 2);
}
