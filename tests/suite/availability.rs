//! Proves how validated tokens are cached, when cached results end, and what happens if a validator fails or hangs.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::StatusCode;
use tokio::sync::watch;
use tower_bearer::{
    AccessToken, Algorithm, ClaimsSet, Clock as _, Issuer, ResourceServer, TokenValidator, ValidatedToken,
    ValidationError,
    testing::{ManualClock, SigningKey, TestAuthorizationServer, challenges},
};

use crate::support::{App, ISSUER, READ, RESOURCE, WRITE, assert_reason, settle, until, with_authorization};

const SECOND: Duration = Duration::from_secs(1);

/// Default clock skew.
const CLOCK_SKEW: Duration = Duration::from_secs(30);

/// Default lifetime of tokens from the testing kit.
const LIFETIME: Duration = Duration::from_secs(10 * 60);

/// Default age at which keys are refreshed.
const REFRESH: Duration = Duration::from_secs(5 * 60);

/// Counts the calls of the inner validator.
#[derive(Clone)]
struct Counting<V> {
    inner: V,
    calls: Calls,
}

#[derive(Clone, Default)]
struct Calls(Arc<AtomicUsize>);

impl Calls {
    fn count(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns the number of calls since the last `take`.
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }

    fn total(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl<V: TokenValidator> TokenValidator for Counting<V> {
    async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        self.calls.count();
        Ok(self.inner.validate(token).await?.keep_reuse())
    }

    fn issuers(&self) -> Vec<Issuer> {
        self.inner.issuers()
    }

    fn shares_calls(&self, token: &AccessToken) -> bool {
        self.inner.shares_calls(token)
    }
}

/// A custom validator from a function.
struct Custom<F>(F);

impl<F> TokenValidator for Custom<F>
where
    F: Fn(&str) -> Result<ValidatedToken, ValidationError> + Send + Sync + 'static,
{
    async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        (self.0)(token.expose())
    }
}

fn alice() -> ClaimsSet {
    ClaimsSet::new().with_subject("alice")
}

/// Returns a server, a resource server that validates its JWTs, and the number of validations.
fn jwt_server() -> (TestAuthorizationServer, ResourceServer, Calls) {
    jwt_server_with(32 * 1024 * 1024)
}

fn jwt_server_with(cache_bytes: u64) -> (TestAuthorizationServer, ResourceServer, Calls) {
    let authority = TestAuthorizationServer::new(ISSUER);
    let calls = Calls::default();
    let validator =
        Counting { inner: authority.jwt_validator(RESOURCE).build().unwrap(), calls: calls.clone() };
    let resource_server =
        authority.resource_server_with(validator).verdict_cache_bytes(cache_bytes).build().unwrap();
    (authority, resource_server, calls)
}

/// Like [`jwt_server`], with an app that requires a token.
fn jwt_app() -> (TestAuthorizationServer, App, Calls) {
    let (authority, resource_server, calls) = jwt_server();
    (authority, App::new(resource_server.require_token()), calls)
}

fn custom(
    clock: &ManualClock,
    validate: impl Fn(&str) -> Result<ValidatedToken, ValidationError> + Send + Sync + 'static,
) -> (App, Calls) {
    let calls = Calls::default();
    let validator = Counting { inner: Custom(validate), calls: calls.clone() };
    let resource_server = ResourceServer::builder(validator).clock(clock.clone()).build().unwrap();
    (App::new(resource_server.require_token()), calls)
}

mod cached_token {
    use super::*;

    #[tokio::test]
    async fn cached_token_is_validated_once() {
        let (authority, app, calls) = jwt_app();
        let token = authority.token().sign();

        for _ in 0..100 {
            app.present(&token).await.assert_pass();
        }

        assert_eq!(calls.take(), 1);
    }

    #[tokio::test]
    async fn cached_token_is_shared_by_all_layers_of_a_resource_server() {
        let (authority, resource_server, calls) = jwt_server();
        let token = authority.token().scope("orders:read").sign();

        App::new(resource_server.require_token()).present(&token).await.assert_pass();
        App::new(resource_server.clone().require_scopes(READ)).present(&token).await.assert_pass();
        App::new(resource_server.allow_anonymous()).present(&token).await.assert_pass();

        assert_eq!(calls.take(), 1);
    }

