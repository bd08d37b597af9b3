//! Proves how authorization server metadata (RFC 8414) and the keys it points to are fetched, checked and refreshed.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};
use tower_bearer::{
    Algorithm, AuthorizationServer, JwtValidator, ValidationError,
    testing::{SigningKey, TestAuthorizationServer},
};

use crate::support::{Answer, App, ISSUER, RESOURCE, check_server, settle, until};

const SECOND: Duration = Duration::from_secs(1);

/// Default time between two fetches for unknown keys.
const COOL_DOWN: Duration = Duration::from_secs(10);

/// Number of fetches for unknown keys that need no cool-down in between.
const BURST: usize = 3;

/// Default age at which keys are refreshed.
const REFRESH: Duration = Duration::from_secs(5 * 60);

fn app() -> (TestAuthorizationServer, App) {
    app_of(ISSUER)
}

fn app_of(issuer: &str) -> (TestAuthorizationServer, App) {
    let authority = TestAuthorizationServer::new(issuer);
    let app = App::new(authority.resource_server(RESOURCE).require_token());
    (authority, app)
}

/// Returns an app that has already fetched the keys.
async fn app_with_keys() -> (TestAuthorizationServer, App) {
    let (authority, app) = app();
    app.present(&authority.token().sign()).await.assert_pass();
    assert_eq!(authority.key_fetches(), 1);
    (authority, app)
}

/// Signs a token whose `kid` is not in the key set.
fn with_unknown_kid(authority: &TestAuthorizationServer, kid: &str) -> String {
    authority.token().header("kid", kid).sign()
}

fn response(status: u16, content_type: &str, body: impl Into<Bytes>) -> Response<Bytes> {
    let response = Response::builder().status(status);
    let response =
        if content_type.is_empty() { response } else { response.header(CONTENT_TYPE, content_type) };
    response.body(body.into()).unwrap()
}

fn metadata(authority: &TestAuthorizationServer) -> Value {
    json!({"issuer": authority.issuer(), "jwks_uri": authority.jwks_uri()})
}

fn metadata_of(authority: &TestAuthorizationServer) -> Response<Bytes> {
    response(200, "application/json", metadata(authority).to_string())
}

fn requested_urls(authority: &TestAuthorizationServer) -> Vec<String> {
    authority.requests().iter().map(|request| request.uri().to_string()).collect()
}

/// Asserts 503 because no keys are available, and returns the reason.
#[track_caller]
fn assert_keys_unavailable(answer: &Answer) -> String {
    answer.assert_unavailable();
    match &answer.reason {
        Some(ValidationError::KeysUnavailable { reason, .. }) => reason.to_string(),
        other => panic!("expected KeysUnavailable, found {other:?}"),
    }
}

#[track_caller]
fn assert_unknown_key(answer: &Answer) {
    answer.assert_invalid_token();
    assert!(matches!(answer.reason, Some(ValidationError::UnknownKey { .. })), "{:?}", answer.reason);
}

const JWKS: &str = "https://as.example.com/jwks";

#[test]
fn r8414_01_issuer_must_be_an_https_url_without_query_or_fragment() {
    for (issuer, is_accepted) in [
        ("https://as.example.com", true),
        ("https://as.example.com/", true),
        ("https://as.example.com/tenant", true),
        ("https://as.example.com/tenant/", true),
        ("https://as.example.com:8443", true),
        ("https://as.example.com?x", false),
        ("https://as.example.com/?x=1", false),
        ("https://as.example.com#x", false),
        ("https://user@as.example.com", false),
        ("http://as.example.com", false),
        ("http://127.0.0.1:9797", false),
        ("as.example.com", false),
        ("", false),
    ] {
        assert_eq!(check_server(AuthorizationServer::discover(issuer)).is_ok(), is_accepted, "{issuer:?}");
        assert_eq!(
            check_server(AuthorizationServer::with_endpoints(issuer).jwks_uri(JWKS)).is_ok(),
            is_accepted,
            "{issuer:?}"
        );
    }
}

#[test]
fn r8414_01_http_is_accepted_only_on_loopback_and_only_if_allowed() {
    for (issuer, is_accepted) in [
        ("http://127.0.0.1:9797", true),
        ("http://[::1]:9797", true),
        ("http://localhost:9797/tenant", true),
        ("http://as.example.com", false),
        ("http://127.0.0.1.example.com", false),
        ("http://localhost@as.example.com", false),
        ("http://127.0.0.1:9797?x", false),
    ] {
        assert_eq!(
            check_server(AuthorizationServer::discover(issuer).allow_http_on_loopback()).is_ok(),
            is_accepted,
            "{issuer}"
        );
        assert_eq!(
            check_server(AuthorizationServer::with_endpoints(issuer).allow_http_on_loopback().jwks_uri(JWKS))
                .is_ok(),
            is_accepted,
            "{issuer}"
        );
    }
}

#[tokio::test]
async fn r8414_02_well_known_path_is_inserted_between_host_and_path() {
    for (issuer, first) in [
        ("https://h", "https://h/.well-known/oauth-authorization-server"),
        ("https://h/", "https://h/.well-known/oauth-authorization-server"),
        ("https://h/t", "https://h/.well-known/oauth-authorization-server/t"),
        ("https://h/t/", "https://h/.well-known/oauth-authorization-server/t"),
        ("https://h:8443/a/b", "https://h:8443/.well-known/oauth-authorization-server/a/b"),
    ] {
        let (authority, app) = app_of(issuer);

        app.present(&authority.token().sign()).await.assert_pass();

        assert_eq!(requested_urls(&authority), [first.to_owned(), authority.jwks_uri()], "{issuer}");
    }
}

#[tokio::test]
async fn r8414_03_openid_documents_are_tried_next_first_inserted_then_appended() {
    let (authority, app) = app_of("https://h/t/");
    let inserted = "https://h/.well-known/openid-configuration/t";
    let appended = "https://h/t/.well-known/openid-configuration";
    authority.answer(inserted, |_| response(200, "text/html", "<html>welcome</html>"));
    authority.answer(&authority.metadata_url(), |_| response(404, "", ""));
    let document = metadata_of(&authority);
    authority.answer(appended, move |_| document.clone());

    app.present(&authority.token().sign()).await.assert_pass();

    let first = authority.metadata_url();
    assert_eq!(requested_urls(&authority), [first, inserted.into(), appended.into(), authority.jwks_uri()]);
}

