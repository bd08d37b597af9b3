//! Keys that change: how soon a new key is found, what unknown keys and bad signatures cost the authorization server, and
//! what is answered while the keys cannot be fetched.

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

/// Time after which one more fetch for unknown keys may start, by default.
const COOL_DOWN: Duration = Duration::from_secs(10);

/// Fetches for unknown keys that may follow each other at once.
const BURST: usize = 3;

/// Age at which keys are fetched again, by default.
const REFRESH: Duration = Duration::from_secs(5 * 60);

/// A server and an app that has fetched its keys once.
async fn app_with_keys() -> (TestAuthorizationServer, App) {
    let authority = TestAuthorizationServer::new(ISSUER);
    let app = App::new(authority.resource_server(RESOURCE).require_token());
    app.present(&authority.token().sign()).await.assert_pass();
    assert_eq!(authority.key_fetches(), 1);
    (authority, app)
}

/// A token whose signature was made with a key that the server never had.
fn forged(authority: &TestAuthorizationServer) -> String {
    authority.token().expires_in(Duration::from_secs(7_200)).signature([7; 64]).sign()
}

fn with_unknown_kid(authority: &TestAuthorizationServer, kid: &str) -> String {
    authority.token().expires_in(Duration::from_secs(7_200)).header("kid", kid).sign()
}

/// Replaces the key by another one with the same `kid`.
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
    async fn r8414_13_right_after_a_fetch_is_found_by_the_first_token_of_the_new_key() {
        let (authority, app) = app_with_keys().await;

        for rotation in 1..=BURST {
            authority.rotate_keys();

            app.present(&authority.token().sign()).await.assert_pass();
            assert_eq!(authority.key_fetches(), 1 + rotation);
        }
    }

    #[tokio::test]
    async fn r8414_13_after_the_burst_is_found_one_cool_down_later() {
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
    async fn r8414_13_without_kid_cause_one_fetch_each_even_if_it_outlasts_the_cool_down() {
        let (authority, app) = app_with_keys().await;
        let (clock, jwks) = (authority.clock().clone(), authority.jwks().to_string());
        let fetches = AtomicUsize::new(0);
        authority.answer(&authority.jwks_uri(), move |_| {
            // Ends the test if the request keeps fetching.
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
    async fn r8414_15_are_unavailable_during_an_outage_even_if_they_were_absent_just_before() {
        let (authority, app) = app_with_keys().await;
        let token = with_unknown_kid(&authority, "new");
        app.present(&token).await.assert_invalid_token();

        authority.go_down();
        assert_keys_unavailable(&app.present(&with_unknown_kid(&authority, "other")).await);

        assert_keys_unavailable(&app.present(&token).await);
    }
}

mod a_key_replaced {
    use super::*;

    #[tokio::test]
    async fn r8414_14_under_its_kid_is_found_by_the_first_token_of_the_new_key() {
        let (authority, app) = app_with_keys().await;
        replace_key(&authority);

        app.present(&authority.token().sign()).await.assert_pass();

        assert_eq!(authority.key_fetches(), 2);
    }

    #[tokio::test]
    async fn r8414_14_without_kid_is_found_by_the_first_token_of_the_new_key() {
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
    async fn r8414_14_under_a_known_kid_cause_one_fetch_each_30_seconds() {
        let (authority, app) = app_with_keys().await;

        for number in 0..90 {
            // Each token is another one.
            let token = authority.token().claim("n", number).signature([7; 64]).sign();
            assert_bad_signature(&app.present(&token).await);
            authority.clock().advance(SECOND);
        }

        assert_eq!(authority.key_fetches(), 1 + 3);
    }

    #[tokio::test]
    async fn r8414_14_and_unknown_keys_share_one_burst() {
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
    async fn r8414_14_of_another_issuer_cause_no_fetch() {
        let (authority, app) = app_with_keys().await;

        let token = authority.token().issuer("https://evil.example").signature([7; 64]).sign();
        app.present(&token).await.assert_invalid_token();

        assert_eq!(authority.key_fetches(), 1);
    }

    #[tokio::test]
    async fn r8414_15_stay_401_if_the_keys_cannot_be_fetched_but_are_recent() {
        let (authority, app) = app_with_keys().await;
        authority.go_down();

        for _ in 0..3 {
            assert_bad_signature(&app.present(&forged(&authority)).await);
        }
        authority.clock().advance(REFRESH - SECOND);

        assert_bad_signature(&app.present(&forged(&authority)).await);
    }

    #[tokio::test]
    async fn r8414_15_are_unavailable_if_the_keys_are_overdue_and_cannot_be_fetched() {
        let (authority, app) = app_with_keys().await;
        authority.go_down();
        authority.clock().advance(REFRESH);

        assert_keys_unavailable(&app.present(&forged(&authority)).await);

        authority.come_back();
        authority.clock().advance(SECOND);
        assert_bad_signature(&app.present(&forged(&authority)).await);
    }
}

mod a_runtime_that_stands_still {
    use tokio::runtime::{Builder, Runtime};

    use super::*;

    /// A runtime whose time passes as fast as its tasks allow.
    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
    }

    #[test]
    fn r8414_16_in_the_middle_of_the_first_fetch_does_not_keep_others_from_fetching() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let app = App::new(authority.resource_server(RESOURCE).require_token());
        let (stopped, driven) = (runtime(), runtime());
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

        driven.block_on(async {
            app.present(&token).await.assert_pass();
        });

        assert_eq!(authority.requests_to(&authority.metadata_url()).len(), 2);
    }

    #[test]
    fn r8414_16_before_the_refresh_it_started_ran_does_not_keep_others_from_refreshing() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let app = App::new(authority.resource_server(RESOURCE).require_token());
        let (stopped, driven) = (runtime(), runtime());
        driven.block_on(async { app.present(&authority.token().sign()).await.assert_pass() });
        authority.clock().advance(REFRESH);
        // Starts the refresh in a task that is never polled.
        stopped.block_on(async { app.present(&authority.token().sign()).await.assert_pass() });
        authority.rotate_keys();

        driven.block_on(async { app.present(&authority.token().sign()).await.assert_pass() });
    }

    #[test]
    fn r8414_16_makes_unknown_keys_unavailable_while_the_keys_cannot_be_fetched() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let app = App::new(authority.resource_server(RESOURCE).require_token());
        let (stopped, driven) = (runtime(), runtime());
        driven.block_on(async { app.present(&authority.token().sign()).await.assert_pass() });
        authority.clock().advance(REFRESH);
        stopped.block_on(async { app.present(&authority.token().sign()).await.assert_pass() });
        authority.go_down();

        driven.block_on(async {
            assert_keys_unavailable(&app.present(&with_unknown_kid(&authority, "new")).await);
        });
    }

    #[test]
    fn r8414_16_and_goes_on_later_does_not_bring_old_keys_back() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let app = App::new(authority.resource_server(RESOURCE).require_token());
        let (stopped, driven) = (runtime(), runtime());
        driven.block_on(async { app.present(&authority.token().sign()).await.assert_pass() });
        let old = authority.keys();
        authority.clock().advance(REFRESH);
        stopped.block_on(async { app.present(&authority.token().sign()).await.assert_pass() });
        authority.publish_keys([SigningKey::generate("new", Algorithm::ES256)]);
        let token = authority.token().sign();
        driven.block_on(async { app.present(&token).await.assert_pass() });
        authority.publish_keys(old);

        stopped.block_on(settle());

        driven.block_on(async { app.present(&token).await.assert_pass() });
    }
}

