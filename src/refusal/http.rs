//! Creates an HTTP refusal: status, challenge and body.

use bytes::Bytes;
use http::{
    HeaderValue, Response,
    header::{ACCESS_CONTROL_EXPOSE_HEADERS, RETRY_AFTER, WWW_AUTHENTICATE},
};

use super::{Refusal, Rejection, jitter, request_kind::Protocol};

/// Maximum `Retry-After`, in seconds. A client should retry within an hour after any outage. In milliseconds, the value
/// fits into the 32 bits that gRPC uses for it.
const MAX_RETRY_AFTER: u64 = 60 * 60;

pub(super) fn write(refusal: &Refusal) -> Response<Bytes> {
    let rejection = refusal.rejection();
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = rejection.status();
    if refusal.0.kind.protocol == Protocol::Http {
        let body = (refusal.0.settings.write_body)(refusal);
        body.write_to(&mut response);
        if refusal.0.kind.is_head {
            *response.body_mut() = Bytes::new();
        }
    }
    let headers = response.headers_mut();
    if let Some(seconds) = retry_after(rejection) {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    if let Some(challenge) = refusal.challenge() {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if refusal.0.kind.has_origin {
        let exposed = HeaderValue::from_static("WWW-Authenticate, Retry-After");
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    response
}

/// Returns the `Retry-After` of a 503, in seconds.
pub(super) fn retry_after(rejection: Rejection) -> Option<u64> {
    match rejection {
        Rejection::Unavailable { retry_after } => {
            Some(retry_after.as_secs().clamp(1, MAX_RETRY_AFTER) + jitter())
        }
        Rejection::Unauthorized
        | Rejection::InvalidRequest
        | Rejection::InvalidToken
        | Rejection::InsufficientScope
        | Rejection::InsufficientUserAuthentication
        | Rejection::Forbidden
        | Rejection::MalformedRequest
        | Rejection::BadGateway
        | Rejection::Internal => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn long_wait_is_cut_and_fits_what_grpc_has_for_it() {
        let wait = retry_after(Rejection::Unavailable { retry_after: Duration::MAX }).unwrap();

        assert!((3_600..=3_603).contains(&wait), "{wait}");
        assert!(i32::try_from(wait * 1_000).is_ok());
    }
}
