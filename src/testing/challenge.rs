//! Parses `WWW-Authenticate`. Shares no code with the implementation that writes it.

use std::collections::BTreeMap;

use http::{Response, header::WWW_AUTHENTICATE};

/// A parsed challenge (RFC 9110 section 11.6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedChallenge {
    scheme: String,
    params: BTreeMap<String, String>,
}

impl ParsedChallenge {
    /// Returns the scheme, with its case unchanged.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Returns the value of a parameter without quotes and escapes.
    ///
    /// `name` must be in lower case.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str)
    }

    /// Returns the names of all parameters, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.params.keys().map(String::as_str)
    }
}

/// Parses all challenges of a response.
///
/// # Panics
/// If a field does not follow RFC 9110 section 11.6.1, or a parameter appears twice in a challenge (section 11.2).
pub fn challenges<B>(response: &Response<B>) -> Vec<ParsedChallenge> {
    let fields = response.headers().get_all(WWW_AUTHENTICATE);
    fields.iter().flat_map(|field| parse(field.to_str().expect("a challenge is visible ASCII"))).collect()
}

fn parse(field: &str) -> Vec<ParsedChallenge> {
    let mut challenges: Vec<ParsedChallenge> = Vec::new();
    let mut rest = field.trim();
    while !rest.is_empty() {
        let (word, after) = token(rest, field);
        match after.strip_prefix('=') {
            // A parameter of the previous challenge.
            Some(after) => {
                let (value, after) = value(after, field);
                let params =
                    &mut challenges.last_mut().unwrap_or_else(|| panic!("no scheme in {field:?}")).params;
                let earlier = params.insert(word.to_ascii_lowercase(), value);
                assert!(earlier.is_none(), "{word} appears twice in {field:?}");
                rest = after;
            }
            None => {
                challenges.push(ParsedChallenge { scheme: word.to_owned(), params: BTreeMap::new() });
                assert!(
                    after.is_empty() || after.starts_with([' ', ',']),
                    "no space after the scheme in {field:?}"
                );
                rest = after.trim_start();
                if !rest.starts_with(',') {
                    continue;
                }
            }
        }
        let trimmed = rest.trim_start();
        rest = match trimmed.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None => {
                assert!(trimmed.is_empty(), "no comma before {trimmed:?} in {field:?}");
                trimmed
            }
        };
    }
    challenges
}

fn token<'a>(text: &'a str, field: &str) -> (&'a str, &'a str) {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)))
        .unwrap_or(text.len());
    assert!(end > 0, "expected a token at {text:?} in {field:?}");
    text.split_at(end)
}

fn value<'a>(text: &'a str, field: &str) -> (String, &'a str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = token(text, field);
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((index, character)) = chars.next() {
        match character {
            '"' => return (value, &quoted[index + 1..]),
            '\\' => value.push(chars.next().unwrap_or_else(|| panic!("incomplete escape in {field:?}")).1),
            other => value.push(other),
        }
    }
    panic!("unterminated quote in {field:?}")
}

/// Expects a `Bearer` challenge without `error` and `scope`, unless they are added.
///
/// Other parameters, such as `resource_metadata`, are only compared if added with [`param`](ExpectedChallenge::param).
pub fn bearer() -> ExpectedChallenge {
    ExpectedChallenge { error: None, scope: None, params: BTreeMap::new() }
}

/// An expected challenge, to compare with a [`ParsedChallenge`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ExpectedChallenge {
    error: Option<String>,
    scope: Option<String>,
    params: BTreeMap<String, String>,
}

impl ExpectedChallenge {
    /// Expects this `error`.
    pub fn error(mut self, error: &str) -> Self {
        self.error = Some(error.to_owned());
        self
    }

    /// Expects this `scope`.
    pub fn scope(mut self, scope: &str) -> Self {
        self.scope = Some(scope.to_owned());
        self
    }

    /// Expects another parameter with this value.
    pub fn param(mut self, name: &str, value: &str) -> Self {
        self.params.insert(name.to_owned(), value.to_owned());
        self
    }
}

impl PartialEq<ExpectedChallenge> for ParsedChallenge {
    fn eq(&self, expected: &ExpectedChallenge) -> bool {
        self.scheme.eq_ignore_ascii_case("bearer")
            && self.param("error") == expected.error.as_deref()
            && self.param("scope") == expected.scope.as_deref()
            // RFC 6750 section 3.1: no error_description without error.
            && (expected.error.is_some() || self.param("error_description").is_none())
            && expected.params.iter().all(|(name, value)| self.param(name) == Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_challenges_in_one_field_are_parsed_separately() {
        let parsed = parse(r#"Negotiate, Bearer realm="a, \"b\"", error=invalid_token, DPoP algs="ES256""#);

        let schemes: Vec<_> = parsed.iter().map(ParsedChallenge::scheme).collect();
        assert_eq!(schemes, ["Negotiate", "Bearer", "DPoP"]);
        assert_eq!(parsed[1].param("realm"), Some("a, \"b\""));
        assert_eq!(parsed[1].param("error"), Some("invalid_token"));
    }

    #[test]
    fn malformed_challenges_panic() {
        for field in [
            "Bearer realm=\"a\" error=\"b\"",
            "Bearer realm=\"a",
            "Bearer a=\"b\", A=\"c\"",
            "Bearer =\"b\"",
            "realm=\"a\"",
            "Bearer realm=",
            "\"Bearer\"",
        ] {
            assert!(std::panic::catch_unwind(|| parse(field)).is_err(), "{field}");
        }
    }
}
