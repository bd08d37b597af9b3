//! Which guards a request has passed: [`PassedGuards`], a plain record.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    Refusal, Scope, ScopeHierarchy, ScopeRequirement, ValidationError,
    refusal::{RefusalSettings, RequestSummary},
};

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
#[derive(Clone)]
pub(crate) struct PassedGuards {
    pub(crate) server: ServerId,
    pub(crate) hierarchy: Arc<ScopeHierarchy>,
    pub(crate) refusals: Arc<RefusalSettings>,
    /// What this guard requires; see [`requirement`](Self::requirement) for all of them.
    pub(crate) required_here: ScopeRequirement,
    /// Scopes that the challenges of this guard name, except for those about insufficient scope.
    pub(crate) advertised: Arc<[Scope]>,
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
            advertised: Arc::clone(&self.advertised),
            outer: Some(Arc::clone(outer)),
        }
    }

    /// Refuses a request as this guard does.
    pub(crate) fn refuse(&self, error: ValidationError, request: Option<RequestSummary>) -> Refusal {
        match &error {
            ValidationError::InsufficientScope { required, .. } => {
                let named = required.named().to_vec();
                Refusal::new(error, &self.refusals, &named, request)
            }
            _ => Refusal::new(error, &self.refusals, &self.advertised, request),
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

/// Left in an anonymous request, for a handler that requires a token after all.
#[cfg(feature = "axum")]
#[derive(Clone)]
pub(crate) struct AnonymousRequest {
    pub(crate) passed: Arc<PassedGuards>,
    pub(crate) request: RequestSummary,
}

#[cfg(feature = "axum")]
impl AnonymousRequest {
    /// Refuses the request as a layer does that requires a token.
    pub(crate) fn refuse(&self) -> Refusal {
        self.passed.refuse(ValidationError::NoCredentials, Some(self.request.clone()))
    }
}

impl fmt::Debug for PassedGuards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PassedGuards({})", self.requirement())
    }
}