    #[tokio::test]
    async fn cached_token_is_not_shared_between_resource_servers() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let calls = Calls::default();
        let validator =
            Counting { inner: authority.jwt_validator(RESOURCE).build().unwrap(), calls: calls.clone() };
        let one =
            App::new(authority.resource_server_with(validator.clone()).build().unwrap().require_token());
        let other = App::new(authority.resource_server_with(validator).build().unwrap().require_token());
        let token = authority.token().sign();

        one.present(&token).await.assert_pass();
        other.present(&token).await.assert_pass();

        assert_eq!(calls.take(), 2);
    }

    #[tokio::test]
    async fn cached_token_has_the_same_claims_as_a_new_one() {
        let (authority, app, _) = jwt_app();
        let token = authority.token().scope("a b").claim("tenant", "north").sign();

        app.present(&token).await.assert_pass();
        let fresh = app.last_seen();
        app.present(&token).await.assert_pass();
        let cached = app.last_seen();

        let claims = |seen: &crate::support::Seen| {
            serde_json::to_value(seen.token.as_ref().unwrap().claims()).unwrap()
        };
        assert_eq!(claims(&cached), claims(&fresh));
        assert_eq!(cached.headers, fresh.headers);
    }

    #[tokio::test]
    async fn cached_token_with_another_signature_is_validated_again() {
        let (authority, app, calls) = jwt_app();
        let token = authority.token();
        app.present(&token.clone().sign()).await.assert_pass();

        app.present(&token.signature([0x55; 64]).sign()).await.assert_invalid_token();

        assert_eq!(calls.take(), 2);
    }

    #[tokio::test]
    async fn token_is_validated_on_every_request_without_a_cache() {
        let (authority, resource_server, calls) = jwt_server_with(0);
        let app = App::new(resource_server.require_token());
        let token = authority.token().sign();

        for _ in 0..3 {
            app.present(&token).await.assert_pass();
        }

        assert_eq!(calls.take(), 3);
    }

    #[tokio::test]
    async fn cached_token_passes_while_the_authorization_server_is_down() {
        let (authority, app, _) = jwt_app();
        let token = authority.token().sign();
        app.present(&token).await.assert_pass();

        authority.go_down();

        app.present(&token).await.assert_pass();
    }
}

mod scopes {
    use super::*;

    #[tokio::test]
    async fn scopes_of_a_cached_token_are_checked_on_each_route() {
        let (authority, resource_server, calls) = jwt_server();
        let reading = App::new(resource_server.require_scopes(READ));
        let writing = App::new(resource_server.require_scopes(WRITE));
        let token = authority.token().scope("orders:read").sign();

        reading.present(&token).await.assert_pass();
        writing.present(&token).await.assert_insufficient_scope("orders:write");
        reading.present(&token).await.assert_pass();

        assert_eq!(calls.take(), 1);
    }

    #[tokio::test]
    async fn token_refused_by_one_route_for_its_scopes_passes_another() {
        let (authority, resource_server, calls) = jwt_server();
        let token = authority.token().scope("orders:read").sign();

        App::new(resource_server.require_scopes(WRITE))
            .present(&token)
            .await
            .assert_insufficient_scope("orders:write");
        App::new(resource_server.require_scopes(READ)).present(&token).await.assert_pass();

        assert_eq!(calls.take(), 1);
    }

    #[tokio::test]
    async fn challenge_names_the_scopes_of_all_nested_guards_for_a_cached_token() {
        use tower::{Layer as _, ServiceExt as _};

        let (authority, resource_server, calls) = jwt_server();
        let inner = tower::service_fn(|_: http::Request<()>| async {
            Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
        });
        let service =
            resource_server.require_scopes(READ).layer(resource_server.require_scopes(WRITE).layer(inner));
        let token = authority.token().scope("orders:read").sign();

        for _ in 0..2 {
            let request = with_authorization(&format!("Bearer {token}")).map(drop);
            let response = service.clone().oneshot(request).await.unwrap();

            assert_eq!(response.status(), StatusCode::FORBIDDEN);
            assert_eq!(challenges(&response)[0].param("scope"), Some("orders:read orders:write"));
        }
        assert_eq!(calls.take(), 1);
    }
}

mod expiry {
    use super::*;

    #[tokio::test]
    async fn cached_token_is_refused_from_exp_plus_clock_skew() {
        let (authority, app, calls) = jwt_app();
        let token = authority.token().sign();
        app.present(&token).await.assert_pass();

        authority.clock().advance(LIFETIME + CLOCK_SKEW - SECOND);
        app.present(&token).await.assert_pass();
        assert_eq!(calls.take(), 1);
        authority.clock().advance(SECOND);
        let answer = app.present(&token).await;

        answer.assert_invalid_token();
        assert_reason!(answer, ValidationError::Expired { .. });
    }

