//! Reads the introspection response (RFC 7662 section 2.2) and checks the claims of an active token.

use crate::{
    ClaimsSet, UnixTime, ValidationError,
    claims::{ClaimRules, ScopeSources},
    strict_json::{self, Members},
};

/// What the claims of an active token must be.
#[derive(Clone, Debug)]
pub(super) struct IntrospectionPolicy {
    /// Issuer, audience, `exp` and `nbf`.
    pub(super) rules: ClaimRules,
    pub(super) scope_sources: ScopeSources,
}

/// Members that are not claims of the token: one describes the response, the other is a name for display. [`ClaimsSet`]
/// leaves the identity of a client out by itself.
const NOT_CLAIMS: [&str; 2] = ["active", "username"];

/// Reads a response. `None` means that the token is not active, whatever else the response says about it.
pub(super) fn parse(body: &[u8], scope_sources: &ScopeSources) -> Result<Option<ClaimsSet>, String> {
    let members = Members::parse(body)
        .map_err(|_| "not an acceptable JSON object, or has a duplicate member".to_owned())?;
    match members.find("active") {
        Some("true") => {}
        Some("false") => return Ok(None),
        Some(_) => return Err("active is not a boolean".to_owned()),
        None => return Err("missing active".to_owned()),
    }
    // Some servers write all members of RFC 7662 section 2.2, with `null` for those that are absent. A `cnf` of `null` is not
    // treated as absent: the server meant to bind the token.
    let claims = ClaimsSet::from_members(&members.without_nulls_but("cnf"), scope_sources, &NOT_CLAIMS);
    claims.map(Some).map_err(|error| error.to_string())
}

impl IntrospectionPolicy {
    /// Checks what the server may not have checked. Returns the first moment at which the token is refused.
    pub(super) fn check(
        &self,
        claims: &ClaimsSet,
        now: UnixTime,
    ) -> Result<Option<UnixTime>, ValidationError> {
        self.rules.check_issuer(claims)?;
        check_kind(claims)?;
        let expired_from = self.rules.check_expiry(claims, now)?;
        self.rules.check_not_before(claims, now)?;
        self.rules.check_audience(claims)?;
        Ok(expired_from)
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
