//! Creates a gRPC refusal: HTTP 200 and a trailers-only status (gRPC over HTTP2).

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response,
    header::{ACCESS_CONTROL_EXPOSE_HEADERS, CONTENT_TYPE, WWW_AUTHENTICATE},
};

use super::{DEFAULT_RETRY_AFTER, Refusal, Rejection, http::retry_after, jitter, request_kind::Protocol};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
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
    headers.extend(refusal.grpc_trailers());
    if refusal.0.kind.has_origin {
        let exposed =
            "WWW-Authenticate, grpc-status, grpc-message, grpc-status-details-bin, grpc-retry-pushback-ms";
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
    }
    response
}

/// The end of a gRPC response that has already begun.
pub(crate) enum GrpcEnd {
    Trailers(HeaderMap),
    /// The trailers as the last message of the body, which is the framing of gRPC-Web.
    WebFrame(Bytes),
}

/// Writes trailers as a message of gRPC-Web: a flag, the length and the fields of HTTP/1.
fn web_frame(trailers: &HeaderMap) -> Bytes {
    const TRAILERS: u8 = 0x80;
    let mut fields = Vec::new();
    for (name, value) in trailers {
        fields.extend_from_slice(name.as_str().as_bytes());
        fields.extend_from_slice(b":");
        fields.extend_from_slice(value.as_bytes());
        fields.extend_from_slice(b"\r\n");
    }
    let length = u32::try_from(fields.len()).expect("trailers of some KiB");
    let mut frame = vec![TRAILERS];
    frame.extend_from_slice(&length.to_be_bytes());
    frame.append(&mut fields);
    frame.into()
}

impl Refusal {
    /// Returns the end of a response that has already begun, and logs the refusal.
    pub(crate) fn into_grpc_end(self) -> GrpcEnd {
        self.report();
        let trailers = self.grpc_trailers();
        match self.0.kind.protocol {
            Protocol::GrpcWeb => GrpcEnd::WebFrame(web_frame(&trailers)),
            // Each message is encoded separately.
            Protocol::GrpcWebText => GrpcEnd::WebFrame(STANDARD.encode(web_frame(&trailers)).into()),
            Protocol::Http | Protocol::HttpToGrpcClient | Protocol::Grpc => GrpcEnd::Trailers(trailers),
        }
    }

    /// Returns status, message, details and metadata.
    fn grpc_trailers(&self) -> HeaderMap {
        let mut trailers = self.grpc_metadata();
        trailers.insert(GRPC_STATUS, u16::from(self.grpc_status()).into());
        // The descriptions contain no character that gRPC percent-encodes.
        trailers.insert(GRPC_MESSAGE, HeaderValue::from_static(self.rejection().description()));
        // Binary metadata is Base64 without padding (gRPC over HTTP2).
        let details = HeaderValue::try_from(STANDARD_NO_PAD.encode(self.grpc_details()));
        trailers.insert(GRPC_STATUS_DETAILS, details.expect("Base64 is visible ASCII"));
        trailers
    }

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
