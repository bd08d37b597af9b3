//! The ten kinds of responses to refused requests, and the mapping from [`ValidationError`]: [`Rejection`].
//!
//! | rejection | HTTP | gRPC | `error` |
//! |---|---|---|---|
//! | [`Unauthorized`](Rejection::Unauthorized) | 401 | 16 `UNAUTHENTICATED` | none |
//! | [`InvalidRequest`](Rejection::InvalidRequest) | 400 | 16 (or 3, see `ResourceServerBuilder`) | `invalid_request` |
//! | [`InvalidToken`](Rejection::InvalidToken) | 401 | 16 | `invalid_token` |
//! | [`InsufficientScope`](Rejection::InsufficientScope) | 403 | 7 `PERMISSION_DENIED` | `insufficient_scope` |
//! | [`InsufficientUserAuthentication`](Rejection::InsufficientUserAuthentication) | 401 | 16 | `insufficient_user_authentication` |
//! | [`Forbidden`](Rejection::Forbidden) | 403 | 7 | none |
//! | [`MalformedRequest`](Rejection::MalformedRequest) | 400 | 3 `INVALID_ARGUMENT` | none |
//! | [`Unavailable`](Rejection::Unavailable) | 503 | 14 `UNAVAILABLE` | none |
//! | [`BadGateway`](Rejection::BadGateway) | 502 | 14 | none |
//! | [`Internal`](Rejection::Internal) | 500 | 13 `INTERNAL` | none |
//!
//! ```
//! use http::StatusCode;
//! use tower_bearer::{ErrorCode, Rejection, ValidationError};
//!
//! let rejection = Rejection::from(&ValidationError::BadSignature);
//!
//! assert_eq!(rejection.status(), StatusCode::UNAUTHORIZED);
//! assert_eq!(rejection.error_code(), Some(ErrorCode::InvalidToken));
//! ```

use std::{fmt, sync::Arc, time::Duration};

use http::StatusCode;

use super::ValidationError;

/// The kind of response to a refused request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// The request has no credentials: a challenge without an error.
    Unauthorized,
    /// The credentials are malformed, or there is more than one `Authorization` header.
    InvalidRequest,
    /// The token is malformed, expired, revoked, for another resource or otherwise not valid.
    InvalidToken,
    /// The token is valid, but its scopes do not allow this operation.
    InsufficientScope,
    /// The token is valid, but the user must authenticate again, or in another way (RFC 9470 section 3).
    InsufficientUserAuthentication,
    /// The operation is not allowed with any scopes. There is no challenge, because a new token would not help.
    Forbidden,
    /// The request is malformed or ambiguous, apart from its credentials. There is no challenge.
    MalformedRequest,
    /// The token cannot be checked now. It may be valid.
    #[non_exhaustive]
    Unavailable {
        /// The value of `Retry-After`: from 1 second to 1 hour, plus up to 3 random seconds.
        retry_after: Duration,
    },
    /// The authorization server sent an invalid response.
    BadGateway,
    /// There is a mistake in this service: its setup, its credential or its validator.
    Internal,
}

/// The error codes of RFC 6750 section 3.1 and RFC 9470 section 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// `invalid_request`
    InvalidRequest,
    /// `invalid_token`
    InvalidToken,
    /// `insufficient_scope`
    InsufficientScope,
    /// `insufficient_user_authentication`
    InsufficientUserAuthentication,
}

impl Rejection {
    /// Returns the HTTP status.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Unauthorized | Self::InvalidToken | Self::InsufficientUserAuthentication => {
                StatusCode::UNAUTHORIZED
            }
            Self::InvalidRequest | Self::MalformedRequest => StatusCode::BAD_REQUEST,
            Self::InsufficientScope | Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::BadGateway => StatusCode::BAD_GATEWAY,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns the gRPC status code.
    pub fn grpc_status(self) -> u8 {
        const INTERNAL: u8 = 13;
        const INVALID_ARGUMENT: u8 = 3;
        const PERMISSION_DENIED: u8 = 7;
        const UNAUTHENTICATED: u8 = 16;
        const UNAVAILABLE: u8 = 14;
        match self {
            Self::Unauthorized
            | Self::InvalidRequest
            | Self::InvalidToken
            | Self::InsufficientUserAuthentication => UNAUTHENTICATED,
            Self::MalformedRequest => INVALID_ARGUMENT,
            Self::InsufficientScope | Self::Forbidden => PERMISSION_DENIED,
            Self::Unavailable { .. } | Self::BadGateway => UNAVAILABLE,
            Self::Internal => INTERNAL,
        }
    }

    /// Returns the error code of the challenge.
    ///
    /// `None` for a request without credentials (RFC 6750 section 3.1), and for a rejection without a challenge.
    pub fn error_code(self) -> Option<ErrorCode> {
        match self {
            Self::InvalidRequest => Some(ErrorCode::InvalidRequest),
            Self::InvalidToken => Some(ErrorCode::InvalidToken),
            Self::InsufficientScope => Some(ErrorCode::InsufficientScope),
            Self::InsufficientUserAuthentication => Some(ErrorCode::InsufficientUserAuthentication),
            Self::Unauthorized
            | Self::Forbidden
            | Self::MalformedRequest
            | Self::Unavailable { .. }
            | Self::BadGateway
            | Self::Internal => None,
        }
    }

    /// Returns a sentence for the developer of the client. It contains nothing from the request.
    ///
    /// It consists of the characters %x20-21 / %x23-5B / %x5D-7E, as RFC 6750 section 3 requires for
    /// `error_description`.
    pub fn description(self) -> &'static str {
        match self {
            Self::Unauthorized => "An access token is required",
            Self::InvalidRequest => ErrorCode::InvalidRequest.description(),
            Self::InvalidToken => ErrorCode::InvalidToken.description(),
            Self::InsufficientScope => ErrorCode::InsufficientScope.description(),
            Self::InsufficientUserAuthentication => ErrorCode::InsufficientUserAuthentication.description(),
            Self::Forbidden => "This operation is not allowed",
            Self::MalformedRequest => "The request is malformed",
            Self::Unavailable { .. } => "Access tokens cannot be checked at the moment",
            Self::BadGateway => "The authorization server sent an invalid response",
            Self::Internal => "Access tokens cannot be checked",
        }
    }

    /// Returns whether the response has a challenge. There is none if a new token would not help, because a client that
    /// receives a challenge discards its token.
    pub(crate) fn is_challenge(self) -> bool {
        match self {
            Self::Unauthorized
            | Self::InvalidRequest
            | Self::InvalidToken
            | Self::InsufficientScope
            | Self::InsufficientUserAuthentication => true,
            Self::Forbidden
            | Self::MalformedRequest
            | Self::Unavailable { .. }
            | Self::BadGateway
            | Self::Internal => false,
        }
    }
}