    #[tokio::test]
    async fn expired_cached_token_does_not_pass_as_anonymous() {
        let (authority, resource_server, _) = jwt_server();
        let app = App::new(resource_server.allow_anonymous());
        let token = authority.token().sign();
        app.present(&token).await.assert_pass();

        authority.clock().advance(LIFETIME + CLOCK_SKEW);

        app.present(&token).await.assert_invalid_token();
    }

    #[tokio::test]
    async fn expiry_of_a_cached_token_is_checked_before_scopes() {
        let (authority, resource_server, _) = jwt_server();
        let token = authority.token().scope("orders:read").sign();
        App::new(resource_server.require_scopes(READ)).present(&token).await.assert_pass();

        authority.clock().advance(LIFETIME + CLOCK_SKEW);

        App::new(resource_server.require_scopes(WRITE)).present(&token).await.assert_invalid_token();
    }

    #[tokio::test]
    async fn cached_token_is_refused_once_it_is_too_old() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let validator = authority.jwt_validator(RESOURCE).max_age(60 * SECOND).build().unwrap();
        let app = App::new(authority.resource_server_with(validator).build().unwrap().require_token());
        let token = authority.token().sign();
        app.present(&token).await.assert_pass();

        authority.clock().advance(60 * SECOND + CLOCK_SKEW);

        let answer = app.present(&token).await;
        answer.assert_invalid_token();
        assert_reason!(answer, ValidationError::TooOld { .. });
    }

    #[tokio::test]
    async fn expiry_is_checked_even_if_a_custom_validator_does_not() {
        let clock = ManualClock::default();
        let exp = clock.now();
        let (app, _) =
            custom(&clock, move |_| Ok(ValidatedToken::from_trusted_claims(alice().with_expiry(exp))));

        let answer = app.present("token").await;

        answer.assert_invalid_token();
        assert_reason!(answer, ValidationError::Expired { .. });
    }

    #[tokio::test]
    async fn reusable_verdict_is_not_reused_after_exp() {
        let clock = ManualClock::default();
        let exp = clock.now().saturating_add(5 * SECOND);
        let (app, calls) = custom(&clock, move |_| {
            Ok(ValidatedToken::from_trusted_claims(alice().with_expiry(exp)).reusable_for(60 * SECOND))
        });
        app.present("token").await.assert_pass();

        clock.advance(4 * SECOND);
        app.present("token").await.assert_pass();
        assert_eq!(calls.take(), 1);
        clock.advance(SECOND);

        app.present("token").await.assert_invalid_token();
    }
}

mod keys {
    use super::*;

    /// Returns an app that has cached one token of each of two keys.
    async fn two_keys() -> (TestAuthorizationServer, App, Calls, [(SigningKey, String); 2]) {
        let (authority, app, calls) = jwt_app();
        authority.rotate_keys();
        let keys = authority.keys();
        let tokens = [0, 1].map(|index| {
            let key = keys[index].clone();
            (key.clone(), authority.token().expires_in(60 * LIFETIME).key(&key).sign())
        });
        for (_, token) in &tokens {
            app.present(token).await.assert_pass();
            app.present(token).await.assert_pass();
        }
        assert_eq!(calls.take(), 2);
        (authority, app, calls, tokens)
    }

    /// Advances the clock to the refresh age and sends a request that causes the refresh.
    async fn refresh(authority: &TestAuthorizationServer, app: &App) {
        let before = authority.key_fetches();
        authority.clock().advance(REFRESH);
        app.present(&authority.token().sign()).await;
        until(|| authority.key_fetches() > before).await;
        settle().await;
    }

    #[tokio::test]
    async fn removed_key_invalidates_only_its_own_cached_tokens() {
        let (authority, app, calls, [(_, gone), (kept_key, kept)]) = two_keys().await;
        authority.publish_keys([kept_key]);
        refresh(&authority, &app).await;
        calls.take();

        app.present(&kept).await.assert_pass();
        assert_eq!(calls.take(), 0);
        let answer = app.present(&gone).await;

        answer.assert_invalid_token();
        assert_reason!(answer, ValidationError::UnknownKey { .. });
        assert_eq!(calls.take(), 1);
    }

