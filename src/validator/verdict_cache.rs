//! Remembers good verdicts: a token seen before costs one hash, one lookup and a comparison of times.
//!
//! Only good verdicts enter, and looking up a token that is not there changes nothing, so junk evicts nothing. Our clocks
//! decide whether an entry still counts.
//!
//! # Eviction policy
//! S3-FIFO, as quick_cache implements it. Nine tenths of the memory are for tokens that were used again; the rest is a queue
//! for new ones. A new token is kept at once, and evicted when it reaches the end of its queue without having been used
//! again. `benches/cache_policy.rs` compares this with TinyLFU and LRU as moka implements them. In a full cache for 2,000
//! tokens:
//!
//! | | S3-FIFO | TinyLFU | LRU |
//! |---|---|---|---|
//! | validations of a new token in use: average, most | 1.00, 2 | 1.66, 5 | 1.00, 1 |
//! | validations per token while clients renew them one by one | 1.01 | 1.66 | 1.00 |
//! | validations per token if 90 % are renewed at once | 1.77 | 3.08 | 1.00 |
//! | kept of 900 tokens that were in use, after 20,000 good tokens used once | 100 % | 0 % | 0 % |
//! | the same, with one use of the 900 for every 10 of the others | 100 % | 30 % | 18 % |
//! | hits with 10,000 tokens in use, by Zipf's law | 73 % | 71 % | 67 % |
//!
//! So the cost of S3-FIFO is a second validation of some tokens when many are renewed at once while the old ones still
//! count. LRU avoids that, but one client that uses each of its tokens once would evict those of all others.
//!
//! # Memory
//! An entry counts with all that it takes, tables and allocator included, and room is made before it enters. Shares of the
//! configured bytes that were allocated in a full cache (`tests/allocations/cache_memory.rs`): from 87 to 103 % for tokens of
//! ten shapes, at most 106 % at any moment.

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

/// Share of the memory for tokens that were used again. A larger share keeps more of them through a scan; a smaller one
/// gives a new token more time for its second use.
const HOT: f64 = 0.9;

/// Expected size of an entry, in bytes, to choose how many evicted tokens to remember.
const EXPECTED_ENTRY: u64 = 1_024;

/// How many evicted tokens are remembered by their hash, as a share of the expected entries. One that comes back counts as
/// used again.
const REMEMBERED: f64 = 0.5;

/// Memory for an entry in the tables of the cache, in bytes: 62 in full tables, 123 in tables that have just doubled.
const SLOT: usize = 96;

/// Smallest part of the cache with a lock of its own, in bytes.
const MIN_SHARD: u64 = 256 * 1_024;

/// Most parts with a lock of their own.
const MAX_SHARDS: u64 = 32;

/// How often entries that no longer count are removed, at most. One request in this time does it: 0.3 ms for 30,000 entries
/// (9 ms the first time), and 1 to 2 µs more for each that it removes. A shard is locked for its share of that.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

pub(crate) struct VerdictCache {
    hasher: TokenHasher,
    clock: Arc<dyn Clock>,
    /// `None` if the memory allowed is zero.
    entries: Option<Cache<TokenHash, Entry, HeapSize, BuildTokenHasher>>,
    /// When the next sweep is due, in seconds on the monotonic clock.
    sweep_due: AtomicU64,
}

#[derive(Clone)]
struct Entry {
    verdict: Arc<Verdict>,
    /// The moment from which it no longer counts, on the monotonic clock; `None` if only the time of day ends it.
    stale_from: Option<Duration>,
}

impl VerdictCache {
    /// Makes a cache that takes at most about `max_bytes` of memory.
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

    /// Returns a verdict that still counts.
    pub(crate) fn find(&self, hash: TokenHash) -> Option<Arc<Verdict>> {
        let entry = self.entries.as_ref()?.get(&hash)?;
        (entry.counts(&*self.clock) && entry.verdict.has_valid_key()).then_some(entry.verdict)
    }

    /// Keeps a good verdict for as long as it says it may be reused.
    pub(crate) fn keep(&self, hash: TokenHash, verdict: &Arc<Verdict>) {
        let Some(entries) = &self.entries else { return };
        let span = match verdict.reuse() {
            Reuse::Never => return,
            Reuse::UntilExpiry => None,
            Reuse::For(span) => Some(span),
        };
        let stale_from = span.map(|span| self.clock.monotonic().saturating_add(span));
        let entry = Entry { verdict: Arc::clone(verdict), stale_from };
        if entry.counts(&*self.clock) {
            entries.insert(hash, entry);
        }
        self.sweep(entries);
    }

    /// Removes entries that no longer count, now and then, so that new tokens need not compete with expired ones.
    fn sweep(&self, entries: &Cache<TokenHash, Entry, HeapSize, BuildTokenHasher>) {
        let due = self.sweep_due.load(Ordering::Relaxed);
        if self.clock.monotonic().as_secs() >= due
            && self
                .sweep_due
                .compare_exchange(due, next_sweep(&*self.clock), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            entries.retain(|_, entry| entry.counts(&*self.clock));
        }
    }
}

impl Entry {
    /// Tells whether it still counts by both clocks.
    fn counts(&self, clock: &dyn Clock) -> bool {
        self.stale_from.is_none_or(|stale_from| clock.monotonic() < stale_from)
            && self.ends().is_none_or(|ends| clock.now() < ends)
    }

