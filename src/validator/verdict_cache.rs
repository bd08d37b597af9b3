//! Caches positive verdicts: a cached token costs one hash, one lookup and a comparison of times.
//!
//! Only positive verdicts are cached, and looking up an unknown token changes nothing, so invalid tokens evict nothing.
//! The configured clock decides whether an entry is still valid.
//!
//! # Eviction policy
//! S3-FIFO, as implemented by quick_cache. Nine tenths of the memory are for tokens that were used again. The rest is a
//! queue for new tokens. A new token is cached immediately, and evicted if it reaches the end of the queue without
//! being used again. `benches/cache_policy.rs` compares this with moka's TinyLFU and LRU. In a full cache for 2,000
//! tokens:
//!
//! | | S3-FIFO | TinyLFU | LRU |
//! |---|---|---|---|
//! | validations of a new token in use: average, maximum | 1.00, 2 | 1.66, 5 | 1.00, 1 |
//! | validations per token while clients renew them one by one | 1.01 | 1.66 | 1.00 |
//! | validations per token if 90 % are renewed at once | 1.77 | 3.08 | 1.00 |
//! | share of 900 tokens in use that is still cached after 20,000 valid tokens used once | 100 % | 0 % | 0 % |
//! | the same, with one use of the 900 per 10 uses of the others | 100 % | 30 % | 18 % |
//! | hits with 10,000 tokens in use, distributed by Zipf's law | 73 % | 71 % | 67 % |
//!
//! The cost of S3-FIFO is that some tokens are validated twice if many are renewed at once while the old ones are still
//! valid. LRU avoids this, but with LRU one client that uses each token only once evicts the tokens of all others.
//!
//! # Memory
//! The weight of an entry is all the memory it uses, including tables and allocator overhead. Entries are evicted
//! before a new one is inserted. `tests/allocations/cache_memory.rs` measures the memory of a full cache, relative to
//! the configured bytes: 87 to 103 % for ten kinds of tokens, and never more than 106 %.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::error::Unspecified;
use quick_cache::{
    OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};

use super::{TokenHash, TokenHasher, token_hash::BuildTokenHasher};
use crate::{
    Clock, UnixTime,
    heap_size::heap_size,
    token::{Reuse, Verdict},
};

/// Share of the memory for tokens that were used again. A larger share keeps more of them during a scan. A smaller
/// share gives new tokens more time to be used again.
const HOT: f64 = 0.9;

/// Expected size of an entry, in bytes. Determines how many hashes of evicted tokens are stored.
const EXPECTED_ENTRY: u64 = 1_024;

/// Number of hashes of evicted tokens to store, as a share of the expected entries. An evicted token that returns
/// counts as used again.
const GHOSTS: f64 = 0.5;

/// Memory per entry in the tables of the cache, in bytes: 62 in full tables, 123 in tables that have just doubled.
const SLOT: usize = 96;

/// Minimum size of a shard, in bytes. Each shard has its own lock.
const MIN_SHARD: u64 = 256 * 1_024;

/// Maximum number of shards.
const MAX_SHARDS: u64 = 32;

/// Minimum time between two sweeps, which remove entries that are no longer valid. One request runs the sweep: 0.3 ms
/// for 30,000 entries (9 ms the first time), plus 1 to 2 µs per removed entry. Each shard is locked for its share of
/// that time.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

pub(crate) struct VerdictCache {
    hasher: TokenHasher,
    clock: Arc<dyn Clock>,
    /// `None` if the cache is disabled.
    entries: Option<Cache<TokenHash, Entry, HeapSize, BuildTokenHasher>>,
    /// When the next sweep is due, in seconds on the monotonic clock.
    sweep_due: AtomicU64,
}

#[derive(Clone)]
struct Entry {
    verdict: Arc<Verdict>,
    /// When it stops being valid, on the monotonic clock. `None` if only the wall clock ends it.
    stale_from: Option<Duration>,
}

impl VerdictCache {
    /// Creates a cache that uses at most about `max_bytes` of memory.
    pub(crate) fn new(max_bytes: u64, clock: Arc<dyn Clock>) -> Result<Self, Unspecified> {
        Ok(Self {
            hasher: TokenHasher::new()?,
            entries: (max_bytes > 0).then(|| cache(max_bytes)),
            sweep_due: AtomicU64::new(next_sweep(&*clock)),
            clock,
        })
    }

    pub(crate) fn hash(&self, token: &str) -> TokenHash {
        self.hasher.hash(token)
    }

