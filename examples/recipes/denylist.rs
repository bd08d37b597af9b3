//! Refuses JWTs that are on a list of revoked tokens, even if their verdicts are cached.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use axum::{Router, routing::get};
use tower_bearer::{
    ClaimsSet, Clock, RequestHead, RequestRule, SystemClock, UnixTime, testing::TestAuthorizationServer,
};

use super::{Failure, expect_bearer, orders};

/// The identifiers (`jti`) of revoked tokens of one issuer, and when the tokens expire.
#[derive(Debug, Default)]
pub(crate) struct Denylist(RwLock<HashMap<String, UnixTime>>);

impl Denylist {
    /// Refuses a token from the next request on. Forgets tokens that have expired, so the list does not grow without bound.
    pub(crate) fn add(&self, token_id: &str, expires_at: UnixTime) {
        let mut tokens = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // The validator accepts a token for the clock skew after its expiry: 5 minutes at most.
        let now = SystemClock.now().as_secs().saturating_sub(300);
        tokens.retain(|_, expires_at| expires_at.as_secs() > now);
        tokens.insert(token_id.to_owned(), expires_at);
    }

    /// Returns a rule that refuses the tokens on the list with 401. The resource server checks it on every request. A rule of the
    /// validator, or a validator around it, would not be asked about tokens in the cache.
    pub(crate) fn rule(self: Arc<Self>) -> RequestRule {
        RequestRule::new("token not revoked", move |claims: &ClaimsSet, _: &RequestHead<'_>| {
            let tokens = self.0.read().unwrap_or_else(PoisonError::into_inner);
            // Without an identifier, nobody can tell whether the token is on the list.
            claims.token_id().is_some_and(|id| !tokens.contains_key(id))
        })
        .invalid_token()
    }
}

pub(crate) async fn demonstrate() -> Result<(), Failure> {
    println!("A denylist in front of a JWT validator");
    let authority = TestAuthorizationServer::new("https://as.example.com");
    let validator = authority.jwt_validator("https://orders.example.com").build()?;
    let denylist = Arc::new(Denylist::default());
    let resource_server =
        authority.resource_server_with(validator).claim_rule(Arc::clone(&denylist).rule()).build()?;
    let app = Router::new().route("/orders", get(orders).route_layer(resource_server.require_token()));

    let stolen = authority.token().claim("jti", "stolen").sign();
    let other = authority.token().claim("jti", "other").sign();
    expect_bearer(&app, "  a token", &stolen, 200).await?;
    expect_bearer(&app, "  the same token, from the cache", &stolen, 200).await?;
    denylist.add("stolen", UnixTime::from_secs(authority.clock().now().as_secs() + 3_600));
    expect_bearer(&app, "  after it was put on the list", &stolen, 401).await?;
    expect_bearer(&app, "  another token", &other, 200).await
}
