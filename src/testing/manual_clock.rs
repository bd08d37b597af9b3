//! A clock that stands still until a test moves it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{Clock, UnixTime};

/// A [`Clock`] that a test moves. Clones show the same time. Starts in 2027.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<Times>>);

#[derive(Clone, Copy, Debug)]
struct Times {
    now: UnixTime,
    monotonic: Duration,
}

impl ManualClock {
    /// Makes a clock that shows `now`.
    pub fn new(now: UnixTime) -> Self {
        Self(Arc::new(Mutex::new(Times { now, monotonic: Duration::from_secs(1_000) })))
    }

    /// Lets time pass.
    pub fn advance(&self, span: Duration) {
        let mut times = self.times();
        times.now = times.now.saturating_add(span);
        times.monotonic += span;
    }

    /// Sets the wall clock, back or forth, as an administrator would; no time passes.
    pub fn set(&self, now: UnixTime) {
        self.times().now = now;
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new(UnixTime::from_secs(1_800_000_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixTime {
        self.times().now
    }

    fn monotonic(&self) -> Duration {
        self.times().monotonic
    }
}
