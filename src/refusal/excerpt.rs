//! Text from a peer, made safe for logs: [`Excerpt`].

use std::fmt;

/// Text from a peer, for logs. Shown with quotes and escapes, and truncated to 128 characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Excerpt(Box<str>);

impl Excerpt {
    const MAX_CHARS: usize = 128;

    /// Creates an excerpt from the first 128 characters of a text.
    pub fn new(text: &str) -> Self {
        Self(text.chars().take(Self::MAX_CHARS).collect())
    }

    pub(super) fn or_absent(excerpt: Option<&Self>) -> &dyn fmt::Display {
        excerpt.map_or(&"(absent)", |excerpt| excerpt)
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_a_peer_is_escaped_and_truncated() {
        assert_eq!(Excerpt::new("a\"b\n\u{0}").to_string(), "\"a\\\"b\\n\\0\"");
        assert_eq!(Excerpt::new(&"é".repeat(1_000)).to_string().chars().count(), 130);
    }
}