    #[tokio::test]
    async fn removed_key_is_noticed_even_if_all_tokens_are_cached() {
        let (authority, app, calls, [(_, gone), (kept_key, kept)]) = two_keys().await;
        authority.publish_keys([kept_key]);
        let before = authority.key_fetches();

        authority.clock().advance(REFRESH - Duration::from_secs(1));
        app.present(&gone).await.assert_pass();
        settle().await;
        assert_eq!(authority.key_fetches(), before);
        authority.clock().advance(Duration::from_secs(1));
        app.present(&kept).await.assert_pass();
        until(|| authority.key_fetches() > before).await;
        settle().await;
        assert_eq!(authority.key_fetches(), before + 1);

        app.present(&gone).await.assert_invalid_token();
        app.present(&kept).await.assert_pass();
        assert_eq!(calls.take(), 1);
    }

    #[tokio::test]
    async fn failed_key_refresh_is_not_repeated_on_every_request() {
        let (authority, app, _, [(_, token), _]) = two_keys().await;
        authority.clock().advance(REFRESH);
        authority.go_down();
        let before = authority.requests().len();

        for _ in 0..100 {
            app.present(&token).await.assert_pass();
            settle().await;
        }

        assert_eq!(authority.requests().len(), before + 1);
    }

    #[tokio::test]
    async fn cached_tokens_stay_valid_if_a_refresh_keeps_their_keys() {
        let (authority, app, calls, tokens) = two_keys().await;
        for _ in 0..5 {
            refresh(&authority, &app).await;
        }
        calls.take();

        for (_, token) in &tokens {
            app.present(token).await.assert_pass();
        }

        assert_eq!(calls.take(), 0);
    }

    #[tokio::test]
    async fn cached_tokens_stay_valid_if_the_keys_are_reordered() {
        let (authority, app, calls, tokens) = two_keys().await;
        authority.publish_keys(authority.keys().into_iter().rev());
        refresh(&authority, &app).await;
        calls.take();

        for (_, token) in &tokens {
            app.present(token).await.assert_pass();
        }

        assert_eq!(calls.take(), 0);
    }

    #[tokio::test]
    async fn tokens_of_a_removed_key_are_validated_again_if_it_returns() {
        let (authority, app, calls, [(key, token), (other_key, _)]) = two_keys().await;
        authority.publish_keys([other_key.clone()]);
        refresh(&authority, &app).await;
        authority.publish_keys([key, other_key]);
        refresh(&authority, &app).await;
        calls.take();

        app.present(&token).await.assert_pass();
        app.present(&token).await.assert_pass();

        assert_eq!(calls.take(), 1);
    }

    #[tokio::test]
    async fn key_replaced_under_the_same_kid_invalidates_its_cached_tokens() {
        let (authority, app, _, [(key, token), (other_key, _)]) = two_keys().await;
        authority.publish_keys([SigningKey::generate(key.kid(), Algorithm::ES256), other_key]);
        refresh(&authority, &app).await;

        let answer = app.present(&token).await;

        answer.assert_invalid_token();
        assert_reason!(answer, ValidationError::BadSignature);
    }

    #[tokio::test]
    async fn cached_tokens_stay_valid_if_a_key_refresh_fails() {
        let (authority, app, calls, tokens) = two_keys().await;
        authority.go_down();
        authority.clock().advance(REFRESH);
        app.present(&authority.token().sign()).await.assert_pass();
        settle().await;
        calls.take();

        for (_, token) in &tokens {
            app.present(token).await.assert_pass();
        }

        assert_eq!(calls.take(), 0);
    }

    #[tokio::test]
    async fn token_is_not_cached_if_its_key_is_removed_during_validation() {
        // The token is validated with the old key set, and the result arrives after the new set.
        let (authority, app, calls, [(key, _), (other_key, _)]) = two_keys().await;
        let gate = Gate::default();
        let validator = Counting {
            inner: Held { inner: authority.jwt_validator(RESOURCE).build().unwrap(), gate: gate.clone() },
            calls,
        };
        let held = App::new(authority.resource_server_with(validator).build().unwrap().require_token());
        let token = authority.token().expires_in(60 * LIFETIME).key(&key).sign();
        gate.open();
        held.present(&authority.token().sign()).await.assert_pass();
        gate.close();
        let slow = tokio::spawn({
            let (held, token) = (held.clone(), token.clone());
            async move { held.present(&token).await }
        });
        until(|| gate.waiting() == 1).await;
        authority.publish_keys([other_key]);
        gate.pass_others();
        refresh(&authority, &held).await;
        gate.open();
        assert_eq!(slow.await.unwrap().status, StatusCode::OK);

        held.present(&token).await.assert_invalid_token();
        drop(app);
    }

