//! The token as an argument of tools and prompts.

use http::{Extensions, request::Parts};
use rmcp::{
    ErrorData,
    handler::server::common::{AsRequestContext, FromContextPart},
    model::ErrorCode,
};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::{Refusal, Rejection, Scope, ValidatedToken, ValidationError, integration::Claims};

/// The token of a request, or `None` if the request is anonymous. An argument of tools and prompts.
///
/// It is also `None` if there is no layer. (`Option<ValidatedToken>` cannot be an argument, because both `Option` and the trait
/// for arguments are from other crates.)
#[derive(Clone, Debug)]
pub struct OptionalToken(pub Option<ValidatedToken>);

/// Passes the token of the HTTP request to a tool or prompt.
///
/// Without a token, the call fails with a JSON-RPC error. Without a layer, it fails with an internal error.
impl<C: AsRequestContext> FromContextPart<C> for ValidatedToken {
    fn from_context_part(context: &mut C) -> Result<Self, ErrorData> {
        find(context).cloned().map_err(ErrorData::from)
    }
}

impl<C: AsRequestContext> FromContextPart<C> for OptionalToken {
    fn from_context_part(context: &mut C) -> Result<Self, ErrorData> {
        Ok(Self(extensions(context).and_then(Extensions::get).cloned()))
    }
}

/// Passes the claims of the token as a `T`.
///
/// Fails like [`ValidatedToken`], and also if the claims cannot be deserialized as a `T`.
impl<C: AsRequestContext, T: DeserializeOwned> FromContextPart<C> for Claims<T> {
    fn from_context_part(context: &mut C) -> Result<Self, ErrorData> {
        find(context).and_then(Self::of).map_err(ErrorData::from)
    }
}

/// Converts into a JSON-RPC error, and logs the refusal.
///
/// The code is -32603 (internal error) for the statuses 500, 502 and 503, and -32600 (invalid request) for others. `data` has the
/// `error` of the challenge and its scopes, as in `{"error":"insufficient_scope","scope":"mcp:read mcp:write"}`.
impl From<Refusal> for ErrorData {
    fn from(refusal: Refusal) -> Self {
        refusal.report();
        let rejection = refusal.rejection();
        let code = match rejection {
            Rejection::Unavailable { .. } | Rejection::BadGateway | Rejection::Internal => {
                ErrorCode::INTERNAL_ERROR
            }
            Rejection::Unauthorized
            | Rejection::InvalidRequest
            | Rejection::InvalidToken
            | Rejection::InsufficientScope
            | Rejection::InsufficientUserAuthentication
            | Rejection::Forbidden
            | Rejection::MalformedRequest => ErrorCode::INVALID_REQUEST,
        };
        let data = rejection.error_code().map(|error| {
            let scopes: Vec<_> = refusal.scopes().iter().map(Scope::as_str).collect();
            json!({ "error": error.as_str(), "scope": scopes.join(" ") })
        });
        Self::new(code, rejection.description(), data)
    }
}

fn find(context: &impl AsRequestContext) -> Result<&ValidatedToken, Refusal> {
    match extensions(context) {
        Some(extensions) => ValidatedToken::from_extensions(extensions),
        None => Err(Refusal::without_layer(ValidationError::NoLayer, None)),
    }
}

/// Returns the extensions of the HTTP request. `None` for other transports.
fn extensions(context: &impl AsRequestContext) -> Option<&Extensions> {
    context.as_request_context().extensions.get::<Parts>().map(|parts| &parts.extensions)
}
