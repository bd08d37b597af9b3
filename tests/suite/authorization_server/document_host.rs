//! Serves client ID metadata documents on loopback, and records what arrives.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

use super::kit::REDIRECT_URI;

pub(super) struct DocumentHost {
    pub(super) port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The raw response to each path. Other paths are never answered.
    responses: Mutex<HashMap<String, Vec<u8>>>,
    /// What each connection sent.
    received: Mutex<Vec<Vec<u8>>>,
    /// Where each connection came from.
    peers: Mutex<Vec<IpAddr>>,
    arrived: Notify,
}

impl DocumentHost {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let state = Arc::clone(&shared);
        tokio::spawn(async move {
            loop {
                let (stream, peer) = listener.accept().await.unwrap();
                state.peers.lock().unwrap().push(peer.ip());
                tokio::spawn(answer(stream, Arc::clone(&state)));
            }
        });
        Self { port, shared }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Serves a valid document at this path, and returns its URL.
    pub(super) fn publish(&self, path: &str) -> String {
        self.publish_with(path, "", |_| {})
    }

    /// Serves a document that differs from the valid one, with more header fields.
    pub(super) fn publish_with(&self, path: &str, fields: &str, change: impl FnOnce(&mut Value)) -> String {
        let url = self.url(path);
        let mut document = document(&url);
        change(&mut document);
        self.respond(
            path,
            &format!("200 OK\r\nContent-Type: application/json{fields}"),
            &document.to_string(),
        );
        url
    }

    /// Answers requests for a path with this status line, these header fields and this body.
    pub(super) fn respond(&self, path: &str, head: &str, body: &str) {
        let length = body.len();
        let response =
            format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        self.respond_raw(path, response.into_bytes());
    }

    pub(super) fn respond_raw(&self, path: &str, response: Vec<u8>) {
        self.shared.responses.lock().unwrap().insert(path.to_owned(), response);
    }

    /// The number of connections that sent something.
    pub(super) fn connections(&self) -> usize {
        self.shared.received.lock().unwrap().len()
    }

    pub(super) fn received(&self) -> Vec<Vec<u8>> {
        self.shared.received.lock().unwrap().clone()
    }

    /// The addresses that connections came from, including those that sent nothing.
    pub(super) fn peers(&self) -> Vec<IpAddr> {
        self.shared.peers.lock().unwrap().clone()
    }

    /// Waits until something was received.
    pub(super) async fn arrival(&self) {
        self.shared.arrived.notified().await;
    }
}

/// The document of a public client.
pub(super) fn document(url: &str) -> Value {
    json!({
        "client_id": url,
        "client_name": "Build monitor",
        "redirect_uris": [REDIRECT_URI],
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        "token_endpoint_auth_method": "none",
        "logo_uri": "http://169.254.169.254/logo.png",
    })
}

async fn answer(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut request = Vec::new();
    // A request, or the start of a TLS handshake.
    while !request.ends_with(b"\r\n\r\n") && request.first() != Some(&0x16) {
        if stream.read_buf(&mut request).await.unwrap_or_default() == 0 {
            break;
        }
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let path = text.split(' ').nth(1).unwrap_or_default();
    let response = shared.responses.lock().unwrap().get(path).cloned();
    shared.received.lock().unwrap().push(request);
    shared.arrived.notify_one();
    match response {
        // An error means that the server has read enough.
        Some(response) => drop(stream.write_all(&response).await),
        None => std::future::pending().await,
    }
}
