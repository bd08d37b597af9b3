//! Proves how soon a changed key is found, how many fetches unknown keys and bad signatures cause, and what happens
//! while keys cannot be fetched.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use tower_bearer::{
    Algorithm, AuthorizationServer, JwtValidator, KeySet, ValidationError,
    testing::{SigningKey, TestAuthorizationServer},
};

use crate::support::{
    Answer, App, ISSUER, Log, RESOURCE, app_with, assert_reason, publish_jwks, rsa_key, settle, until,
};

const SECOND: Duration = Duration::from_secs(1);

/// Default time between two fetches for unknown keys.
const COOL_DOWN: Duration = Duration::from_secs(10);

/// Number of fetches for unknown keys that need no cool-down in between.
const BURST: usize = 3;

/// Default age at which keys are refreshed.
const REFRESH: Duration = Duration::from_secs(5 * 60);

/// Returns a server and an app that has fetched its keys once.
async fn app_with_keys() -> (TestAuthorizationServer, App) {
    let authority = TestAuthorizationServer::new(ISSUER);
    let app = App::new(authority.resource_server(RESOURCE).require_token());
    app.present(&authority.token().sign()).await.assert_pass();
    assert_eq!(authority.key_fetches(), 1);
    (authority, app)
}

/// Returns a token with an invalid signature under a known `kid`.
fn forged(authority: &TestAuthorizationServer) -> String {
    authority.token().expires_in(Duration::from_secs(7_200)).signature([7; 64]).sign()
}

fn with_unknown_kid(authority: &TestAuthorizationServer, kid: &str) -> String {
    authority.token().expires_in(Duration::from_secs(7_200)).header("kid", kid).sign()
}

/// Replaces the key with another one under the same `kid`.
fn replace_key(authority: &TestAuthorizationServer) {
    let kid = authority.keys()[0].kid().to_owned();
    authority.publish_keys([SigningKey::generate(&kid, Algorithm::ES256)]);
}

#[track_caller]
fn assert_bad_signature(answer: &Answer) {
    answer.assert_invalid_token();
    assert_reason!(answer, ValidationError::BadSignature);
}

#[track_caller]
fn assert_keys_unavailable(answer: &Answer) {
    answer.assert_unavailable();
    assert_reason!(answer, ValidationError::KeysUnavailable { .. });
}

mod rotation {
    use super::*;

    #[tokio::test]
    async fn r8414_13_rotated_key_is_found_by_its_first_token_even_right_after_a_fetch() {
        let (authority, app) = app_with_keys().await;

        for rotation in 1..=BURST {
            authority.rotate_keys();

            app.present(&authority.token().sign()).await.assert_pass();
            assert_eq!(authority.key_fetches(), 1 + rotation);
        }
    }

    #[tokio::test]
    async fn r8414_13_rotated_key_is_found_one_cool_down_after_the_burst() {
        let (authority, app) = app_with_keys().await;
        for number in 0..BURST {
            app.present(&with_unknown_kid(&authority, &format!("junk-{number}")))
                .await
                .assert_invalid_token();
        }
        authority.rotate_keys();
        let token = authority.token().sign();

        authority.clock().advance(COOL_DOWN - SECOND);
        app.present(&token).await.assert_invalid_token();
        assert_eq!(authority.key_fetches(), 1 + BURST);
        authority.clock().advance(SECOND);

        app.present(&token).await.assert_pass();
        assert_eq!(authority.key_fetches(), 2 + BURST);
    }
}

mod unknown_keys {
    use super::*;

    #[tokio::test]
    async fn r8414_13_request_without_kid_causes_one_fetch_even_if_it_outlasts_the_cool_down() {
        let (authority, app) = app_with_keys().await;
        let (clock, jwks) = (authority.clock().clone(), authority.jwks().to_string());
        let fetches = AtomicUsize::new(0);
        authority.answer(&authority.jwks_uri(), move |_| {
            // Fails the test if the request keeps fetching.
            assert!(fetches.fetch_add(1, Ordering::SeqCst) < 20, "fetched again and again");
            clock.advance(2 * COOL_DOWN);
            http::Response::builder()
                .header("content-type", "application/json")
                .body(jwks.clone().into())
                .unwrap()
        });
        let key = SigningKey::generate("other", Algorithm::EdDSA);
        let token = authority.token().key(&key).without_header("kid").sign();

        let answer = app.present(&token).await;

        answer.assert_invalid_token();
        assert_reason!(answer, ValidationError::UnknownKey { kid: None, .. });
        assert_eq!(authority.key_fetches(), 2);
    }

