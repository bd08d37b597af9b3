//! Requests with and without credentials.

use bytes::Bytes;
use http::{Request, header::AUTHORIZATION};
use http_body_util::Full;

/// A `GET` without any credentials.
pub(crate) fn plain() -> Request<Full<Bytes>> {
    Request::get("/orders").body(Full::default()).unwrap()
}

/// A `GET` with one `Authorization` field.
pub(crate) fn with_authorization(value: &str) -> Request<Full<Bytes>> {
    with_authorizations(&[value.as_bytes()])
}

/// A `GET` with these `Authorization` fields, byte for byte.
pub(crate) fn with_authorizations(values: &[&[u8]]) -> Request<Full<Bytes>> {
    let mut request = plain();
    for value in values {
        request.headers_mut().append(AUTHORIZATION, http::HeaderValue::from_bytes(value).unwrap());
    }
    request
}
