//! Creates a gRPC refusal: HTTP 200 and a trailers-only status (gRPC over HTTP2).

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response,
    header::{ACCESS_CONTROL_EXPOSE_HEADERS, CONTENT_TYPE, WWW_AUTHENTICATE},
};

use super::{DEFAULT_RETRY_AFTER, Refusal, Rejection, http::retry_after, jitter, request_kind::Protocol};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_RETRY_PUSHBACK_MS: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// Maximum length of a challenge in bytes. Clients may refuse trailers of more than 8 KiB in total.
const MAX_CHALLENGE_LEN: usize = 6 * 1024;

pub(super) fn write(refusal: &Refusal) -> Response<Bytes> {
    let content_type = match refusal.0.kind.protocol {
        Protocol::Http | Protocol::HttpToGrpcClient | Protocol::Grpc => "application/grpc",
        Protocol::GrpcWeb => "application/grpc-web",
        Protocol::GrpcWebText => "application/grpc-web-text",
    };
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(GRPC_STATUS, u16::from(refusal.grpc_status()).into());
    // The descriptions contain no character that gRPC percent-encodes.
    headers.insert(GRPC_MESSAGE, HeaderValue::from_static(refusal.rejection().description()));
    headers.extend(refusal.grpc_metadata());
    if refusal.0.kind.has_origin {
        let exposed = "WWW-Authenticate, grpc-status, grpc-message, grpc-retry-pushback-ms";
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
    }
    response
}

impl Refusal {
    /// Returns the gRPC status code, as configured.
    pub(crate) fn grpc_status(&self) -> u8 {
        const INVALID_ARGUMENT: u8 = 3;
        match self.rejection() {
            Rejection::InvalidRequest if self.0.settings.grpc_invalid_argument => INVALID_ARGUMENT,
            rejection => rejection.grpc_status(),
        }
    }

    /// Returns the metadata of the status: the challenge, and when to retry.
    pub(crate) fn grpc_metadata(&self) -> HeaderMap {
        let mut metadata = HeaderMap::new();
        let fits = |challenge: &HeaderValue| challenge.len() <= MAX_CHALLENGE_LEN;
        let challenge = self.challenge().filter(fits);
        if let Some(challenge) = challenge.or_else(|| self.challenge_naming(&[]).filter(fits)) {
            metadata.insert(WWW_AUTHENTICATE, challenge);
        }
        let seconds = match self.rejection() {
            // 502 and 503 both have the gRPC status 14, so both tell clients when to retry.
            Rejection::BadGateway => Some(DEFAULT_RETRY_AFTER.as_secs() + jitter()),
            rejection => retry_after(rejection),
        };
        if let Some(seconds) = seconds {
            metadata.insert(GRPC_RETRY_PUSHBACK_MS, (seconds * 1_000).into());
        }
        metadata
    }
}