#[tokio::test]
async fn r8414_03_unusable_document_is_followed_by_the_next_one() {
    for (what, status, content_type, body) in [
        ("not found", 404, "application/json", "{}".to_owned()),
        ("an error", 500, "application/json", "{}".to_owned()),
        ("no content", 204, "", String::new()),
        ("a catch-all page", 200, "text/html; charset=utf-8", "<html></html>".to_owned()),
        ("HTML labeled as JSON", 200, "application/json", "<html></html>".to_owned()),
        ("an array", 200, "application/json", "[]".to_owned()),
        ("a truncated object", 200, "application/json", "{\"issuer\":\"https:".to_owned()),
        ("a redirect", 302, "", String::new()),
        ("a long page", 200, "text/html", "x".repeat(300 * 1024)),
    ] {
        let (authority, app) = app();
        authority.answer(&authority.metadata_url(), move |_| response(status, content_type, body.clone()));
        let document = metadata_of(&authority);
        let openid = "https://as.example.com/.well-known/openid-configuration";
        authority.answer(openid, move |_| document.clone());

        let answer = app.present(&authority.token().sign()).await;

        let requested_urls = requested_urls(&authority);
        assert_eq!((answer.status, requested_urls.len()), (StatusCode::OK, 3), "{what}: {:?}", answer.reason);
        assert_eq!(requested_urls[1], openid, "{what}");
    }
}

#[tokio::test]
async fn r8414_03_document_of_another_issuer_stops_discovery() {
    let (authority, app) = app_of("https://as.example.com/tenant");
    authority.answer(&authority.metadata_url(), |_| {
        response(
            200,
            "application/json",
            r#"{"issuer":"https://evil.example","jwks_uri":"https://evil.example/jwks"}"#,
        )
    });
    let valid = metadata_of(&authority);
    authority
        .answer("https://as.example.com/.well-known/openid-configuration/tenant", move |_| valid.clone());

    let answer = app.present(&authority.token().sign()).await;

    let reason = assert_keys_unavailable(&answer);
    assert!(reason.contains("https://evil.example") && reason.contains("RFC 8414 section 3.3"), "{reason}");
    assert_eq!(requested_urls(&authority), [authority.metadata_url()]);
}

#[tokio::test]
async fn r8414_03_missing_metadata_is_503_after_one_request_to_each_url() {
    let (authority, app) = app_of("https://as.example.com/tenant");
    authority.answer(&authority.metadata_url(), |_| response(404, "", ""));

    let answer = app.present(&authority.token().sign()).await;

    let reason = assert_keys_unavailable(&answer);
    assert!(reason.contains("status 404"), "{reason}");
    assert_eq!(authority.requests().len(), 3);
    assert_eq!(authority.key_fetches(), 0);
}

/// Values of `issuer` that do not match [`ISSUER`].
fn other_issuers() -> [Value; 9] {
    [
        json!("https://as.example.com/"),
        json!("https://AS.example.com"),
        json!("https://as.example.com:443"),
        json!("https://as.example.co"),
        json!("https://as.example.com/{tenantid}"),
        json!("http://as.example.com"),
        json!(["https://as.example.com"]),
        json!(null),
        json!(1),
    ]
}

#[tokio::test]
async fn r8414_04_document_with_another_issuer_is_not_used() {
    for other in other_issuers() {
        let (authority, app) = app();
        let document = json!({"issuer": other, "jwks_uri": authority.jwks_uri()}).to_string();
        authority
            .answer(&authority.metadata_url(), move |_| response(200, "application/json", document.clone()));

        let answer = app.present(&authority.token().sign()).await;

        assert_keys_unavailable(&answer);
        assert_eq!(authority.key_fetches(), 0, "{other}");
    }
}

#[tokio::test]
async fn r8414_04_document_missing_or_repeating_a_required_member_is_not_used() {
    for document in [
        r#"{"jwks_uri":"https://as.example.com/jwks"}"#,
        r#"{"issuer":"https://as.example.com","issuer":"https://as.example.com","jwks_uri":"https://as.example.com/jwks"}"#,
        r#"{"issuer":"https://as.example.com","\u0069ssuer":"https://evil.example","jwks_uri":"https://as.example.com/jwks"}"#,
        r#"{"issuer":"https://as.example.com"}"#,
    ] {
        let (authority, app) = app();
        authority.answer(&authority.metadata_url(), move |_| response(200, "application/json", document));

        assert_keys_unavailable(&app.present(&authority.token().sign()).await);

        assert_eq!(authority.key_fetches(), 0, "{document}");
    }
}

#[tokio::test]
async fn r8414_04_keys_are_kept_if_metadata_later_names_another_issuer() {
    let (authority, app) = app_with_keys().await;
    authority.answer(&authority.jwks_uri(), |_| response(404, "", ""));
    app.present(&with_unknown_kid(&authority, "none")).await;
    authority.clock().advance(COOL_DOWN);
    authority.answer(&authority.jwks_uri(), |_| response(404, "", ""));
    app.present(&with_unknown_kid(&authority, "none")).await.assert_unavailable();
    authority.answer(&authority.metadata_url(), |_| {
        response(
            200,
            "application/json",
            r#"{"issuer":"https://evil.example","jwks_uri":"https://evil.example/jwks"}"#,
        )
    });
    authority.clock().advance(Duration::from_secs(60));

    app.present(&with_unknown_kid(&authority, "none")).await.assert_unavailable();

    app.present(&authority.token().sign()).await.assert_pass();
    assert_eq!(authority.requests_to("https://evil.example/jwks").len(), 0);
}

