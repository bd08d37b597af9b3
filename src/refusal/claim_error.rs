//! The error for a claim that cannot be read or set: [`ClaimError`].

use std::fmt;

/// The error for a claim that cannot be read or set.
///
/// Contains the name of the claim and what was expected, never the value.
///
/// `?` in a [`TokenValidator`](crate::TokenValidator) converts it to a [`ValidationError`](crate::ValidationError). It
/// becomes 500 if [`ClaimsSet::with_claim`](crate::ClaimsSet::with_claim) returned it, because the value comes from the
/// program. Otherwise it becomes 401 `invalid_token`, because the claim comes from the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimError {
    claim: Option<Box<str>>,
    what: Box<str>,
    origin: Origin,
}

/// Where the claim comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Token,
    /// The program that sets it.
    Program,
}

impl ClaimError {
    pub(crate) fn wrong_type(claim: &str, expected: &str) -> Self {
        Self {
            claim: Some(claim.into()),
            what: format!("wrong type or range, expected {expected}").into(),
            origin: Origin::Token,
        }
    }

    pub(crate) fn of_claim(claim: &str, error: &serde_json::Error) -> Self {
        Self { claim: Some(claim.into()), ..Self::json(error) }
    }

    /// Marks the claim as one that the program sets itself.
    pub(crate) fn about_own_claim(self, name: &str) -> Self {
        Self { claim: self.claim.or_else(|| Some(name.into())), origin: Origin::Program, ..self }
    }

    pub(super) fn is_about_own_claim(&self) -> bool {
        self.origin == Origin::Program
    }

    /// Converts a JSON error. Drops serde's text, which quotes values, and keeps the position.
    pub(crate) fn json(error: &serde_json::Error) -> Self {
        let what = match error.classify() {
            serde_json::error::Category::Data => "does not match the expected type".into(),
            _ => format!("not acceptable JSON, line {}, column {}", error.line(), error.column()),
        };
        Self { claim: None, what: what.into(), origin: Origin::Token }
    }
}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.claim {
            Some(claim) => write!(f, "claim {claim:?}: {}", self.what),
            None => write!(f, "claims: {}", self.what),
        }
    }
}

impl std::error::Error for ClaimError {}
