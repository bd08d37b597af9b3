//! Why a call to the introspection endpoint failed: [`CallFailure`].

use std::time::Duration;

use super::call::MAX_CALLS;
use crate::{Issuer, ValidationError, http_client::fetch::FetchError, refusal::DEFAULT_RETRY_AFTER};

/// A failed call. It says nothing about the token, so nothing is cached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallFailure {
    /// No request was sent: the maximum number of concurrent calls is reached.
    #[error("maximum number of concurrent calls reached, {MAX_CALLS}")]
    TooManyCalls,
    /// No response was received: the connection failed or timed out.
    #[error("{reason}")]
    NoResponse { reason: String },
    /// The authorization server is unavailable, or its metadata cannot be used.
    #[error("{reason}")]
    Unavailable { reason: String, retry_after: Duration },
    /// The response is not an introspection response.
    #[error("{reason}")]
    Malformed { reason: String },
    /// The authorization server refuses our credential, or has no introspection endpoint at this URL.
    #[error("refused with status {status}")]
    Refused { status: u16 },
}

impl CallFailure {
    pub(super) fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed { reason: reason.into() }
    }

    /// Returns the name of the variant in snake case, for events.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::TooManyCalls => "too_many_calls",
            Self::NoResponse { .. } => "no_response",
            Self::Unavailable { .. } => "unavailable",
            Self::Malformed { .. } => "malformed",
            Self::Refused { .. } => "refused",
        }
    }

    /// Returns whether the endpoint may have moved.
    pub(super) fn may_have_moved(&self) -> bool {
        matches!(self, Self::NoResponse { .. } | Self::Refused { status: 404 | 405 })
    }

    /// Returns the error for the request.
    pub(super) fn to_error(&self, issuer: &Issuer) -> ValidationError {
        let issuer = issuer.as_str().into();
        let unavailable = |issuer, reason: &str, retry_after| ValidationError::IntrospectionUnavailable {
            issuer,
            reason: reason.into(),
            retry_after,
        };
        match self {
            Self::TooManyCalls => unavailable(issuer, &self.to_string(), DEFAULT_RETRY_AFTER),
            Self::NoResponse { reason } => unavailable(issuer, reason, DEFAULT_RETRY_AFTER),
            Self::Unavailable { reason, retry_after } => unavailable(issuer, reason, *retry_after),
            Self::Malformed { reason } => {
                ValidationError::IntrospectionMalformed { issuer, reason: reason.as_str().into() }
            }
            Self::Refused { status } => ValidationError::IntrospectionRefused { issuer, status: *status },
        }
    }
}

/// The endpoint could not be found.
impl From<FetchError> for CallFailure {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::NoResponse(reason) => Self::NoResponse { reason },
            FetchError::Unusable(reason) => Self::Unavailable { reason, retry_after: DEFAULT_RETRY_AFTER },
        }
    }
}