    #[tokio::test]
    async fn r8414_15_unknown_key_is_503_during_an_outage_even_if_it_was_missing_just_before() {
        let (authority, app) = app_with_keys().await;
        let token = with_unknown_kid(&authority, "new");
        app.present(&token).await.assert_invalid_token();

        authority.go_down();
        assert_keys_unavailable(&app.present(&with_unknown_kid(&authority, "other")).await);

        assert_keys_unavailable(&app.present(&token).await);
    }
}

mod replaced_keys {
    use super::*;

    #[tokio::test]
    async fn r8414_14_key_replaced_under_the_same_kid_is_found_by_its_first_token() {
        let (authority, app) = app_with_keys().await;
        replace_key(&authority);

        app.present(&authority.token().sign()).await.assert_pass();

        assert_eq!(authority.key_fetches(), 2);
    }

    #[tokio::test]
    async fn r8414_14_key_replaced_without_kid_is_found_by_its_first_token() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let app = app_with(&authority, |validator| validator);
        let publish = |key: &SigningKey| {
            let mut jwk: Value = key.jwk();
            jwk.as_object_mut().unwrap().remove("kid");
            publish_jwks(&authority, json!({"keys": [jwk]}).to_string());
        };
        let [old, new] = ["old", "new"].map(|kid| SigningKey::generate(kid, Algorithm::ES256));
        publish(&old);
        app.present(&authority.token().key(&old).without_header("kid").sign()).await.assert_pass();
        publish(&new);

        app.present(&authority.token().key(&new).without_header("kid").sign()).await.assert_pass();

        assert_eq!(authority.key_fetches(), 2);
    }
}

mod bad_signatures {
    use super::*;

    #[tokio::test]
    async fn r8414_14_bad_signatures_under_a_known_kid_cause_one_fetch_per_cool_down() {
        let (authority, app) = app_with_keys().await;

        for number in 0..90 {
            // Every token is different.
            let token = authority.token().claim("n", number).signature([7; 64]).sign();
            assert_bad_signature(&app.present(&token).await);
            authority.clock().advance(SECOND);
        }

        assert_eq!(authority.key_fetches(), 1 + 9);
    }

    #[tokio::test]
    async fn r8414_14_bad_signatures_delay_the_replacement_of_a_key_by_at_most_one_cool_down() {
        let (authority, app) = app_with_keys().await;
        assert_bad_signature(&app.present(&forged(&authority)).await);
        replace_key(&authority);
        assert_bad_signature(&app.present(&authority.token().sign()).await);

        authority.clock().advance(COOL_DOWN);

        app.present(&authority.token().sign()).await.assert_pass();
    }

    #[tokio::test]
    async fn r8414_14_bad_signatures_and_unknown_keys_share_one_burst() {
        let (authority, app) = app_with_keys().await;
        for number in 0..100 {
            let token = with_unknown_kid(&authority, &format!("junk-{number}"));
            app.present(&token).await.assert_invalid_token();
        }
        assert_eq!(authority.key_fetches(), 1 + BURST);

        assert_bad_signature(&app.present(&forged(&authority)).await);

        assert_eq!(authority.key_fetches(), 1 + BURST);
    }

    #[tokio::test]
    async fn r8414_14_bad_signature_from_another_issuer_causes_no_fetch() {
        let (authority, app) = app_with_keys().await;

        let token = authority.token().issuer("https://evil.example").signature([7; 64]).sign();
        app.present(&token).await.assert_invalid_token();

        assert_eq!(authority.key_fetches(), 1);
    }

    #[tokio::test]
    async fn r8414_15_bad_signature_is_401_if_keys_are_recent_but_cannot_be_fetched() {
        let (authority, app) = app_with_keys().await;
        authority.go_down();

        for _ in 0..3 {
            assert_bad_signature(&app.present(&forged(&authority)).await);
        }
        authority.clock().advance(REFRESH - SECOND);

        assert_bad_signature(&app.present(&forged(&authority)).await);
    }

    #[tokio::test]
    async fn r8414_15_bad_signature_is_503_if_keys_are_overdue_and_cannot_be_fetched() {
        let (authority, app) = app_with_keys().await;
        authority.go_down();
        authority.clock().advance(REFRESH);

        assert_keys_unavailable(&app.present(&forged(&authority)).await);

        authority.come_back();
        authority.clock().advance(SECOND);
        assert_bad_signature(&app.present(&forged(&authority)).await);
    }
}

mod stopped_runtime {
    use tokio::runtime::{Builder, Runtime};

    use super::*;

