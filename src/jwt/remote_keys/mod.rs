//! Fetches the key set of an authorization server and keeps it up to date: [`RemoteKeys`].
//!
//! The first requests wait for the first keys. After that, keys are refreshed in the background when they reach their
//! maximum age, and before a request is answered when the current keys cannot verify its token. If a fetch fails, the
//! current keys stay in use. Requests share one fetch at a time. It runs in its own task, so it goes on if a caller
//! disconnects.
//!
//! * `schedule`: when a fetch may begin.
//! * `source`: where the set is published, and how it is fetched.
//! * `search`: how one request looks for newer keys.
//! * `source_state`: what operators see.

mod schedule;
mod search;
mod source;
mod source_state;

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use quick_cache::sync::Cache;

pub(super) use self::search::KeySearch;
use self::{
    schedule::{Attempt, Cause, Schedule},
    search::KeyHash,
    source::KeySetSource,
};
use crate::{
    Algorithm, Clock, Event, HttpClient, Issuer, KeySet, ValidationError,
    authorization_server::CheckedAuthorizationServer,
    observer::{Observers, SourceKind},
    refusal::Excerpt,
    single_flight::{FlightError, SingleFlight},
    token::RefreshHook,
};

/// When keys are fetched.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyRefresh {
    /// Age at which the keys are fetched again in the background.
    pub(super) interval: Duration,
    /// Time after which another fetch for unknown keys and bad signatures may start.
    pub(super) cool_down: Duration,
    /// Maximum time for one fetch, including metadata and keys.
    pub(super) timeout: Duration,
}

impl Default for KeyRefresh {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5 * 60),
            cool_down: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
        }
    }
}

impl KeyRefresh {
    /// Returns the time after which a fetch counts as abandoned. Its own timeout should have ended it, so its runtime
    /// has stopped.
    fn abandoned_after(self) -> Duration {
        self.timeout.saturating_mul(2)
    }
}

/// Time for which an unknown key triggers no other fetch after one that did not return it. For a known key whose tokens
/// have bad signatures, it is at most one cool-down. Anyone can send such tokens, so a longer time would delay the
/// replacement of the key under the same `kid`.
const FAILED_SEARCH_TTL: Duration = Duration::from_secs(30);

/// Maximum number of such keys in the cache. About one search per fetch is recorded, and in this time at most 6 fetches start
/// at the default cool-down. Each issuer has its own cache, and there may be thousands of issuers. For so few
/// entries, `quick_cache` creates one shard. For 1,024, it would create several for each CPU core.
const MAX_FAILED_SEARCHES: usize = 16;

/// The key set of an authorization server.
pub(super) struct RemoteKeys {
    /// For fetches in tasks of their own.
    this: Weak<Self>,
    source: KeySetSource,
    clock: Arc<dyn Clock>,
    /// The algorithms of the validator, to warn about keys that fit several of them.
    algorithms: Box<[Algorithm]>,
    /// The last set that was fetched. Stays in use if a refresh fails, so that an outage of the key server does not
    /// refuse every token.
    current: ArcSwapOption<KeySet>,
    /// The fetch in progress, if any.
    flight: Arc<SingleFlight<(), ()>>,
    /// When a fetch may start. Never locked across an await.
    schedule: Mutex<Schedule>,
    /// [`Schedule::due`] in milliseconds, because every request reads it.
    due: AtomicU64,
    /// Keys that a fetch did not help with, with the time until which they trigger no other fetch. Unverified tokens
    /// add entries, so the cache is bounded. An entry only prevents fetches: the current set is always tried.
    failed_searches: Cache<KeyHash, Duration>,
    /// Hashes the keys, because the sender chooses the length of a `kid`.
    hasher: RandomState,
    cool_down: Duration,
    observers: Observers,
}

