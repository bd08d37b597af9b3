//! An imitation of Jenkins in memory, for examples and tests.
//!
//! It answers the parts of Jenkins's remote access API that clients use to list jobs, read builds and their logs, and
//! start and abort builds. Clients of a real Jenkins, such as `python-jenkins`, work with it.
//!
//! | file | contents |
//! |---|---|
//! | `access` | Basic authentication, sessions, crumbs |
//! | `server` | jobs, folders, the queue, builds |
//! | `documents` | the JSON of each of them |
//! | `tree` | the parameters `tree` and `depth` |
//! | `routes` | paths, methods, responses |
//!
//! It differs from a real Jenkins in three points:
//! - Builds make progress only when it is read: each `GET` advances the queue, and lets each running build write a line of
//!   its log. So tests need no clock.
//! - It requires a crumb for each `POST`. Jenkins exempts requests with an API token since 2.96.
//! - It has one user, and no permissions.
//!
//! Examples and tests include it by its path:
//!
//! ```ignore
//! #[path = "../jenkins_imitation/mod.rs"]
//! mod jenkins_imitation;
//!
//! let jenkins = JenkinsImitation::start().await?;
//! println!("{} as {} with {}", jenkins.url(), USER, API_TOKEN);
//! ```
#![allow(dead_code, reason = "each example uses a different part")]
#![allow(unreachable_pub, reason = "`pub` marks what users of this module need")]

mod access;
mod documents;
mod routes;
mod server;
mod tree;

use std::{
    fmt, io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::{HeaderMap, Method};
use tokio::{net::TcpListener, task::JoinHandle};

use self::{access::Sessions, server::Server};

/// The only user.
pub const USER: &str = "robot";
/// The API token of [`USER`].
pub const API_TOKEN: &str = "11d5bf6b4d5c4f5f8cd1a0d5c9b3a7e2f4";

/// A running imitation of Jenkins. It stops when dropped.
pub struct JenkinsImitation {
    url: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

/// The head of a request that the imitation received.
#[derive(Clone, Debug)]
pub struct ReceivedRequest {
    pub method: Method,
    /// The path and the query.
    pub target: String,
    pub headers: HeaderMap,
}

/// What all requests share.
#[derive(Default)]
struct Shared {
    sessions: Mutex<Sessions>,
    server: Mutex<Server>,
    received: Mutex<Vec<ReceivedRequest>>,
}

impl JenkinsImitation {
    /// Starts it on `127.0.0.1`, on a port that the operating system chooses.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared::default());
        let router = routes::router(Arc::clone(&shared));
        let serving = tokio::spawn(async move {
            // Runs until the task is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, shared, serving })
    }

    /// Returns its URL, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the requests received so far.
    pub fn received(&self) -> Vec<ReceivedRequest> {
        lock(&self.shared.received).clone()
    }

    /// Ends all sessions, as a restart of Jenkins does. Crumbs issued before are no longer valid.
    pub fn end_sessions(&self) {
        *lock(&self.shared.sessions) = Sessions::default();
    }
}

impl Drop for JenkinsImitation {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl fmt::Debug for JenkinsImitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JenkinsImitation").field("url", &self.url).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
