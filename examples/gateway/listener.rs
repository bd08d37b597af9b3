//! Accepts connections and refuses requests whose head can be read in two ways: [`serve`].

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{
    Request, Response, StatusCode, Version,
    header::{HOST, TRANSFER_ENCODING},
};
use http_body::Body;
use http_body_util::{Either, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tower::{Service, ServiceExt as _};

use super::body::BoxError;

/// The address of the client, in the extensions of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientAddress(pub(crate) SocketAddr);

/// Serves HTTP/1.1 and HTTP/2 until the future is dropped.
pub(crate) async fn serve<S, B>(listener: TcpListener, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => {
                match accepted {
                    Ok((stream, address)) => {
                        connections.spawn(serve_connection(stream, address, service.clone()));
                    }
                    // The peer closed the connection, or the process has too many open files. Do not retry in a busy loop.
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                }
            }
        }
    }
}

async fn serve_connection<S, B>(stream: TcpStream, address: SocketAddr, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        let service = service.clone();
        async move {
            if let Err(reason) = check_head(&request) {
                let mut response = Response::new(Either::Left(Full::from(reason)));
                *response.status_mut() = StatusCode::BAD_REQUEST;
                return Ok::<_, Infallible>(response);
            }
            request.extensions_mut().insert(ClientAddress(address));
            Ok(service.oneshot(request).await?.map(Either::Right))
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // With a timer, hyper waits at most 30 seconds for the head of a request.
    builder.http1().timer(TokioTimer::new());
    builder.http2().timer(TokioTimer::new());
    // An error means that the client left, or that the backend's response ended early, which the client notices itself.
    let _ = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
}

/// Refuses a head that another server on the way may read differently.
fn check_head<B>(request: &Request<B>) -> Result<(), &'static str> {
    let headers = request.headers();
    let hosts = headers.get_all(HOST).iter().count();
    // RFC 9112 section 3.2: exactly one `Host`, also with a target in absolute form. HTTP/2 may have none.
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Err("exactly one Host field is expected");
    }
    if request.version() < Version::HTTP_2 {
        let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
        let is_only_chunked =
            codings.next().is_none_or(|value| value.as_bytes().eq_ignore_ascii_case(b"chunked"));
        if !is_only_chunked || codings.next().is_some() {
            return Err("the only transfer coding is chunked");
        }
    }
    // RFC 9112 section 3.2: other forms are for proxies, and for `OPTIONS *`.
    let path = request.uri().path();
    if !path.starts_with('/') && request.method() != http::Method::CONNECT {
        return Err("the target must be a path");
    }
    Ok(())
}

/// Maximum number of open connections. Further ones wait in the queue of the operating system.
const MAX_CONNECTIONS: usize = 1_024;

/// The pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
