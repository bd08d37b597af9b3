//! The identifiers of this resource server in tokens: [`Audience`] (RFC 9068 section 4, RFC 8707 section 2).
//!
//! ```
//! use tower_bearer::Audience;
//!
//! let one = Audience::from("https://orders.example.com");
//! let while_moving = Audience::from(["https://orders.example.com", "https://api.example.com/orders"]);
//! let entra = Audience::opaque("6f1c2a4e-0b7d-4a52-9a30-0d7d5f1f3c11"); // not a URI
//!
//! // From a settings file.
//! let uris: Vec<String> = vec!["https://orders.example.com".into()];
//! let application_ids: Vec<String> = vec!["6f1c2a4e-0b7d-4a52-9a30-0d7d5f1f3c11".into()];
//! let from_file = Audience::from(uris).or(application_ids.into_iter().map(Audience::opaque).collect::<Audience>());
//! # let _ = (one, while_moving, entra, from_file);
//! ```

use url::Url;

use crate::{config_error::Problem, url_policy::with_lower_case_origin};

/// The identifiers of this resource server. A token must have one of them in `aud` (RFC 9068 section 4).
///
/// Made from a URI, an array, a slice, a `Vec` or an iterator of URIs, or with [`opaque`](Self::opaque). An empty list, or text
/// that is not a URI or has a fragment, fails when the validator is built.
///
/// Identifiers are compared as strings. Two exceptions: an `http` or `https` URL without a path matches with and without the
/// slash after the host (RFC 3986 section 6.2.3), because clients that send `resource` through a URL type add one. A URI that is
/// configured with an upper-case scheme or host is also accepted in lower case, which clients send.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Audience {
    identifiers: Vec<Identifier>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Identifier {
    Uri(Box<str>),
    Opaque(Box<str>),
}

impl Audience {
    /// Creates an audience from an identifier that is not a URI, such as an application id of Entra ID.
    ///
    /// It must not be empty.
    pub fn opaque(identifier: impl Into<String>) -> Self {
        Self { identifiers: vec![Identifier::Opaque(identifier.into().into())] }
    }

    /// Adds identifiers. A token needs only one of all.
    pub fn or(mut self, other: impl Into<Self>) -> Self {
        self.identifiers.extend(other.into().identifiers);
        self
    }

    /// Checks that URIs are URIs (RFC 8707 section 2).
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.identifiers.is_empty() {
            problems.push(Problem::without_value(
                "audience",
                "expected at least one identifier (RFC 9068 section 4)",
            ));
        }
        for identifier in &self.identifiers {
            match identifier {
                Identifier::Opaque(text) if text.is_empty() => {
                    problems.push(Problem::new("audience", "", "expected an identifier that is not empty"));
                }
                Identifier::Opaque(_) => {}
                Identifier::Uri(text) => match Url::parse(text) {
                    Ok(url) if url.fragment().is_none() => {}
                    Ok(_) => {
                        let expected = "expected a URI without fragment (RFC 8707 section 2)";
                        problems.push(Problem::new("audience", &**text, expected));
                    }
                    Err(_) => {
                        let expected = "expected an absolute URI (RFC 8707 section 2), or Audience::opaque";
                        problems.push(Problem::new("audience", &**text, expected));
                    }
                },
            }
        }
        problems
    }

    /// Returns every spelling that is accepted.
    pub(crate) fn spellings(&self) -> Vec<Box<str>> {
        let mut spellings = Vec::new();
        for identifier in &self.identifiers {
            match identifier {
                Identifier::Opaque(text) => spellings.push(text.clone()),
                Identifier::Uri(text) => {
                    let lower_case: Box<str> = with_lower_case_origin(text).into();
                    let lower_case = Some(lower_case).filter(|lower_case| lower_case != text);
                    for text in [Some(text.clone()), lower_case].into_iter().flatten() {
                        let other = other_spelling(&text);
                        spellings.push(text);
                        spellings.extend(other);
                    }
                }
            }
        }
        spellings
    }
}

