//! What happens while the resolver fails.

use std::time::Duration;

use tower_bearer::{Clock as _, ValidationError};

use super::kit::{ACME, GLOBEX, Kit};
use crate::support::{Log, RESOURCE, assert_reason, settle};

const TTL: Duration = Duration::from_secs(5 * 60);
const MAX_AGE: Duration = Duration::from_secs(60 * 60);

fn down() -> ValidationError {
    ValidationError::unavailable("the database is down")
}

#[tokio::test]
async fn unknown_tenant_is_answered_with_503_while_the_resolver_fails() {
    let kit = Kit::new();
    let acme = kit.tenant(ACME);
    kit.table.fail(Some(down));

    let token = acme.token().sign();
    kit.app.present(&token).await.assert_unavailable();
    kit.table.fail(None);

    kit.app.present(&token).await.assert_pass();
}

#[tokio::test]
async fn known_tenants_are_served_until_their_maximum_age_while_the_resolver_fails() {
    let kit = Kit::new();
    let acme = kit.tenant(ACME);
    let began = kit.clock.now();
    let elapsed = || kit.clock.now().saturating_duration_since(began);
    let cached = acme.token().expires_in(2 * MAX_AGE).sign();
    kit.app.present(&cached).await.assert_pass();
    kit.table.fail(Some(down));

    kit.clock.advance(TTL);
    while elapsed() < MAX_AGE - Duration::from_secs(1) {
        kit.app.present(&cached).await.assert_pass();
        kit.app.present(&acme.token().sign()).await.assert_pass();
        settle().await;
        let left = MAX_AGE - Duration::from_secs(1) - elapsed();
        kit.clock.advance(left.min(Duration::from_secs(60)));
    }
    kit.app.present(&cached).await.assert_pass();
    kit.clock.advance(Duration::from_secs(1));

    kit.app.present(&cached).await.assert_unavailable();
    kit.app.present(&acme.token().sign()).await.assert_unavailable();
    kit.table.fail(None);
    kit.app.present(&cached).await.assert_pass();
}

#[tokio::test]
async fn resolver_that_fails_is_asked_every_five_seconds_for_a_known_tenant() {
    let kit = Kit::new();
    let acme = kit.tenant(ACME);
    let token = acme.token().sign();
    kit.app.present(&token).await.assert_pass();
    kit.table.fail(Some(down));
    kit.clock.advance(TTL);

    for _ in 0..20 {
        kit.app.present(&token).await.assert_pass();
        settle().await;
    }
    assert_eq!(kit.table.questions().len(), 2);
    kit.clock.advance(Duration::from_secs(5));
    for _ in 0..20 {
        kit.app.present(&token).await.assert_pass();
        settle().await;
    }

    assert_eq!(kit.table.questions().len(), 3);
}

#[tokio::test]
async fn invalidated_tenant_is_not_served_while_the_resolver_fails() {
    let kit = Kit::new();
    let acme = kit.tenant(ACME);
    let token = acme.token().sign();
    kit.app.present(&token).await.assert_pass();
    kit.table.fail(Some(down));

    kit.validator.invalidate(ACME);

    kit.app.present(&token).await.assert_unavailable();
}

#[tokio::test]
async fn resolver_that_refuses_the_token_is_an_outage() {
    let kit = Kit::new();
    let acme = kit.tenant(ACME);
    kit.table.fail(Some(|| ValidationError::refused("no such tenant")));

    let answer = kit.app.present(&acme.token().sign()).await;

    answer.assert_unavailable();
    assert_reason!(answer, ValidationError::Unavailable { .. });
}

#[tokio::test]
async fn resolver_that_panics_is_a_bug() {
    let kit = Kit::new();
    let acme = kit.tenant(ACME);
    kit.table.fail(Some(|| panic!("on purpose")));

    let answer = kit.app.present(&acme.token().sign()).await;

    answer.assert_internal();
    assert_eq!(answer.reason.unwrap().to_string(), "token cannot be validated: the resolver panicked");
}

#[tokio::test]
async fn known_tenant_is_served_while_the_resolver_panics() {
    let kit = Kit::new();
    let acme = kit.tenant(ACME);
    kit.app.present(&acme.token().sign()).await.assert_pass();
    kit.table.fail(Some(|| panic!("on purpose")));

    kit.clock.advance(TTL);

    kit.app.present(&acme.token().sign()).await.assert_pass();
}

#[tokio::test(start_paused = true)]
async fn resolver_that_does_not_answer_is_an_outage_after_the_timeout() {
    let kit = Kit::with(|builder| builder.resolve_timeout(Duration::from_secs(2)));
    let acme = kit.tenant(ACME);
    kit.app.present(&kit.tenant(GLOBEX).token().sign()).await.assert_pass();
    kit.table.hold();
    let began = tokio::time::Instant::now();

    let answer = kit.app.present(&acme.token().sign()).await;

    answer.assert_unavailable();
    assert_eq!(began.elapsed().as_secs(), 2);
    assert_eq!(
        answer.reason.unwrap().to_string(),
        "token cannot be checked now: the resolver did not answer within 2s"
    );
}

#[tokio::test]
async fn outage_of_the_resolver_is_logged_once() {
    let (log, _guard) = Log::record_from(tracing::Level::WARN);
    let kit = Kit::new();
    kit.table.fail(Some(down));

    for issuer in [ACME, GLOBEX] {
        kit.app.present(&kit.server(issuer).token().audience(RESOURCE).sign()).await.assert_unavailable();
    }

    let warnings = log.text().matches("resolver unavailable, only tenants that are already known").count();
    assert_eq!(warnings, 1, "{}", log.text());
    assert!(log.text().contains("the database is down"), "{}", log.text());
}
