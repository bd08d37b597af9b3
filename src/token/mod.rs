//! A valid token: [`ValidatedToken`], in the extensions of each request that passed a layer.
//!
//! ```
//! use tower_bearer::{ClaimsSet, ValidatedToken};
//!
//! // Handlers get one from the layer. A test of a handler can make one.
//! let token = ValidatedToken::from_trusted_claims(ClaimsSet::new().with_subject("alice").with_scopes("orders:read"));
//!
//! assert_eq!(token.subject(), Some("alice"));
//! assert_eq!(token.scopes().to_string(), "orders:read");
//! ```

mod key_validity;
mod passed_guards;
mod verdict;

use std::{fmt, ops, sync::Arc, time::Duration};

#[cfg(feature = "axum")]
pub(crate) use self::passed_guards::AnonymousRequest;
pub(crate) use self::{
    key_validity::{KeyValidity, RefreshHook},
    passed_guards::{PassedGuards, ServerId},
    verdict::{Reuse, ReuseSource, Verdict},
};
use crate::{
    ClaimsSet, Refusal, ScopeHierarchy, ScopeRequirement, UnixTime, ValidationError, refusal::RequestSummary,
    requirement::ScopeCheck,
};

/// A token that a validator found valid, with its claims. Cheap to clone.
///
/// The layer puts it into the extensions of the request; with the feature `axum` it is also an extractor. It dereferences
/// to its [`ClaimsSet`]. It does not hold the token itself.
///
/// There are two ways to get one: from a validator, or from [`from_trusted_claims`](Self::from_trusted_claims). Search your
/// code for the latter to find everything else that can declare a token valid.
#[derive(Clone)]
pub struct ValidatedToken {
    verdict: Arc<Verdict>,
    passed: Option<Arc<PassedGuards>>,
    /// What a refusal must know of the request. `None` if the token passed no layer.
    request: Option<RequestSummary>,
}

impl ValidatedToken {
    /// Makes a token from claims that you trust: for a [`TokenValidator`](crate::TokenValidator) of your own, and for tests
    /// of handlers.
    ///
    /// The layer still refuses the token if `exp` has passed (without clock skew), if it is bound to a key (`cnf`), or if
    /// its scopes are not sufficient. A token without `exp` does not expire.
    ///
    /// The verdict is used for one request, unless you call [`reusable_for`](Self::reusable_for).
    ///
    /// # Security
    /// Nothing else is checked. Your validator must compare the issuer and the audience and check `nbf`.
    pub fn from_trusted_claims(claims: ClaimsSet) -> Self {
        let expired_from = claims.expires_at();
        Self::new(Verdict {
            claims,
            expired_from,
            reuse: Reuse::Never,
            reuse_source: ReuseSource::Validator,
            key: None,
        })
    }

    /// Allows the layer to reuse this verdict for later requests with the same token, for this long but never past `exp`.
    /// Zero means that the validator is called for every request.
    ///
    /// Default for a validator of your own: zero, even if the token comes from a validator of this crate. So a validator
    /// that wraps one of ours and adds a check of its own is called for every request. Validators of this crate set a
    /// time of their own: a JWT is reused until `exp`, an introspected token for the time to live of the
    /// [`IntrospectionValidator`](crate::introspection::IntrospectionValidator).
    ///
    /// The time stays with the token. If your validator wraps another one that calls this method, call it again.
    ///
    /// # Security
    /// During this time a token that was revoked, or that an added check would refuse, is still accepted.
    #[must_use]
    pub fn reusable_for(self, span: Duration) -> Self {
        let reuse = if span.is_zero() { Reuse::Never } else { Reuse::For(span) };
        self.with_reuse(reuse, ReuseSource::CustomValidator)
    }

    /// Allows the layer to reuse this verdict for as long as the validator that made it allows, in a validator of your own
    /// that wraps it. Call this only if your validator adds no check, for example if it only counts calls.
    ///
    /// # Security
    /// Your validator is then not called again for this token, in the case of a JWT until `exp`.
    #[must_use]
    pub fn keep_reuse(self) -> Self {
        let reuse = self.verdict.reuse;
        self.with_reuse(reuse, ReuseSource::CustomValidator)
    }

    /// Drops a reuse time that this validator did not allow itself with [`reusable_for`](Self::reusable_for) or
    /// [`keep_reuse`](Self::keep_reuse).
    pub(crate) fn without_inherited_reuse(self) -> Self {
        match (self.verdict.reuse, self.verdict.reuse_source) {
            (Reuse::Never, _) | (_, ReuseSource::CustomValidator) => self,
            (_, ReuseSource::Validator) => self.with_reuse(Reuse::Never, ReuseSource::Validator),
        }
    }

    fn with_reuse(mut self, reuse: Reuse, reuse_source: ReuseSource) -> Self {
        let verdict = Arc::make_mut(&mut self.verdict);
        verdict.reuse = reuse;
        verdict.reuse_source = reuse_source;
        self
    }

