//! Fetches documents from the authorization server, with a deadline and a size limit.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, LOCATION, USER_AGENT},
};
use url::Url;

use super::{HttpClient, HttpError};
use crate::{refusal::Excerpt, user_info::without_user_info};

/// Maximum length of a document, in bytes. The largest metadata and key sets known are a tenth of this.
const MAX_DOCUMENT_LEN: usize = 256 * 1024;

/// The value of the `User-Agent` header.
pub(crate) const USER_AGENT_VALUE: &str = concat!("tower-bearer/", env!("CARGO_PKG_VERSION"));

/// Why a document could not be fetched, as one line for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FetchError {
    /// No response was received: the connection failed or timed out. Other documents on the same server are not tried.
    #[error("{0}")]
    NoResponse(String),
    /// A response was received but cannot be used: it is too long, its status is not 200, or its content is refused.
    #[error("{0}")]
    Unusable(String),
}

impl FetchError {
    /// Returns the name of the variant in snake case, for events.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::NoResponse(_) => "no_response",
            Self::Unusable(_) => "unusable",
        }
    }
}

/// Fetches a document. The caller checks the status and the content.
pub(crate) async fn get(
    client: &dyn HttpClient,
    url: &Url,
    deadline: Duration,
) -> Result<Response<Bytes>, FetchError> {
    let no_response = |error: &dyn std::fmt::Display| FetchError::NoResponse(format!("GET {url}: {error}"));
    let request = Request::builder()
        .method(Method::GET)
        .uri(url.as_str())
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, USER_AGENT_VALUE)
        .body(Bytes::new())
        .map_err(|error| no_response(&error))?;
    send(client, request, MAX_DOCUMENT_LEN, deadline).await.map_err(|error| match error.is_body_too_long() {
        true => FetchError::Unusable(format!("GET {url}: {error}")),
        false => no_response(&error),
    })
}

/// Sends a request and reads the response. Enforces the deadline and the size limit even if the client does not.
pub(crate) async fn send(
    client: &dyn HttpClient,
    request: Request<Bytes>,
    body_limit: usize,
    deadline: Duration,
) -> Result<Response<Bytes>, HttpError> {
    let response = tokio::time::timeout(deadline, client.send(request, body_limit))
        .await
        .map_err(|_| HttpError::new(format!("no response within {deadline:?}")))??;
    if response.body().len() > body_limit {
        return Err(HttpError::body_too_long(body_limit));
    }
    Ok(response)
}

/// Refuses every status except 200. The error for a redirect contains its target, so that an operator can configure
/// that URL.
pub(crate) fn check_status(url: &Url, response: &Response<Bytes>) -> Result<(), FetchError> {
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(());
    }
    let redirect = response.headers().get(LOCATION).map(|location| {
        let location = String::from_utf8_lossy(location.as_bytes());
        format!(" to {} (redirects are not followed)", Excerpt::new(&without_user_info(&location)))
    });
    let redirect = redirect.unwrap_or_default();
    Err(FetchError::Unusable(format!("GET {url}: status {}{redirect}, expected 200", status.as_u16())))
}

/// Returns whether the content type is `application/json`, with or without parameters.
pub(crate) fn is_json(response: &Response<Bytes>) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    media_type.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BoxFuture;

    /// Returns a body of this length and ignores the limit, or never responds.
    #[derive(Debug)]
    struct Careless(Option<usize>);

    impl HttpClient for Careless {
        fn send(&self, _: Request<Bytes>, _: usize) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
            Box::pin(async {
                match self.0 {
                    Some(length) => Ok(Response::new(vec![b' '; length].into())),
                    None => std::future::pending().await,
                }
            })
        }
    }

    fn url() -> Url {
        Url::parse("https://as.example.com/jwks").unwrap()
    }

    async fn fetch(client: Careless) -> Result<usize, FetchError> {
        get(&client, &url(), Duration::from_secs(5)).await.map(|response| response.body().len())
    }

    #[tokio::test]
    async fn a_document_longer_than_the_limit_is_unusable_whatever_the_client_does() {
        assert_eq!(fetch(Careless(Some(MAX_DOCUMENT_LEN))).await, Ok(MAX_DOCUMENT_LEN));

        let error = fetch(Careless(Some(MAX_DOCUMENT_LEN + 1))).await.unwrap_err();

        assert!(matches!(&error, FetchError::Unusable(text) if text.contains("262144 bytes")), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_after_the_deadline_is_ignored_whatever_the_client_does() {
        let error = fetch(Careless(None)).await.unwrap_err();

        assert_eq!(
            error,
            FetchError::NoResponse("GET https://as.example.com/jwks: no response within 5s".into())
        );
    }

    #[test]
    fn only_200_is_accepted_and_a_redirect_is_named_without_user_info() {
        let check = |status: u16, location: Option<&str>| {
            let mut response = Response::builder().status(status);
            if let Some(location) = location {
                response = response.header(LOCATION, location);
            }
            check_status(&url(), &response.body(Bytes::new()).unwrap())
        };
        let unusable =
            |text: &str| Err(FetchError::Unusable(format!("GET https://as.example.com/jwks: {text}")));

        assert_eq!(check(200, None), Ok(()));
        for status in [201, 204, 304, 404, 500] {
            assert_eq!(check(status, None), unusable(&format!("status {status}, expected 200")));
        }
        assert_eq!(
            check(302, Some("https://user:secret@h/jwks")),
            unusable(
                "status 302 to \"https://[redacted]@h/jwks\" (redirects are not followed), expected 200"
            )
        );
    }

    #[test]
    fn json_is_recognized_by_its_media_type() {
        for (content_type, expected) in [
            ("application/json", true),
            ("Application/JSON ; charset=utf-8", true),
            ("application/jsonp", false),
            ("text/html", false),
            ("", false),
        ] {
            let response = Response::builder().header(CONTENT_TYPE, content_type);
            assert_eq!(is_json(&response.body(Bytes::new()).unwrap()), expected, "{content_type}");
        }
        assert!(!is_json(&Response::new(Bytes::new())));
    }
}
