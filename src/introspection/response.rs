//! Reads the introspection response (RFC 7662 section 2.2) and checks the claims of an active token.

use std::time::Duration;

use crate::{
    ClaimsSet, Issuer, UnixTime, ValidationError,
    claims::ScopeArray,
    refusal::Excerpt,
    strict_json::{self, Members},
};

/// What the claims of an active token must be.
#[derive(Clone, Debug)]
pub(super) struct IntrospectionPolicy {
    pub(super) issuer: Issuer,
    /// Every accepted spelling of our identifiers.
    pub(super) audience: Vec<Box<str>>,
    pub(super) missing_audience: MissingAudience,
    pub(super) scope_array: ScopeArray,
    pub(super) clock_skew: Duration,
}

/// Whether a response without `aud` is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MissingAudience {
    Refuse,
    Accept,
}

/// Members that are not claims of the token: one describes the response, the other is a name for display. [`ClaimsSet`]
/// leaves the identity of a client out by itself.
const NOT_CLAIMS: [&str; 2] = ["active", "username"];

/// Reads a response. `None` means that the token is not active, whatever else the response says about it.
pub(super) fn parse(body: &[u8], scope_array: ScopeArray) -> Result<Option<ClaimsSet>, String> {
    let members = Members::parse(body)
        .map_err(|_| "not an acceptable JSON object, or a member appears twice".to_owned())?;
    match members.find("active") {
        Some("true") => {}
        Some("false") => return Ok(None),
        Some(_) => return Err("active is not a boolean".to_owned()),
        None => return Err("active missing".to_owned()),
    }
    // Some servers write all members of RFC 7662 section 2.2, with `null` for those that are absent. A `cnf` of `null` is not
    // treated as absent: the server meant to bind the token.
    let claims = ClaimsSet::from_members(&members.without_nulls_but("cnf"), scope_array, &NOT_CLAIMS);
    claims.map(Some).map_err(|error| error.to_string())
}

impl IntrospectionPolicy {
    /// Checks what the server may not have checked. Returns the first moment at which the token is refused.
    pub(super) fn check(
        &self,
        claims: &ClaimsSet,
        now: UnixTime,
    ) -> Result<Option<UnixTime>, ValidationError> {
        self.check_issuer(claims)?;
        check_kind(claims)?;
        let expired_from = self.check_expiry(claims, now)?;
        self.check_not_before(claims, now)?;
        self.check_audience(claims)?;
        Ok(expired_from)
    }

    fn check_issuer(&self, claims: &ClaimsSet) -> Result<(), ValidationError> {
        match claims.issuer() {
            Some(found) if found != self.issuer.as_str() => Err(ValidationError::IssuerMismatch {
                expected: self.issuer.as_str().into(),
                found: Excerpt::new(found),
            }),
            // Optional in RFC 7662 section 2.2, and this server was asked.
            Some(_) | None => Ok(()),
        }
    }

    fn check_expiry(&self, claims: &ClaimsSet, now: UnixTime) -> Result<Option<UnixTime>, ValidationError> {
        let Some(exp) = claims.expires_at() else {
            return Ok(None);
        };
        let expired_from = exp.saturating_add(self.clock_skew);
        if now >= expired_from {
            return Err(ValidationError::Expired { exp, now, clock_skew: self.clock_skew });
        }
        Ok(Some(expired_from))
    }

    fn check_not_before(&self, claims: &ClaimsSet, now: UnixTime) -> Result<(), ValidationError> {
        let clock_skew = self.clock_skew;
        match claims.not_before() {
            Some(from) if now < from.saturating_sub(clock_skew) => {
                Err(ValidationError::NotYetValid { claim: "nbf", from, now, clock_skew })
            }
            Some(_) | None => Ok(()),
        }
    }

    // RFC 9700 section 2.3: the resource server checks the audience of every token. RFC 7662 section 4 lets the
    // authorization server do it, but a response without `aud` does not show whether it did.
    fn check_audience(&self, claims: &ClaimsSet) -> Result<(), ValidationError> {
        let mut audience = claims.audience().peekable();
        if audience.peek().is_none() {
            return match self.missing_audience {
                MissingAudience::Accept => Ok(()),
                MissingAudience::Refuse => Err(self.audience_mismatch(claims)),
            };
        }
        if audience.any(|found| self.audience.iter().any(|accepted| **accepted == *found)) {
            return Ok(());
        }
        Err(self.audience_mismatch(claims))
    }

    fn audience_mismatch(&self, claims: &ClaimsSet) -> ValidationError {
        ValidationError::AudienceMismatch {
            expected: self.audience.clone(),
            found: claims.audience().count(),
        }
    }
}

/// Refuses a response that says it is about another kind of token: endpoints answer for refresh and ID tokens too. A
/// `token_type` that names a scheme must name the one that was used. Other values are ignored.
fn check_kind(claims: &ClaimsSet) -> Result<(), ValidationError> {
    let says = |name: &str, others: &[&str]| {
        let value = claims.raw_claim(name);
        let value = value.as_deref().and_then(strict_json::string);
        value.is_some_and(|value| others.iter().any(|other| value.eq_ignore_ascii_case(other)))
    };
    let refresh_or_id = ["refresh_token", "refresh", "id_token", "id", "offline"];
    if ["token_type", "token_use", "typ"].into_iter().any(|name| says(name, &refresh_or_id)) {
        return Err(ValidationError::NotAnAccessToken {
            expected: "an access token, not a refresh or ID token".into(),
        });
    }
    if says("token_type", &["DPoP"]) {
        return Err(ValidationError::SenderConstraintNotProved);
    }
    Ok(())
}
