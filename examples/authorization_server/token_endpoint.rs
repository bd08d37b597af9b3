//! The token endpoint: tokens for a code or a refresh token (RFC 6749 sections 3.2, 4.1.3, 5 and 6).

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;

use super::{
    access_token::ACCESS_TOKEN_LIFETIME,
    authorization_endpoint::Authorization,
    oauth_error::{ErrorCode, OAuthError},
    parameters::Parameters,
    resources::{ScopeSet, invalid_target},
    state::{Grant, ServerState, Usage},
};

/// Answers `POST /token`.
pub(super) async fn token(
    State(state): State<Arc<ServerState>>,
    parameters: Parameters,
) -> Result<Json<TokenResponse>, OAuthError> {
    let client_id = state.clients.identify(&parameters)?;
    let response = match parameters.required("grant_type")? {
        "authorization_code" => redeem_code(&state, client_id, &parameters),
        "refresh_token" => refresh(&state, client_id, &parameters),
        _ => Err(OAuthError::new(ErrorCode::UnsupportedGrantType, "grant_type is not supported")),
    };
    response.map(Json)
}

// RFC 6749 section 4.1.3, RFC 7636 section 4.5.
fn redeem_code(
    state: &ServerState,
    client_id: &str,
    parameters: &Parameters,
) -> Result<TokenResponse, OAuthError> {
    let code = parameters.required("code")?;
    let code_verifier = parameters.required("code_verifier")?;
    let redirect_uri = parameters.required("redirect_uri")?;
    // Checked first, so that a client cannot use up the code of another.
    let owned = state.codes.find(code).filter(|authorization| authorization.grant.client_id == client_id);
    if owned.is_none() {
        return Err(OAuthError::invalid_grant("the code is unknown or was issued to another client"));
    }

    // From here on the code is used up, even if a check below fails.
    let authorization = match state.codes.consume(code, state.now()) {
        Usage::First(authorization) => authorization,
        Usage::Repeated(authorization) => {
            // RFC 6749 section 4.1.2: the code may have been stolen, so revoke the tokens that came from it.
            authorization.grant.revoke();
            return Err(OAuthError::invalid_grant("the code was used before"));
        }
        Usage::Unknown => return Err(OAuthError::invalid_grant("the code has expired")),
    };
    if authorization.redirect_uri != redirect_uri {
        return Err(OAuthError::invalid_grant("redirect_uri differs from the authorization request"));
    }
    authorization.code_challenge.check(code_verifier)?;
    check_resource(&authorization.grant, parameters)?;

    let Authorization { grant, may_refresh, .. } = authorization;
    if grant.is_revoked() {
        return Err(OAuthError::invalid_grant("the grant was revoked"));
    }
    let response = TokenResponse::new(state, &grant, &grant.scope);
    Ok(if may_refresh { response.with_refresh_token(state, grant) } else { response })
}

// RFC 6749 section 6, RFC 9700 section 4.14.
fn refresh(
    state: &ServerState,
    client_id: &str,
    parameters: &Parameters,
) -> Result<TokenResponse, OAuthError> {
    let refresh_token = parameters.required("refresh_token")?;
    let grant = state.refresh_tokens.find(refresh_token).filter(|grant| grant.client_id == client_id);
    let grant = grant.ok_or_else(|| {
        OAuthError::invalid_grant("the refresh token is unknown or was issued to another client")
    })?;
    if grant.is_revoked() {
        return Err(OAuthError::invalid_grant("the grant was revoked"));
    }
    // Checked first, so that a request for too much does not use up the refresh token.
    check_resource(&grant, parameters)?;
    let scope = grant.scope.narrow(parameters.optional("scope")?)?;

    match state.refresh_tokens.consume(refresh_token, state.now()) {
        // Section 6: the new refresh token keeps the full scope, even if the access token has less.
        Usage::First(grant) => Ok(TokenResponse::new(state, &grant, &scope).with_refresh_token(state, grant)),
        Usage::Repeated(grant) => {
            // RFC 9700 section 4.14.2: either the client or an attacker used it before, so revoke the grant.
            grant.revoke();
            Err(OAuthError::invalid_grant("the refresh token was used before"))
        }
        Usage::Unknown => Err(OAuthError::invalid_grant("the refresh token has expired")),
    }
}

// RFC 8707 section 2.2: only the resource that was granted.
fn check_resource(grant: &Grant, parameters: &Parameters) -> Result<(), OAuthError> {
    match parameters.optional("resource")? {
        Some(requested) if requested != grant.resource.identifier => {
            Err(invalid_target("resource is not the one that was granted"))
        }
        Some(_) | None => Ok(()),
    }
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
            access_token: state.issue_access_token(grant, scope),
            token_type: "Bearer",
            expires_in: ACCESS_TOKEN_LIFETIME,
            scope: scope.to_string(),
            refresh_token: None,
        }
    }

    fn with_refresh_token(mut self, state: &ServerState, grant: Arc<Grant>) -> Self {
        self.refresh_token = Some(state.refresh_tokens.issue(grant, state.now() + REFRESH_TOKEN_LIFETIME));
        self
    }
}

/// In seconds.
const REFRESH_TOKEN_LIFETIME: u64 = 24 * 3_600;
