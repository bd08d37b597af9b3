//! Proves that a working introspection endpoint is kept during outages, and that outages are logged without flooding.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::json;
use tower_bearer::{IntrospectionValidatorBuilder, ValidationError, testing::TestAuthorizationServer};

use crate::support::{App, ISSUER, Log, READ, RESOURCE, assert_reason, poll_once, settle, until};

const METADATA: &str = "https://as.example.com/.well-known/oauth-authorization-server";
const ENDPOINT: &str = "https://as.example.com/introspect";
const NEW_ENDPOINT: &str = "https://as.example.com/v2/introspect";

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Maximum number of concurrent introspection calls.
const MAX_CALLS: usize = 256;

/// Returns a server and an app that introspects on every request.
fn app() -> (TestAuthorizationServer, App) {
    app_with(|builder| builder.cache_ttl(Duration::ZERO))
}

fn app_with(
    configure: impl FnOnce(IntrospectionValidatorBuilder) -> IntrospectionValidatorBuilder,
) -> (TestAuthorizationServer, App) {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = configure(authority.introspection_validator(RESOURCE)).build().unwrap();
    let app = App::new(authority.resource_server_with(validator).build().unwrap().require_scopes(READ));
    (authority, app)
}

fn opaque_token(authority: &TestAuthorizationServer) -> String {
    authority.token().scope("orders:read").opaque()
}

fn status(status: u16) -> Response<Bytes> {
    Response::builder().status(status).body(Bytes::new()).unwrap()
}

/// Makes the endpoint respond like a firewall to [`ODD_TOKEN`], and report all other tokens as active.
fn add_firewall(authority: &TestAuthorizationServer, endpoint: &str, firewall_status: u16) {
    let mut claims = authority.token().scope("orders:read").claims().clone();
    claims.insert("active".into(), true.into());
    claims.remove("exp");
    let active = Bytes::from(serde_json::Value::from(claims).to_string());
    authority.answer(endpoint, move |request: &Request<Bytes>| {
        if request.body().windows(6).any(|part| part == b"passwd") {
            return status(firewall_status);
        }
        let mut response = Response::new(active.clone());
        response.headers_mut().insert("content-type", "application/json".parse().unwrap());
        response
    });
}

/// A token that a firewall may mistake for an attack.
const ODD_TOKEN: &str = "../../etc/passwd";

/// Publishes another introspection endpoint in the metadata.
fn move_endpoint(authority: &TestAuthorizationServer) {
    authority.answer(METADATA, |_| {
        let metadata = json!({"issuer": ISSUER, "introspection_endpoint": NEW_ENDPOINT});
        Response::builder()
            .header("content-type", "application/json")
            .body(Bytes::from(metadata.to_string()))
            .unwrap()
    });
    add_firewall(authority, NEW_ENDPOINT, 403);
}

/// Returns the log lines of a level.
fn lines(log: &Log, level: &str) -> Vec<String> {
    log.text().lines().filter(|line| line.contains(level)).map(str::to_owned).collect()
}

#[test]
fn shared_call_is_503_if_its_runtime_was_shut_down() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let (authority, app) = app_with(|builder| builder);
    let token = opaque_token(&authority);
    authority.hold(ENDPOINT);
    let mut starts_the_call = Box::pin(app.present(&token));
    let mut joins_the_call = Box::pin(app.present(&token));
    first.block_on(async { assert!(poll_once(&mut starts_the_call).await.is_pending()) });
    second.block_on(async { assert!(poll_once(&mut joins_the_call).await.is_pending()) });

    drop(first);
    let answer = second.block_on(joins_the_call);

    answer.assert_unavailable();
    authority.release(ENDPOINT);
    second.block_on(app.present(&token)).assert_pass();
}

