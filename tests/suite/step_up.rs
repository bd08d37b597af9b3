//! Proves step-up authentication (RFC 9470): a requirement asks for `acr_values` and a maximum age of the authentication.

use std::time::Duration;

use http::StatusCode;
use tower_bearer::{
    ClaimsSet, Refusal, Rejection, Requirement, ResourceServer, ValidatedToken, ValidationError,
    testing::{ManualClock, TestAuthorizationServer, TokenBuilder},
};

use crate::support::{Answer, App, ISSUER, METADATA_URL, READ, RESOURCE, WRITE, assert_reason};

const FIVE_MINUTES: Duration = Duration::from_secs(300);

/// Returns a server with a manual clock, and an app with this requirement.
fn server_and_app(requirement: Requirement) -> (TestAuthorizationServer, App) {
    let authority = TestAuthorizationServer::new(ISSUER).with_clock(ManualClock::starting_now());
    let app = App::new(resource_server(&authority).require_by(requirement));
    (authority, app)
}

fn resource_server(authority: &TestAuthorizationServer) -> ResourceServer {
    authority.resource_server(RESOURCE)
}

/// Returns a token of a user who authenticated this long ago.
fn authenticated(authority: &TestAuthorizationServer, age: u64) -> TokenBuilder {
    use tower_bearer::Clock as _;
    let auth_time = authority.clock().now().as_secs() - age;
    authority.token().scope("orders:read").claim("auth_time", auth_time).claim("acr", "phr")
}

/// Asserts `SU` with exactly this challenge.
#[track_caller]
fn assert_step_up(answer: &Answer, parameters: &str) {
    answer.assert_refused(StatusCode::UNAUTHORIZED, Some("insufficient_user_authentication"));
    answer.assert_challenge(&format!(
        "Bearer error=\"insufficient_user_authentication\", error_description=\"The user must authenticate again or in \
         another way for this operation\", {parameters}, resource_metadata=\"{METADATA_URL}\""
    ));
    assert_reason!(answer, ValidationError::InsufficientUserAuthentication { .. });
}

#[tokio::test]
async fn r9470_01_acr_that_is_not_accepted_is_answered_with_the_accepted_values_in_order() {
    let (authority, app) = server_and_app(Requirement::token().acr_values(["phrh", "phr"]));

    app.present(&authority.token().claim("acr", "phr").sign()).await.assert_pass();
    app.present(&authority.token().claim("acr", "phrh").sign()).await.assert_pass();
    for acr in ["password", "PHR", "phr phrh", ""] {
        let answer = app.present(&authority.token().claim("acr", acr).sign()).await;

        assert_step_up(&answer, "acr_values=\"phrh phr\"");
    }
}

#[tokio::test]
async fn r9470_02_authentication_older_than_max_age_is_refused() {
    let (authority, app) = server_and_app(Requirement::token().max_age(FIVE_MINUTES));

    for age in [0, 299, 300] {
        app.present(&authenticated(&authority, age).sign()).await.assert_pass();
    }
    for age in [301, 86_400] {
        let answer = app.present(&authenticated(&authority, age).sign()).await;

        assert_step_up(&answer, "max_age=\"300\"");
    }
}

#[tokio::test]
async fn r9470_02_authentication_becomes_too_old_while_the_verdict_is_cached() {
    let (authority, app) = server_and_app(Requirement::token().max_age(FIVE_MINUTES));
    let token = authenticated(&authority, 299).sign();
    app.present(&token).await.assert_pass();

    authority.clock().advance(Duration::from_secs(2));

    assert_step_up(&app.present(&token).await, "max_age=\"300\"");
}

#[tokio::test]
async fn r9470_02_both_needs_are_in_one_challenge() {
    let requirement = Requirement::token().acr_values(["phrh"]).max_age(Duration::from_millis(60_900));
    let (authority, app) = server_and_app(requirement);

    let answer = app.present(&authenticated(&authority, 0).sign()).await;

    assert_step_up(&answer, "acr_values=\"phrh\", max_age=\"60\"");
}

#[tokio::test]
async fn r9470_03_values_of_an_introspection_response_count() {
    let authority = TestAuthorizationServer::new(ISSUER).with_clock(ManualClock::starting_now());
    let validator = authority.introspection_validator(RESOURCE).build().unwrap();
    let resource_server = authority.resource_server_with(validator).build().unwrap();
    let app =
        App::new(resource_server.require_by(Requirement::token().acr_values(["phr"]).max_age(FIVE_MINUTES)));

    app.present(&authenticated(&authority, 10).opaque()).await.assert_pass();

    let answer = app.present(&authenticated(&authority, 301).opaque()).await;
    assert_reason!(answer, ValidationError::InsufficientUserAuthentication { .. });
}

#[tokio::test]
async fn r9470_04_missing_or_mistyped_values_are_refused() {
    let (authority, app) = server_and_app(Requirement::token().acr_values(["phr"]).max_age(FIVE_MINUTES));
    let good = || authenticated(&authority, 0);
    app.present(&good().sign()).await.assert_pass();

    for token in [
        good().without_claim("acr"),
        good().claim("acr", ["phr"]),
        good().claim("acr", 1),
        good().claim("acr", ()),
        good().without_claim("auth_time"),
        good().claim("auth_time", "1"),
        good().claim("auth_time", -1),
        good().claim("auth_time", ()),
        good().claim("auth_time", [1]),
        good().claim("auth_time", 1e300),
    ] {
        let answer = app.present(&token.sign()).await;

        assert_step_up(&answer, "acr_values=\"phr\", max_age=\"300\"");
    }
}

