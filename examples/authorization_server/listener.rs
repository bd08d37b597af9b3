//! How does the server come and go? It can be stopped for good or for a while, to show an outage.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::{JoinHandle, JoinSet},
};

/// A server that accepts connections until it is stopped or dropped.
pub(super) struct Listener {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Listener {
    pub(super) fn start(listener: TcpListener, router: Router) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(accept(listener, router, stopped));
        Self { stop, task }
    }

    /// Closes the port and cuts every connection, as a crash would; returns when none is left.
    pub(super) async fn stop(self) {
        drop(self.stop);
        // An error could only say that the task is already gone.
        let _ = self.task.await;
    }
}

// Not `axum::serve`: its connections outlive it, and an outage must end those kept alive by clients as well.
async fn accept(listener: TcpListener, router: Router, mut stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => {
                // A connection that broke before it was accepted is the peer's affair.
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream, router.clone()));
                }
            }
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn serve(stream: TcpStream, router: Router) {
    let service = TowerToHyperService::new(router);
    // With a timer, hyper waits 30 seconds for a request head and not forever.
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    // The peer went away in the middle: nobody is left to be told.
    let _ = connection.await;
}

/// Connections served at a time; further ones wait in the queue of the operating system.
const MAX_CONNECTIONS: usize = 256;
