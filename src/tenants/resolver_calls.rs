//! What operators see of a resolver: its state, and the events of its calls.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    Event, ValidationError,
    health::{SourceFailure, SourceState},
    observer::{Observers, ResolvedIssuer},
    user_info::without_user_info,
};

/// Maximum length of the reason in a health report, in characters. The text is that of an error of the resolver.
const MAX_REASON: usize = 512;

/// Why the resolver gave no usable answer.
pub(super) struct ResolverFailure {
    /// The name in events.
    pub(super) kind: &'static str,
    pub(super) error: ValidationError,
}

impl ResolverFailure {
    pub(super) fn timeout(timeout: Duration) -> Self {
        let error = ValidationError::unavailable(format!("the resolver did not answer within {timeout:?}"));
        Self { kind: "timeout", error }
    }

    pub(super) fn panicked() -> Self {
        Self { kind: "panicked", error: ValidationError::internal("the resolver panicked") }
    }
}

/// An error of a resolver is never about the token, so it must not become a 401.
impl From<ValidationError> for ResolverFailure {
    fn from(error: ValidationError) -> Self {
        match error {
            ValidationError::Internal { .. } => Self { kind: "internal", error },
            ValidationError::Unavailable { .. } => Self { kind: "unavailable", error },
            other => Self { kind: "unavailable", error: ValidationError::unavailable(other) },
        }
    }
}

/// The results of the calls of a resolver so far. Times are on the monotonic clock.
#[derive(Default)]
pub(super) struct ResolverCalls(Mutex<LastCalls>);

#[derive(Default)]
struct LastCalls {
    has_answered: bool,
    /// When the first call failed after the last answer.
    failing_since: Option<Duration>,
    /// When the last failed call ended, and why it failed. Kept after an answer.
    failed: Option<(Duration, Arc<str>)>,
}

/// The state of a resolver, for health reports.
pub(super) struct ResolverState {
    pub(super) state: SourceState,
    pub(super) failing_for: Option<Duration>,
    pub(super) last_failure: Option<SourceFailure>,
}

impl ResolverCalls {
    /// Records the outcome of a call that ended at `now`.
    pub(super) fn record(&self, now: Duration, failure: Option<&ResolverFailure>) {
        let mut last = self.last();
        match failure {
            Some(failure) => {
                last.failing_since.get_or_insert(now);
                last.failed = Some((now, reason(&failure.error)));
            }
            None => {
                last.has_answered = true;
                last.failing_since = None;
            }
        }
    }

    pub(super) fn state(&self, now: Duration) -> ResolverState {
        let last = self.last();
        let since = |time: Duration| now.saturating_sub(time);
        let state = match (last.failing_since, last.has_answered) {
            (Some(_), _) => SourceState::Failing,
            (None, true) => SourceState::Working,
            (None, false) => SourceState::NotUsedYet,
        };
        let failed = last.failed.clone();
        ResolverState {
            state,
            failing_for: last.failing_since.map(since),
            last_failure: failed.map(|(at, reason)| SourceFailure::new(since(at), reason)),
        }
    }

    fn last(&self) -> MutexGuard<'_, LastCalls> {
        // Consistent after each statement, so a panic elsewhere does no harm.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports a call to the observers.
pub(super) fn notify(
    observers: &Observers,
    duration: Duration,
    result: Result<ResolvedIssuer, &'static str>,
) {
    observers.notify(&Event::ResolverCalled { duration, result });
}

/// Returns the text of an error, with a bounded length and without credentials in URLs.
fn reason(error: &dyn fmt::Display) -> Arc<str> {
    let text = error.to_string();
    let text = without_user_info(&text);
    text.chars().take(MAX_REASON).collect::<String>().into()
}
