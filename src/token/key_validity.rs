//! Tracks whether the key of a verdict is still published: [`KeyValidity`].

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Whether the key that verified a token is still in its key set. Clones share the state.
#[derive(Clone, Default)]
pub(crate) struct KeyValidity {
    is_withdrawn: Arc<AtomicBool>,
    refresh_hook: Option<Arc<dyn RefreshHook>>,
}

/// Called on every cache hit, so that keys are refreshed even if every token is cached.
pub(crate) trait RefreshHook: Send + Sync {
    /// Starts a refresh if one is due, without waiting for it.
    fn refresh_if_due(&self);
}

impl KeyValidity {
    pub(crate) fn withdraw(&self) {
        self.is_withdrawn.store(true, Ordering::Release);
    }

    pub(crate) fn refreshed_by(self, hook: Arc<dyn RefreshHook>) -> Self {
        Self { refresh_hook: Some(hook), ..self }
    }

    /// Returns whether the key is still in its set. Starts a refresh of the keys if one is due.
    pub(crate) fn is_valid(&self) -> bool {
        if let Some(hook) = &self.refresh_hook {
            hook.refresh_if_due();
        }
        !self.is_withdrawn.load(Ordering::Acquire)
    }
}
