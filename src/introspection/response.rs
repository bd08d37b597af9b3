//! Parses the introspection response (RFC 7662 section 2.2) and checks the claims of an active token.

use crate::{
    ClaimRule, ClaimsSet, UnixTime, ValidationError,
    claims::{ClaimRules, ScopeSources},
    strict_json::{self, Members},
};

/// The values that the claims of an active token must have.
#[derive(Clone, Debug)]
pub(super) struct IntrospectionPolicy {
    /// Issuer, audience, `exp` and `nbf`.
    pub(super) rules: ClaimRules,
    pub(super) scope_sources: ScopeSources,
    pub(super) claim_rules: Vec<ClaimRule>,
}

/// Members that are not used as claims: one describes the response, the other is a display name. [`ClaimsSet`] itself
/// drops members that identify the client.
const NOT_CLAIMS: [&str; 2] = ["active", "username"];

/// Parses a response. Returns `None` if the token is not active; other members are ignored then.
pub(super) fn parse(body: &[u8], scope_sources: &ScopeSources) -> Result<Option<ClaimsSet>, String> {
    let members = Members::parse(body)
        .map_err(|_| "not an acceptable JSON object, or has a duplicate member".to_owned())?;
    match members.find("active") {
        Some("true") => {}
        Some("false") => return Ok(None),
        Some(_) => return Err("active is not a boolean".to_owned()),
        None => return Err("missing active".to_owned()),
    }
    // Some servers write all members of RFC 7662 section 2.2, with `null` for absent ones. A `cnf` of `null` does not
    // count as absent, because the server may have meant to bind the token to a key.
    let claims = ClaimsSet::from_members(&members.without_nulls_but("cnf"), scope_sources, &NOT_CLAIMS);
    claims.map(Some).map_err(|error| error.to_string())
}

impl IntrospectionPolicy {
    /// Checks the claims, in case the server did not. Returns the time from which the token is refused, if there is
    /// one.
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
        self.claim_rules.iter().try_for_each(|rule| rule.check(claims))?;
        Ok(expired_from)
    }
}

/// Refuses a response about another kind of token, because endpoints also accept refresh and ID tokens. A `token_type`
/// of `DPoP` is refused too, because the token was sent as a bearer token. Other values are ignored.
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
