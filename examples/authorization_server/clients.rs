//! Which clients are there, and is the caller one of them? (RFC 6749 sections 2.1 to 2.3)

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use serde::{Deserialize, Serialize};

use super::{
    credentials::{Credentials, invalid_client},
    oauth_error::{ErrorCode, OAuthError},
    secret::SecretDigest,
};

/// A registered client.
pub(super) struct Client {
    pub(super) id: String,
    pub(super) authentication: ClientAuthentication,
    pub(super) grant_types: Vec<GrantType>,
    /// Compared as strings: RFC 9700 section 2.1.
    pub(super) redirect_uris: Vec<String>,
}

/// How a client proves who it is at the token and revocation endpoints.
pub(super) enum ClientAuthentication {
    /// A public client cannot keep a secret (RFC 6749 section 2.1).
    Public,
    Basic(SecretDigest),
    Post(SecretDigest),
}

/// The grants that this server knows (RFC 6749 sections 4.1, 4.4 and 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum GrantType {
    AuthorizationCode,
    ClientCredentials,
    RefreshToken,
}

impl Client {
    pub(super) fn check_grant_type(&self, grant_type: GrantType) -> Result<(), OAuthError> {
        if self.grant_types.contains(&grant_type) {
            return Ok(());
        }
        Err(OAuthError::new(
            ErrorCode::UnauthorizedClient,
            "the client is not registered for this grant type",
        ))
    }

    /// Accepts only the method that the client is registered with, so that none can be downgraded.
    fn accepts(&self, credentials: &Credentials<'_>) -> bool {
        match (&self.authentication, credentials) {
            (ClientAuthentication::Public, Credentials::NameOnly(_)) => true,
            (ClientAuthentication::Basic(expected), Credentials::Basic { secret, .. }) => {
                expected.matches(secret)
            }
            (ClientAuthentication::Post(expected), Credentials::Post { secret, .. }) => {
                expected.matches(secret)
            }
            _ => false,
        }
    }
}

#[derive(Default)]
pub(super) struct Clients(RwLock<HashMap<String, Arc<Client>>>);

impl Clients {
    /// Adds a client while there is room: those that are registered must not be pushed out by newcomers.
    pub(super) fn add(&self, client: Client) -> Result<(), OAuthError> {
        let mut clients = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MAX_CLIENTS {
            return Err(OAuthError::new(ErrorCode::TemporarilyUnavailable, "no room for another client"));
        }
        clients.insert(client.id.clone(), Arc::new(client));
        Ok(())
    }

    pub(super) fn find(&self, id: &str) -> Option<Arc<Client>> {
        let clients = self.0.read().unwrap_or_else(PoisonError::into_inner);
        clients.get(id).cloned()
    }

    pub(super) fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Arc<Client>, OAuthError> {
        let id = match credentials {
            Credentials::Basic { id, .. } => id,
            Credentials::Post { id, .. } | Credentials::NameOnly(id) => *id,
            Credentials::Bearer(_) => return Err(invalid_client("clients do not authenticate with a token")),
        };
        let client = self.find(id).filter(|client| client.accepts(credentials));
        client.ok_or_else(|| invalid_client("the client is unknown or its authentication failed"))
    }
}

/// Clients that may register: anyone may, so there must be an end. More than any demonstration needs.
const MAX_CLIENTS: usize = 256;
