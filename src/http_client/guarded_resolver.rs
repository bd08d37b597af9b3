//! Removes addresses that a guard refuses from the results of name resolution: [`GuardedResolver`].

use std::{error::Error, net::SocketAddr, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::{AddressGuard, HttpError};

/// The name resolver of a guarded client, which connects only to the addresses that it returns.
///
/// The client therefore connects only to checked addresses, even if a name server returns a different address for each query.
pub(super) struct GuardedResolver<R> {
    guard: Arc<AddressGuard>,
    inner: R,
}

impl<R> GuardedResolver<R> {
    pub(super) fn new(guard: Arc<AddressGuard>, inner: R) -> Self {
        Self { guard, inner }
    }
}

impl<R: Resolve> Resolve for GuardedResolver<R> {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.guard);
        let host = name.as_str().to_owned();
        let resolving = self.inner.resolve(name);
        Box::pin(async move {
            let mut refused = None;
            let mut allowed = Vec::new();
            for address in resolving.await? {
                if guard.allows(address.ip()) {
                    allowed.push(address);
                } else {
                    refused = Some(address);
                }
            }
            match refused {
                Some(address) if allowed.is_empty() => Err(Refused::of(&host, address).into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// Resolves names as the operating system does.
pub(super) struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(Box::new(found.collect::<Vec<_>>().into_iter()) as Addrs)
        })
    }
}

/// Refuses a URL whose host is an address that the guard refuses. Such a host is not resolved.
pub(super) fn check_literal(guard: &AddressGuard, url: &Url) -> Result<(), HttpError> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.into(),
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    if guard.allows(address) {
        return Ok(());
    }
    Err(HttpError::new(Refused::of(url.host_str().unwrap_or_default(), SocketAddr::new(address, 0))))
}

/// The error for a host without an address that may be connected to.
#[derive(Debug)]
struct Refused {
    host: String,
    address: SocketAddr,
}

impl Refused {
    fn of(host: &str, address: SocketAddr) -> Self {
        Self { host: host.to_owned(), address }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (host, address) = (&self.host, self.address.ip());
        write!(
            f,
            "host {host:?} has the address {address}, which is not on the public internet; AddressGuard::allow() allows it"
        )
    }
}

impl Error for Refused {}

#[cfg(test)]
mod tests {
    use std::{
        io::{ErrorKind, Read as _, Write as _},
        net::{IpAddr, Ipv4Addr, TcpListener},
        sync::Mutex,
    };

    use bytes::Bytes;

    use super::*;
    use crate::{HttpClient as _, ReqwestClient};

