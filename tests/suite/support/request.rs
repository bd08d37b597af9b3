//! Builds requests with and without credentials.

use bytes::Bytes;
use http::{Request, header::AUTHORIZATION};
use http_body_util::Full;

/// Returns a `GET` without credentials.
pub(crate) fn plain() -> Request<Full<Bytes>> {
    Request::get("/orders").body(Full::default()).unwrap()
}

/// Returns a `GET` with one `Authorization` field.
pub(crate) fn with_authorization(value: &str) -> Request<Full<Bytes>> {
    with_authorizations(&[value.as_bytes()])
}

/// Returns a `GET` with exactly these `Authorization` fields.
pub(crate) fn with_authorizations(values: &[&[u8]]) -> Request<Full<Bytes>> {
    let mut request = plain();
    for value in values {
        request.headers_mut().append(AUTHORIZATION, http::HeaderValue::from_bytes(value).unwrap());
    }
    request
}