mod a7_a_kid_in_logs {
    use super::*;

    const LONG: usize = 1_000;

    #[track_caller]
    fn assert_cut(log: &Log, warning: &str) {
        let text = log.text();
        assert!(text.contains(warning), "{text}");
        assert!(text.contains(&"k".repeat(100)), "{text}");
        assert!(!text.contains(&"k".repeat(129)), "{text}");
    }

    #[test]
    fn is_cut_in_warnings_about_keys_that_fit_several_algorithms() {
        let mut jwk = rsa_key().with_kid(&"k".repeat(LONG)).jwk();
        jwk.as_object_mut().unwrap().remove("alg");
        let keys = KeySet::from_jwks(&json!({"keys": [jwk]}).to_string()).unwrap();
        let server = AuthorizationServer::with_endpoints(ISSUER).keys(keys);
        let (log, _guard) = Log::record();

        JwtValidator::builder(server, RESOURCE).build().unwrap();

        assert_cut(&log, "fits several");
    }

    #[test]
    fn is_cut_in_warnings_about_keys_that_cannot_be_used() {
        let bad = json!({"kty": "RSA", "kid": "k".repeat(LONG), "n": "AQAB", "e": "AQAB"});
        let good = SigningKey::generate("good", Algorithm::ES256).jwk();
        let (log, _guard) = Log::record();

        let _ = KeySet::from_jwks(&json!({"keys": [bad, good]}).to_string()).unwrap();

        assert_cut(&log, "key skipped");
    }

    #[test]
    fn is_cut_in_the_debug_output_of_a_key_set() {
        let key = SigningKey::generate(&"k".repeat(LONG), Algorithm::ES256);
        let keys = KeySet::from_jwks(&json!({"keys": [key.jwk()]}).to_string()).unwrap();

        let text = format!("{keys:?}");

        assert!(text.contains(&"k".repeat(100)) && !text.contains(&"k".repeat(129)), "{text}");
    }
}
