//! Decides when keys may be fetched: [`Schedule`]. All times are on the monotonic clock.
//!
//! 1. A refresh is due `interval` after the last successful fetch started.
//! 2. After a failed fetch there is a pause, which doubles with each consecutive failure.
//! 3. Anyone can send an invented `kid` or signature, so fetches for these are also limited by a [`Bucket`].

use std::{sync::Arc, time::Duration};

use super::KeyRefresh;

/// Pause after the first failed fetch. It doubles with each consecutive failure.
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);

/// Maximum pause while the service has keys.
const MAX_BACK_OFF: Duration = Duration::from_secs(60);

/// Maximum pause while it has none. Every request is answered with 503 until then, so recovery must be quick.
const MAX_BACK_OFF_WITHOUT_KEYS: Duration = Duration::from_secs(4);

/// Maximum number of fetches for unknown keys and bad signatures without a pause. A rotation needs one, and a server
/// with several instances may publish its new keys in steps.
const BURST: u32 = 3;

/// Why keys are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// No keys were fetched yet.
    NoKeys,
    /// The current keys have reached their maximum age.
    Age,
    /// The current keys cannot verify a token: its key is unknown or its signature is bad.
    UnverifiableToken,
}

/// One fetch. Its number shows whether a newer fetch has replaced it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    number: u64,
    started: Duration,
}

impl Attempt {
    /// Returns the time since it started.
    pub(super) fn age(self, now: Duration) -> Duration {
        now.saturating_sub(self.started)
    }
}

/// The state of the fetches so far.
#[derive(Debug)]
pub(super) struct Schedule {
    refresh: KeyRefresh,
    bucket: Bucket,
    /// Number of fetches started.
    begun: u64,
    /// When the last fetch started.
    last_begun: Duration,
    /// The last successful fetch.
    succeeded: Option<Attempt>,
    /// Number of consecutive failures.
    failures: u32,
    /// When the last failed fetch started, and why it failed. Kept after a success.
    last_failure: Option<(Duration, Arc<str>)>,
    /// When the keys reach their maximum age.
    due: Duration,
}

impl Schedule {
    pub(super) fn new(refresh: KeyRefresh) -> Self {
        Self {
            bucket: Bucket::new(refresh.cool_down),
            refresh,
            begun: 0,
            last_begun: Duration::ZERO,
            succeeded: None,
            failures: 0,
            last_failure: None,
            due: Duration::ZERO,
        }
    }

    /// Starts a fetch if one is allowed now.
    pub(super) fn begin(&mut self, cause: Cause, now: Duration) -> Option<Attempt> {
        let may_begin = self.back_off_left(now).is_zero()
            && match cause {
                // A request that found no keys may ask after another one has fetched them.
                Cause::NoKeys => self.succeeded.is_none(),
                Cause::Age => now >= self.due,
                Cause::UnverifiableToken => self.bucket.take(now),
            };
        if !may_begin {
            return None;
        }
        self.begun += 1;
        self.last_begun = now;
        // If this fetch is abandoned, another one may replace it from then on.
        self.due = now.saturating_add(self.refresh.abandoned_after());
        Some(Attempt { number: self.begun, started: now })
    }

    /// Records a success. Returns `false` if a newer fetch has started, in which case the keys must be discarded.
    pub(super) fn succeed(&mut self, attempt: Attempt) -> bool {
        if attempt.number != self.begun {
            return false;
        }
        self.succeeded = Some(attempt);
        self.failures = 0;
        self.due = attempt.started.saturating_add(self.refresh.interval);
        true
    }

