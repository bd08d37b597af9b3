//! Which path leads where, and how often was it asked?

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};

use super::{
    authorization_endpoint::authorize, introspection::introspect, metadata::metadata, registration::register,
    revocation::revoke, signing_keys::jwks, state::ServerState, token_endpoint::token,
};

pub const METADATA: &str = "/.well-known/oauth-authorization-server";
pub const JWKS: &str = "/jwks";
pub const REGISTER: &str = "/register";
pub const AUTHORIZE: &str = "/authorize";
pub const TOKEN: &str = "/token";
pub const INTROSPECT: &str = "/introspect";
pub const REVOKE: &str = "/revoke";

pub(super) fn router(state: Arc<ServerState>) -> Router {
    let public = Router::new().route(METADATA, get(metadata)).route(JWKS, get(jwks));
    let confidential = Router::new()
        .route(REGISTER, post(register))
        .route(AUTHORIZE, get(authorize))
        .route(TOKEN, post(token))
        .route(INTROSPECT, post(introspect))
        .route(REVOKE, post(revoke))
        .route_layer(middleware::map_response(forbid_caching));
    public
        .merge(confidential)
        .route_layer(middleware::from_fn_with_state(Arc::clone(&state), count))
        .layer(DefaultBodyLimit::max(MAX_BODY_LEN))
        .with_state(state)
}

// RFC 6749 section 5.1 demands it of tokens; codes, secrets and introspection need it as much.
async fn forbid_caching(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

async fn count(
    State(state): State<Arc<ServerState>>,
    path: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    state.requests.add(path.as_str());
    next.run(request).await
}

/// How often each endpoint was asked. Paths that lead nowhere are not counted, so there are only a few.
#[derive(Default)]
pub(super) struct RequestCounts(Mutex<HashMap<String, usize>>);

impl RequestCounts {
    fn add(&self, path: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(path.to_owned()).or_default() += 1;
    }

    pub(super) fn of(&self, path: &str) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied().unwrap_or_default()
    }
}

/// Longest body read, in bytes: a JWT of several KiB fits into a form, more is not needed.
const MAX_BODY_LEN: usize = 16 * 1024;
