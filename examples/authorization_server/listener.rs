//! Accepts connections, and can be stopped to simulate an outage.

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

    /// Closes the port and all connections, as a crash would, and waits until they are closed.
    pub(super) async fn stop(self) {
        drop(self.stop);
        // An error would mean that the task has already ended.
        let _ = self.task.await;
    }
}

// Not `axum::serve`: its connections outlive it, but an outage must also close those that clients keep alive.
async fn accept(listener: TcpListener, router: Router, mut stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => {
                // An error means that the peer closed the connection before it was accepted.
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
    // With a timer, hyper waits at most 30 seconds for the head of a request.
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    // An error means that the peer closed the connection; there is nobody to report it to.
    let _ = connection.await;
}

/// Maximum number of open connections. Further ones wait in the queue of the operating system.
const MAX_CONNECTIONS: usize = 256;
