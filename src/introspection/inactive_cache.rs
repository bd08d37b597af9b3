//! Caches for a few seconds which tokens are inactive, so that repeating one causes no call.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::error::Unspecified;
use quick_cache::{
    UnitWeighter,
    sync::{Cache, DefaultLifecycle},
};

use crate::{
    AccessToken, Clock,
    health::InactiveCacheHealth,
    validator::{BuildTokenHasher, TokenHash, TokenHasher},
};

/// Maximum number of cached tokens, about a megabyte. Only inactive tokens are cached here, so invented tokens cannot
/// evict valid ones. A token that is used repeatedly stays longer than one that was used once.
const MAX_ENTRIES: usize = 10_000;

pub(super) struct InactiveCache {
    hasher: TokenHasher,
    clock: Arc<dyn Clock>,
    ttl: Duration,
    /// When each entry expires, on the monotonic clock. `None` if the time to live is zero.
    entries: Option<Cache<TokenHash, Duration, UnitWeighter, BuildTokenHasher>>,
}

impl InactiveCache {
    pub(super) fn new(ttl: Duration, clock: Arc<dyn Clock>) -> Result<Self, Unspecified> {
        let entries = (!ttl.is_zero()).then(|| {
            let (hasher, lifecycle) = (BuildTokenHasher::default(), DefaultLifecycle::default());
            Cache::with(MAX_ENTRIES, MAX_ENTRIES as u64, UnitWeighter, hasher, lifecycle)
        });
        Ok(Self { hasher: TokenHasher::new()?, clock, ttl, entries })
    }

    pub(super) fn hash(&self, token: &AccessToken) -> TokenHash {
        self.hasher.hash(token.expose())
    }

    /// Returns how full it is. `None` if results are not cached.
    pub(super) fn health(&self) -> Option<InactiveCacheHealth> {
        self.entries.as_ref().map(|entries| InactiveCacheHealth::new(entries.len(), MAX_ENTRIES))
    }

    pub(super) fn contains(&self, hash: TokenHash) -> bool {
        let until = self.entries.as_ref().and_then(|entries| entries.get(&hash));
        until.is_some_and(|until| self.clock.monotonic() < until)
    }

    /// Caches that a token is inactive. Its time to live starts at `asked`, when the request was sent on the monotonic
    /// clock.
    pub(super) fn insert(&self, hash: TokenHash, asked: Duration) {
        if let Some(entries) = &self.entries {
            entries.insert(hash, asked.saturating_add(self.ttl));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemClock;

    fn hash(cache: &InactiveCache, number: usize) -> TokenHash {
        cache.hash(&AccessToken::new(format!("junk-{number}")))
    }

    #[test]
    fn r7662_20_junk_tokens_use_bounded_memory() {
        let cache = InactiveCache::new(Duration::from_secs(60), Arc::new(SystemClock)).unwrap();

        for number in 0..3 * MAX_ENTRIES {
            cache.insert(hash(&cache, number), SystemClock.monotonic());
        }

        let entries = cache.entries.unwrap();
        let memory = entries.memory_used().total();
        // Each shard holds its share of the entries, rounded up.
        assert!(entries.len() <= MAX_ENTRIES + entries.num_shards(), "{}", entries.len());
        assert!(memory <= 2 * 1_024 * 1_024, "{memory}");
    }

    #[test]
    fn an_inactive_token_in_use_stays_cached_through_a_flood_of_junk() {
        let cache = InactiveCache::new(Duration::from_secs(60), Arc::new(SystemClock)).unwrap();
        let dead = cache.hash(&AccessToken::new("dead"));
        cache.insert(dead, SystemClock.monotonic());
        assert!(cache.contains(dead));

        for number in 0..3 * MAX_ENTRIES {
            cache.insert(hash(&cache, number), SystemClock.monotonic());
        }

        assert!(cache.contains(dead));
    }
}