    /// Returns the cached verdict, if it is still valid.
    pub(crate) fn find(&self, hash: TokenHash) -> Option<Arc<Verdict>> {
        let entry = self.entries.as_ref()?.get(&hash)?;
        (entry.is_valid(&*self.clock) && entry.verdict.is_in_force()).then_some(entry.verdict)
    }

    /// Returns the number of entries and their memory in bytes. `None` if the cache is disabled.
    pub(super) fn usage(&self) -> Option<(usize, u64)> {
        self.entries.as_ref().map(|entries| (entries.len(), entries.weight()))
    }

    /// Caches a positive verdict for as long as it may be reused.
    pub(crate) fn insert(&self, hash: TokenHash, verdict: &Arc<Verdict>) {
        let Some(entries) = &self.entries else { return };
        let span = match verdict.reuse() {
            Reuse::Never => return,
            Reuse::UntilExpiry => None,
            Reuse::For(span) => Some(span),
        };
        let stale_from = span.map(|span| self.clock.monotonic().saturating_add(span));
        let entry = Entry { verdict: Arc::clone(verdict), stale_from };
        if entry.is_valid(&*self.clock) {
            entries.insert(hash, entry);
        }
        self.sweep(entries);
    }

    /// Removes entries that are no longer valid if a sweep is due, so that expired tokens do not take space from new
    /// ones.
    fn sweep(&self, entries: &Cache<TokenHash, Entry, HeapSize, BuildTokenHasher>) {
        let due = self.sweep_due.load(Ordering::Relaxed);
        if self.clock.monotonic().as_secs() >= due
            && self
                .sweep_due
                .compare_exchange(due, next_sweep(&*self.clock), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            // Verdicts of a removed tenant would keep its keys in memory.
            entries.retain(|_, entry| entry.is_valid(&*self.clock) && entry.verdict.has_valid_tenant());
        }
    }
}

impl Entry {
    /// Returns whether it is still valid on both clocks.
    fn is_valid(&self, clock: &dyn Clock) -> bool {
        self.stale_from.is_none_or(|stale_from| clock.monotonic() < stale_from)
            && self.expires().is_none_or(|expires| clock.now() < expires)
    }

    /// Returns when it stops being valid on the wall clock.
    fn expires(&self) -> Option<UnixTime> {
        match self.verdict.reuse() {
            // The token was verified locally, and the same checks would accept it until then.
            Reuse::UntilExpiry => self.verdict.expired_from(),
            // RFC 7662 section 4: a response must not be cached beyond "exp". The clock skew does not apply here.
            Reuse::For(_) | Reuse::Never => self.verdict.claims().expires_at(),
        }
    }
}

fn cache(max_bytes: u64) -> Cache<TokenHash, Entry, HeapSize, BuildTokenHasher> {
    let expected = max_bytes / EXPECTED_ENTRY;
    let ghosts = expected as f64 * GHOSTS;
    let shards = 1 << (max_bytes / MIN_SHARD).clamp(1, MAX_SHARDS).ilog2();
    let options = OptionsBuilder::new()
        .weight_capacity(max_bytes.saturating_sub(ghosts as u64 * SLOT as u64))
        .estimated_items_capacity(usize::try_from(expected).unwrap_or(usize::MAX))
        .hot_allocation(HOT)
        .ghost_allocation(GHOSTS)
        .shards(shards)
        .build()
        .expect("both capacities are set");
    Cache::with_options(options, HeapSize, BuildTokenHasher::default(), DefaultLifecycle::default())
}

fn next_sweep(clock: &dyn Clock) -> u64 {
    clock.monotonic().saturating_add(SWEEP_INTERVAL).as_secs()
}

/// Weighs an entry by the heap memory it uses.
#[derive(Clone)]
struct HeapSize;

impl Weighter<TokenHash, Entry> for HeapSize {
    fn weight(&self, _: &TokenHash, entry: &Entry) -> u64 {
        let verdict = heap_size(ARC_COUNTS + size_of::<Verdict>());
        (SLOT + verdict + entry.verdict.claims().heap_size()) as u64
    }
}

