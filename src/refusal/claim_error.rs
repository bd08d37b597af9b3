//! A claim that cannot be read or set: [`ClaimError`].

use std::fmt;

/// A claim cannot be read or set. Names the claim and what was expected, never a value.
///
/// `?` in a [`TokenValidator`](crate::TokenValidator) converts it to a [`ValidationError`](crate::ValidationError): 500 if
/// [`ClaimsSet::with_claim`](crate::ClaimsSet::with_claim) returned it, since the value is the program's own; 401
/// `invalid_token` otherwise, since the claim is the token's.
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
    /// The program, which sets it.
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

    /// Keeps the position of a JSON error. Drops serde's text, which quotes values.
    pub(crate) fn json(error: &serde_json::Error) -> Self {
        let what = match error.classify() {
            serde_json::error::Category::Data => "not as the type that reads it expects".into(),
            _ => format!("no acceptable JSON, line {}, column {}", error.line(), error.column()),
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
