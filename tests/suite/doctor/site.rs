//! A healthy resource server with its authorization server, written by hand, so that a test can break any byte of it.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tower_bearer::{Algorithm, testing::SigningKey};

/// The path of the resource.
pub(crate) const PATH: &str = "/orders";

/// The servers, at one address.
#[derive(Clone)]
pub(crate) struct Site {
    /// Such as `http://127.0.0.1:1234`.
    pub(crate) base: String,
    pub(crate) port: u16,
    jwk: Value,
}

/// A request that was received.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

/// What is sent back.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    /// Sent instead of everything else.
    pub(crate) raw: Option<Vec<u8>>,
    /// Nothing is sent, and the connection stays open.
    pub(crate) hangs: bool,
}

/// Changes a reply of the healthy site.
pub(crate) type Fault = fn(&Site, &Received, Reply) -> Reply;

impl Site {
    /// Serves the site with a fault until the test ends.
    pub(crate) async fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let jwk = SigningKey::generate("key-1", Algorithm::ES256).jwk();
        let site = Self { base: format!("http://127.0.0.1:{port}"), port, jwk };
        let served = Arc::new(site.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let site = Arc::clone(&served);
                tokio::spawn(async move { site.serve(stream, fault).await });
            }
        });
        site
    }

    async fn serve(&self, mut stream: TcpStream, fault: Fault) {
        let Some(request) = receive(&mut stream).await else { return };
        let reply = fault(self, &request, self.reply(&request));
        if reply.hangs {
            // Until the client closes the connection.
            let _ = stream.read(&mut [0; 1]).await;
            return;
        }
        let _ = stream.write_all(&reply.into_bytes()).await;
        let _ = stream.shutdown().await;
    }

    fn reply(&self, request: &Received) -> Reply {
        match &*request.path {
            "/orders" | "/mcp" => self.resource(request),
            "/.well-known/oauth-protected-resource/orders" => Reply::json(&self.metadata(PATH)),
            "/.well-known/oauth-protected-resource/mcp" => Reply::json(&self.metadata("/mcp")),
            "/.well-known/oauth-authorization-server/as" => Reply::json(&self.issuer_metadata()),
            "/as/jwks" => Reply::json(&json!({"keys": [self.jwk]})),
            _ => Reply::new(404),
        }
    }

    fn resource(&self, request: &Received) -> Reply {
        let has_origin = request.header("origin").is_some();
        if request.method == "OPTIONS" && has_origin {
            return Reply::new(204)
                .with("access-control-allow-origin", "*")
                .with("access-control-allow-headers", "authorization, content-type")
                .with("access-control-allow-methods", "GET, POST");
        }
        let mut credentials = request.headers.iter().filter(|(name, _)| name == "authorization");
        let (first, second) = (credentials.next(), credentials.next());
        let (status, error) = match (first.map(|(_, value)| &**value), second) {
            (None, _) => (401, ""),
            (Some(value), None) if value.to_ascii_lowercase().starts_with(b"basic ") => (401, ""),
            (Some(value), None) if is_bearer(value) => (401, ", error=\"invalid_token\""),
            _ => (400, ", error=\"invalid_request\""),
        };
        let metadata = format!("{}/.well-known/oauth-protected-resource{}", self.base, request.path);
        let challenge = format!("Bearer resource_metadata=\"{metadata}\", scope=\"orders:read\"{error}");
        let reply = Reply::new(status).with("www-authenticate", challenge).with("cache-control", "no-store");
        match has_origin {
            true => reply
                .with("access-control-allow-origin", "*")
                .with("access-control-expose-headers", "WWW-Authenticate"),
            false => reply,
        }
    }

    /// Returns the metadata of the resource at a path.
    pub(crate) fn metadata(&self, path: &str) -> Value {
        json!({
            "resource": format!("{}{path}", self.base),
            "authorization_servers": [self.issuer()],
            "scopes_supported": ["orders:read", "orders:write"],
            "bearer_methods_supported": ["header"],
        })
    }

    pub(crate) fn issuer(&self) -> String {
        format!("{}/as", self.base)
    }

    /// Returns the metadata of the authorization server.
    pub(crate) fn issuer_metadata(&self) -> Value {
        let issuer = self.issuer();
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["orders:read", "orders:write"],
        })
    }

    /// Returns the public key, to build other key sets.
    pub(crate) fn jwk(&self) -> Value {
        self.jwk.clone()
    }
}

/// Returns whether a value is `Bearer`, in any case, and one token68.
fn is_bearer(value: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(value) else { return false };
    let Some((scheme, token)) = text.split_once(' ') else { return false };
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.bytes().all(is_token)
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
    }

    /// Returns whether this is a request to the resource.
    pub(crate) fn is_resource(&self) -> bool {
        matches!(&*self.path, "/orders" | "/mcp")
    }

    pub(crate) fn has_token(&self) -> bool {
        self.header("authorization").is_some()
    }

    /// Returns whether this is a request for the metadata of the resource at its usual place.
    pub(crate) fn is_metadata(&self) -> bool {
        matches!(
            &*self.path,
            "/.well-known/oauth-protected-resource/orders" | "/.well-known/oauth-protected-resource/mcp"
        )
    }

    pub(crate) fn is_issuer_metadata(&self) -> bool {
        self.path == "/.well-known/oauth-authorization-server/as"
    }

    pub(crate) fn is_keys(&self) -> bool {
        self.path == "/as/jwks"
    }

    pub(crate) fn is_preflight(&self) -> bool {
        self.is_resource() && self.method == "OPTIONS"
    }
}

impl Reply {
    pub(crate) fn new(status: u16) -> Self {
        let date = httpdate::fmt_http_date(std::time::SystemTime::now());
        let headers = vec![("date".to_owned(), date.into_bytes())];
        Self { status, headers, body: Vec::new(), raw: None, hangs: false }
    }

    pub(crate) fn json(body: &Value) -> Self {
        let reply = Self::new(200).with("content-type", "application/json");
        Self { body: body.to_string().into_bytes(), ..reply.with("access-control-allow-origin", "*") }
    }

    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { raw: Some(bytes.into()), ..Self::new(200) }
    }

    /// Adds a header field.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    /// Replaces a header field.
    pub(crate) fn set(self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.without(name).with(name, value)
    }

    pub(crate) fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Changes a JSON body.
    pub(crate) fn edit(self, change: impl FnOnce(&mut Value)) -> Self {
        let mut value = serde_json::from_slice(&self.body).unwrap();
        change(&mut value);
        self.body(value.to_string())
    }

    fn into_bytes(self) -> Vec<u8> {
        if let Some(raw) = self.raw {
            return raw;
        }
        let mut bytes = format!("HTTP/1.1 {} Status\r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        let length = self.body.len();
        bytes.extend_from_slice(format!("content-length: {length}\r\nconnection: close\r\n\r\n").as_bytes());
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// Reads a request with a body of known length.
async fn receive(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        // A client that speaks TLS.
        let is_http = bytes.first().is_none_or(u8::is_ascii_uppercase);
        if !is_http || stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = bytes[..head_end].to_vec();
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let first = String::from_utf8_lossy(lines.next()?).into_owned();
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let headers: Vec<_> = lines
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
            Some((name, line[colon + 1..].trim_ascii().to_vec()))
        })
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(0, |(_, value)| str::from_utf8(value).unwrap().parse().unwrap());
    let mut body = bytes.split_off(head_end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Received { method, path: path.to_owned(), query: query.to_owned(), headers, body })
}
