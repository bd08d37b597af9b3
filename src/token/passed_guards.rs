//! Which guards a token has passed: [`PassedGuards`], a plain record.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{ScopeHierarchy, ScopeRequirement, refusal::RefusalSettings};

/// Identifies a resource server within the process. Clones of a resource server share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerId(u64);

impl ServerId {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The guard that a token passed last, and those further out.
pub(crate) struct PassedGuards {
    pub(crate) server: ServerId,
    pub(crate) hierarchy: Arc<ScopeHierarchy>,
    pub(crate) refusals: Arc<RefusalSettings>,
    /// What this guard requires; see [`requirement`](Self::requirement) for all of them.
    pub(crate) required_here: ScopeRequirement,
    pub(crate) outer: Option<Arc<PassedGuards>>,
}

impl PassedGuards {
    /// Records that the token passed `self` inside of `outer`.
    pub(crate) fn inside(&self, outer: &Arc<Self>) -> Self {
        Self {
            server: self.server,
            hierarchy: Arc::clone(&self.hierarchy),
            refusals: Arc::clone(&self.refusals),
            required_here: self.required_here.clone(),
            outer: Some(Arc::clone(outer)),
        }
    }

    /// Returns what all the guards need, outer first.
    pub(crate) fn requirement(&self) -> ScopeRequirement {
        let here = self.required_here.clone();
        match &self.outer {
            Some(outer) => outer.requirement().and(here),
            None => here,
        }
    }
}

impl fmt::Debug for PassedGuards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PassedGuards({})", self.requirement())
    }
}
