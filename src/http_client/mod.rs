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

pub(crate) mod fetch;
#[cfg(feature = "reqwest")]
mod reqwest_client;

use std::{error::Error, fmt, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;

#[cfg(feature = "reqwest")]
pub use self::reqwest_client::ReqwestClient;

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
