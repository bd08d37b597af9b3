//! Extractors for axum handlers: `ValidatedToken`, `Option<ValidatedToken>` and [`Claims<T>`].
//!
//! ```
//! use axum::{Router, routing::get};
//! use tower_bearer::{Claims, ResourceServer, Scope, ValidatedToken};
//!
//! const READ: Scope = Scope::from_static("orders:read");
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
//! fn app(resource_server: &ResourceServer) -> Router {
//!     Router::new()
//!         .route("/orders", get(list).route_layer(resource_server.require_scopes(READ)))
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

use axum_core::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header::CACHE_CONTROL, request::Parts};
use serde::de::DeserializeOwned;

use crate::{ClaimError, Rejection, ValidatedToken, refusal::json_body, validate_token::Anonymous};

/// The claims of the validated token as a type of yours.
///
/// A token whose claims are not a `T` is answered 403: it is good, and a new one would have the same claims. The log
/// (debug) says which claim it was.
// The bound is here so that the compiler names a missing `Deserialize`, and not only that the handler is none.
#[derive(Clone, Copy, Debug)]
pub struct Claims<T: DeserializeOwned>(pub T);

/// Why an extractor has nothing to give.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// No layer of a resource server stands in front of this handler: 500.
    #[error("no validated token: put a layer of the resource server in front of this handler")]
    NoLayer,
    /// The layer lets anonymous requests pass, and this handler does not: 401 with the challenge of the layer, which is in
    /// here.
    #[error("no credentials")]
    NoCredentials(Box<http::Response<Bytes>>),
    /// The claims are not of the type that the handler asks for: 403.
    #[error("claims of the validated token do not fit the handler: {0}")]
    Claims(#[from] ClaimError),
}

impl IntoResponse for ExtractError {
    fn into_response(self) -> Response {
        let mut response = match self {
            Self::NoCredentials(refusal) => return refusal.map(Body::from),
            Self::NoLayer => {
                let body = json_body(Rejection::Internal);
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    [(http::header::CONTENT_TYPE, body.content_type)],
                    Body::from(body.bytes),
                )
                    .into_response()
            }
            Self::Claims(_) => (
                StatusCode::FORBIDDEN,
                [(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))],
                Body::from(r#"{"status":403,"title":"Forbidden"}"#),
            )
                .into_response(),
        };
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// The token that a layer in front has validated. Behind [`ResourceServer::allow_anonymous`](crate::ResourceServer::allow_anonymous) an
/// anonymous request is answered 401, as it would be behind `require_token()`.
impl<S: Sync> FromRequestParts<S> for ValidatedToken {
    type Rejection = ExtractError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ExtractError> {
        find(parts)
    }
}

/// The token, or `None` for an anonymous request behind [`ResourceServer::allow_anonymous`](crate::ResourceServer::allow_anonymous).
///
/// It cannot tell an anonymous request from a route without a layer.
impl<S: Sync> OptionalFromRequestParts<S> for ValidatedToken {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

/// The claims, or `None` for an anonymous request.
impl<S: Sync, T: DeserializeOwned> OptionalFromRequestParts<S> for Claims<T> {
    type Rejection = ExtractError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, ExtractError> {
        parts.extensions.get::<ValidatedToken>().map(Self::of).transpose()
    }
}

impl<T: DeserializeOwned> Claims<T> {
    fn of(token: &ValidatedToken) -> Result<Self, ExtractError> {
        let claims = token.deserialize().inspect_err(|error| {
            tracing::debug!(%error, "claims of a validated token do not fit the handler");
        });
        Ok(Self(claims?))
    }
}

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Claims<T> {
    type Rejection = ExtractError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ExtractError> {
        Self::of(&find(parts)?)
    }
}

fn find(parts: &Parts) -> Result<ValidatedToken, ExtractError> {
    if let Some(token) = parts.extensions.get::<ValidatedToken>() {
        return Ok(token.clone());
    }
    if let Some(anonymous) = parts.extensions.get::<Anonymous>() {
        let refusal = anonymous.refuse(&parts.method, &parts.headers);
        return Err(ExtractError::NoCredentials(Box::new(refusal)));
    }
    let error = ExtractError::NoLayer;
    tracing::error!(path = ?parts.uri.path(), %error, "route without a layer");
    Err(error)
}
