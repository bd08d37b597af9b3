//! Tokens that the authorization server called inactive, for some seconds: who repeats a dead token asks it nothing.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::error::Unspecified;
use moka::sync::Cache;

use crate::{
    AccessToken, Clock,
    validator::{BuildTokenHasher, TokenHash, TokenHasher},
};

/// Most tokens remembered; about a megabyte. Junk fills it, and pushes out nothing but junk.
const MAX_ENTRIES: u64 = 10_000;

pub(super) struct InactiveCache {
    hasher: TokenHasher,
    clock: Arc<dyn Clock>,
    ttl: Duration,
    /// The moment until which an entry counts, on the monotonic clock; moka's own time only frees the memory.
    entries: Option<Cache<TokenHash, Duration, BuildTokenHasher>>,
}

impl InactiveCache {
    pub(super) fn new(ttl: Duration, clock: Arc<dyn Clock>) -> Result<Self, Unspecified> {
        let entries = (!ttl.is_zero()).then(|| {
            Cache::builder()
                .max_capacity(MAX_ENTRIES)
                .time_to_live(ttl)
                .build_with_hasher(BuildTokenHasher::default())
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

    pub(super) fn insert(&self, hash: TokenHash) {
        if let Some(entries) = &self.entries {
            entries.insert(hash, self.clock.monotonic().saturating_add(self.ttl));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemClock;

    #[test]
    fn r7662_20_junk_takes_no_more_than_its_share_of_memory() {
        let cache = InactiveCache::new(Duration::from_secs(60), Arc::new(SystemClock)).unwrap();

        for number in 0..3 * MAX_ENTRIES {
            cache.insert(cache.hash(&AccessToken::new(format!("junk-{number}"))));
        }

        let entries = cache.entries.unwrap();
        entries.run_pending_tasks();
        assert!(entries.entry_count() <= MAX_ENTRIES, "{}", entries.entry_count());
    }
}
