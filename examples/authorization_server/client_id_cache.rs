//! Clients whose identifier is the URL of a metadata document: fetched when needed, cached for a while.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    client_id_document::{parse_client_id, parse_document},
    client_id_fetch::DocumentFetcher,
    oauth_error::OAuthError,
    registration::Client,
};

#[derive(Default)]
pub(super) struct ClientDocuments {
    pub(super) fetcher: DocumentFetcher,
    cache: Mutex<HashMap<String, CachedClient>>,
}

struct CachedClient {
    client: Arc<Client>,
    /// In seconds since 1970.
    fresh_until: u64,
}

impl ClientDocuments {
    /// Returns the client with this URL. `now` is in seconds since 1970.
    pub(super) async fn find(&self, url: &str, issuer: &str, now: u64) -> Result<Arc<Client>, OAuthError> {
        if let Some(client) = self.cached(url, now) {
            return Ok(client);
        }
        let parsed = parse_client_id(url, issuer, self.fetcher.loopback())?;
        let (json, lifetime) = self.fetcher.fetch(parsed).await?;
        // Only valid documents are cached (CIMD section 4.4).
        let client = Arc::new(parse_document(url, &json)?);
        if lifetime > 0 {
            self.store(Arc::clone(&client), now, now + lifetime);
        }
        Ok(client)
    }

    pub(super) fn forget(&self, url: &str) {
        self.lock().remove(url);
    }

    fn cached(&self, url: &str, now: u64) -> Option<Arc<Client>> {
        let cache = self.lock();
        cache.get(url).filter(|cached| now < cached.fresh_until).map(|cached| Arc::clone(&cached.client))
    }

    fn store(&self, client: Arc<Client>, now: u64, fresh_until: u64) {
        let mut cache = self.lock();
        if cache.len() >= MAX_CACHED {
            cache.retain(|_, cached| now < cached.fresh_until);
        }
        if cache.len() >= MAX_CACHED {
            let first_to_expire = cache.iter().min_by_key(|(_, cached)| cached.fresh_until);
            if let Some(url) = first_to_expire.map(|(url, _)| url.clone()) {
                cache.remove(&url);
            }
        }
        cache.insert(client.id.clone(), CachedClient { client, fresh_until });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, CachedClient>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Maximum number of cached documents. Anyone can publish any number of them.
const MAX_CACHED: usize = 64;
