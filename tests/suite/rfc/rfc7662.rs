//! RFC 7662: asking the authorization server, and what its answers are worth.

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

/// Where the metadata of the server is.
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

fn good(authority: &TestAuthorizationServer) -> String {
    authority.token().scope("orders:read").opaque()
}

/// The answer for a good token, to break one thing of.
fn active(authority: &TestAuthorizationServer) -> Value {
    let mut claims = authority.token().scope("orders:read").claims().clone();
    claims.insert("active".into(), true.into());
    claims.into()
}

/// The answer for a good token, but for one member.
fn active_but(authority: &TestAuthorizationServer, name: &str, value: impl Into<Option<Value>>) -> Value {
    let mut answer = active(authority);
    let members = answer.as_object_mut().unwrap();
    match value.into() {
        Some(value) => members.insert(name.into(), value),
        None => members.remove(name),
    };
    answer
}

/// Lets the endpoint answer 200 with this text as JSON, whatever the token.
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

/// The fields of the form that was sent, in order.
fn form(request: &Request<Bytes>) -> Vec<(String, String)> {
    form_urlencoded::parse(request.body()).into_owned().collect()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.into(), value.into())
}

#[tokio::test]
async fn r7662_01_token_is_posted_in_a_form() {
    let (authority, app) = app();
    let token = good(&authority);

    app.present(&token).await.assert_pass();

    let [request]: [_; 1] = authority.requests_to(ENDPOINT).try_into().unwrap();
    assert_eq!(request.method(), Method::POST);
    assert_eq!(request.headers()["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(request.headers()["accept"], "application/json");
    assert_eq!(form(&request), [pair("token", &token)]);
    assert!(authority.requests().iter().all(|request| !request.uri().to_string().contains(&token)));
}

#[tokio::test]
async fn r7662_01_every_token68_arrives_as_it_was_presented() {
    let (authority, app) = app();
    let token = "a+b/c~d.e_f-g==";

    app.present(token).await.assert_invalid_token();

    assert_eq!(form(&authority.requests_to(ENDPOINT)[0]), [pair("token", token)]);
}

#[tokio::test]
async fn r7662_02_token_type_hint_is_sent_if_configured() {
    let (authority, app) = app_with(IntrospectionValidatorBuilder::token_type_hint);
    let token = good(&authority);

    app.present(&token).await.assert_pass();

    let expected = [pair("token", &token), pair("token_type_hint", "access_token")];
    assert_eq!(form(&authority.requests_to(ENDPOINT)[0]), expected);
}

#[tokio::test]
async fn r7662_03_each_kind_of_credential_is_presented_in_its_one_place() {
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
        // Discovery is public: nobody is told who asks.
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
fn r7662_03_credential_that_no_header_can_hold_is_refused() {
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
    let token = good(&authority);
    let twice = |active: &str| active_but(&authority, "active", None).to_string().replacen('{', active, 1);

    for body in [
        active_but(&authority, "active", json!("true")).to_string(),
        active_but(&authority, "active", json!(1)).to_string(),
        active_but(&authority, "active", json!(null)).to_string(),
        active_but(&authority, "active", json!([true])).to_string(),
        active_but(&authority, "active", None).to_string(),
        twice(r#"{"active":true,"active":true,"#),
        twice(r#"{"active":false,"active":true,"#),
        twice(r#"{"active":true,"\u0061ctive":false,"#),
    ] {
        answer_with(&authority, &body);

        assert_malformed(&app.present(&token).await);
    }
    // Nothing of that was remembered.
    authority.answer_as_usual(ENDPOINT);
    app.present(&token).await.assert_pass();
    assert_eq!(authority.introspections(), 9);
}

#[tokio::test]
async fn r7662_06_inactive_token_is_refused_whatever_else_is_said() {
    for body in [
        json!({"active": false}),
        json!({"active": false, "scope": "admin orders:read", "aud": RESOURCE, "iss": ISSUER}),
        json!({"active": false, "exp": "never", "aud": 7}),
    ] {
        let (authority, app) = app();
        answer_with(&authority, body);

        let answer = app.present(&good(&authority)).await;

        answer.assert_invalid_token();
        answer.assert_challenge(
            "Bearer error=\"invalid_token\", error_description=\"The access token is malformed, expired, \
             withdrawn or not for this resource\", scope=\"orders:read\"",
        );
        assert_reason!(answer, ValidationError::Inactive);
    }
}

#[tokio::test]
async fn r7662_06_inactive_token_is_remembered_for_a_few_seconds() {
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
async fn r7662_07_times_of_an_active_token_are_checked_again() {
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
        answer_with(&authority, active_but(&authority, claim, value.clone()));

        // A token of its own for each, since a verdict may be remembered.
        let answer = app.present(&good(&authority)).await;

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
        answer_with(&authority, active_but(&authority, claim, value));

        assert_malformed(&app.present(&good(&authority)).await);
    }
}

#[tokio::test]
async fn member_that_is_null_counts_as_absent() {
    let (authority, app) = app();

    for name in ["exp", "nbf", "iat", "sub", "jti", "username", "token_type"] {
        answer_with(&authority, active_but(&authority, name, json!(null)));

        app.present(&good(&authority)).await.assert_pass();
    }
    answer_with(&authority, active_but(&authority, "aud", json!(null)));
    let answer = app.present(&good(&authority)).await;
    answer.assert_invalid_token();
    assert_reason!(answer, ValidationError::AudienceMismatch { .. });
}

#[tokio::test]
async fn r7662_08_answer_without_our_audience_is_refused() {
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
            answer_with(authority, active_but(authority, "aud", aud.clone()));

            let answer = app.present(&good(authority)).await;

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
    answer_with(&authority, active_but(&authority, "aud", None));

    app.present(&good(&authority)).await.assert_invalid_token();

    assert!(log.text().contains("dangerously_allow_missing_audience()"), "{}", log.text());
}

#[tokio::test]
async fn r7662_09_answer_of_another_issuer_is_refused() {
    let (authority, app) = app();

    for iss in ["https://as.example.com/", "https://AS.example.com", "https://other.example.com", ""] {
        answer_with(&authority, active_but(&authority, "iss", json!(iss)));

        let answer = app.present(&good(&authority)).await;

        answer.assert_invalid_token();
        assert_reason!(answer, ValidationError::IssuerMismatch { expected, .. } if **expected == *ISSUER);
    }
    answer_with(&authority, active_but(&authority, "iss", None));
    app.present(&good(&authority)).await.assert_pass();
}

#[tokio::test]
async fn r7662_10_scope_is_a_string_or_an_array_if_configured() {
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
            answer_with(authority, active_but(authority, "scope", scope.clone()));

            let answer = app.present(&good(authority)).await;

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

    app.present(&good(&authority)).await.assert_pass();

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
async fn r7662_12_error_of_the_authorization_server_is_not_a_verdict() {
    for status in [500, 502, 503, 504, 429] {
        let (authority, app) = app();
        let token = good(&authority);
        // Whatever the body says.
        authority.answer(ENDPOINT, move |_| response(status, "application/json", r#"{"active":false}"#));

        let answer = app.present(&token).await;

        answer.assert_unavailable();
        assert_reason!(answer, ValidationError::IntrospectionUnavailable { .. });
        // Nothing was remembered: it passes as soon as the server is well again.
        authority.answer_as_usual(ENDPOINT);
        app.present(&token).await.assert_pass();
    }
}

#[tokio::test]
async fn r7662_12_unreachable_authorization_server_is_not_a_verdict() {
    let (authority, app) = app();
    let token = good(&authority);
    authority.go_down();

    // Not even the metadata, then not the endpoint.
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
async fn r7662_12_late_answer_is_not_a_verdict() {
    let (authority, app) = app_with(|builder| builder.timeout(Duration::from_millis(100)));
    let token = good(&authority);
    authority.hold(ENDPOINT);

    let answer = app.present(&token).await;

    answer.assert_unavailable();
    assert_reason!(answer, ValidationError::IntrospectionUnavailable { .. });
    authority.release(ENDPOINT);
    app.present(&token).await.assert_pass();
}

/// Fails as a client does whose connection breaks.
#[derive(Debug)]
struct Breaking(&'static str);

impl HttpClient for Breaking {
    fn send(&self, _: Request<Bytes>, _: usize) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        Box::pin(async { Err(HttpError::new(self.0)) })
    }
}

#[tokio::test]
async fn r7662_12_broken_connection_is_not_a_verdict() {
    for trouble in ["invalid peer certificate: Expired", "unexpected end of file, 20 bytes of 60 were read"] {
        let authority = TestAuthorizationServer::new(ISSUER);
        let server = AuthorizationServer::with_endpoints(ISSUER).introspection_endpoint(ENDPOINT);
        let server = server.http_client(Breaking(trouble));
        let credential = ResourceServerCredential::bearer("s3cret");
        let validator = IntrospectionValidator::builder(server, credential, RESOURCE).build().unwrap();

        let answer = app_of(&authority, validator).present("token").await;

        answer.assert_unavailable();
        assert_reason!(
            answer,
            ValidationError::IntrospectionUnavailable { reason, .. } if reason.contains(trouble)
        );
    }
}

#[tokio::test]
async fn retry_after_of_a_busy_authorization_server_is_passed_on() {
    let (authority, app) = app();

    // Some seconds of jitter may follow; a minute is the most that is believed, a date is not read.
    for (asked, at_least) in
        [("7", 7), ("0", 1), ("86400", 60), ("Fri, 31 Dec 1999 23:59:59 GMT", 1), ("-1", 1)]
    {
        authority.answer(ENDPOINT, move |_| {
            let mut busy = response(429, "text/plain", "");
            busy.headers_mut().insert("retry-after", asked.parse().unwrap());
            busy
        });

        let answer = app.present(&good(&authority)).await;

        answer.assert_unavailable();
        let seconds: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((at_least..at_least + 5).contains(&seconds), "{asked}: {seconds}");
    }
}

#[tokio::test]
async fn r7662_14_refused_credential_is_500() {
    for status in [401, 403, 404, 405] {
        let (authority, app) = app();
        let token = good(&authority);
        authority.answer(ENDPOINT, move |_| response(status, "application/json", r#"{"active":false}"#));

        let answer = app.present(&token).await;

        answer.assert_internal();
        assert_reason!(
            answer,
            ValidationError::IntrospectionRefused { status: found, .. } if *found == status
        );
        assert!(!answer.headers.contains_key("www-authenticate"));
        // Nothing was remembered about the token.
        authority.answer_as_usual(ENDPOINT);
        app.present(&token).await.assert_pass();
    }
}

#[tokio::test]
async fn r7662_14_answer_400_is_502_and_the_log_hints_at_the_credential() {
    let (authority, app) = app();
    let (log, _recording) = Log::record();
    authority.answer(ENDPOINT, |_| response(400, "application/json", r#"{"error":"invalid_request"}"#));

    assert_malformed(&app.present(&good(&authority)).await);
    assert!(log.text().contains("credential"), "{}", log.text());
}

#[tokio::test]
async fn r7662_15_answer_that_is_not_json_is_502() {
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

        let answer = app.present(&good(&authority)).await;

        if passes {
            answer.assert_pass();
        } else {
            assert_malformed(&answer);
        }
        assert_eq!(answer.status == StatusCode::OK, passes, "{content_type}, {length} bytes");
    }
}

#[tokio::test]
async fn r7662_16_verdict_is_remembered_for_its_time_to_live() {
    let (authority, app) = app_with(|builder| builder.cache_ttl(Duration::from_secs(60)));
    let token = good(&authority);

    for (seconds, introspections) in [(0, 1), (59, 1), (1, 2), (59, 2), (1, 3)] {
        authority.clock().advance(Duration::from_secs(seconds));
        app.present(&token).await.assert_pass();
        assert_eq!(authority.introspections(), introspections);
    }
}

// RFC 7662 section 4: "If the response contains the "exp" parameter (expiration), the response MUST NOT be cached beyond
// the time indicated therein." The clock skew, 30 seconds here, is for judging a token, not for remembering an answer.
#[tokio::test]
async fn r7662_16_verdict_is_not_remembered_beyond_exp() {
    let (authority, app) = app_with(|builder| builder.cache_ttl(Duration::from_secs(60)));
    let exp = UnixTime::from_secs(1_800_000_005).as_secs();
    answer_with(&authority, active_but(&authority, "exp", json!(exp)));
    let token = good(&authority);

    for (seconds, introspections) in [(0, 1), (4, 1), (1, 2), (1, 3)] {
        authority.clock().advance(Duration::from_secs(seconds));
        app.present(&token).await.assert_pass();
        assert_eq!(authority.introspections(), introspections);
    }
}

// The wall clock may be set forward while no time passes.
#[tokio::test]
async fn r7662_16_clock_set_beyond_exp_ends_a_verdict() {
    let (authority, app) = app();
    let exp = UnixTime::from_secs(1_800_000_005);
    answer_with(&authority, active_but(&authority, "exp", json!(exp.as_secs())));
    let token = good(&authority);
    app.present(&token).await.assert_pass();
    authority.clock().set(exp);

    app.present(&token).await.assert_pass();

    assert_eq!(authority.introspections(), 2);
}

#[tokio::test]
async fn r7662_16_cache_ttl_of_zero_caches_nothing() {
    let (authority, app) = app_with(|builder| builder.cache_ttl(Duration::ZERO));
    let token = good(&authority);

    for introspections in 1..=3 {
        app.present(&token).await.assert_pass();
        assert_eq!(authority.introspections(), introspections);
    }
    authority.revoke(&token);
    app.present(&token).await.assert_invalid_token();
}

#[tokio::test]
async fn r7662_17_remembered_verdict_ends_with_the_token() {
    let (authority, app) = app_with(|builder| builder.cache_ttl(Duration::from_secs(3_600)));
    let exp = UnixTime::from_secs(1_800_000_600);
    // A server that calls it active for ever.
    answer_with(&authority, active_but(&authority, "exp", json!(exp.as_secs())));
    let token = good(&authority);
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

/// Lets a caller go as far as it gets, to where it waits.
fn poll_once<F: Future>(caller: Pin<&mut F>) -> Poll<F::Output> {
    caller.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn r7662_18_thousand_callers_cause_one_call_and_the_first_may_leave() {
    let (authority, app) = app();
    let token = good(&authority);
    authority.hold(ENDPOINT);
    let mut callers: Vec<_> = (0..CALLERS).map(|_| Box::pin(app.present(&token))).collect();
    for caller in &mut callers {
        // All of them wait now, the first for the call that it started.
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
async fn r7662_18_thousand_callers_on_several_threads_cause_one_call() {
    let (authority, app) = app();
    let token: Arc<str> = good(&authority).into();
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
async fn r7662_18_callers_of_an_inactive_token_share_the_call_too() {
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
async fn r7662_19_two_resource_servers_do_not_share_a_verdict() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.introspection_validator(RESOURCE).build().unwrap();
    let one = app_of(&authority, validator.clone());
    let other = app_of(&authority, validator);
    let token = good(&authority);

    for (app, introspections) in [(&one, 1), (&other, 2), (&one, 2), (&other, 2)] {
        app.present(&token).await.assert_pass();
        assert_eq!(authority.introspections(), introspections);
    }
}

#[tokio::test]
async fn r7662_19_neither_the_token_nor_our_credential_can_be_seen() {
    let (log, _recording) = Log::record();
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.introspection_validator(RESOURCE).build().unwrap();
    let server = authority.resource_server_with(validator.clone()).build().unwrap();
    let app = App::new(server.require_scopes(READ));
    let token = good(&authority);
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

/// More than are remembered as not active, which are 10 000.
const JUNK: usize = 11_000;

#[tokio::test]
async fn r7662_20_junk_evicts_no_good_verdict() {
    // Holds a handful of verdicts, so that one entry of junk among them would be seen soon.
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.introspection_validator(RESOURCE).build().unwrap();
    let server = authority.resource_server_with(validator).verdict_cache_bytes(16 * 1024).build().unwrap();
    let app = App::new(server.require_scopes(READ));
    let token = good(&authority);
    app.present(&token).await.assert_pass();

    for number in 0..JUNK {
        assert_eq!(app.present(&format!("junk-{number}")).await.status, StatusCode::UNAUTHORIZED);
    }

    app.present(&token).await.assert_pass();
    let about_it = authority
        .requests_to(ENDPOINT)
        .iter()
        .filter(|request| request.body().ends_with(token.as_bytes()))
        .count();
    assert_eq!(about_it, 1, "the verdict was kept");
    assert_eq!(authority.introspections(), 1 + JUNK);
}

#[tokio::test]
async fn r7662_23_endpoint_without_tls_is_refused() {
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
async fn r7662_23_endpoint_without_tls_in_the_metadata_is_never_asked() {
    let (authority, app) = app();
    let endpoint = "http://as.example.com/introspect";
    authority.answer(&authority.metadata_url(), move |_| {
        let metadata = json!({"issuer": ISSUER, "introspection_endpoint": endpoint});
        response(200, "application/json", metadata.to_string())
    });

    let answer = app.present(&good(&authority)).await;

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

        assert_malformed(&app.present(&good(&authority)).await);
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
        answer_with(&authority, active_but(&authority, "cnf", cnf));
        let token = good(&authority);

        // Remembered or not.
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
        answer_with(&authority, active_but(&authority, "token_type", token_type));

        let answer = app.present(&good(&authority)).await;

        if passes {
            answer.assert_pass();
        } else {
            answer.assert_invalid_token();
            assert_reason!(answer, ValidationError::SenderConstraintNotProved);
        }
    }
}

#[tokio::test]
async fn r7662_27_another_kind_of_token_is_refused() {
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
        answer_with(&authority, active_but(&authority, name, json!(value)));

        let answer = app.present(&good(&authority)).await;

        if passes {
            answer.assert_pass();
        } else {
            answer.assert_invalid_token();
            assert_reason!(answer, ValidationError::NotAnAccessToken { .. });
        }
    }
}

#[tokio::test]
async fn r7662_28_other_members_are_carried_as_claims() {
    let (authority, app) = app();
    let mut body = active(&authority);
    body["tenant"] = "north".into();
    body["https://example.com/roles"] = json!(["picker", {"level": 2}]);
    answer_with(&authority, body);

    app.present(&good(&authority)).await.assert_pass();

    let token = app.last_seen().token.unwrap();
    assert_eq!(token.claim::<String>("tenant").unwrap().as_deref(), Some("north"));
    let roles: Option<Value> = token.claim("https://example.com/roles").unwrap();
    assert_eq!(roles, Some(json!(["picker", {"level": 2}])));
}

#[test]
fn introspection_validator_is_built_without_any_request() {
    let authority = TestAuthorizationServer::new(ISSUER);
    authority.go_down();

    let validator = authority.introspection_validator(RESOURCE).build().unwrap();
    ResourceServer::builder(validator).build().unwrap();

    assert!(authority.requests().is_empty());
}

#[tokio::test]
async fn failed_endpoint_discovery_is_not_repeated_with_every_token() {
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
    app.present(&good(&authority)).await.assert_pass();
}

#[tokio::test]
async fn answer_404_causes_no_discovery_with_every_request() {
    let (authority, app) = app_with(|builder| builder.cache_ttl(Duration::ZERO));
    app.present(&good(&authority)).await.assert_pass();
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
    // In the background.
    settle().await;
    authority.answer_as_usual(ENDPOINT);
    app.present(&good(&authority)).await.assert_pass();
    assert_eq!(authority.requests_to(METADATA).len(), 2);
}
