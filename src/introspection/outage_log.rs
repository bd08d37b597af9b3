//! Logs when introspection starts and stops failing, not every request: [`OutageLog`].

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{call::MAX_CALLS, failure::CallFailure};
use crate::{Clock, Issuer};

/// Minimum time between two log lines about the same state. Otherwise a client whose token causes a firewall to answer
/// 403 could fill the log.
const PAUSE: Duration = Duration::from_secs(60);

/// Logs changes of state, each state at most once a minute. A change within that minute is logged after it, if the
/// state is still the same.
pub(super) struct OutageLog {
    issuer: Issuer,
    clock: Arc<dyn Clock>,
    history: Mutex<History>,
}

/// The state of the authorization server, as shown by a completed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Answering,
    /// The server answers, but calls were refused at the limit of concurrent calls.
    AnsweringBelowDemand,
    NoResponse,
    Unavailable,
    Malformed,
    Refused(u16),
}

struct History {
    /// The last logged state.
    logged: State,
    /// When each state was last logged, on the monotonic clock. There are only a few states.
    times: Vec<(State, Duration)>,
    /// Whether calls were refused at the limit since the last completed call.
    is_limited: bool,
}

impl OutageLog {
    pub(super) fn new(issuer: Issuer, clock: Arc<dyn Clock>) -> Self {
        let history = History { logged: State::Answering, times: Vec::new(), is_limited: false };
        Self { issuer, clock, history: Mutex::new(history) }
    }

    /// Logs the outcome of a call if the state changed.
    pub(super) fn report(&self, failure: Option<&CallFailure>) {
        let now = self.clock.monotonic();
        let state = match failure {
            // A server that does not respond causes the limit to be reached. The calls in progress will show the cause.
            Some(CallFailure::TooManyCalls) => {
                self.history().is_limited = true;
                return;
            }
            Some(CallFailure::NoResponse { .. }) => State::NoResponse,
            Some(CallFailure::Unavailable { .. }) => State::Unavailable,
            Some(CallFailure::Malformed { .. }) => State::Malformed,
            Some(CallFailure::Refused { status }) => State::Refused(*status),
            None => State::Answering,
        };
        let Some(state) = self.history().complete(state, now) else {
            return;
        };
        let issuer = &self.issuer;
        match (state, failure.map(|failure| failure.to_error(issuer))) {
            (State::Refused(_), Some(error)) => tracing::error!(%error, "introspection fails"),
            (_, Some(error)) => tracing::warn!(%error, "introspection fails"),
            (State::AnsweringBelowDemand, None) => {
                tracing::warn!(%issuer, limit = MAX_CALLS, "introspection calls refused, maximum number of concurrent calls reached");
            }
            (_, None) => tracing::info!(%issuer, "introspection works again"),
        }
    }

    fn history(&self) -> MutexGuard<'_, History> {
        // Consistent after each statement, so a panic elsewhere does no harm.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl History {
    /// Records a completed call and returns the state to log, if there is one.
    fn complete(&mut self, state: State, now: Duration) -> Option<State> {
        let was_limited = std::mem::take(&mut self.is_limited);
        if state != self.logged {
            let is_due = self.take_turn(state, now);
            if is_due {
                self.logged = state;
            }
            return is_due.then_some(state);
        }
        let below_demand = State::AnsweringBelowDemand;
        (state == State::Answering && was_limited && self.take_turn(below_demand, now))
            .then_some(below_demand)
    }

    /// Returns whether the state may be logged now, and records that it is logged.
    fn take_turn(&mut self, state: State, now: Duration) -> bool {
        match self.times.iter_mut().find(|(known, _)| *known == state) {
            Some((_, last)) if now.saturating_sub(*last) < PAUSE => return false,
            Some((_, last)) => *last = now,
            None => self.times.push((state, now)),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn history() -> History {
        History { logged: State::Answering, times: Vec::new(), is_limited: false }
    }

    #[test]
    fn a_state_is_logged_when_it_changes() {
        let mut history = history();

        for (state, logged) in [
            (State::Answering, false),
            (State::NoResponse, true),
            (State::NoResponse, false),
            (State::Refused(403), true),
            (State::Refused(401), true),
            (State::Answering, true),
            (State::Answering, false),
        ] {
            assert_eq!(history.complete(state, SECOND), logged.then_some(state));
        }
    }

    #[test]
    fn a60_alternating_states_are_logged_once_a_minute_each() {
        let mut history = history();
        let mut logged = 0;

        for second in 0..600 {
            let state = if second % 2 == 0 { State::Refused(403) } else { State::Answering };
            logged += usize::from(history.complete(state, second * SECOND).is_some());
        }

        assert_eq!(logged, 2 * 10);
    }

    #[test]
    fn a_change_within_the_minute_is_logged_after_it() {
        let mut history = history();
        history.complete(State::NoResponse, SECOND);
        history.complete(State::Answering, 2 * SECOND);

        assert_eq!(history.complete(State::NoResponse, 60 * SECOND), None);
        assert_eq!(history.complete(State::NoResponse, 61 * SECOND), Some(State::NoResponse));
    }

    #[test]
    fn the_limit_is_logged_if_the_server_answers() {
        let mut history = history();

        history.is_limited = true;
        assert_eq!(history.complete(State::NoResponse, SECOND), Some(State::NoResponse));
        assert_eq!(history.complete(State::Answering, SECOND), Some(State::Answering));
        history.is_limited = true;
        assert_eq!(history.complete(State::Answering, SECOND), Some(State::AnsweringBelowDemand));
        history.is_limited = true;
        assert_eq!(history.complete(State::Answering, 2 * SECOND), None);
    }
}