    const ALLOWED: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    const INTERNAL: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));

    /// Gives the next of these answers to each question.
    struct Scripted(Mutex<Vec<Vec<IpAddr>>>);

    impl Resolve for Scripted {
        fn resolve(&self, _: Name) -> Resolving {
            let answer = self.0.lock().unwrap().remove(0);
            let addresses = answer.into_iter().map(|address| SocketAddr::new(address, 0));
            let addresses: Addrs = Box::new(addresses.collect::<Vec<_>>().into_iter());
            Box::pin(std::future::ready(Ok(addresses)))
        }
    }

    fn client(answers: &[&[IpAddr]]) -> ReqwestClient {
        let answers = answers.iter().map(|answer| answer.to_vec()).collect();
        ReqwestClient::guarded_with_resolver(
            reqwest::Client::builder(),
            AddressGuard::new().allow("127.0.0.2"),
            Scripted(Mutex::new(answers)),
        )
        .unwrap()
    }

    async fn get(client: &ReqwestClient, url: String) -> Result<u16, String> {
        let request = http::Request::get(url).body(Bytes::new()).unwrap();
        let response = client.send(request, 1_024).await;
        response.map(|response| response.status().as_u16()).map_err(|error| error.to_string())
    }

    /// Two servers on the same port of both addresses. The first answers one request.
    fn servers() -> (u16, TcpListener) {
        loop {
            let allowed = TcpListener::bind((ALLOWED, 0)).unwrap();
            let port = allowed.local_addr().unwrap().port();
            // The port may be in use on the other address.
            let Ok(internal) = TcpListener::bind((INTERNAL, port)) else { continue };
            internal.set_nonblocking(true).unwrap();
            std::thread::spawn(move || {
                let (mut stream, _) = allowed.accept().unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    request.extend(byte);
                }
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
                    .unwrap();
            });
            return (port, internal);
        }
    }

    /// Asserts that nobody connected. A connection is there as soon as the client's `connect` returns.
    fn assert_no_connection(listener: &TcpListener) {
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    #[tokio::test]
    async fn a68_a_name_that_gets_an_internal_address_is_refused_at_the_next_connection() {
        let (port, internal) = servers();
        let client = client(&[&[ALLOWED], &[INTERNAL]]);
        let url = || format!("http://as.example.com:{port}/jwks");

        assert_eq!(get(&client, url()).await, Ok(200));
        let error = get(&client, url()).await.unwrap_err();

        assert!(error.contains("\"as.example.com\" has the address 127.0.0.1, which is not on"), "{error}");
        assert_no_connection(&internal);
    }

    #[tokio::test]
    async fn a68_an_internal_address_beside_an_allowed_one_is_not_connected_to() {
        let (port, internal) = servers();
        let client = client(&[&[INTERNAL, ALLOWED], &[ALLOWED, INTERNAL]]);
        let url = || format!("http://as.example.com:{port}/jwks");

        assert_eq!(get(&client, url()).await, Ok(200));
        // The allowed server is gone, so an unguarded client would try the other address.
        get(&client, url()).await.unwrap_err();

        assert_no_connection(&internal);
    }

    #[tokio::test]
    async fn a67_a_url_whose_host_is_an_internal_address_is_refused() {
        let (port, internal) = servers();
        let client = client(&[]);

        for host in ["127.0.0.1", "[::1]", "2130706433", "0x7f.1", "127.0.0.1.", "[::ffff:127.0.0.1]", "0"] {
            let error = get(&client, format!("http://{host}:{port}/jwks")).await.unwrap_err();
            assert!(error.contains("not on the public internet"), "{host}: {error}");
        }
        assert_eq!(get(&client, format!("http://{ALLOWED}:{port}/")).await, Ok(200));

        assert_no_connection(&internal);
    }

    #[tokio::test]
    async fn a67_localhost_is_refused_by_the_default_guard() {
        let listener = TcpListener::bind((INTERNAL, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let client = ReqwestClient::guarded(AddressGuard::new()).unwrap();

        let error =
            get(&client, format!("http://localhost:{}/", listener.local_addr().unwrap().port())).await;

        assert!(error.unwrap_err().contains("\"localhost\" has the address"));
        assert_no_connection(&listener);
    }

    #[tokio::test]
    async fn a67_a_guarded_client_uses_no_proxy() {
        let proxy = TcpListener::bind((INTERNAL, 0)).unwrap();
        proxy.set_nonblocking(true).unwrap();
        let builder = reqwest::Client::builder()
            .proxy(reqwest::Proxy::all(format!("http://{}", proxy.local_addr().unwrap())).unwrap());
        let client = ReqwestClient::guarded_from_builder(builder, AddressGuard::new()).unwrap();

        get(&client, "http://127.0.0.1:9/jwks".to_owned()).await.unwrap_err();
        get(&client, "http://localhost:9/jwks".to_owned()).await.unwrap_err();

        assert_no_connection(&proxy);
    }

    #[test]
    fn a_range_that_is_not_valid_is_an_error() {
        let error = ReqwestClient::guarded(AddressGuard::new().allow("10.0.0.0/33")).unwrap_err();

        assert!(error.to_string().starts_with("address range \"10.0.0.0/33\": expected"), "{error}");
    }
}
