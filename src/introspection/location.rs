//! Finds the introspection endpoint, as configured or in metadata: [`EndpointLocation`].
//!
//! A URL stays in use until a new one is found. The metadata is read again in the background, after a day or if the
//! endpoint does not respond correctly. Requests do not wait for it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use url::Url;

use crate::{
    Clock, HttpClient,
    authorization_server::{CheckedAuthorizationServer, metadata::ServerMetadata},
    http_client::fetch::FetchError,
    single_flight::SingleFlight,
};

/// Age at which the URL is looked up again.
const RENEW_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Minimum time between two searches while a URL is known. A token may cause a firewall in front of the endpoint to
/// answer 404, so callers can trigger searches.
const RENEW_PAUSE: Duration = Duration::from_secs(10);

/// Minimum time after a failed search while no URL is known. Every request fails until then, so it is short.
const SEARCH_PAUSE: Duration = Duration::from_secs(1);

/// Number of consecutive searches that may get no response before there is a pause, so that a restarted server is found
/// at once.
const SEARCHES_WITHOUT_PAUSE: u32 = 3;

/// Finds the introspection endpoint of an authorization server.
pub(super) struct EndpointLocation {
    pub(super) server: CheckedAuthorizationServer,
    client: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
    /// Maximum time for a search.
    timeout: Duration,
    /// The result of the searches so far. Never locked across an await.
    found: Mutex<Found>,
    /// The search in progress, if there is one. It stores its result even if no caller waits any more.
    search: Arc<SingleFlight<(), Result<Url, FetchError>>>,
}

/// The result of the searches so far. Times are on the monotonic clock.
#[derive(Default)]
struct Found {
    url: Option<Url>,
    /// When the URL is looked up again.
    renew_at: Duration,
    /// Whether the lookup is due because the endpoint may have moved, not because of age.
    may_have_moved: bool,
    /// No search starts before this.
    paused_until: Duration,
    /// Why the last search failed, if it did.
    error: Option<FetchError>,
    failed_at: Duration,
    /// Number of consecutive failed searches.
    failures: u32,
}

impl EndpointLocation {
    pub(super) fn new(
        server: CheckedAuthorizationServer,
        client: Arc<dyn HttpClient>,
        clock: Arc<dyn Clock>,
        timeout: Duration,
    ) -> Arc<Self> {
        // A search ends at its deadline unless its runtime has stopped. In that case another one may start.
        let search = SingleFlight::new(1, timeout.saturating_mul(2));
        Arc::new(Self { server, client, clock, timeout, found: Mutex::default(), search })
    }

    /// Returns the endpoint. Searches for it if it is not known yet.
    pub(super) async fn find(self: &Arc<Self>) -> Result<Url, FetchError> {
        if let Some(configured) = &self.server.introspection_endpoint {
            return Ok(configured.clone());
        }
        let known = self.found().url.clone();
        if let Some(known) = known {
            self.renew_if_due();
            return Ok(known);
        }
        match self.search.run_if((), || self.begin()).await {
            Some(Ok(searched)) => searched,
            Some(Err(_)) => {
                Err(FetchError::Unusable("the search for the introspection endpoint was lost".into()))
            }
            // A search has just ended.
            None => self.found().result(),
        }
    }

    /// Returns whether the URL is known.
    pub(super) fn is_known(&self) -> bool {
        self.server.introspection_endpoint.is_some() || self.found().url.is_some()
    }

    /// Returns how long no search may start.
    pub(super) fn pause_left(&self) -> Duration {
        self.found().paused_until.saturating_sub(self.clock.monotonic())
    }

    /// Returns when and why the last search failed. `None` if it succeeded.
    pub(super) fn last_failure(&self) -> Option<(Duration, Arc<str>)> {
        let found = self.found();
        found.error.as_ref().map(|error| (found.failed_at, error.to_string().into()))
    }

    /// Starts a search in the background if one is due.
    fn renew_if_due(self: &Arc<Self>) {
        let now = self.clock.monotonic();
        let is_due = {
            let found = self.found();
            found.url.is_some() && now >= found.renew_at.max(found.paused_until)
        };
        if is_due {
            self.search.start_if((), || self.begin());
        }
    }

    /// Records that the endpoint may have moved, and starts a search in the background, now or after the pause.
    pub(super) fn record_possible_move(self: &Arc<Self>) {
        if self.server.introspection_endpoint.is_some() {
            return;
        }
        {
            let mut found = self.found();
            found.renew_at = found.renew_at.min(self.clock.monotonic());
            found.may_have_moved = true;
        }
        self.renew_if_due();
    }

    /// Starts a search unless there is a pause. Sets the next pause first, in case the search panics.
    fn begin(self: &Arc<Self>) -> Option<impl Future<Output = Result<Url, FetchError>> + use<>> {
        let now = self.clock.monotonic();
        let mut found = self.found();
        if now < found.paused_until {
            return None;
        }
        found.paused_until = now.saturating_add(found.pause());
        Some(Arc::clone(self).search())
    }

    /// Fetches the metadata and stores the result.
    async fn search(self: Arc<Self>) -> Result<Url, FetchError> {
        let metadata = ServerMetadata::fetch(&*self.client, &self.server.issuer, self.timeout);
        let metadata = tokio::time::timeout(self.timeout, metadata).await.unwrap_or_else(|_| {
            Err(FetchError::NoResponse(format!("no metadata within {:?}", self.timeout)))
        });
        let searched = metadata.and_then(|metadata| metadata.introspection_endpoint);
        self.store(&searched);
        searched
    }

    fn store(&self, searched: &Result<Url, FetchError>) {
        let now = self.clock.monotonic();
        let issuer = &self.server.issuer;
        let mut found = self.found();
        match searched {
            Ok(url) => {
                if found.url.as_ref().is_some_and(|known| known != url) {
                    tracing::info!(%issuer, %url, "introspection endpoint moved");
                }
                *found = Found {
                    url: Some(url.clone()),
                    renew_at: now.saturating_add(RENEW_AFTER),
                    may_have_moved: false,
                    paused_until: now.saturating_add(RENEW_PAUSE),
                    error: None,
                    failed_at: Duration::ZERO,
                    failures: 0,
                };
            }
            Err(error) => {
                // Failed calls are logged elsewhere, so only the first failure of a scheduled lookup is logged here.
                if found.url.is_some() && !found.may_have_moved && found.error.is_none() {
                    tracing::warn!(%issuer, %error, "introspection endpoint not looked up again, the known one is kept");
                }
                found.failures = found.failures.saturating_add(1);
                let may_repeat = matches!(error, FetchError::NoResponse(_))
                    && found.url.is_none()
                    && found.failures < SEARCHES_WITHOUT_PAUSE;
                let pause = if may_repeat { Duration::ZERO } else { found.pause() };
                found.paused_until = now.saturating_add(pause);
                found.error = Some(error.clone());
                found.failed_at = now;
            }
        }
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        // Consistent after each statement, so a panic elsewhere does no harm.
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Found {
    /// Returns the known URL, or why there is none.
    fn result(&self) -> Result<Url, FetchError> {
        self.url.clone().ok_or_else(|| {
            self.error.clone().unwrap_or_else(|| FetchError::Unusable("the last search did not end".into()))
        })
    }

    fn pause(&self) -> Duration {
        if self.url.is_some() { RENEW_PAUSE } else { SEARCH_PAUSE }
    }
}
