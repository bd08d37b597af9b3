//! Where the introspection endpoint is: as configured, or as the metadata says.
//!
//! A URL that was found is kept until another one is found. The metadata is read again after a day and when the endpoint
//! does not answer as one, in the background, so that no request waits for it.

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

/// Minimum time between two searches while a URL is known. A token may make a firewall in front of the endpoint answer 404,
/// so callers can cause searches.
const RENEW_PAUSE: Duration = Duration::from_secs(10);

/// Minimum time from a failed search to the next one while no URL is known. Every request fails until then, so it is short:
/// the endpoint is found at most this long after the server is back.
const SEARCH_PAUSE: Duration = Duration::from_secs(1);

/// How many searches in a row may get no response before there is a pause. A server that was restarted is found at once.
const SEARCHES_WITHOUT_PAUSE: u32 = 3;

/// Finds the introspection endpoint of an authorization server.
pub(super) struct EndpointLocation {
    pub(super) server: CheckedAuthorizationServer,
    client: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
    /// Deadline of a search.
    timeout: Duration,
    /// What the searches found so far. Locked for some comparisons only, never while waiting.
    found: Mutex<Found>,
    /// The search in progress, if there is one. It stores what it finds, even if all callers have left.
    search: Arc<SingleFlight<(), Result<Url, FetchError>>>,
}

/// The result of the searches so far. Times are on the monotonic clock.
#[derive(Default)]
struct Found {
    url: Option<Url>,
    /// When the URL is looked up again.
    renew_at: Duration,
    /// Whether that is because the endpoint may have moved, and not because of age.
    suspects_a_move: bool,
    /// No search starts before this.
    paused_until: Duration,
    /// Why the last search failed, if it did.
    error: Option<FetchError>,
    /// How many searches have failed since one succeeded.
    failures: u32,
}

impl EndpointLocation {
    pub(super) fn new(
        server: CheckedAuthorizationServer,
        client: Arc<dyn HttpClient>,
        clock: Arc<dyn Clock>,
        timeout: Duration,
    ) -> Arc<Self> {
        // A search ends at its deadline, unless its runtime stands still. Then another one may start.
        let search = SingleFlight::new(1, timeout.saturating_mul(2));
        Arc::new(Self { server, client, clock, timeout, found: Mutex::default(), search })
    }

    /// Returns the endpoint, and searches for it if it is not known yet.
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

    /// Starts a search in the background if the known URL is to be looked up again.
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

    /// Starts a search in the background, now or after the pause: the endpoint did not answer as one.
    pub(super) fn suspect_a_move(self: &Arc<Self>) {
        if self.server.introspection_endpoint.is_some() {
            return;
        }
        {
            let mut found = self.found();
            found.renew_at = found.renew_at.min(self.clock.monotonic());
            found.suspects_a_move = true;
        }
        self.renew_if_due();
    }

    /// Begins a search, unless there was one just before. Further ones are paused, also if it panics.
    fn begin(self: &Arc<Self>) -> Option<impl Future<Output = Result<Url, FetchError>> + use<>> {
        let now = self.clock.monotonic();
        let mut found = self.found();
        if now < found.paused_until {
            return None;
        }
        found.paused_until = now.saturating_add(found.pause());
        Some(Arc::clone(self).search())
    }

    /// Reads the metadata and stores what it says.
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
                    suspects_a_move: false,
                    paused_until: now.saturating_add(RENEW_PAUSE),
                    error: None,
                    failures: 0,
                };
            }
            Err(error) => {
                // Calls that fail are logged elsewhere, so only a regular look-up is worth a line, and only the first time.
                if found.url.is_some() && !found.suspects_a_move && found.error.is_none() {
                    tracing::warn!(%issuer, %error, "introspection endpoint not looked up again, the known one is kept");
                }
                found.failures = found.failures.saturating_add(1);
                let may_repeat = matches!(error, FetchError::NoResponse(_))
                    && found.url.is_none()
                    && found.failures < SEARCHES_WITHOUT_PAUSE;
                let pause = if may_repeat { Duration::ZERO } else { found.pause() };
                found.paused_until = now.saturating_add(pause);
                found.error = Some(error.clone());
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
