//! What did a resource owner agree to? (RFC 6749 section 1.3)

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{resources::Resource, scope::ScopeSet};

/// An agreement that codes and tokens come from. Revoking it ends all of them at once.
pub(super) struct Grant {
    pub(super) client_id: String,
    pub(super) subject: String,
    pub(super) resource: Arc<Resource>,
    pub(super) scope: ScopeSet,
    revoked: AtomicBool,
}

impl Grant {
    pub(super) fn new(client_id: &str, subject: &str, resource: Arc<Resource>, scope: ScopeSet) -> Arc<Self> {
        let (client_id, subject) = (client_id.to_owned(), subject.to_owned());
        Arc::new(Self { client_id, subject, resource, scope, revoked: AtomicBool::new(false) })
    }

    pub(super) fn revoke(&self) {
        self.revoked.store(true, Ordering::Release);
    }

    pub(super) fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Acquire)
    }
}