#[tokio::test]
async fn r8414_05_metadata_must_have_content_type_json() {
    for (content_type, is_accepted) in [
        ("application/json", true),
        ("application/json; charset=utf-8", true),
        ("application/json;charset=UTF-8", true),
        ("Application/JSON", true),
        ("text/html", false),
        ("text/plain", false),
        ("text/json", false),
        ("application/jsonp", false),
        ("application/problem+json", false),
        ("", false),
    ] {
        let (authority, app) = app();
        let document = metadata(&authority).to_string();
        authority.answer(&authority.metadata_url(), move |_| response(200, content_type, document.clone()));

        let answer = app.present(&authority.token().sign()).await;

        let expected = if is_accepted { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        assert_eq!(answer.status, expected, "{content_type:?}");
    }
}

#[tokio::test]
async fn r8414_05_key_set_is_accepted_with_any_content_type() {
    for content_type in ["application/jwk-set+json", "application/json", "text/plain", "text/html", ""] {
        let (authority, app) = app();
        let keys = authority.jwks().to_string();
        authority.answer(&authority.jwks_uri(), move |_| response(200, content_type, keys.clone()));

        app.present(&authority.token().sign()).await.assert_pass();
    }
}

#[tokio::test]
async fn r8414_05_metadata_and_keys_are_accepted_only_with_status_200() {
    for status in [201, 202, 203, 206, 301, 304, 400, 404, 500, 503] {
        for is_metadata in [true, false] {
            let (authority, app) = app();
            let (url, document) = match is_metadata {
                true => (authority.metadata_url(), metadata(&authority).to_string()),
                false => (authority.jwks_uri(), authority.jwks().to_string()),
            };
            authority.answer(&url, move |_| response(status, "application/json", document.clone()));

            assert_keys_unavailable(&app.present(&authority.token().sign()).await);
        }
    }
}

#[tokio::test]
async fn r8414_06_jwks_uri_without_https_is_refused_if_the_issuer_uses_https() {
    for jwks_uri in [
        "http://as.example.com/jwks",
        "http://127.0.0.1/jwks",
        "http://localhost/jwks",
        "http://169.254.169.254/latest/meta-data",
        "ftp://as.example.com/jwks",
        "file:///etc/passwd",
        "/jwks",
        "https://user:secret@as.example.com/jwks",
    ] {
        let (authority, app) = app();
        let document = json!({"issuer": authority.issuer(), "jwks_uri": jwks_uri}).to_string();
        authority
            .answer(&authority.metadata_url(), move |_| response(200, "application/json", document.clone()));

        let reason = assert_keys_unavailable(&app.present(&authority.token().sign()).await);

        assert!(reason.contains("jwks_uri"), "{reason}");
        assert_eq!(requested_urls(&authority), [authority.metadata_url()], "{jwks_uri}");
    }
}

#[tokio::test]
async fn r8414_06_insecure_endpoint_matters_only_if_it_is_used() {
    let unusable = "http://keycloak.internal:8080/introspect";
    let (authority, app) = app();
    let document = json!({
        "issuer": ISSUER,
        "jwks_uri": authority.jwks_uri(),
        "introspection_endpoint": unusable,
    });
    authority
        .answer(&authority.metadata_url(), move |_| response(200, "application/json", document.to_string()));
    let validator = authority.introspection_validator(RESOURCE).build().unwrap();
    let introspecting = App::new(authority.resource_server_with(validator).build().unwrap().require_token());

    app.present(&authority.token().sign()).await.assert_pass();
    introspecting.present(&authority.token().opaque()).await.assert_unavailable();

    assert_eq!(authority.requests_to(unusable).len(), 0);
}

#[tokio::test]
async fn r8414_06_uppercase_https_issuer_also_requires_an_https_jwks_uri() {
    let (authority, app) = app_of("HTTPS://as.example.com");
    let document = json!({"issuer": authority.issuer(), "jwks_uri": "http://127.0.0.1/jwks"}).to_string();
    authority.answer(&authority.metadata_url(), move |_| response(200, "application/json", document.clone()));

    assert_keys_unavailable(&app.present(&authority.token().sign()).await);

    assert_eq!(authority.requests_to("http://127.0.0.1/jwks").len(), 0);
}

#[tokio::test]
async fn r8414_06_jwks_redirect_is_not_followed_and_its_target_is_in_the_error() {
    for status in [301, 302, 303, 307, 308] {
        let (authority, app) = app();
        authority.answer(&authority.jwks_uri(), move |_| {
            let mut answer = response(status, "", "");
            answer.headers_mut().insert("location", "http://169.254.169.254/keys".parse().unwrap());
            answer
        });

        let reason = assert_keys_unavailable(&app.present(&authority.token().sign()).await);

        assert!(reason.contains(&format!("status {status} to \"http://169.254.169.254/keys\"")), "{reason}");
        assert_eq!(authority.requests().len(), 2);
    }
}

#[tokio::test]
async fn r8414_07_token_of_an_unconfigured_issuer_causes_no_request() {
    for issuer in [
        json!("https://evil.example"),
        json!("https://as.example.com/"),
        json!("https://as.example.com."),
        json!("https://as.example.co"),
        json!("https://as.example.com.evil.example"),
        json!("https://AS.example.com"),
        json!("HTTPS://as.example.com"),
        json!("https://as.example.com:443"),
        json!("https://as.example.com@evil.example"),
        json!("https://evil.example/https://as.example.com"),
        json!("https://as.example.com%00"),
        json!("https://аs.example.com"), // a Cyrillic а
        json!(" https://as.example.com"),
        json!("http://as.example.com"),
        json!("http://127.0.0.1"),
        json!(["https://as.example.com"]),
        json!({"iss": "https://as.example.com"}),
        json!(""),
        json!(null),
        json!(1),
    ] {
        let (authority, app) = app();

        let answer = app.present(&authority.token().claim("iss", &issuer).sign()).await;

        answer.assert_invalid_token();
        assert_eq!(requested_urls(&authority), [] as [&str; 0], "{issuer}");
    }
}

#[tokio::test]
async fn r8414_07_token_of_another_issuer_with_an_unknown_kid_fetches_no_keys() {
    let (authority, app) = app_with_keys().await;
    authority.clock().advance(COOL_DOWN);

    let token = authority.token().issuer("https://evil.example").header("kid", "unknown").sign();
    app.present(&token).await.assert_invalid_token();

    assert_eq!(authority.key_fetches(), 1);
}

#[tokio::test]
async fn r8414_07_token_of_another_issuer_is_refused_while_the_server_is_down() {
    let (authority, app) = app();
    authority.go_down();

    app.present(&authority.token().issuer("https://evil.example").sign()).await.assert_invalid_token();

    assert_eq!(authority.requests().len(), 0);
}

#[tokio::test]
async fn r8414_08_building_sends_no_request() {
    let (authority, _app) = app();

    settle().await;

    assert_eq!(authority.requests().len(), 0);
}

#[tokio::test]
async fn r8414_08_service_starts_while_its_authorization_server_is_down_and_recovers() {
    let authority = TestAuthorizationServer::new(ISSUER);
    authority.go_down();
    let app = App::new(authority.resource_server(RESOURCE).require_token());
    let token = authority.token().sign();

    let refused = app.present(&token).await;
    authority.come_back();
    authority.clock().advance(SECOND);
    let recovered = app.present(&token).await;

    let reason = assert_keys_unavailable(&refused);
    assert!(reason.contains("connection refused"), "{reason}");
    recovered.assert_pass();
}

#[tokio::test]
async fn r8414_08_first_requests_wait_for_the_first_keys() {
    let (authority, app) = app();
    authority.hold(&authority.jwks_uri());
    let waiting = tokio::spawn({
        let (app, token) = (app.clone(), authority.token().sign());
        async move { app.present(&token).await }
    });
    until(|| authority.key_fetches() == 1).await;
    settle().await;
    assert!(!waiting.is_finished());

    authority.release(&authority.jwks_uri());

    waiting.await.unwrap().assert_pass();
}

#[tokio::test]
async fn r8414_08_first_request_waits_until_the_fetch_timeout() {
    const SHORT: Duration = Duration::from_millis(100);
    for is_metadata in [true, false] {
        let authority = TestAuthorizationServer::new(ISSUER);
        let validator = authority.jwt_validator(RESOURCE).key_fetch_timeout(SHORT).build().unwrap();
        let app = App::new(authority.resource_server_with(validator).build().unwrap().require_token());
        authority.hold(&if is_metadata { authority.metadata_url() } else { authority.jwks_uri() });

        let answer = app.present(&authority.token().sign()).await;

        let reason = assert_keys_unavailable(&answer);
        assert!(reason.contains("within 100ms"), "{reason}");
    }
}

#[tokio::test]
async fn r8414_08_retries_during_an_outage_back_off_to_every_4_seconds() {
    let (authority, app) = app();
    authority.go_down();
    let token = authority.token().expires_in(Duration::from_secs(3_600)).sign();
    let mut attempts = Vec::new();

    for second in 0..60 {
        let before = authority.requests().len();
        // More requests in the same second cause no more attempts.
        for _ in 0..20 {
            app.present(&token).await.assert_unavailable();
        }
        attempts.extend((authority.requests().len() > before).then_some(second));
        assert!(authority.requests().len() - before <= 1, "at {second}");
        authority.clock().advance(SECOND);
    }

    assert_eq!(attempts, [0, 1, 3, 7, 11, 15, 19, 23, 27, 31, 35, 39, 43, 47, 51, 55, 59]);
}

#[tokio::test]
async fn r8414_08_retry_after_covers_the_back_off() {
    let (authority, app) = app();
    authority.go_down();
    let token = authority.token().sign();
    for wait in [1, 2, 4] {
        app.present(&token).await.assert_unavailable();
        authority.clock().advance(Duration::from_secs(wait));
    }

    let answer = app.present(&token).await;

    let retry_after: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((4..=7).contains(&retry_after), "{retry_after}");
}

#[tokio::test]
async fn r8414_09_moved_keys_are_found_through_the_metadata() {
    let (authority, app) = app_with_keys().await;
    authority.rotate_keys();
    let (moved, keys) = ("https://keys.example.com/v2", authority.jwks().to_string());
    authority.answer(&authority.jwks_uri(), |_| response(410, "", ""));
    authority.answer(moved, move |_| response(200, "application/json", keys.clone()));
    let document = json!({"issuer": ISSUER, "jwks_uri": moved}).to_string();
    authority.answer(&authority.metadata_url(), move |_| response(200, "application/json", document.clone()));
    authority.clock().advance(COOL_DOWN);
    let token = authority.token().sign();

    app.present(&token).await.assert_unavailable();
    authority.clock().advance(COOL_DOWN);

    app.present(&token).await.assert_pass();
    assert_eq!(authority.requests_to(moved).len(), 1);
}

#[tokio::test]
async fn r8414_09_metadata_is_fetched_again_after_a_day_even_if_the_old_jwks_uri_works() {
    let (authority, app) = app_with_keys().await;
    let old = authority.jwks().to_string();
    authority.answer(&authority.jwks_uri(), move |_| response(200, "application/json", old.clone()));
    authority.rotate_keys();
    let (moved, keys) = ("https://keys.example.com/v2", authority.jwks().to_string());
    authority.answer(moved, move |_| response(200, "application/json", keys.clone()));
    let document = json!({"issuer": ISSUER, "jwks_uri": moved}).to_string();
    authority.answer(&authority.metadata_url(), move |_| response(200, "application/json", document.clone()));

    app.present(&authority.token().sign()).await.assert_invalid_token();
    authority.clock().advance(Duration::from_secs(24 * 60 * 60));

    app.present(&authority.token().sign()).await.assert_pass();
    assert_eq!(authority.requests_to(moved).len(), 1);
}

#[tokio::test]
async fn r8414_10_panic_in_the_http_client_triggers_back_off() {
    let authority = TestAuthorizationServer::new(ISSUER);
    authority.answer(&authority.metadata_url(), |_| panic!("simulated panic"));
    let app = App::new(authority.resource_server(RESOURCE).require_token());
    let token = authority.token().sign();

    for _ in 0..3 {
        app.present(&token).await.assert_unavailable();
    }

    assert_eq!(authority.requests_to(&authority.metadata_url()).len(), 1);
    authority.answer_as_usual(&authority.metadata_url());
    authority.clock().advance(Duration::from_secs(1));
    app.present(&token).await.assert_pass();
}

#[tokio::test]
async fn r8414_10_old_keys_are_refreshed_in_the_background() {
    let (authority, app) = app_with_keys().await;
    authority.clock().advance(REFRESH);
    authority.hold(&authority.jwks_uri());

    app.present(&authority.token().sign()).await.assert_pass();

    until(|| authority.key_fetches() == 2).await;
    authority.rotate_keys();
    authority.release(&authority.jwks_uri());
    settle().await;
    app.present(&authority.token().sign()).await.assert_pass();
    assert_eq!(authority.key_fetches(), 2);
}

#[tokio::test]
async fn r8414_10_keys_are_not_refreshed_before_the_refresh_age() {
    let (authority, app) = app_with_keys().await;
    authority.clock().advance(REFRESH - SECOND);

    app.present(&authority.token().sign()).await.assert_pass();
    settle().await;

    assert_eq!(authority.key_fetches(), 1);
}

#[tokio::test]
async fn r8414_10_requests_during_a_refresh_share_one_fetch() {
    let (authority, app) = app_with_keys().await;
    authority.clock().advance(REFRESH);
    authority.hold(&authority.jwks_uri());
    for _ in 0..100 {
        app.present(&authority.token().sign()).await.assert_pass();
    }
    until(|| authority.key_fetches() == 2).await;

    // The response is sent, but more requests arrive before it has been processed.
    authority.release(&authority.jwks_uri());
    for _ in 0..100 {
        app.present(&authority.token().sign()).await.assert_pass();
    }
    settle().await;

    assert_eq!(authority.key_fetches(), 2);
}

#[tokio::test]
async fn r8414_10_requests_during_a_refresh_spawn_no_tasks() {
    let (authority, app) = app_with_keys().await;
    authority.clock().advance(REFRESH);
    authority.hold(&authority.jwks_uri());
    app.present(&authority.token().sign()).await.assert_pass();
    until(|| authority.key_fetches() == 2).await;
    settle().await;
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();

    for _ in 0..100 {
        app.present(&authority.token().sign()).await.assert_pass();
    }

    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), before);
}

