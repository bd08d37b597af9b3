//! How does a client become known? It registers itself (RFC 7591).
//!
//! Registration is open to everyone on this machine, for every grant. Outside a demonstration, a client that
//! may use the client credentials grant is let in by a person.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::{
    clients::{Client, ClientAuthentication, GrantType},
    oauth_error::{ErrorCode, OAuthError},
    secret::{Secret, random_text},
    state::ServerState,
};

/// What a client says of itself (RFC 7591 section 2). Other members are ignored and not registered.
#[derive(Deserialize)]
pub(super) struct ClientMetadata {
    #[serde(default)]
    redirect_uris: Vec<String>,
    #[serde(default)]
    token_endpoint_auth_method: AuthenticationMethod,
    #[serde(default = "code_only")]
    grant_types: Vec<GrantType>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AuthenticationMethod {
    None,
    #[default]
    ClientSecretBasic,
    ClientSecretPost,
}

fn code_only() -> Vec<GrantType> {
    vec![GrantType::AuthorizationCode]
}

/// What was registered (RFC 7591 section 3.2.1).
#[derive(Serialize)]
pub(super) struct ClientInformation {
    client_id: String,
    client_id_issued_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    /// Required beside a secret; 0 stands for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret_expires_at: Option<u64>,
    redirect_uris: Vec<String>,
    token_endpoint_auth_method: AuthenticationMethod,
    grant_types: Vec<GrantType>,
    response_types: Vec<&'static str>,
}

/// Answers `POST /register`.
pub(super) async fn register(
    State(state): State<Arc<ServerState>>,
    metadata: Result<Json<ClientMetadata>, JsonRejection>,
) -> Result<(StatusCode, Json<ClientInformation>), OAuthError> {
    let Json(metadata) =
        metadata.map_err(|_| invalid_metadata("the metadata is malformed or not supported"))?;
    check_grant_types(&metadata)?;
    check_redirect_uris(&metadata)?;

    let secret = Secret::random();
    let (authentication, secret) = match metadata.token_endpoint_auth_method {
        AuthenticationMethod::None => (ClientAuthentication::Public, None),
        AuthenticationMethod::ClientSecretBasic => {
            (ClientAuthentication::Basic(secret.digest()), Some(secret))
        }
        AuthenticationMethod::ClientSecretPost => (ClientAuthentication::Post(secret.digest()), Some(secret)),
    };
    let client = Client {
        id: random_text(),
        authentication,
        grant_types: metadata.grant_types.clone(),
        redirect_uris: metadata.redirect_uris.clone(),
    };
    let information = ClientInformation {
        client_id: client.id.clone(),
        client_id_issued_at: state.now(),
        client_secret_expires_at: secret.as_ref().map(|_| 0),
        client_secret: secret.map(|secret| secret.expose().to_owned()),
        token_endpoint_auth_method: metadata.token_endpoint_auth_method,
        // RFC 7591 section 2.1: the response type "code" belongs to the grant type "authorization_code".
        response_types: uses_redirects(&metadata).then_some("code").into_iter().collect(),
        grant_types: metadata.grant_types,
        redirect_uris: metadata.redirect_uris,
    };
    state.clients.add(client)?;
    Ok((StatusCode::CREATED, Json(information)))
}

// RFC 6749 section 4.4: only confidential clients may use the client credentials grant.
fn check_grant_types(metadata: &ClientMetadata) -> Result<(), OAuthError> {
    let public = metadata.token_endpoint_auth_method == AuthenticationMethod::None;
    if public && metadata.grant_types.contains(&GrantType::ClientCredentials) {
        return Err(invalid_metadata("a public client has no credentials for client_credentials"));
    }
    Ok(())
}

// RFC 7591 section 2: clients of flows with redirection must register their redirection URIs.
fn check_redirect_uris(metadata: &ClientMetadata) -> Result<(), OAuthError> {
    if uses_redirects(metadata) && metadata.redirect_uris.is_empty() {
        return Err(invalid_redirect_uri("redirect_uris is missing"));
    }
    metadata.redirect_uris.iter().try_for_each(|uri| check_redirect_uri(uri))
}

// RFC 6749 section 3.1.2: absolute, without fragment. RFC 9700 section 2.6: https, unless it stays on the
// machine.
fn check_redirect_uri(uri: &str) -> Result<(), OAuthError> {
    let uri = Url::parse(uri).map_err(|_| invalid_redirect_uri("a redirection URI is not absolute"))?;
    if uri.fragment().is_some() {
        return Err(invalid_redirect_uri("a redirection URI has a fragment"));
    }
    match uri.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(&uri) => Ok(()),
        _ => Err(invalid_redirect_uri("a redirection URI is neither https nor on loopback")),
    }
}

fn is_loopback(uri: &Url) -> bool {
    match uri.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn uses_redirects(metadata: &ClientMetadata) -> bool {
    metadata.grant_types.contains(&GrantType::AuthorizationCode)
}

fn invalid_metadata(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClientMetadata, description)
}

fn invalid_redirect_uri(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRedirectUri, description)
}
