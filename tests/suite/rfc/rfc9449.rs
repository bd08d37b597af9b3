//! Proves that tokens bound to a key (RFC 9449, RFC 7800) are refused, because proof of possession is not checked.

use serde_json::json;
use tower_bearer::{
    AccessToken, ClaimsSet, ResourceServer, TokenValidator, ValidatedToken, ValidationError,
    testing::TestAuthorizationServer,
};

use crate::support::{App, ISSUER, RESOURCE, assert_invalid, server_and_app};

#[tokio::test]
async fn r9449_14_bound_token_is_refused_under_bearer() {
    let (authority, app) = server_and_app().await;
    let cnf = json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"});

    // Uncached, then possibly cached.
    let token = authority.token().claim("cnf", cnf).sign();
    for _ in 0..2 {
        assert_invalid!(app.present(&token).await, ValidationError::SenderConstraintNotProved);
    }
}

#[tokio::test]
async fn r9449_14_bound_token_is_refused_even_if_anonymous_requests_pass() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let app = App::new(authority.resource_server(RESOURCE).allow_anonymous());
    app.present(&authority.token().sign()).await.assert_pass();

    let answer = app.present(&authority.token().claim("cnf", json!({"jkt": "0ZcO"})).sign()).await;

    assert_invalid!(answer, ValidationError::SenderConstraintNotProved);
}

#[tokio::test]
async fn r9449_31_token_with_unchecked_cnf_is_refused() {
    let (authority, app) = server_and_app().await;

    for cnf in [
        json!({}),
        json!("x"),
        json!(""),
        json!(null),
        json!(false),
        json!(0),
        json!([]),
        json!({"jkt": 1}),
        json!({"jkt": null}),
        json!({"foo": 1}),
        json!({"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}),
        json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", "foo": 1}),
        json!({"jwk": {"kty": "EC"}}),
        json!({"kid": "1"}),
    ] {
        let answer = app.present(&authority.token().claim("cnf", &cnf).sign()).await;

        assert_invalid!(answer, ValidationError::SenderConstraintNotProved, "{cnf}");
    }
    let token = authority.token();
    let escaped = crate::support::claims_with(&token, r"\u0063nf", "{}");
    let answer = app.present(&token.raw_payload(escaped).sign()).await;
    assert_invalid!(answer, ValidationError::SenderConstraintNotProved);
}

#[tokio::test]
async fn r9449_31_introspected_token_with_cnf_is_refused() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.introspection_validator(RESOURCE).build().unwrap();
    let app = App::new(authority.resource_server_with(validator).build().unwrap().require_token());
    app.present(&authority.token().opaque()).await.assert_pass();

    for cnf in [json!({"jkt": "0ZcO"}), json!({}), json!(null), json!("x"), json!(0), json!({"foo": 1})] {
        let token = authority.token().claim("cnf", &cnf).opaque();
        for _ in 0..2 {
            assert_invalid!(app.present(&token).await, ValidationError::SenderConstraintNotProved, "{cnf}");
        }
    }
}

#[tokio::test]
async fn r9449_31_bound_token_from_a_custom_validator_is_refused() {
    /// Accepts every token as bound to a key.
    struct Bound;

    impl TokenValidator for Bound {
        async fn validate(&self, _: &AccessToken) -> Result<ValidatedToken, ValidationError> {
            Ok(ValidatedToken::from_trusted_claims(
                ClaimsSet::new().with_claim("cnf", &json!({"jkt": "0ZcO"}))?,
            ))
        }
    }
    let app = App::new(ResourceServer::builder(Bound).build().unwrap().require_token());

    assert_invalid!(app.present("any").await, ValidationError::SenderConstraintNotProved);
}