    /// Returns the moment from which it no longer counts by the time of day.
    fn ends(&self) -> Option<UnixTime> {
        match self.verdict.reuse() {
            // Verified here: the same checks would find it good again until then.
            Reuse::UntilExpiry => self.verdict.expired_from(),
            // RFC 7662 section 4: an answer is not kept beyond "exp". The clock skew is for judging a token, not for this.
            Reuse::For(_) | Reuse::Never => self.verdict.claims().expires_at(),
        }
    }
}

fn cache(max_bytes: u64) -> Cache<TokenHash, Entry, HeapSize, BuildTokenHasher> {
    let expected = max_bytes / EXPECTED_ENTRY;
    let remembered = expected as f64 * REMEMBERED;
    let shards = 1 << (max_bytes / MIN_SHARD).clamp(1, MAX_SHARDS).ilog2();
    let options = OptionsBuilder::new()
        .weight_capacity(max_bytes.saturating_sub(remembered as u64 * SLOT as u64))
        .estimated_items_capacity(usize::try_from(expected).unwrap_or(usize::MAX))
        .hot_allocation(HOT)
        .ghost_allocation(REMEMBERED)
        .shards(shards)
        .build()
        .expect("both capacities are set");
    Cache::with_options(options, HeapSize, BuildTokenHasher::default(), DefaultLifecycle::default())
}

fn next_sweep(clock: &dyn Clock) -> u64 {
    clock.monotonic().saturating_add(SWEEP_INTERVAL).as_secs()
}

/// Weighs an entry by the heap it takes.
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

    /// One shard, so that no test depends on how random hashes spread.
    const BYTES: u64 = 256 * 1_024;

    const HOUR: Duration = Duration::from_secs(3_600);

    /// A cache, and how many tokens without claims fit into it.
    fn empty() -> (VerdictCache, usize) {
        let cache = VerdictCache::new(BYTES, Arc::new(SystemClock)).unwrap();
        for number in 0..10_000 {
            keep(&cache, "filler", number);
        }
        let capacity = cache.entries.as_ref().unwrap().len();
        (VerdictCache::new(BYTES, Arc::new(SystemClock)).unwrap(), capacity)
    }

    /// A cache full of tokens that were used again.
    fn full() -> (VerdictCache, usize) {
        let (cache, capacity) = empty();
        for _ in 0..3 {
            use_tokens(&cache, "old", capacity);
        }
        (cache, capacity)
    }

    fn keep(cache: &VerdictCache, name: &str, number: usize) {
        let token = ValidatedToken::introspected(ClaimsSet::new(), None, Reuse::For(HOUR));
        cache.keep(cache.hash(&format!("{name}-{number}")), token.verdict());
    }

    fn is_kept(cache: &VerdictCache, name: &str, number: usize) -> bool {
        cache.find(cache.hash(&format!("{name}-{number}"))).is_some()
    }

    /// Uses each of some tokens once; returns how many had to be validated.
    fn use_tokens(cache: &VerdictCache, name: &str, count: usize) -> usize {
        let validated = (0..count).filter(|&number| !is_kept(cache, name, number));
        validated.map(|number| keep(cache, name, number)).count()
    }

    #[test]
    fn a_new_token_is_kept_at_once_in_a_full_cache() {
        let (cache, capacity) = full();

        keep(&cache, "new", 0);
        use_tokens(&cache, "once", capacity / 20);

        assert!(is_kept(&cache, "new", 0));
        use_tokens(&cache, "once", 10 * capacity);
        assert!(is_kept(&cache, "new", 0), "it was used again");
    }

    #[test]
    fn a_token_that_was_evicted_unused_is_validated_at_most_once_more() {
        let (cache, capacity) = full();

        keep(&cache, "new", 0);
        use_tokens(&cache, "once", capacity / 4);
        assert!(!is_kept(&cache, "new", 0));
        keep(&cache, "new", 0);
        use_tokens(&cache, "once", 10 * capacity);

        assert!(is_kept(&cache, "new", 0));
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

        let evicted = (0..capacity).filter(|&number| !is_kept(&cache, "old", number)).count();
        assert!(evicted <= capacity / 5, "{evicted} of {capacity}");
    }

    #[test]
    fn lookups_of_junk_evict_nothing() {
        let (cache, capacity) = full();
        let before: Vec<_> = (0..capacity).map(|number| is_kept(&cache, "old", number)).collect();

        let found = (0..20 * capacity).filter(|&number| is_kept(&cache, "junk", number)).count();

        assert_eq!(found, 0);
        assert!((0..capacity).map(|number| is_kept(&cache, "old", number)).eq(before));
    }

    #[cfg(feature = "testing")]
    #[test]
    fn expired_entries_are_removed_and_make_room() {
        let clock = crate::testing::ManualClock::default();
        let cache = VerdictCache::new(BYTES, Arc::new(clock.clone())).unwrap();
        use_tokens(&cache, "old", 100);

        clock.advance(HOUR - Duration::from_secs(1));
        keep(&cache, "new", 0);
        assert_eq!(cache.entries.as_ref().unwrap().len(), 101);
        clock.advance(SWEEP_INTERVAL);
        keep(&cache, "new", 1);

        assert_eq!(cache.entries.as_ref().unwrap().len(), 2);
        assert!(is_kept(&cache, "new", 0));
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
