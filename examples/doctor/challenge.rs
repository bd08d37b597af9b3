//! Reads `WWW-Authenticate`, even if it is malformed: [`parse_challenges`].

use std::collections::HashSet;

/// A challenge (RFC 9110 section 11.6.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub(crate) scheme: String,
    /// Names in lower case.
    pub(crate) parameters: Vec<(String, String)>,
}

/// What one header field contains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ParsedField {
    pub(crate) challenges: Vec<Challenge>,
    /// What is wrong with the syntax.
    pub(crate) problems: Vec<String>,
}

impl Challenge {
    pub(crate) fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// Returns the first value of a parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
    }

    /// Returns the names of parameters that appear more than once.
    pub(crate) fn repeated(&self) -> Vec<&str> {
        let (mut known, mut reported, mut repeated) = (HashSet::new(), HashSet::new(), Vec::new());
        for (name, _) in &self.parameters {
            if !known.insert(&**name) && reported.insert(&**name) {
                repeated.push(&**name);
            }
        }
        repeated
    }
}

/// Parses one field. What cannot be read is a problem, and reading continues after it.
pub(crate) fn parse_challenges(field: &str) -> ParsedField {
    let mut parser = Parser { rest: field, parsed: ParsedField::default() };
    if let Some(character) = field.chars().find(|&character| !matches!(character, ' '..='~' | '\t')) {
        parser.problem(format!("character {character:?}, expected visible ASCII"));
    }
    while parser.skip_separators() {
        parser.element();
    }
    if field.trim().is_empty() {
        parser.problem("empty field, expected a challenge".to_owned());
    }
    parser.parsed
}

struct Parser<'a> {
    rest: &'a str,
    parsed: ParsedField,
}

impl<'a> Parser<'a> {
    fn problem(&mut self, problem: String) {
        // One cause can have many effects.
        if self.parsed.problems.len() < 5 && !self.parsed.problems.contains(&problem) {
            self.parsed.problems.push(problem);
        }
    }

    fn skip_space(&mut self) -> bool {
        let before = self.rest.len();
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        before != self.rest.len()
    }

    /// Skips commas and white space between elements. Returns whether anything follows.
    fn skip_separators(&mut self) -> bool {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
        !self.rest.is_empty()
    }

    /// Takes characters while they match.
    fn take(&mut self, matches: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|character| !matches(character)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Reads a scheme or a parameter.
    fn element(&mut self) {
        let word = self.take(is_token);
        if word.is_empty() {
            let unexpected = self.take(|character| !is_token(character) && character != ',');
            let unexpected: String = unexpected.chars().take(20).collect();
            return self.problem(format!("{unexpected:?}, expected a scheme or the name of a parameter"));
        }
        let has_space = self.skip_space();
        if !self.rest.starts_with('=') {
            let challenge = Challenge { scheme: word.to_owned(), parameters: Vec::new() };
            self.parsed.challenges.push(challenge);
            if !has_space && !self.rest.is_empty() && !self.rest.starts_with(',') {
                self.problem(format!("no space after the scheme {word:?}"));
            }
            return self.skip_token68();
        }
        self.rest = &self.rest[1..];
        self.skip_space();
        let value = self.value(word);
        match self.parsed.challenges.last_mut() {
            Some(challenge) => challenge.parameters.push((word.to_ascii_lowercase(), value)),
            None => self.problem(format!("parameter {word:?} before any scheme")),
        }
        self.skip_space();
        if !self.rest.is_empty() && !self.rest.starts_with(',') {
            self.problem(format!("no comma after the parameter {word:?}"));
        }
    }

    /// Reads a value, with or without quotes.
    fn value(&mut self, name: &str) -> String {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            // Everything up to a separator, so that a URL without quotes is understood.
            let value = self.take(|character| !matches!(character, ' ' | '\t' | ','));
            if value.is_empty() {
                self.problem(format!("parameter {name:?} without a value"));
            } else if value.starts_with('\'') || !value.chars().all(is_token) {
                self.problem(format!("value of the parameter {name:?} without double quotes"));
            }
            return value.trim_matches('\'').to_owned();
        };
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        while let Some((index, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &quoted[index + 1..];
                    return value;
                }
                '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
                other => value.push(other),
            }
        }
        self.rest = "";
        self.problem(format!("value of the parameter {name:?} without a closing quote"));
        value
    }

    /// Skips a `token68` after a scheme, such as that of `Negotiate`.
    fn skip_token68(&mut self) {
        let before = self.rest;
        let word = self.take(|character| is_token(character) || character == '/');
        let padding = self.take(|character| character == '=');
        let ends = self.rest.is_empty() || self.rest.starts_with([',']);
        let is_token68 = !word.is_empty() && ends && (padding.len() != 1 || word.len() % 4 == 3);
        if !is_token68 {
            self.rest = before;
        }
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character)
}
