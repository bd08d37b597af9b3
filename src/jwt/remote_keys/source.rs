//! Where the key set is published, and how it is read: [`KeySetSource`].

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

/// How long an address found in metadata is used before metadata is fetched again. A server that moves its keys may leave
/// an old set at the old address.
const LOCATED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// The published key set of one authorization server.
pub(super) struct KeySetSource {
    server: CheckedAuthorizationServer,
    client: Arc<dyn HttpClient>,
    /// Maximum time for one fetch, metadata and keys together.
    timeout: Duration,
    /// The address found in metadata, and when. Forgotten when the keys cannot be fetched there.
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

    /// Fetches the set; `now` is a time of the monotonic clock.
    pub(super) async fn fetch(&self, now: Duration) -> Result<KeySet, FetchError> {
        let fetched = tokio::time::timeout(self.timeout, self.locate_and_fetch(now)).await;
        let fetched = fetched
            .unwrap_or_else(|_| Err(FetchError::Unusable(format!("not done within {:?}", self.timeout))));
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

    /// Returns the configured address, the one found before, or the one in metadata now.
    async fn locate(&self, now: Duration) -> Result<Url, FetchError> {
        if let Some(given) = &self.server.jwks_uri {
            return Ok(given.clone());
        }
        if let Some((known, found)) = self.located().clone()
            && now.saturating_sub(found) < LOCATED_FOR
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
