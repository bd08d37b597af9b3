//! How we reach the authorization server: [`HttpClient`], and [`ReqwestClient`] with the feature `reqwest`.
//!
//! The trait is small so that another client, another TLS stack or a proxy of your own fits in: one request, one whole
//! response. Deadlines are put around each call by the code that makes it, so an implementation cannot forget them.
//!
//! ```
//! use bytes::Bytes;
//! use tower_bearer::{BoxFuture, HttpClient, HttpError};
//!
//! #[derive(Debug)]
//! struct Offline;
//!
//! impl HttpClient for Offline {
//!     fn send(&self, _: http::Request<Bytes>, _: usize) -> BoxFuture<'_, Result<http::Response<Bytes>, HttpError>> {
//!         Box::pin(async { Err(HttpError::new("this machine has no network")) })
//!     }
//! }
//! ```

use std::{error::Error, fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;

/// A boxed future, as object-safe traits return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Sends one request and reads the whole response.
///
/// An implementation must
/// - **not follow redirects**: the address was configured, or came from a document whose issuer was compared; a
///   redirect is an answer like any other and is refused by the caller,
/// - stop reading at `body_limit` bytes and answer [`HttpError::body_too_long`],
/// - verify the server's certificate.
///
/// It need not set a deadline and should not retry.
pub trait HttpClient: fmt::Debug + Send + Sync + 'static {
    /// Sends `request`; `body_limit` is in bytes, counted after any content decoding.
    fn send(
        &self,
        request: http::Request<Bytes>,
        body_limit: usize,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, HttpError>>;
}

/// Why there is no response.
#[derive(Clone, Debug)]
pub struct HttpError {
    source: Arc<dyn Error + Send + Sync>,
    is_body_too_long: bool,
}

impl HttpError {
    /// Wraps the error of an HTTP client.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Arc::from(error.into()), is_body_too_long: false }
    }

    /// Says that the response was longer than the caller allowed.
    pub fn body_too_long(limit: usize) -> Self {
        let text = format!("response body too long, at most {limit} bytes are read");
        Self { is_body_too_long: true, ..Self::new(text) }
    }

    /// Tells whether there was an answer, and too much of it.
    pub(crate) fn is_body_too_long(&self) -> bool {
        self.is_body_too_long
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl Error for HttpError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.source()
    }
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

#[cfg(feature = "reqwest")]
pub use self::with_reqwest::ReqwestClient;

#[cfg(feature = "reqwest")]
mod with_reqwest {
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
        /// let server = AuthorizationServer::discover("https://as.internal.example")?.http_client(client);
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
}
