//! Records which guards a request has passed: [`PassedGuards`].

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

/// The innermost guard that a token passed, and the outer ones.
#[derive(Clone)]
pub(crate) struct PassedGuards {
    pub(crate) server: ServerId,
    pub(crate) hierarchy: Arc<ScopeHierarchy>,
    pub(crate) refusals: Arc<RefusalSettings>,
    /// What this guard requires. [`requirement`](Self::requirement) includes the outer guards.
    pub(crate) required_here: ScopeRequirement,
    /// The scopes in the challenges of this guard, except in `insufficient_scope` challenges.
    pub(crate) advertised: Arc<[Scope]>,
    pub(crate) outer: Option<Arc<PassedGuards>>,
}

impl PassedGuards {
    /// Returns the record of `self` inside `outer`.
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

    /// Creates a refusal with the settings of this guard.
    pub(crate) fn refuse(&self, error: ValidationError, request: Option<RequestSummary>) -> Refusal {
        match &error {
            ValidationError::InsufficientScope { required, .. } => {
                let named = required.named().to_vec();
                Refusal::new(error, &self.refusals, &named, request)
            }
            _ => Refusal::new(error, &self.refusals, &self.advertised, request),
        }
    }

    /// Returns the requirements of all guards, the outer ones first.
    pub(crate) fn requirement(&self) -> ScopeRequirement {
        let here = self.required_here.clone();
        match &self.outer {
            Some(outer) => outer.requirement().and(here),
            None => here,
        }
    }
}

/// Added to an anonymous request, for a handler that requires a token nevertheless.
#[derive(Clone)]
pub(crate) struct AnonymousRequest {
    pub(crate) passed: Arc<PassedGuards>,
    pub(crate) request: RequestSummary,
}

impl AnonymousRequest {
    /// Refuses the request like a layer that requires a token.
    pub(crate) fn refuse(&self) -> Refusal {
        self.passed.refuse(ValidationError::NoCredentials, Some(self.request.clone()))
    }
}

impl fmt::Debug for PassedGuards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PassedGuards({})", self.requirement())
    }
}
