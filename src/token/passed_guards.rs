//! Records which guards a request has passed: [`PassedGuards`].

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    PseudonymKey,
    requirement_check::{check_authentication, check_scopes},
};
use crate::{
    ClaimsSet, Clock, Refusal, RequestRule, Scope, ScopeHierarchy, ScopeRequirement, ValidationError,
    refusal::{RefusalSettings, RequestSummary},
    requirement::{TokenRequirement, deduplicated},
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

/// The settings of a resource server for the checks of each request.
pub(crate) struct GuardSettings {
    pub(crate) hierarchy: ScopeHierarchy,
    pub(crate) refusals: Arc<RefusalSettings>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The scopes in the challenges of operations that require none.
    pub(crate) baseline: Box<[Scope]>,
    pub(crate) claim_rules: Box<[RequestRule]>,
    pub(crate) forward_credential: bool,
    pub(crate) pass_cors_preflight: bool,
    pub(crate) streams_outlive_tokens: bool,
    pub(crate) pseudonyms: Option<PseudonymKey>,
}

/// The innermost guard that a token passed, and the outer ones.
#[derive(Clone)]
pub(crate) struct PassedGuards {
    pub(crate) server: ServerId,
    /// The settings that were in force when the request was decided.
    pub(crate) settings: Arc<GuardSettings>,
    /// Scopes that are added to all challenges except those with `insufficient_scope`.
    pub(crate) advertised: Arc<[Scope]>,
    pub(crate) outer: Option<Arc<OuterGuards>>,
}

/// The guards outside of a guard, and what they require of the request.
#[derive(Clone)]
pub(crate) struct OuterGuards {
    guards: Arc<PassedGuards>,
    requirement: Option<Arc<TokenRequirement>>,
}

impl PassedGuards {
    /// Returns `self` inside the guards that a token has passed.
    pub(crate) fn inside(&self, outer: &Passed) -> Self {
        let outer = OuterGuards { guards: Arc::clone(&outer.guards), requirement: outer.requirement.clone() };
        Self { outer: Some(Arc::new(outer)), ..self.clone() }
    }

    /// Checks what an operation requires of a valid token.
    pub(crate) fn check(
        &self,
        requirement: &TokenRequirement,
        claims: &ClaimsSet,
    ) -> Result<(), ValidationError> {
        check_scopes(requirement, claims, &self.settings.hierarchy).map_err(|error| match error {
            ValidationError::InsufficientScope { required, granted } => {
                let required =
                    self.outer_scopes().into_iter().chain([required]).reduce(ScopeRequirement::and);
                let required = required.expect("at least the requirement itself");
                ValidationError::InsufficientScope { required, granted }
            }
            error => error,
        })?;
        check_authentication(requirement, claims, &*self.settings.clock)
    }

    /// Creates a refusal with the settings of this guard, for an operation with this requirement.
    pub(crate) fn refuse(
        &self,
        error: ValidationError,
        requirement: Option<&TokenRequirement>,
        request: Option<RequestSummary>,
    ) -> Refusal {
        let named = match &error {
            ValidationError::InsufficientScope { required, .. } => required.named().to_vec(),
            // The new token must also pass the outer guards.
            ValidationError::InsufficientUserAuthentication { .. } => {
                let outer = self.outer_scopes();
                let outer = outer.iter().flat_map(ScopeRequirement::named).cloned();
                deduplicated(outer.chain(self.named(requirement)))
            }
            _ => self.named(requirement),
        };
        Refusal::new(error, &self.settings.refusals, &named, request)
    }

    /// Returns the scopes that a challenge for an operation names, unless its error is `insufficient_scope`.
    fn named(&self, requirement: Option<&TokenRequirement>) -> Vec<Scope> {
        let required = requirement.map_or(&[][..], |requirement| requirement.scopes.named());
        let named = if required.is_empty() { &*self.settings.baseline } else { required };
        deduplicated(named.iter().chain(&*self.advertised).cloned())
    }

    /// Returns the scopes that the outer guards require, the outermost first.
    fn outer_scopes(&self) -> Vec<ScopeRequirement> {
        let Some(outer) = &self.outer else { return Vec::new() };
        let mut scopes = outer.guards.outer_scopes();
        scopes.extend(outer.requirement.as_ref().map(|requirement| requirement.scopes.clone()));
        scopes
    }
}

/// The innermost guard that a token passed, and what it requires of the request.
#[derive(Clone)]
pub(crate) struct Passed {
    pub(crate) guards: Arc<PassedGuards>,
    /// `None` requires any valid token.
    pub(crate) requirement: Option<Arc<TokenRequirement>>,
    pub(crate) request: RequestSummary,
}

impl Passed {
    /// Checks an operation inside a handler. Its refusal names the scopes of the guards too.
    pub(crate) fn check(
        &self,
        requirement: &TokenRequirement,
        claims: &ClaimsSet,
    ) -> Result<(), ValidationError> {
        self.guards.inside(self).check(requirement, claims)
    }

    pub(crate) fn refuse(&self, error: ValidationError) -> Refusal {
        self.guards.refuse(error, self.requirement.as_deref(), Some(self.request.clone()))
    }

    /// Refuses an operation inside a handler.
    pub(crate) fn refuse_operation(
        &self,
        error: ValidationError,
        operation: Option<&TokenRequirement>,
    ) -> Refusal {
        self.guards.inside(self).refuse(error, operation, Some(self.request.clone()))
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
        self.passed.refuse(ValidationError::NoCredentials, None, Some(self.request.clone()))
    }
}

impl fmt::Debug for PassedGuards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassedGuards").field("server", &self.server).finish_non_exhaustive()
    }
}
