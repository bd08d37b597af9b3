//! Scopes that a token has and a route requires: [`Scope`] and [`Scopes`] (RFC 6749 section 3.3).
//!
//! ```
//! use tower_bearer::{Scope, Scopes};
//!
//! const READ: Scope = Scope::from_static("orders:read"); // an invalid character does not compile
//!
//! let granted = Scopes::new("profile orders:read");
//! assert!(granted.contains(&READ));
//! assert!(!granted.contains(&Scope::new("orders")?)); // whole words are compared
//! # Ok::<_, tower_bearer::InvalidScope>(())
//! ```

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::Arc,
};

/// Asks an authorization server for a refresh token (OpenID Connect Core section 11). No scope of a resource.
pub(crate) const OFFLINE_ACCESS: &str = "offline_access";

/// One scope: a case-sensitive ASCII word without spaces, quotes or backslashes.
#[derive(Clone)]
pub struct Scope(Text);

/// Static text for constants, shared text for configuration. Both are cheap to clone.
#[derive(Clone)]
enum Text {
    Static(&'static str),
    Shared(Arc<str>),
}

impl Scope {
    /// Creates a scope from a literal.
    ///
    /// # Panics
    /// If the text is empty or contains a character that RFC 6749 section 3.3 does not allow. In a `const` this is a
    /// compile error.
    pub const fn from_static(text: &'static str) -> Self {
        assert!(
            is_scope_token(text),
            "a scope consists of one or more of the characters %x21 / %x23-5B / %x5D-7E"
        );
        Self(Text::Static(text))
    }

    /// Creates a scope from text known at run time.
    ///
    /// # Errors
    /// If the text is empty or contains a character that RFC 6749 section 3.3 does not allow.
    pub fn new(text: &str) -> Result<Self, InvalidScope> {
        if is_scope_token(text) {
            Ok(Self(Text::Shared(text.into())))
        } else {
            Err(InvalidScope(text.into()))
        }
    }

    /// Returns the scope's text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Static(text) => text,
            Text::Shared(text) => text,
        }
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        Self::new(text)
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Scope {}

impl PartialOrd for Scope {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scope {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Scope {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({:?})", self.as_str())
    }
}

/// The error for text that is not a scope (RFC 6749 section 3.3).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid scope {0:?}, expected one or more of the characters %x21 / %x23-5B / %x5D-7E (RFC 6749 section 3.3)"
)]
pub struct InvalidScope(Box<str>);

/// The scopes of a token, as one string of words separated by spaces.
///
/// Words that are not valid scopes stay in the text but never match a [`Scope`].
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Scopes(Box<str>);

impl Scopes {
    /// Creates scopes from the value of a `scope` claim: words separated by spaces.
    ///
    /// Not checked: whether the words are valid scopes.
    pub fn new(space_separated: &str) -> Self {
        Self(space_separated.into())
    }

    /// Joins the elements of an array (`scp` at some providers). Elements that are not valid scopes are dropped,
    /// because joining an element with a space would turn it into two scopes.
    pub(crate) fn from_elements<'a>(elements: impl IntoIterator<Item = &'a str>) -> Self {
        let mut joined = String::new();
        for element in elements.into_iter().filter(|element| is_scope_token(element)) {
            if !joined.is_empty() {
                joined.push(' ');
            }
            joined.push_str(element);
        }
        Self(joined.into())
    }

    /// Returns whether this exact scope is contained.
    ///
    /// Scopes that imply it are not considered: see [`ScopeHierarchy`](crate::ScopeHierarchy).
    pub fn contains(&self, scope: &Scope) -> bool {
        self.iter().any(|granted| granted == scope.as_str())
    }

    /// Returns the scopes in the order in which the token lists them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|word| !word.is_empty())
    }

    /// Returns whether there are no scopes.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    pub(crate) fn len_bytes(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({:?})", self.0)
    }
}

/// `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )` of RFC 6749 section 3.3.
const fn is_scope_token(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        if !matches!(bytes[index], 0x21 | 0x23..=0x5b | 0x5d..=0x7e) {
            return false;
        }
        index += 1;
    }
    !bytes.is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn r6750_19_a_scope_with_a_character_outside_the_grammar_is_refused() {
        for text in ["", "orders read", "a\"b", "a\\b", "a\tb", "a\nb", "é", "\u{7f}"] {
            assert_eq!(Scope::new(text), Err(InvalidScope(text.into())), "{text:?}");
        }
        for text in ["orders:read", "https://example.com/scope?x=1#y", "!", "~", "[]"] {
            assert_eq!(Scope::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn scopes_compare_as_whole_words() {
        let scopes = Scopes::new("  admin:read  write ");

        for (text, expected) in
            [("admin:read", true), ("write", true), ("admin", false), ("Write", false), ("rite", false)]
        {
            assert_eq!(scopes.contains(&Scope::new(text).unwrap()), expected, "{text}");
        }
        assert_eq!(scopes.iter().collect::<Vec<_>>(), ["admin:read", "write"]);
    }

    #[test]
    fn an_array_element_with_a_space_grants_nothing() {
        let scopes = Scopes::from_elements(["read", "write admin", "", "list"]);

        assert_eq!(scopes.iter().collect::<Vec<_>>(), ["read", "list"]);
    }

    #[test]
    fn text_without_words_has_no_scopes() {
        assert!(Scopes::default().is_empty());
        assert!(Scopes::new("   ").is_empty());
        assert!(!Scopes::new(" a").is_empty());
    }

    proptest! {
        #[test]
        fn a_scope_is_contained_exactly_when_it_is_a_word(words in prop::collection::vec("[!#-\\[\\]-~]{1,6}", 0..6), probe in "[!#-\\[\\]-~]{1,6}") {
            let scopes = Scopes::new(&words.join(" "));

            for word in &words {
                prop_assert!(scopes.contains(&Scope::new(word).unwrap()));
            }
            prop_assert_eq!(scopes.contains(&Scope::new(&probe).unwrap()), words.contains(&probe));
            prop_assert_eq!(Scopes::from_elements(words.iter().map(String::as_str)).to_string(), words.join(" "));
        }
    }
}
