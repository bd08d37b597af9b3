//! The routes, the metadata document (RFC 8414) and the key set (RFC 7517).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{HeaderValue, Method, header},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use jsonwebtoken::jwk::JwkSet;
use serde_json::{Value, json};
use tower_http::cors::{Any, CorsLayer};

use super::{
    authentication::Level,
    authorization_endpoint::authorize,
    consent,
    issued_tokens::{introspect, revoke},
    login,
    registration::register,
    resources::ScopeSet,
    state::ServerState,
    token_endpoint::token,
};

pub const METADATA: &str = "/.well-known/oauth-authorization-server";
pub const JWKS: &str = "/jwks";
pub const REGISTER: &str = "/register";
pub const AUTHORIZE: &str = "/authorize";
pub const LOGIN: &str = "/login";
pub const CONSENT: &str = "/consent";
pub const TOKEN: &str = "/token";
pub const INTROSPECT: &str = "/introspect";
pub const REVOKE: &str = "/revoke";

pub(super) fn router(state: Arc<ServerState>) -> Router {
    let public = Router::new().route(METADATA, get(metadata)).route(JWKS, get(jwks));
    let for_clients = Router::new()
        .route(REGISTER, post(register))
        .route(TOKEN, post(token))
        .route(REVOKE, post(revoke))
        .route_layer(middleware::map_response(forbid_caching));
    let others = Router::new()
        .route(AUTHORIZE, get(authorize))
        .route(LOGIN, post(login::submit))
        .route(CONSENT, post(consent::decide))
        .route(INTROSPECT, post(introspect))
        .route_layer(middleware::map_response(forbid_caching));
    let count = middleware::from_fn_with_state(Arc::clone(&state), count);
    public
        .merge(for_clients)
        .route_layer(count.clone())
        // Outside `count`, so that preflights are not counted.
        .route_layer(cors())
        .merge(others.route_layer(count))
        .layer(DefaultBodyLimit::max(MAX_BODY_LEN))
        .with_state(state)
}

/// Lets clients in a browser, on any origin, use these endpoints. The endpoints ignore cookies, so `*` gives a website no more
/// access than any other program has.
///
/// The pages for the user are excluded, because other origins must not read the tickets in them.
fn cors() -> CorsLayer {
    CorsLayer::new().allow_origin(Any).allow_methods([Method::GET, Method::POST]).allow_headers(Any)
}

/// Answers `GET /.well-known/oauth-authorization-server`.
async fn metadata(State(state): State<Arc<ServerState>>) -> Json<Value> {
    let url = |path: &str| format!("{}{path}", state.issuer);
    let resources = state.resources.all();
    let scopes = ScopeSet::from_names(resources.iter().flat_map(|resource| resource.scopes.names()));
    Json(json!({
        "issuer": state.issuer,
        "authorization_endpoint": url(AUTHORIZE),
        "token_endpoint": url(TOKEN),
        "registration_endpoint": url(REGISTER),
        "jwks_uri": url(JWKS),
        "introspection_endpoint": url(INTROSPECT),
        "revocation_endpoint": url(REVOKE),
        "scopes_supported": scopes.names().collect::<Vec<_>>(),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic"],
        // CIMD section 5.
        "client_id_metadata_document_supported": true,
        // RFC 9470 section 7.
        "acr_values_supported": Level::ALL.map(Level::acr),
        // RFC 9207 section 3.
        "authorization_response_iss_parameter_supported": true,
        // RFC 9728 section 4: the accepted values of "resource" (RFC 8707).
        "protected_resources": resources.iter().map(|resource| &resource.identifier).collect::<Vec<_>>(),
    }))
}

/// Answers `GET /jwks` (RFC 7517 section 5).
async fn jwks(State(state): State<Arc<ServerState>>) -> Json<JwkSet> {
    Json(JwkSet { keys: vec![state.signing_key.public()] })
}

// RFC 6749 section 5.1 requires it for tokens. Codes and introspection answers need it too.
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

/// The number of requests to each endpoint. Unknown paths are not counted.
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

/// Maximum length of a body, in bytes. A form with a JWT of several KiB fits.
const MAX_BODY_LEN: usize = 16 * 1024;
