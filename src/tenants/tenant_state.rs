//! How long a resolved tenant may be used: [`TenantState`]. Shared by its cache entry and its verdicts.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{UnverifiedIssuer, known_tenants::Question};
use crate::{Clock, token::TenantValidity};

/// When the resolver is asked again about a tenant.
#[derive(Clone, Copy, Debug)]
pub(super) struct TenantTimes {
    /// Time after which the resolver must have been asked again.
    pub(super) ttl: Duration,
    /// Maximum age of an answer while the resolver fails.
    pub(super) max_age: Duration,
    /// Maximum time for one answer of the resolver.
    pub(super) timeout: Duration,
}

/// Time between two attempts while the resolver fails.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// The validity of a tenant. All times are in milliseconds on the monotonic clock.
pub(super) struct TenantState {
    issuer: UnverifiedIssuer,
    version: Option<Box<str>>,
    times: TenantTimes,
    clock: Arc<dyn Clock>,
    resolver: Weak<dyn Refresh>,
    is_withdrawn: AtomicBool,
    /// When the resolver is asked again in the background.
    due: AtomicU64,
    /// When requests wait until the resolver has been asked again.
    stale_from: AtomicU64,
    /// When the tenant is no longer used, even if the resolver fails.
    expires: AtomicU64,
}

/// Asks the resolver again.
pub(super) trait Refresh: Send + Sync {
    /// Starts to ask about this issuer, without waiting for the answer.
    fn refresh(&self, issuer: &UnverifiedIssuer);
}

impl TenantState {
    /// Creates the state of a tenant that the resolver returned.
    pub(super) fn new(
        question: &Question<'_>,
        version: Option<Box<str>>,
        times: TenantTimes,
        clock: Arc<dyn Clock>,
        resolver: Weak<dyn Refresh>,
    ) -> Arc<Self> {
        let state = Self {
            issuer: question.issuer().clone(),
            version,
            times,
            clock,
            resolver,
            is_withdrawn: AtomicBool::new(false),
            due: AtomicU64::new(0),
            stale_from: AtomicU64::new(0),
            expires: AtomicU64::new(0),
        };
        state.renew(question.asked());
        Arc::new(state)
    }

    /// Prolongs the tenant after the resolver returned it again. `asked` is when it was asked.
    pub(super) fn renew(&self, asked: Duration) {
        let TenantTimes { ttl, max_age, .. } = self.times;
        // Early enough that a tenant in use is usually renewed before its requests must wait.
        set(&self.due, asked.saturating_add(ttl / 5 * 4));
        set(&self.stale_from, asked.saturating_add(ttl));
        set(&self.expires, asked.saturating_add(max_age));
    }

    /// Prolongs the tenant after the resolver failed, up to its maximum age. Returns whether it may still be used.
    pub(super) fn tolerate_failure(&self) -> bool {
        let now = self.clock.monotonic();
        let due = now.saturating_add(RETRY_PAUSE);
        set(&self.due, due);
        // Requests do not wait for the next attempt, which may also last as long as the timeout.
        let stale_from = due.saturating_add(self.times.timeout).saturating_add(RETRY_PAUSE);
        let stale_from = millis(stale_from).min(self.expires.load(Ordering::Relaxed));
        self.stale_from.fetch_max(stale_from, Ordering::Relaxed);
        self.is_valid()
    }

    pub(super) fn issuer(&self) -> &str {
        self.issuer.expose_for_lookup()
    }

    pub(super) fn withdraw(&self) {
        self.is_withdrawn.store(true, Ordering::Release);
    }

    /// Returns whether the resolver should be asked again.
    pub(super) fn is_due(&self) -> bool {
        millis(self.clock.monotonic()) >= self.due.load(Ordering::Relaxed)
    }

    /// Returns whether both settings have the same version. Settings without a version count as changed.
    pub(super) fn has_version(&self, version: Option<&str>) -> bool {
        version.is_some() && self.version.as_deref() == version
    }
}

impl TenantValidity for TenantState {
    fn is_valid(&self) -> bool {
        !self.is_withdrawn() && millis(self.clock.monotonic()) < self.stale_from.load(Ordering::Relaxed)
    }

    fn is_withdrawn(&self) -> bool {
        self.is_withdrawn.load(Ordering::Acquire)
    }

    fn refresh_if_due(&self) {
        if self.is_due()
            && !self.is_withdrawn()
            && let Some(resolver) = self.resolver.upgrade()
        {
            resolver.refresh(&self.issuer);
        }
    }
}

fn set(time: &AtomicU64, value: Duration) {
    time.store(millis(value), Ordering::Relaxed);
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
