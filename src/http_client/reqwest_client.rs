//! [`HttpClient`] over reqwest.

use std::{error::Error, time::Duration};

use bytes::{Bytes, BytesMut};

use super::{BoxFuture, HttpClient, HttpError};

/// Time for name resolution, TCP and TLS; the caller's deadline bounds the whole.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// [`HttpClient`] over reqwest: rustls on aws-lc-rs with the platform's certificates, no redirects, no retries.
///
/// Proxies that the environment names (`HTTPS_PROXY`, `NO_PROXY`) are used, as reqwest does it.
///
/// For another TLS stack, a proxy or a private certificate authority, configure a
/// [`reqwest::ClientBuilder`] and hand it to [`from_builder`](Self::from_builder).
#[derive(Clone, Debug)]
pub struct ReqwestClient(reqwest::Client);

impl ReqwestClient {
    /// Builds a client with the defaults above.
    ///
    /// # Errors
    /// When the TLS stack cannot be set up, for example without any trusted certificate on the machine.
    pub fn new() -> Result<Self, HttpError> {
        Self::from_builder(reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT))
    }

    /// Builds a client for servers on this machine, to which no proxy has a way.
    pub(crate) fn for_loopback() -> Result<Self, HttpError> {
        Self::from_builder(reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).no_proxy())
    }

    /// Builds a client from reqwest's own settings, such as a private certificate authority. reqwest is 0.13 here.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_bearer::{AuthorizationServer, ReqwestClient};
    ///
    /// let authority = reqwest::Certificate::from_pem(&std::fs::read("ca.pem")?)?;
    /// let client = ReqwestClient::from_builder(reqwest::Client::builder().tls_certs_merge([authority]))?;
    /// let server = AuthorizationServer::discover("https://as.internal.example").http_client(client);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Redirects and retries are switched off whatever the builder says: a redirect would send the introspection
    /// credential, or the trust in a key set, to an address nobody configured.
    ///
    /// # Errors
    /// What [`reqwest::ClientBuilder::build`] refuses.
    pub fn from_builder(builder: reqwest::ClientBuilder) -> Result<Self, HttpError> {
        builder
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()
            .map(Self)
            .map_err(|error| flat(&error))
    }
}

impl HttpClient for ReqwestClient {
    fn send(
        &self,
        request: http::Request<Bytes>,
        body_limit: usize,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, HttpError>> {
        Box::pin(async move {
            let request = reqwest::Request::try_from(request).map_err(|error| flat(&error))?;
            let mut response = self.0.execute(request).await.map_err(|error| flat(&error))?;
            let mut body = BytesMut::new();
            while let Some(chunk) = response.chunk().await.map_err(|error| flat(&error))? {
                if body.len() + chunk.len() > body_limit {
                    return Err(HttpError::body_too_long(body_limit));
                }
                body.extend_from_slice(&chunk);
            }
            let mut whole = http::Response::new(body.freeze());
            *whole.status_mut() = response.status();
            *whole.headers_mut() = std::mem::take(response.headers_mut());
            Ok(whole)
        })
    }
}

/// Writes reqwest's chain of causes into one line: its own text stops at "error sending request".
fn flat(error: &reqwest::Error) -> HttpError {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    HttpError::new(text)
}
