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
    kind: Kind,
    /// When the validator failed last, if an outage has been logged and is not over.
    last_failure: Mutex<Option<Instant>>,
}

/// Whose outages are logged.
enum Kind {
    Validator,
    Resolver,
}

impl OutageLog {
    pub(super) fn new(validator: &'static str) -> Self {
        Self { name: validator, kind: Kind::Validator, last_failure: Mutex::new(None) }
    }

    pub(crate) fn of_resolver(resolver: &'static str) -> Self {
        Self { name: resolver, kind: Kind::Resolver, last_failure: Mutex::new(None) }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Records a failure of the validator.
    pub(crate) fn failed(&self, error: &dyn fmt::Display) {
        if self.last_failure().replace(Instant::now()).is_none() {
            match self.kind {
                Kind::Validator => {
                    tracing::warn!(validator = self.name, %error, "validator unavailable, requests are answered with 503");
                }
                Kind::Resolver => {
                    tracing::warn!(resolver = self.name, %error, "resolver unavailable, only tenants that are already known are served");
                }
            }
        }
    }

    /// Records that the validator returned a verdict, positive or negative.
    pub(crate) fn answered(&self) {
        let mut last_failure = self.last_failure();
        if last_failure.is_some_and(|at| at.elapsed() >= QUIET_PERIOD) {
            *last_failure = None;
            match self.kind {
                Kind::Validator => tracing::info!(validator = self.name, "validator available again"),
                Kind::Resolver => tracing::info!(resolver = self.name, "resolver available again"),
            }
        }
    }

    fn last_failure(&self) -> MutexGuard<'_, Option<Instant>> {
        // Consistent after each statement, so a panic elsewhere does no harm.
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
