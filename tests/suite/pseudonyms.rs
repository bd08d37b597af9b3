//! Proves when a pseudonym of the subject gets into a span, and when not.

use tower_bearer::{ResourceServer, testing::TestAuthorizationServer};
use tracing::{Instrument as _, field::Empty, info_span};

use crate::support::{App, ISSUER, Log, RESOURCE, plain};

const KEY: [u8; 32] = [7; 32];

fn resource_server(authority: &TestAuthorizationServer, key: Option<[u8; 32]>) -> ResourceServer {
    let builder = authority.resource_server_with(authority.jwt_validator(RESOURCE).build());
    match key {
        Some(key) => builder.pseudonym_key(key).build().unwrap(),
        None => builder.build().unwrap(),
    }
}

#[tokio::test]
async fn the_span_of_an_admitted_request_has_the_pseudonym_of_its_token() {
    let (log, _guard) = Log::record();
    let authority = TestAuthorizationServer::new(ISSUER);
    let app = App::new(resource_server(&authority, Some(KEY)).require_token());
    let token = authority.token().subject("alice").sign();

    let span = info_span!("request", "enduser.pseudo.id" = Empty);
    let answer = async {
        let answer = app.present(&token).await;
        tracing::info!("answered");
        answer
    }
    .instrument(span)
    .await;

    answer.assert_pass();
    let pseudonym = app.last_seen().token.unwrap().pseudonym().unwrap();
    assert_eq!(pseudonym.len(), 22);
    assert!(log.text().contains(&format!("enduser.pseudo.id=\"{pseudonym}\"")), "{}", log.text());
    assert!(!log.text().contains("alice"));
}

#[tokio::test]
async fn without_a_key_or_a_token_there_is_no_pseudonym() {
    let (log, _guard) = Log::record();
    let authority = TestAuthorizationServer::new(ISSUER);
    let without = App::new(resource_server(&authority, None).require_token());
    let anonymous = App::new(resource_server(&authority, Some(KEY)).allow_anonymous());

    let span = info_span!("request", "enduser.pseudo.id" = Empty);
    async {
        without.present(&authority.token().subject("alice").sign()).await.assert_pass();
        anonymous.send(plain()).await.assert_pass();
        tracing::info!("answered");
    }
    .instrument(span)
    .await;

    assert_eq!(without.last_seen().token.unwrap().pseudonym(), None);
    assert!(log.text().contains("answered") && !log.text().contains("enduser.pseudo.id="), "{}", log.text());
}

#[test]
fn a_short_key_is_a_config_error_that_does_not_show_it() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let builder = authority.resource_server_with(authority.jwt_validator(RESOURCE).build());

    let error = builder.pseudonym_key(*b"too-short").build().unwrap_err();

    assert_eq!(error.to_string(), "pseudonym_key: expected at least 32 bytes (RFC 2104 section 3)");
}