#[tokio::test]
async fn r7662_16_ttl_counts_from_the_start_of_the_call() {
    let (authority, app) = app_with(|builder| builder.cache_ttl(MINUTE));
    let token = opaque_token(&authority);
    authority.hold(ENDPOINT);
    let mut slow = Box::pin(app.present(&token));
    assert!(poll_once(&mut slow).await.is_pending());
    until(|| authority.introspections() == 1).await;
    authority.clock().advance(2 * SECOND);
    authority.release(ENDPOINT);
    slow.await.assert_pass();

    for (seconds, introspections) in [(57, 1), (1, 2)] {
        authority.clock().advance(Duration::from_secs(seconds));
        app.present(&token).await.assert_pass();
        assert_eq!(authority.introspections(), introspections);
    }
}

#[tokio::test]
async fn r7662_16_response_that_took_longer_than_the_ttl_is_not_cached() {
    let (authority, app) = app_with(|builder| builder.cache_ttl(2 * SECOND));
    let token = opaque_token(&authority);
    authority.hold(ENDPOINT);
    let mut slow = Box::pin(app.present(&token));
    assert!(poll_once(&mut slow).await.is_pending());
    until(|| authority.introspections() == 1).await;
    authority.clock().advance(2 * SECOND);
    authority.release(ENDPOINT);
    slow.await.assert_pass();

    app.present(&token).await.assert_pass();

    assert_eq!(authority.introspections(), 2);
}

#[tokio::test]
async fn r7662_06_ttl_of_an_inactive_response_counts_from_the_start_of_the_call() {
    let (authority, app) = app_with(|builder| builder.inactive_ttl(5 * SECOND));
    authority.hold(ENDPOINT);
    let mut slow = Box::pin(app.present("junk"));
    assert!(poll_once(&mut slow).await.is_pending());
    until(|| authority.introspections() == 1).await;
    authority.clock().advance(2 * SECOND);
    authority.release(ENDPOINT);
    assert_reason!(slow.await, ValidationError::Inactive);

    for (seconds, introspections) in [(2, 1), (1, 2)] {
        authority.clock().advance(Duration::from_secs(seconds));
        assert_reason!(app.present("junk").await, ValidationError::Inactive);
        assert_eq!(authority.introspections(), introspections);
    }
}

#[tokio::test]
async fn a60_token_that_a_firewall_rejects_does_not_unset_the_endpoint() {
    for firewall_status in [400, 403, 404, 405] {
        let (authority, app) = app();
        add_firewall(&authority, ENDPOINT, firewall_status);
        app.present("token").await.assert_pass();
        authority.clock().advance(MINUTE);
        authority.answer(METADATA, |_| status(500));

        for _ in 0..3 {
            assert!(app.present(ODD_TOKEN).await.status.is_server_error());
            settle().await;
            app.present("token").await.assert_pass();
        }

        // The metadata was fetched again at most once.
        assert!(authority.requests_to(METADATA).len() <= 2, "{firewall_status}");
    }
}

#[tokio::test]
async fn r7662_29_moved_endpoint_is_found_in_the_background_after_a_404() {
    let (authority, app) = app();
    app.present(&opaque_token(&authority)).await.assert_pass();
    authority.clock().advance(MINUTE);
    move_endpoint(&authority);
    authority.answer(ENDPOINT, |_| status(404));

    app.present("token").await.assert_internal();
    settle().await;

    app.present("token").await.assert_pass();
    assert_eq!(authority.requests_to(NEW_ENDPOINT).len(), 1);
}

#[tokio::test]
async fn r7662_29_moved_endpoint_is_found_if_the_old_host_does_not_respond() {
    let (authority, app) = app_with(|builder| builder.cache_ttl(Duration::ZERO).timeout(SECOND));
    app.present(&opaque_token(&authority)).await.assert_pass();
    authority.clock().advance(MINUTE);
    move_endpoint(&authority);
    authority.hold(ENDPOINT);
    tokio::time::pause();

    app.present("token").await.assert_unavailable();
    settle().await;

    app.present("token").await.assert_pass();
}

