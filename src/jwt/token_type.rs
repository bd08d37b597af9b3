//! How to tell an access token where the header does not: [`AccessTokenRule`].

use crate::{ClaimsSet, ValidationError, claims::is_client_identifier, config_error::Problem, strict_json};

/// Tells access tokens from other JWTs of the same server that have `typ: JWT` or none (RFC 8725 section 3.12).
///
/// An ID token has the same issuer, the same keys and often the same shape; without `at+jwt` something else must keep
/// it out. What fits which provider is in the table of the README.
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
    /// Asks for a claim that only access tokens have, such as `scope` or `scp`.
    pub fn has_claim(name: impl Into<String>) -> Self {
        Self(Rule::HasOneOf(vec![name.into().into()]))
    }

    /// Asks for one of several claims, such as `scp` for users and `roles` for services at Entra ID.
    pub fn has_one_of<const N: usize>(names: [&str; N]) -> Self {
        const { assert!(N > 0, "a rule without claims would be met by no token") };
        Self(Rule::HasOneOf(names.into_iter().map(Into::into).collect()))
    }

    /// Asks for a claim with this very value, such as `typ` = `Bearer` at Keycloak or `token_use` = `access` at Cognito.
    pub fn claim_is(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self(Rule::ClaimIs { name: name.into().into(), value: value.into().into() })
    }

    /// States that the audience alone tells: it is the identifier of this resource and never that of an application
    /// which signs users in, as it would stand in an ID token. That is yours to know; nothing can check it here.
    pub fn audience_is_only_in_access_tokens() -> Self {
        Self(Rule::ByAudience)
    }

    /// Finds claims that no token ever has here, because they name the client.
    pub(super) fn problem(&self) -> Option<Problem> {
        let names = match &self.0 {
            Rule::HasOneOf(names) => names.as_slice(),
            Rule::ClaimIs { name, .. } => std::slice::from_ref(name),
            Rule::ByAudience => &[],
        };
        names.iter().find(|name| is_client_identifier(name)).map(|name| {
            Problem::new(
                "access token rule",
                &**name,
                "expected a claim that does not name the client: those are left out",
            )
        })
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
