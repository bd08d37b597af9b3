//! JSON-RPC errors as bodies of refusals: [`json_rpc_body`].

use http::HeaderValue;
use serde_json::{Map, Value, json, value::RawValue};

use super::HeaderMismatch;
use crate::{Refusal, Rejection, RejectionBody, requirement::scope_list};

/// Writes a refusal as a JSON-RPC error without `id`. Status and challenge do not change.
///
/// Give it to [`rejection_body`](crate::ResourceServerBuilder::rejection_body):
///
/// ```
/// # fn with(validator: impl tower_bearer::TokenValidator) -> Result<(), tower_bearer::ConfigError> {
/// use tower_bearer::{ResourceServer, mcp};
///
/// let resource_server = ResourceServer::builder(validator).rejection_body(mcp::json_rpc_body).build()?;
/// # Ok(())
/// # }
/// ```
///
/// The body is `{"jsonrpc":"2.0","error":{"code":…,"message":…,"data":…}}`. The code is -32603 (internal error)
/// for the statuses 500, 502 and 503, and -32600 (invalid request) for others. The message is the
/// [description](Rejection::description). `data` has the `error` of the challenge and its scopes, as in
/// `{"error":"insufficient_scope","scope":"mcp:read mcp:write"}`. It is left out if there is neither. An error without `id` is
/// allowed by the schema of MCP since revision 2026-07-28.
pub fn json_rpc_body(refusal: &Refusal) -> RejectionBody {
    let mut error =
        json!({ "code": code(refusal.rejection()), "message": refusal.rejection().description() });
    if let Some(data) = data(refusal) {
        error["data"] = data;
    }
    json_body(&json!({ "jsonrpc": "2.0", "error": error }).to_string())
}

/// Returns the code of the JSON-RPC error for a rejection.
pub(crate) fn code(rejection: Rejection) -> i32 {
    const INVALID_REQUEST: i32 = -32600;
    const INTERNAL_ERROR: i32 = -32603;
    match rejection {
        Rejection::Unavailable { .. } | Rejection::BadGateway | Rejection::Internal => INTERNAL_ERROR,
        Rejection::Unauthorized
        | Rejection::InvalidRequest
        | Rejection::InvalidToken
        | Rejection::InsufficientScope
        | Rejection::InsufficientUserAuthentication
        | Rejection::Forbidden
        | Rejection::MalformedRequest => INVALID_REQUEST,
    }
}

/// Returns the `data` of the JSON-RPC error for a refusal: the error and the scopes of its challenge.
pub(crate) fn data(refusal: &Refusal) -> Option<Value> {
    let mut data = Map::new();
    if let Some(error) = refusal.rejection().error_code() {
        data.insert("error".to_owned(), error.as_str().into());
    }
    if !refusal.scopes().is_empty() {
        data.insert("scope".to_owned(), scope_list(refusal.scopes()).into());
    }
    (!data.is_empty()).then_some(Value::Object(data))
}

/// Writes the error of a request whose headers do not match its body (MCP 2026-07-28, section "Server Validation"). `id` is the
/// JSON text of the request's `id`, a string or number.
pub(crate) fn header_mismatch_body(mismatch: HeaderMismatch, id: Option<&RawValue>) -> RejectionBody {
    const HEADER_MISMATCH: i32 = -32020;
    let error = json!({ "code": HEADER_MISMATCH, "message": mismatch.message() });
    let id = id.map(|id| format!("\"id\":{id},")).unwrap_or_default();
    json_body(&format!("{{\"jsonrpc\":\"2.0\",{id}\"error\":{error}}}"))
}

fn json_body(text: &str) -> RejectionBody {
    RejectionBody::new(HeaderValue::from_static("application/json"), text.to_owned())
}
