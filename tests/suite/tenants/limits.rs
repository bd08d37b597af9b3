//! What anyone can cause with tokens of invented issuers, and how much is kept in memory.

use std::time::Duration;

use tower_bearer::ValidationError;

use super::kit::{ACME, GLOBEX, Kit};
use crate::support::{RESOURCE, assert_reason, soon, until};

#[tokio::test]
async fn a69_invented_issuers_do_not_evict_tenants_and_are_asked_for_once() {
    let kit = Kit::with(|builder| builder.max_tenants(2));
    let acme = kit.tenant(ACME);
    kit.app.present(&acme.token().sign()).await.assert_pass();
    let junk = |number: usize| {
        let token = acme.token().claim("iss", format!("https://junk-{number}.example"));
        token.sign()
    };

    for _ in 0..2 {
        for number in 0..2_000 {
            let answer = kit.app.present(&junk(number)).await;
            answer.assert_invalid_token();
            assert_reason!(answer, ValidationError::UnknownIssuer { .. });
        }
    }
    kit.app.present(&acme.token().sign()).await.assert_pass();

    assert_eq!(kit.table.questions().len(), 2_001);
    assert_eq!(acme.requests().len(), 2, "metadata and keys of the tenant");
}

#[tokio::test]
async fn a69_invented_issuers_do_not_keep_a_removed_tenant_in_use() {
    const QUESTIONS: usize = 1_024;
    let kit = Kit::with(|builder| builder.resolve_timeout(Duration::from_secs(60)));
    let acme = kit.tenant(ACME);
    let token = acme.token().expires_in(Duration::from_secs(3_600)).sign();
    kit.app.present(&token).await.assert_pass();
    let present = |token: String| {
        let app = kit.app.clone();
        tokio::spawn(async move { app.present(&token).await })
    };
    // As many questions as may be open at once, which are answered slowly.
    kit.table.hold();
    let junk: Vec<_> = (0..QUESTIONS)
        .map(|number| {
            let issuer = format!("https://junk-{number}.example");
            present(acme.token().claim("iss", issuer).sign())
        })
        .collect();
    soon(until(|| kit.table.questions().len() == 1 + QUESTIONS)).await;
    kit.table.remove(ACME);
    kit.clock.advance(Duration::from_secs(5 * 60));

    let answer = present(token);
    soon(until(|| kit.table.questions().len() == 1 + QUESTIONS + 1 || answer.is_finished())).await;
    kit.table.release();

    soon(answer).await.unwrap().assert_invalid_token();
    for answer in junk {
        soon(answer).await.unwrap().assert_invalid_token();
    }
}

#[tokio::test]
async fn a69_issuer_that_no_authorization_server_can_have_does_not_reach_the_resolver() {
    let kit = Kit::new();
    let acme = kit.tenant(ACME);

    for issuer in [
        "",
        "acme",
        "http://login.acme.example",
        "https://user@login.acme.example",
        "https://login.acme.example?x",
        "https://login.acme.example#x",
        "file:///etc/passwd",
        " https://login.acme.example",
        "https://login.acme.example\u{0}",
    ] {
        let answer = kit.app.present(&acme.token().claim("iss", issuer).sign()).await;
        answer.assert_invalid_token();
        assert_reason!(answer, ValidationError::UnknownIssuer { .. });
    }

    assert_eq!(kit.table.questions(), [] as [&str; 0]);
}

#[tokio::test]
async fn requests_with_one_new_issuer_share_a_question() {
    let kit = Kit::new();
    let acme = kit.tenant(ACME);
    kit.table.hold();
    let requests: Vec<_> = (0..10)
        .map(|_| {
            let (app, token) = (kit.app.clone(), acme.token().sign());
            tokio::spawn(async move { app.present(&token).await })
        })
        .collect();
    soon(until(|| kit.table.questions().len() == 1)).await;

    kit.table.release();

    for request in requests {
        assert_eq!(soon(request).await.unwrap().status, http::StatusCode::OK);
    }
    assert_eq!(kit.table.questions(), [ACME]);
    assert_eq!(acme.key_fetches(), 1);
}

#[tokio::test]
async fn verdicts_of_an_evicted_tenant_stay_valid_until_it_is_invalidated() {
    let kit = Kit::with(|builder| builder.max_tenants(1));
    let acme = kit.tenant(ACME);
    let token = acme.token().sign();
    kit.app.present(&token).await.assert_pass();
    // Other tenants evict it.
    for number in 0..100 {
        let other = kit.tenant(&format!("https://tenant-{number}.example"));
        kit.app.present(&other.token().sign()).await.assert_pass();
    }
    let questions = kit.table.questions().len();

    kit.app.present(&token).await.assert_pass();
    assert_eq!(kit.table.questions().len(), questions);
    kit.table.remove(ACME);
    kit.validator.invalidate(ACME);

    kit.app.present(&token).await.assert_invalid_token();
}

#[tokio::test]
async fn evicted_tenant_is_asked_for_again() {
    let kit = Kit::with(|builder| builder.max_tenants(1));
    let (acme, globex) = (kit.tenant(ACME), kit.tenant(GLOBEX));

    for _ in 0..3 {
        for server in [&acme, &globex] {
            kit.app.present(&server.token().audience(RESOURCE).sign()).await.assert_pass();
        }
    }

    assert!(kit.table.questions().len() > 2, "{:?}", kit.table.questions());
}
