//! The token as an argument of tools and prompts.

use http::{Extensions, request::Parts};
use rmcp::{
    ErrorData,
    handler::server::common::{AsRequestContext, FromContextPart},
    model::ErrorCode,
};
use serde::de::DeserializeOwned;

use crate::{Refusal, ValidatedToken, ValidationError, integration::Claims, mcp::json_rpc};

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
/// Code, message and `data` are those of [`json_rpc_body`](crate::mcp::json_rpc_body).
impl From<Refusal> for ErrorData {
    fn from(refusal: Refusal) -> Self {
        refusal.report();
        let code = ErrorCode(json_rpc::code(refusal.rejection()));
        Self::new(code, refusal.rejection().description(), json_rpc::data(&refusal))
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
