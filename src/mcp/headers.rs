//! The headers that repeat the operation of an MCP message (MCP 2026-07-28, Streamable HTTP, section "Request Metadata").

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName};

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// The first revision that requires servers to compare these headers with the body.
const FIRST_BOUND_VERSION: &str = "2026-07-28";

/// The MCP headers of a request. They are not authenticated.
pub(super) struct HeaderFacts<'a> {
    pub(super) method: Option<&'a str>,
    /// Decoded.
    pub(super) name: Option<Cow<'a, str>>,
    /// Whether the protocol version requires the server to compare the headers with the body.
    pub(super) is_bound: bool,
}

/// Why headers and body do not match. The messages are fixed, because nothing that a client sent is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderMismatch {
    Version,
    Method,
    Name,
    Malformed,
    NotOneMessage,
}

impl HeaderMismatch {
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Version => "Header mismatch: MCP-Protocol-Version does not match the body",
            Self::Method => "Header mismatch: Mcp-Method is missing or does not match the body",
            Self::Name => "Header mismatch: Mcp-Name is missing or does not match the body",
            Self::Malformed => "Header mismatch: a header is malformed or appears twice",
            Self::NotOneMessage => "Header mismatch: the body is not one message with unique member names",
        }
    }
}

/// Reads the headers.
///
/// # Errors
/// If one of them appears twice or cannot be decoded.
pub(super) fn read(headers: &HeaderMap) -> Result<HeaderFacts<'_>, &'static str> {
    let method = single(headers, &METHOD)?;
    let name = single(headers, &NAME)?.map(decode).transpose()?;
    let is_bound = version(headers)?.is_some_and(is_bound_version);
    Ok(HeaderFacts { method, name, is_bound })
}

/// Returns the protocol version of a request.
pub(super) fn version(headers: &HeaderMap) -> Result<Option<&str>, &'static str> {
    single(headers, &PROTOCOL_VERSION)
}

/// Returns whether a version is a date, and not before the first revision with these headers. Such dates can be compared as text.
pub(super) fn is_bound_version(version: &str) -> bool {
    let is_date = version.len() == FIRST_BOUND_VERSION.len()
        && version.bytes().zip(FIRST_BOUND_VERSION.bytes()).all(|(byte, model)| match model {
            b'-' => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    is_date && version >= FIRST_BOUND_VERSION
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, &'static str> {
    let mut fields = headers.get_all(name).iter();
    match (fields.next(), fields.next()) {
        (None, _) => Ok(None),
        (Some(field), None) => field.to_str().map(Some).map_err(|_| "MCP header with invalid characters"),
        (Some(_), Some(_)) => Err("MCP header that appears twice"),
    }
}

/// Decodes the value of `Mcp-Name` (section "Value Encoding"). The markers are case-sensitive.
fn decode(value: &str) -> Result<Cow<'_, str>, &'static str> {
    let encoded = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    let Some(encoded) = encoded else { return Ok(Cow::Borrowed(value)) };
    let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.map(Cow::Owned).ok_or("Mcp-Name that is not Base64 of UTF-8")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn rmcp_19_sentinel_is_decoded_only_with_exact_markers() {
        for (value, expected) in [
            ("get_weather", Ok("get_weather")),
            ("=?base64?SGVsbG8sIOS4lueVjA==?=", Ok("Hello, 世界")),
            ("=?base64?IHBhZGRlZCA=?=", Ok(" padded ")),
            ("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", Ok("=?base64?literal?=")),
            ("=?BASE64?SGVsbG8=?=", Ok("=?BASE64?SGVsbG8=?=")),
            ("=?base64?SGVsbG8=", Ok("=?base64?SGVsbG8=")),
            ("=?base64?SGVsbG8?=", Err(())),
            ("=?base64?SGVs bG8=?=", Err(())),
            ("=?base64?SGVsbG9=?=", Err(())),
            ("=?base64?_w==?=", Err(())),
            ("=?base64?/w==?=", Err(())),
        ] {
            assert_eq!(decode(value).as_deref().map_err(|_| ()), expected, "{value}");
        }
    }

    #[test]
    fn rmcp_20_only_dates_from_the_first_bound_revision_bind() {
        for (version, expected) in [
            ("2026-07-28", true),
            ("2027-01-01", true),
            ("2025-11-25", false),
            ("2026-07-27", false),
            ("DRAFT-2026-v1", false),
            ("9", false),
            ("2026-07-28x", false),
            ("2026/07/28", false),
            ("", false),
        ] {
            assert_eq!(is_bound_version(version), expected, "{version}");
        }
    }

    #[test]
    fn a48_header_that_appears_twice_is_refused() {
        for name in [PROTOCOL_VERSION, METHOD, NAME] {
            let mut headers = HeaderMap::new();
            headers.append(&name, HeaderValue::from_static("a"));
            headers.append(&name, HeaderValue::from_static("a"));

            assert!(read(&headers).is_err(), "{name}");
        }
    }
}
