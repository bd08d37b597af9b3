//! Keys that are fetched: waited for by the first requests, refreshed by age and for an unknown `kid`, kept through
//! outages.
//!
//! All fetches of one set go through a single flight in a task of its own: a caller who leaves cancels nothing, and a
//! thousand who wait cause one request.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use quick_cache::sync::Cache;
use url::Url;

use crate::{
    Algorithm, Clock, HttpClient, Issuer, KeySet, ValidationError,
    authorization_server::{CheckedAuthorizationServer, metadata::ServerMetadata},
    http_client::fetch::{FetchError, check_status, get},
    single_flight::SingleFlight,
    token::RefreshHook,
};

/// How often keys are fetched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyRefresh {
    /// Age from which a set is fetched again, while requests go on with the old one.
    pub(crate) interval: Duration,
    /// Time between two fetches for unknown keys; whoever invents a `kid` causes no more than that.
    pub(crate) cool_down: Duration,
    /// Time for one fetch, metadata and keys together; the longest that a first request waits.
    pub(crate) timeout: Duration,
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

/// First wait after a failed fetch; it doubles with each further one.
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);

/// Longest wait while there are keys to go on with.
const MAX_BACK_OFF: Duration = Duration::from_secs(60);

/// Longest wait while there are none: every request is refused, so we look often whether the server is back.
const MAX_BACK_OFF_WITHOUT_KEYS: Duration = Duration::from_secs(4);

/// How long the address of the keys counts without another look into the metadata: a server that moves its keys may leave
/// an old set behind.
const LOCATED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a `kid` that a fresh set did not have causes no further fetch, and how many of them are remembered.
const ABSENT_FOR: Duration = Duration::from_secs(30);
const MAX_ABSENT: usize = 1_024;

/// The key set of an authorization server.
pub(crate) struct RemoteKeys {
    /// For fetches in tasks of their own.
    this: Weak<Self>,
    server: CheckedAuthorizationServer,
    client: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
    refresh: KeyRefresh,
    /// The algorithms of the validator, to warn of keys that fit several.
    algorithms: Box<[Algorithm]>,
    /// Last good set. Kept when a refresh fails: a key server that is down must not log everybody out.
    current: ArcSwapOption<KeySet>,
    /// The fetch under way, if any.
    flight: Arc<SingleFlight<(), ()>>,
    /// When the keys are fetched again without being asked for, in milliseconds on the monotonic clock. Apart from the rest,
    /// because each request looks at it.
    due: AtomicU64,
    /// What is known of fetches so far. Held for some comparisons only, never while waiting.
    history: Mutex<History>,
    /// Kids that were not in a set fetched after they were asked for, with the moment; a claim of nobody verified, so
    /// their number is bounded and the set itself always counts for more.
    absent: Cache<Box<str>, Duration>,
}

#[derive(Default)]
struct History {
    /// When the last fetch started, on the monotonic clock.
    last_attempt: Option<Duration>,
    /// When the last good one started.
    last_success: Option<Duration>,
    /// How many have failed since.
    failures: u32,
    /// Why the last one failed.
    last_error: Option<Arc<str>>,
    /// Where metadata said that the keys are, and when it was asked; forgotten when they cannot be fetched there.
    jwks_uri: Option<(Url, Duration)>,
}

