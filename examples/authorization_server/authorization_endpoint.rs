//! The authorization endpoint and PKCE (RFC 6749 sections 3.1 and 4.1, RFC 7636, RFC 9207).
//!
//! There is no login form and no consent page: the same user is always signed in and agrees at once. The
//! requests of clients are checked as usual.

use std::sync::Arc;

use aws_lc_rs::{constant_time, digest};
use axum::{
    extract::{RawQuery, State},
    response::Redirect,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use url::Url;

use super::{
    oauth_error::{ErrorCode, OAuthError},
    parameters::Parameters,
    registration::Client,
    state::{Grant, ServerState, USER},
};

/// What an authorization code stands for.
#[derive(Clone)]
pub(super) struct Authorization {
    pub(super) grant: Arc<Grant>,
    pub(super) code_challenge: CodeChallenge,
    /// The token request must contain the same one (RFC 6749 section 4.1.3).
    pub(super) redirect_uri: String,
}

/// Answers `GET /authorize`.
pub(super) async fn authorize(
    State(state): State<Arc<ServerState>>,
    RawQuery(query): RawQuery,
) -> Result<Redirect, OAuthError> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    // RFC 6749 section 4.1.2.1: an error is sent to the redirect URI only if that belongs to the client. So
    // this `?` answers 400 directly; all later answers are redirects.
    let (client, redirect_uri) = find_redirect_uri(&state, &parameters)?;
    let code = issue_code(&state, &client, &parameters);
    Ok(redirect(redirect_uri, &state.issuer, &parameters, code))
}

fn find_redirect_uri(state: &ServerState, parameters: &Parameters) -> Result<(Arc<Client>, Url), OAuthError> {
    let client = state.clients.find(parameters.required("client_id")?);
    let client = client.ok_or_else(|| OAuthError::invalid_request("client_id is not registered"))?;
    let requested = parameters.required("redirect_uri")?;
    // RFC 9700 section 2.1: compared as strings. The exception for the port on loopback is not needed, since
    // clients register the port that they use.
    let registered = client.redirect_uris.iter().find(|uri| *uri == requested);
    match registered.and_then(|uri| Url::parse(uri).ok()) {
        Some(redirect_uri) => Ok((client, redirect_uri)),
        None => Err(OAuthError::invalid_request("redirect_uri is not registered for this client")),
    }
}

fn issue_code(state: &ServerState, client: &Client, parameters: &Parameters) -> Result<String, OAuthError> {
    // Refused here because `redirect` cannot choose between two.
    parameters.optional("state")?;
    if parameters.required("response_type")? != "code" {
        return Err(OAuthError::new(ErrorCode::UnsupportedResponseType, "response_type must be code"));
    }
    let code_challenge = CodeChallenge::from_request(parameters)?;
    let resource = state.resources.requested(parameters.optional("resource")?)?;
    let scope = resource.scopes.narrow(parameters.optional("scope")?)?;

    let grant = Grant::new(&client.id, USER, resource, scope);
    let redirect_uri = parameters.required("redirect_uri")?.to_owned();
    let authorization = Authorization { grant, code_challenge, redirect_uri };
    Ok(state.codes.issue(authorization, state.now() + CODE_LIFETIME))
}

// RFC 6749 sections 4.1.2 and 4.1.2.1.
fn redirect(
    mut uri: Url,
    issuer: &str,
    parameters: &Parameters,
    code: Result<String, OAuthError>,
) -> Redirect {
    {
        // Section 3.1.2: keep the query of the redirect URI.
        let mut query = uri.query_pairs_mut();
        match code {
            Ok(code) => query.append_pair("code", &code),
            Err(error) => query
                .append_pair("error", error.code.as_str())
                .append_pair("error_description", &error.description),
        };
        if let Ok(Some(state)) = parameters.optional("state") {
            query.append_pair("state", state);
        }
        // RFC 9207 section 2: also with an error, so that the client knows which server answered.
        query.append_pair("iss", issuer);
    }
    // 303, as RFC 9700 section 4.12 recommends.
    Redirect::to(uri.as_str())
}

/// The SHA-256 of a code verifier that only the client knows (RFC 7636).
#[derive(Clone)]
pub(super) struct CodeChallenge(Vec<u8>);

impl CodeChallenge {
    /// Reads the challenge of an authorization request. It is required (RFC 9700 section 2.1.1).
    fn from_request(parameters: &Parameters) -> Result<Self, OAuthError> {
        let challenge = parameters.required("code_challenge")?;
        // RFC 7636 section 4.3: the default is "plain", which reveals the verifier in the request.
        if parameters.optional("code_challenge_method")? != Some("S256") {
            return Err(OAuthError::invalid_request("code_challenge_method must be S256"));
        }
        let digest = BASE64_URL_SAFE_NO_PAD.decode(challenge).ok().filter(|digest| digest.len() == 32);
        digest
            .map(Self)
            .ok_or_else(|| OAuthError::invalid_request("code_challenge is not a SHA-256 in base64url"))
    }

    // RFC 7636 section 4.6.
    pub(super) fn check(&self, code_verifier: &str) -> Result<(), OAuthError> {
        // Section 4.1: 43 to 128 unreserved characters.
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if !(43..=128).contains(&code_verifier.len()) || !code_verifier.bytes().all(unreserved) {
            return Err(OAuthError::invalid_grant("code_verifier is malformed"));
        }
        let digest = digest::digest(&digest::SHA256, code_verifier.as_bytes());
        constant_time::verify_slices_are_equal(&self.0, digest.as_ref())
            .map_err(|_| OAuthError::invalid_grant("code_verifier does not match"))
    }
}

/// In seconds. RFC 6749 section 4.1.2 allows up to ten minutes; a client redeems its code at once.
const CODE_LIFETIME: u64 = 60;
