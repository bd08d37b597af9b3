//! A small API that resembles Jenkins, protected by our layer. `mcp:read` lists jobs, `mcp:write` triggers a build.
//!
//! Three things protect it: it builds a `ResourceServer`, adds `require_scopes` to each method, and serves the metadata.

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
    page::Observer,
    recorder::{self, Recorder},
};

const READ: Scope = Scope::from_static("mcp:read");
const WRITE: Scope = Scope::from_static("mcp:write");

/// A running API. It stops when dropped.
pub struct Jenkins {
    /// Its name in the report.
    pub name: &'static str,
    /// Its URL, which is also the audience of its tokens.
    pub url: String,
    pub recorder: Recorder,
    serving: JoinHandle<()>,
}

impl Jenkins {
    /// Serves the API at `address`, with this validator. `observer` is the page of `--serve`.
    pub fn start(
        name: &'static str,
        address: Address,
        validator: impl TokenValidator,
        observer: Option<&Observer>,
    ) -> Result<Self, Failure> {
        let Address { url, listener } = address;
        let metadata = ProtectedResourceMetadata::new(&url).allow_http_on_loopback().resource_name(name);
        let resource_server = ResourceServer::builder(validator).resource_metadata(metadata).build()?;

        let recorder = Recorder::new(name, observer);
        let mut router = router(&resource_server, &recorder)?;
        if let Some(observer) = observer {
            router = router.layer(observer.cors());
        }
        let serving = tokio::spawn(async move {
            // Runs until the task is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { name, url, recorder, serving })
    }
}

fn router(resource_server: &ResourceServer, recorder: &Recorder) -> Result<Router, ConfigError> {
    let outside = middleware::from_fn_with_state(recorder.clone(), recorder::outside);
    let inside = middleware::from_fn(recorder::inside);
    // Each method has a layer of its own, so that its 401 names the scope it needs. `route_layer` applies only to methods
    // that exist; the others stay a 405. Without the recorder it is `.route_layer(resource_server.require_scopes(READ))`.
    let list =
        get(list_jobs).route_layer((outside.clone(), resource_server.require_scopes(READ), inside.clone()));
    let trigger = post(trigger_build).route_layer((outside, resource_server.require_scopes(WRITE), inside));

    // `Router::merge(resource_server.metadata_router())` does the same with the feature `axum`.
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

/// An address that is bound but not served yet: the validator needs the URL before the API can start.
pub struct Address {
    pub url: String,
    listener: TcpListener,
}

impl Address {
    /// Binds a port of this machine that the operating system chooses.
    pub async fn bind() -> Result<Self, Failure> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}{PATH}", listener.local_addr()?);
        Ok(Self { url, listener })
    }
}

/// The only path. The resource identifier is the URL that clients call (RFC 9728 section 3.3).
const PATH: &str = "/jobs";