    /// Delays the result of the inner validator until the gate opens.
    struct Held<V> {
        inner: V,
        gate: Gate,
    }

    #[derive(Clone, Default)]
    struct Gate {
        is_open: Arc<watch::Sender<bool>>,
        waiting: Arc<AtomicUsize>,
        others_pass: Arc<AtomicBool>,
    }

    impl Gate {
        fn open(&self) {
            self.is_open.send_replace(true);
        }

        fn close(&self) {
            self.is_open.send_replace(false);
        }

        /// Lets all later validations pass the gate.
        fn pass_others(&self) {
            self.others_pass.store(true, Ordering::SeqCst);
        }

        fn waiting(&self) -> usize {
            self.waiting.load(Ordering::SeqCst)
        }

        async fn pass(&self) {
            if self.others_pass.load(Ordering::SeqCst) {
                return;
            }
            self.waiting.fetch_add(1, Ordering::SeqCst);
            self.is_open.subscribe().wait_for(|is_open| *is_open).await.unwrap();
            self.waiting.fetch_sub(1, Ordering::SeqCst);
        }
    }

    impl<V: TokenValidator> TokenValidator for Held<V> {
        async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
            let verdict = self.inner.validate(token).await;
            self.gate.pass().await;
            verdict
        }
    }
}

mod memory {
    use super::*;

    #[tokio::test]
    async fn cache_memory_is_bounded() {
        const BYTES: u64 = 256 * 1024;
        // Minimum size of an entry: the claims of these tokens alone take 2 KiB.
        const ENTRY: u64 = 2 * 1024;
        let clock = ManualClock::default();
        let calls = Calls::default();
        let filler = "x".repeat(2 * 1024);
        let validator = Counting {
            inner: Custom(move |token: &str| {
                let claims = alice().with_claim("filler", &filler)?.with_token_id(token);
                Ok(ValidatedToken::from_trusted_claims(claims).reusable_for(3_600 * SECOND))
            }),
            calls: calls.clone(),
        };
        let resource_server =
            ResourceServer::builder(validator).clock(clock).verdict_cache_bytes(BYTES).build().unwrap();
        let app = App::new(resource_server.require_token());
        let tokens: Vec<_> = (0..2_000).map(|number| format!("token-{number}")).collect();
        for token in &tokens {
            app.present(token).await.assert_pass();
        }
        assert_eq!(calls.take(), tokens.len());

        let mut cached = 0;
        for token in &tokens {
            app.present(token).await.assert_pass();
            cached += usize::from(calls.take() == 0);
        }

        let bound = usize::try_from(BYTES / ENTRY).unwrap();
        assert!(
            cached > 0 && cached <= bound,
            "{cached} of {} tokens are cached, expected at most {bound}",
            tokens.len()
        );
    }

    #[tokio::test]
    async fn token_larger_than_the_cache_is_not_cached() {
        // Large enough for the small token, too small for the one with a filler of 10 KiB.
        let (authority, resource_server, calls) = jwt_server_with(8 * 1_024);
        let app = App::new(resource_server.require_token());
        let small = authority.token().sign();
        let large = authority.token().claim("filler", "x".repeat(10 * 1_024)).sign();
        app.present(&small).await.assert_pass();
        app.present(&large).await.assert_pass();
        // moka evicts entries when it next processes its queues. This many lookups make it do so.
        for _ in 0..1_000 {
            app.present(&small).await.assert_pass();
        }
        assert_eq!(calls.take(), 2, "the small token was evicted");

        app.present(&large).await.assert_pass();
        assert_eq!(calls.take(), 1, "the large token was cached");
    }

    #[tokio::test]
    async fn invalid_tokens_do_not_evict_cached_ones() {
        let (authority, resource_server, calls) = jwt_server_with(256 * 1024);
        let app = App::new(resource_server.require_token());
        let valid: Vec<_> = (0..100).map(|_| authority.token().sign()).collect();
        for token in &valid {
            app.present(token).await.assert_pass();
        }
        assert_eq!(calls.take(), 100);

        let expired = authority.token().claim("exp", 1).sign();
        let forged = authority.token().signature([0x55; 64]);
        for number in 0..20_000 {
            app.present(&format!("junk-{number}")).await.assert_invalid_token();
            if number % 20 == 0 {
                app.present(&forged.clone().claim("n", number).sign()).await.assert_invalid_token();
                app.present(&expired).await.assert_invalid_token();
            }
        }
        calls.take();

        for token in &valid {
            app.present(token).await.assert_pass();
        }
        assert_eq!(calls.take(), 0);
    }
}

