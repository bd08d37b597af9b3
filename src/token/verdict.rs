//! The result of validating a token: [`Verdict`].

use std::{sync::Arc, time::Duration};

use super::{KeyValidity, TenantValidity};
use crate::{ClaimsSet, UnixTime};

/// A positive verdict, shared by all requests with the token.
#[derive(Clone)]
pub(crate) struct Verdict {
    pub(super) claims: ClaimsSet,
    /// The time from which the token is refused: `exp` plus the clock skew of the validator that checked it.
    pub(super) expired_from: Option<UnixTime>,
    pub(super) reuse: Reuse,
    pub(super) reuse_source: ReuseSource,
    pub(super) key: Option<KeyValidity>,
    pub(super) tenant: Option<Arc<dyn TenantValidity>>,
}

/// How long a verdict may be reused for requests with the same token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    Never,
    UntilExpiry,
    For(Duration),
}

/// What determined how long a verdict may be reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReuseSource {
    /// The validator that accepted the token.
    Validator,
    /// A custom validator, with `reusable_for` or `keep_reuse`.
    CustomValidator,
}

impl Verdict {
    pub(crate) fn claims(&self) -> &ClaimsSet {
        &self.claims
    }

    pub(crate) fn expired_from(&self) -> Option<UnixTime> {
        self.expired_from
    }

    pub(crate) fn reuse(&self) -> Reuse {
        self.reuse
    }

    /// Returns whether the key that verified the token is still published, and its tenant still known. Starts refreshes
    /// of both that are due.
    pub(crate) fn is_in_force(&self) -> bool {
        if let Some(tenant) = &self.tenant {
            tenant.refresh_if_due();
        }
        self.has_valid_tenant() && self.key.as_ref().is_none_or(KeyValidity::is_valid)
    }

    /// Returns whether the tenant of the token was removed or changed. False if it has none.
    pub(crate) fn has_withdrawn_tenant(&self) -> bool {
        self.tenant.as_ref().is_some_and(|tenant| tenant.is_withdrawn())
    }

    /// Returns whether the tenant of the token is still known. True if it has none.
    pub(crate) fn has_valid_tenant(&self) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| tenant.is_valid())
    }
}