/// The two counters of an [`Arc`], in bytes.
const ARC_COUNTS: usize = 2 * size_of::<usize>();

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClaimsSet, SystemClock, ValidatedToken};

    /// One shard, so that no test depends on the distribution of random hashes.
    const BYTES: u64 = 256 * 1_024;

    const HOUR: Duration = Duration::from_secs(3_600);

    /// Returns a cache and the number of tokens without claims that fit into it.
    fn empty() -> (VerdictCache, usize) {
        let cache = VerdictCache::new(BYTES, Arc::new(SystemClock)).unwrap();
        for number in 0..10_000 {
            insert(&cache, "filler", number);
        }
        let capacity = cache.entries.as_ref().unwrap().len();
        (VerdictCache::new(BYTES, Arc::new(SystemClock)).unwrap(), capacity)
    }

    /// Returns a cache full of tokens that were used again.
    fn full() -> (VerdictCache, usize) {
        let (cache, capacity) = empty();
        for _ in 0..3 {
            use_tokens(&cache, "old", capacity);
        }
        (cache, capacity)
    }

    fn insert(cache: &VerdictCache, name: &str, number: usize) {
        let token = ValidatedToken::introspected(ClaimsSet::new(), None, Reuse::For(HOUR));
        cache.insert(cache.hash(&format!("{name}-{number}")), token.verdict());
    }

    fn is_cached(cache: &VerdictCache, name: &str, number: usize) -> bool {
        cache.find(cache.hash(&format!("{name}-{number}"))).is_some()
    }

    /// Uses `count` tokens once each. Returns how many had to be validated.
    fn use_tokens(cache: &VerdictCache, name: &str, count: usize) -> usize {
        let validated = (0..count).filter(|&number| !is_cached(cache, name, number));
        validated.map(|number| insert(cache, name, number)).count()
    }

    #[test]
    fn a_new_token_is_cached_at_once_in_a_full_cache() {
        let (cache, capacity) = full();

        insert(&cache, "new", 0);
        use_tokens(&cache, "once", capacity / 20);

        assert!(is_cached(&cache, "new", 0));
        use_tokens(&cache, "once", 10 * capacity);
        assert!(is_cached(&cache, "new", 0), "it was used again");
    }

    #[test]
    fn a_token_evicted_before_its_second_use_is_validated_at_most_once_more() {
        let (cache, capacity) = full();

        insert(&cache, "new", 0);
        use_tokens(&cache, "once", capacity / 4);
        assert!(!is_cached(&cache, "new", 0));
        insert(&cache, "new", 0);
        use_tokens(&cache, "once", 10 * capacity);

        assert!(is_cached(&cache, "new", 0));
    }

    #[test]
    fn tokens_in_use_survive_a_scan_of_good_tokens_used_once() {
        let (cache, capacity) = empty();
        let set = capacity / 2;
        for _ in 0..2 {
            use_tokens(&cache, "hot", set);
        }

        use_tokens(&cache, "once", 10 * capacity);

        assert_eq!(use_tokens(&cache, "hot", set), 0);
    }

    #[test]
    fn a_scan_of_a_full_cache_evicts_at_most_a_fifth_of_the_tokens_in_use() {
        let (cache, capacity) = full();

        use_tokens(&cache, "once", 10 * capacity);

        let evicted = (0..capacity).filter(|&number| !is_cached(&cache, "old", number)).count();
        assert!(evicted <= capacity / 5, "{evicted} of {capacity}");
    }

    #[test]
    fn lookups_of_unknown_tokens_evict_nothing() {
        let (cache, capacity) = full();
        let before: Vec<_> = (0..capacity).map(|number| is_cached(&cache, "old", number)).collect();

        let found = (0..20 * capacity).filter(|&number| is_cached(&cache, "junk", number)).count();

        assert_eq!(found, 0);
        assert!((0..capacity).map(|number| is_cached(&cache, "old", number)).eq(before));
    }

    #[cfg(feature = "testing")]
    #[test]
    fn expired_entries_are_removed() {
        let clock = crate::testing::ManualClock::default();
        let cache = VerdictCache::new(BYTES, Arc::new(clock.clone())).unwrap();
        use_tokens(&cache, "old", 100);

        clock.advance(HOUR - Duration::from_secs(1));
        insert(&cache, "new", 0);
        assert_eq!(cache.entries.as_ref().unwrap().len(), 101);
        clock.advance(SWEEP_INTERVAL);
        insert(&cache, "new", 1);

        assert_eq!(cache.entries.as_ref().unwrap().len(), 2);
        assert!(is_cached(&cache, "new", 0));
    }

    #[test]
    fn entries_of_any_size_stay_within_the_bound() {
        for bytes in [1, 1_000, 10_000, BYTES, 10 * BYTES + 1] {
            let cache = VerdictCache::new(bytes, Arc::new(SystemClock)).unwrap();
            use_tokens(&cache, "once", 5_000);

            let entries = cache.entries.as_ref().unwrap();
            assert!(entries.weight() <= bytes, "{} of {bytes}", entries.weight());
        }
    }
}
