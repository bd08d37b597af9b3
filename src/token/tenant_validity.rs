//! Whether the tenant of a verdict is still known: [`TenantValidity`].

use std::sync::Arc;

/// Whether the tenant whose validator accepted a token is still known, with the same settings.
pub(crate) trait TenantValidity: Send + Sync {
    fn is_valid(&self) -> bool;

    /// Returns whether the tenant was removed or changed, so that verdicts from before must not be used.
    fn is_withdrawn(&self) -> bool;

    /// Starts to ask the resolver again if that is due, without waiting for it.
    fn refresh_if_due(&self);
}

/// The tenants of a verdict that passed two validators with a resolver.
pub(super) struct Both(pub(super) Arc<dyn TenantValidity>, pub(super) Arc<dyn TenantValidity>);

impl TenantValidity for Both {
    fn is_valid(&self) -> bool {
        self.0.is_valid() && self.1.is_valid()
    }

    fn is_withdrawn(&self) -> bool {
        self.0.is_withdrawn() || self.1.is_withdrawn()
    }

    fn refresh_if_due(&self) {
        self.0.refresh_if_due();
        self.1.refresh_if_due();
    }
}