    /// Records a failure. Returns `false` if a newer fetch has started.
    pub(super) fn fail(&mut self, attempt: Attempt, reason: &str) -> bool {
        if attempt.number != self.begun {
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        self.last_failure = Some((attempt.started, reason.into()));
        self.due = attempt.started.saturating_add(self.back_off());
        true
    }

    /// Returns when the keys reach their maximum age.
    pub(super) fn due(&self) -> Duration {
        self.due
    }

    /// Returns the number of fetches started.
    pub(super) fn begun(&self) -> u64 {
        self.begun
    }

    /// Returns whether a fetch has succeeded that started after the first `begun` fetches.
    pub(super) fn has_succeeded_since(&self, begun: u64) -> bool {
        self.succeeded.is_some_and(|attempt| attempt.number > begun)
    }

    /// Returns whether the last fetch failed.
    pub(super) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Returns whether the keys are older than the refresh interval.
    pub(super) fn is_overdue(&self, now: Duration) -> bool {
        self.succeeded.is_none_or(|attempt| now.saturating_sub(attempt.started) >= self.refresh.interval)
    }

    /// Returns why the last fetch failed. `None` if it succeeded.
    pub(super) fn last_error(&self) -> Option<Arc<str>> {
        let failure = self.last_failure.as_ref().filter(|_| self.is_failing());
        failure.map(|(_, reason)| Arc::clone(reason))
    }

    /// Returns when the last failed fetch started, and why it failed, even if a later one succeeded.
    pub(super) fn last_failure(&self) -> Option<(Duration, Arc<str>)> {
        self.last_failure.clone()
    }

    /// Returns when the last successful fetch started.
    pub(super) fn succeeded_at(&self) -> Option<Duration> {
        self.succeeded.map(|attempt| attempt.started)
    }

    /// Returns the time until keys may be fetched without a token that needs newer ones.
    pub(super) fn next_attempt(&self, now: Duration) -> Duration {
        if self.succeeded.is_some() { self.due.saturating_sub(now) } else { self.back_off_left(now) }
    }

    /// Returns how long no fetch may start because of earlier failures.
    pub(super) fn back_off_left(&self, now: Duration) -> Duration {
        self.back_off().saturating_sub(now.saturating_sub(self.last_begun))
    }

    fn back_off(&self) -> Duration {
        let Some(doublings) = self.failures.checked_sub(1) else {
            return Duration::ZERO;
        };
        let max = if self.succeeded.is_some() { MAX_BACK_OFF } else { MAX_BACK_OFF_WITHOUT_KEYS };
        FIRST_BACK_OFF.saturating_mul(1 << doublings.min(16)).min(max)
    }
}

/// A token bucket: allows a burst of [`BURST`] fetches, then one per `refill`.
#[derive(Debug)]
struct Bucket {
    refill: Duration,
    /// When the bucket is full again if no fetch starts. Each fetch moves this by `refill`.
    full_at: Duration,
}

impl Bucket {
    fn new(refill: Duration) -> Self {
        Self { refill, full_at: Duration::ZERO }
    }

