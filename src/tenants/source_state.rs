//! What operators see of tenants, which are known only at run time.

use std::sync::Arc;

use super::{
    known_tenants::{KnownTenant, KnownTenants, MAX_QUESTIONS, MAX_UNKNOWN},
    resolver_calls::ResolverState,
};
use crate::{
    BoxFuture, Observer,
    health::{Dependency, Source, SourceHealth, SourceState, TenantsHealth, deduplicated},
    validator::ErasedValidator,
};

/// Maximum number of sources that are listed one by one. More do not help to find out what is wrong.
const MAX_LISTED: usize = 20;

impl KnownTenants {
    /// Lets the validator of a new tenant report to all observers.
    pub(super) fn observe_new(&self, validator: &dyn ErasedValidator) {
        for observer in self.observers.all() {
            observe(validator, &observer);
        }
    }

    /// Returns the tenants whose keys or introspection endpoint fail now, sorted by issuer.
    fn failing(&self) -> Vec<Arc<KnownTenant>> {
        let known = self.tenants.iter().map(|(_, known)| known);
        let mut failing: Vec<_> = known.filter(|known| known.is_failing()).collect();
        failing.sort_unstable_by(|one, other| one.state.issuer().cmp(other.state.issuer()));
        failing
    }
}

impl KnownTenant {
    fn is_failing(&self) -> bool {
        self.validator.dependencies().iter().any(Dependency::is_failing)
    }
}

fn observe(validator: &dyn ErasedValidator, observer: &Arc<dyn Observer>) {
    validator.dependencies().iter().for_each(|dependency| dependency.observe(observer));
}

impl Source for KnownTenants {
    fn observe(&self, observer: &Arc<dyn Observer>) {
        self.observers.add(observer);
        self.tenants.iter().for_each(|(_, known)| observe(&*known.validator, observer));
    }

    /// Nothing is known about tenants before their first request.
    fn ready(self: Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }

    /// There can be thousands of tenants, and an authorization server of a customer must not make the service unready.
    fn health(&self) -> Option<SourceHealth> {
        None
    }

    fn is_failing(&self) -> bool {
        false
    }

    fn tenants_health(&self) -> Option<TenantsHealth> {
        let ResolverState { state, failing_for, last_failure } = self.resolver_state();
        let failing = self.failing();
        let listed = failing.iter().take(MAX_LISTED).flat_map(|known| known.validator.dependencies());
        // Tenants with a custom validator can share it.
        let listed = deduplicated(listed.collect());
        let listed = listed.iter().filter_map(Dependency::health);
        Some(TenantsHealth {
            resolver: self.resolver_name(),
            state,
            failing_for,
            last_failure,
            calls_in_progress: self.open_questions(),
            calls_limit: 2 * MAX_QUESTIONS,
            known: self.len(),
            limit: self.max_tenants,
            unknown_issuers: self.unknown_len(),
            unknown_issuers_limit: MAX_UNKNOWN,
            failing: failing.len(),
            failing_sources: listed
                .filter(|source| source.state == SourceState::Failing)
                .take(MAX_LISTED)
                .collect(),
        })
    }
}
