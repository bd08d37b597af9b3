//! Is this token still good? (RFC 7662)

use std::sync::Arc;

use axum::{Json, extract::State, http::HeaderMap};
use serde_json::{Map, Value};

use super::{credentials::Credentials, oauth_error::OAuthError, parameters::Parameters, state::ServerState};

/// Answers `POST /introspect`, for resource servers only.
pub(super) async fn introspect(
    State(state): State<Arc<ServerState>>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Json<Map<String, Value>>, OAuthError> {
    // Section 4: without authentication the endpoint would let anyone fish for valid tokens.
    let resource = state.resources.authenticate(&Credentials::parse(&headers, &parameters)?)?;
    let token = parameters.required("token")?;
    // `token_type_hint` may be ignored (section 2.1): resource servers have only access tokens to ask about.
    let issued = state.access_tokens.find(token).filter(|issued| issued.is_active(state.now()));

    // Section 2.2: a resource server learns nothing of a token that is not for it, not even that it exists.
    let answer = match issued.filter(|issued| issued.grant.resource.identifier == resource.identifier) {
        Some(issued) => {
            let mut members = issued.claims.clone();
            members.insert("active".to_owned(), true.into());
            members.insert("token_type".to_owned(), "Bearer".into());
            members
        }
        // Section 2.2: nothing else beside it, not even why.
        None => Map::from_iter([("active".to_owned(), false.into())]),
    };
    Ok(Json(answer))
}
