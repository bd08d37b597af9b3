//! Passes observers on to tenants, which are known only at run time.

use std::sync::Arc;

use super::known_tenants::KnownTenants;
use crate::{
    BoxFuture, Observer,
    health::{Source, SourceHealth},
    validator::ErasedValidator,
};

impl KnownTenants {
    /// Lets the validator of a new tenant report to all observers.
    pub(super) fn observe_new(&self, validator: &dyn ErasedValidator) {
        for observer in self.observers.all() {
            observe(validator, &observer);
        }
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
}