#[tokio::test]
async fn r7662_29_endpoint_is_looked_up_again_after_a_day_without_delaying_requests() {
    let (authority, app) = app();
    app.present(&opaque_token(&authority)).await.assert_pass();
    move_endpoint(&authority);
    authority.clock().advance(DAY - SECOND);
    app.present(&opaque_token(&authority)).await.assert_pass();
    settle().await;
    assert_eq!(authority.requests_to(METADATA).len(), 1);
    authority.hold(METADATA);
    authority.clock().advance(SECOND);

    for _ in 0..3 {
        app.present(&opaque_token(&authority)).await.assert_pass();
        settle().await;
    }

    assert_eq!(authority.requests_to(METADATA).len(), 2);
    assert_eq!((authority.introspections(), authority.requests_to(NEW_ENDPOINT).len()), (5, 0));
    authority.release(METADATA);
    settle().await;
    app.present(&opaque_token(&authority)).await.assert_pass();
    assert_eq!((authority.introspections(), authority.requests_to(NEW_ENDPOINT).len()), (5, 1));
}

#[tokio::test]
async fn r7662_29_old_endpoint_is_used_until_a_new_one_is_found() {
    let (authority, app) = app();
    app.present(&opaque_token(&authority)).await.assert_pass();
    authority.answer(METADATA, |_| status(404));
    authority.clock().advance(DAY);

    for _ in 0..100 {
        app.present(&opaque_token(&authority)).await.assert_pass();
        settle().await;
    }

    // The metadata was fetched once more, not on every request.
    assert_eq!(authority.requests_to(METADATA).len(), 2);
    authority.answer_as_usual(METADATA);
    authority.clock().advance(10 * SECOND);
    app.present(&opaque_token(&authority)).await.assert_pass();
    settle().await;
    assert_eq!(authority.requests_to(METADATA).len(), 3);
}

#[tokio::test]
async fn r7662_29_endpoint_found_after_the_caller_was_cancelled_is_kept() {
    let (authority, app) = app();
    let token = opaque_token(&authority);
    authority.hold(METADATA);
    let mut caller = Box::pin(app.present(&token));
    assert!(poll_once(&mut caller).await.is_pending());
    drop(caller);
    authority.release(METADATA);
    settle().await;
    authority.answer(METADATA, |_| status(500));

    app.present(&token).await.assert_pass();

    assert_eq!(authority.requests_to(METADATA).len(), 1);
}

#[tokio::test]
async fn r7662_29_discovery_without_a_response_is_repeated_at_most_every_second() {
    let (authority, app) = app();
    authority.go_down();

    for _ in 0..100 {
        let answer = app.present("token").await;
        answer.assert_unavailable();
        assert_reason!(
            answer,
            ValidationError::IntrospectionUnavailable { reason, .. } if reason.contains("connection refused")
        );
    }

    // Three attempts in a row, then a pause.
    assert_eq!(authority.requests().len(), 3);
    authority.clock().advance(SECOND);
    for _ in 0..100 {
        app.present("token").await.assert_unavailable();
    }
    assert_eq!(authority.requests().len(), 4);
    authority.come_back();
    authority.clock().advance(SECOND);
    app.present(&opaque_token(&authority)).await.assert_pass();
}

#[tokio::test]
async fn a60_token_that_a_firewall_rejects_is_logged_once_a_minute() {
    for (firewall_status, level) in [(400, "WARN"), (403, "ERROR"), (404, "ERROR")] {
        let (authority, app) = app();
        add_firewall(&authority, ENDPOINT, firewall_status);
        let (log, _recording) = Log::record_from(tracing::Level::INFO);

        for pairs in 1..=2 {
            for _ in 0..50 {
                assert!(app.present(ODD_TOKEN).await.status.is_server_error());
                app.present("token").await.assert_pass();
            }
            assert_eq!(
                (lines(&log, level).len(), lines(&log, "INFO").len()),
                (pairs, pairs),
                "{}",
                log.text()
            );
            authority.clock().advance(MINUTE);
        }
    }
}

