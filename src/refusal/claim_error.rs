//! Claims that are not what they should be.

use std::fmt;

/// Claims are not what they should be. Says which and what was expected, never a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimError {
    claim: Option<Box<str>>,
    what: Box<str>,
}

impl ClaimError {
    pub(crate) fn wrong_type(claim: &str, expected: &str) -> Self {
        Self { claim: Some(claim.into()), what: format!("wrong type or range, expected {expected}").into() }
    }

    pub(crate) fn of_claim(claim: &str, error: &serde_json::Error) -> Self {
        Self { claim: Some(claim.into()), ..Self::json(error) }
    }

    /// Keeps where JSON went wrong and drops serde's text, which quotes values.
    pub(crate) fn json(error: &serde_json::Error) -> Self {
        let what = match error.classify() {
            serde_json::error::Category::Data => "not as the type that reads it expects".into(),
            _ => format!("no acceptable JSON, line {}, column {}", error.line(), error.column()),
        };
        Self { claim: None, what: what.into() }
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
