//! Finds and fetches the published key set: [`KeySetSource`].

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use url::Url;

use crate::{
    HttpClient, Issuer, KeySet,
    authorization_server::{CheckedAuthorizationServer, metadata::ServerMetadata},
    http_client::fetch::{FetchError, check_status, get},
};

/// How long a `jwks_uri` from metadata is used. If a server moves its keys, it may leave an old set at the old URL.
const JWKS_URI_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// The published key set of one authorization server.
pub(super) struct KeySetSource {
    server: CheckedAuthorizationServer,
    client: Arc<dyn HttpClient>,
    /// Maximum time for one fetch, metadata and keys together.
    timeout: Duration,
    /// The URL found in metadata, and when. Cleared if the keys cannot be fetched there.
    located: Mutex<Option<(Url, Duration)>>,
}

impl KeySetSource {
    pub(super) fn new(
        server: CheckedAuthorizationServer,
        client: Arc<dyn HttpClient>,
        timeout: Duration,
    ) -> Self {
        Self { server, client, timeout, located: Mutex::default() }
    }

    pub(super) fn issuer(&self) -> &Issuer {
        &self.server.issuer
    }

    /// Fetches the set. `now` is a time on the monotonic clock.
    pub(super) async fn fetch(&self, now: Duration) -> Result<KeySet, FetchError> {
        let fetched = tokio::time::timeout(self.timeout, self.locate_and_fetch(now)).await;
        let fetched = fetched.unwrap_or_else(|_| {
            Err(FetchError::NoResponse(format!("not completed within {:?}", self.timeout)))
        });
        if fetched.is_err() {
            *self.located() = None;
        }
        fetched
    }

    async fn locate_and_fetch(&self, now: Duration) -> Result<KeySet, FetchError> {
        let url = self.locate(now).await?;
        let response = get(&*self.client, &url, self.timeout).await?;
        check_status(&url, &response)?;
        KeySet::parse(response.body()).map_err(|reason| FetchError::Unusable(format!("GET {url}: {reason}")))
    }

    /// Returns the configured URL, the cached one, or the one in newly fetched metadata.
    async fn locate(&self, now: Duration) -> Result<Url, FetchError> {
        if let Some(given) = &self.server.jwks_uri {
            return Ok(given.clone());
        }
        if let Some((known, found)) = self.located().clone()
            && now.saturating_sub(found) < JWKS_URI_TTL
        {
            return Ok(known);
        }
        let metadata = ServerMetadata::fetch(&*self.client, &self.server.issuer, self.timeout).await?;
        let url = metadata.jwks_uri?;
        *self.located() = Some((url.clone(), now));
        Ok(url)
    }

    fn located(&self) -> MutexGuard<'_, Option<(Url, Duration)>> {
        // Assigned in one step, so a panic elsewhere does no harm.
        self.located.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
