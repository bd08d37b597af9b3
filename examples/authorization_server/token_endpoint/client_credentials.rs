//! A token for the client itself (RFC 6749 section 4.4).

use super::super::{
    clients::{Client, GrantType},
    grant::Grant,
    oauth_error::OAuthError,
    parameters::Parameters,
    state::ServerState,
};
use super::TokenResponse;

pub(super) fn grant(
    state: &ServerState,
    client: &Client,
    parameters: &Parameters,
) -> Result<TokenResponse, OAuthError> {
    // Registration gives this grant to confidential clients only.
    client.check_grant_type(GrantType::ClientCredentials)?;
    let resource = state.resources.choose(parameters.optional("resource")?)?;
    let scope = resource.scopes.narrow(parameters.optional("scope")?)?;

    // RFC 9068 section 2.2: without a resource owner, "sub" names the client.
    let grant = Grant::new(&client.id, &client.id, resource, scope);
    // RFC 6749 section 4.4.3: no refresh token, as the client can always ask again.
    Ok(TokenResponse::new(state, &grant, &grant.scope))
}
