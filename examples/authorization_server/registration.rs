//! Dynamic client registration (RFC 7591), open to everyone on this machine.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
};

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::{
    oauth_error::{ErrorCode, OAuthError},
    parameters::Parameters,
    state::{ServerState, random_text},
};

/// A registered client. All clients are public (RFC 6749 section 2.1): they have no secret.
pub(super) struct Client {
    pub(super) id: String,
    /// Compared as strings (RFC 9700 section 2.1).
    pub(super) redirect_uris: Vec<String>,
    pub(super) may_refresh: bool,
}

#[derive(Default)]
pub(super) struct Clients(RwLock<HashMap<String, Arc<Client>>>);

impl Clients {
    fn add(&self, client: Client) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(client.id.clone(), Arc::new(client));
    }

    pub(super) fn find(&self, id: &str) -> Option<Arc<Client>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Returns the client that a form names.
    pub(super) fn identify(&self, form: &Parameters) -> Result<Arc<Client>, OAuthError> {
        let client = form.optional("client_id")?.and_then(|id| self.find(id));
        client.ok_or_else(|| OAuthError::new(ErrorCode::InvalidClient, "client_id is missing or unknown"))
    }
}

/// The metadata that a client sends (RFC 7591 section 2). Other members are ignored and not registered.
#[derive(Deserialize)]
pub(super) struct ClientMetadata {
    redirect_uris: Vec<String>,
    #[serde(default = "code_only")]
    grant_types: Vec<GrantType>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum GrantType {
    AuthorizationCode,
    RefreshToken,
}

fn code_only() -> Vec<GrantType> {
    vec![GrantType::AuthorizationCode]
}

/// The metadata that was registered (RFC 7591 section 3.2.1).
#[derive(Serialize)]
pub(super) struct ClientInformation {
    client_id: String,
    client_id_issued_at: u64,
    redirect_uris: Vec<String>,
    /// Always `none`, whatever the client asked for. Section 3.2.1 allows the server to replace metadata.
    token_endpoint_auth_method: &'static str,
    grant_types: Vec<GrantType>,
    response_types: [&'static str; 1],
}

/// Answers `POST /register`.
pub(super) async fn register(
    State(state): State<Arc<ServerState>>,
    metadata: Result<Json<ClientMetadata>, JsonRejection>,
) -> Result<(StatusCode, Json<ClientInformation>), OAuthError> {
    let Json(metadata) =
        metadata.map_err(|_| invalid_metadata("the metadata is malformed or not supported"))?;
    if !metadata.grant_types.contains(&GrantType::AuthorizationCode) {
        return Err(invalid_metadata("grant_types must contain authorization_code"));
    }
    if metadata.redirect_uris.is_empty() {
        return Err(invalid_redirect_uri("redirect_uris is empty"));
    }
    metadata.redirect_uris.iter().try_for_each(|uri| check_redirect_uri(uri))?;

    let client = Client {
        id: random_text(),
        redirect_uris: metadata.redirect_uris.clone(),
        may_refresh: metadata.grant_types.contains(&GrantType::RefreshToken),
    };
    let information = ClientInformation {
        client_id: client.id.clone(),
        client_id_issued_at: state.now(),
        redirect_uris: metadata.redirect_uris,
        token_endpoint_auth_method: "none",
        grant_types: metadata.grant_types,
        response_types: ["code"],
    };
    state.clients.add(client);
    Ok((StatusCode::CREATED, Json(information)))
}

// RFC 6749 section 3.1.2: absolute, without fragment. RFC 9700 section 2.6: https, except on loopback.
fn check_redirect_uri(uri: &str) -> Result<(), OAuthError> {
    let uri = Url::parse(uri).map_err(|_| invalid_redirect_uri("a redirect URI is not absolute"))?;
    if uri.fragment().is_some() {
        return Err(invalid_redirect_uri("a redirect URI has a fragment"));
    }
    match uri.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(&uri) => Ok(()),
        _ => Err(invalid_redirect_uri("a redirect URI is neither https nor on loopback")),
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

fn invalid_metadata(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClientMetadata, description)
}

fn invalid_redirect_uri(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRedirectUri, description)
}
