//! From a [`Rejection`] to bytes: an HTTP response, or a trailers-only gRPC answer where the request was gRPC.
//!
//! Needs the `http` crate only, and one look at the request before the request moves on ([`RequestKind`]).

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{
        ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ORIGIN, RETRY_AFTER,
        WWW_AUTHENTICATE,
    },
};

use super::{DEFAULT_RETRY_AFTER, Rejection};

/// What a refusal must know of the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestKind {
    protocol: Protocol,
    is_head: bool,
    has_origin: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http,
    /// HTTP to a gRPC client. It takes the code from the HTTP status, and a body for a broken message.
    HttpToGrpcClient,
    Grpc,
    /// gRPC for browsers, with the content type of its answers.
    GrpcWeb(&'static str),
}

/// The body of a refusal, with its content type. Status and challenge are not yours to change.
#[derive(Clone, Debug)]
pub struct RejectionBody {
    pub(crate) content_type: HeaderValue,
    pub(crate) bytes: Bytes,
}

impl RejectionBody {
    /// Makes a body of this media type, such as `application/json`.
    pub fn new(content_type: HeaderValue, bytes: impl Into<Bytes>) -> Self {
        Self { content_type, bytes: bytes.into() }
    }
}

/// Writes the body of a refusal.
pub(crate) type WriteBody = dyn Fn(Rejection) -> RejectionBody + Send + Sync;

impl RequestKind {
    /// Looks at a request; `grpc` says whether the layer guards gRPC.
    pub(crate) fn new(method: &Method, headers: &HeaderMap, grpc: bool) -> Self {
        // gRPC calls are `POST` (gRPC over HTTP2). Anything else with its content type does not come from a gRPC client.
        let protocol = if method == Method::POST { Protocol::of(headers) } else { Protocol::Http };
        Self {
            protocol: if grpc || protocol == Protocol::Http { protocol } else { Protocol::HttpToGrpcClient },
            is_head: method == Method::HEAD,
            has_origin: headers.contains_key(ORIGIN),
        }
    }

    pub(crate) fn is_grpc(self) -> bool {
        matches!(self.protocol, Protocol::Grpc | Protocol::GrpcWeb(_))
    }
}

impl Protocol {
    fn of(headers: &HeaderMap) -> Self {
        let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let Some(rest) = strip_prefix_ignore_case(content_type, b"application/grpc") else {
            return Self::Http;
        };
        if strip_prefix_ignore_case(rest, b"-web-text").is_some_and(ends_subtype) {
            return Self::GrpcWeb("application/grpc-web-text");
        }
        if strip_prefix_ignore_case(rest, b"-web").is_some_and(ends_subtype) {
            return Self::GrpcWeb("application/grpc-web");
        }
        if ends_subtype(rest) { Self::Grpc } else { Self::Http }
    }
}

fn strip_prefix_ignore_case<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// The name of the message encoding (`+proto`) or parameters may follow.
fn ends_subtype(rest: &[u8]) -> bool {
    matches!(rest.first(), None | Some(b'+' | b';' | b' ' | b'\t'))
}

/// Longest challenge in a gRPC answer, in bytes: clients may refuse trailers beyond 8 KiB in all.
const MAX_GRPC_CHALLENGE: usize = 6 * 1024;

/// Longest wait that a caller is told, in seconds. Whatever is down is worth another look within the hour; in
/// milliseconds it fits the 32 bits that gRPC has for it.
const MAX_RETRY_AFTER: u64 = 60 * 60;

/// gRPC's own status headers, beside `WWW-Authenticate` for the scripts of another origin.
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_RETRY_PUSHBACK_MS: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// Writes a refusal. `short_challenge` stands in where a gRPC client might refuse the length of `challenge`.
pub(crate) fn refusal(
    rejection: Rejection,
    challenge: Option<HeaderValue>,
    short_challenge: impl FnOnce() -> Option<HeaderValue>,
    kind: RequestKind,
    grpc_status: u8,
    write_body: &WriteBody,
) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    response.headers_mut().reserve(8);
    let retry_after = match rejection {
        Rejection::Unavailable { retry_after } => {
            Some(retry_after.as_secs().clamp(1, MAX_RETRY_AFTER) + jitter())
        }
        // gRPC has one status for both, and clients look for a wait wherever it stands. HTTP says nothing of a 502.
        Rejection::BadGateway if kind.is_grpc() => Some(DEFAULT_RETRY_AFTER.as_secs() + jitter()),
        Rejection::Unauthorized
        | Rejection::InvalidRequest
        | Rejection::InvalidToken
        | Rejection::InsufficientScope
        | Rejection::BadGateway
        | Rejection::Internal => None,
    };
    match kind.protocol {
        Protocol::HttpToGrpcClient => {
            *response.status_mut() = rejection.status();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(RETRY_AFTER, seconds.into());
            }
        }
        Protocol::Http => {
            *response.status_mut() = rejection.status();
            let body = write_body(rejection);
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, body.content_type);
            headers.insert(CONTENT_LENGTH, body.bytes.len().into());
            if let Some(seconds) = retry_after {
                headers.insert(RETRY_AFTER, seconds.into());
            }
            if !kind.is_head {
                *response.body_mut() = body.bytes;
            }
        }
        Protocol::Grpc | Protocol::GrpcWeb(_) => {
            *response.status_mut() = StatusCode::OK;
            let content_type = match kind.protocol {
                Protocol::GrpcWeb(content_type) => content_type,
                Protocol::Grpc | Protocol::Http | Protocol::HttpToGrpcClient => "application/grpc",
            };
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            headers.insert(GRPC_STATUS, u16::from(grpc_status).into());
            // Our descriptions hold no character that gRPC wants percent-encoded.
            headers.insert(GRPC_MESSAGE, HeaderValue::from_static(rejection.description()));
            if let Some(seconds) = retry_after {
                headers.insert(GRPC_RETRY_PUSHBACK_MS, (seconds * 1_000).into());
            }
        }
    }
    let challenge = match challenge {
        Some(long) if kind.is_grpc() && long.len() > MAX_GRPC_CHALLENGE => {
            short_challenge().filter(|short| short.len() <= MAX_GRPC_CHALLENGE)
        }
        other => other,
    };
    let headers = response.headers_mut();
    if let Some(challenge) = challenge {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if kind.has_origin {
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(match kind.protocol {
                Protocol::Http | Protocol::HttpToGrpcClient => "WWW-Authenticate, Retry-After",
                Protocol::Grpc | Protocol::GrpcWeb(_) => {
                    "WWW-Authenticate, grpc-status, grpc-message, grpc-retry-pushback-ms"
                }
            }),
        );
    }
    response
}

