//! A clock that only moves when a test moves it: [`ManualClock`].

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{Clock, SystemClock, UnixTime};

/// A [`Clock`] that only moves when a test moves it.
///
/// Clones share the time. The default starts at 1,800,000,000 seconds, in January 2027.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<Times>>);

#[derive(Clone, Copy, Debug)]
struct Times {
    now: UnixTime,
    monotonic: Duration,
}

impl ManualClock {
    /// Creates a clock that shows `now`.
    pub fn new(now: UnixTime) -> Self {
        Self(Arc::new(Mutex::new(Times { now, monotonic: Duration::from_secs(1_000) })))
    }

    /// Creates a clock that starts at the current system time.
    ///
    /// For tests with services that use the system clock.
    pub fn starting_now() -> Self {
        Self::new(SystemClock.now())
    }

    /// Advances the wall clock and the monotonic clock.
    ///
    /// Background work that becomes due, such as a refresh of keys, starts with the next request. Call
    /// [`TestAuthorizationServer::settle`](super::TestAuthorizationServer::settle) after that request to see its effect.
    ///
    /// A stream whose token expires ends the next time its response is polled. An idle stream is only polled by a timer of tokio, which this
    /// clock does not advance: use `#[tokio::test(start_paused = true)]`, and call the service without a socket.
    pub fn advance(&self, span: Duration) {
        let mut times = self.times();
        times.now = times.now.saturating_add(span);
        times.monotonic += span;
    }

    /// Sets the wall clock, forward or back. The monotonic clock does not change.
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
