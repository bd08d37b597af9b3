//! A code for a token (RFC 6749 section 4.1.3, RFC 7636 section 4.5).

use super::super::{
    clients::{Client, GrantType},
    oauth_error::OAuthError,
    parameters::Parameters,
    single_use::Spending,
    state::ServerState,
};
use super::{TokenResponse, check_resource};

pub(super) fn redeem(
    state: &ServerState,
    client: &Client,
    parameters: &Parameters,
) -> Result<TokenResponse, OAuthError> {
    client.check_grant_type(GrantType::AuthorizationCode)?;
    let code = parameters.required("code")?;
    let code_verifier = parameters.required("code_verifier")?;
    let redirect_uri = parameters.optional("redirect_uri")?;
    // A client must not be able to spend the code of another.
    let owned = state.codes.find(code).filter(|authorization| authorization.grant.client_id == client.id);
    if owned.is_none() {
        return Err(OAuthError::invalid_grant("the code is unknown or was issued to another client"));
    }

    // Every attempt spends the code, so that nothing below can be tried twice.
    let authorization = match state.codes.spend(code, state.now()) {
        Spending::FirstUse(authorization) => authorization,
        Spending::UsedBefore(authorization) => {
            // RFC 6749 section 4.1.2: someone else had it, so the tokens that came from it end as well.
            authorization.grant.revoke();
            return Err(OAuthError::invalid_grant("the code was used before"));
        }
        Spending::Unknown => return Err(OAuthError::invalid_grant("the code has expired")),
    };
    if authorization.redirect_uri.as_deref() != redirect_uri {
        return Err(OAuthError::invalid_grant("redirect_uri differs from the authorization request"));
    }
    authorization.code_challenge.check(code_verifier)?;
    check_resource(&authorization.grant, parameters)?;

    let grant = authorization.grant;
    let response = TokenResponse::new(state, &grant, &grant.scope);
    if client.grant_types.contains(&GrantType::RefreshToken) {
        return Ok(response.with_refresh_token(state, grant));
    }
    Ok(response)
}
