//! Why a request was refused and how the refusal is written.
//!
//! Three steps: a [`ValidationError`] says what was wrong, for operators. A [`Rejection`] is one of seven answers to the
//! caller. A response is written from the rejection: over HTTP a status, a challenge and a body; over gRPC a status in
//! trailers only.

mod challenge;
mod claim_error;
mod rejection;
mod response;
mod validation_error;

use std::fmt;

pub(crate) use self::{
    challenge::{ChallengeSettings, Challenges, is_error_uri, is_quotable},
    response::{RequestKind, WriteBody, json_body, refusal},
    validation_error::DEFAULT_RETRY_AFTER,
};
pub use self::{
    claim_error::ClaimError,
    rejection::{ErrorCode, Rejection, RejectionReason},
    response::RejectionBody,
    validation_error::{Excerpt, ValidationError},
};

/// What a resource server says in every refusal.
pub(crate) struct RefusalSettings {
    pub(crate) challenge: ChallengeSettings,
    pub(crate) write_body: Box<WriteBody>,
    /// Whether malformed gRPC requests get 3 `INVALID_ARGUMENT`.
    pub(crate) grpc_invalid_argument: bool,
}

impl RefusalSettings {
    pub(crate) fn grpc_status(&self, rejection: Rejection) -> u8 {
        const INVALID_ARGUMENT: u8 = 3;
        match rejection {
            Rejection::InvalidRequest if self.grpc_invalid_argument => INVALID_ARGUMENT,
            _ => rejection.grpc_status(),
        }
    }
}

impl fmt::Debug for RefusalSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefusalSettings").field("challenge", &self.challenge).finish_non_exhaustive()
    }
}
