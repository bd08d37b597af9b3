//! Proves that the testing kit works as documented.

use std::time::Duration;

use http::StatusCode;
use tower_bearer::{
    ValidationError,
    testing::{ManualClock, TestAuthorizationServer, TokenBuilder},
};

use crate::support::{App, ISSUER, RESOURCE, assert_reason, server_and_app, server_and_app_with};

async fn present(token: impl FnOnce(TokenBuilder) -> TokenBuilder) -> crate::support::Answer {
    let (authority, app) = server_and_app().await;
    app.present(&token(authority.token()).sign()).await
}

#[tokio::test]
async fn expired_token_is_refused_as_expired() {
    assert_reason!(present(TokenBuilder::expired).await, ValidationError::Expired { .. });
}

#[tokio::test]
async fn expired_token_is_refused_even_with_the_maximum_clock_skew() {
    let (authority, app) = server_and_app_with(|builder| builder.clock_skew(Duration::from_secs(300))).await;

    assert_reason!(app.present(&authority.token().expired().sign()).await, ValidationError::Expired { .. });
}

#[tokio::test]
async fn not_yet_valid_token_is_refused_as_not_yet_valid() {
    assert_reason!(
        present(TokenBuilder::not_yet_valid).await,
        ValidationError::NotYetValid { claim: "nbf", .. }
    );
}

#[tokio::test]
async fn token_for_another_resource_is_refused_for_its_audience() {
    assert_reason!(
        present(TokenBuilder::for_another_resource).await,
        ValidationError::AudienceMismatch { .. }
    );
}

#[tokio::test]
async fn token_from_another_issuer_is_refused_for_its_issuer() {
    assert_reason!(present(TokenBuilder::from_another_issuer).await, ValidationError::IssuerMismatch { .. });
}

#[tokio::test]
async fn forged_token_is_refused_for_its_signature() {
    assert_reason!(present(TokenBuilder::forged).await, ValidationError::BadSignature);
}

#[tokio::test]
async fn id_token_is_refused_for_its_type() {
    assert_reason!(
        present(|token| token.id_token("web-shop")).await,
        ValidationError::TypeNotAccepted { .. }
    );
}

#[tokio::test]
async fn settle_waits_for_a_background_refresh() {
    let (authority, app) = server_and_app().await;
    let token = authority.token().sign();
    assert_eq!(app.present(&token).await.status, StatusCode::OK);
    let before = authority.key_fetches();
    authority.clock().advance(Duration::from_secs(301));

    assert_eq!(app.present(&token).await.status, StatusCode::OK);
    authority.settle().await;

    assert_eq!(authority.key_fetches(), before + 1);
}

#[test]
fn clock_that_starts_now_shows_the_current_time() {
    use tower_bearer::{Clock as _, SystemClock};

    let before = SystemClock.now();
    let clock = ManualClock::starting_now();

    assert!((before..=SystemClock.now()).contains(&clock.now()));
}

#[test]
#[should_panic(expected = "call with_clock() before the server is cloned")]
fn clock_cannot_be_changed_once_the_server_is_in_use() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let _in_use = authority.clone();

    let _ = authority.with_clock(ManualClock::starting_now());
}

#[tokio::test]
async fn authorization_server_over_a_socket_can_be_discovered_and_introspects() {
    use tower_bearer::{
        AuthorizationServer, IntrospectionValidator, ReqwestClient, ResourceServer, ResourceServerCredential,
    };

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let authority = TestAuthorizationServer::new(&issuer).with_clock(ManualClock::starting_now());
    let serving = axum::serve(listener, axum::Router::new().fallback_service(authority.clone()));
    let serving = tokio::spawn(serving.into_future());
    let client = reqwest::Client::builder().no_proxy();
    let server = AuthorizationServer::discover(&issuer)
        .allow_http_on_loopback()
        .http_client(ReqwestClient::from_builder(client).unwrap());
    let credential = ResourceServerCredential::secret_basic("resource-server", "resource-server-secret");
    let validator = IntrospectionValidator::builder(server, credential, RESOURCE).build().unwrap();
    let app = App::new(ResourceServer::builder(validator).build().unwrap().require_token());
    let token = authority.token().audience(RESOURCE).opaque();

    let admitted = app.present(&token).await;
    authority.go_down();
    let refused = app.present(&authority.token().audience(RESOURCE).opaque()).await;

    assert_eq!(admitted.status, StatusCode::OK);
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    serving.abort();
}
