//! The body of an HTTP refusal: [`RejectionBody`].

use bytes::Bytes;
use http::{
    HeaderValue, Response,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use serde::Serialize;

use super::Refusal;

/// The body of a refusal, with its content type.
#[derive(Clone, Debug)]
pub struct RejectionBody {
    pub(super) content_type: HeaderValue,
    pub(super) bytes: Bytes,
}

impl RejectionBody {
    /// Creates a body with this content type, such as `application/problem+json`.
    pub fn new(content_type: HeaderValue, bytes: impl Into<Bytes>) -> Self {
        Self { content_type, bytes: bytes.into() }
    }

    /// Makes it the body of a response.
    pub(crate) fn write_to(self, response: &mut Response<Bytes>) {
        response.headers_mut().insert(CONTENT_TYPE, self.content_type);
        response.headers_mut().insert(CONTENT_LENGTH, self.bytes.len().into());
        *response.body_mut() = self.bytes;
    }
}

/// Writes the body of a refusal.
pub(crate) type WriteBody = dyn Fn(&Refusal) -> RejectionBody + Send + Sync;

/// The default body: the status and its name, and the error of the challenge if there is one. A 400 or 403 without a challenge
/// has a `detail` (RFC 9457 section 3.1.4) instead.
#[derive(Serialize)]
struct JsonBody {
    status: u16,
    title: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_description: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
}

pub(crate) fn json_body(refusal: &Refusal) -> RejectionBody {
    let rejection = refusal.rejection();
    let body = JsonBody {
        status: rejection.status().as_u16(),
        title: rejection.status().canonical_reason(),
        error: rejection.error_code().map(super::ErrorCode::as_str),
        error_description: rejection.error_code().map(|_| rejection.description()),
        detail: (!rejection.is_challenge() && rejection.status().is_client_error())
            .then(|| rejection.description()),
    };
    let json = serde_json::to_vec(&body).expect("numbers and text are JSON");
    RejectionBody::new(HeaderValue::from_static("application/json"), json)
}

#[cfg(test)]
mod tests {
    use crate::{ScopeRequirement, Scopes, ValidationError};

    use super::*;

    fn body_of(error: ValidationError) -> String {
        let body = json_body(&Refusal::without_layer(error, None));
        assert_eq!(body.content_type, "application/json");
        String::from_utf8(body.bytes.into()).unwrap()
    }

    #[test]
    fn bodies_match_status_and_challenge() {
        let insufficient = ValidationError::InsufficientScope {
            required: ScopeRequirement::from(crate::Scope::from_static("read")),
            granted: Scopes::default(),
        };
        for (error, body) in [
            (ValidationError::NoCredentials, r#"{"status":401,"title":"Unauthorized"}"#),
            (
                ValidationError::MalformedCredentials,
                "{\"status\":400,\"title\":\"Bad Request\",\"error\":\"invalid_request\",\"error_description\":\
                 \"Exactly one authorization header is expected: Bearer, a space and the token\"}",
            ),
            (
                insufficient,
                "{\"status\":403,\"title\":\"Forbidden\",\"error\":\"insufficient_scope\",\"error_description\":\
                 \"The access token does not allow this operation\"}",
            ),
            (
                ValidationError::denied("not the owner"),
                r#"{"status":403,"title":"Forbidden","detail":"This operation is not allowed"}"#,
            ),
            (
                ValidationError::malformed_request("path with a dot segment"),
                r#"{"status":400,"title":"Bad Request","detail":"The request is malformed"}"#,
            ),
            (ValidationError::unavailable("table locked"), r#"{"status":503,"title":"Service Unavailable"}"#),
            (ValidationError::NoLayer, r#"{"status":500,"title":"Internal Server Error"}"#),
        ] {
            assert_eq!(body_of(error), body);
        }
    }
}