#[tokio::test]
async fn r9470_05_missing_scope_comes_before_step_up() {
    let (authority, app) = server_and_app(Requirement::scopes(WRITE).max_age(FIVE_MINUTES));

    app.present(&authenticated(&authority, 301).sign()).await.assert_insufficient_scope("orders:write");
    app.present(&authenticated(&authority, 301).expired().sign()).await.assert_invalid_token();

    let answer = app.present(&authenticated(&authority, 301).scope("orders:write").sign()).await;
    assert_reason!(answer, ValidationError::InsufficientUserAuthentication { .. });
}

#[tokio::test]
async fn r9470_06_challenge_has_scope_and_metadata() {
    let (authority, app) = server_and_app(Requirement::scopes([READ]).max_age(FIVE_MINUTES));

    let answer = app.present(&authenticated(&authority, 301).sign()).await;

    assert_step_up(&answer, "max_age=\"300\", scope=\"orders:read\"");
}

#[tokio::test]
async fn request_without_token_is_not_told_about_step_up() {
    let (_, app) = server_and_app(Requirement::scopes([READ]).max_age(FIVE_MINUTES));

    let answer = app.send(crate::support::plain()).await;

    answer.assert_unauthorized();
    answer.assert_challenge(&format!("Bearer scope=\"orders:read\", resource_metadata=\"{METADATA_URL}\""));
}

#[tokio::test]
async fn handler_can_require_step_up() {
    let (authority, app) = server_and_app(Requirement::scopes(READ));
    app.present(&authenticated(&authority, 301).sign()).await.assert_pass();
    let token = app.last_seen().token.unwrap();

    assert!(token.require(Requirement::token().max_age(Duration::from_secs(301))).is_ok());
    let refusal: Refusal = token.require(Requirement::token().max_age(FIVE_MINUTES)).unwrap_err();

    assert_eq!(refusal.rejection(), Rejection::InsufficientUserAuthentication);
    let response = refusal.into_http();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let challenge = response.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains("max_age=\"300\", scope=\"orders:read\""), "{challenge}");
}

#[tokio::test]
async fn step_up_in_a_handler_names_the_scopes_of_layer_and_handler() {
    let (authority, app) = server_and_app(Requirement::scopes(READ));
    app.present(&authenticated(&authority, 301).scope("orders:read orders:write").sign()).await.assert_pass();
    let token = app.last_seen().token.unwrap();

    let refusal = token.require(Requirement::scopes(WRITE).max_age(FIVE_MINUTES)).unwrap_err();

    assert_eq!(refusal.rejection(), Rejection::InsufficientUserAuthentication);
    assert_eq!(refusal.scopes(), [READ, WRITE]);
}

#[test]
fn handler_without_layer_can_require_step_up() {
    let claims = ClaimsSet::new().with_claim("acr", &"phr").unwrap();
    let token = ValidatedToken::from_trusted_claims(claims);

    assert!(token.require(Requirement::token().acr_values(["phr"])).is_ok());
    assert!(token.require(Requirement::token().acr_values(["phrh"])).is_err());
}

#[tokio::test]
async fn step_up_over_grpc_is_unauthenticated_with_the_challenge() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let layer = resource_server(&authority).require_by(Requirement::token().acr_values(["phr"]));
    let app = App::grpc(layer);
    let request = http::Request::post("/orders.Orders/List")
        .header("content-type", "application/grpc")
        .header("authorization", format!("Bearer {}", authority.token().sign()));

    let answer = app.send(request.body(http_body_util::Full::default()).unwrap()).await;

    assert_eq!((answer.status, answer.calls), (StatusCode::OK, 0));
    assert_eq!(answer.headers["grpc-status"], "16");
    assert_eq!(answer.challenges[0].param("acr_values"), Some("phr"));
}

#[test]
fn requirements_of_both_kinds_combine() {
    let both = Requirement::scopes(READ)
        .acr_values(["a", "b"])
        .and(Requirement::scopes(WRITE).acr_values(["b", "c"]).max_age(FIVE_MINUTES));
    let expected = Requirement::scopes([READ, WRITE]).acr_values(["b"]).max_age(FIVE_MINUTES);

    assert_eq!(both, expected);
    let impossible = Requirement::token().acr_values(["a"]).and(Requirement::token().acr_values(["b"]));
    assert_eq!(impossible, Requirement::deny("no acr value meets both requirements"));
    let ages =
        Requirement::token().max_age(FIVE_MINUTES).and(Requirement::token().max_age(Duration::from_secs(1)));
    assert_eq!(ages, Requirement::token().max_age(Duration::from_secs(1)));
}

#[test]
#[should_panic(expected = "acr value \"a b\"")]
fn acr_value_with_a_space_panics() {
    let _ = Requirement::token().acr_values(["a b"]);
}
