//! Bounds the number of issuers in labels: [`IssuerLabels`].

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError, RwLock},
};

use ::metrics::SharedString;

/// The label of all issuers without their own.
const OTHER: SharedString = SharedString::const_str("other");

const DEFAULT_MAX: usize = 64;

/// The issuers that have their own label.
#[derive(Debug)]
pub(super) struct IssuerLabels {
    max: usize,
    known: RwLock<BTreeSet<Arc<str>>>,
}

impl IssuerLabels {
    pub(super) fn new(max: usize) -> Self {
        Self { max, known: RwLock::default() }
    }

    /// Returns the label of an issuer.
    pub(super) fn of(&self, issuer: &str) -> SharedString {
        // A set is consistent after each statement, so a panic elsewhere does no harm.
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(label) = known.get(issuer) {
            return SharedString::from_shared(Arc::clone(label));
        }
        if known.len() >= self.max {
            return OTHER;
        }
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(label) = known.get(issuer) {
            return SharedString::from_shared(Arc::clone(label));
        }
        if known.len() >= self.max {
            return OTHER;
        }
        let label: Arc<str> = issuer.into();
        known.insert(Arc::clone(&label));
        SharedString::from_shared(label)
    }
}

impl Default for IssuerLabels {
    fn default() -> Self {
        Self::new(DEFAULT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_issuers_have_a_bounded_number_of_labels() {
        let labels = IssuerLabels::default();

        let distinct: BTreeSet<String> = (0..10_000)
            .map(|number| labels.of(&format!("https://t{number}.example.com")).to_string())
            .collect();

        assert_eq!(distinct.len(), DEFAULT_MAX + 1);
        assert!(distinct.contains("other"));
        assert_eq!(labels.of("https://t0.example.com").to_string(), "https://t0.example.com");
    }
}