impl RemoteKeys {
    pub(crate) fn new(
        server: CheckedAuthorizationServer,
        client: Arc<dyn HttpClient>,
        clock: Arc<dyn Clock>,
        refresh: KeyRefresh,
        algorithms: Box<[Algorithm]>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            server,
            client,
            clock,
            refresh,
            algorithms,
            current: ArcSwapOption::empty(),
            flight: SingleFlight::new(1),
            due: AtomicU64::new(0),
            history: Mutex::default(),
            absent: Cache::new(MAX_ABSENT),
        })
    }

    /// Returns the keys there are. Where they are old it starts a fetch, which goes on by itself.
    pub(crate) fn current(&self) -> Option<Arc<KeySet>> {
        let keys = self.current.load_full()?;
        self.refresh_if_due();
        Some(keys)
    }

    /// Fetches the first keys, or waits for those who do.
    pub(crate) async fn first(self: &Arc<Self>) -> Result<Arc<KeySet>, ValidationError> {
        if !self.may_attempt(Duration::ZERO) {
            return Err(self.unavailable());
        }
        self.fetch().await;
        self.current.load_full().ok_or_else(|| self.unavailable())
    }

    /// Returns a set newer than `known`, which has no key for this `kid` and algorithm; fetches one where that is due.
    /// `None` where there is none.
    ///
    /// # Errors
    /// When the last fetch failed: whether there is such a key is not known then.
    pub(crate) async fn after_unknown_key(
        self: &Arc<Self>,
        kid: Option<&str>,
        algorithm: Algorithm,
        known: &Arc<KeySet>,
    ) -> Result<Option<Arc<KeySet>>, ValidationError> {
        let newer = || self.current.load_full().filter(|current| !Arc::ptr_eq(current, known));
        if let Some(newer) = newer() {
            return Ok(Some(newer));
        }
        if kid.is_some_and(|kid| self.is_absent(kid)) {
            return Ok(None);
        }
        let asked = self.clock.monotonic();
        if self.may_attempt(self.refresh.cool_down) {
            self.fetch().await;
            if let (Some(newer), Some(kid)) = (newer(), kid)
                && !newer.has_fitting(kid, algorithm)
                && self.is_fetched_since(asked)
            {
                self.absent.insert(kid.into(), self.clock.monotonic());
            }
        }
        match newer() {
            Some(newer) => Ok(Some(newer)),
            None if self.history().failures > 0 => Err(self.unavailable()),
            None => Ok(None),
        }
    }

    /// Tells whether the last good fetch started no earlier than `asked`. An answer that was under way by then may be older
    /// than a key which has just been published, and says nothing about it.
    fn is_fetched_since(&self, asked: Duration) -> bool {
        self.history().last_success.is_some_and(|started| started >= asked)
    }

    fn is_absent(&self, kid: &str) -> bool {
        self.absent.get(kid).is_some_and(|since| self.clock.monotonic().saturating_sub(since) < ABSENT_FOR)
    }

    /// Tells whether a fetch may start: after `cool_down`, or after a back-off where the last one failed. One that is
    /// under way may always be joined.
    fn may_attempt(&self, cool_down: Duration) -> bool {
        self.flight.is_under_way(&()) || self.wait_before_attempt(cool_down).is_zero()
    }

    fn wait_before_attempt(&self, cool_down: Duration) -> Duration {
        let has_keys = self.current.load().is_some();
        let history = self.history();
        let Some(last) = history.last_attempt else {
            return Duration::ZERO;
        };
        let pause = match history.failures {
            0 => cool_down,
            failures => self.back_off(failures, has_keys),
        };
        pause.saturating_sub(self.clock.monotonic().saturating_sub(last))
    }

    /// Returns the pause after this many failed fetches in a row.
    fn back_off(&self, failures: u32, has_keys: bool) -> Duration {
        let doubled = FIRST_BACK_OFF.saturating_mul(1 << failures.saturating_sub(1).min(16));
        if has_keys {
            doubled.max(self.refresh.cool_down).min(MAX_BACK_OFF)
        } else {
            doubled.min(MAX_BACK_OFF_WITHOUT_KEYS)
        }
    }

    /// Sets the moment from which the keys are fetched again without being asked for.
    fn set_due(&self, due: Duration) {
        self.due.store(u64::try_from(due.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn unavailable(&self) -> ValidationError {
        let retry_after = self.wait_before_attempt(Duration::ZERO);
        let reason =
            self.history().last_error.clone().unwrap_or_else(|| "the fetch ended without an answer".into());
        ValidationError::KeysUnavailable { issuer: self.server.issuer.as_str().into(), reason, retry_after }
    }

    /// Fetches, or waits for the fetch under way.
    async fn fetch(self: &Arc<Self>) {
        let fetch = || {
            let keys = Arc::clone(self);
            async move { keys.fetch_and_swap().await }
        };
        // Whether it was lost or refused, what the callers look at is its outcome. The fetch has a deadline of its own; the one
        // here is for callers whose runtime is alive when that of the fetch is not.
        let flight = tokio::time::timeout(self.refresh.timeout.saturating_mul(2), self.flight.run((), fetch));
        if !matches!(flight.await, Ok(Ok(()))) {
            tracing::error!(issuer = %self.server.issuer, "fetch of keys lost");
        }
    }

    async fn fetch_and_swap(&self) {
        let started = self.clock.monotonic();
        let has_keys = self.current.load().is_some();
        {
            // It counts as failed until it is done, so that one which panics has failed.
            let mut history = self.history();
            history.last_attempt = Some(started);
            history.failures = history.failures.saturating_add(1);
            self.set_due(started.saturating_add(self.back_off(history.failures, has_keys)));
        }
        let fetched = tokio::time::timeout(self.refresh.timeout, self.fetch_set()).await;
        let fetched = fetched.unwrap_or_else(|_| {
            Err(FetchError::Unusable(format!("not done within {:?}", self.refresh.timeout)))
        });
        match fetched {
            Ok(newer) => {
                self.swap(newer);
                let mut history = self.history();
                history.last_success = Some(started);
                history.failures = 0;
                self.set_due(started.saturating_add(self.refresh.interval));
                history.last_error = None;
            }
            Err(error) => {
                let keeps = self.current.load().is_some();
                tracing::warn!(issuer = %self.server.issuer, %error, keeps_old_keys = keeps, "keys not fetched");
                let mut history = self.history();
                history.last_error = Some(error.to_string().into());
                history.jwks_uri = None;
            }
        }
    }

    fn swap(&self, newer: KeySet) {
        let older = self.current.load_full();
        let newer = Arc::new(match &older {
            Some(older) => newer.succeeding(older),
            None => newer,
        });
        warn_about_unpinned_keys(&self.server.issuer, &newer, &self.algorithms, older.as_deref());
        tracing::debug!(issuer = %self.server.issuer, keys = newer.len(), "keys fetched");
        self.current.store(Some(Arc::clone(&newer)));
        if let Some(older) = older {
            older.retire_in_favour_of(&newer);
        }
    }

    async fn fetch_set(&self) -> Result<KeySet, FetchError> {
        let url = self.locate().await?;
        let response = get(&*self.client, &url, self.refresh.timeout).await?;
        check_status(&url, &response)?;
        KeySet::parse(response.body()).map_err(|reason| FetchError::Unusable(format!("GET {url}: {reason}")))
    }

    /// Returns where the keys are: as configured, as metadata said before, or as it says now.
    async fn locate(&self) -> Result<Url, FetchError> {
        if let Some(given) = &self.server.jwks_uri {
            return Ok(given.clone());
        }
        let now = self.clock.monotonic();
        if let Some((known, found)) = self.history().jwks_uri.clone()
            && now.saturating_sub(found) < LOCATED_FOR
        {
            return Ok(known);
        }
        let metadata =
            ServerMetadata::fetch(&*self.client, &self.server.issuer, self.refresh.timeout).await?;
        let url = metadata.jwks_uri?;
        self.history().jwks_uri = Some((url.clone(), now));
        Ok(url)
    }

    fn history(&self) -> MutexGuard<'_, History> {
        // Whole after each statement, so a panic elsewhere spoils nothing.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RefreshHook for RemoteKeys {
    fn refresh_if_due(&self) {
        if self.clock.monotonic().as_millis() < u128::from(self.due.load(Ordering::Relaxed)) {
            return;
        }
        if let Some(remote) = self.this.upgrade() {
            self.flight.start((), || async move { remote.fetch_and_swap().await });
        }
    }
}

impl std::fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteKeys")
            .field("server", &self.server)
            .field("refresh", &self.refresh)
            .finish_non_exhaustive()
    }
}

/// Warns about each key that `older` did not have and that can be used with several of the configured algorithms because it
/// declares none.
///
/// RFC 8725 section 3.1 wants one algorithm for each key. Only the server or our configuration can name it.
pub(super) fn warn_about_unpinned_keys(
    issuer: &Issuer,
    keys: &KeySet,
    allowed: &[Algorithm],
    older: Option<&KeySet>,
) {
    for kid in keys.unpinned_kids(allowed, older) {
        tracing::warn!(
            %issuer, ?kid,
            "key declares no alg and fits several of the configured algorithms; configure the one in use"
        );
    }
}