impl From<&ValidationError> for Rejection {
    fn from(error: &ValidationError) -> Self {
        use ValidationError::*;
        match error {
            // RFC 6750 section 3.1: no error code for a request without credentials.
            NoCredentials => Self::Unauthorized,
            MultipleAuthorizationHeaders { .. } | MalformedCredentials => Self::InvalidRequest,
            TokenTooLong { .. }
            | MalformedToken(_)
            | TypeNotAccepted { .. }
            | AlgorithmNotAccepted { .. }
            | UnknownIssuer { .. }
            | IssuerMismatch { .. }
            | UnknownKey { .. }
            | AmbiguousKey { .. }
            | BadSignature
            | MissingClaim(_)
            | Claims(_)
            | Expired { .. }
            | NotYetValid { .. }
            | TooOld { .. }
            | AudienceMismatch { .. }
            | NotAnAccessToken { .. }
            | SenderConstraintNotProved
            | Inactive
            | Refused { .. } => Self::InvalidToken,
            InsufficientScope { .. } => Self::InsufficientScope,
            InsufficientUserAuthentication { .. } => Self::InsufficientUserAuthentication,
            ClaimsDoNotFit(_) | Denied { .. } => Self::Forbidden,
            MalformedRequest { .. } => Self::MalformedRequest,
            ClaimRule { rejection, .. } => *rejection,
            // Not caused by the client, which would discard a valid token after a 401.
            KeysUnavailable { retry_after, .. }
            | IntrospectionUnavailable { retry_after, .. }
            | Unavailable { retry_after, .. } => Self::Unavailable { retry_after: *retry_after },
            IntrospectionMalformed { .. } => Self::BadGateway,
            IntrospectionRefused { .. } | NoLayer | Internal { .. } => Self::Internal,
        }
    }
}

impl ErrorCode {
    /// Returns the code as written in a challenge.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::InsufficientUserAuthentication => "insufficient_user_authentication",
        }
    }

    /// Returns the default `error_description`.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::InvalidRequest => {
                "Exactly one authorization header is expected: Bearer, a space and the token"
            }
            Self::InvalidToken => {
                "The access token is malformed, expired, withdrawn or not for this resource"
            }
            Self::InsufficientScope => "The access token does not allow this operation",
            Self::InsufficientUserAuthentication => {
                "The user must authenticate again or in another way for this operation"
            }
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The cause of a refusal, in the extensions of the response, for access logs and metrics.
///
/// Each response that refuses a request has one, also one over gRPC. Layers outside of the resource server's see it. The
/// [guide to operations](crate::guides::operate#access-logs) shows a `TraceLayer` of tower-http that logs it.
///
/// [`kind`](ValidationError::kind) of the error is one of a fixed list, for labels. Its text has no token, subject or custom claim. It
/// can have the issuer, `kid` and `alg` of the token, which the sender chose and which are shortened and quoted. The errors of your own
/// validators and rules have your own text.
///
/// ```
/// use tower_bearer::RejectionReason;
///
/// fn access_log<B>(response: &http::Response<B>) {
///     if let Some(reason) = response.extensions().get::<RejectionReason>() {
///         println!("{} {}", response.status(), reason.error());
///     }
/// }
/// # access_log(&http::Response::new(()));
/// ```
#[derive(Clone, Debug)]
pub struct RejectionReason(Arc<ValidationError>);

impl RejectionReason {
    pub(crate) fn new(error: ValidationError) -> Self {
        Self(Arc::new(error))
    }

    /// Returns the error.
    ///
    /// Its text is for operators, because it may contain the issuer and times in the token. Do not send it to the
    /// client.
    pub fn error(&self) -> &ValidationError {
        &self.0
    }
}
