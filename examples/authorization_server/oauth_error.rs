//! Error responses (RFC 6749 section 5.2).

use std::borrow::Cow;

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// A registered error code, and a description for the developer of the client.
#[derive(Debug, Clone)]
pub(super) struct OAuthError {
    pub(super) code: ErrorCode,
    /// Never contains what a peer sent.
    pub(super) description: Cow<'static, str>,
}

impl OAuthError {
    pub(super) fn new(code: ErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        Self { code, description: description.into() }
    }

    pub(super) fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidRequest, description)
    }

    pub(super) fn invalid_grant(description: &'static str) -> Self {
        Self::new(ErrorCode::InvalidGrant, description)
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = Json(json!({ "error": self.code.as_str(), "error_description": self.description }));
        match self.code {
            // RFC 6749 section 5.2: 401, with the scheme to use.
            ErrorCode::InvalidClient => {
                let challenge = [(header::WWW_AUTHENTICATE, r#"Basic realm="authorization server""#)];
                (StatusCode::UNAUTHORIZED, challenge, body).into_response()
            }
            ErrorCode::InvalidRequest
            | ErrorCode::InvalidGrant
            | ErrorCode::UnsupportedGrantType
            | ErrorCode::UnsupportedResponseType
            | ErrorCode::InvalidScope
            | ErrorCode::InvalidTarget
            | ErrorCode::InvalidRedirectUri
            | ErrorCode::InvalidClientMetadata
            | ErrorCode::AccessDenied
            | ErrorCode::UnmetAuthenticationRequirements => (StatusCode::BAD_REQUEST, body).into_response(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorCode {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnsupportedGrantType,
    UnsupportedResponseType,
    InvalidScope,
    /// RFC 7591 section 3.2.2
    InvalidRedirectUri,
    /// RFC 7591 section 3.2.2
    InvalidClientMetadata,
    /// RFC 8707 section 2
    InvalidTarget,
    /// RFC 6749 section 4.1.2.1
    AccessDenied,
    /// RFC 9470 section 5
    UnmetAuthenticationRequirements,
}

impl ErrorCode {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::InvalidTarget => "invalid_target",
            Self::AccessDenied => "access_denied",
            Self::UnmetAuthenticationRequirements => "unmet_authentication_requirements",
        }
    }
}
