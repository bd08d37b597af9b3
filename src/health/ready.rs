//! Waits until a resource server can serve requests: [`wait`].

use std::{fmt, future::poll_fn, time::Duration};

use super::{Dependency, SourceHealth};
use crate::{BoxFuture, observer::SourceKind};

/// Minimum pause between two attempts. A source may allow the next one immediately.
const MIN_PAUSE: Duration = Duration::from_millis(50);

/// Why a resource server is not ready. Names every source that it waited for.
#[derive(Clone, Debug)]
pub struct NotReady {
    limit: Duration,
    sources: Vec<NotReadySource>,
}

/// Keys or an endpoint that a resource server waited for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NotReadySource {
    /// The configured issuer.
    pub issuer: Box<str>,
    /// What it is.
    pub kind: SourceKind,
    /// Why the last attempt failed, for operators.
    pub reason: Box<str>,
}

impl NotReady {
    /// Returns what the resource server waited for.
    pub fn sources(&self) -> &[NotReadySource] {
        &self.sources
    }
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not ready within {:?}", self.limit)?;
        for (number, NotReadySource { issuer, kind, reason }) in self.sources.iter().enumerate() {
            f.write_str(if number == 0 { ": " } else { "; " })?;
            write!(f, "{kind} of {issuer:?}: {reason}")?;
        }
        Ok(())
    }
}

impl std::error::Error for NotReady {}

impl From<SourceHealth> for NotReadySource {
    fn from(health: SourceHealth) -> Self {
        let reason = health.last_failure.map_or("no response yet".into(), |failure| (*failure.reason).into());
        Self { issuer: health.issuer, kind: health.kind, reason }
    }
}

/// Waits until all dependencies are ready, at the same time.
pub(crate) async fn wait(dependencies: &[Dependency], limit: Duration) -> Result<(), NotReady> {
    let mut waiting: Vec<BoxFuture<'static, ()>> = dependencies.iter().map(Dependency::ready).collect();
    let all = poll_fn(|cx| {
        waiting.retain_mut(|ready| ready.as_mut().poll(cx).is_pending());
        if waiting.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    });
    if tokio::time::timeout(limit, all).await.is_ok() {
        return Ok(());
    }
    let health = dependencies.iter().filter_map(Dependency::health);
    let sources: Vec<_> = health.filter(|health| !health.ready).map(NotReadySource::from).collect();
    // One may have become ready just now.
    if sources.is_empty() { Ok(()) } else { Err(NotReady { limit, sources }) }
}

/// Waits before the next attempt. `left` is the rest of the pause of the source.
pub(crate) async fn pause_before_retry(left: Duration) {
    tokio::time::sleep(left.max(MIN_PAUSE)).await;
}