#[tokio::test]
async fn r8414_10_failed_refresh_is_retried_with_back_off() {
    let (authority, app) = app_with_keys().await;
    authority.go_down();
    authority.clock().advance(REFRESH);
    let before = authority.requests().len();

    for _ in 0..600 {
        app.present(&authority.token().sign()).await.assert_pass();
        settle().await;
        authority.clock().advance(SECOND);
    }

    // After 1, 2, 4, 8, 16 and 32 seconds, then every 60 seconds.
    let attempts = authority.requests().len() - before;
    assert!((10..=16).contains(&attempts), "{attempts}");
}

#[tokio::test]
async fn r8414_11_known_keys_stay_valid_during_an_outage() {
    let (authority, app) = app_with_keys().await;
    authority.go_down();

    for _ in 0..24 {
        authority.clock().advance(Duration::from_secs(60 * 60));
        app.present(&authority.token().sign()).await.assert_pass();
        settle().await;
    }
}

#[tokio::test]
async fn r8414_11_unknown_key_during_an_outage_is_503() {
    let (authority, app) = app_with_keys().await;
    authority.go_down();
    authority.rotate_keys();
    authority.clock().advance(COOL_DOWN);

    let answer = app.present(&authority.token().sign()).await;

    assert_keys_unavailable(&answer);
}

