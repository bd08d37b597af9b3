//! Claim rules of your own: [`ClaimRule`].

use std::{fmt, sync::Arc};

use super::{ClaimsSet, client_identity::is_client_identifier};
use crate::{Rejection, ValidationError, config_error::Problem, strict_json};

/// A rule for the claims of a token, in addition to those for issuer, times and audience.
///
/// Give it to the builder of a validator (`claim_rule`). It is checked last, when the token is validated, and not again while
/// the verdict is in the cache. For a rule that depends on the request or the time see [`RequestRule`](super::RequestRule).
///
/// A token that does not meet the rule is refused with 401 `invalid_token`, or with 403 after [`forbidden`](Self::forbidden).
/// Logs and [`ValidationError::ClaimRule`] name the rule, never what the token has instead. Callers do not see the name.
///
/// ```
/// use tower_bearer::{ClaimRule, ClaimsSet};
///
/// let tenant = ClaimRule::equals("tenant", "acme");
/// let region = ClaimRule::one_of("region", ["eu", "ch"]).forbidden();
/// let level = ClaimRule::new("level is at least 3", |claims: &ClaimsSet| {
///     matches!(claims.claim::<u8>("level"), Ok(Some(level)) if level >= 3)
/// });
/// # let _ = (tenant, region, level);
/// ```
#[derive(Clone)]
#[must_use]
pub struct ClaimRule {
    name: Arc<str>,
    rejection: Rejection,
    condition: Condition,
}

#[derive(Clone)]
enum Condition {
    /// The claim is a string, and one of these.
    OneOf(Box<str>, Box<[Box<str>]>),
    Present(Box<str>),
    Closure(Arc<dyn Fn(&ClaimsSet) -> bool + Send + Sync>),
}

impl ClaimRule {
    /// Requires a claim to be a string with this value.
    ///
    /// The comparison is exact and case-sensitive. A claim that is absent or not a string does not meet the rule, and neither
    /// does an array that contains the value.
    ///
    /// A name that identifies a client, or an empty one, fails when the validator is built.
    pub fn equals(claim: impl Into<String>, value: impl Into<String>) -> Self {
        Self::one_of(claim, [value])
    }

    /// Requires a claim to be a string with one of these values, compared as in [`equals`](Self::equals).
    ///
    /// An empty list of values fails when the validator is built.
    pub fn one_of<V: Into<String>>(claim: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        let claim: Box<str> = claim.into().into();
        let values: Box<[Box<str>]> = values.into_iter().map(|value| value.into().into()).collect();
        let name = match &*values {
            [value] => format!("claim {claim:?} equals {value:?}"),
            values => format!("claim {claim:?} is one of {values:?}"),
        };
        Self::of(name, Condition::OneOf(claim, values))
    }

    /// Requires a claim to be present, with any value except `null`.
    pub fn present(claim: impl Into<String>) -> Self {
        let claim: Box<str> = claim.into().into();
        Self::of(format!("claim {claim:?} is present"), Condition::Present(claim))
    }

    /// Requires a function to return `true`. The name is for logs and [`ValidationError::ClaimRule`].
    ///
    /// The function must not block. For a rule that needs a database, wrap the validator in a
    /// [`TokenValidator`](crate::TokenValidator) of your own. A panic is answered 500.
    pub fn new(
        name: impl Into<String>,
        condition: impl Fn(&ClaimsSet) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self::of(name.into(), Condition::Closure(Arc::new(condition)))
    }

    /// Refuses with 403 ([`Rejection::Forbidden`]), for a valid token that is not allowed here. Default: 401 `invalid_token`.
    ///
    /// The 403 has no challenge. The only one for a 403 is `insufficient_scope` (RFC 6750 section 3.1), and a client that reads
    /// it requests a token with more scopes, which would be refused again.
    pub fn forbidden(self) -> Self {
        self.refusing_with(Rejection::Forbidden)
    }

    pub(super) fn refusing_with(self, rejection: Rejection) -> Self {
        Self { rejection, ..self }
    }

    fn of(name: String, condition: Condition) -> Self {
        Self { name: name.into(), rejection: Rejection::InvalidToken, condition }
    }