mod custom_verdicts {
    use super::*;

    #[tokio::test]
    async fn custom_verdict_is_not_reused_by_default() {
        let clock = ManualClock::default();
        let exp = clock.now().saturating_add(LIFETIME);
        let (app, calls) =
            custom(&clock, move |_| Ok(ValidatedToken::from_trusted_claims(alice().with_expiry(exp))));

        for _ in 0..3 {
            app.present("token").await.assert_pass();
        }

        assert_eq!(calls.take(), 3);
    }

    #[tokio::test]
    async fn custom_verdict_is_reused_for_its_duration() {
        let clock = ManualClock::default();
        let (app, calls) =
            custom(&clock, |_| Ok(ValidatedToken::from_trusted_claims(alice()).reusable_for(10 * SECOND)));

        app.present("token").await.assert_pass();
        clock.advance(10 * SECOND - Duration::from_millis(1));
        app.present("token").await.assert_pass();
        assert_eq!(calls.take(), 1);
        clock.advance(Duration::from_millis(1));
        app.present("token").await.assert_pass();

        assert_eq!(calls.take(), 1);
    }

    #[tokio::test]
    async fn custom_verdict_with_zero_duration_is_not_reused() {
        let clock = ManualClock::default();
        let (app, calls) =
            custom(&clock, |_| Ok(ValidatedToken::from_trusted_claims(alice()).reusable_for(Duration::ZERO)));

        app.present("token").await.assert_pass();
        app.present("token").await.assert_pass();

        assert_eq!(calls.take(), 2);
    }

    /// Checks a list of revoked tokens after a validator of this crate.
    struct Revoking<V> {
        inner: V,
        revoked: Arc<Mutex<Vec<String>>>,
    }