#[tokio::test]
async fn r8414_13_first_token_signed_with_a_new_key_passes() {
    let (authority, app) = app_with_keys().await;
    authority.publish_keys([SigningKey::generate("new", Algorithm::ES256)]);
    authority.clock().advance(COOL_DOWN);

    app.present(&authority.token().sign()).await.assert_pass();

    assert_eq!(authority.key_fetches(), 2);
}

#[tokio::test]
async fn r8414_13_unknown_kids_cause_at_most_a_burst_of_fetches() {
    let (authority, app) = app_with_keys().await;
    authority.clock().advance(COOL_DOWN);

    for number in 0..100 {
        assert_unknown_key(&app.present(&with_unknown_kid(&authority, &format!("unknown-{number}"))).await);
    }

    assert_eq!(authority.key_fetches(), 1 + BURST);
}

#[tokio::test]
async fn r8414_13_concurrent_unknown_kids_share_one_fetch() {
    let (authority, app) = app_with_keys().await;
    authority.clock().advance(COOL_DOWN);
    authority.hold(&authority.jwks_uri());
    let waiting: Vec<_> = (0..1_000)
        .map(|number| {
            let (app, token) = (app.clone(), with_unknown_kid(&authority, &format!("unknown-{number}")));
            tokio::spawn(async move { app.present(&token).await })
        })
        .collect();
    settle().await;

    authority.release(&authority.jwks_uri());

    for answer in waiting {
        assert_unknown_key(&answer.await.unwrap());
    }
    assert_eq!(authority.key_fetches(), 2);
}

#[tokio::test]
async fn r8414_13_missing_kid_causes_no_further_fetch_for_30_seconds() {
    let (authority, app) = app_with_keys().await;
    authority.clock().advance(COOL_DOWN);
    assert_unknown_key(&app.present(&with_unknown_kid(&authority, "absent")).await);
    assert_eq!(authority.key_fetches(), 2);

    for _ in 0..29 {
        authority.clock().advance(SECOND);
        assert_unknown_key(&app.present(&with_unknown_kid(&authority, "absent")).await);
    }
    assert_eq!(authority.key_fetches(), 2);
    authority.clock().advance(SECOND);
    assert_unknown_key(&app.present(&with_unknown_kid(&authority, "absent")).await);

    assert_eq!(authority.key_fetches(), 3);
}

#[tokio::test]
async fn r8414_13_missing_kid_is_found_once_any_fetch_returns_it() {
    let (authority, app) = app_with_keys().await;
    let key = SigningKey::generate("announced", Algorithm::ES256);
    let token = authority.token().key(&key).sign();
    authority.clock().advance(COOL_DOWN);
    assert_unknown_key(&app.present(&token).await);

    authority.publish_keys([key]);
    authority.clock().advance(COOL_DOWN);
    assert_unknown_key(&app.present(&with_unknown_kid(&authority, "another")).await);

    app.present(&token).await.assert_pass();
}

