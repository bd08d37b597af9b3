//! Which bodies can be read as JSON: [`has_json_body`].

use http::{
    HeaderMap, HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};

/// Returns whether, according to the headers, the body is uncompressed JSON in UTF-8 of at most `limit` bytes.
///
/// Without `Content-Length`, the length is unknown, and this does not check it.
pub(crate) fn has_json_body(headers: &HeaderMap, limit: usize) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let fits = |length: &HeaderValue| {
        let length = length.to_str().ok().and_then(|length| length.parse::<u64>().ok());
        length.is_some_and(|length| u64::try_from(limit).is_ok_and(|limit| length <= limit))
    };
    types.next().is_some_and(is_json)
        && types.next().is_none()
        && headers.get_all(CONTENT_ENCODING).iter().all(|encoding| encoding == "identity")
        && headers.get_all(CONTENT_LENGTH).iter().all(fits)
}

fn is_json(media_type: &HeaderValue) -> bool {
    let mut parts = media_type.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case(b"application/json"))
        && parts.all(is_harmless)
}

/// Returns whether a parameter of a media type does not name another character set.
///
/// JSON has no such parameter (RFC 8259 section 11), but some servers use it. In UTF-7, a string can contain the text of further
/// members.
fn is_harmless(parameter: &[u8]) -> bool {
    const CHARSET: &[u8] = b"charset";
    let Some((name, value)) = parameter.split_at_checked(CHARSET.len()) else { return true };
    if !name.eq_ignore_ascii_case(CHARSET) {
        return true;
    }
    let value = value.strip_prefix(b"=").unwrap_or_default();
    let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    [&b"utf-8"[..], b"utf8"].iter().any(|utf8| quoted.unwrap_or(value).eq_ignore_ascii_case(utf8))
}
