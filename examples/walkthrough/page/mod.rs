//! `--serve`: a page that runs the same steps in a browser, and draws what happens.
//!
//! The page is the OAuth client. It is on another origin than the APIs and the authorization server, so their responses
//! need CORS headers. Its own origin sends it events about requests that it cannot see.

mod feed;
mod observed_client;

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use aws_lc_rs::digest;
use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tower_http::cors::CorsLayer;
use url::Url;

pub use self::{
    feed::{Event, Feed},
    observed_client::ObservedClient,
};
use super::{Failure, NO_CACHE, participants::Participants};

/// What the APIs need to know about the page: the origin that may call them, and where to send events.
#[derive(Clone)]
pub struct Observer {
    /// The origin of the page.
    pub origin: HeaderValue,
    pub feed: Feed,
}

impl Observer {
    /// Allows the page to call an API and to read its refusals. It belongs outside the layer that validates tokens, because a
    /// preflight request has no token (Fetch standard, section "CORS-preflight fetch").
    pub fn cors(&self) -> CorsLayer {
        CorsLayer::new()
            .allow_origin(self.origin.clone())
            .allow_methods([http::Method::GET, http::Method::POST])
            .allow_headers([header::AUTHORIZATION])
            .expose_headers([header::WWW_AUTHENTICATE, header::RETRY_AFTER, CALL_ID])
    }
}

/// A running page with participants of its own. It stops when dropped.
pub struct Page {
    pub url: String,
    pub participants: Arc<Participants>,
    serving: JoinHandle<()>,
}

impl Page {
    /// Serves the page on this port of `127.0.0.1`. With port 0, the operating system chooses one.
    pub async fn start(port: u16) -> Result<Self, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.map_err(|error| format!("port {port} cannot be used: {error}"))?;
        let url = format!("http://{}", listener.local_addr()?);
        let observer = Observer { origin: url.parse()?, feed: Feed::default() };
        let participants = Arc::new(Participants::start_for_page(NO_CACHE, &observer).await?);
        let state = PageState {
            url: url.clone(),
            observer,
            participants: Arc::clone(&participants),
            is_running: Arc::new(AtomicBool::new(true)),
        };
        let router = router(state);
        let serving = tokio::spawn(async move {
            // Runs until the task is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, participants, serving })
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[derive(Clone)]
struct PageState {
    url: String,
    observer: Observer,
    participants: Arc<Participants>,
    /// Whether the authorization server is running.
    is_running: Arc<AtomicBool>,
}

fn router(state: PageState) -> Router {
    let policy = content_security_policy(&state.participants);
    let page =
        get(move || std::future::ready(([(header::CONTENT_SECURITY_POLICY, policy.clone())], Html(PAGE))));
    Router::new()
        .route("/", page.clone())
        // The redirect URI of the page.
        .route("/callback", page)
        .route("/participants", get(describe))
        .route("/events", get(events))
        .route("/authorization-server/stop", post(stop))
        .route("/authorization-server/start", post(start))
        .layer(middleware::from_fn_with_state(state.clone(), require_own_origin))
        .with_state(state)
}

/// Refuses requests that do not come from the page.
///
/// Otherwise any website that is open in the same browser could stop the server, or read events under a host name that resolves
/// to this machine (DNS rebinding).
async fn require_own_origin(State(state): State<PageState>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let is_own = |origin: &HeaderValue| *origin == state.observer.origin;
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
    if host != state.url.strip_prefix("http://").map(str::as_bytes) {
        // For example `localhost`, which is another origin.
        return Redirect::to(&state.url).into_response();
    }
    match headers.get(header::ORIGIN) {
        Some(origin) if !is_own(origin) => StatusCode::FORBIDDEN.into_response(),
        None if request.method() == http::Method::POST => StatusCode::FORBIDDEN.into_response(),
        Some(_) | None => next.run(request).await,
    }
}

/// Sends the page the URLs of two APIs. It discovers everything else.
async fn describe(State(state): State<PageState>) -> Json<Value> {
    let Participants { server, jwt, opaque, .. } = &*state.participants;
    Json(json!({
        // Changes with each start, so that the page discards what it stored before.
        "run": server.issuer(),
        "apis": { "jwt": jwt.url, "opaque": opaque.url },
        "debug_build": cfg!(debug_assertions),
    }))
}

async fn events(State(state): State<PageState>) -> Response {
    state.observer.feed.subscribe(&Event::Server { running: state.is_running.load(Ordering::SeqCst) })
}

async fn stop(State(state): State<PageState>) -> StatusCode {
    state.participants.server.stop().await;
    state.announce(false)
}

async fn start(State(state): State<PageState>) -> Result<StatusCode, (StatusCode, String)> {
    if !state.is_running.load(Ordering::SeqCst) {
        let started = state.participants.server.start_again().await;
        started.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    }
    Ok(state.announce(true))
}

impl PageState {
    fn announce(&self, running: bool) -> StatusCode {
        self.is_running.store(running, Ordering::SeqCst);
        self.observer.feed.send(&Event::Server { running });
        StatusCode::NO_CONTENT
    }
}

/// The page holds tokens, so it runs only its own script and talks only to the participants.
fn content_security_policy(participants: &Participants) -> String {
    let origin = |url: &str| Url::parse(url).map(|url| url.origin().ascii_serialization());
    let Participants { server, jwt, opaque, .. } = participants;
    let others: Vec<_> = [&*jwt.url, &*opaque.url, server.issuer()].into_iter().flat_map(origin).collect();
    format!(
        "default-src 'none'; script-src {script}; style-src {style}; img-src data:; connect-src 'self' {others}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        script = content_hash("script"),
        style = content_hash("style"),
        others = others.join(" "),
    )
}

/// The hash of the only element with this name (Content Security Policy Level 3, section "hash-source").
fn content_hash(element: &str) -> String {
    let (start, end) = (format!("<{element}>"), format!("</{element}>"));
    let content = PAGE.split_once(&start).and_then(|(_, rest)| rest.split_once(&end));
    let (content, _) = content.expect("the page has this element");
    format!("'sha256-{}'", BASE64_STANDARD.encode(digest::digest(&digest::SHA256, content.as_bytes())))
}

/// The response header by which the page finds the event that belongs to a response.
pub const CALL_ID: http::HeaderName = http::HeaderName::from_static("x-call-id");

const PAGE: &str = include_str!("index.html");