#[tokio::test]
async fn r8414_13_kid_requested_during_a_fetch_is_not_marked_absent() {
    let (authority, app) = app_with_keys().await;
    let old = response(200, "application/json", authority.jwks().to_string());
    authority.answer(&authority.jwks_uri(), move |_| old.clone());
    authority.clock().advance(COOL_DOWN);
    authority.hold(&authority.jwks_uri());
    let stranger = tokio::spawn({
        let (app, token) = (app.clone(), with_unknown_kid(&authority, "stranger"));
        async move { app.present(&token).await }
    });
    until(|| authority.key_fetches() == 2).await;
    // The fetch started before the key was published, so its response does not prove that the key is missing.
    authority.clock().advance(SECOND);
    authority.rotate_keys();
    let token = authority.token().sign();
    let early = tokio::spawn({
        let (app, token) = (app.clone(), token.clone());
        async move { app.present(&token).await }
    });
    settle().await;
    authority.release(&authority.jwks_uri());
    assert_unknown_key(&stranger.await.unwrap());
    assert_unknown_key(&early.await.unwrap());

    authority.answer_as_usual(&authority.jwks_uri());
    authority.clock().advance(COOL_DOWN);

    app.present(&token).await.assert_pass();
}

#[tokio::test]
async fn r8414_13_flood_of_10_000_kids_causes_the_burst_and_one_fetch_per_cool_down() {
    let (authority, app) = app_with_keys().await;
    let junk = authority.token().expires_in(Duration::from_secs(3_600));

    for number in 0..10_000 {
        let token = junk.clone().header("kid", format!("junk-{number}")).signature([7; 64]).sign();
        app.present(&token).await.assert_invalid_token();
        authority.clock().advance(Duration::from_millis(10));
    }

    // The first fetch, the burst, and one per cool-down during 100 seconds.
    let fetches = authority.key_fetches();
    assert!((10..=1 + BURST + 10).contains(&fetches), "{fetches}");
}

#[tokio::test]
async fn r8414_13_new_key_is_accepted_during_a_flood_within_one_cool_down() {
    let (authority, app) = app_with_keys().await;
    let junk = authority.token().expires_in(Duration::from_secs(3_600));
    let mut number = 0;
    let mut flood = async |span: Duration| {
        for _ in 0..50 {
            number += 1;
            let token = junk.clone().header("kid", format!("junk-{number}")).signature([7; 64]).sign();
            app.present(&token).await.assert_invalid_token();
            authority.clock().advance(span / 50);
        }
    };
    for _ in 0..25 {
        flood(SECOND).await;
    }
    authority.publish_keys([SigningKey::generate("new", Algorithm::ES256)]);
    let token = authority.token().sign();

    let mut waited = Duration::ZERO;
    while app.present(&token).await.status != StatusCode::OK {
        assert!(waited < COOL_DOWN, "still refused after {waited:?}");
        flood(SECOND).await;
        waited += SECOND;
    }
}

#[tokio::test]
async fn r8414_13_cancelled_callers_do_not_cancel_the_fetch() {
    let (authority, app) = app_with_keys().await;
    authority.publish_keys([SigningKey::generate("new", Algorithm::ES256)]);
    authority.clock().advance(COOL_DOWN);
    authority.hold(&authority.jwks_uri());
    for number in 0..10 {
        let leaving = tokio::spawn({
            let (app, token) = (app.clone(), with_unknown_kid(&authority, &format!("junk-{number}")));
            async move { app.present(&token).await }
        });
        until(|| authority.key_fetches() == 2).await;
        leaving.abort();
        assert!(leaving.await.unwrap_err().is_cancelled());
    }
    authority.release(&authority.jwks_uri());
    settle().await;

    app.present(&authority.token().sign()).await.assert_pass();

    assert_eq!(authority.key_fetches(), 2);
}

#[tokio::test]
async fn r8414_13_unknown_kids_during_an_outage_respect_the_back_off() {
    let (authority, app) = app_with_keys().await;
    authority.go_down();
    authority.clock().advance(COOL_DOWN);
    let before = authority.requests().len();

    for number in 0..600 {
        app.present(&with_unknown_kid(&authority, &format!("junk-{number}"))).await.assert_unavailable();
        authority.clock().advance(SECOND);
    }

    let attempts = authority.requests().len() - before;
    assert!((10..=17).contains(&attempts), "{attempts}");
}

#[tokio::test]
async fn thousand_concurrent_first_callers_share_one_fetch() {
    let (authority, app) = app();
    authority.hold(&authority.metadata_url());
    let waiting: Vec<_> = (0..1_000)
        .map(|_| {
            let (app, token) = (app.clone(), authority.token().sign());
            tokio::spawn(async move { app.present(&token).await })
        })
        .collect();
    settle().await;

    authority.release(&authority.metadata_url());

    let mut passed = 0;
    for answer in waiting {
        passed += usize::from(answer.await.unwrap().status == StatusCode::OK);
    }
    assert_eq!(passed, 1_000);
    assert_eq!(requested_urls(&authority), [authority.metadata_url(), authority.jwks_uri()]);
}

#[tokio::test]
async fn cancelled_first_caller_does_not_cancel_the_fetch() {
    let (authority, app) = app();
    authority.hold(&authority.jwks_uri());
    let first = tokio::spawn({
        let (app, token) = (app.clone(), authority.token().sign());
        async move { app.present(&token).await }
    });
    until(|| authority.key_fetches() == 1).await;
    let second = tokio::spawn({
        let (app, token) = (app.clone(), authority.token().sign());
        async move { app.present(&token).await }
    });
    settle().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());

    authority.release(&authority.jwks_uri());

    second.await.unwrap().assert_pass();
    assert_eq!(authority.key_fetches(), 1);
}

