//! What operators see of fetched keys: waits for the first, and reports their state.

use std::sync::Arc;

use super::RemoteKeys;
use crate::{
    BoxFuture, Observer,
    health::{Source, SourceFailure, SourceHealth, SourceState, pause_before_retry},
    observer::SourceKind,
};

impl Source for RemoteKeys {
    fn observe(&self, observer: &Arc<dyn Observer>) {
        self.observers.add(observer);
    }

    fn ready(self: Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            while self.first().await.is_err() {
                let left = self.schedule().back_off_left(self.now());
                pause_before_retry(left).await;
            }
        })
    }

    fn is_failing(&self) -> bool {
        self.schedule().is_failing()
    }

    fn health(&self) -> Option<SourceHealth> {
        let keys = self.current.load().as_ref().map(|keys| keys.len());
        let (now, schedule) = (self.now(), self.schedule());
        let state = match (schedule.is_failing(), schedule.succeeded_at()) {
            (true, _) => SourceState::Failing,
            (false, Some(_)) => SourceState::Working,
            (false, None) => SourceState::NotUsedYet,
        };
        let failure =
            schedule.last_failure().map(|(at, reason)| SourceFailure::new(now.saturating_sub(at), reason));
        let health =
            SourceHealth::new(self.source.issuer().as_str(), SourceKind::Keys, state, keys.is_some());
        Some(SourceHealth {
            keys,
            age: schedule.succeeded_at().map(|at| now.saturating_sub(at)),
            last_failure: failure,
            next_attempt: (schedule.begun() > 0).then(|| schedule.next_attempt(now)),
            ..health
        })
    }
}
