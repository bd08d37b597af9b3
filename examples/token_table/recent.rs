//! Caches recent verdicts as long as notifications of revocations arrive: [`RecentTokens`].
//!
//! `ValidatedToken::reusable_for` would use the cache of the layer instead. Nothing can be removed from that cache, so a revoked
//! token would be accepted until its time is over.

use std::{
    sync::{PoisonError, RwLock},
    time::{Duration, Instant},
};

use moka::sync::Cache;
use tower_bearer::ValidatedToken;

use super::database::Hash;

/// Recent verdicts. None is reused until [`allow_until`](Self::allow_until) is called.
#[derive(Debug)]
pub(crate) struct RecentTokens {
    notifications: RwLock<Notifications>,
    tokens: Cache<Hash, ValidatedToken>,
}

/// Whether notifications arrive.
#[derive(Debug, Default)]
struct Notifications {
    /// When verdicts stop being reused. `None` if a notification may have been missed.
    reuse_until: Option<Instant>,
    /// Counts notifications, and the times at which some may have been missed.
    changes: u64,
}

/// Proves that a lookup began while notifications arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    changes: u64,
}

/// Maximum number of verdicts.
const MAX_TOKENS: u64 = 10_000;

/// Maximum time for which a verdict is reused, in case somebody disables the triggers of the table.
const MAX_REUSE: Duration = Duration::from_secs(60);

impl RecentTokens {
    pub(crate) fn new() -> Self {
        let tokens = Cache::builder().max_capacity(MAX_TOKENS).time_to_live(MAX_REUSE).build();
        Self { notifications: RwLock::default(), tokens }
    }

    /// Returns the verdict on a token, if it may be reused.
    pub(crate) fn find(&self, hash: &Hash) -> Option<ValidatedToken> {
        let notifications = self.notifications.read().unwrap_or_else(PoisonError::into_inner);
        if notifications.allow_reuse() { self.tokens.get(hash) } else { None }
    }

    /// Call this before a token is looked up. The ticket allows its verdict to be added.
    pub(crate) fn ticket(&self) -> Option<Ticket> {
        let notifications = self.notifications.read().unwrap_or_else(PoisonError::into_inner);
        notifications.allow_reuse().then_some(Ticket { changes: notifications.changes })
    }

    /// Adds a verdict, unless a token was revoked since the lookup began: it may have read the row before that.
    pub(crate) fn insert(&self, ticket: Ticket, hash: Hash, token: &ValidatedToken) {
        let notifications = self.notifications.read().unwrap_or_else(PoisonError::into_inner);
        if notifications.changes == ticket.changes {
            self.tokens.insert(hash, token.clone());
        }
    }

    /// Drops the verdict on a token that was changed in the table.
    pub(crate) fn forget(&self, hash: &Hash) {
        self.change(|_| self.tokens.invalidate(hash));
    }

    /// Drops all verdicts.
    pub(crate) fn forget_all(&self) {
        self.change(|_| self.tokens.invalidate_all());
    }

    /// Drops all verdicts, and reuses none until [`allow_until`](Self::allow_until) is called. Call this when notifications may be
    /// missed.
    pub(crate) fn stop_reuse(&self) {
        self.change(|notifications| {
            notifications.reuse_until = None;
            self.tokens.invalidate_all();
        });
    }

    /// Allows verdicts to be reused until then. After that they stay in the cache, and are used again if this is called again.
    pub(crate) fn allow_until(&self, until: Instant) {
        self.notifications.write().unwrap_or_else(PoisonError::into_inner).reuse_until = Some(until);
    }

    fn change(&self, change: impl FnOnce(&mut Notifications)) {
        let mut notifications = self.notifications.write().unwrap_or_else(PoisonError::into_inner);
        notifications.changes += 1;
        change(&mut notifications);
    }
}

impl Notifications {
    fn allow_reuse(&self) -> bool {
        self.reuse_until.is_some_and(|until| Instant::now() < until)
    }
}

#[cfg(test)]
mod tests {
    use tower_bearer::ClaimsSet;

    use super::*;

    const HASH: Hash = [7; 32];

    fn token() -> ValidatedToken {
        ValidatedToken::from_trusted_claims(ClaimsSet::new())
    }

    /// Returns a cache with the verdict on one token.
    fn with_one() -> RecentTokens {
        let recent = RecentTokens::new();
        recent.allow_until(Instant::now() + MAX_REUSE);
        recent.insert(recent.ticket().unwrap(), HASH, &token());
        recent
    }

    #[test]
    fn a_verdict_is_reused_while_notifications_arrive() {
        assert!(with_one().find(&HASH).is_some());
        assert!(with_one().find(&[8; 32]).is_none());
    }

    #[test]
    fn nothing_is_reused_before_notifications_arrive() {
        assert!(RecentTokens::new().ticket().is_none());
    }

    #[test]
    fn a_changed_token_is_looked_up_again() {
        let recent = with_one();

        recent.forget(&HASH);

        assert!(recent.find(&HASH).is_none());
    }

    #[test]
    fn a_verdict_whose_look_up_began_before_a_revocation_is_not_added() {
        let recent = with_one();
        let ticket = recent.ticket().unwrap();

        recent.forget(&HASH);
        recent.insert(ticket, HASH, &token());

        assert!(recent.find(&HASH).is_none());
    }

    #[test]
    fn nothing_is_reused_after_the_time_is_over_and_all_of_it_when_it_is_extended() {
        let recent = with_one();

        recent.allow_until(Instant::now());
        assert!(recent.find(&HASH).is_none());
        assert!(recent.ticket().is_none());
        recent.allow_until(Instant::now() + MAX_REUSE);

        assert!(recent.find(&HASH).is_some());
    }

    #[test]
    fn a_notification_that_may_have_been_missed_drops_everything() {
        let recent = with_one();

        recent.stop_reuse();
        recent.allow_until(Instant::now() + MAX_REUSE);

        assert!(recent.find(&HASH).is_none());
    }
}
