//! Records what happens to a request inside an API, with one middleware outside of the layer and one inside.
//!
//! The time between the two is what the layer costs a request: reading the token, validating it, calling the
//! authorization server where that is needed, and waiting until the inner service is ready.

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};
use serde::Serialize;
use serde_json::{Map, Value};
use tower_bearer::{RejectionReason, ValidatedToken};

use super::{
    Failure,
    page::{CALL_ID, Event, Feed, Observer},
};

#[derive(Clone)]
pub struct Recorder {
    /// The name of the API.
    api: &'static str,
    /// The last request. That is enough because the client sends one request at a time.
    last: Arc<Mutex<Option<RecordedRequest>>>,
    /// Gets every request, if there is a page.
    feed: Option<Feed>,
}

/// One request to the API.
pub struct RecordedRequest {
    /// From the arrival at the layer to the call of the handler, or to the refusal.
    pub layer_took: Duration,
    pub outcome: Outcome,
}

pub enum Outcome {
    Admitted(HandlerView),
    Refused(RejectionReason),
}

/// What the handler sees of the caller.
#[derive(Debug, Clone, Serialize)]
pub struct HandlerView {
    subject: Option<String>,
    /// Whether the request still has its `Authorization` header.
    has_authorization: bool,
    /// All claims of the token.
    claims: Map<String, Value>,
}

impl HandlerView {
    fn new(token: &ValidatedToken, headers: &HeaderMap) -> Self {
        Self {
            subject: token.subject().map(str::to_owned),
            has_authorization: headers.contains_key(header::AUTHORIZATION),
            claims: token.deserialize().unwrap_or_default(),
        }
    }

    /// Returns the names of all claims.
    pub fn claims(&self) -> String {
        self.claims.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for HandlerView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = if self.has_authorization { "an" } else { "no" };
        // Tokens of this authorization server contain `client_id`; the layer removes it.
        let client = if self.claims.contains_key("client_id") { "a" } else { "no" };
        let subject = self.subject.as_deref().unwrap_or("(no subject)");
        write!(f, "{subject}, {header} Authorization header, {client} client_id")
    }
}

impl Recorder {
    pub fn new(api: &'static str, observer: Option<&Observer>) -> Self {
        Self { api, last: Arc::default(), feed: observer.map(|observer| observer.feed.clone()) }
    }

    /// Takes the record of the last request.
    pub fn take(&self) -> Result<RecordedRequest, Failure> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).take();
        last.ok_or_else(|| "the request did not reach the API".into())
    }
}

/// Travels with a request from the outer middleware to the inner one.
#[derive(Clone)]
struct Timer {
    arrival: Instant,
    admission: Arc<OnceLock<(Duration, HandlerView)>>,
}

/// The middleware outside of the layer.
pub async fn outside(State(recorder): State<Recorder>, mut request: Request, next: Next) -> Response {
    let timer = Timer { arrival: Instant::now(), admission: Arc::default() };
    request.extensions_mut().insert(timer.clone());
    let mut response = next.run(request).await;

    let until_response = timer.arrival.elapsed();
    let refusal = response.extensions().get::<RejectionReason>().cloned();
    let record = match (timer.admission.get().cloned(), refusal) {
        (Some((layer_took, view)), _) => {
            Some(RecordedRequest { layer_took, outcome: Outcome::Admitted(view) })
        }
        (None, Some(reason)) => {
            Some(RecordedRequest { layer_took: until_response, outcome: Outcome::Refused(reason) })
        }
        // Neither admitted nor refused by the layer. `Recorder::take` reports that as an error.
        (None, None) => None,
    };
    if let (Some(feed), Some(record)) = (&recorder.feed, &record) {
        let id = feed.next_id();
        feed.send(&Event::call(id, recorder.api, record));
        response.headers_mut().insert(CALL_ID, id.into());
    }
    *recorder.last.lock().unwrap_or_else(PoisonError::into_inner) = record;
    response
}

/// The middleware between the layer and the handler.
pub async fn inside(request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    if let (Some(timer), Some(token)) = (extensions.get::<Timer>(), extensions.get::<ValidatedToken>()) {
        let layer_took = timer.arrival.elapsed();
        // Cannot fail: each request passes here once.
        let _ = timer.admission.set((layer_took, HandlerView::new(token, request.headers())));
    }
    next.run(request).await
}
