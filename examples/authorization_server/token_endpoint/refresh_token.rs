//! A new token for an old grant (RFC 6749 section 6, RFC 9700 section 4.14).

use super::super::{
    clients::{Client, GrantType},
    oauth_error::OAuthError,
    parameters::Parameters,
    single_use::Spending,
    state::ServerState,
};
use super::{TokenResponse, check_resource};

pub(super) fn refresh(
    state: &ServerState,
    client: &Client,
    parameters: &Parameters,
) -> Result<TokenResponse, OAuthError> {
    client.check_grant_type(GrantType::RefreshToken)?;
    let refresh_token = parameters.required("refresh_token")?;
    let grant = state.refresh_tokens.find(refresh_token).filter(|grant| grant.client_id == client.id);
    let grant = grant.ok_or_else(|| {
        OAuthError::invalid_grant("the refresh token is unknown or was issued to another client")
    })?;
    if grant.is_revoked() {
        return Err(OAuthError::invalid_grant("the grant was revoked"));
    }
    // A request that asks for too much is refused before it costs the client its refresh token.
    check_resource(&grant, parameters)?;
    let scope = grant.scope.narrow(parameters.optional("scope")?)?;

    match state.refresh_tokens.spend(refresh_token, state.now()) {
        // Section 6: the new refresh token has the scope of the old one, however narrow the access token.
        Spending::FirstUse(grant) => {
            Ok(TokenResponse::new(state, &grant, &scope).with_refresh_token(state, grant))
        }
        Spending::UsedBefore(grant) => {
            // RFC 9700 section 4.14.2: the thief or the client came second; nobody can tell, so both lose.
            grant.revoke();
            Err(OAuthError::invalid_grant("the refresh token was used before"))
        }
        Spending::Unknown => Err(OAuthError::invalid_grant("the refresh token has expired")),
    }
}
