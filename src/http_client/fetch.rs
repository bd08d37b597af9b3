//! Fetching: one request within a deadline and a size limit, and what went wrong in words for the log.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, LOCATION, USER_AGENT},
};
use url::Url;

use super::{HttpClient, HttpError};
use crate::refusal::Excerpt;

/// Longest document read, in bytes; the largest metadata and key sets seen have a tenth of it.
const MAX_DOCUMENT_LEN: usize = 256 * 1024;

/// Why something could not be fetched; a line for the log.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// Nobody answered.
    #[error("{0}")]
    NoAnswer(String),
    /// The answer is of no use.
    #[error("{0}")]
    Unusable(String),
}

/// Sends a request with a deadline around it, whatever the client does, and checks the length again.
pub(crate) async fn send_within(
    client: &dyn HttpClient,
    request: http::Request<Bytes>,
    body_limit: usize,
    deadline: Duration,
) -> Result<http::Response<Bytes>, HttpError> {
    let response = tokio::time::timeout(deadline, client.send(request, body_limit))
        .await
        .map_err(|_| HttpError::new(format!("no response within {deadline:?}")))??;
    if response.body().len() > body_limit {
        return Err(HttpError::body_too_long(body_limit));
    }
    Ok(response)
}

/// Fetches a document; the caller judges it.
pub(crate) async fn get(
    client: &dyn HttpClient,
    url: &Url,
    timeout: Duration,
) -> Result<http::Response<Bytes>, FetchError> {
    send(client, url, timeout).await.map_err(|error| no_response(url, &error))
}

pub(crate) async fn send(
    client: &dyn HttpClient,
    url: &Url,
    timeout: Duration,
) -> Result<http::Response<Bytes>, HttpError> {
    let request = Request::builder()
        .method(Method::GET)
        .uri(url.as_str())
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, OUR_NAME)
        .body(Bytes::new())
        .map_err(HttpError::new)?;
    send_within(client, request, MAX_DOCUMENT_LEN, timeout).await
}

pub(crate) fn no_response(url: &Url, error: &HttpError) -> FetchError {
    FetchError::NoAnswer(format!("GET {url}: {error}"))
}

/// What we call ourselves in requests.
pub(crate) const OUR_NAME: &str = concat!("tower-bearer/", env!("CARGO_PKG_VERSION"));

/// Refuses everything but 200, and says where a redirect wanted to go, for the operator to configure.
pub(crate) fn check_status(url: &Url, response: &http::Response<Bytes>) -> Result<(), FetchError> {
    if response.status() == StatusCode::OK {
        return Ok(());
    }
    let location = response.headers().get(LOCATION).map_or(String::new(), |location| {
        format!(
            " to {} (redirects are not followed)",
            Excerpt::new(&String::from_utf8_lossy(location.as_bytes()))
        )
    });
    Err(FetchError::Unusable(format!(
        "GET {url}: status {}{location}, expected 200",
        response.status().as_u16()
    )))
}

/// Tells whether a response says that it is JSON; parameters may follow the media type.
pub(crate) fn is_json(response: &http::Response<Bytes>) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    media_type.trim_ascii().eq_ignore_ascii_case(b"application/json")
}
