//! Accepts API keys next to tokens: in `X-Api-Key`, or as a bearer token.

use std::collections::HashMap;

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use tower_bearer::{
    AccessToken, ClaimsSet, RoutingValidator, Scope, TokenValidator, ValidatedToken, ValidationError,
    testing::TestAuthorizationServer,
};

use super::{Failure, expect, expect_bearer, orders};

const READ: Scope = Scope::from_static("orders:read");

/// API keys, by the SHA-256 of the key.
#[derive(Debug, Default)]
pub(crate) struct ApiKeys(HashMap<[u8; 32], Owner>);

#[derive(Debug)]
struct Owner {
    subject: &'static str,
    scope: &'static str,
}

impl TokenValidator for ApiKeys {
    async fn validate(&self, key: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        let owner =
            self.0.get(&key.sha256()).ok_or_else(|| ValidationError::refused("not an API key of ours"))?;
        // Without an expiry. Add one if your keys have it.
        let claims = ClaimsSet::new().with_subject(owner.subject).with_scopes(owner.scope);
        Ok(ValidatedToken::from_trusted_claims(claims))
    }
}

/// Moves `X-Api-Key` to `Authorization`, so that the layer reads and removes it like any token.
///
/// Both fields, or two keys, are an invalid request: a client must use one method (RFC 6750 section 2).
pub(crate) async fn key_as_bearer_token(mut request: Request, next: Next) -> Response {
    let mut keys = request.headers().get_all("x-api-key").iter();
    let (key, second) = (keys.next().cloned(), keys.next().is_some());
    if let Some(key) = key {
        let has_token = request.headers().contains_key(header::AUTHORIZATION);
        let bearer = HeaderValue::from_bytes(&[b"Bearer ", key.as_bytes()].concat());
        let (false, false, Ok(mut bearer)) = (second, has_token, bearer) else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        bearer.set_sensitive(true);
        request.headers_mut().remove("x-api-key");
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
    }
    next.run(request).await
}

pub(crate) async fn demonstrate() -> Result<(), Failure> {
    println!("API keys next to tokens");
    let key = "key_8Hq2mT0vJc4XwZr6";
    let owner = Owner { subject: "nightly-report", scope: "orders:read" };
    let keys = ApiKeys([(AccessToken::new(key).sha256(), owner)].into());

    let authority = TestAuthorizationServer::new("https://as.example.com");
    let jwts = authority.jwt_validator("https://orders.example.com").build()?;
    // JWTs of the authorization server go to its validator. Everything else is an API key.
    let validator = RoutingValidator::new().route(jwts).otherwise(keys);
    let resource_server = authority.resource_server_with(validator).build()?;
    let app = Router::new()
        .route("/orders", get(orders).route_layer(resource_server.require_scopes(READ)))
        // Outside of the layer that reads the token.
        .layer(middleware::from_fn(key_as_bearer_token));

    let jwt = authority.token().scope("orders:read").sign();
    expect_bearer(&app, "  a JWT", &jwt, 200).await?;
    expect(&app, "  a key in X-Api-Key", &[("x-api-key", key)], 200).await?;
    expect_bearer(&app, "  a key as a bearer token", key, 200).await?;
    expect(&app, "  an unknown key", &[("x-api-key", "key_0")], 401).await?;
    expect_bearer(&app, "  a forged JWT", &authority.token().forged().sign(), 401).await?;
    expect(&app, "  two keys", &[("x-api-key", key), ("x-api-key", key)], 400).await?;
    let both = [("x-api-key", key), ("authorization", &*format!("Bearer {jwt}"))];
    expect(&app, "  a key and a JWT", &both, 400).await?;
    expect(&app, "  neither", &[], 401).await
}