    fn new(verdict: Verdict) -> Self {
        Self { verdict: Arc::new(verdict), passed: None, request: None }
    }

    /// Makes a token from the claims of a JWT that passed every check. Its verdict is reused until `exp`, or until its key
    /// is withdrawn.
    pub(crate) fn verified(claims: ClaimsSet, expired_from: UnixTime, key: KeyValidity) -> Self {
        Self::new(Verdict {
            claims,
            expired_from: Some(expired_from),
            reuse: Reuse::UntilExpiry,
            reuse_source: ReuseSource::Validator,
            key: Some(key),
        })
    }

    /// Makes a token from the answer of an authorization server that calls it active.
    pub(crate) fn introspected(claims: ClaimsSet, expired_from: Option<UnixTime>, reuse: Reuse) -> Self {
        Self::new(Verdict { claims, expired_from, reuse, reuse_source: ReuseSource::Validator, key: None })
    }

    pub(crate) fn from_verdict(verdict: Arc<Verdict>) -> Self {
        Self { verdict, passed: None, request: None }
    }

    pub(crate) fn verdict(&self) -> &Arc<Verdict> {
        &self.verdict
    }

    /// Records the guard that the token passed.
    pub(crate) fn having_passed(self, passed: Arc<PassedGuards>, request: RequestSummary) -> Self {
        Self { passed: Some(passed), request: Some(request), ..self }
    }

    pub(crate) fn passed(&self) -> Option<&Arc<PassedGuards>> {
        self.passed.as_ref()
    }

    /// Tells whether the token has these scopes, for a decision inside a handler. To refuse the request without them, use
    /// [`require`](Self::require).
    ///
    /// The [hierarchy](crate::ScopeHierarchy) is that of the resource server whose layer the token passed last. A token
    /// that passed no layer has none: each scope must be listed.
    pub fn allows(&self, scopes: impl Into<ScopeRequirement>) -> bool {
        self.check(scopes.into()).is_met_by(self.scopes())
    }

    /// Requires scopes for an operation that only the handler can tell apart.
    ///
    /// Prefer a layer on the route where possible: clients without a token then learn all scopes from the 401. The
    /// hierarchy counts, as for [`allows`](Self::allows). Only scopes are checked: the layer has checked the rest.
    ///
    /// ```
    /// use tower_bearer::{ClaimsSet, Refusal, Rejection, Scope, ValidatedToken};
    ///
    /// const WRITE: Scope = Scope::from_static("orders:write");
    ///
    /// fn import(token: &ValidatedToken, overwrite: bool) -> Result<(), Refusal> {
    ///     if overwrite {
    ///         token.require(WRITE)?;
    ///     }
    ///     Ok(())
    /// }
    ///
    /// let token = ValidatedToken::from_trusted_claims(ClaimsSet::new().with_scopes("orders:read"));
    /// assert!(import(&token, false).is_ok());
    /// let refusal = import(&token, true).unwrap_err();
    /// assert_eq!(refusal.rejection(), Rejection::InsufficientScope);
    /// assert_eq!(refusal.scopes(), [WRITE]);
    /// ```
    ///
    /// # Errors
    /// The 403 that the layer would answer. Its challenge names the scopes of all layers that the token passed, and then
    /// these. Without a layer it names these only, and the metadata address is missing.
    pub fn require(&self, scopes: impl Into<ScopeRequirement>) -> Result<(), Refusal> {
        let check = self.check(scopes.into());
        if check.is_met_by(self.scopes()) {
            return Ok(());
        }
        let required = match &self.passed {
            Some(passed) => passed.requirement().and(check.requirement),
            None => check.requirement,
        };
        Err(self.refuse(ValidationError::InsufficientScope { required, granted: self.scopes().clone() }))
    }

    /// Refuses the request as the layer does that the token passed last.
    pub(crate) fn refuse(&self, error: ValidationError) -> Refusal {
        match &self.passed {
            Some(passed) => passed.refuse(error, self.request.clone()),
            None => Refusal::without_layer(error, self.request.clone()),
        }
    }

    fn check(&self, requirement: ScopeRequirement) -> ScopeCheck {
        let none = ScopeHierarchy::default();
        let hierarchy = self.passed.as_ref().map_or(&none, |passed| &passed.hierarchy);
        ScopeCheck::new(requirement, hierarchy)
    }

    /// Returns the claims. The token also dereferences to them.
    pub fn claims(&self) -> &ClaimsSet {
        &self.verdict.claims
    }
}

impl ops::Deref for ValidatedToken {
    type Target = ClaimsSet;

    fn deref(&self) -> &ClaimsSet {
        self.claims()
    }
}

impl fmt::Debug for ValidatedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ValidatedToken").field(self.claims()).finish()
    }
}
