//! What a validator needs from an authorization server: [`Dependency`].

use std::{collections::HashSet, fmt, sync::Arc};

use super::{SourceHealth, SourceState, TenantsHealth};
use crate::{BoxFuture, observer::Observer};

/// A handle to the keys, the introspection endpoint or the tenants that a validator uses. Cheap to clone.
///
/// Returned by [`TokenValidator::dependencies`](crate::TokenValidator::dependencies). The validators of this crate create them.
/// A validator that wraps others forwards theirs, so that the resource server can observe them, wait for them and report their
/// health.
#[derive(Clone)]
pub struct Dependency(Arc<dyn Source>);

/// Keys or an endpoint.
pub(crate) trait Source: Send + Sync {
    /// Adds an observer.
    fn observe(&self, observer: &Arc<dyn Observer>);

    /// Completes when it is ready: it has keys, or the endpoint is known. Tries again after failures, with the pauses
    /// of the source.
    fn ready(self: Arc<Self>) -> BoxFuture<'static, ()>;

    /// Returns its state. `None` if it is not listed.
    fn health(&self) -> Option<SourceHealth>;

    /// Returns whether its last use failed.
    fn is_failing(&self) -> bool {
        self.health().is_some_and(|health| health.state == SourceState::Failing)
    }

    /// Returns the state of the resolver and the tenants, if it is a resolver.
    fn tenants_health(&self) -> Option<TenantsHealth> {
        None
    }
}

impl Dependency {
    pub(crate) fn new(source: Arc<dyn Source>) -> Self {
        Self(source)
    }

    pub(crate) fn observe(&self, observer: &Arc<dyn Observer>) {
        self.0.observe(observer);
    }

    pub(crate) fn ready(&self) -> BoxFuture<'static, ()> {
        Arc::clone(&self.0).ready()
    }

    pub(crate) fn health(&self) -> Option<SourceHealth> {
        self.0.health()
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.0.is_failing()
    }

    pub(crate) fn has_tenants(&self) -> bool {
        self.tenants_health().is_some()
    }

    pub(crate) fn tenants_health(&self) -> Option<TenantsHealth> {
        self.0.tenants_health()
    }

    fn address(&self) -> *const () {
        Arc::as_ptr(&self.0).cast()
    }
}

impl fmt::Debug for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Dependency");
        if let Some(health) = self.health() {
            text.field("issuer", &health.issuer).field("kind", &health.kind);
        }
        text.finish()
    }
}

/// Removes duplicates, such as those of a validator that is used for two routes.
pub(crate) fn deduplicated(mut dependencies: Vec<Dependency>) -> Vec<Dependency> {
    let mut known = HashSet::with_capacity(dependencies.len());
    dependencies.retain(|dependency| known.insert(dependency.address()));
    dependencies
}
