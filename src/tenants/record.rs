//! Remembers which states and questions an invalidation must reach: [`Record`].

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use super::TenantState;
use crate::validator::{BuildTokenHasher, TokenHash};

/// The states that verdicts may hold, and the questions that the resolver has not answered yet.
///
/// A tenant that was evicted from the cache is still in here while there are verdicts of it, so that these end too when
/// it is invalidated.
#[derive(Default)]
pub(super) struct Record {
    states: HashMap<TokenHash, Weak<TenantState>, BuildTokenHasher>,
    /// Number of states at which those without verdicts and cache entry are removed.
    purge_at: usize,
    questions: HashMap<u64, Open>,
    next_question: u64,
}

/// A question that the resolver has not answered yet.
struct Open {
    issuer: TokenHash,
    /// The issuer was invalidated after the question began, so the answer may be older than the change.
    is_outdated: bool,
}

/// Below this, removing dead states is not worth the time.
const MIN_PURGE: usize = 64;

impl Record {
    /// Returns the state of an issuer, if something still uses it.
    pub(super) fn state(&self, issuer: TokenHash) -> Option<Arc<TenantState>> {
        self.states.get(&issuer)?.upgrade()
    }

    pub(super) fn insert(&mut self, issuer: TokenHash, state: &Arc<TenantState>) {
        self.states.insert(issuer, Arc::downgrade(state));
        if self.states.len() > self.purge_at {
            self.states.retain(|_, state| state.strong_count() > 0);
            self.purge_at = (2 * self.states.len()).max(MIN_PURGE);
        }
    }

    /// Ends the tenant of an issuer and all its verdicts.
    pub(super) fn withdraw(&mut self, issuer: TokenHash) {
        if let Some(state) = self.states.remove(&issuer).and_then(|state| state.upgrade()) {
            state.withdraw();
        }
    }

    pub(super) fn withdraw_all(&mut self) {
        for state in std::mem::take(&mut self.states).into_values().filter_map(|state| state.upgrade()) {
            state.withdraw();
        }
    }

    /// Records a question, and returns its number.
    pub(super) fn open(&mut self, issuer: TokenHash) -> u64 {
        let number = self.next_question;
        self.next_question += 1;
        self.questions.insert(number, Open { issuer, is_outdated: false });
        number
    }

    pub(super) fn close(&mut self, question: u64) {
        self.questions.remove(&question);
    }

    /// Returns the number of open questions.
    pub(super) fn open_questions(&self) -> usize {
        self.questions.len()
    }

    pub(super) fn is_outdated(&self, question: u64) -> bool {
        self.questions.get(&question).is_none_or(|open| open.is_outdated)
    }

    /// Makes the answers to open questions outdated: those about `issuer`, or all.
    pub(super) fn outdate(&mut self, issuer: Option<TokenHash>) {
        for open in self.questions.values_mut() {
            open.is_outdated |= issuer.is_none_or(|issuer| issuer == open.issuer);
        }
    }
}