    /// Returns a runtime with paused time, so that timeouts elapse without waiting.
    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
    }

    #[test]
    fn r8414_16_first_fetch_in_a_stopped_runtime_does_not_block_other_runtimes() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let app = App::new(authority.resource_server(RESOURCE).require_token());
        let (stopped, running) = (runtime(), runtime());
        let token = authority.token().sign();
        authority.hold(&authority.metadata_url());
        stopped.block_on(async {
            tokio::spawn({
                let (app, token) = (app.clone(), token.clone());
                async move { app.present(&token).await }
            });
            until(|| authority.requests().len() == 1).await;
        });
        authority.release(&authority.metadata_url());

        running.block_on(async {
            app.present(&token).await.assert_pass();
        });

        assert_eq!(authority.requests_to(&authority.metadata_url()).len(), 2);
    }

    #[test]
    fn r8414_16_refresh_in_a_stopped_runtime_does_not_block_other_runtimes() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let app = App::new(authority.resource_server(RESOURCE).require_token());
        let (stopped, running) = (runtime(), runtime());
        running.block_on(async { app.present(&authority.token().sign()).await.assert_pass() });
        authority.clock().advance(REFRESH);
        // This starts the refresh in a task that is never polled.
        stopped.block_on(async { app.present(&authority.token().sign()).await.assert_pass() });
        authority.rotate_keys();

        running.block_on(async { app.present(&authority.token().sign()).await.assert_pass() });
    }

    #[test]
    fn r8414_16_unknown_key_is_503_after_a_refresh_in_a_stopped_runtime_during_an_outage() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let app = App::new(authority.resource_server(RESOURCE).require_token());
        let (stopped, running) = (runtime(), runtime());
        running.block_on(async { app.present(&authority.token().sign()).await.assert_pass() });
        authority.clock().advance(REFRESH);
        stopped.block_on(async { app.present(&authority.token().sign()).await.assert_pass() });
        authority.go_down();

        running.block_on(async {
            assert_keys_unavailable(&app.present(&with_unknown_kid(&authority, "new")).await);
        });
    }

    #[test]
    fn r8414_16_late_result_from_a_resumed_runtime_does_not_restore_old_keys() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let app = App::new(authority.resource_server(RESOURCE).require_token());
        let (stopped, running) = (runtime(), runtime());
        running.block_on(async { app.present(&authority.token().sign()).await.assert_pass() });
        let old = authority.keys();
        authority.clock().advance(REFRESH);
        stopped.block_on(async { app.present(&authority.token().sign()).await.assert_pass() });
        authority.publish_keys([SigningKey::generate("new", Algorithm::ES256)]);
        let token = authority.token().sign();
        running.block_on(async { app.present(&token).await.assert_pass() });
        authority.publish_keys(old);

        stopped.block_on(settle());

        running.block_on(async { app.present(&token).await.assert_pass() });
    }
}

mod kid_in_logs {
    use super::*;

    const LONG: usize = 1_000;

    #[track_caller]
    fn assert_truncated(log: &Log, warning: &str) {
        let text = log.text();
        assert!(text.contains(warning), "{text}");
        assert!(text.contains(&"k".repeat(100)), "{text}");
        assert!(!text.contains(&"k".repeat(129)), "{text}");
    }

    #[test]
    fn a7_kid_is_truncated_in_warnings_about_keys_that_fit_several_algorithms() {
        let mut jwk = rsa_key().with_kid(&"k".repeat(LONG)).jwk();
        jwk.as_object_mut().unwrap().remove("alg");
        let keys = KeySet::from_jwks(&json!({"keys": [jwk]}).to_string()).unwrap();
        let server = AuthorizationServer::with_endpoints(ISSUER).keys(keys);
        let (log, _guard) = Log::record();

        JwtValidator::builder(server, RESOURCE).build().unwrap();

        assert_truncated(&log, "fits several");
    }

    #[test]
    fn a7_kid_is_truncated_in_warnings_about_unusable_keys() {
        let unusable = json!({"kty": "RSA", "kid": "k".repeat(LONG), "n": "AQAB", "e": "AQAB"});
        let usable = SigningKey::generate("usable", Algorithm::ES256).jwk();
        let (log, _guard) = Log::record();

        let _ = KeySet::from_jwks(&json!({"keys": [unusable, usable]}).to_string()).unwrap();

        assert_truncated(&log, "key skipped");
    }

    #[test]
    fn a7_kid_is_truncated_in_the_debug_output_of_a_key_set() {
        let key = SigningKey::generate(&"k".repeat(LONG), Algorithm::ES256);
        let keys = KeySet::from_jwks(&json!({"keys": [key.jwk()]}).to_string()).unwrap();

        let text = format!("{keys:?}");

        assert!(text.contains(&"k".repeat(100)) && !text.contains(&"k".repeat(129)), "{text}");
    }
}
