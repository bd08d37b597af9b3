//! Measures how long a layer takes to decide, if there is an observer: [`Timing`].

use std::{sync::Arc, time::Duration};

use crate::{Event, Outcome, Rejection, ValidationError, token::GuardSettings};

/// When a layer began to decide about a request. Empty without an observer, and after the decision.
#[derive(Default)]
pub(super) struct Timing(Option<Began>);

struct Began {
    /// On the monotonic clock.
    at: Duration,
    settings: Arc<GuardSettings>,
    is_inner: bool,
}

impl Timing {
    /// Starts, unless it has started.
    pub(super) fn begin(&mut self, settings: &Arc<GuardSettings>) {
        if self.0.is_none() && settings.refusals.observation.is_on() {
            let (at, settings) = (settings.clock.monotonic(), Arc::clone(settings));
            self.0 = Some(Began { at, settings, is_inner: false });
        }
    }

    /// Records that an outer layer validated the token.
    pub(super) fn is_inner(&mut self) {
        if let Some(began) = &mut self.0 {
            began.is_inner = true;
        }
    }

    /// Reports the decision.
    pub(super) fn end(&mut self, outcome: impl FnOnce() -> Outcome) {
        if let Some(Began { at, settings, is_inner }) = self.0.take() {
            let duration = settings.clock.monotonic().saturating_sub(at);
            let event = Event::RequestDecided { outcome: outcome(), duration, is_inner };
            settings.refusals.observation.notify(&event);
        }
    }

    pub(super) fn end_refused(&mut self, error: &ValidationError) {
        self.end(|| Outcome::Refused { status: Rejection::from(error).status(), error: error.kind() });
    }
}
