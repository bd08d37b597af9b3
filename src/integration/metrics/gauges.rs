//! Sets the gauges from a [`Health`].

use std::{collections::BTreeMap, time::Duration};

use ::metrics::{SharedString, gauge};

use super::{
    CACHE_ENTRIES, CACHE_LIMIT, CACHE_SIZE, INTROSPECTION_CALLS, IssuerLabels, KEY_AGE, KEYS_USABLE, READY,
    RESOLVER_WORKING, TENANTS_FAILING, TENANTS_KNOWN, record_working,
};
use crate::{
    Health,
    health::{SourceHealth, SourceState, TenantsHealth},
    observer::SourceKind,
};

pub(super) fn record(health: &Health, issuers: &IssuerLabels) {
    gauge!(READY).set(u8::from(health.ready));
    let cache = &health.verdict_cache;
    gauge!(CACHE_ENTRIES).set(cache.entries as f64);
    gauge!(CACHE_SIZE).set(cache.bytes as f64);
    gauge!(CACHE_LIMIT).set(cache.limit_bytes as f64);
    let mut by_label: BTreeMap<(String, &str), Folded> = BTreeMap::new();
    for source in &health.sources {
        let label = issuers.of(&source.issuer);
        let folded = by_label.entry((label.to_string(), source.kind.as_str())).or_insert_with(|| Folded {
            label,
            kind: source.kind,
            age: None,
            keys: None,
            calls: None,
            working: None,
        });
        folded.add(source);
    }
    by_label.values().for_each(Folded::record);
    if !health.tenants.is_empty() {
        record_tenants(&health.tenants);
    }
}

/// Sets the gauges to the sums of all resolvers.
fn record_tenants(tenants: &[TenantsHealth]) {
    let sum = |count: fn(&TenantsHealth) -> usize| tenants.iter().map(count).sum::<usize>() as f64;
    gauge!(TENANTS_KNOWN).set(sum(|tenants| tenants.known));
    gauge!(TENANTS_FAILING).set(sum(|tenants| tenants.failing));
    let used =
        || tenants.iter().map(|tenants| tenants.state).filter(|state| *state != SourceState::NotUsedYet);
    if used().next().is_some() {
        gauge!(RESOLVER_WORKING).set(u8::from(used().all(|state| state == SourceState::Working)));
    }
}

/// The sources with the same labels: one, or all of the label `other`.
struct Folded {
    label: SharedString,
    kind: SourceKind,
    age: Option<Duration>,
    keys: Option<usize>,
    calls: Option<usize>,
    working: Option<bool>,
}

impl Folded {
    /// Keeps the worst value, or the sum of counts.
    fn add(&mut self, source: &SourceHealth) {
        self.age = self.age.max(source.age);
        self.keys = sum(self.keys, source.keys);
        self.calls = sum(self.calls, source.calls_in_progress);
        match source.state {
            SourceState::NotUsedYet => {}
            SourceState::Working => self.working = Some(self.working.unwrap_or(true)),
            SourceState::Failing => self.working = Some(false),
        }
    }

    fn record(&self) {
        let issuer = || self.label.clone();
        if self.kind != SourceKind::Introspection {
            if let Some(age) = self.age {
                gauge!(KEY_AGE, "issuer" => issuer()).set(age.as_secs_f64());
            }
            gauge!(KEYS_USABLE, "issuer" => issuer()).set(self.keys.unwrap_or(0) as f64);
        }
        if let Some(calls) = self.calls {
            gauge!(INTROSPECTION_CALLS, "issuer" => issuer()).set(calls as f64);
        }
        if let Some(working) = self.working.filter(|_| self.kind != SourceKind::ConfiguredKeys) {
            record_working(issuer(), self.kind, working);
        }
    }
}

fn sum(one: Option<usize>, other: Option<usize>) -> Option<usize> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.saturating_add(other)),
        (one, other) => one.or(other),
    }
}