    fn take(&mut self, now: Duration) -> bool {
        let full_at = self.full_at.max(now);
        if full_at.saturating_sub(now) > self.refill.saturating_mul(BURST - 1) {
            return false;
        }
        self.full_at = full_at.saturating_add(self.refill);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const START: Duration = Duration::from_secs(1_000);

    fn schedule() -> Schedule {
        Schedule::new(KeyRefresh::default())
    }

    /// A schedule with keys fetched at [`START`].
    fn schedule_with_keys() -> Schedule {
        let mut schedule = schedule();
        let attempt = schedule.begin(Cause::NoKeys, START).unwrap();
        assert!(schedule.succeed(attempt));
        schedule
    }

    /// Starts a fetch in each second that allows one, ends it, and returns those seconds.
    fn attempts(
        schedule: &mut Schedule,
        cause: Cause,
        seconds: u64,
        end: impl Fn(&mut Schedule, Attempt),
    ) -> Vec<u64> {
        (0..seconds)
            .filter(|second| match schedule.begin(cause, START + SECOND * (*second as u32)) {
                Some(attempt) => {
                    end(schedule, attempt);
                    true
                }
                None => false,
            })
            .collect()
    }

    fn succeed(schedule: &mut Schedule, attempt: Attempt) {
        assert!(schedule.succeed(attempt));
    }

    fn fail(schedule: &mut Schedule, attempt: Attempt) {
        schedule.fail(attempt, "connection refused");
    }

    #[test]
    fn doubts_cause_a_burst_and_then_one_fetch_each_cool_down() {
        let begun = attempts(&mut schedule_with_keys(), Cause::UnverifiableToken, 41, succeed);

        // One per second during the burst, then one per 10 seconds.
        assert_eq!(begun, [0, 1, 2, 10, 20, 30, 40]);
    }

    #[test]
    fn a_bucket_that_was_left_alone_holds_the_burst_and_no_more() {
        let mut bucket = Bucket::new(10 * SECOND);
        let take_all = |bucket: &mut Bucket, now| (0..10).filter(|_| bucket.take(now)).count();

        assert_eq!(take_all(&mut bucket, START), 3);
        assert_eq!(take_all(&mut bucket, START + 10 * SECOND), 1);
        assert_eq!(take_all(&mut bucket, START + 29 * SECOND), 1);
        assert_eq!(take_all(&mut bucket, START + 30 * SECOND), 1);
        assert_eq!(take_all(&mut bucket, START + 3_600 * SECOND), 3);
    }

    #[test]
    fn first_keys_are_fetched_with_a_pause_of_at_most_4_seconds_after_failures() {
        let begun = attempts(&mut schedule(), Cause::NoKeys, 20, fail);

        assert_eq!(begun, [0, 1, 3, 7, 11, 15, 19]);
    }

    #[test]
    fn a_refresh_that_fails_is_repeated_after_a_pause_of_at_most_60_seconds() {
        let mut schedule = schedule_with_keys();
        schedule.due = START;

        let begun = attempts(&mut schedule, Cause::Age, 200, fail);

        assert_eq!(begun, [0, 1, 3, 7, 15, 31, 63, 123, 183]);
    }

    #[test]
    fn doubts_during_an_outage_wait_for_the_back_off_and_the_bucket() {
        let begun = attempts(&mut schedule_with_keys(), Cause::UnverifiableToken, 200, fail);

        assert_eq!(begun, [0, 1, 3, 10, 20, 36, 68, 128, 188]);
    }

    #[test]
    fn keys_are_due_an_interval_after_the_fetch_that_brought_them_began() {
        let mut schedule = schedule_with_keys();
        let interval = KeyRefresh::default().interval;

        assert_eq!(schedule.begin(Cause::Age, START + interval - SECOND), None);
        assert!(!schedule.is_overdue(START + interval - SECOND));
        assert!(schedule.is_overdue(START + interval));
        assert!(schedule.begin(Cause::Age, START + interval).is_some());
    }

    #[test]
    fn the_outcome_of_a_fetch_that_was_replaced_does_not_count() {
        let mut schedule = schedule_with_keys();
        let replaced = schedule.begin(Cause::UnverifiableToken, START).unwrap();
        let latest = schedule.begin(Cause::UnverifiableToken, START + SECOND).unwrap();

        schedule.fail(replaced, "too late");
        assert!(!schedule.is_failing());
        assert!(!schedule.succeed(replaced));
        assert!(!schedule.has_succeeded_since(1));
        assert!(schedule.succeed(latest));
        assert!(schedule.has_succeeded_since(2) && !schedule.has_succeeded_since(3));
    }

    #[test]
    fn a_success_ends_the_back_off() {
        let mut schedule = schedule_with_keys();
        for _ in 0..5 {
            let attempt =
                schedule.begin(Cause::UnverifiableToken, START + 100 * SECOND * schedule.failures).unwrap();
            fail(&mut schedule, attempt);
        }
        let now = START + 1_000 * SECOND;
        assert_eq!(schedule.back_off(), 16 * SECOND);
        assert_eq!(schedule.last_error().as_deref(), Some("connection refused"));

        let attempt = schedule.begin(Cause::UnverifiableToken, now).unwrap();
        succeed(&mut schedule, attempt);

        assert_eq!(schedule.back_off_left(now), Duration::ZERO);
        assert_eq!(schedule.last_error(), None);
    }

    #[test]
    fn first_keys_are_not_fetched_again_for_a_request_that_missed_them() {
        assert_eq!(schedule_with_keys().begin(Cause::NoKeys, START), None);
    }
}
