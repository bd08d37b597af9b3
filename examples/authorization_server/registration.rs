//! Dynamic client registration (RFC 7591), open to everyone on this machine.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    client_id_cache::ClientDocuments,
    client_id_document::{invalid_client, is_url},
    oauth_error::{ErrorCode, OAuthError},
    parameters::Parameters,
    redirect_uri::check_redirect_uri,
    state::{ServerState, random_text},
};

/// A client that registered or has a metadata document. All clients are public (RFC 6749 section 2.1): they have no secret.
pub(super) struct Client {
    pub(super) id: String,
    /// The name that the client gave itself, see [`displayable`].
    pub(super) name: Option<String>,
    pub(super) redirect_uris: Vec<String>,
    pub(super) may_refresh: bool,
}

impl Client {
    /// Returns the name to show to the user. Anyone can choose any name.
    pub(super) fn display_name(&self) -> &str {
        self.name.as_deref().unwrap_or("an app without a name")
    }

    /// Returns the host, and the port if it is not the usual one, of an identifier that is a URL.
    pub(super) fn identifier_host(&self) -> Option<String> {
        let url = Url::parse(&self.id).ok()?;
        let (host, port) = (url.host_str()?, url.port());
        Some(port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    }
}

/// Removes control characters and those that change the direction of text, and limits the length. Returns `None` if nothing is
/// left.
pub(super) fn displayable(name: &str) -> Option<String> {
    let invisible = |character: char| {
        character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let name: String = name.chars().filter(|character| !invisible(*character)).take(MAX_NAME_LEN).collect();
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// All clients: registered ones, those with a metadata document, and those that the operator blocked.
#[derive(Default)]
pub(super) struct Clients {
    registered: RwLock<HashMap<String, Arc<Client>>>,
    pub(super) documents: ClientDocuments,
    blocked: RwLock<HashSet<String>>,
}

impl Clients {
    fn add(&self, client: Client) {
        write(&self.registered).insert(client.id.clone(), Arc::new(client));
    }

    /// Returns the client of an authorization request. If its identifier is a URL, this may fetch its document.
    pub(super) async fn find(&self, id: &str, issuer: &str, now: u64) -> Result<Arc<Client>, OAuthError> {
        self.check_not_blocked(id)?;
        if is_url(id) {
            return self.documents.find(id, issuer, now).await;
        }
        let client = read(&self.registered).get(id).cloned();
        client.ok_or_else(|| OAuthError::invalid_request("client_id is not registered"))
    }

    /// Returns the identifier in a form of the token or revocation endpoint.
    ///
    /// No document is fetched for these requests: anyone could trigger that, and the document was checked before the user agreed.
    pub(super) fn identify<'a>(&self, form: &'a Parameters) -> Result<&'a str, OAuthError> {
        let id =
            form.optional("client_id")?.filter(|id| is_url(id) || read(&self.registered).contains_key(*id));
        let id = id.ok_or_else(|| invalid_client("client_id is missing or unknown"))?;
        self.check_not_blocked(id)?;
        Ok(id)
    }

    pub(super) fn check_not_blocked(&self, id: &str) -> Result<(), OAuthError> {
        if read(&self.blocked).contains(id) {
            return Err(invalid_client("the operator blocked this client"));
        }
        Ok(())
    }

    pub(super) fn block(&self, id: &str) {
        write(&self.blocked).insert(id.to_owned());
        self.documents.forget(id);
    }

    pub(super) fn unblock(&self, id: &str) {
        write(&self.blocked).remove(id);
    }

    /// Removes a registration or a cached document.
    pub(super) fn forget(&self, id: &str) {
        write(&self.registered).remove(id);
        self.documents.forget(id);
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// The metadata that a client sends (RFC 7591 section 2). Other members are ignored and not registered.
#[derive(Deserialize)]
pub(super) struct ClientMetadata {
    redirect_uris: Vec<String>,
    client_name: Option<String>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    client_name: Option<String>,
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
        name: metadata.client_name.as_deref().and_then(displayable),
        redirect_uris: metadata.redirect_uris.clone(),
        may_refresh: metadata.grant_types.contains(&GrantType::RefreshToken),
    };
    let information = ClientInformation {
        client_id: client.id.clone(),
        client_id_issued_at: state.now(),
        client_name: client.name.clone(),
        redirect_uris: metadata.redirect_uris,
        token_endpoint_auth_method: "none",
        grant_types: metadata.grant_types,
        response_types: ["code"],
    };
    state.clients.add(client);
    Ok((StatusCode::CREATED, Json(information)))
}

fn invalid_metadata(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClientMetadata, description)
}

fn invalid_redirect_uri(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRedirectUri, description)
}

/// Maximum length of a name, in characters.
const MAX_NAME_LEN: usize = 60;
