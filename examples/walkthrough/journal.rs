//! What happens inside the API? Noted by two middlewares, just outside and just inside of the layer.
//!
//! The time between them is what a request pays for the layer: to extract the token, to validate it, to ask the
//! authorization server where that is needed, and to find the service behind ready.

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
use serde_json::{Map, Value};
use tower_bearer::{RejectionReason, ValidatedToken};

use super::Failure;

/// Holds the last request; the client of this example sends one at a time.
#[derive(Clone, Default)]
pub struct Journal(Arc<Mutex<Option<Visit>>>);

/// One request to the API.
pub struct Visit {
    /// From its arrival at the layer to its arrival at the handler, or to its refusal.
    pub checked_in: Duration,
    pub fate: Fate,
}

pub enum Fate {
    Admitted(Seen),
    Refused(RejectionReason),
}

/// What the handler gets to see of the caller.
#[derive(Clone)]
pub struct Seen {
    subject: Option<String>,
    /// Whether the header with the token is still there.
    has_authorization: bool,
    /// The names of all claims there are.
    claims: Vec<String>,
}

impl Seen {
    fn of(token: &ValidatedToken, headers: &HeaderMap) -> Self {
        let claims: Map<String, Value> = token.deserialize().unwrap_or_default();
        Self {
            subject: token.subject().map(str::to_owned),
            has_authorization: headers.contains_key(header::AUTHORIZATION),
            claims: claims.into_iter().map(|(name, _)| name).collect(),
        }
    }

    pub fn claims(&self) -> String {
        self.claims.join(" ")
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = if self.has_authorization { "the" } else { "no" };
        // The tokens of our server have this claim; whoever checks a token has no use for it.
        let client = if self.claims.iter().any(|name| name == "client_id") { "the" } else { "no" };
        let subject = self.subject.as_deref().unwrap_or("nobody");
        write!(f, "{subject}, {header} Authorization header, {client} client_id")
    }
}

impl Journal {
    /// Returns what became of the last request, once.
    pub fn last(&self) -> Result<Visit, Failure> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        last.ok_or_else(|| "the request did not reach the API".into())
    }
}

/// The stopwatch that a request carries from the outer middleware to the inner one.
#[derive(Clone)]
struct Stopwatch {
    arrival: Instant,
    admission: Arc<OnceLock<(Duration, Seen)>>,
}

/// The middleware around the layer.
pub async fn outside(State(journal): State<Journal>, mut request: Request, next: Next) -> Response {
    let admission = Arc::new(OnceLock::new());
    let stopwatch = Stopwatch { arrival: Instant::now(), admission: Arc::clone(&admission) };
    let arrival = stopwatch.arrival;
    request.extensions_mut().insert(stopwatch);
    let response = next.run(request).await;

    let until_answer = arrival.elapsed();
    let refusal = response.extensions().get::<RejectionReason>().cloned();
    let visit = match (admission.get().cloned(), refusal) {
        (Some((checked_in, seen)), _) => Some(Visit { checked_in, fate: Fate::Admitted(seen) }),
        (None, Some(reason)) => Some(Visit { checked_in: until_answer, fate: Fate::Refused(reason) }),
        // Neither is for the layer to tell: the story will say that nothing arrived.
        (None, None) => None,
    };
    *journal.0.lock().unwrap_or_else(PoisonError::into_inner) = visit;
    response
}

/// The middleware inside of the layer, in front of the handler.
pub async fn inside(request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    if let (Some(stopwatch), Some(token)) =
        (extensions.get::<Stopwatch>(), extensions.get::<ValidatedToken>())
    {
        let checked_in = stopwatch.arrival.elapsed();
        let seen = Seen::of(token, request.headers());
        // Set once: a request passes here once.
        let _ = stopwatch.admission.set((checked_in, seen));
    }
    next.run(request).await
}
