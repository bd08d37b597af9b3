//! A small API in the manner of Jenkins, behind our layer: whoever may `mcp:read` lists the jobs, whoever may
//! `mcp:write` triggers a build.
//!
//! What it does to be protected: it builds a `ResourceServer`, puts `require` beside each method, and serves the
//! metadata. The journal is there to watch it.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use axum::{
    Extension, Json, Router,
    extract::State,
    http::StatusCode,
    middleware,
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tower_bearer::{
    ConfigError, ProtectedResourceMetadata, ResourceServer, Scope, TokenValidator, ValidatedToken,
};

use super::{
    Failure,
    journal::{self, Journal},
};

const READ: Scope = Scope::from_static("mcp:read");
const WRITE: Scope = Scope::from_static("mcp:write");

/// A running API; it ends when dropped.
pub struct Jenkins {
    /// What the story calls it.
    pub name: &'static str,
    /// Where clients find it, and whom its tokens must be for.
    pub url: String,
    pub journal: Journal,
    serving: JoinHandle<()>,
}

impl Jenkins {
    /// Opens the API at its address, with whatever decides about tokens there.
    pub fn open(name: &'static str, site: Site, validator: impl TokenValidator) -> Result<Self, Failure> {
        let Site { url, listener } = site;
        let metadata = ProtectedResourceMetadata::new(&url).allow_http_on_loopback().resource_name(name);
        let resource_server = ResourceServer::builder(validator).resource_metadata(metadata).build()?;

        let journal = Journal::default();
        let router = router(&resource_server, &journal)?;
        let serving = tokio::spawn(async move {
            // It ends with the task, not by itself.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { name, url, journal, serving })
    }
}

fn router(resource_server: &ResourceServer, journal: &Journal) -> Result<Router, ConfigError> {
    let outside = middleware::from_fn_with_state(journal.clone(), journal::outside);
    let inside = middleware::from_fn(journal::inside);
    // What a method needs stands beside the method: a layer around both could only ask for what they have in common, and
    // its 401 would name too little. Without our stopwatches, `.route_layer(resource_server.require_scopes(READ))` is all.
    let list =
        get(list_jobs).route_layer((outside.clone(), resource_server.require_scopes(READ), inside.clone()));
    let trigger = post(trigger_build).route_layer((outside, resource_server.require_scopes(WRITE), inside));

    let mut router = Router::new().route(PATH, list.merge(trigger)).with_state(Arc::new(AtomicU32::new(0)));
    let metadata = resource_server.metadata_service()?;
    for path in resource_server.metadata_paths() {
        router = router.route_service(path, metadata.clone());
    }
    Ok(router)
}

async fn list_jobs(Extension(token): Extension<ValidatedToken>) -> Json<Value> {
    Json(json!({ "user": token.subject(), "jobs": ["compile", "test", "deploy"] }))
}

async fn trigger_build(
    State(builds): State<Arc<AtomicU32>>,
    Extension(token): Extension<ValidatedToken>,
) -> (StatusCode, Json<Value>) {
    let build = builds.fetch_add(1, Ordering::Relaxed) + 1;
    (StatusCode::ACCEPTED, Json(json!({ "user": token.subject(), "job": "deploy", "build": build })))
}

impl Drop for Jenkins {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An address that is ours already, though nobody is open there: tokens must be for it, so it is needed first.
pub struct Site {
    pub url: String,
    listener: TcpListener,
}

impl Site {
    /// Takes a port of this machine that the operating system picks.
    pub async fn take() -> Result<Self, Failure> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}{PATH}", listener.local_addr()?);
        Ok(Self { url, listener })
    }
}

/// The only path, so that the resource's identifier is the URL that clients call (RFC 9728 section 3.3).
const PATH: &str = "/jobs";
