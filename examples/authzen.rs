//! Asks a policy decision point about each request, over the OpenID Authorization API 1.0 (AuthZEN).
//!
//! Scopes say what a client may do for the user. The decision point says what the user may do with a particular order. It is
//! asked after the scopes were checked, so it never sees a request that lacks a scope.
//!
//! Run it with `cargo run --features axum,testing --example authzen`.

#![allow(clippy::print_stdout, reason = "an example prints")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    http::{HeaderMap, header::CACHE_CONTROL},
    response::IntoResponse,
    routing::{get, post},
};
use moka::sync::Cache;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tower_bearer::{
    Authorizer, RequestHead, Requirement, Scope, ValidatedToken, ValidationError,
    testing::{ManualClock, TestAuthorizationServer},
};

const READ: Scope = Scope::from_static("orders:read");
const WRITE: Scope = Scope::from_static("orders:write");

/// A client of a decision point.
#[derive(Clone)]
struct DecisionPoint {
    evaluation_url: String,
    client: reqwest::Client,
    /// Decisions, and until when each may be reused. Bounded, because callers choose the keys.
    decisions: Cache<Question, (bool, Instant)>,
}

/// Everything that a decision depends on. A token is not part of it, so a renewed token reuses the decision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    issuer: String,
    subject: String,
    action: String,
    resource: String,
}

/// Maximum time for a decision. The request waits for it.
const DEADLINE: Duration = Duration::from_secs(2);

/// Maximum time for which a decision is reused, whatever the decision point allows.
const MAX_REUSE: Duration = Duration::from_secs(60);

/// Maximum number of cached decisions.
const MAX_DECISIONS: u64 = 10_000;

impl DecisionPoint {
    /// Creates a client of the decision point at this base URL.
    fn new(base_url: &str) -> reqwest::Result<Self> {
        Ok(Self {
            evaluation_url: format!("{base_url}/access/v1/evaluation"),
            client: reqwest::Client::builder().timeout(DEADLINE).no_proxy().build()?,
            decisions: Cache::new(MAX_DECISIONS),
        })
    }

    /// Asks the decision point. Returns its decision, and how long it may be reused.
    async fn evaluate(&self, question: &Question) -> reqwest::Result<(bool, Duration)> {
        let body = json!({
            "subject": { "type": "user", "id": question.subject, "properties": { "issuer": question.issuer } },
            "action": { "name": question.action },
            "resource": { "type": "path", "id": question.resource },
        });
        let response = self.client.post(&self.evaluation_url).json(&body).send().await?.error_for_status()?;
        let reuse = max_age(response.headers());
        // Only `true` permits. An answer without a decision is a denial.
        let decision = response.json::<Value>().await?["decision"] == Value::Bool(true);
        Ok((decision, reuse))
    }
}

impl Authorizer for DecisionPoint {
    async fn authorize(
        &self,
        token: &ValidatedToken,
        request: &RequestHead<'_>,
    ) -> Result<(), ValidationError> {
        let (Some(issuer), Some(subject)) = (token.issuer(), token.subject()) else {
            return Err(ValidationError::denied("token without issuer or subject"));
        };
        let question = Question {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            action: request.method().to_string(),
            resource: request.uri().path().to_owned(),
        };
        let known = self.decisions.get(&question).filter(|(_, until)| Instant::now() < *until);
        let decision = match known {
            Some((decision, _)) => decision,
            None => {
                // A failure is not cached, so that requests succeed as soon as the decision point is back.
                let answer = self.evaluate(&question).await;
                let (decision, reuse) = answer.map_err(ValidationError::unavailable)?;
                if !reuse.is_zero() {
                    self.decisions.insert(question, (decision, Instant::now() + reuse));
                }
                decision
            }
        };
        if decision { Ok(()) } else { Err(ValidationError::denied("by the decision point")) }
    }
}

/// Returns how long an answer may be reused: `max-age` (RFC 9111 section 5.2.2.1), or zero without it.
fn max_age(headers: &HeaderMap) -> Duration {
    let directives = headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut directives = directives.split(',').map(str::trim);
    if directives.clone().any(|directive| directive == "no-store") {
        return Duration::ZERO;
    }
    let seconds = directives.find_map(|directive| directive.strip_prefix("max-age=")?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0)).min(MAX_REUSE)
}

/// Starts a small decision point: everybody may read, and alice may change her own order.
async fn start_decision_point(listener: TcpListener, asked: Arc<AtomicUsize>) -> std::io::Result<()> {
    let evaluate = |Json(question): Json<Value>| async move {
        asked.fetch_add(1, Ordering::Relaxed);
        let reads = question["action"]["name"] == "GET";
        let owns = question["subject"]["id"] == "alice" && question["resource"]["id"] == "/orders/1";
        ([(CACHE_CONTROL, "max-age=5")], Json(json!({ "decision": reads || owns }))).into_response()
    };
    axum::serve(listener, Router::new().route("/access/v1/evaluation", post(evaluate))).await
}

/// Starts everything and prints what a client gets.
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let authority =
        TestAuthorizationServer::new("https://as.example.com").with_clock(ManualClock::starting_now());
    let decision_listener = TcpListener::bind("127.0.0.1:0").await?;
    let decision_point = DecisionPoint::new(&format!("http://{}", decision_listener.local_addr()?))?;
    let asked = Arc::<AtomicUsize>::default();
    let serving: JoinHandle<_> = tokio::spawn(start_decision_point(decision_listener, Arc::clone(&asked)));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let api = format!("http://{}", listener.local_addr()?);
    let layer = authority
        .resource_server(&api)
        .require_by(|request: &RequestHead<'_>| match request.method().as_str() {
            "GET" | "HEAD" => Requirement::scopes(READ),
            _ => Requirement::scopes([READ, WRITE]),
        })
        .authorizer(decision_point.clone());
    let order = get(|| async { "an order" }).put(|| async { "changed" });
    let app = Router::new().route("/orders/{id}", order).layer(layer);
    tokio::spawn(axum::serve(listener, app).into_future());

    let token = |subject: &str, scope: &str| authority.token().subject(subject).scope(scope).sign();
    let alice = token("alice", "orders:read orders:write");
    let bob = token("bob", "orders:read orders:write");
    let reader = token("alice", "orders:read");
    let client = reqwest::Client::builder().no_proxy().build()?;
    let show = async |who: &str, token: &str, method: &str, path: &str, expected: u16| {
        let request = client.request(method.parse()?, format!("{api}{path}")).bearer_auth(token);
        let status = request.send().await?.status();
        println!(
            "{who}: {method} {path}: {status} (decision point asked {} times)",
            asked.load(Ordering::Relaxed)
        );
        assert_eq!(status, expected);
        Ok::<_, Box<dyn std::error::Error>>(())
    };
    show("alice", &alice, "PUT", "/orders/1", 200).await?;
    show("alice", &alice, "PUT", "/orders/1", 200).await?; // the decision is reused
    show("bob", &bob, "PUT", "/orders/1", 403).await?; // the scopes suffice, the decision does not
    show("bob", &bob, "GET", "/orders/1", 200).await?;
    show("reader", &reader, "PUT", "/orders/1", 403).await?; // the scopes do not suffice, so it is not asked
    assert_eq!(asked.load(Ordering::Relaxed), 3);

    serving.abort();
    let _ = serving.await;
    println!("The decision point is down.");
    decision_point.decisions.invalidate_all();
    show("alice", &alice, "PUT", "/orders/2", 503).await?;
    Ok(())
}
