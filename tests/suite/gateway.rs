//! Proves what the gateway of `examples/gateway` passes on, over loopback with sockets that show each byte.

#[path = "../../examples/gateway/main.rs"]
#[allow(dead_code, reason = "`main` is used only by the example")]
mod example;

mod bodies;
mod decisions;
mod headers;
mod reloading;
mod rules;
mod websockets;

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use tower_bearer::{PathRules, Requirement};

use crate::support::soon;

use self::example::{
    app,
    authorization_server::{AuthorizationServer, Minting, TokenFormat},
    listener::serve,
    settings::{Configuration, ProxySettings},
};

#[tokio::test]
async fn gateway_example_succeeds() {
    example::walk::demonstrate().await.unwrap();
}

#[tokio::test]
async fn request_without_a_token_does_not_reach_the_backend() {
    let kit = Kit::start().await;

    let response = kit.exchange("GET / HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n").await;

    assert!(response.starts_with("HTTP/1.1 401 "), "{response}");
    let challenge = format!("www-authenticate: Bearer resource_metadata=\"{}/.well-known/", kit.url);
    assert!(response.contains(&challenge), "{response}");
    kit.assert_backend_was_not_called();
}

#[tokio::test]
async fn metadata_is_public() {
    let kit = Kit::start().await;

    let path = "/.well-known/oauth-protected-resource";
    let response =
        kit.exchange(&format!("GET {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n")).await;

    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    assert!(response.contains(&format!("\"resource\":\"{}\"", kit.url)), "{response}");
    kit.assert_backend_was_not_called();
}

#[tokio::test]
async fn backend_that_cannot_be_reached_is_502() {
    let kit = Kit::with(|settings| settings.backend.authority = "127.0.0.1:1".parse().unwrap()).await;

    let response = kit.exchange(&kit.get("/", "Connection: close\r\n")).await;

    assert!(response.starts_with("HTTP/1.1 502 "), "{response}");
}

#[tokio::test]
async fn backend_that_does_not_answer_in_time_is_504() {
    let kit = Kit::with(|settings| settings.backend.response_timeout = Duration::from_millis(1)).await;

    let response = kit.exchange(&kit.get("/", "Connection: close\r\n")).await;

    assert!(response.starts_with("HTTP/1.1 504 "), "{response}");
}

#[tokio::test]
async fn backend_that_closes_the_connection_is_502() {
    let kit = Kit::start().await;
    let mut client = kit.connect(&kit.get("/", "Connection: close\r\n")).await;

    let (backend, _) = kit.accept().await;
    drop(backend);

    let response = read_to_end(&mut client).await;
    assert!(response.starts_with("HTTP/1.1 502 "), "{response}");
}

#[tokio::test]
async fn backend_that_refuses_the_gateway_is_502() {
    let credential = http::HeaderValue::from_static("Basic cm9ib3Q6c2VjcmV0");
    let kit = Kit::with(|settings| settings.backend.authorization = Some(credential)).await;
    let mut client = kit.connect(&kit.get("/", "Connection: close\r\n")).await;

    let (mut backend, head) = kit.accept().await;
    write(
        &mut backend,
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n",
    )
    .await;

    let response = read_to_end(&mut client).await;
    assert!(head.contains("authorization: Basic cm9ib3Q6c2VjcmV0\r\n"), "{head}");
    assert!(response.starts_with("HTTP/1.1 502 ") && !response.contains("Basic"), "{response}");
}

#[tokio::test]
async fn client_that_leaves_ends_the_request_to_the_backend() {
    let kit = Kit::start().await;
    let client = kit.connect(&kit.get("/", "")).await;
    let (mut backend, _) = kit.accept().await;

    drop(client);

    assert_eq!(soon(backend.read(&mut [0; 1])).await.unwrap(), 0);
}

