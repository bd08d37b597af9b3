//! When a tenant that is added, changed or removed takes effect.

use std::time::Duration;

use tower_bearer::{AccessToken, ClaimsSet, Issuer, Tenant, TokenValidator, ValidatedToken, ValidationError};

use super::kit::{ACME, GLOBEX, Kit, jwt};
use crate::support::{RESOURCE, assert_reason, poll_once, settle, soon, until};

const TTL: Duration = Duration::from_secs(5 * 60);

#[tokio::test]
async fn removal_ends_cached_verdicts_at_once() {
    let kit = Kit::new();
    let (acme, globex) = (kit.tenant(ACME), kit.tenant(GLOBEX));
    let (removed, kept) = (acme.token().sign(), globex.token().sign());
    for token in [&removed, &kept] {
        kit.app.present(token).await.assert_pass();
    }

    kit.table.remove(ACME);
    kit.validator.invalidate(ACME);

    let answer = kit.app.present(&removed).await;
    answer.assert_invalid_token();
    assert_reason!(answer, ValidationError::UnknownIssuer { found: Some(_), .. });
    kit.app.present(&kept).await.assert_pass();
    assert_eq!((acme.key_fetches(), globex.key_fetches()), (1, 1));
    assert_eq!(kit.table.questions(), [ACME, GLOBEX, ACME]);
}

#[tokio::test]
async fn removal_of_all_ends_cached_verdicts_at_once() {
    let kit = Kit::new();
    let tokens = [ACME, GLOBEX].map(|issuer| kit.tenant(issuer).token().sign());
    for token in &tokens {
        kit.app.present(token).await.assert_pass();
    }

    kit.table.remove(ACME);
    kit.validator.invalidate_all();

    kit.app.present(&tokens[0]).await.assert_invalid_token();
    kit.app.present(&tokens[1]).await.assert_pass();
    assert_eq!(kit.table.questions(), [ACME, GLOBEX, ACME, GLOBEX]);
}

#[tokio::test]
async fn token_that_is_validated_while_its_tenant_is_removed_is_refused() {
    let kit = Kit::new();
    let acme = kit.tenant(ACME);
    acme.hold(&acme.jwks_uri());
    let (app, token) = (kit.app.clone(), acme.token().sign());
    let request = tokio::spawn(async move { app.present(&token).await });
    soon(until(|| acme.key_fetches() == 1)).await;

    kit.table.remove(ACME);
    kit.validator.invalidate(ACME);
    acme.release(&acme.jwks_uri());

    let answer = soon(request).await.unwrap();
    answer.assert_invalid_token();
    assert_reason!(answer, ValidationError::UnknownIssuer { .. });
}

/// Accepts every token of a tenant. Requests with the same token share a call.
struct AcceptAll;

impl TokenValidator for AcceptAll {
    async fn validate(&self, _: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        Ok(ValidatedToken::from_trusted_claims(ClaimsSet::new().with_issuer(ACME)))
    }

    fn issuers(&self) -> Vec<Issuer> {
        vec![Issuer::new(ACME).unwrap()]
    }

    fn shares_calls(&self, _: &AccessToken) -> bool {
        true
    }
}

#[tokio::test]
async fn verdict_of_a_shared_call_that_ended_before_the_removal_is_not_used_after_it() {
    let kit = Kit::new();
    let acme = kit.tenant(ACME);
    kit.table.insert(ACME, || Tenant::custom(AcceptAll).version(1));
    kit.app.present(&acme.token().sign()).await.assert_pass();
    let token = acme.token().sign();
    let mut request = Box::pin(kit.app.present(&token));
    assert!(poll_once(&mut request).await.is_pending());
    // The call runs in a task of its own, and ends.
    settle().await;

    kit.table.remove(ACME);
    kit.validator.invalidate(ACME);

    request.await.assert_invalid_token();
}

#[tokio::test]
async fn answer_from_before_the_removal_is_not_used() {
    let kit = Kit::new();
    let acme = kit.tenant(ACME);
    kit.table.hold();
    let (app, token) = (kit.app.clone(), acme.token().sign());
    let request = tokio::spawn(async move { app.present(&token).await });
    soon(until(|| kit.table.questions().len() == 1)).await;

    kit.table.remove(ACME);
    kit.validator.invalidate(ACME);
    kit.table.release();

    soon(request).await.unwrap().assert_invalid_token();
    assert_eq!(kit.table.questions(), [ACME, ACME]);
    assert_eq!(acme.requests().len(), 0);
}

