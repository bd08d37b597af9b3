//! Recipes for other kinds of tokens: API keys, revoked JWTs, Kubernetes and SPIFFE. Each file has code to copy, and runs it.
//!
//! Run all with `cargo run --features axum,testing --example recipes`. docs/guides/own_tokens.md explains them.
//!
//! | file | recipe |
//! |---|---|
//! | `api_keys` | API keys next to tokens |
//! | `denylist` | a list of revoked tokens in front of a JWT validator |
//! | `kubernetes` | tokens of Kubernetes service accounts |
//! | `spiffe` | JWT-SVIDs of SPIFFE |
#![allow(clippy::print_stdout, reason = "an example prints")]

pub(crate) mod api_keys;
mod api_server;
pub(crate) mod denylist;
pub(crate) mod kubernetes;
pub(crate) mod spiffe;

use std::error::Error;

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use tower::ServiceExt as _;
use tower_bearer::ValidatedToken;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    api_keys::demonstrate().await?;
    denylist::demonstrate().await?;
    kubernetes::demonstrate().await?;
    spiffe::demonstrate().await
}

/// Sends a request with these header fields, prints the status and compares it.
async fn expect(app: &Router, what: &str, fields: &[(&str, &str)], expected: u16) -> Result<(), Failure> {
    let mut request = Request::get("/orders");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let status = app.clone().oneshot(request.body(Body::empty())?).await?.status();
    println!("{what}: {status}");
    if status == StatusCode::from_u16(expected)? {
        Ok(())
    } else {
        Err(format!("expected {expected}").into())
    }
}

/// Sends a request with a bearer token, as [`expect`] does.
async fn expect_bearer(app: &Router, what: &str, token: &str, expected: u16) -> Result<(), Failure> {
    expect(app, what, &[("authorization", &format!("Bearer {token}"))], expected).await
}

/// The API of all recipes.
async fn orders(token: ValidatedToken) -> String {
    format!("orders of {}", token.subject().unwrap_or("nobody"))
}
