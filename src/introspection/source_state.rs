//! What operators see of an introspection endpoint: its state, and the events of its calls.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{failure::CallFailure, validation::Introspection};
use crate::{
    BoxFuture, Event, Observer,
    health::{Source, SourceFailure, SourceHealth, SourceState, pause_before_retry},
    observer::{Observers, SourceKind},
};

/// The results of the calls so far, and the observers. Times are on the monotonic clock.
#[derive(Default)]
pub(super) struct CallRecord {
    observers: Observers,
    last: Mutex<LastCalls>,
}

#[derive(Default)]
struct LastCalls {
    answered: Option<Duration>,
    /// When the last failed call ended, and why it failed. Kept after an answer.
    failed: Option<(Duration, Arc<str>)>,
    is_failing: bool,
}

impl LastCalls {
    fn state(&self) -> SourceState {
        match (self.is_failing, self.answered) {
            (true, _) => SourceState::Failing,
            (false, Some(_)) => SourceState::Working,
            (false, None) => SourceState::NotUsedYet,
        }
    }
}

impl CallRecord {
    fn last(&self) -> MutexGuard<'_, LastCalls> {
        // Consistent after each statement, so a panic elsewhere does no harm.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Introspection {
    /// Records and reports the outcome of a call that began at `began`.
    pub(super) fn record(&self, began: Duration, failure: Option<&CallFailure>) {
        let now = self.clock.monotonic();
        let changed_to = {
            let mut last = self.calls.last();
            match failure {
                Some(failure) => last.failed = Some((now, failure.to_string().into())),
                None => last.answered = Some(now),
            }
            // No request was sent, so this says nothing about the server.
            let is_failing = match failure {
                Some(CallFailure::TooManyCalls) => last.is_failing,
                other => other.is_some(),
            };
            let has_changed = std::mem::replace(&mut last.is_failing, is_failing) != is_failing;
            has_changed.then_some(!is_failing)
        };
        let issuer = self.issuer.as_str();
        let result = failure.map_or(Ok(()), |failure| Err(failure.kind()));
        let duration = now.saturating_sub(began);
        self.calls.observers.notify(&Event::IntrospectionCalled { issuer, duration, result });
        if let Some(working) = changed_to {
            let source = SourceKind::Introspection;
            self.calls.observers.notify(&Event::SourceStateChanged { issuer, source, working });
        }
    }
}

impl Source for Introspection {
    fn observe(&self, observer: &Arc<dyn Observer>) {
        self.calls.observers.add(observer);
    }

    /// Waits for the URL of the endpoint. Whether it answers is only known when a token is introspected.
    fn ready(self: Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            while self.endpoint.location.find().await.is_err() {
                pause_before_retry(self.endpoint.location.pause_left()).await;
            }
        })
    }

    fn health(&self) -> Option<SourceHealth> {
        let now = self.clock.monotonic();
        let location = &self.endpoint.location;
        let (state, answered, mut failed) = {
            let last = self.calls.last();
            (last.state(), last.answered, last.failed.clone())
        };
        let search_failed = location.last_failure();
        let ready = location.is_known();
        let state = if search_failed.is_some() && !ready { SourceState::Failing } else { state };
        failed = failed.or(search_failed);
        let failure = failed.map(|(at, reason)| SourceFailure::new(now.saturating_sub(at), reason));
        let health = SourceHealth::new(self.issuer.as_str(), SourceKind::Introspection, state, ready);
        Some(SourceHealth {
            age: answered.map(|at| now.saturating_sub(at)),
            last_failure: failure,
            next_attempt: (!ready).then(|| location.pause_left()),
            calls_in_progress: Some(self.endpoint.calls_in_progress()),
            inactive_cache: self.inactive.health(),
            ..health
        })
    }
}
