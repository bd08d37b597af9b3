//! Remembers for some seconds which tokens the authorization server called inactive, so that repeating one costs no call.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::error::Unspecified;
use quick_cache::{
    UnitWeighter,
    sync::{Cache, DefaultLifecycle},
};

use crate::{
    AccessToken, Clock,
    validator::{BuildTokenHasher, TokenHash, TokenHasher},
};

/// Maximum number of tokens remembered; they take about a megabyte. Junk fills the cache and evicts nothing but junk. A
/// token that is repeated stays longer than one that came once.
const MAX_ENTRIES: usize = 10_000;

pub(super) struct InactiveCache {
    hasher: TokenHasher,
    clock: Arc<dyn Clock>,
    ttl: Duration,
    /// The moment until which an entry counts, on the monotonic clock. `None` if the time to live is zero.
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

    pub(super) fn contains(&self, hash: TokenHash) -> bool {
        let until = self.entries.as_ref().and_then(|entries| entries.get(&hash));
        until.is_some_and(|until| self.clock.monotonic() < until)
    }

    /// Remembers an answer. Its time to live counts from `asked`, the moment of the question on the monotonic clock.
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
    fn r7662_20_junk_takes_no_more_than_its_share_of_memory() {
        let cache = InactiveCache::new(Duration::from_secs(60), Arc::new(SystemClock)).unwrap();

        for number in 0..3 * MAX_ENTRIES {
            cache.insert(hash(&cache, number), SystemClock.monotonic());
        }

        let entries = cache.entries.unwrap();
        let memory = entries.memory_used().total();
        // Each shard has its share of the entries, rounded up.
        assert!(entries.len() <= MAX_ENTRIES + entries.num_shards(), "{}", entries.len());
        assert!(memory <= 2 * 1_024 * 1_024, "{memory}");
    }

    #[test]
    fn a_dead_token_in_use_stays_known_through_a_flood_of_junk() {
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
