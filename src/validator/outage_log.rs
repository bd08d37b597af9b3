//! Logs when an outage begins and ends, not every request: [`OutageLog`].

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Time without failures after which an outage is over. Otherwise a validator that fails only for some tokens could
/// fill the log.
const QUIET_PERIOD: Duration = Duration::from_secs(10);

/// Logs the outages of one validator or resolver: a warning when one begins, an info message when it is over.
pub(crate) struct OutageLog {
    /// The type name of the validator or resolver, for the log.
    name: &'static str,
    texts: Texts,
    /// When the validator failed last, if an outage has been logged and is not over.
    last_failure: Mutex<Option<Instant>>,
}

/// What is logged when an outage begins and when it is over.
type Texts = (&'static str, &'static str);

const VALIDATOR: Texts =
    ("validator unavailable, requests are answered with 503", "validator available again");

const RESOLVER: Texts =
    ("resolver unavailable, only tenants that are already known are served", "resolver available again");

impl OutageLog {
    pub(super) fn new(validator: &'static str) -> Self {
        Self { name: validator, texts: VALIDATOR, last_failure: Mutex::new(None) }
    }

    pub(crate) fn of_resolver(resolver: &'static str) -> Self {
        Self { name: resolver, texts: RESOLVER, last_failure: Mutex::new(None) }
    }

    /// Records a failure of the validator.
    pub(crate) fn failed(&self, error: &dyn fmt::Display) {
        if self.last_failure().replace(Instant::now()).is_none() {
            tracing::warn!(validator = self.name, %error, "{}", self.texts.0);
        }
    }

    /// Records that the validator returned a verdict, positive or negative.
    pub(crate) fn answered(&self) {
        let mut last_failure = self.last_failure();
        if last_failure.is_some_and(|at| at.elapsed() >= QUIET_PERIOD) {
            *last_failure = None;
            tracing::info!(validator = self.name, "{}", self.texts.1);
        }
    }

    fn last_failure(&self) -> MutexGuard<'_, Option<Instant>> {
        // Consistent after each statement, so a panic elsewhere does no harm.
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
