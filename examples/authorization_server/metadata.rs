//! Where is everything, and what can it do? (RFC 8414)

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::{endpoints, scope::ScopeSet, state::ServerState};

/// Answers `GET /.well-known/oauth-authorization-server`.
pub(super) async fn metadata(State(state): State<Arc<ServerState>>) -> Json<Value> {
    let url = |path: &str| format!("{}{path}", state.issuer);
    let resources = state.resources.all();
    let scopes = ScopeSet::from_names(resources.iter().flat_map(|resource| resource.scopes.names()));
    // "Bearer" is the access token type that section 2 allows here beside the client methods.
    let resource_authentication = ["client_secret_basic", "client_secret_post", "Bearer"];
    let client_authentication = ["none", "client_secret_basic", "client_secret_post"];
    Json(json!({
        "issuer": state.issuer,
        "authorization_endpoint": url(endpoints::AUTHORIZE),
        "token_endpoint": url(endpoints::TOKEN),
        "registration_endpoint": url(endpoints::REGISTER),
        "jwks_uri": url(endpoints::JWKS),
        "introspection_endpoint": url(endpoints::INTROSPECT),
        "revocation_endpoint": url(endpoints::REVOKE),
        "scopes_supported": scopes.names().collect::<Vec<_>>(),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": client_authentication,
        "revocation_endpoint_auth_methods_supported": client_authentication,
        "introspection_endpoint_auth_methods_supported": resource_authentication,
        // RFC 9207 section 3.
        "authorization_response_iss_parameter_supported": true,
        // RFC 9728 section 4: the values that "resource" (RFC 8707) can have.
        "protected_resources": resources.iter().map(|resource| &resource.identifier).collect::<Vec<_>>(),
    }))
}
