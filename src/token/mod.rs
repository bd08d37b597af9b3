//! A token that was found good: [`ValidatedToken`], in the extensions of each request that passed.
//!
//! ```
//! use tower_bearer::{ClaimsSet, ValidatedToken};
//!
//! // What a handler gets; a test of a handler may make one itself.
//! let token = ValidatedToken::from_trusted_claims(ClaimsSet::new().with_subject("alice").with_scopes("orders:read"));
//!
//! assert_eq!(token.subject(), Some("alice"));
//! assert_eq!(token.scopes().to_string(), "orders:read");
//! ```

mod key_validity;
mod passed_guards;
mod verdict;

use std::{fmt, ops, sync::Arc, time::Duration};

pub(crate) use self::{
    key_validity::{KeyValidity, RefreshHook},
    passed_guards::{PassedGuards, ServerId},
    verdict::{Reuse, Verdict},
};
use crate::{ClaimsSet, ScopeHierarchy, ScopeRequirement, UnixTime, requirement::ScopeCheck};

/// A token that a validator found good, with its claims. Free to clone.
///
/// It stands in the extensions of the request; with the feature `axum` it is an extractor too. Dereferences to its
/// [`ClaimsSet`]. There are two ways to get one: through a validator of this crate, or through
/// [`from_trusted_claims`](Self::from_trusted_claims), the one word to search for when you want to know who else vouches for tokens.
#[derive(Clone)]
pub struct ValidatedToken {
    verdict: Arc<Verdict>,
    passed: Option<Arc<PassedGuards>>,
}

impl ValidatedToken {
    /// Vouches for a token that a validator of your own found good.
    ///
    /// The layer still refuses it when its `exp` has passed, when it is bound to a key that nobody checks (`cnf`), and
    /// when its scopes do not suffice. Nothing else is checked: **issuer and audience are yours to compare.** The
    /// verdict serves this one request unless you say [`reusable_for`](Self::reusable_for).
    pub fn from_trusted_claims(claims: ClaimsSet) -> Self {
        let expired_from = claims.expires_at();
        Self::new(Verdict { claims, expired_from, reuse: Reuse::Never, key: None })
    }

    /// Lets the verdict serve later requests with the same token for this long, `exp` at most; a token withdrawn in the
    /// meantime stays good until then. Default: each request asks anew.
    ///
    /// A token that a validator of this crate found good brings a time of its own along: a JWT until `exp`. A validator
    /// of yours that asks another one and checks something more, such as a list of withdrawn tokens, says
    /// `reusable_for(Duration::ZERO)` to be asked each time.
    #[must_use]
    pub fn reusable_for(self, span: Duration) -> Self {
        let reuse = if span.is_zero() { Reuse::Never } else { Reuse::For(span) };
        Self::new(Verdict { reuse, ..Verdict::clone(&self.verdict) })
    }

    fn new(verdict: Verdict) -> Self {
        Self { verdict: Arc::new(verdict), passed: None }
    }

    /// Vouches for a JWT whose every rule was checked: good until `exp`, or until its key is withdrawn.
    pub(crate) fn verified(claims: ClaimsSet, expired_from: UnixTime, key: KeyValidity) -> Self {
        Self::new(Verdict {
            claims,
            expired_from: Some(expired_from),
            reuse: Reuse::UntilExpiry,
            key: Some(key),
        })
    }

    /// Vouches for what the authorization server called active.
    pub(crate) fn introspected(claims: ClaimsSet, expired_from: Option<UnixTime>, reuse: Reuse) -> Self {
        Self::new(Verdict { claims, expired_from, reuse, key: None })
    }

    pub(crate) fn from_verdict(verdict: Arc<Verdict>) -> Self {
        Self { verdict, passed: None }
    }

    pub(crate) fn verdict(&self) -> &Arc<Verdict> {
        &self.verdict
    }

    /// Remembers the guard that let the request pass.
    pub(crate) fn having_passed(self, passed: Arc<PassedGuards>) -> Self {
        Self { passed: Some(passed), ..self }
    }

    pub(crate) fn passed(&self) -> Option<&Arc<PassedGuards>> {
        self.passed.as_ref()
    }

    /// Tells whether the token has these scopes, for what a handler decides by itself: with the
    /// [hierarchy](crate::ScopeHierarchy) of the resource server whose layer it passed, if it passed one.
    ///
    /// A guard on the route is better where there can be one: its refusal tells the caller which scopes to ask for.
    pub fn allows(&self, scopes: impl Into<ScopeRequirement>) -> bool {
        let none = ScopeHierarchy::default();
        let hierarchy = self.passed.as_ref().map_or(&none, |passed| &passed.hierarchy);
        ScopeCheck::new(scopes.into(), hierarchy).is_met_by(self.scopes())
    }

    /// Returns the claims; the token dereferences to them as well.
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
