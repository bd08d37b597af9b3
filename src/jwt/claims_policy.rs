//! The rules for the claims of a verified token, one function each, in a fixed order.

use std::time::Duration;

use super::{AccessTokenRule, SignedPayload};
use crate::{
    ClaimsSet, Issuer, UnixTime, ValidatedToken, ValidationError, claims::ScopeArray, refusal::Excerpt,
};

/// What the claims of an access token must be.
#[derive(Clone, Debug)]
pub(super) struct ClaimsPolicy {
    pub(super) issuer: Issuer,
    /// Every accepted spelling of our identifiers.
    pub(super) audience: Vec<Box<str>>,
    pub(super) clock_skew: Duration,
    pub(super) max_age: Option<Duration>,
    /// How to tell an access token in the relaxed profile; `None` in the profile of RFC 9068.
    pub(super) rule: Option<AccessTokenRule>,
}

impl ClaimsPolicy {
    pub(super) fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    // RFC 9068 section 4; the signature and `typ` have been checked.
    pub(super) fn check(
        &self,
        payload: &SignedPayload<'_>,
        now: UnixTime,
    ) -> Result<ValidatedToken, ValidationError> {
        let claims = ClaimsSet::from_members(payload.members(), ScopeArray::Refuse, &[])?;
        self.check_issuer(&claims)?;
        self.check_token_type(&claims)?;
        let expired_from = self.check_expiry(&claims, now)?;
        self.check_not_before(&claims, now)?;
        let too_old_from = self.check_issued_at(&claims, now)?;
        self.check_audience(&claims)?;
        let expired_from = too_old_from.map_or(expired_from, |too_old_from| expired_from.min(too_old_from));
        Ok(ValidatedToken::verified(claims, expired_from, payload.validity()))
    }

    // RFC 9068 section 4: "iss" must exactly match the issuer identifier.
    fn check_issuer(&self, claims: &ClaimsSet) -> Result<(), ValidationError> {
        let found = claims.issuer().ok_or(ValidationError::MissingClaim("iss"))?;
        if found != self.issuer.as_str() {
            return Err(ValidationError::IssuerMismatch {
                expected: self.issuer.as_str().into(),
                found: Excerpt::new(found),
            });
        }
        Ok(())
    }

    // RFC 9068 section 2.2 requires these three of the server; a token without them is of another profile.
    fn check_token_type(&self, claims: &ClaimsSet) -> Result<(), ValidationError> {
        let Some(rule) = &self.rule else {
            claims.subject().ok_or(ValidationError::MissingClaim("sub"))?;
            claims.issued_at().ok_or(ValidationError::MissingClaim("iat"))?;
            claims.token_id().ok_or(ValidationError::MissingClaim("jti"))?;
            return Ok(());
        };
        rule.check(claims)
    }

    // RFC 7519 section 4.1.4: not accepted on or after "exp". Returns the first moment at which it is refused.
    fn check_expiry(&self, claims: &ClaimsSet, now: UnixTime) -> Result<UnixTime, ValidationError> {
        let exp = claims.expires_at().ok_or(ValidationError::MissingClaim("exp"))?;
        let expired_from = exp.saturating_add(self.clock_skew);
        if now >= expired_from {
            return Err(ValidationError::Expired { exp, now, clock_skew: self.clock_skew });
        }
        Ok(expired_from)
    }

    // RFC 7519 section 4.1.5: not accepted before "nbf", where there is one.
    fn check_not_before(&self, claims: &ClaimsSet, now: UnixTime) -> Result<(), ValidationError> {
        match claims.not_before() {
            Some(nbf) => self.check_not_in_the_future("nbf", nbf, now),
            None => Ok(()),
        }
    }

    // A token from the future has another clock behind it. Returns the first moment at which it is too old.
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
        self.check_not_in_the_future("iat", iat, now)?;
        let Some(max_age) = self.max_age else {
            return Ok(None);
        };
        let too_old_from = iat.saturating_add(max_age).saturating_add(self.clock_skew);
        if now >= too_old_from {
            return Err(ValidationError::TooOld { iat, now, max_age });
        }
        Ok(Some(too_old_from))
    }

    fn check_not_in_the_future(
        &self,
        claim: &'static str,
        from: UnixTime,
        now: UnixTime,
    ) -> Result<(), ValidationError> {
        if now < from.saturating_sub(self.clock_skew) {
            return Err(ValidationError::NotYetValid { claim, from, now, clock_skew: self.clock_skew });
        }
        Ok(())
    }

    // RFC 9068 section 4: "aud" must contain an identifier that this resource server expects for itself.
    fn check_audience(&self, claims: &ClaimsSet) -> Result<(), ValidationError> {
        if claims.audience().any(|found| self.audience.iter().any(|accepted| **accepted == *found)) {
            return Ok(());
        }
        Err(ValidationError::AudienceMismatch {
            expected: self.audience.clone(),
            found: claims.audience().count(),
        })
    }
}