#[tokio::test]
async fn r7662_30_outage_of_another_kind_is_logged_immediately() {
    let (authority, app) = app();
    add_firewall(&authority, ENDPOINT, 403);
    let (log, _recording) = Log::record_from(tracing::Level::INFO);
    app.present("token").await.assert_pass();
    app.present(ODD_TOKEN).await.assert_internal();

    authority.answer(ENDPOINT, |_| status(401));
    app.present("token").await.assert_internal();
    authority.go_down();
    app.present("token").await.assert_unavailable();

    assert_eq!((lines(&log, "ERROR").len(), lines(&log, "WARN").len()), (2, 1), "{}", log.text());
}

#[tokio::test]
async fn r7662_30_recovery_within_a_minute_of_the_last_one_is_logged_after_the_minute() {
    let (authority, app) = app();
    let token = opaque_token(&authority);
    let (log, _recording) = Log::record_from(tracing::Level::INFO);
    for _ in 0..2 {
        authority.go_down();
        app.present(&token).await.assert_unavailable();
        authority.come_back();
        authority.clock().advance(31 * SECOND);
        app.present(&token).await.assert_pass();
    }
    // The second outage began 31 seconds after the first, so neither it nor its end is logged.
    assert_eq!((lines(&log, "WARN").len(), lines(&log, "INFO").len()), (1, 1), "{}", log.text());

    authority.go_down();
    app.present(&token).await.assert_unavailable();
    authority.come_back();
    app.present(&token).await.assert_pass();

    assert_eq!((lines(&log, "WARN").len(), lines(&log, "INFO").len()), (2, 1), "{}", log.text());
    authority.clock().advance(MINUTE);
    app.present(&token).await.assert_pass();
    assert_eq!((lines(&log, "WARN").len(), lines(&log, "INFO").len()), (2, 2), "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn r7662_30_log_of_an_outage_names_its_cause_and_not_the_call_limit() {
    let (authority, app) = app();
    app.present(&opaque_token(&authority)).await.assert_pass();
    let (log, _recording) = Log::record_from(tracing::Level::INFO);
    authority.hold(ENDPOINT);
    let mut callers: Vec<_> = (0..MAX_CALLS).map(|_| Box::pin(app.present("token"))).collect();
    for caller in &mut callers {
        assert!(poll_once(caller).await.is_pending());
    }

    app.present("another").await.assert_unavailable();
    for caller in callers {
        caller.await.assert_unavailable();
    }
    app.present("token").await.assert_unavailable();

    let warnings = lines(&log, "WARN");
    assert_eq!(warnings.len(), 1, "{}", log.text());
    assert!(warnings[0].contains("no response within 3s"), "{}", log.text());
}

#[tokio::test]
async fn r7662_30_calls_above_the_limit_are_logged_once_a_minute() {
    let (authority, app) = app();
    let token = opaque_token(&authority);
    app.present(&token).await.assert_pass();
    let (log, _recording) = Log::record_from(tracing::Level::INFO);

    for (warnings, pause) in [(1, Duration::ZERO), (1, MINUTE), (2, Duration::ZERO)] {
        authority.hold(ENDPOINT);
        let mut callers: Vec<_> = (0..MAX_CALLS).map(|_| Box::pin(app.present(&token))).collect();
        for caller in &mut callers {
            assert!(poll_once(caller).await.is_pending());
        }
        app.present(&token).await.assert_unavailable();
        authority.release(ENDPOINT);
        for caller in callers {
            assert_eq!(caller.await.status, StatusCode::OK);
        }

        assert_eq!(lines(&log, "WARN").len(), warnings, "{}", log.text());
        authority.clock().advance(pause);
    }
    assert!(lines(&log, "WARN")[0].contains("256"), "{}", log.text());
}
