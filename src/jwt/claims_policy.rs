//! Checks the claims of a verified token, in a fixed order.

use std::time::Duration;

use super::{AccessTokenRule, SignedPayload};
use crate::{
    ClaimRule, ClaimsSet, UnixTime, ValidatedToken, ValidationError,
    claims::{ClaimRules, ScopeSources},
};

/// The values that the claims of an access token must have.
#[derive(Clone, Debug)]
pub(super) struct ClaimsPolicy {
    /// Issuer, audience, `exp` and `nbf`.
    pub(super) rules: ClaimRules,
    pub(super) scope_sources: ScopeSources,
    pub(super) claim_rules: Vec<ClaimRule>,
    pub(super) max_age: Option<Duration>,
    /// How to recognize access tokens if `typ` may be `JWT`. `None` in the profile of RFC 9068.
    pub(super) rule: Option<AccessTokenRule>,
}

impl ClaimsPolicy {
    /// Checks the claims after the signature and `typ` (RFC 9068 section 4).
    pub(super) fn check(
        &self,
        payload: &SignedPayload<'_>,
        now: UnixTime,
    ) -> Result<ValidatedToken, ValidationError> {
        let claims = ClaimsSet::from_members(payload.members(), &self.scope_sources, &[])?;
        self.rules.check_issuer(&claims)?;
        self.check_token_type(&claims)?;
        let expired_from = self.rules.check_expiry(&claims, now)?;
        // Cannot fail: the rules refuse a token without `exp`.
        let expired_from = expired_from.ok_or(ValidationError::MissingClaim("exp"))?;
        self.rules.check_not_before(&claims, now)?;
        let too_old_from = self.check_issued_at(&claims, now)?;
        self.rules.check_audience(&claims)?;
        self.claim_rules.iter().try_for_each(|rule| rule.check(&claims))?;
        let refused_from = too_old_from.map_or(expired_from, |too_old_from| expired_from.min(too_old_from));
        Ok(ValidatedToken::verified(claims, refused_from, payload.validity()))
    }

    // RFC 9068 section 2.2 requires these three claims. A token without them follows another profile.
    fn check_token_type(&self, claims: &ClaimsSet) -> Result<(), ValidationError> {
        let Some(rule) = &self.rule else {
            claims.subject().ok_or(ValidationError::MissingClaim("sub"))?;
            claims.issued_at().ok_or(ValidationError::MissingClaim("iat"))?;
            claims.token_id().ok_or(ValidationError::MissingClaim("jti"))?;
            return Ok(());
        };
        rule.check(claims)
    }

    /// Checks `iat` against the clock and the maximum age. Returns the time from which the token is too old, if there
    /// is a maximum age.
    // If a token was issued in the future, one of the two clocks is wrong.
    fn check_issued_at(
        &self,
        claims: &ClaimsSet,
        now: UnixTime,
    ) -> Result<Option<UnixTime>, ValidationError> {
        let Some(iat) = claims.issued_at() else {
            return match self.max_age {
                Some(_) => Err(ValidationError::MissingClaim("iat")),
                None => Ok(None),
            };
        };
        self.rules.check_not_in_the_future("iat", iat, now)?;
        let Some(max_age) = self.max_age else {
            return Ok(None);
        };
        let too_old_from = iat.saturating_add(max_age).saturating_add(self.rules.clock_skew);
        if now >= too_old_from {
            return Err(ValidationError::TooOld { iat, now, max_age });
        }
        Ok(Some(too_old_from))
    }
}
