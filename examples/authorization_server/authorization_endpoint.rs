//! Does the resource owner agree? (RFC 6749 sections 3.1 and 4.1, RFC 9207)
//!
//! There is no login form and no question: a fixed user is signed in and agrees at once. All that a client
//! could do wrong is checked nevertheless.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    response::Redirect,
};
use url::Url;

use super::{
    clients::{Client, GrantType},
    grant::Grant,
    oauth_error::{ErrorCode, OAuthError},
    parameters::Parameters,
    pkce::CodeChallenge,
    secret::Secret,
    state::{DEMONSTRATION_USER, ServerState},
};

/// What an authorization code stands for.
#[derive(Clone)]
pub(super) struct Authorization {
    pub(super) grant: Arc<Grant>,
    pub(super) code_challenge: Arc<CodeChallenge>,
    /// As the client sent it; it must send the same again (RFC 6749 section 4.1.3).
    pub(super) redirect_uri: Option<String>,
}

/// Answers `GET /authorize`.
pub(super) async fn authorize(
    State(state): State<Arc<ServerState>>,
    RawQuery(query): RawQuery,
) -> Result<Redirect, OAuthError> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    // Section 4.1.2.1: until the redirection URI is known to be the client's, an error must not be sent
    // there. So this `?` answers 400 directly; from here on, every answer is a redirection.
    let (client, redirect_uri) = find_redirection(&state, &parameters)?;
    let code = grant_code(&state, &client, &parameters);
    Ok(redirect(redirect_uri, &state.issuer, &parameters, code))
}

fn find_redirection(state: &ServerState, parameters: &Parameters) -> Result<(Arc<Client>, Url), OAuthError> {
    let client = state.clients.find(parameters.required("client_id")?);
    let client = client.ok_or_else(|| OAuthError::invalid_request("client_id is not registered"))?;
    let registered = client.redirect_uris.as_slice();
    let redirect_uri = match (parameters.optional("redirect_uri")?, registered) {
        // RFC 9700 section 2.1: compared as strings. The exception for ports on loopback is not needed here:
        // clients register themselves, with the port they use.
        (Some(asked), _) => registered.iter().find(|uri| *uri == asked),
        // RFC 6749 section 3.1.2.3: it may be left out if there is only one.
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    match redirect_uri.and_then(|uri| Url::parse(uri).ok()) {
        Some(redirect_uri) => Ok((client, redirect_uri)),
        None => Err(OAuthError::invalid_request("redirect_uri is not one of this client")),
    }
}

fn grant_code(state: &ServerState, client: &Client, parameters: &Parameters) -> Result<Secret, OAuthError> {
    // Echoed below; as nothing says which one to echo, two are an error.
    parameters.optional("state")?;
    client.check_grant_type(GrantType::AuthorizationCode)?;
    if parameters.required("response_type")? != "code" {
        return Err(OAuthError::new(ErrorCode::UnsupportedResponseType, "response_type must be code"));
    }
    let code_challenge = Arc::new(CodeChallenge::requested(parameters)?);
    let resource = state.resources.choose(parameters.optional("resource")?)?;
    let scope = resource.scopes.narrow(parameters.optional("scope")?)?;

    let grant = Grant::new(&client.id, DEMONSTRATION_USER, resource, scope);
    let redirect_uri = parameters.optional("redirect_uri")?.map(str::to_owned);
    let authorization = Authorization { grant, code_challenge, redirect_uri };
    Ok(state.codes.issue(authorization, state.now() + CODE_LIFETIME))
}

// RFC 6749 sections 4.1.2 and 4.1.2.1.
fn redirect(
    mut uri: Url,
    issuer: &str,
    parameters: &Parameters,
    code: Result<Secret, OAuthError>,
) -> Redirect {
    {
        // Section 3.1.2: a query that the redirection URI already has is kept.
        let mut query = uri.query_pairs_mut();
        match code {
            Ok(code) => query.append_pair("code", code.expose()),
            Err(error) => query
                .append_pair("error", error.code.as_str())
                .append_pair("error_description", &error.description),
        };
        if let Ok(Some(state)) = parameters.optional("state") {
            query.append_pair("state", state);
        }
        // RFC 9207 section 2: who answers, also with an error, so that a client cannot be led to another
        // server.
        query.append_pair("iss", issuer);
    }
    // 303, as RFC 9700 section 4.12 advises.
    Redirect::to(uri.as_str())
}

/// Seconds. RFC 6749 section 4.1.2 allows up to ten minutes; a client redeems its code at once.
const CODE_LIFETIME: u64 = 60;