    /// Returns the problem of a rule that no token can meet.
    pub(crate) fn problem(&self) -> Option<Problem> {
        let expected = match &self.condition {
            Condition::OneOf(claim, _) | Condition::Present(claim) if is_client_identifier(claim) => {
                "expected a claim that does not identify the client: those are dropped"
            }
            Condition::OneOf(claim, _) | Condition::Present(claim) if claim.is_empty() => {
                "expected the name of a claim"
            }
            Condition::OneOf(_, values) if values.is_empty() => "expected at least one value",
            _ => return None,
        };
        Some(Problem::new("claim_rule", &*self.name, expected))
    }

    /// Checks a token that meets all other rules.
    pub(crate) fn check(&self, claims: &ClaimsSet) -> Result<(), ValidationError> {
        if self.is_met_by(claims) {
            return Ok(());
        }
        Err(ValidationError::ClaimRule { rule: Arc::clone(&self.name), rejection: self.rejection })
    }

    fn is_met_by(&self, claims: &ClaimsSet) -> bool {
        match &self.condition {
            Condition::OneOf(claim, values) => {
                let found = claims.raw_claim(claim);
                let found = found.as_deref().and_then(strict_json::string);
                found.is_some_and(|found| values.iter().any(|value| **value == *found))
            }
            Condition::Present(claim) => claims.raw_claim(claim).is_some_and(|value| value != "null"),
            Condition::Closure(condition) => condition(claims),
        }
    }
}

impl fmt::Debug for ClaimRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimRule").field("name", &self.name).field("rejection", &self.rejection).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meets(rule: &ClaimRule, json: &str) -> bool {
        match rule.check(&ClaimsSet::parse(json.as_bytes()).unwrap()) {
            Ok(()) => true,
            Err(error) => {
                assert!(matches!(error, ValidationError::ClaimRule { .. }), "{error}");
                false
            }
        }
    }

    #[test]
    fn check_tells_passing_failing_missing_and_wrong_types_apart() {
        let equals = ClaimRule::equals("tenant", "acme");
        let one_of = ClaimRule::one_of("tenant", ["acme", "north"]);
        let present = ClaimRule::present("tenant");
        let closure = ClaimRule::new("any tenant", |claims| {
            claims.claim::<String>("tenant").is_ok_and(|it| it.is_some())
        });

        for (json, expected) in [
            (r#"{"tenant":"acme"}"#, [true, true, true, true]),
            (r#"{"tenant":"\u0061cme"}"#, [true, true, true, true]),
            (r#"{"tenant":"north"}"#, [false, true, true, true]),
            (r#"{"tenant":"Acme"}"#, [false, false, true, true]),
            (r#"{"tenant":["acme"]}"#, [false, false, true, false]),
            (r#"{"tenant":1}"#, [false, false, true, false]),
            (r#"{"tenant":null}"#, [false, false, false, false]),
            (r#"{"other":"acme"}"#, [false, false, false, false]),
        ] {
            assert_eq!(
                [&equals, &one_of, &present, &closure].map(|rule| meets(rule, json)),
                expected,
                "{json}"
            );
        }
    }

    #[test]
    fn the_error_names_the_rule_and_not_the_claim_that_was_found() {
        let claims = ClaimsSet::parse(br#"{"tenant":"canary"}"#).unwrap();

        let error = ClaimRule::one_of("tenant", ["acme", "north"]).forbidden().check(&claims).unwrap_err();

        assert_eq!(error.to_string(), r#"claim rule not met: claim "tenant" is one of ["acme", "north"]"#);
        assert!(!format!("{error:?}").contains("canary"));
    }

    #[test]
    fn rules_that_no_token_can_meet_are_problems() {
        for rule in [
            ClaimRule::equals("azp", "x"),
            ClaimRule::present("client_tenant"),
            ClaimRule::present(""),
            ClaimRule::one_of("tenant", Vec::<String>::new()),
        ] {
            assert!(rule.problem().is_some(), "{rule:?}");
        }
        assert!(ClaimRule::equals("tenant", "").problem().is_none());
    }
}
