//! The authorization endpoint and PKCE (RFC 6749 sections 3.1 and 4.1, RFC 7636, RFC 9207).

use std::sync::Arc;

use aws_lc_rs::{constant_time, digest};
use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use url::Url;

use super::{
    authentication::RequiredAuthentication,
    consent, login,
    oauth_error::{ErrorCode, OAuthError},
    pages,
    parameters::Parameters,
    redirect_uri::is_registered,
    registration::Client,
    resources::{Resource, ScopeSet},
    state::{Grant, ServerState},
};

/// What an authorization code stands for.
#[derive(Clone)]
pub(super) struct Authorization {
    pub(super) grant: Arc<Grant>,
    pub(super) code_challenge: CodeChallenge,
    /// The token request must contain the same one (RFC 6749 section 4.1.3).
    pub(super) redirect_uri: String,
    /// Whether the client gets a refresh token.
    pub(super) may_refresh: bool,
}

/// Answers `GET /authorize`.
pub(super) async fn authorize(
    State(state): State<Arc<ServerState>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    // RFC 6749 section 4.1.2.1: an error is sent to the redirect URI only if that belongs to the client. Until that is known,
    // errors are shown to the user.
    let target = match RedirectTarget::find(&state, &parameters).await {
        Ok(target) => target,
        Err(error) => return pages::failure(StatusCode::BAD_REQUEST, &error),
    };
    let request = match AuthorizationRequest::read(&state, &target, &parameters) {
        Ok(request) => Arc::new(request),
        Err(error) => return target.redirect(&state.issuer, Err(error)).into_response(),
    };
    let session = state.sessions.find(&headers, state.now());
    match session.filter(|session| request.authentication.is_met_by(session, state.now())) {
        Some(session) => consent::page(&state, &request, session),
        None => login::page(&state, request, false),
    }
}

/// The client of a request, and where to send the answer.
#[derive(Clone)]
pub(super) struct RedirectTarget {
    pub(super) client: Arc<Client>,
    /// The redirect URI as the client sent it.
    pub(super) requested: String,
    pub(super) url: Url,
    /// `None` if the client sent none, or several.
    state: Option<String>,
}

impl RedirectTarget {
    async fn find(state: &ServerState, parameters: &Parameters) -> Result<Self, OAuthError> {
        let client_id = parameters.required("client_id")?;
        let client = state.clients.find(client_id, &state.issuer, state.now()).await?;
        let requested = parameters.required("redirect_uri")?;
        let url =
            is_registered(&client.redirect_uris, requested).then(|| Url::parse(requested).ok()).flatten();
        let url =
            url.ok_or_else(|| OAuthError::invalid_request("redirect_uri is not registered for this client"))?;
        let state = parameters.optional("state").ok().flatten().map(str::to_owned);
        Ok(Self { client, requested: requested.to_owned(), url, state })
    }

    /// Sends the user back to the client with a code or an error (RFC 6749 sections 4.1.2 and 4.1.2.1).
    pub(super) fn redirect(&self, issuer: &str, code: Result<String, OAuthError>) -> Redirect {
        let mut url = self.url.clone();
        {
            // Section 3.1.2: keep the query of the redirect URI.
            let mut query = url.query_pairs_mut();
            match code {
                Ok(code) => query.append_pair("code", &code),
                Err(error) => query
                    .append_pair("error", error.code.as_str())
                    .append_pair("error_description", &error.description),
            };
            if let Some(state) = &self.state {
                query.append_pair("state", state);
            }
            // RFC 9207 section 2: also with an error, so that the client knows which server answered.
            query.append_pair("iss", issuer);
        }
        // 303, as RFC 9700 section 4.12 recommends.
        Redirect::to(url.as_str())
    }
}

/// A request that can be granted if the user agrees.
pub(super) struct AuthorizationRequest {
    pub(super) target: RedirectTarget,
    pub(super) code_challenge: CodeChallenge,
    pub(super) resource: Arc<Resource>,
    /// What the client asked for. The user may allow less.
    pub(super) scope: ScopeSet,
    pub(super) authentication: RequiredAuthentication,
}

impl AuthorizationRequest {
    fn read(
        state: &ServerState,
        target: &RedirectTarget,
        parameters: &Parameters,
    ) -> Result<Self, OAuthError> {
        // A repeated `state` is an error, because the response can contain only one.
        parameters.optional("state")?;
        if parameters.required("response_type")? != "code" {
            let code = ErrorCode::UnsupportedResponseType;
            return Err(OAuthError::new(code, "response_type must be code"));
        }
        let code_challenge = CodeChallenge::from_request(parameters)?;
        let resource = state.resources.requested(parameters.optional("resource")?)?;
        let scope = resource.scopes.narrow(parameters.optional("scope")?)?;
        let authentication = RequiredAuthentication::read(parameters)?;
        Ok(Self { target: target.clone(), code_challenge, resource, scope, authentication })
    }
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
