//! Which token does a client get for which grant? (RFC 6749 sections 3.2, 5.1 and 5.2)

mod authorization_code;
mod client_credentials;
mod refresh_token;

use std::sync::Arc;

use axum::{Json, extract::State, http::HeaderMap};
use serde::Serialize;

use super::{
    access_token::ACCESS_TOKEN_LIFETIME,
    credentials::Credentials,
    grant::Grant,
    oauth_error::{ErrorCode, OAuthError},
    parameters::Parameters,
    resources::invalid_target,
    scope::ScopeSet,
    state::ServerState,
};

/// Answers `POST /token`.
pub(super) async fn token(
    State(state): State<Arc<ServerState>>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Json<TokenResponse>, OAuthError> {
    let client = state.clients.authenticate(&Credentials::parse(&headers, &parameters)?)?;
    let response = match parameters.required("grant_type")? {
        "authorization_code" => authorization_code::redeem(&state, &client, &parameters),
        "client_credentials" => client_credentials::grant(&state, &client, &parameters),
        "refresh_token" => refresh_token::refresh(&state, &client, &parameters),
        _ => Err(OAuthError::new(ErrorCode::UnsupportedGrantType, "grant_type is not supported")),
    };
    response.map(Json)
}

/// A successful response (RFC 6749 section 5.1).
#[derive(Serialize)]
pub(super) struct TokenResponse {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

impl TokenResponse {
    fn new(state: &ServerState, grant: &Arc<Grant>, scope: &ScopeSet) -> Self {
        Self {
            access_token: state.issue_access_token(grant, scope).expose().to_owned(),
            token_type: "Bearer",
            expires_in: ACCESS_TOKEN_LIFETIME,
            scope: scope.to_string(),
            refresh_token: None,
        }
    }

    fn with_refresh_token(mut self, state: &ServerState, grant: Arc<Grant>) -> Self {
        let refresh_token = state.refresh_tokens.issue(grant, state.now() + REFRESH_TOKEN_LIFETIME);
        self.refresh_token = Some(refresh_token.expose().to_owned());
        self
    }
}

// RFC 8707 section 2.2: what is asked for here must have been granted before.
fn check_resource(grant: &Grant, parameters: &Parameters) -> Result<(), OAuthError> {
    match parameters.optional("resource")? {
        Some(asked) if asked != grant.resource.identifier => {
            Err(invalid_target("resource is not the one that was granted"))
        }
        Some(_) | None => Ok(()),
    }
}

/// Seconds: one day without use ends a session.
const REFRESH_TOKEN_LIFETIME: u64 = 24 * 3_600;
