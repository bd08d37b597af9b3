//! Patterns of paths, in the syntax of `matchit`: [`Pattern`].

use std::cmp::Reverse;

use super::request_path::{NonAscii, with_request_path};

/// A pattern, such as `/job/{name}/api/json`.
#[derive(Debug)]
pub(super) struct Pattern {
    segments: Vec<Segment>,
}

/// The part of a pattern between two slashes.
#[derive(Clone, Debug)]
pub(super) enum Segment {
    Literal(String),
    /// A variable after this text. It matches one or more characters.
    Variable(String),
    /// A variable for the rest of the path. It matches one or more characters.
    Rest,
}

impl Pattern {
    /// Parses a pattern. The error is what was expected.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(path) = text.strip_prefix('/') else {
            return Err("expected a path that starts with \"/\"");
        };
        if path.ends_with('/') {
            return Err("expected no slash at the end; a pattern also matches paths with one");
        }
        if !text.is_ascii() {
            return Err("expected ASCII; other characters are only matched by variables");
        }
        if text.contains('%') {
            return Err("expected decoded characters instead of percent-encoded ones");
        }
        let segments = match path {
            "" => Vec::new(),
            path => path.split('/').map(Segment::parse).collect::<Result<Vec<_>, _>>()?,
        };
        let (_, before) = segments.split_last().unwrap_or((&Segment::Rest, &[]));
        if before.iter().any(|segment| matches!(segment, Segment::Rest)) {
            return Err("expected \"{*rest}\" only at the end");
        }
        let pattern = Self { segments };
        // Any other pattern would match no request.
        match with_request_path(&pattern.example(), NonAscii::Refuse, |_| ()) {
            Ok(()) => Ok(pattern),
            Err(_) => Err(
                "expected a path that requests can have: no empty segments, none with a dot or space at its \
                end, and no control characters, \"\\\", \";\", \"?\" or \"#\"",
            ),
        }
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Writes the pattern in lower case, with the same name for all variables. Patterns with the same result match the same
    /// paths if case is ignored.
    pub(super) fn ignoring_case(&self) -> String {
        self.to_text().to_ascii_lowercase()
    }

    /// Writes the pattern with the same name for all variables. Patterns with the same result match the same paths.
    pub(super) fn to_text(&self) -> String {
        let escape = |literal: &str| literal.replace('{', "{{").replace('}', "}}");
        self.write(|segment| match segment {
            Segment::Literal(text) => escape(text),
            Segment::Variable(prefix) => format!("{}{{v}}", escape(prefix)),
            Segment::Rest => "{*v}".to_owned(),
        })
    }

    /// Returns what patterns are sorted by: literals before variables, and variables before the rest, segment by segment.
    pub(super) fn precedence(&self) -> Vec<(u8, Reverse<usize>, &str)> {
        let segments = self.segments.iter().map(|segment| match segment {
            Segment::Literal(text) => (0, Reverse(0), &**text),
            Segment::Variable(prefix) => (1, Reverse(prefix.len()), &**prefix),
            Segment::Rest => (2, Reverse(0), ""),
        });
        segments.collect()
    }

    /// Returns the pattern before `{*rest}`, such as `/admin` for `/admin/{*rest}`.
    pub(super) fn before_rest(&self) -> Option<Self> {
        match self.segments.split_last()? {
            (Segment::Rest, before) => Some(Self { segments: before.to_vec() }),
            _ => None,
        }
    }

    /// Returns a path that matches the pattern.
    pub(super) fn example(&self) -> String {
        self.write(|segment| match segment {
            Segment::Literal(text) => text.clone(),
            Segment::Variable(prefix) => format!("{prefix}v"),
            Segment::Rest => "v".to_owned(),
        })
    }

    fn write(&self, write: impl Fn(&Segment) -> String) -> String {
        match &*self.segments {
            [] => "/".to_owned(),
            segments => segments.iter().map(|segment| format!("/{}", write(segment))).collect(),
        }
    }

    /// Returns whether a path has the case of the pattern. The path must match if case is ignored, and has no slash at its
    /// beginning.
    pub(super) fn has_case_of(&self, path: &[u8]) -> bool {
        let mut path = path.split(|byte| *byte == b'/');
        self.segments.iter().all(|segment| match segment {
            Segment::Literal(text) => path.next() == Some(text.as_bytes()),
            Segment::Variable(prefix) => path.next().is_some_and(|text| text.starts_with(prefix.as_bytes())),
            Segment::Rest => true,
        })
    }
}

impl Segment {
    /// Joins segments with slashes. Returns `None` if one of them is not a literal.
    pub(super) fn join_literals(segments: &[Self]) -> Option<String> {
        let texts = segments.iter().map(|segment| match segment {
            Self::Literal(text) => Some(&**text),
            Self::Variable(_) | Self::Rest => None,
        });
        Some(texts.collect::<Option<Vec<_>>>()?.join("/"))
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let mut literal = String::new();
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            match character {
                '{' | '}' if rest.as_str().starts_with(character) => {
                    literal.push(character);
                    rest.next();
                }
                '{' => return Self::parse_variable(literal, rest.as_str()),
                '}' => return Err(NAME),
                character => literal.push(character),
            }
        }
        match is_syntax_of_others(&literal) {
            true => Err("expected \"{name}\" for a variable and \"{*rest}\" for the rest of a path"),
            false => Ok(Self::Literal(literal)),
        }
    }

    /// Parses the rest of a segment, after the brace that opens a variable.
    fn parse_variable(prefix: String, text: &str) -> Result<Self, &'static str> {
        let (name, after) = text.split_once('}').ok_or(NAME)?;
        if !after.is_empty() {
            return Err("expected nothing after a variable in its segment");
        }
        match name.strip_prefix('*') {
            Some(name) if is_name(name) && prefix.is_empty() => Ok(Self::Rest),
            Some(name) if is_name(name) => Err("expected \"{*rest}\" to be a whole segment"),
            None if is_name(name) => Ok(Self::Variable(prefix)),
            _ => Err(NAME),
        }
    }
}

/// Returns whether a literal looks like a variable in the syntax of another router: `:name`, `<name>`, `*`, `**`, `*.js`.
///
/// As a literal, it would match no real request, and a less strict rule could apply. `*zip*` is accepted, because Jenkins has such
/// paths.
fn is_syntax_of_others(literal: &str) -> bool {
    let between_stars = literal.strip_prefix('*').and_then(|text| text.strip_suffix('*'));
    let has_stars_around_word = between_stars.is_some_and(|word| !word.is_empty() && !word.contains('*'));
    (literal.contains('*') && !has_stars_around_word)
        || literal.strip_prefix(':').is_some_and(|name| !name.is_empty())
        || (literal.starts_with('<') && literal.ends_with('>'))
}

/// Returns whether a text can be the name of a variable.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(['{', '*'])
}

const NAME: &str = "expected a name between \"{\" and \"}\"; write \"{{\" and \"}}\" for braces";
