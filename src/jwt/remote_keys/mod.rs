//! The key set of an authorization server, fetched and kept up to date: [`RemoteKeys`].
//!
//! The first requests wait for the first keys. Later the keys are refreshed by age, in the background, and when a token
//! cannot be verified with the ones there are. They are kept while they cannot be fetched. All fetches go through a single
//! flight, in a task of its own, so a caller that leaves cancels nothing and a thousand that wait cause one request.
//!
//! * `schedule`: when a fetch may begin.
//! * `source`: where the set is published, and how it is read.
//! * `search`: how one request looks for newer keys.

mod schedule;
mod search;
mod source;

use std::{
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
    search::WantedKey,
    source::KeySetSource,
};
use crate::{
    Algorithm, Clock, HttpClient, Issuer, KeySet, ValidationError,
    authorization_server::CheckedAuthorizationServer,
    refusal::Excerpt,
    single_flight::{FlightError, SingleFlight},
    token::RefreshHook,
};

/// How often keys are fetched.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyRefresh {
    /// Age from which a set is fetched again while requests go on with the old one.
    pub(super) interval: Duration,
    /// Time after which one more fetch for unknown keys and bad signatures may begin.
    pub(super) cool_down: Duration,
    /// Maximum time for one fetch, metadata and keys together.
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
    /// A fetch that takes longer is driven by no runtime any more, since its own timeout did not end it.
    fn abandoned_after(self) -> Duration {
        self.timeout.saturating_mul(2)
    }
}

/// How long a key that a fetch did not bring, or a signature that it did not make good, causes no further fetch.
const VAIN_SEARCH_COUNTS_FOR: Duration = Duration::from_secs(30);

/// Maximum number of such keys that are remembered.
const MAX_VAIN_SEARCHES: usize = 1_024;

/// The key set of an authorization server.
pub(super) struct RemoteKeys {
    /// For fetches in tasks of their own.
    this: Weak<Self>,
    source: KeySetSource,
    clock: Arc<dyn Clock>,
    /// The algorithms of the validator, to warn about keys that fit several of them.
    algorithms: Box<[Algorithm]>,
    /// Last good set. Kept when a refresh fails: a key server that is down must not log everybody out.
    current: ArcSwapOption<KeySet>,
    /// The fetch in progress, if any.
    flight: Arc<SingleFlight<(), ()>>,
    /// When a fetch may begin. Locked for a few comparisons only, never while waiting.
    schedule: Mutex<Schedule>,
    /// [`Schedule::due`] in milliseconds, because every request reads it.
    due: AtomicU64,
    /// Keys that were searched in vain, with the time. Tokens that nobody has verified fill it, so it is bounded, and it
    /// only keeps fetches from starting: the current set is always tried.
    searched_in_vain: Cache<WantedKey, Duration>,
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
            searched_in_vain: Cache::new(MAX_VAIN_SEARCHES),
        })
    }

    /// Returns the current keys. If they are due for a refresh, one starts in the background.
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

    /// Starts the search for keys newer than `tried`, with which a token could not be verified.
    pub(super) fn search(
        self: &Arc<Self>,
        kid: Option<&str>,
        algorithm: Algorithm,
        tried: Arc<KeySet>,
    ) -> KeySearch<'_> {
        KeySearch::new(self, kid, algorithm, tried)
    }

    fn newer_than(&self, known: &Arc<KeySet>) -> Option<Arc<KeySet>> {
        self.current.load_full().filter(|current| !Arc::ptr_eq(current, known))
    }

    fn was_searched_in_vain(&self, wanted: &WantedKey) -> bool {
        self.searched_in_vain
            .get(wanted)
            .is_some_and(|since| self.now().saturating_sub(since) < VAIN_SEARCH_COUNTS_FOR)
    }

    fn remember_vain_search(&self, wanted: WantedKey) {
        self.searched_in_vain.insert(wanted, self.now());
    }

    fn unavailable(&self) -> ValidationError {
        let schedule = self.schedule();
        ValidationError::KeysUnavailable {
            issuer: self.source.issuer().as_str().into(),
            reason: schedule.last_error().unwrap_or_else(|| "the fetch ended without an answer".into()),
            retry_after: schedule.back_off_left(self.now()),
        }
    }

    /// Fetches if the schedule allows it, or waits for the fetch in progress.
    async fn fetch(self: &Arc<Self>, cause: Cause) {
        let run = || self.flight.run_if((), || self.begin(cause));
        if run().await == Some(Err(FlightError::Lost)) {
            // The fetch that was joined may belong to a runtime that stands still. After a panic there is a back-off.
            run().await;
        }
    }

    /// Begins a fetch if the schedule allows it, and returns what is to be run.
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
            Some(older) => newer.succeeding(older),
            None => newer,
        };
        tracing::debug!(issuer = %self.source.issuer(), keys = newer.len(), "keys fetched");
        if older.as_ref().is_some_and(|older| older.is_same_as(&newer)) {
            return; // so that nobody verifies a signature again with the same keys
        }
        warn_about_unpinned_keys(self.source.issuer(), &newer, &self.algorithms, older.as_deref());
        let newer = Arc::new(newer);
        self.current.store(Some(Arc::clone(&newer)));
        if let Some(older) = older {
            older.retire_in_favour_of(&newer);
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

/// One fetch. If it is dropped before its end, because of a panic or because its runtime is shut down, it has failed.
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
            Err(error) => self.fail(&error.to_string()),
        }
    }

    fn succeed(&self, newer: KeySet) {
        // One step for others, so that none sees the success without the keys.
        let mut schedule = self.keys.schedule();
        if schedule.succeed(self.attempt) {
            self.keys.replace(newer);
            self.keys.publish_due(&schedule);
        }
    }

    fn fail(&self, reason: &str) {
        let keeps = self.keys.current.load().is_some();
        tracing::warn!(issuer = %self.keys.source.issuer(), error = reason, keeps_old_keys = keeps, "keys not fetched");
        let mut schedule = self.keys.schedule();
        schedule.fail(self.attempt, reason);
        self.keys.publish_due(&schedule);
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        if !self.has_ended {
            self.fail("the fetch ended without an answer");
        }
    }
}

/// Warns about each key that `older` does not have and that fits several of the `allowed` algorithms because it declares
/// none.
///
/// RFC 8725 section 3.1 wants one algorithm for each key. Only the server or our configuration can name it.
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
