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
//! # Where to put layers in axum
//! Put each layer on the methods that it guards, with `MethodRouter::route_layer`:
//! `get(a).route_layer(x).merge(put(b).route_layer(y))`.
//!
//! * A layer covers only the methods added before it: `get(a).route_layer(x).put(b)` leaves `put` open.
//! * With `MethodRouter::layer`, and with a layer on a `Router`, a method that does not exist gets 401 or 403 instead of
//!   405, and sends clients for scopes that do not help. `Router::route_layer` leaves unknown paths at 404.
//! * Several layers on one method go in as a tuple: `get(a).route_layer((outer, inner))`.

use std::convert::Infallible;

use axum::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::{Refusal, ValidatedToken, ValidationError, refusal::RequestSummary, token::AnonymousRequest};

/// The claims of the validated token as a type of yours, which implements `Deserialize`.
///
/// A token whose claims are not a `T` is answered 403: it is valid, and a new one would have the same claims. The reason is
/// [`ValidationError::ClaimsDoNotFit`], which names the claim.
// The bound is here so that the compiler names a missing `Deserialize`, and not only that the function is no handler.
#[derive(Clone, Copy, Debug)]
pub struct Claims<T: DeserializeOwned>(pub T);

/// The response of the layer: status, challenge and body. Logs the refusal.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.into_http().map(Body::from)
    }
}

/// The token that a layer in front has validated.
///
/// After [`ResourceServer::allow_anonymous`](crate::ResourceServer::allow_anonymous), an anonymous request is answered as by
/// [`ResourceServer::require_token`](crate::ResourceServer::require_token): 401. Without a layer in front of the handler, every request is answered 500.
impl<S: Sync> FromRequestParts<S> for ValidatedToken {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        find(parts).cloned()
    }
}

/// The token, or `None` for an anonymous request after [`ResourceServer::allow_anonymous`](crate::ResourceServer::allow_anonymous).
///
/// It cannot tell an anonymous request from a route without a layer.
impl<S: Sync> OptionalFromRequestParts<S> for ValidatedToken {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

/// As the extractor of [`ValidatedToken`], and 403 if the claims are not a `T`.
impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Claims<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Self::of(find(parts)?)
    }
}

/// The claims, or `None` for an anonymous request.
impl<S: Sync, T: DeserializeOwned> OptionalFromRequestParts<S> for Claims<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Refusal> {
        parts.extensions.get::<ValidatedToken>().map(Self::of).transpose()
    }
}

impl<T: DeserializeOwned> Claims<T> {
    fn of(token: &ValidatedToken) -> Result<Self, Refusal> {
        token.deserialize().map(Self).map_err(|error| token.refuse(ValidationError::ClaimsDoNotFit(error)))
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
