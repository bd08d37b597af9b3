//! Recognizes access tokens whose header does not say `at+jwt`: [`AccessTokenRule`].

use crate::{ClaimsSet, ValidationError, claims::is_client_identifier, config_error::Problem, strict_json};

/// Distinguishes access tokens from other JWTs without `at+jwt` (RFC 8725 section 3.12).
///
/// An ID token has the same issuer, the same keys and often the same claims. If the header does not say `at+jwt`,
/// another rule must exclude it. The README lists the rule for each provider.
///
/// A claim that identifies the client, such as `azp`, cannot be used, because this crate drops such claims. Building a
/// validator with such a rule fails.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct AccessTokenRule(Rule);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    HasOneOf(Vec<Box<str>>),
    ClaimIs { name: Box<str>, value: Box<str> },
    ByAudience,
}

impl AccessTokenRule {
    /// Accepts tokens with a claim that only access tokens have, such as `scope` or `scp`. Its value is not checked,
    /// but `null` counts as absent.
    pub fn has_claim(name: impl Into<String>) -> Self {
        Self(Rule::HasOneOf(vec![name.into().into()]))
    }

    /// Accepts tokens with at least one of several claims, such as `scp` for users and `roles` for services at Entra ID.
    ///
    /// An empty array does not compile. For names from a configuration file, see
    /// [`has_any_claim_in`](Self::has_any_claim_in).
    pub fn has_one_of<const N: usize>(names: [&str; N]) -> Self {
        const { assert!(N > 0, "no token can meet a rule without claims") };
        Self::has_any_claim_in(names)
    }

    /// Accepts tokens with at least one of the claims named in configuration.
    ///
    /// If `names` is empty, building the validator fails.
    ///
    /// ```
    /// use tower_bearer::AccessTokenRule;
    ///
    /// let from_file: Vec<String> = vec!["scp".into(), "roles".into()];
    /// assert_eq!(AccessTokenRule::has_any_claim_in(from_file), AccessTokenRule::has_one_of(["scp", "roles"]));
    /// ```
    pub fn has_any_claim_in(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(Rule::HasOneOf(names.into_iter().map(|name| name.into().into()).collect()))
    }

    /// Accepts tokens in which a claim has exactly this string value.
    ///
    /// Examples: `typ` = `Bearer` at Keycloak, `token_use` = `access` at Cognito.
    pub fn claim_is(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self(Rule::ClaimIs { name: name.into().into(), value: value.into().into() })
    }

    /// Accepts every token, because only access tokens have the expected audience.
    ///
    /// # Security
    /// In an ID token, `aud` is the identifier of the application that signed the user in. Use this only if no
    /// application is registered under the expected audience. This crate cannot check that.
    pub fn audience_is_only_in_access_tokens() -> Self {
        Self(Rule::ByAudience)
    }

    /// Returns the problem of a rule that no token can meet: it has no names, or names a claim that identifies the
    /// client.
    pub(super) fn problem(&self) -> Option<Problem> {
        const SETTING: &str = "access token rule";
        let names = match &self.0 {
            Rule::HasOneOf(names) => names.as_slice(),
            Rule::ClaimIs { name, .. } => std::slice::from_ref(name),
            Rule::ByAudience => &[],
        };
        if matches!(self.0, Rule::HasOneOf(_)) && names.is_empty() {
            return Some(Problem::without_value(SETTING, "expected at least one claim"));
        }
        let expected = "expected a claim that does not identify the client, since such claims are dropped";
        names
            .iter()
            .find(|name| is_client_identifier(name))
            .map(|name| Problem::new(SETTING, &**name, expected))
    }

    pub(super) fn check(&self, claims: &ClaimsSet) -> Result<(), ValidationError> {
        let (is_met, expected) = match &self.0 {
            Rule::ByAudience => return Ok(()),
            Rule::HasOneOf(names) => {
                let has = |name: &str| claims.raw_claim(name).is_some_and(|value| value != "null");
                (names.iter().any(|name| has(name)), format!("one of the claims {names:?}"))
            }
            Rule::ClaimIs { name, value } => {
                let found = claims.raw_claim(name);
                let found = found.as_deref().and_then(strict_json::string);
                (found.as_deref() == Some(value), format!("the claim {name:?} with the value {value:?}"))
            }
        };
        if is_met { Ok(()) } else { Err(ValidationError::NotAnAccessToken { expected: expected.into() }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(rule: &AccessTokenRule) -> Option<String> {
        rule.problem().map(|problem| problem.to_string())
    }

    #[test]
    fn rule_without_claims_is_refused() {
        let rule = AccessTokenRule::has_any_claim_in(Vec::<String>::new());

        assert_eq!(problem(&rule).as_deref(), Some("access token rule: expected at least one claim"));
    }

    #[test]
    fn rule_for_a_claim_that_names_the_client_is_refused() {
        for rule in [
            AccessTokenRule::has_claim("azp"),
            AccessTokenRule::has_one_of(["scp", "azp"]),
            AccessTokenRule::claim_is("azp", "orders"),
        ] {
            assert!(problem(&rule).unwrap().contains("does not identify the client"), "{rule:?}");
        }
    }

    #[test]
    fn other_rules_are_accepted() {
        for rule in [
            AccessTokenRule::has_claim("scope"),
            AccessTokenRule::has_any_claim_in(["scp".to_owned(), "roles".to_owned()]),
            AccessTokenRule::claim_is("typ", "Bearer"),
            AccessTokenRule::audience_is_only_in_access_tokens(),
        ] {
            assert_eq!(problem(&rule), None, "{rule:?}");
        }
    }
}
