//! The issuer in a token that is not verified yet: [`UnverifiedIssuer`].

use std::{
    borrow::Borrow,
    collections::HashMap,
    fmt,
    hash::{BuildHasher, Hash},
    sync::Arc,
};

use crate::{Issuer, refusal::Excerpt};

/// The issuer (`iss`) of a token whose signature has not been verified.
///
/// Anyone can send a token with any issuer, so it can only be compared and looked up: there is no `Display`, and `Debug`
/// shows an excerpt. It is always a URL that [`Issuer::new_on_loopback`] accepts; other tokens are refused before the
/// resolver is called.
///
/// ```
/// use std::collections::HashMap;
/// use tower_bearer::tenants::UnverifiedIssuer;
///
/// let tenants = HashMap::from([("https://login.acme.example".to_owned(), "acme")]);
///
/// // In a test of a resolver. In a request, it comes from the token.
/// let issuer = UnverifiedIssuer::new("https://login.acme.example");
///
/// assert_eq!(issuer.find_in(&tenants), Some(&"acme"));
/// assert!(issuer == *"https://login.acme.example");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UnverifiedIssuer(Arc<str>);

impl UnverifiedIssuer {
    /// Creates an issuer for a test of a resolver.
    pub fn new(issuer: &str) -> Self {
        Self(issuer.into())
    }

    /// Finds the value for this issuer in a map.
    pub fn find_in<'m, K, V, S>(&self, map: &'m HashMap<K, V, S>) -> Option<&'m V>
    where
        K: Borrow<str> + Eq + Hash,
        S: BuildHasher,
    {
        map.get(&*self.0)
    }

    /// Returns the text, as the parameter of a database query or the key of another kind of map.
    ///
    /// # Security
    /// The sender of the token chose this text. Do not build a URL, a file name or the text of a query from it: use the
    /// values of the row that it finds. Do not log it; `Debug` of this type shows an excerpt.
    pub fn expose_for_lookup(&self) -> &str {
        &self.0
    }

    pub(super) fn to_excerpt(&self) -> Excerpt {
        Excerpt::new(&self.0)
    }
}

impl PartialEq<str> for UnverifiedIssuer {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<Issuer> for UnverifiedIssuer {
    fn eq(&self, other: &Issuer) -> bool {
        *self.0 == *other.as_str()
    }
}

/// Shows at most 128 characters, escaped.
impl fmt::Debug for UnverifiedIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UnverifiedIssuer").field(&self.to_excerpt()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_compared_character_by_character() {
        let issuer = UnverifiedIssuer::new("https://login.acme.example");

        assert!(issuer == *"https://login.acme.example");
        assert!(issuer == Issuer::new("https://login.acme.example").unwrap());
        for other in ["https://login.acme.example/", "https://LOGIN.acme.example", ""] {
            assert!(issuer != *other, "{other}");
        }
    }

    #[test]
    fn debug_shows_an_excerpt() {
        let issuer = UnverifiedIssuer::new(&format!("https://a.example/\n{}", "x".repeat(1_000)));

        let shown = format!("{issuer:?}");

        assert!(shown.starts_with("UnverifiedIssuer(\"https://a.example/\\nxxx"), "{shown}");
        assert!(shown.len() < 160, "{shown}");
    }
}
