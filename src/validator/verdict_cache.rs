//! Good verdicts, remembered: a token seen before costs one hash, one look-up and a comparison of times.
//!
//! Only good verdicts enter, so junk has nothing to evict with: looking up what is not there evicts nothing. Our clocks
//! decide whether an entry still counts; moka's only frees the memory of those that no longer do.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::error::Unspecified;
use moka::{Expiry, sync::Cache};

use super::{TokenHash, TokenHasher, token_hash::BuildTokenHasher};
use crate::{
    Clock, UnixTime,
    token::{Reuse, Verdict},
};

/// What moka keeps beside the entry itself, estimated: nodes of its map, deques and timer wheel.
const OVERHEAD: usize = 256;

/// Longest that moka keeps an entry: its timer wheel is not made for a token that expires in the year 9999.
const LONGEST_KEEP: Duration = Duration::from_secs(7 * 24 * 60 * 60);

pub(crate) struct VerdictCache {
    hasher: TokenHasher,
    clock: Arc<dyn Clock>,
    /// `None` where the memory allowed is zero.
    entries: Option<Cache<TokenHash, Entry, BuildTokenHasher>>,
}

#[derive(Clone)]
struct Entry {
    verdict: Arc<Verdict>,
    /// On the monotonic clock, the moment from which it no longer counts; `None` where only the time of day ends it.
    stale_from: Option<Duration>,
    /// By the time of day, the moment from which it no longer counts.
    ends: Option<UnixTime>,
    /// How long moka keeps it, at most.
    keep: Duration,
}

impl VerdictCache {
    /// Makes a cache that takes about `max_bytes` of memory.
    pub(crate) fn new(max_bytes: u64, clock: Arc<dyn Clock>) -> Result<Self, Unspecified> {
        let entries = (max_bytes > 0).then(|| {
            Cache::builder()
                .max_capacity(max_bytes)
                .weigher(|_, entry: &Entry| {
                    u32::try_from(OVERHEAD + size_of::<Verdict>() + entry.verdict.claims().heap_size())
                        .unwrap_or(u32::MAX)
                })
                .expire_after(KeepFor)
                .build_with_hasher(BuildTokenHasher::default())
        });
        Ok(Self { hasher: TokenHasher::new()?, clock, entries })
    }

    pub(crate) fn hash(&self, token: &str) -> TokenHash {
        self.hasher.hash(token)
    }

    /// Returns a verdict that still counts.
    pub(crate) fn find(&self, hash: TokenHash) -> Option<Arc<Verdict>> {
        let entry = self.entries.as_ref()?.get(&hash)?;
        let fresh = entry.stale_from.is_none_or(|stale_from| self.clock.monotonic() < stale_from);
        let unexpired = entry.ends.is_none_or(|ends| self.clock.now() < ends);
        (fresh && unexpired && entry.verdict.has_valid_key()).then_some(entry.verdict)
    }

    /// Keeps a good verdict for as long as it says it may be reused.
    pub(crate) fn keep(&self, hash: TokenHash, verdict: &Arc<Verdict>) {
        let Some(entries) = &self.entries else { return };
        let (span, ends) = match verdict.reuse() {
            Reuse::Never => return,
            // Verified here: what would be found good again.
            Reuse::UntilExpiry => (None, verdict.expired_from()),
            // RFC 7662 section 4: an answer is not kept beyond "exp". The clock skew is for judging a token, not for this.
            Reuse::For(span) => (Some(span), verdict.claims().expires_at()),
        };
        let left = ends.map(|ends| ends.saturating_duration_since(self.clock.now()));
        let Some(keep) = span.into_iter().chain(left).min().filter(|keep| !keep.is_zero()) else { return };
        let stale_from = span.map(|_| self.clock.monotonic().saturating_add(keep));
        let entry = Entry { verdict: Arc::clone(verdict), stale_from, ends, keep: keep.min(LONGEST_KEEP) };
        entries.insert(hash, entry);
    }
}

struct KeepFor;

impl Expiry<TokenHash, Entry> for KeepFor {
    fn expire_after_create(&self, _: &TokenHash, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.keep)
    }

    fn expire_after_update(
        &self,
        _: &TokenHash,
        entry: &Entry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.keep)
    }
}