    impl<V: TokenValidator> TokenValidator for Revoking<V> {
        async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
            let found = self.inner.validate(token).await?.reusable_for(Duration::ZERO);
            let revoked = self.revoked.lock().unwrap();
            match found.token_id().is_some_and(|id| revoked.iter().any(|other| other == id)) {
                true => Err(ValidationError::Inactive),
                false => Ok(found),
            }
        }
    }

    #[tokio::test]
    async fn validator_that_wraps_a_jwt_validator_can_prevent_reuse() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let revoked = Arc::<Mutex<Vec<String>>>::default();
        let validator = Revoking {
            inner: authority.jwt_validator(RESOURCE).build().unwrap(),
            revoked: Arc::clone(&revoked),
        };
        let app = App::new(authority.resource_server_with(validator).build().unwrap().require_token());
        let token = authority.token().claim("jti", "lost").sign();
        app.present(&token).await.assert_pass();

        revoked.lock().unwrap().push("lost".to_owned());

        app.present(&token).await.assert_invalid_token();
    }

    #[tokio::test]
    async fn custom_refusal_is_not_cached() {
        let clock = ManualClock::default();
        let answers = Mutex::new(vec![
            Ok(ValidatedToken::from_trusted_claims(alice())),
            Err(ValidationError::unavailable("the table is locked")),
            Err(ValidationError::Inactive),
        ]);
        let (app, calls) = custom(&clock, move |_| answers.lock().unwrap().pop().unwrap());

        app.present("token").await.assert_invalid_token();
        app.present("token").await.assert_unavailable();
        app.present("token").await.assert_pass();

        assert_eq!(calls.take(), 3);
    }

    #[tokio::test]
    async fn sender_constrained_token_from_a_custom_validator_is_refused() {
        let clock = ManualClock::default();
        let (app, _) = custom(&clock, |_| {
            Ok(ValidatedToken::from_trusted_claims(ClaimsSet::parse(br#"{"cnf":{"jkt":"x"}}"#)?))
        });

        let answer = app.present("token").await;

        answer.assert_invalid_token();
        assert_reason!(answer, ValidationError::SenderConstraintNotProved);
    }
}

mod introspection_results {
    use super::*;

    /// Default time for which results are cached.
    const TTL: Duration = Duration::from_secs(60);

    fn app() -> (TestAuthorizationServer, App) {
        let authority = TestAuthorizationServer::new(ISSUER);
        let validator = authority.introspection_validator(RESOURCE).build().unwrap();
        let app = App::new(authority.resource_server_with(validator).build().unwrap().require_token());
        (authority, app)
    }

    #[tokio::test]
    async fn introspection_result_is_reused_for_its_ttl() {
        let (authority, app) = app();
        let token = authority.token().opaque();
        app.present(&token).await.assert_pass();

        authority.clock().advance(TTL - SECOND);
        app.present(&token).await.assert_pass();
        assert_eq!(authority.introspections(), 1);
        authority.clock().advance(SECOND);
        app.present(&token).await.assert_pass();

        assert_eq!(authority.introspections(), 2);
    }

    #[tokio::test]
    async fn introspection_result_is_not_extended_if_the_clock_is_set_back() {
        let (authority, app) = app();
        let token = authority.token().opaque();
        app.present(&token).await.assert_pass();
        authority.revoke(&token);

        let an_hour_ago = authority.clock().now().saturating_sub(3_600 * SECOND);
        authority.clock().set(an_hour_ago);
        authority.clock().advance(TTL - SECOND);
        app.present(&token).await.assert_pass();
        authority.clock().advance(SECOND);

        app.present(&token).await.assert_invalid_token();
        assert_eq!(authority.introspections(), 2);
    }

    #[tokio::test]
    async fn introspection_result_is_kept_if_the_clock_is_set_forward_to_before_exp() {
        let (authority, app) = app();
        let token = authority.token().opaque();
        app.present(&token).await.assert_pass();

        authority.clock().set(authority.clock().now().saturating_add(5 * 60 * SECOND));
        app.present(&token).await.assert_pass();

        assert_eq!(authority.introspections(), 1);
    }

    #[tokio::test]
    async fn introspection_result_is_not_reused_after_the_token_has_expired() {
        let (authority, app) = app();
        let token = authority.token().expires_in(5 * SECOND).opaque();
        app.present(&token).await.assert_pass();

        authority.clock().advance(5 * SECOND + CLOCK_SKEW);

        app.present(&token).await.assert_invalid_token();
    }

    #[tokio::test]
    async fn thousand_concurrent_callers_share_one_introspection() {
        let (authority, app) = app();
        let token = authority.token().opaque();
        authority.hold(&authority.introspection_endpoint());
        let waiting: Vec<_> = (0..1_000)
            .map(|_| {
                let (app, token) = (app.clone(), token.clone());
                tokio::spawn(async move { app.present(&token).await.status })
            })
            .collect();
        until(|| authority.introspections() == 1).await;
        waiting[0].abort();
        settle().await;

        authority.release(&authority.introspection_endpoint());

        let mut passed = 0;
        for answer in waiting {
            passed += usize::from(answer.await.is_ok_and(|status| status == StatusCode::OK));
        }
        assert_eq!((passed, authority.introspections()), (999, 1));
    }

    #[tokio::test]
    async fn introspection_completes_even_if_all_its_callers_are_cancelled() {
        let (authority, app) = app();
        let token = authority.token().opaque();
        authority.hold(&authority.introspection_endpoint());
        let leaving = tokio::spawn({
            let (app, token) = (app.clone(), token.clone());
            async move { app.present(&token).await.status }
        });
        until(|| authority.introspections() == 1).await;
        leaving.abort();
        assert!(leaving.await.unwrap_err().is_cancelled());
        authority.release(&authority.introspection_endpoint());
        settle().await;

        app.present(&token).await.assert_pass();

        assert_eq!(authority.introspections(), 1);
    }

    #[tokio::test]
    async fn cached_token_passes_while_other_tokens_wait_for_a_hanging_server() {
        let (authority, app) = app();
        let token = authority.token().opaque();
        app.present(&token).await.assert_pass();
        authority.hold(&authority.introspection_endpoint());
        let waiting: Vec<_> = (0..2_000)
            .map(|number| {
                let app = app.clone();
                tokio::spawn(async move { app.present(&format!("junk-{number}")).await.status })
            })
            .collect();
        settle().await;

        app.present(&token).await.assert_pass();

        let concurrent = authority.introspections();
        assert!(concurrent <= 257, "{concurrent} concurrent calls");
        authority.release(&authority.introspection_endpoint());
        for answer in waiting {
            let status = answer.await.unwrap();
            assert!([401, 503].contains(&status.as_u16()), "{status}");
        }
    }
}

mod panicking_validator {
    use super::*;

    /// Panics on the token `bad`.
    #[derive(Clone, Copy)]
    struct Panicking {
        shares_calls: bool,
    }

    impl TokenValidator for Panicking {
        async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
            tokio::task::yield_now().await;
            assert_ne!(token.expose(), "bad", "simulated panic");
            Ok(ValidatedToken::from_trusted_claims(alice()))
        }

        fn shares_calls(&self, _: &AccessToken) -> bool {
            self.shares_calls
        }
    }

    #[tokio::test]
    async fn validator_panic_is_500_and_later_requests_pass() {
        for shares_calls in [true, false] {
            let resource_server = ResourceServer::builder(Panicking { shares_calls }).build().unwrap();
            let app = App::new(resource_server.require_token());

            let answer = app.present("bad").await;

            answer.assert_refused(StatusCode::INTERNAL_SERVER_ERROR, None);
            assert_reason!(answer, ValidationError::Internal { .. });
            app.present("good").await.assert_pass();
            app.present("bad").await.assert_refused(StatusCode::INTERNAL_SERVER_ERROR, None);
        }
    }

    #[tokio::test]
    async fn validator_panic_is_500_for_all_waiting_callers() {
        let resource_server = ResourceServer::builder(Panicking { shares_calls: true }).build().unwrap();
        let app = App::new(resource_server.require_token());
        let waiting: Vec<_> = (0..100)
            .map(|_| {
                let app = app.clone();
                tokio::spawn(async move { app.present("bad").await.status })
            })
            .collect();

        for answer in waiting {
            assert_eq!(answer.await.unwrap(), StatusCode::INTERNAL_SERVER_ERROR);
        }
    }
}

mod shared_call {
    use super::*;

    /// Waits until `go` is true.
    struct Slow {
        calls: Calls,
        go: watch::Receiver<bool>,
    }

    impl TokenValidator for Slow {
        async fn validate(&self, _: &AccessToken) -> Result<ValidatedToken, ValidationError> {
            self.calls.count();
            self.go.clone().wait_for(|go| *go).await.map_err(|_| ValidationError::Inactive)?;
            Ok(ValidatedToken::from_trusted_claims(alice()).reusable_for(60 * SECOND))
        }

        fn shares_calls(&self, _: &AccessToken) -> bool {
            true
        }
    }

    #[tokio::test]
    async fn request_beyond_1024_shared_calls_is_503_and_the_others_complete() {
        let (go, receiver) = watch::channel(false);
        let calls = Calls::default();
        let resource_server =
            ResourceServer::builder(Slow { calls: calls.clone(), go: receiver }).build().unwrap();
        let app = App::new(resource_server.require_token());
        let present = |number: usize| {
            let app = app.clone();
            tokio::spawn(async move { app.present(&format!("token-{number}")).await })
        };
        let waiting: Vec<_> = (0..1_024).map(present).collect();
        until(|| calls.total() == 1_024).await;

        let refused = tokio::time::timeout(20 * SECOND, app.present("one-too-many")).await;
        refused.expect("the request beyond the limit waited").assert_unavailable();
        let joining = present(0);
        settle().await;
        go.send_replace(true);

        for answer in waiting.into_iter().chain([joining]) {
            assert_eq!(answer.await.unwrap().status, StatusCode::OK);
        }
        app.present("one-too-many").await.assert_pass();
        assert_eq!(calls.take(), 1_025);
    }
}

/// A validator that shares its calls and never completes.
struct Hanging;

impl TokenValidator for Hanging {
    async fn validate(&self, _: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        std::future::pending().await
    }

    fn shares_calls(&self, _: &AccessToken) -> bool {
        true
    }
}

#[tokio::test(start_paused = true)]
async fn hanging_shared_call_is_dropped_after_all_its_callers_are_cancelled() {
    let app = App::new(ResourceServer::builder(Hanging).build().unwrap().require_token());
    for index in 0..1_024 {
        let token = format!("token-{index}");
        tokio::time::timeout(Duration::from_millis(1), app.present(&token)).await.unwrap_err();
    }
    let refused = app.present("one-more").await;
    refused.assert_unavailable();

    tokio::time::sleep(Duration::from_secs(60)).await;

    let hanging = tokio::time::timeout(Duration::from_millis(1), app.present("one-more"));
    assert!(hanging.await.is_err(), "the call was refused, expected it to start and hang");
}