/// Adds or removes the slash after the host of a URL without a path.
fn other_spelling(text: &str) -> Option<Box<str>> {
    let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    match authority.find(['/', '?', '#']) {
        None => Some(format!("{text}/").into()),
        Some(slash) if &authority[slash..] == "/" => Some(text[..text.len() - 1].into()),
        Some(_) => None,
    }
}

impl From<&str> for Audience {
    fn from(uri: &str) -> Self {
        Self { identifiers: vec![Identifier::Uri(uri.into())] }
    }
}

impl From<String> for Audience {
    fn from(uri: String) -> Self {
        uri.as_str().into()
    }
}

impl From<&String> for Audience {
    fn from(uri: &String) -> Self {
        uri.as_str().into()
    }
}

impl<T: Into<Audience>, const N: usize> From<[T; N]> for Audience {
    fn from(any: [T; N]) -> Self {
        Self { identifiers: any.into_iter().flat_map(|each| each.into().identifiers).collect() }
    }
}

impl<T: Into<Audience>> From<Vec<T>> for Audience {
    fn from(any: Vec<T>) -> Self {
        any.into_iter().collect()
    }
}

impl<T: AsRef<str>> From<&[T]> for Audience {
    fn from(any: &[T]) -> Self {
        any.iter().map(AsRef::as_ref).collect()
    }
}

impl<T: AsRef<str>> From<&Vec<T>> for Audience {
    fn from(any: &Vec<T>) -> Self {
        any.as_slice().into()
    }
}

impl<T: Into<Audience>> FromIterator<T> for Audience {
    fn from_iter<I: IntoIterator<Item = T>>(any: I) -> Self {
        Self { identifiers: any.into_iter().flat_map(|each| each.into().identifiers).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r8707_02_only_the_slash_after_a_bare_host_is_optional() {
        for (identifier, spellings) in [
            ("https://h", &["https://h", "https://h/"][..]),
            ("https://h/", &["https://h/", "https://h"]),
            ("http://127.0.0.1:3000", &["http://127.0.0.1:3000", "http://127.0.0.1:3000/"]),
            ("https://h/a", &["https://h/a"]),
            ("https://h/a/", &["https://h/a/"]),
            ("https://h?x=1", &["https://h?x=1"]),
            ("urn:example:orders", &["urn:example:orders"]),
            ("HTTPS://H", &["HTTPS://H", "https://h", "https://h/"]),
        ] {
            let found = Audience::from(identifier).spellings();
            assert!(
                found.iter().map(|text| &**text).eq(spellings.iter().copied()),
                "{identifier}: {found:?}"
            );
        }
    }

    #[test]
    fn lists_of_every_kind_make_the_same_audience() {
        let array = Audience::from(["https://a.example", "https://b.example"]);
        let strings = vec!["https://a.example".to_owned(), "https://b.example".to_owned()];

        assert_eq!(Audience::from(&strings), array);
        assert_eq!(Audience::from(strings.as_slice()), array);
        assert_eq!(Audience::from(&["https://a.example", "https://b.example"][..]), array);
        assert_eq!(strings.iter().collect::<Audience>(), array);
        assert_eq!(Audience::from(strings), array);
        assert_eq!(
            Audience::from(vec![Audience::opaque("a"), "https://b.example".into()]),
            Audience::opaque("a").or("https://b.example")
        );
    }

    #[test]
    fn r8707_03_a_fragment_or_a_bare_word_is_a_problem() {
        for (audience, problems) in [
            (Audience::from("https://h/a#b"), 1),
            (Audience::from("orders"), 1),
            (Audience::from(["orders", "https://h#", "https://h"]), 2),
            (Audience::from(Vec::<String>::new()), 1),
            (Audience::opaque(""), 1),
            (Audience::opaque("orders").or("api://default"), 0),
        ] {
            assert_eq!(audience.problems().len(), problems, "{audience:?}");
        }
    }
}
