//! Sends requests to the authorization server: [`HttpClient`], and [`ReqwestClient`] with the feature `reqwest`.
//! [`AddressGuard`] decides which addresses it may connect to.
//!
//! The trait has one method, so that any HTTP client, TLS stack or proxy can be used. This crate enforces a deadline
//! for every call and checks the length of every response itself.
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

mod address_guard;
pub(crate) mod fetch;
#[cfg(feature = "reqwest")]
mod guarded_resolver;
#[cfg(feature = "reqwest")]
mod reqwest_client;

use std::{error::Error, fmt, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;

pub use self::address_guard::AddressGuard;
#[cfg(feature = "reqwest")]
pub use self::reqwest_client::ReqwestClient;

/// A boxed future, the return type of object-safe asynchronous methods.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Sends one request and reads the whole response.
///
/// An implementation must
/// - **not follow redirects**: the URL was configured, or comes from metadata whose issuer was checked. Return a
///   redirect like any other response; this crate refuses it.
/// - stop reading at `body_limit` bytes and return [`HttpError::body_too_long`].
/// - verify the certificate of the server.
///
/// It does not need to set a deadline and should not retry. Its future is dropped when the deadline passes. The `Debug`
/// output of validators includes that of the client, so it must not contain secrets.
pub trait HttpClient: fmt::Debug + Send + Sync + 'static {
    /// Sends a request and reads the response.
    ///
    /// `body_limit` is in bytes, counted after content decoding. It is currently 256 KiB for all requests.
    ///
    /// # Errors
    /// If no complete response was received, or its body is longer than `body_limit`. A response with an error status
    /// is not an error.
    fn send(
        &self,
        request: http::Request<Bytes>,
        body_limit: usize,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, HttpError>>;
}

/// The error of an [`HttpClient`]. `Display` shows the inner error, for the log.
#[derive(Clone, Debug)]
pub struct HttpError {
    source: Arc<dyn Error + Send + Sync>,
    is_body_too_long: bool,
}

impl HttpError {
    /// Wraps the error of an HTTP client, or a text.
    ///
    /// The text must not contain the request, because that may contain a token or a credential.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Arc::from(error.into()), is_body_too_long: false }
    }

    /// Creates the error for a response body of more than `limit` bytes.
    pub fn body_too_long(limit: usize) -> Self {
        let text = format!("response body is longer than {limit} bytes");
        Self { is_body_too_long: true, ..Self::new(text) }
    }

    /// Returns whether the response body was too long.
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
