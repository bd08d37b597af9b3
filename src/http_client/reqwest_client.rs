//! An [`HttpClient`] that uses reqwest: [`ReqwestClient`].

use std::{error::Error, fmt, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use reqwest::dns::Resolve;

use super::{
    AddressGuard, BoxFuture, HttpClient, HttpError,
    guarded_resolver::{GuardedResolver, SystemResolver, check_literal},
};
use crate::ConfigError;

/// Maximum time for name resolution, TCP and TLS. The caller's deadline covers the whole request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// An [`HttpClient`] that uses reqwest.
///
/// It uses rustls with aws-lc-rs and the platform's trusted certificates. It does not follow redirects and does not
/// retry.
///
/// As usual with reqwest, proxies are taken from the environment (`HTTPS_PROXY`, `NO_PROXY`). For another TLS stack, a
/// proxy or a private certificate authority, see [`from_builder`](Self::from_builder).
///
/// It connects to any address, because most authorization servers of a company have private addresses. For URLs that you
/// did not choose, see [`guarded`](Self::guarded).
///
/// Clones share their connections. `Debug` does not show settings, because default headers and proxies may contain
/// secrets.
#[derive(Clone)]
pub struct ReqwestClient {
    client: reqwest::Client,
    /// For URLs whose host is an address. Names are checked when they are resolved.
    guard: Option<Arc<AddressGuard>>,
}

impl ReqwestClient {
    /// Builds a client with the settings above and a connect timeout of 3 seconds.
    ///
    /// # Errors
    /// If the TLS stack cannot be set up, for example because the machine has no trusted certificates.
    pub fn new() -> Result<Self, HttpError> {
        Self::from_builder(Self::default_builder())
    }

    /// Returns the builder of [`new`](Self::new).
    pub(crate) fn default_builder() -> reqwest::ClientBuilder {
        reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT)
    }

    /// Builds a client without a proxy, for servers on this machine.
    pub(crate) fn for_loopback() -> Result<Self, HttpError> {
        Self::from_builder(Self::default_builder().no_proxy())
    }

    /// Builds a client from a reqwest 0.13 builder, for example with a private certificate authority.
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
    /// Redirects and retries are always disabled. A redirect could send the introspection credential to a URL that was
    /// not configured, or fetch keys from one.
    ///
    /// Not checked: all other settings. If the builder accepts invalid certificates, so does the client.
    ///
    /// # Errors
    /// If [`reqwest::ClientBuilder::build`] fails.
    pub fn from_builder(builder: reqwest::ClientBuilder) -> Result<Self, HttpError> {
        let client =
            builder.redirect(reqwest::redirect::Policy::none()).retry(reqwest::retry::never()).build();
        Ok(Self { client: client.map_err(|error| with_causes(&error))?, guard: None })
    }

    /// Builds a client that connects only to addresses that `guard` allows. Use it for URLs that you did not choose.
    ///
    /// The addresses are checked for each new connection, so DNS rebinding cannot bypass the guard. A request to a host
    /// without an allowed address fails before anything is sent, and the response to the request with the token is 503.
    ///
    /// ```
    /// use tower_bearer::{AddressGuard, ReqwestClient};
    ///
    /// let client = ReqwestClient::guarded(AddressGuard::new())?;
    /// # Ok::<(), tower_bearer::HttpError>(())
    /// ```
    ///
    /// # Deployment
    /// It uses no proxy, even if the environment has one, because a proxy resolves names itself. If requests must go through
    /// a proxy, let the proxy refuse private addresses, and use [`new`](Self::new).
    ///
    /// # Errors
    /// If a range of the guard is not valid, or the TLS stack cannot be set up.
    pub fn guarded(guard: AddressGuard) -> Result<Self, HttpError> {
        Self::guarded_from_builder(reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT), guard)
    }

    /// Builds a client like [`guarded`](Self::guarded) from a reqwest builder.
    ///
    /// The proxies and the name resolver of the builder are not used.
    ///
    /// Not checked: addresses set with [`resolve`](reqwest::ClientBuilder::resolve) and
    /// [`resolve_to_addrs`](reqwest::ClientBuilder::resolve_to_addrs), Unix sockets, and connector layers.
    ///
    /// # Errors
    /// As for [`guarded`](Self::guarded) and [`from_builder`](Self::from_builder).
    pub fn guarded_from_builder(
        builder: reqwest::ClientBuilder,
        guard: AddressGuard,
    ) -> Result<Self, HttpError> {
        Self::guarded_with_resolver(builder, guard, SystemResolver)
    }

    pub(super) fn guarded_with_resolver(
        builder: reqwest::ClientBuilder,
        guard: AddressGuard,
        resolver: impl Resolve + 'static,
    ) -> Result<Self, HttpError> {
        if !guard.problems().is_empty() {
            return Err(HttpError::new(ConfigError::of(guard.problems().to_vec())));
        }
        let guard = Arc::new(guard);
        let resolver = GuardedResolver::new(Arc::clone(&guard), resolver);
        let client = Self::from_builder(builder.no_proxy().dns_resolver(resolver))?;
        Ok(Self { guard: Some(guard), ..client })
    }
}

