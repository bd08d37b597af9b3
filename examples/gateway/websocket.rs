//! WebSockets: the upgrade, the token of a browser, and the tunnel.

use std::time::Duration;

use http::{
    HeaderMap, HeaderValue, Method, Request, Response, Version,
    header::{AUTHORIZATION, CONNECTION, SEC_WEBSOCKET_PROTOCOL, UPGRADE},
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tower_bearer::{Clock as _, SystemClock, ValidatedToken};

use super::header_rules::{connection_options, list};

/// A request of a client for a WebSocket (RFC 6455 section 4.2.1).
pub(crate) struct WebSocketRequest {
    upgrade: OnUpgrade,
    /// The subprotocols that the backend may choose from.
    offered: Vec<String>,
}

/// When a tunnel must end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TunnelEnd(Option<Duration>);

/// Returns whether a request asks for a WebSocket. Other upgrades are not passed on, because what follows them is not checked.
fn is_websocket<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && connection_options(headers).iter().any(|option| option == "upgrade")
        && is_upgrade_to_websocket(headers)
}

fn is_upgrade_to_websocket(headers: &HeaderMap) -> bool {
    let mut protocols = list(headers, &UPGRADE);
    protocols.next().is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"))
        && protocols.next().is_none()
}

/// Moves the token of a browser from `Sec-WebSocket-Protocol` to `Authorization`, for the layer that validates it.
///
/// Scripts cannot set headers of a WebSocket, but they can offer subprotocols: `new WebSocket(url, ["chat", "bearer." + token])`.
/// A request with both kinds of credentials, or several tokens, gets several `Authorization` fields, and the layer refuses it.
pub(crate) fn move_token<B>(request: &mut Request<B>, prefix: &str) {
    if !is_websocket(request) {
        return;
    }
    let (mut tokens, mut others) = (Vec::new(), Vec::new());
    for protocol in list(request.headers(), &SEC_WEBSOCKET_PROTOCOL) {
        match protocol.strip_prefix(prefix) {
            Some(token) => tokens.push(token.to_owned()),
            None => others.push(protocol.to_owned()),
        }
    }
    if tokens.is_empty() {
        return;
    }
    let headers = request.headers_mut();
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if let (false, Ok(value)) = (others.is_empty(), HeaderValue::try_from(others.join(", "))) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
    for token in tokens {
        // A value that is not a valid header is not a token either. The layer refuses the empty credential.
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        let mut value = value.unwrap_or_else(|_| HeaderValue::from_static("Bearer "));
        value.set_sensitive(true);
        headers.append(AUTHORIZATION, value);
    }
}

impl WebSocketRequest {
    /// Returns the upgrade that a request asks for.
    pub(crate) fn of<B>(request: &mut Request<B>) -> Option<Self> {
        if !is_websocket(request) {
            return None;
        }
        let offered = list(request.headers(), &SEC_WEBSOCKET_PROTOCOL).map(str::to_owned).collect();
        Some(Self { upgrade: hyper::upgrade::on(request), offered })
    }

    /// Writes the headers of an upgrade into a request or a response.
    pub(crate) fn write_headers(headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }

    /// Returns whether a response with status 101 accepts this request.
    pub(crate) fn is_accepted_by<B>(&self, response: &Response<B>) -> bool {
        let headers = response.headers();
        // RFC 6455 section 4.1: the server selects one of the offered subprotocols, or none.
        let mut selected = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
        let is_offered =
            selected.next().is_none_or(|selected| self.offered.iter().any(|offered| offered == selected));
        is_upgrade_to_websocket(headers) && is_offered && selected.next().is_none()
    }

    /// Connects the client to the backend until one of them closes the connection or the token expires.
    pub(crate) fn connect(self, backend: OnUpgrade, end: TunnelEnd) {
        tokio::spawn(async move {
            let (Ok(client), Ok(backend)) = tokio::join!(self.upgrade, backend) else { return };
            match end.0 {
                // Both connections end, whether the time is over or one side closed first.
                Some(remaining) => drop(tokio::time::timeout(remaining, copy(client, backend)).await),
                None => copy(client, backend).await,
            }
        });
    }
}

async fn copy(client: Upgraded, backend: Upgraded) {
    // An error means that one side broke the connection; the other side is closed too.
    let _ = copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(backend)).await;
}

impl TunnelEnd {
    /// Ends with the token. A token without an expiry, or a request without a token, sets no end.
    pub(crate) fn of(token: Option<&ValidatedToken>, clock_skew: Duration) -> Self {
        let expires_at = token.and_then(|token| token.expires_at());
        Self(expires_at.map(|at| at.saturating_add(clock_skew).saturating_duration_since(SystemClock.now())))
    }
}
