//! One request's search for newer keys: [`KeySearch`].

use std::sync::Arc;

use super::{RemoteKeys, schedule::Cause};
use crate::{KeySet, ValidationError};

/// Finds newer keys after the current ones could not verify a token.
///
/// Waits for at most one fetch, so that a request ends even if each fetch takes longer than the cool-down.
pub(in crate::jwt) struct KeySearch<'a> {
    remote: &'a Arc<RemoteKeys>,
    wanted: KeyHash,
    /// The last set that was tried.
    tried: Arc<KeySet>,
    /// Number of fetches started before the search. Only a later fetch can show that the key does not exist.
    begun_before: u64,
    next: Step,
}

/// The keyed hash of the `kid` and the algorithm of the key that a token needs.
pub(super) type KeyHash = u64;

/// Sources of newer keys, in the order in which they are tried.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The current set, which another request may have replaced.
    Current,
    /// The fetch in progress, or a new one if the schedule allows it.
    Fetch,
    Done,
}

impl<'a> KeySearch<'a> {
    pub(super) fn new(remote: &'a Arc<RemoteKeys>, wanted: KeyHash, tried: Arc<KeySet>) -> Self {
        let begun_before = remote.schedule().begun();
        Self { remote, wanted, tried, begun_before, next: Step::Current }
    }

    /// Returns the next set to try, or `None` if there is none.
    pub(in crate::jwt) async fn next(&mut self) -> Option<Arc<KeySet>> {
        loop {
            match self.next {
                Step::Current => {
                    let was_searched = self.remote.has_failed_recently(self.wanted);
                    self.next = if was_searched { Step::Done } else { Step::Fetch };
                }
                Step::Fetch => {
                    self.remote.fetch(Cause::UnverifiableToken).await;
                    self.next = Step::Done;
                }
                Step::Done => return None,
            }
            if let Some(newer) = self.remote.newer_than(&self.tried) {
                self.tried = Arc::clone(&newer);
                return Some(newer);
            }
        }
    }

    /// Returns the error after all sets were tried: `refusal`, or that the keys are unavailable.
    ///
    /// While fetches fail, an unknown key may exist. A bad signature with a known key is final if the keys are recent.
    /// If their refresh is overdue, the key may have been replaced under the same `kid`.
    pub(in crate::jwt) fn conclude(self, refusal: ValidationError) -> ValidationError {
        let now = self.remote.now();
        let schedule = self.remote.schedule();
        let is_answered = schedule.has_succeeded_since(self.begun_before);
        let is_open = schedule.is_failing()
            && match refusal {
                ValidationError::BadSignature => schedule.is_overdue(now),
                _ => true,
            };
        drop(schedule);
        if is_answered {
            self.remote.record_failed_search(self.wanted, &refusal);
        }
        if is_open { self.remote.unavailable() } else { refusal }
    }
}