impl HttpClient for ReqwestClient {
    fn send(
        &self,
        request: http::Request<Bytes>,
        body_limit: usize,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, HttpError>> {
        Box::pin(async move {
            let request = reqwest::Request::try_from(request).map_err(|error| with_causes(&error))?;
            if let Some(guard) = &self.guard {
                check_literal(guard, request.url())?;
            }
            let mut response = self.client.execute(request).await.map_err(|error| with_causes(&error))?;
            let mut body = BytesMut::new();
            while let Some(chunk) = response.chunk().await.map_err(|error| with_causes(&error))? {
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

impl fmt::Debug for ReqwestClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestClient").finish_non_exhaustive()
    }
}

/// Formats an error and its causes in one line. A reqwest error itself only says "error sending request".
fn with_causes(error: &reqwest::Error) -> HttpError {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    HttpError::new(text)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
        task::JoinHandle,
    };

    use super::*;

    const LIMIT: usize = 64 * 1024;

    /// Much more than the buffers of a loopback connection can hold.
    const HUGE: usize = 256 * 1024 * 1024;

    #[derive(Clone, Copy, Debug)]
    enum Framing {
        ContentLength,
        Chunked,
    }

    /// Answers one request with a body of this length. The task returns whether all of it could be written.
    async fn serve(framing: Framing, length: usize) -> (SocketAddr, JoinHandle<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0);
            }
            let head = match framing {
                Framing::ContentLength => format!("content-length: {length}"),
                Framing::Chunked => "transfer-encoding: chunked".to_owned(),
            };
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{head}\r\n\r\n");
            let mut sent = stream.write_all(head.as_bytes()).await;
            let mut left = length;
            while left > 0 && sent.is_ok() {
                let part = left.min(16 * 1024);
                left -= part;
                let mut bytes = vec![b'x'; part];
                if matches!(framing, Framing::Chunked) {
                    bytes.splice(..0, format!("{part:x}\r\n").into_bytes());
                    bytes.extend_from_slice(b"\r\n");
                }
                sent = stream.write_all(&bytes).await;
            }
            if matches!(framing, Framing::Chunked) && sent.is_ok() {
                sent = stream.write_all(b"0\r\n\r\n").await;
            }
            sent.is_ok()
        });
        (address, server)
    }

    async fn fetch(address: SocketAddr) -> Result<usize, HttpError> {
        let request = http::Request::get(format!("http://{address}/")).body(Bytes::new()).unwrap();
        let client = ReqwestClient::for_loopback().unwrap();
        client.send(request, LIMIT).await.map(|response| response.body().len())
    }

    #[tokio::test]
    async fn a_body_of_exactly_the_limit_is_read() {
        for framing in [Framing::ContentLength, Framing::Chunked] {
            let (address, server) = serve(framing, LIMIT).await;

            assert_eq!(fetch(address).await.unwrap(), LIMIT, "{framing:?}");
            assert!(server.await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_body_of_one_byte_more_is_refused() {
        for framing in [Framing::ContentLength, Framing::Chunked] {
            let (address, _server) = serve(framing, LIMIT + 1).await;

            assert!(fetch(address).await.unwrap_err().is_body_too_long(), "{framing:?}");
        }
    }

    #[tokio::test]
    async fn reading_stops_at_the_limit() {
        for framing in [Framing::ContentLength, Framing::Chunked] {
            let (address, server) = serve(framing, HUGE).await;

            assert!(fetch(address).await.unwrap_err().is_body_too_long(), "{framing:?}");
            assert!(!server.await.unwrap(), "{framing:?}: the server could write all of the body");
        }
    }

    #[test]
    fn a61_default_headers_are_not_in_debug() {
        let mut headers = http::HeaderMap::new();
        headers.insert("x-gateway-key", "s3cret-key".parse().unwrap());

        let client =
            ReqwestClient::from_builder(reqwest::Client::builder().default_headers(headers)).unwrap();

        assert_eq!(format!("{client:?}"), "ReqwestClient { .. }");
    }
}
