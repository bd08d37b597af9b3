//! Was this code or refresh token used before? (RFC 6749 section 4.1.2, RFC 9700 section 4.14.2)

use std::sync::{Mutex, PoisonError};

use super::{
    bounded::Bounded,
    secret::{Secret, SecretDigest},
};

/// Secrets that work once. Used ones are remembered: whoever comes second betrays a theft.
pub(super) struct SingleUse<V>(Mutex<Bounded<SecretDigest, Entry<V>>>);

struct Entry<V> {
    value: V,
    expires_at: u64,
    spent: bool,
}

/// What became of a secret that was presented.
pub(super) enum Spending<V> {
    FirstUse(V),
    UsedBefore(V),
    /// Never issued, forgotten, or too old.
    Unknown,
}

impl<V: Clone> SingleUse<V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self(Mutex::new(Bounded::new(capacity)))
    }

    /// Makes a secret that stands for `value` until `expires_at`, in seconds since 1970.
    pub(super) fn issue(&self, value: V, expires_at: u64) -> Secret {
        let secret = Secret::random();
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let spent = false;
        entries.insert(secret.digest(), Entry { value, expires_at, spent });
        secret
    }

    /// Looks at what a secret stands for, without using it and whatever its age.
    pub(super) fn find(&self, presented: &str) -> Option<V> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.find(&SecretDigest::of(presented));
        entry.map(|entry| entry.value.clone())
    }

    /// Uses a secret. Looking and marking are one step, so of two at the same time only one is the first.
    pub(super) fn spend(&self, presented: &str, now: u64) -> Spending<V> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match entries.find_mut(&SecretDigest::of(presented)) {
            None => Spending::Unknown,
            Some(entry) if entry.spent => Spending::UsedBefore(entry.value.clone()),
            Some(entry) if entry.expires_at <= now => Spending::Unknown,
            Some(entry) => {
                entry.spent = true;
                Spending::FirstUse(entry.value.clone())
            }
        }
    }
}