#[tokio::test]
async fn client_that_leaves_ends_a_stream_of_the_backend() {
    let kit = Kit::start().await;
    let mut client = kit.connect(&kit.get("/", "")).await;
    let (mut backend, _) = kit.accept().await;
    write(&mut backend, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n").await;
    read_until(&mut client, "\r\n1\r\na\r\n").await;

    drop(client);

    assert_eq!(soon(backend.read(&mut [0; 1])).await.unwrap(), 0);
}

/// A gateway in front of a backend that is a socket of the test.
struct Kit {
    authority: AuthorizationServer,
    backend: TcpListener,
    url: String,
    token: String,
}

impl Kit {
    async fn start() -> Self {
        Self::with(|_| ()).await
    }

    async fn with(configure: impl FnOnce(&mut ProxySettings)) -> Self {
        let any = PathRules::builder().otherwise(Requirement::token()).build().unwrap();
        Self::run(configure, Some(any)).await
    }

    /// A gateway with these rules. `None` is those of `gateway.toml`.
    async fn run(configure: impl FnOnce(&mut ProxySettings), rules: Option<PathRules>) -> Self {
        let authority = AuthorizationServer::start().await.unwrap();
        let (backend, listener) = (bind().await, bind().await);
        let url = format!("http://{}", listener.local_addr().unwrap());
        authority.add_resource(&url, TokenFormat::Jwt, &["mcp:read", "mcp:write"]);
        let token = authority.mint(Minting { resource: &url, scope: "mcp:write", ..Minting::default() });
        let backend_url = format!("http://{}", backend.local_addr().unwrap());
        let Configuration { gateway, source } =
            Configuration::embedded(authority.issuer(), &url, &backend_url).unwrap();
        let resource_server = source.load().unwrap();
        let mut proxy = gateway.proxy(&resource_server).unwrap();
        configure(&mut proxy);
        let layer = match rules {
            Some(rules) => resource_server.require_by(rules),
            None => resource_server.require_policy().unwrap(),
        };
        let gateway = app(&resource_server, &layer, proxy, gateway.websocket_token_prefix).unwrap();
        tokio::spawn(serve(listener, gateway));
        Self { authority, backend, url, token }
    }

    fn mint(&self, claims: &[(&'static str, serde_json::Value)]) -> String {
        let claims = claims.iter().cloned().collect();
        self.authority.mint(Minting { resource: &self.url, claims, ..Minting::default() })
    }

    /// A `GET` with the token and more header lines.
    fn get(&self, path: &str, more: &str) -> String {
        let token = &self.token;
        format!("GET {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n{more}\r\n")
    }

    /// The head of a `POST` with the token and more header lines.
    fn post(&self, more: &str) -> String {
        self.get("/", more).replacen("GET", "POST", 1)
    }

    /// Opens a connection to the gateway and sends this.
    async fn connect(&self, request: &str) -> TcpStream {
        let mut client = TcpStream::connect(self.url.trim_start_matches("http://")).await.unwrap();
        write(&mut client, request).await;
        client
    }

    /// Sends a request that asks to close the connection, and returns the whole response.
    async fn exchange(&self, request: &str) -> String {
        let mut client = self.connect(request).await;
        read_to_end(&mut client).await
    }

    /// Accepts a connection of the gateway and reads the head of its request.
    async fn accept(&self) -> (TcpStream, String) {
        let (mut backend, _) = soon(self.backend.accept()).await.unwrap();
        let head = read_until(&mut backend, "\r\n\r\n").await;
        (backend, head)
    }

    /// Sends a request that asks to close the connection. Returns the head that the backend got and the response.
    async fn through(&self, request: &str) -> (String, String) {
        let mut client = self.connect(request).await;
        let (mut backend, head) = self.accept().await;
        write(&mut backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        (head, read_to_end(&mut client).await)
    }

    fn assert_backend_was_not_called(&self) {
        use std::task::{Context, Poll, Waker};

        let accepted = self.backend.poll_accept(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(accepted, Poll::Pending), "{accepted:?}");
    }
}

async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

async fn write(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// Reads until the text ends with this.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end.as_bytes()) {
        let byte = soon(stream.read_u8()).await;
        bytes.push(byte.unwrap_or_else(|error| panic!("{error} after {}", String::from_utf8_lossy(&bytes))));
    }
    String::from_utf8(bytes).unwrap()
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    soon(stream.read_to_string(&mut text)).await.unwrap();
    text
}

/// The values of a header in a head.
fn values<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
}