/// Some seconds more, so that those whom an outage refused do not all come back at once.
fn jitter() -> u64 {
    const MAX_JITTER: u8 = 3;
    let mut byte = [0];
    // Without randomness there is no jitter, and the answer stays right.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    u64::from(byte[0] % (MAX_JITTER + 1))
}

/// The body that refusals have by default: status and its name, and `error` and `error_description` of the challenge where
/// there is one.
pub(crate) fn json_body(rejection: Rejection) -> RejectionBody {
    let json = match rejection {
        Rejection::Unauthorized => r#"{"status":401,"title":"Unauthorized"}"#,
        Rejection::InvalidRequest => concat!(
            r#"{"status":400,"title":"Bad Request","error":"invalid_request","error_description":"#,
            r#""Exactly one authorization header is expected: Bearer, a space and the token"}"#
        ),
        Rejection::InvalidToken => concat!(
            r#"{"status":401,"title":"Unauthorized","error":"invalid_token","error_description":"#,
            r#""The access token is malformed, expired, withdrawn or not for this resource"}"#
        ),
        Rejection::InsufficientScope => concat!(
            r#"{"status":403,"title":"Forbidden","error":"insufficient_scope","error_description":"#,
            r#""The access token does not allow this operation"}"#
        ),
        Rejection::Unavailable { .. } => r#"{"status":503,"title":"Service Unavailable"}"#,
        Rejection::BadGateway => r#"{"status":502,"title":"Bad Gateway"}"#,
        Rejection::Internal => r#"{"status":500,"title":"Internal Server Error"}"#,
    };
    RejectionBody {
        content_type: HeaderValue::from_static("application/json"),
        bytes: Bytes::from_static(json.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn bodies_say_what_status_and_challenge_say() {
        for rejection in [
            Rejection::Unauthorized,
            Rejection::InvalidRequest,
            Rejection::InvalidToken,
            Rejection::InsufficientScope,
            Rejection::Unavailable { retry_after: Duration::ZERO },
            Rejection::BadGateway,
            Rejection::Internal,
        ] {
            let body: Value = serde_json::from_slice(&json_body(rejection).bytes).unwrap();

            let status = rejection.status();
            let mut expected = json!({"status": status.as_u16(), "title": status.canonical_reason()});
            if let Some(error) = rejection.error_code() {
                expected["error"] = error.as_str().into();
                expected["error_description"] = rejection.description().into();
            }
            assert_eq!(body, expected);
        }
    }

    #[test]
    fn a_long_wait_is_cut_and_fits_what_grpc_has_for_it() {
        let rejection = Rejection::Unavailable { retry_after: Duration::MAX };
        for (content_type, header, longest) in
            [("text/plain", "retry-after", 3_603), ("application/grpc", "grpc-retry-pushback-ms", 3_603_000)]
        {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            let kind = RequestKind::new(&Method::POST, &headers, true);

            let response = refusal(rejection, None, || None, kind, 14, &json_body);

            let wait: i32 = response.headers()[header].to_str().unwrap().parse().unwrap();
            assert!((3_600..=longest).contains(&wait), "{wait}");
        }
    }

    #[test]
    fn protocols_are_told_by_their_content_type() {
        for (content_type, protocol) in [
            ("application/grpc", Protocol::Grpc),
            ("application/grpc+proto", Protocol::Grpc),
            ("Application/GRPC; x=1", Protocol::Grpc),
            ("application/grpc-web", Protocol::GrpcWeb("application/grpc-web")),
            ("application/grpc-web+proto", Protocol::GrpcWeb("application/grpc-web")),
            ("application/grpc-web-text+proto", Protocol::GrpcWeb("application/grpc-web-text")),
            ("application/grpcish", Protocol::Http),
            ("application/grpc-webby", Protocol::Http),
            ("application/json", Protocol::Http),
            ("", Protocol::Http),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));

            assert_eq!(Protocol::of(&headers), protocol, "{content_type}");
        }
    }
}
