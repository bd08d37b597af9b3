//! Which scopes may a token have? (RFC 6749 section 3.3)

use std::fmt;

use super::oauth_error::{ErrorCode, OAuthError};

/// Scopes, each once, in the order in which they were named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ScopeSet(Vec<String>);

impl ScopeSet {
    pub(super) fn parse(text: &str) -> Self {
        Self::from_names(text.split(' ').filter(|name| !name.is_empty()))
    }

    pub(super) fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut scopes = Vec::new();
        for name in names {
            if !scopes.iter().any(|known| known == name) {
                scopes.push(name.to_owned());
            }
        }
        Self(scopes)
    }

    /// Chooses what is granted of `self`: what was asked for, or all of it if nothing was.
    ///
    /// Everything asked for must be there: section 3.3 would also allow to grant less than was asked for, but
    /// an error is easier to understand.
    pub(super) fn narrow(&self, asked: Option<&str>) -> Result<Self, OAuthError> {
        let Some(asked) = asked.map(Self::parse) else {
            return Ok(self.clone());
        };
        if asked.0.iter().all(|name| self.0.contains(name)) {
            return Ok(asked);
        }
        Err(OAuthError::new(ErrorCode::InvalidScope, "a scope is unknown or exceeds what can be granted"))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}