#[tokio::test]
async fn answer_from_before_a_tenant_was_added_is_not_used() {
    let kit = Kit::new();
    let acme = kit.tenant(ACME);
    kit.table.remove(ACME);
    kit.table.hold();
    let (app, token) = (kit.app.clone(), acme.token().sign());
    let request = tokio::spawn(async move { app.present(&token).await });
    soon(until(|| kit.table.questions().len() == 1)).await;

    kit.table.insert(ACME, jwt(&acme));
    kit.validator.invalidate_all();
    kit.table.release();

    soon(request).await.unwrap().assert_pass();
}

#[tokio::test]
async fn new_tenant_is_known_after_the_time_of_unknown_issuers_or_at_once() {
    let kit = Kit::with(|builder| builder.unknown_issuer_ttl(Duration::from_secs(7)));
    let (acme, globex) = (kit.server(ACME), kit.server(GLOBEX));
    let tokens = [&acme, &globex].map(|server| server.token().audience(RESOURCE).sign());
    for token in &tokens {
        kit.app.present(token).await.assert_invalid_token();
    }
    kit.table.insert(ACME, jwt(&acme));
    kit.table.insert(GLOBEX, jwt(&globex));

    kit.clock.advance(Duration::from_millis(6_999));
    kit.app.present(&tokens[0]).await.assert_invalid_token();
    kit.validator.invalidate(GLOBEX);
    kit.app.present(&tokens[1]).await.assert_pass();
    kit.clock.advance(Duration::from_millis(1));
    kit.app.present(&tokens[0]).await.assert_pass();

    assert_eq!(kit.table.questions(), [ACME, GLOBEX, GLOBEX, ACME]);
}

#[tokio::test]
async fn tenant_that_the_resolver_no_longer_returns_ends_after_the_ttl_with_its_cached_verdicts() {
    let kit = Kit::new();
    let acme = kit.tenant(ACME);
    let token = acme.token().sign();
    kit.app.present(&token).await.assert_pass();
    kit.table.remove(ACME);

    kit.clock.advance(TTL - Duration::from_secs(61));
    kit.app.present(&token).await.assert_pass();
    assert_eq!(kit.table.questions().len(), 1);
    kit.clock.advance(Duration::from_secs(61));

    kit.app.present(&token).await.assert_invalid_token();
    assert_eq!(kit.table.questions().len(), 2);
}

#[tokio::test]
async fn tenant_in_use_is_asked_for_again_in_the_background() {
    let kit = Kit::new();
    let acme = kit.tenant(ACME);
    let token = acme.token().sign();
    kit.app.present(&token).await.assert_pass();
    kit.clock.advance(TTL / 5 * 4);
    kit.table.hold();

    // Neither a cached nor a new token waits for the resolver.
    kit.app.present(&token).await.assert_pass();
    kit.app.present(&acme.token().sign()).await.assert_pass();
    settle().await;
    assert_eq!(kit.table.questions(), [ACME, ACME]);
    kit.table.release();
    settle().await;
    kit.clock.advance(TTL / 5);
    kit.app.present(&token).await.assert_pass();

    assert_eq!(kit.table.questions(), [ACME, ACME]);
}

#[tokio::test]
async fn tenant_of_the_same_version_keeps_its_keys_and_verdicts() {
    let kit = Kit::new();
    let acme = kit.tenant(ACME);
    let (cached, new) = (acme.token().sign(), acme.token().sign());
    kit.app.present(&cached).await.assert_pass();
    acme.go_down();

    kit.clock.advance(TTL);

    kit.app.present(&new).await.assert_pass();
    kit.app.present(&cached).await.assert_pass();
    assert_eq!(kit.table.questions(), [ACME, ACME]);
    assert_eq!(acme.key_fetches(), 1);
}

#[tokio::test]
async fn tenant_of_another_version_gets_its_new_settings_for_cached_tokens_too() {
    let kit = Kit::new();
    let acme = kit.tenant(ACME);
    let token = acme.token().sign();
    kit.app.present(&token).await.assert_pass();
    kit.table.insert(ACME, {
        let acme = acme.clone();
        move || Tenant::jwt(acme.jwt_validator("https://other.example")).version(2)
    });

    kit.clock.advance(TTL);

    let answer = kit.app.present(&token).await;
    answer.assert_invalid_token();
    assert_reason!(answer, ValidationError::AudienceMismatch { .. });
}

#[tokio::test]
async fn tenant_without_a_version_counts_as_changed() {
    let kit = Kit::new();
    let acme = kit.tenant(ACME);
    kit.table.insert(ACME, {
        let acme = acme.clone();
        move || Tenant::jwt(acme.jwt_validator(RESOURCE))
    });
    let token = acme.token().sign();
    kit.app.present(&token).await.assert_pass();

    kit.clock.advance(TTL);

    kit.app.present(&token).await.assert_pass();
    assert_eq!((kit.table.questions().len(), acme.key_fetches()), (2, 2));
}