/// Returns responses that are not an acceptable key set.
fn unacceptable_key_sets(authority: &TestAuthorizationServer) -> Vec<(&'static str, Response<Bytes>)> {
    let json = |body: Value| response(200, "application/json", body.to_string());
    let jwk = authority.keys()[0].jwk();
    let many: Vec<_> = (0..65)
        .map(|number| {
            let mut jwk = jwk.clone();
            jwk["kid"] = json!(format!("key-{number}"));
            jwk
        })
        .collect();
    let keys = authority.jwks()["keys"].clone();
    vec![
        ("a page", response(200, "text/html", "<html>maintenance</html>")),
        ("nothing", response(200, "application/json", "")),
        ("an empty object", json(json!({}))),
        ("an empty set", json(json!({"keys": []}))),
        ("keys is not an array", json(json!({"keys": {"kid": jwk}}))),
        ("a bare array", json(keys.clone())),
        ("65 keys", json(json!({"keys": many}))),
        ("300 KiB", json(json!({"keys": keys, "filler": "x".repeat(300 * 1024)}))),
        (
            "duplicate keys member",
            response(200, "application/json", format!(r#"{{"keys":{keys},"keys":{keys}}}"#)),
        ),
        ("a symmetric key", json(json!({"keys": [{"kty": "oct", "kid": "key-1", "k": "c2VjcmV0"}]}))),
        ("null", json(json!({"keys": null}))),
        ("internal server error", response(500, "application/json", authority.jwks().to_string())),
        ("bad gateway", response(502, "text/html", "<html>bad gateway</html>")),
        ("service unavailable", response(503, "", "")),
        ("too many requests", response(429, "", "")),
        ("not found", response(404, "", "")),
    ]
}

#[tokio::test]
async fn previous_key_set_is_kept_after_an_unacceptable_response() {
    let cases = unacceptable_key_sets(&TestAuthorizationServer::new(ISSUER)).len();
    for index in 0..cases {
        let (authority, app) = app_with_keys().await;
        let (what, answer) = unacceptable_key_sets(&authority).swap_remove(index);
        authority.answer(&authority.jwks_uri(), move |_| answer.clone());
        authority.clock().advance(COOL_DOWN);

        let unknown = app.present(&with_unknown_kid(&authority, "unknown")).await;

        assert_eq!(authority.key_fetches(), 2, "{what}");
        assert_eq!(unknown.status, StatusCode::SERVICE_UNAVAILABLE, "{what}");
        let known = app.present(&authority.token().sign()).await;
        assert_eq!(known.status, StatusCode::OK, "{what}: {:?}", known.reason);
    }
}

#[tokio::test]
async fn service_recovers_once_the_jwks_uri_works_again() {
    let (authority, app) = app_with_keys().await;
    authority.answer(&authority.jwks_uri(), |_| response(200, "text/html", "<html>maintenance</html>"));
    authority.clock().advance(COOL_DOWN);
    authority.rotate_keys();
    let token = authority.token().sign();
    app.present(&token).await.assert_unavailable();

    authority.answer_as_usual(&authority.jwks_uri());
    authority.clock().advance(COOL_DOWN);

    app.present(&token).await.assert_pass();
}

#[tokio::test]
async fn unusable_keys_are_skipped_and_the_rest_of_the_set_is_used() {
    let (authority, app) = app();
    let valid = authority.keys()[0].jwk();
    let keys = json!({"keys": [
        {"kty": "oct", "kid": "a", "k": "c2VjcmV0"},
        {"kty": "EC", "crv": "P-256", "kid": "b", "x": "AA", "y": "AA"},
        {"kty": "RSA", "kid": "c", "n": "AQAB", "e": "AQ"},
        "not a key",
        null,
        valid,
    ]});
    authority.answer(&authority.jwks_uri(), move |_| response(200, "application/json", keys.to_string()));

    app.present(&authority.token().sign()).await.assert_pass();
}

#[tokio::test]
async fn configured_jwks_uri_needs_no_metadata() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let server = AuthorizationServer::with_endpoints(ISSUER)
        .jwks_uri(authority.jwks_uri())
        .http_client(authority.clone());
    let validator = JwtValidator::builder(server, RESOURCE).clock(authority.clock().clone()).build().unwrap();
    let app = App::new(authority.resource_server_with(validator).build().unwrap().require_token());

    app.present(&authority.token().audience(RESOURCE).sign()).await.assert_pass();

    assert_eq!(requested_urls(&authority), [authority.jwks_uri()]);
}

/// Tests of `ReqwestClient` over sockets.
#[cfg(feature = "reqwest")]
mod over_loopback {
    use std::{
        collections::HashMap,
        io,
        net::SocketAddr,
        sync::{Arc, Mutex},
    };

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
        sync::mpsc,
    };
    use tower_bearer::{ReqwestClient, ResourceServer, testing::TokenBuilder};

    use super::*;

    /// Default time limit of a fetch.
    const TIMEOUT: Duration = Duration::from_secs(5);

    /// A server on a free port that answers by path and records the requested paths.
    struct Listener {
        address: SocketAddr,
        answers: Arc<Mutex<HashMap<String, Script>>>,
        requested_paths: Arc<Mutex<Vec<String>>>,
        /// The result of writing each endless response.
        endless: mpsc::UnboundedReceiver<io::Result<()>>,
    }

    #[derive(Clone)]
    enum Script {
        Answer(String),
        /// A response whose body does not end.
        Endless,
        /// Accepts the connection, reads the request and never responds.
        Silence,
    }

    impl Listener {
        async fn start() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (answers, requested_paths) = (Arc::default(), Arc::default());
            let (report, endless) = mpsc::unbounded_channel();
            let this = Self { address, answers, requested_paths, endless };
            let (answers, requested_paths) = (Arc::clone(&this.answers), Arc::clone(&this.requested_paths));
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (answers, requested_paths, report) =
                        (Arc::clone(&answers), Arc::clone(&requested_paths), report.clone());
                    tokio::spawn(async move { serve(stream, &answers, &requested_paths, &report).await });
                }
            });
            this
        }

        fn issuer(&self) -> String {
            format!("http://{}", self.address)
        }

        fn script(&self, path: &str, script: Script) {
            self.answers.lock().unwrap().insert(path.to_owned(), script);
        }

        fn answer(&self, path: &str, head: &str, body: &str) {
            let length = body.len();
            let text =
                format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            self.script(path, Script::Answer(text));
        }

        fn answer_json(&self, path: &str, body: &Value) {
            self.answer(path, "200 OK\r\ncontent-type: application/json", &body.to_string());
        }

        fn answer_metadata(&self) {
            let issuer = self.issuer();
            let document = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/jwks")});
            self.answer_json("/.well-known/oauth-authorization-server", &document);
        }

        fn requested_paths(&self) -> Vec<String> {
            self.requested_paths.lock().unwrap().clone()
        }

        /// Returns an app that fetches its keys from this server, and a token of this issuer.
        fn app(&self, timeout: Duration) -> (App, TestAuthorizationServer, TokenBuilder) {
            let authority = TestAuthorizationServer::new(&self.issuer());
            let server = AuthorizationServer::discover(self.issuer())
                .allow_http_on_loopback()
                .http_client(ReqwestClient::from_builder(reqwest::Client::builder().no_proxy()).unwrap());
            let validator = JwtValidator::builder(server, RESOURCE)
                .key_fetch_timeout(timeout)
                .clock(authority.clock().clone())
                .build()
                .unwrap();
            let resource_server =
                ResourceServer::builder(validator).clock(authority.clock().clone()).build().unwrap();
            let token = authority.token().audience(RESOURCE);
            (App::new(resource_server.require_token()), authority, token)
        }
    }

    async fn serve(
        mut stream: TcpStream,
        answers: &Mutex<HashMap<String, Script>>,
        requested_paths: &Mutex<Vec<String>>,
        report: &mpsc::UnboundedSender<io::Result<()>>,
    ) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => request.push(byte),
                Err(_) => return,
            }
        }
        let request = String::from_utf8(request).unwrap();
        let path = request.split(' ').nth(1).unwrap().to_owned();
        requested_paths.lock().unwrap().push(path.clone());
        let script = answers.lock().unwrap().get(&path).cloned();
        let script = script
            .unwrap_or_else(|| Script::Answer("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".into()));
        match script {
            Script::Answer(text) => drop(stream.write_all(text.as_bytes()).await),
            Script::Endless => {
                let head =
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{\"a\":\"";
                let mut written = stream.write_all(head.as_bytes()).await;
                // At most 1 GiB, so that a client without a limit fails the test instead of filling the memory.
                for _ in 0..16 * 1024 {
                    if written.is_ok() {
                        written = stream.write_all(&[b'x'; 64 * 1024]).await;
                    }
                }
                report.send(written).unwrap();
            }
            // Waits until the client disconnects.
            Script::Silence => drop(stream.read_u8().await),
        }
    }

    #[tokio::test]
    async fn keys_are_fetched_over_a_socket() {
        let listener = Listener::start().await;
        let (app, authority, token) = listener.app(TIMEOUT);
        listener.answer_metadata();
        listener.answer_json("/jwks", &authority.jwks());

        app.present(&token.sign()).await.assert_pass();

        assert_eq!(listener.requested_paths(), ["/.well-known/oauth-authorization-server", "/jwks"]);
    }

    #[tokio::test]
    async fn r8414_06_reqwest_client_does_not_follow_redirects() {
        for status in
            ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"]
        {
            let listener = Listener::start().await;
            let (app, authority, token) = listener.app(TIMEOUT);
            listener.answer_metadata();
            listener.answer("/jwks", &format!("{status}\r\nlocation: {}/elsewhere", listener.issuer()), "");
            listener.answer_json("/elsewhere", &authority.jwks());

            let reason = assert_keys_unavailable(&app.present(&token.sign()).await);

            assert!(reason.contains("/elsewhere") && reason.contains("not followed"), "{reason}");
            assert_eq!(
                listener.requested_paths(),
                ["/.well-known/oauth-authorization-server", "/jwks"],
                "{status}"
            );
        }
    }

    #[tokio::test]
    async fn r8414_06_redirect_policy_of_the_reqwest_builder_is_ignored() {
        let listener = Listener::start().await;
        let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::limited(10));
        let client = ReqwestClient::from_builder(builder).unwrap();
        listener.answer("/jwks", "302 Found\r\nlocation: /elsewhere", "");
        let request = http::Request::get(format!("{}/jwks", listener.issuer())).body(Bytes::new()).unwrap();

        let response = tower_bearer::HttpClient::send(&client, request, 1_024).await.unwrap();

        assert_eq!(response.status(), StatusCode::FOUND);
        assert_eq!(listener.requested_paths(), ["/jwks"]);
    }

    #[tokio::test]
    async fn endless_key_set_is_read_only_up_to_the_limit() {
        let mut listener = Listener::start().await;
        let (app, _authority, token) = listener.app(TIMEOUT);
        listener.answer_metadata();
        listener.script("/jwks", Script::Endless);

        let reason = assert_keys_unavailable(&app.present(&token.sign()).await);

        assert!(reason.contains("longer than 262144 bytes"), "{reason}");
        let written = listener.endless.recv().await.unwrap();
        assert!(written.is_err(), "the client read the whole body instead of disconnecting");
    }

    #[tokio::test]
    async fn server_that_never_responds_is_abandoned_at_the_deadline() {
        for path in ["/.well-known/oauth-authorization-server", "/jwks"] {
            let listener = Listener::start().await;
            let (app, _authority, token) = listener.app(Duration::from_millis(100));
            listener.answer_metadata();
            listener.script(path, Script::Silence);

            let reason = assert_keys_unavailable(&app.present(&token.sign()).await);

            assert!(reason.contains("within 100ms"), "{reason}");
            assert_eq!(listener.requested_paths().last().map(String::as_str), Some(path));
        }
    }

    #[tokio::test]
    async fn closed_port_is_503() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let authority = TestAuthorizationServer::new(&issuer);
        let client = ReqwestClient::from_builder(reqwest::Client::builder().no_proxy()).unwrap();
        let server = AuthorizationServer::discover(&issuer).allow_http_on_loopback().http_client(client);
        let validator =
            JwtValidator::builder(server, RESOURCE).clock(authority.clock().clone()).build().unwrap();
        let app = App::new(ResourceServer::builder(validator).build().unwrap().require_token());

        let answer = app.present(&authority.token().audience(RESOURCE).sign()).await;

        assert_keys_unavailable(&answer);
    }
}
