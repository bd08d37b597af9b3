//! A validated token: [`ValidatedToken`], in the extensions of each request that passed a layer.
//!
//! ```
//! use tower_bearer::{ClaimsSet, ValidatedToken};
//!
//! // Handlers get one from the layer. A test of a handler can create one.
//! let token = ValidatedToken::from_trusted_claims(ClaimsSet::new().with_subject("alice").with_scopes("orders:read"));
//!
//! assert_eq!(token.subject(), Some("alice"));
//! assert_eq!(token.scopes().to_string(), "orders:read");
//! ```

mod key_validity;
mod passed_guards;
mod pseudonym;
mod requirement_check;
mod tenant_validity;
mod verdict;

use std::{fmt, ops, sync::Arc, time::Duration};

use self::requirement_check::{check_authentication, check_scopes};
pub(crate) use self::{
    key_validity::{KeyValidity, RefreshHook},
    passed_guards::{AnonymousRequest, GuardSettings, Passed, PassedGuards, ServerId},
    pseudonym::{PSEUDONYM_FIELD, PseudonymKey},
    tenant_validity::TenantValidity,
    verdict::{Reuse, ReuseSource, Verdict},
};
use crate::{
    ClaimsSet, Refusal, Requirement, ScopeHierarchy, ScopeRequirement, SystemClock, UnixTime,
    ValidationError, requirement::RequirementKind,
};

/// A token that a validator accepted, with its claims. Cheap to clone.
///
/// The layer adds it to the extensions of the request. With the feature `axum`, it is also an extractor. It
/// dereferences to its [`ClaimsSet`]. It does not contain the token itself.
///
/// Only validators and [`from_trusted_claims`](Self::from_trusted_claims) create one. To audit your code, search it for
/// the latter.
#[derive(Clone)]
pub struct ValidatedToken {
    verdict: Arc<Verdict>,
    /// `None` if the token passed no layer.
    passed: Option<Passed>,
}