impl RemoteKeys {
    pub(super) fn new(
        server: CheckedAuthorizationServer,
        client: Arc<dyn HttpClient>,
        clock: Arc<dyn Clock>,
        refresh: KeyRefresh,
        algorithms: Box<[Algorithm]>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            source: KeySetSource::new(server, client, refresh.timeout),
            clock,
            algorithms,
            current: ArcSwapOption::empty(),
            flight: SingleFlight::new(1, refresh.abandoned_after()),
            schedule: Mutex::new(Schedule::new(refresh)),
            due: AtomicU64::new(0),
            failed_searches: Cache::new(MAX_FAILED_SEARCHES),
            hasher: RandomState::new(),
            cool_down: refresh.cool_down,
            observers: Observers::default(),
        })
    }

    /// Returns the current keys. Starts a refresh in the background if one is due.
    pub(super) fn current(&self) -> Option<Arc<KeySet>> {
        let keys = self.current.load_full()?;
        self.refresh_if_due();
        Some(keys)
    }

    /// Fetches the first keys, or waits for the fetch in progress.
    pub(super) async fn first(self: &Arc<Self>) -> Result<Arc<KeySet>, ValidationError> {
        self.fetch(Cause::NoKeys).await;
        self.current.load_full().ok_or_else(|| self.unavailable())
    }

    /// Starts a search for newer keys after a token could not be verified with `tried`.
    pub(super) fn search(
        self: &Arc<Self>,
        kid: Option<&str>,
        algorithm: Algorithm,
        tried: Arc<KeySet>,
    ) -> KeySearch<'_> {
        KeySearch::new(self, self.hasher.hash_one((kid, algorithm)), tried)
    }

    fn newer_than(&self, known: &Arc<KeySet>) -> Option<Arc<KeySet>> {
        self.current.load_full().filter(|current| !Arc::ptr_eq(current, known))
    }

    fn has_failed_recently(&self, wanted: KeyHash) -> bool {
        self.failed_searches.get(&wanted).is_some_and(|until| self.now() < until)
    }

    fn record_failed_search(&self, wanted: KeyHash, refusal: &ValidationError) {
        let ttl = match refusal {
            ValidationError::BadSignature => FAILED_SEARCH_TTL.min(self.cool_down),
            _ => FAILED_SEARCH_TTL,
        };
        self.failed_searches.insert(wanted, self.now().saturating_add(ttl));
    }

    fn unavailable(&self) -> ValidationError {
        let schedule = self.schedule();
        ValidationError::KeysUnavailable {
            issuer: self.source.issuer().as_str().into(),
            reason: schedule.last_error().unwrap_or_else(|| "the fetch did not complete".into()),
            retry_after: schedule.back_off_left(self.now()),
        }
    }

    /// Fetches if the schedule allows it, or waits for the fetch in progress.
    async fn fetch(self: &Arc<Self>, cause: Cause) {
        let run = || self.flight.run_if((), || self.begin(cause));
        if run().await == Some(Err(FlightError::Lost)) {
            // The joined fetch may belong to a runtime that has stopped. After a panic there is a back-off.
            run().await;
        }
    }

    /// Returns a fetch to run, if the schedule allows one.
    fn begin(self: &Arc<Self>, cause: Cause) -> Option<impl Future<Output = ()> + Send + 'static> {
        let mut schedule = self.schedule();
        let attempt = schedule.begin(cause, self.now())?;
        self.publish_due(&schedule);
        let fetch = Fetch { keys: Arc::clone(self), attempt, has_ended: false };
        Some(fetch.run())
    }

    /// Makes a fetched set the current one.
    fn replace(&self, newer: KeySet) {
        let older = self.current.load_full();
        let newer = match &older {
            Some(older) => newer.reusing_keys_of(older),
            None => newer,
        };
        tracing::debug!(issuer = %self.source.issuer(), keys = newer.len(), "keys fetched");
        if older.as_ref().is_some_and(|older| older.is_same_as(&newer)) {
            return; // so that no signature is verified again with the same keys
        }
        warn_about_unpinned_keys(self.source.issuer(), &newer, &self.algorithms, older.as_deref());
        let newer = Arc::new(newer);
        self.current.store(Some(Arc::clone(&newer)));
        if let Some(older) = older {
            older.invalidate_keys_not_in(&newer);
        }
    }

    /// Reports the end of a fetch, and whether fetches began to fail or work again.
    fn report(&self, attempt: Attempt, result: Result<(), &'static str>, was_failing: bool) {
        let issuer = self.source.issuer().as_str();
        let duration = attempt.age(self.now());
        self.observers.notify(&Event::KeysFetched { issuer, duration, result });
        if was_failing == result.is_ok() {
            let (source, working) = (SourceKind::Keys, result.is_ok());
            self.observers.notify(&Event::SourceStateChanged { issuer, source, working });
        }
    }

    fn publish_due(&self, schedule: &Schedule) {
        let due = u64::try_from(schedule.due().as_millis()).unwrap_or(u64::MAX);
        self.due.store(due, Ordering::Relaxed);
    }

    fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        // Consistent after each statement, so a panic elsewhere does no harm.
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RefreshHook for RemoteKeys {
    fn refresh_if_due(&self) {
        if self.now().as_millis() < u128::from(self.due.load(Ordering::Relaxed)) {
            return;
        }
        if let Some(keys) = self.this.upgrade() {
            self.flight.start_if((), || keys.begin(Cause::Age));
        }
    }
}

