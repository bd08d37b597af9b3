//! Extractors for axum handlers: `ValidatedToken`, `Option<ValidatedToken>` and [`Claims<T>`].
//!
//! ```
//! use axum::{Router, routing::{get, post}};
//! use tower_bearer::{Claims, Refusal, ResourceServer, Scope, ValidatedToken};
//!
//! const READ: Scope = Scope::from_static("orders:read");
//! const WRITE: Scope = Scope::from_static("orders:write");
//!
//! #[derive(serde::Deserialize)]
//! struct Tenant {
//!     tenant: String,
//! }
//!
//! async fn list(token: ValidatedToken, Claims(Tenant { tenant }): Claims<Tenant>) -> String {
//!     format!("orders of {:?} at {tenant}", token.subject())
//! }
//!
//! async fn greet(token: Option<ValidatedToken>) -> &'static str {
//!     if token.is_some() { "hello again" } else { "hello" }
//! }
//!
//! async fn import(token: ValidatedToken, body: String) -> Result<&'static str, Refusal> {
//!     if body.contains("overwrite") {
//!         token.require(WRITE)?; // 403 with the challenge of the layer
//!     }
//!     Ok("imported")
//! }
//!
//! fn app(resource_server: &ResourceServer) -> Router {
//!     Router::new()
//!         .route("/orders", get(list).route_layer(resource_server.require_scopes(READ)))
//!         .route("/imports", post(import).route_layer(resource_server.require_scopes(READ)))
//!         .route("/", get(greet).route_layer(resource_server.allow_anonymous()))
//! }
//! # let _ = app;
//! ```
//!
//! A handler with an error type of its own implements `From<Refusal>` for it, and calls `into_response` of the refusal in
//! its `IntoResponse`.
//!
//! # Where to put layers in axum
//! Add each layer to the methods that it protects, with `MethodRouter::route_layer`:
//! `get(a).route_layer(x).merge(put(b).route_layer(y))`.
//!
//! * A layer covers only the methods added before it. With `get(a).route_layer(x).put(b)`, `put` is not protected.
//! * With `MethodRouter::layer`, and with a layer on a `Router`, an unsupported method is answered with 401 or 403
//!   instead of 405, and clients request scopes that do not help. With `Router::route_layer`, unknown paths are still
//!   answered with 404.
//! * `any(handler)` has no methods to add a `route_layer` to, so axum panics ("Adding a route_layer before any routes is a
//!   no-op"): use `layer`.
//! * A layer inside `Router::nest` receives the path without the prefix. Put policies that use the path, such as
//!   [`PathRules`](crate::PathRules), outside.
//! * Merge [`metadata_router`](crate::ResourceServer::metadata_router) after the last `Router::layer`, because it must be public.
//! * To add several layers to one method, use a tuple: `get(a).route_layer((outer, inner))`.

use std::convert::Infallible;

use axum::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::request::Parts;
use serde::de::DeserializeOwned;

pub use super::Claims;
use crate::{Refusal, ValidatedToken, ValidationError, refusal::RequestSummary, token::AnonymousRequest};

/// Converts into the response that the layer sends: status, challenge and body. Logs the refusal.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.into_http().map(Body::from)
    }
}

/// Extracts the token that the layer has validated.
///
/// Behind [`ResourceServer::allow_anonymous`](crate::ResourceServer::allow_anonymous), an anonymous request is answered
/// with 401, as with [`ResourceServer::require_token`](crate::ResourceServer::require_token). Without a layer, every
/// request is answered with 500.
impl<S: Sync> FromRequestParts<S> for ValidatedToken {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        find(parts).cloned()
    }
}

/// Extracts the token, or `None` for an anonymous request behind
/// [`ResourceServer::allow_anonymous`](crate::ResourceServer::allow_anonymous).
///
/// It cannot distinguish an anonymous request from a route without a layer.
impl<S: Sync> OptionalFromRequestParts<S> for ValidatedToken {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

/// Responds like the extractor [`ValidatedToken`], and with 403 if the claims are not a `T`.
impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Claims<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Self::of(find(parts)?)
    }
}

/// Extracts the claims, or `None` for an anonymous request.
impl<S: Sync, T: DeserializeOwned> OptionalFromRequestParts<S> for Claims<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Refusal> {
        parts.extensions.get::<ValidatedToken>().map(Self::of).transpose()
    }
}

fn find(parts: &Parts) -> Result<&ValidatedToken, Refusal> {
    if let Some(token) = parts.extensions.get::<ValidatedToken>() {
        return Ok(token);
    }
    Err(match parts.extensions.get::<AnonymousRequest>() {
        Some(anonymous) => anonymous.refuse(),
        None => {
            let Parts { method, uri, headers, extensions, .. } = parts;
            let request = RequestSummary::new(method, uri, headers, false, extensions);
            Refusal::without_layer(ValidationError::NoLayer, Some(request))
        }
    })
}
