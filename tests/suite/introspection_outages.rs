//! Introspection while something is wrong: the endpoint stays known, the log stays quiet, and no answer gets lost.

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

/// A validator that asks for every request.
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

fn good(authority: &TestAuthorizationServer) -> String {
    authority.token().scope("orders:read").opaque()
}

fn status(status: u16) -> Response<Bytes> {
    Response::builder().status(status).body(Bytes::new()).unwrap()
}

/// Answers calls about "../../etc/passwd" as a firewall in front of the authorization server does, and others as active.
fn put_a_firewall_before(authority: &TestAuthorizationServer, endpoint: &str, firewall_status: u16) {
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
    put_a_firewall_before(authority, NEW_ENDPOINT, 403);
}

/// The lines of a level.
fn lines(log: &Log, level: &str) -> Vec<String> {
    log.text().lines().filter(|line| line.contains(level)).map(str::to_owned).collect()
}

#[test]
fn a_shared_call_whose_runtime_was_shut_down_is_answered_503() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let (authority, app) = app_with(|builder| builder);
    let token = good(&authority);
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
async fn r7662_16_the_time_to_live_counts_from_the_question() {
    let (authority, app) = app_with(|builder| builder.cache_ttl(MINUTE));
    let token = good(&authority);
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
async fn r7662_16_an_answer_older_than_the_time_to_live_is_not_remembered() {
    let (authority, app) = app_with(|builder| builder.cache_ttl(2 * SECOND));
    let token = good(&authority);
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
async fn r7662_06_the_time_to_live_of_inactive_counts_from_the_question() {
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
async fn a60_a_token_that_a_firewall_answers_404_does_not_unset_the_endpoint() {
    for firewall_status in [400, 403, 404, 405] {
        let (authority, app) = app();
        put_a_firewall_before(&authority, ENDPOINT, firewall_status);
        app.present("token").await.assert_pass();
        authority.clock().advance(MINUTE);
        authority.answer(METADATA, |_| status(500));

        for _ in 0..3 {
            assert!(app.present(ODD_TOKEN).await.status.is_server_error());
            settle().await;
            app.present("token").await.assert_pass();
        }

        // The metadata was looked at again at most once.
        assert!(authority.requests_to(METADATA).len() <= 2, "{firewall_status}");
    }
}

#[tokio::test]
async fn r7662_29_an_endpoint_that_moved_is_found_after_a_404_in_the_background() {
    let (authority, app) = app();
    app.present(&good(&authority)).await.assert_pass();
    authority.clock().advance(MINUTE);
    move_endpoint(&authority);
    authority.answer(ENDPOINT, |_| status(404));

    app.present("token").await.assert_internal();
    settle().await;

    app.present("token").await.assert_pass();
    assert_eq!(authority.requests_to(NEW_ENDPOINT).len(), 1);
}

#[tokio::test]
async fn r7662_29_an_endpoint_whose_host_is_gone_is_found_at_its_new_address() {
    let (authority, app) = app_with(|builder| builder.cache_ttl(Duration::ZERO).timeout(SECOND));
    app.present(&good(&authority)).await.assert_pass();
    authority.clock().advance(MINUTE);
    move_endpoint(&authority);
    authority.hold(ENDPOINT);
    tokio::time::pause();

    app.present("token").await.assert_unavailable();
    settle().await;

    app.present("token").await.assert_pass();
}

#[tokio::test]
async fn r7662_29_the_endpoint_is_looked_up_again_after_a_day_and_no_request_waits() {
    let (authority, app) = app();
    app.present(&good(&authority)).await.assert_pass();
    move_endpoint(&authority);
    authority.clock().advance(DAY - SECOND);
    app.present(&good(&authority)).await.assert_pass();
    settle().await;
    assert_eq!(authority.requests_to(METADATA).len(), 1);
    authority.hold(METADATA);
    authority.clock().advance(SECOND);

    for _ in 0..3 {
        app.present(&good(&authority)).await.assert_pass();
        settle().await;
    }

    assert_eq!(authority.requests_to(METADATA).len(), 2);
    assert_eq!((authority.introspections(), authority.requests_to(NEW_ENDPOINT).len()), (5, 0));
    authority.release(METADATA);
    settle().await;
    app.present(&good(&authority)).await.assert_pass();
    assert_eq!((authority.introspections(), authority.requests_to(NEW_ENDPOINT).len()), (5, 1));
}

#[tokio::test]
async fn r7662_29_the_old_endpoint_is_used_while_no_new_one_is_found() {
    let (authority, app) = app();
    app.present(&good(&authority)).await.assert_pass();
    authority.answer(METADATA, |_| status(404));
    authority.clock().advance(DAY);

    for _ in 0..100 {
        app.present(&good(&authority)).await.assert_pass();
        settle().await;
    }

    // One search, which asks one document after the other: no search with every request.
    assert_eq!(authority.requests_to(METADATA).len(), 2);
    authority.answer_as_usual(METADATA);
    authority.clock().advance(10 * SECOND);
    app.present(&good(&authority)).await.assert_pass();
    settle().await;
    assert_eq!(authority.requests_to(METADATA).len(), 3);
}

#[tokio::test]
async fn r7662_29_an_endpoint_found_after_the_caller_has_left_is_kept() {
    let (authority, app) = app();
    let token = good(&authority);
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
async fn r7662_29_a_search_without_a_response_is_repeated_at_most_every_second() {
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

    // Three at once, then a pause.
    assert_eq!(authority.requests().len(), 3);
    authority.clock().advance(SECOND);
    for _ in 0..100 {
        app.present("token").await.assert_unavailable();
    }
    assert_eq!(authority.requests().len(), 4);
    authority.come_back();
    authority.clock().advance(SECOND);
    app.present(&good(&authority)).await.assert_pass();
}

#[tokio::test]
async fn a60_a_token_that_a_firewall_answers_does_not_make_the_log_flap() {
    for (firewall_status, level) in [(400, "WARN"), (403, "ERROR"), (404, "ERROR")] {
        let (authority, app) = app();
        put_a_firewall_before(&authority, ENDPOINT, firewall_status);
        let (log, _listening) = Log::record_from(tracing::Level::INFO);

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
async fn r7662_30_an_outage_of_another_kind_is_logged_at_once() {
    let (authority, app) = app();
    put_a_firewall_before(&authority, ENDPOINT, 403);
    let (log, _listening) = Log::record_from(tracing::Level::INFO);
    app.present("token").await.assert_pass();
    app.present(ODD_TOKEN).await.assert_internal();

    authority.answer(ENDPOINT, |_| status(401));
    app.present("token").await.assert_internal();
    authority.go_down();
    app.present("token").await.assert_unavailable();

    assert_eq!((lines(&log, "ERROR").len(), lines(&log, "WARN").len()), (2, 1), "{}", log.text());
}

#[tokio::test]
async fn r7662_30_a_recovery_within_the_minute_is_logged_after_it() {
    let (authority, app) = app();
    let token = good(&authority);
    let (log, _listening) = Log::record_from(tracing::Level::INFO);
    for _ in 0..2 {
        authority.go_down();
        app.present(&token).await.assert_unavailable();
        authority.come_back();
        authority.clock().advance(31 * SECOND);
        app.present(&token).await.assert_pass();
    }
    // Down, back, down and back: the second outage began 31 seconds after the first, and was too short to be told.
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
async fn r7662_30_the_log_of_an_outage_names_its_cause_and_not_the_limit_of_calls() {
    let (authority, app) = app();
    app.present(&good(&authority)).await.assert_pass();
    let (log, _listening) = Log::record_from(tracing::Level::INFO);
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
async fn r7662_30_calls_refused_at_the_limit_while_the_server_answers_are_logged_once_a_minute() {
    let (authority, app) = app();
    let token = good(&authority);
    app.present(&token).await.assert_pass();
    let (log, _listening) = Log::record_from(tracing::Level::INFO);

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
