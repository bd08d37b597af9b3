//! Sends requests to the authorization server: [`HttpClient`], and [`ReqwestClient`] with the feature `reqwest`.
//!
//! The trait is small, so that another client, another TLS stack or a proxy can be used: one request, one complete response.
//! This crate sets a deadline around every call and checks the length of every response itself.
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

/// A boxed future, the return type of object-safe asynchronous methods.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Sends one request and reads the whole response.
///
/// An implementation must
/// - **not follow redirects**: the URL was configured, or comes from a document whose issuer was compared. Return a redirect
///   like any other response; this crate refuses it.
/// - stop reading at `body_limit` bytes and return [`HttpError::body_too_long`].
/// - verify the certificate of the server.
///
/// It need not set a deadline, and should not retry. Its future is dropped when the deadline of the call has passed.
/// `Debug` is part of the `Debug` of validators, so it must not show secrets.
pub trait HttpClient: fmt::Debug + Send + Sync + 'static {
    /// Sends a request and reads the response.
    ///
    /// `body_limit` is in bytes, counted after content decoding. It is 256 KiB in all requests of this version.
    ///
    /// # Errors
    /// If no complete response was received, or one with a longer body. A response with an error status is not an error.
    fn send(
        &self,
        request: http::Request<Bytes>,
        body_limit: usize,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, HttpError>>;
}

/// Why there is no usable response. `Display` is the text of the error inside, for the log.
#[derive(Clone, Debug)]
pub struct HttpError {
    source: Arc<dyn Error + Send + Sync>,
    is_body_too_long: bool,
}

impl HttpError {
    /// Wraps the error of an HTTP client, or a text. The text must not contain the request, which holds the token.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Arc::from(error.into()), is_body_too_long: false }
    }

    /// Makes the error for a response body of more than `limit` bytes.
    pub fn body_too_long(limit: usize) -> Self {
        let text = format!("response body too long, at most {limit} bytes are read");
        Self { is_body_too_long: true, ..Self::new(text) }
    }

    /// Tells whether a response was received whose body is too long.
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