impl ValidatedToken {
    /// Creates a token from trusted claims.
    ///
    /// Use it in a custom [`TokenValidator`](crate::TokenValidator), and in tests of handlers.
    ///
    /// The layer still refuses the token if `exp` has passed (without clock skew), if it is bound to a key (`cnf`), or if
    /// its scopes are not sufficient. A token without `exp` does not expire.
    ///
    /// The verdict is not cached, unless you call [`reusable_for`](Self::reusable_for).
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
            tenant: None,
        })
    }

    /// Returns the token that a layer put into the extensions of a request. For handlers without an extractor, such as those of
    /// tonic and hyper.
    ///
    /// ```
    /// use tower_bearer::{Refusal, ValidatedToken};
    ///
    /// fn subject<B>(request: &http::Request<B>) -> Result<Option<&str>, Refusal> {
    ///     Ok(ValidatedToken::from_extensions(request.extensions())?.subject())
    /// }
    /// # let _ = subject::<()>;
    /// ```
    ///
    /// # Errors
    /// If the request is anonymous, the 401 of its layer. If there is no layer in front of the handler, a 500.
    pub fn from_extensions(extensions: &http::Extensions) -> Result<&Self, Refusal> {
        if let Some(token) = extensions.get::<Self>() {
            return Ok(token);
        }
        Err(match extensions.get::<AnonymousRequest>() {
            Some(anonymous) => anonymous.refuse(),
            None => Refusal::without_layer(ValidationError::NoLayer, None),
        })
    }

    /// Allows the layer to cache this verdict for `span`, but never after `exp`.
    ///
    /// With zero, the validator is called for every request.
    ///
    /// Default for a custom validator: zero, even if it wraps a validator of this crate, so that its additional checks
    /// run for every request. Validators of this crate set their own time: `exp` for a JWT, and for an introspected
    /// token the time to live of the [`IntrospectionValidator`](crate::introspection::IntrospectionValidator).
    ///
    /// If your validator wraps another custom validator that calls this method, call it again.
    ///
    /// # Security
    /// During this time, the token is accepted even if it is revoked or an additional check would refuse it.
    #[must_use]
    pub fn reusable_for(self, span: Duration) -> Self {
        let reuse = if span.is_zero() { Reuse::Never } else { Reuse::For(span) };
        self.with_reuse(reuse, ReuseSource::CustomValidator)
    }

    /// Allows the layer to cache this verdict for as long as the wrapped validator allows.
    ///
    /// For a custom validator that wraps another one. Call this only if your validator adds no check, for example if it
    /// only counts calls.
    ///
    /// # Security
    /// Your validator is then not called again for this token while the verdict is cached. For a JWT, that is until
    /// `exp`.
    #[must_use]
    pub fn keep_reuse(self) -> Self {
        let reuse = self.verdict.reuse;
        self.with_reuse(reuse, ReuseSource::CustomValidator)
    }

    /// Drops a reuse time that was not set with [`reusable_for`](Self::reusable_for) or
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
        Self { verdict: Arc::new(verdict), passed: None }
    }

    /// Creates a token from the claims of a JWT that passed every check. Its verdict may be cached until `exp`, or
    /// until its key is withdrawn.
    pub(crate) fn verified(claims: ClaimsSet, expired_from: UnixTime, key: KeyValidity) -> Self {
        Self::new(Verdict {
            claims,
            expired_from: Some(expired_from),
            reuse: Reuse::UntilExpiry,
            reuse_source: ReuseSource::Validator,
            key: Some(key),
            tenant: None,
        })
    }

    /// Creates a token from an introspection response with `active: true`.
    pub(crate) fn introspected(claims: ClaimsSet, expired_from: Option<UnixTime>, reuse: Reuse) -> Self {
        Self::new(Verdict {
            claims,
            expired_from,
            reuse,
            reuse_source: ReuseSource::Validator,
            key: None,
            tenant: None,
        })
    }

    /// Ends the verdict when the tenant is removed or changes.
    pub(crate) fn of_tenant(mut self, tenant: Arc<dyn TenantValidity>) -> Self {
        let verdict = Arc::make_mut(&mut self.verdict);
        verdict.tenant = Some(match verdict.tenant.take() {
            Some(inner) => Arc::new(tenant_validity::Both(inner, tenant)),
            None => tenant,
        });
        self
    }

    pub(crate) fn from_verdict(verdict: Arc<Verdict>) -> Self {
        Self { verdict, passed: None }
    }

    pub(crate) fn verdict(&self) -> &Arc<Verdict> {
        &self.verdict
    }

    /// Records the guard that the token passed.
    pub(crate) fn having_passed(self, passed: Passed) -> Self {
        Self { passed: Some(passed), ..self }
    }

    pub(crate) fn passed(&self) -> Option<&Passed> {
        self.passed.as_ref()
    }

    /// Returns whether the token has these scopes, for a decision inside a handler.
    ///
    /// To refuse the request if it does not, use [`require`](Self::require).
    ///
    /// Uses the [hierarchy](crate::ScopeHierarchy) of the innermost layer that the token passed. Without a layer, there
    /// is no hierarchy, and each scope must be listed in the token.
    pub fn allows(&self, scopes: impl Into<ScopeRequirement>) -> bool {
        let none = ScopeHierarchy::default();
        let hierarchy = self.passed.as_ref().map_or(&none, |passed| &passed.guards.settings.hierarchy);
        scopes.into().is_met_by(self.scopes(), hierarchy)
    }

    /// Requires scopes, or another [`Requirement`], for an operation inside a handler.
    ///
    /// Prefer a layer on the route if possible: its 401 tells clients without a token all scopes they need. Uses the
    /// hierarchy like [`allows`](Self::allows). Only the requirement is checked here, because the layer has already checked the token.
    ///
    /// The metadata does not know these scopes. Publish them with [`advertise`](crate::ValidateTokenLayer::advertise) on
    /// the layer, which also names them in its 401, or with
    /// [`scopes_supported`](crate::ProtectedResourceMetadata::scopes_supported).
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
    /// If the token does not meet the requirement. The error is the refusal that the layer would send. For missing scopes, it is
    /// a 403 whose challenge names the scopes of all layers that the token passed, followed by these. Without a layer, it names
    /// only these, without the URL of the metadata. The 401 for a new authentication (RFC 9470) names the same scopes, followed
    /// by the advertised ones, and has the baseline scopes in place of these if `requirement` has none.
    pub fn require(&self, requirement: impl Into<Requirement>) -> Result<(), Refusal> {
        let requirement = requirement.into();
        let operation = match requirement.clone().into_kind() {
            RequirementKind::Token(operation) => operation,
            RequirementKind::Public | RequirementKind::Denied(_) | RequirementKind::Malformed(_) => None,
        };
        self.check(requirement).map_err(|error| match &self.passed {
            Some(passed) => passed.refuse_operation(error, operation.as_deref()),
            None => Refusal::without_layer(error, None),
        })
    }

    /// Returns whether the token meets a requirement.
    #[cfg(feature = "rmcp")]
    pub(crate) fn meets(&self, requirement: Requirement) -> bool {
        self.check(requirement).is_ok()
    }

    fn check(&self, requirement: Requirement) -> Result<(), ValidationError> {
        let requirement = match requirement.into_kind() {
            RequirementKind::Public | RequirementKind::Token(None) => return Ok(()),
            RequirementKind::Token(Some(requirement)) => requirement,
            RequirementKind::Denied(reason) => return Err(ValidationError::denied(reason)),
            RequirementKind::Malformed(reason) => return Err(ValidationError::malformed_request(reason)),
        };
        match &self.passed {
            Some(passed) => passed.check(&requirement, self),
            None => {
                check_scopes(&requirement, self, &ScopeHierarchy::default())?;
                check_authentication(&requirement, self, &SystemClock)
            }
        }
    }

    /// Refuses the request with the settings of the innermost layer that the token passed.
    pub(crate) fn refuse(&self, error: ValidationError) -> Refusal {
        match &self.passed {
            Some(passed) => passed.refuse(error),
            None => Refusal::without_layer(error, None),
        }
    }

    /// Returns a keyed hash of the subject for logs, such as `4NRJcEmlGFBRfiQwaA0yRQ`.
    ///
    /// `None` without a [`pseudonym_key`](crate::ResourceServerBuilder::pseudonym_key), for a token without subject, and for one
    /// that passed no layer.
    pub fn pseudonym(&self) -> Option<String> {
        self.passed.as_ref()?.guards.settings.pseudonyms.as_ref()?.of(self.claims())
    }

    /// Records the pseudonym in the current span, if it has the field.
    pub(crate) fn record_pseudonym(&self) {
        let has_key = self.passed.as_ref().is_some_and(|passed| passed.guards.settings.pseudonyms.is_some());
        if !has_key {
            return;
        }
        let span = tracing::Span::current();
        if span.has_field(PSEUDONYM_FIELD)
            && let Some(pseudonym) = self.pseudonym()
        {
            span.record(PSEUDONYM_FIELD, pseudonym);
        }
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
