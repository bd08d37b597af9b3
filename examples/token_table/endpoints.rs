//! The HTTP service: an API, and endpoints to issue and revoke its tokens.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use tower_bearer::{
    AccessToken, Clock as _, ConfigError, ResourceServer, Scope, SystemClock, ValidatedToken, ValidationError,
};

use super::table::{Issued, Revocation, TokenTable};

/// The scopes of the API.
pub(crate) const READ: Scope = Scope::from_static("orders:read");
pub(crate) const WRITE: Scope = Scope::from_static("orders:write");

/// The scopes of operators. No endpoint issues tokens with these: see `--operator-token`.
pub(crate) const ISSUE: Scope = Scope::from_static("tokens:issue");
pub(crate) const REVOKE: Scope = Scope::from_static("tokens:revoke");

/// Maximum length of a subject, in bytes.
const MAX_SUBJECT_LEN: usize = 200;

pub(crate) fn app(table: Arc<TokenTable>) -> Result<Router, ConfigError> {
    let resource_server = ResourceServer::builder(Arc::clone(&table)).build()?;
    Ok(Router::new()
        .route("/orders", get(orders).route_layer(resource_server.require_scopes(READ)))
        .route("/tokens", post(issue).route_layer(resource_server.require_scopes(ISSUE)))
        .route("/tokens/revoke", post(revoke).route_layer(resource_server.require_scopes(REVOKE)))
        .with_state(table))
}

async fn orders(token: ValidatedToken) -> String {
    format!("orders of {}", token.subject().unwrap_or("nobody"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssueRequest {
    subject: String,
    scope: String,
}

/// Has the names of RFC 6749 section 5.1.
#[derive(Serialize)]
struct IssueResponse {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    scope: String,
}

async fn issue(State(table): State<Arc<TokenTable>>, Json(request): Json<IssueRequest>) -> Response {
    let IssueRequest { subject, scope } = request;
    if subject.is_empty() || subject.len() > MAX_SUBJECT_LEN {
        return (StatusCode::BAD_REQUEST, "subject: expected 1 to 200 bytes").into_response();
    }
    let is_known = |scope: &str| [READ, WRITE].iter().any(|known| known.as_str() == scope);
    if scope.is_empty() || !scope.split(' ').all(is_known) {
        return (StatusCode::BAD_REQUEST, "scope: expected orders:read, orders:write or both")
            .into_response();
    }
    match table.issue(&subject, &scope).await {
        Ok(Issued { token, expires_at }) => {
            let expires_in = expires_at.as_secs().saturating_sub(SystemClock.now().as_secs());
            let access_token = token.expose().to_owned();
            let body = IssueResponse { access_token, token_type: "Bearer", expires_in, scope };
            (StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
        }
        Err(error) => unavailable(&error),
    }
}

/// The token, or the subject whose tokens are revoked.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RevokeRequest {
    Token(String),
    Subject(String),
}

async fn revoke(State(table): State<Arc<TokenTable>>, Json(request): Json<RevokeRequest>) -> Response {
    let revoked = match request {
        RevokeRequest::Token(token) => table.revoke(Revocation::Token(&AccessToken::new(token))).await,
        RevokeRequest::Subject(subject) => table.revoke(Revocation::AllOf { subject: &subject }).await,
    };
    match revoked {
        Ok(count) => Json(serde_json::json!({ "revoked": count })).into_response(),
        Err(error) => unavailable(&error),
    }
}

/// The response if the database is down, like that of the layer.
fn unavailable(error: &ValidationError) -> Response {
    tracing::warn!(%error, "database unavailable");
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "2")]).into_response()
}
