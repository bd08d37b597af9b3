//! Introspection and revocation of issued tokens (RFC 7662, RFC 7009).

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde_json::{Map, Value};

use super::{
    oauth_error::OAuthError,
    parameters::Parameters,
    state::{Grant, ServerState},
};

/// All access tokens that were issued.
#[derive(Default)]
pub(super) struct IssuedTokens(Mutex<HashMap<String, Arc<IssuedToken>>>);

pub(super) struct IssuedToken {
    grant: Arc<Grant>,
    claims: Map<String, Value>,
    revoked: AtomicBool,
}

impl IssuedTokens {
    pub(super) fn store(&self, token: &str, grant: Arc<Grant>, claims: Map<String, Value>) {
        let issued = IssuedToken { grant, claims, revoked: AtomicBool::new(false) };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned(), Arc::new(issued));
    }

    pub(super) fn find(&self, presented: &str) -> Option<Arc<IssuedToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(presented).map(Arc::clone)
    }

    pub(super) fn revoke_grants_of(&self, client_id: &str) {
        let issued = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        issued
            .values()
            .filter(|token| token.grant.client_id == client_id)
            .for_each(|token| token.grant.revoke());
    }
}

impl IssuedToken {
    /// Returns whether the token is valid now (RFC 7662 section 2.2, "active").
    fn is_active(&self, now: u64) -> bool {
        let expired = self.claims.get("exp").and_then(Value::as_u64).is_some_and(|exp| exp <= now);
        !expired && !self.revoked.load(Ordering::Acquire) && !self.grant.is_revoked()
    }

    /// Revokes this token only, not its grant.
    pub(super) fn revoke(&self) {
        self.revoked.store(true, Ordering::Release);
    }
}

/// Answers `POST /introspect`, for resource servers only.
pub(super) async fn introspect(
    State(state): State<Arc<ServerState>>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Json<Map<String, Value>>, OAuthError> {
    // RFC 7662 section 4: without authentication, anyone could use the endpoint to find valid tokens.
    let resource = state.resources.authenticate(&headers)?;
    let token = parameters.required("token")?;
    let issued = state.access_tokens.find(token).filter(|issued| issued.is_active(state.now()));

    // Section 2.2: a resource server learns nothing about a token that is not for it.
    let answer = match issued.filter(|issued| issued.grant.resource.identifier == resource.identifier) {
        Some(issued) => {
            let mut members = issued.claims.clone();
            members.insert("active".to_owned(), true.into());
            members.insert("token_type".to_owned(), "Bearer".into());
            members
        }
        // Section 2.2: nothing else, not even the reason.
        None => Map::from_iter([("active".to_owned(), false.into())]),
    };
    Ok(Json(answer))
}

/// Answers `POST /revoke`.
pub(super) async fn revoke(
    State(state): State<Arc<ServerState>>,
    parameters: Parameters,
) -> Result<StatusCode, OAuthError> {
    let client_id = state.clients.identify(&parameters)?;
    let token = parameters.required("token")?;
    if let Some(grant) = state.refresh_tokens.find(token) {
        check_owner(client_id, &grant)?;
        // RFC 7009 section 2.1: revoking a refresh token also revokes the access tokens of its grant.
        grant.revoke();
    } else if let Some(issued) = state.access_tokens.find(token) {
        check_owner(client_id, &issued.grant)?;
        issued.revoke();
    }
    // Section 2.2: an unknown token is not an error.
    Ok(StatusCode::OK)
}

// RFC 7009 section 2.1: the token must have been issued to this client.
fn check_owner(client_id: &str, grant: &Grant) -> Result<(), OAuthError> {
    if client_id == grant.client_id {
        return Ok(());
    }
    Err(OAuthError::invalid_grant("the token was issued to another client"))
}
