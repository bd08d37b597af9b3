//! Counts lookups in the verdict cache: [`Lookups`].

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// Number of stripes. Threads beyond it share one with another thread.
const STRIPES: usize = 16;

/// Counts hits and misses. Each thread has its own counters, in their own cache line, so that requests on several cores do not
/// wait for each other.
#[derive(Debug, Default)]
pub(super) struct Lookups([Stripe; STRIPES]);

/// 128 bytes, because processors fetch lines of 64 bytes in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Lookups {
    pub(super) fn record(&self, is_hit: bool) {
        let stripe = &self.0[stripe() % STRIPES];
        let counter = if is_hit { &stripe.hits } else { &stripe.misses };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of hits and of misses.
    pub(super) fn totals(&self) -> (u64, u64) {
        let sum = |counter: fn(&Stripe) -> &AtomicU64| {
            self.0.iter().map(|stripe| counter(stripe).load(Ordering::Relaxed)).sum()
        };
        (sum(|stripe| &stripe.hits), sum(|stripe| &stripe.misses))
    }
}

/// Returns the number of the current thread, counted from its first lookup.
fn stripe() -> usize {
    thread_local! {
        static STRIPE: Cell<Option<usize>> = const { Cell::new(None) };
    }
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    STRIPE.get().unwrap_or_else(|| {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        STRIPE.set(Some(next));
        next
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_ups_of_all_threads_are_counted() {
        let lookups = Lookups::default();

        std::thread::scope(|scope| {
            for _ in 0..2 * STRIPES {
                scope.spawn(|| (0..100).for_each(|number| lookups.record(number % 4 == 0)));
            }
        });

        assert_eq!(lookups.totals(), (2 * 16 * 25, 2 * 16 * 75));
    }
}
