//! How does a client take back a token it no longer needs? (RFC 7009)

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};

use super::{
    clients::Client, credentials::Credentials, grant::Grant, oauth_error::OAuthError, parameters::Parameters,
    state::ServerState,
};

/// Answers `POST /revoke`.
pub(super) async fn revoke(
    State(state): State<Arc<ServerState>>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<StatusCode, OAuthError> {
    let client = state.clients.authenticate(&Credentials::parse(&headers, &parameters)?)?;
    let token = parameters.required("token")?;
    // `token_type_hint` is only a help for servers that would have to search long (section 2.1).
    if let Some(grant) = state.refresh_tokens.find(token) {
        check_owner(&client, &grant)?;
        // Section 2.1: with a refresh token, the access tokens of the same grant should end, too.
        grant.revoke();
    } else if let Some(issued) = state.access_tokens.find(token) {
        check_owner(&client, &issued.grant)?;
        issued.revoke();
    }
    // Section 2.2: a token that is unknown is as good as revoked, so this is no error.
    Ok(StatusCode::OK)
}

// Section 2.1: the token must have been issued to the client that asks.
fn check_owner(client: &Client, grant: &Grant) -> Result<(), OAuthError> {
    if client.id == grant.client_id {
        return Ok(());
    }
    Err(OAuthError::invalid_grant("the token was issued to another client"))
}