impl std::fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteKeys").field("issuer", self.source.issuer()).finish_non_exhaustive()
    }
}

/// One fetch. If it is dropped before it ends, because of a panic or a runtime shutdown, it counts as failed.
struct Fetch {
    keys: Arc<RemoteKeys>,
    attempt: Attempt,
    has_ended: bool,
}

impl Fetch {
    async fn run(mut self) {
        let fetched = self.keys.source.fetch(self.keys.now()).await;
        self.has_ended = true;
        match fetched {
            Ok(newer) => self.succeed(newer),
            Err(error) => self.fail(error.kind(), &error.to_string()),
        }
    }

    fn succeed(&self, newer: KeySet) {
        // Locked until the keys are stored, so that no request sees the success without the keys.
        let mut schedule = self.keys.schedule();
        let was_failing = schedule.is_failing();
        if !schedule.succeed(self.attempt) {
            return; // a newer fetch is under way and reports
        }
        self.keys.replace(newer);
        self.keys.publish_due(&schedule);
        drop(schedule);
        self.keys.report(self.attempt, Ok(()), was_failing);
    }

    fn fail(&self, kind: &'static str, reason: &str) {
        let keeps = self.keys.current.load().is_some();
        tracing::warn!(issuer = %self.keys.source.issuer(), error = reason, keeps_old_keys = keeps, "keys not fetched");
        let mut schedule = self.keys.schedule();
        let was_failing = schedule.is_failing();
        let is_newest = schedule.fail(self.attempt, reason);
        self.keys.publish_due(&schedule);
        drop(schedule);
        if is_newest {
            self.keys.report(self.attempt, Err(kind), was_failing);
        }
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        if !self.has_ended {
            self.fail("not_completed", "the fetch did not complete");
        }
    }
}

/// Logs a warning for each new key without `alg` that fits several `allowed` algorithms.
///
/// RFC 8725 section 3.1 requires that each key is used with one algorithm. Keys that are also in `older` are not
/// reported again.
pub(super) fn warn_about_unpinned_keys(
    issuer: &Issuer,
    keys: &KeySet,
    allowed: &[Algorithm],
    older: Option<&KeySet>,
) {
    for kid in keys.unpinned_kids(allowed, older) {
        let kid = kid.map(Excerpt::new);
        tracing::warn!(
            %issuer, ?kid,
            "key declares no alg and fits several of the configured algorithms; configure the one in use"
        );
    }
}
