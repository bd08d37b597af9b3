//! Matches URIs against a URI template (RFC 6570): [`UriTemplate`].
//!
//! Expansion is not reversible in general, so this only checks whether a URI can be an expansion of a template. The values of
//! variables are not extracted.

/// Maximum length of a URI that is matched, in bytes. Header blocks are commonly limited to twice this.
const MAX_URI_LEN: usize = 8 * 1024;

/// A parsed template.
#[derive(Debug)]
pub(super) struct UriTemplate {
    text: Box<str>,
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Literal(Box<str>),
    /// One or more characters.
    Run(Characters),
    /// Nothing, or an operator followed by a run.
    Optional {
        operator: u8,
        characters: Characters,
        repeats: bool,
    },
}

#[derive(Clone, Copy, Debug)]
enum Characters {
    /// Those within a path segment.
    Segment,
    Query,
    Any,
}

impl Characters {
    fn contain(self, byte: u8) -> bool {
        match self {
            Self::Segment => !matches!(byte, b'/' | b'?' | b'#' | b'\\'),
            Self::Query => !matches!(byte, b'#' | b'\\'),
            Self::Any => byte != b'\\',
        }
    }
}

impl UriTemplate {
    /// Parses a template.
    ///
    /// # Errors
    /// If the template is invalid or has an expression that is not supported. The error is what was expected.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let Some((literal, after)) = rest.split_once('{') else {
                parts.push(literal_part(rest)?);
                break;
            };
            if !literal.is_empty() {
                parts.push(literal_part(literal)?);
            }
            let (expression, after) = after.split_once('}').ok_or("expected a closing brace (RFC 6570)")?;
            parts.push(expression_part(expression)?);
            rest = after;
        }
        if parts.is_empty() {
            return Err("expected a URI template (RFC 6570)");
        }
        Ok(Self { text: text.into(), parts })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether a URI can be an expansion of the template. Takes time in proportion to both lengths.
    pub(super) fn matches(&self, uri: &str) -> bool {
        // URL parsers remove white space at both ends.
        let is_ambiguous = || uri.chars().any(char::is_control) || uri.trim() != uri || has_dot_segment(uri);
        if uri.len() > MAX_URI_LEN || is_ambiguous() {
            return false;
        }
        // The positions up to which the parts so far can match.
        let mut reached = vec![false; uri.len() + 1];
        reached[0] = true;
        for part in &self.parts {
            reached = part.advance(uri.as_bytes(), &reached);
        }
        reached.last() == Some(&true)
    }
}

impl Part {
    fn advance(&self, uri: &[u8], from: &[bool]) -> Vec<bool> {
        match self {
            Self::Literal(literal) => {
                let mut to = vec![false; from.len()];
                for (start, _) in from.iter().enumerate().filter(|(_, reached)| **reached) {
                    if uri.get(start..).is_some_and(|rest| rest.starts_with(literal.as_bytes())) {
                        to[start + literal.len()] = true;
                    }
                }
                to
            }
            Self::Run(characters) => {
                let mut to = vec![false; from.len()];
                let mut is_inside = false;
                for (index, byte) in uri.iter().enumerate() {
                    is_inside = (is_inside || from[index]) && characters.contain(*byte);
                    to[index + 1] = is_inside;
                }
                to
            }
            Self::Optional { operator, characters, repeats } => {
                let mut to = from.to_vec();
                let (mut is_inside, mut starts) = (false, false);
                for (index, byte) in uri.iter().enumerate() {
                    is_inside = (is_inside || starts) && characters.contain(*byte);
                    starts = byte == operator && if *repeats { to[index] } else { from[index] };
                    to[index + 1] |= is_inside;
                }
                to
            }
        }
    }
}

fn literal_part(literal: &str) -> Result<Part, &'static str> {
    if literal.contains('}') {
        return Err("expected an opening brace (RFC 6570)");
    }
    Ok(Part::Literal(literal.into()))
}

fn expression_part(expression: &str) -> Result<Part, &'static str> {
    const EXPECTED: &str =
        "expected names of variables, optionally after one of the operators + # . / ? & (RFC 6570)";
    let (operator, variables) = match expression.bytes().next() {
        Some(operator @ (b'+' | b'#' | b'.' | b'/' | b'?' | b'&')) => (Some(operator), &expression[1..]),
        _ => (None, expression),
    };
    for variable in variables.split(',') {
        let name = variable.strip_suffix('*').unwrap_or(variable);
        let name = name.split_once(':').map_or(Some(name), |(name, length)| {
            length.parse::<u16>().ok().filter(|length| (1..10_000).contains(length)).map(|_| name)
        });
        let is_name = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.%-".contains(&byte))
        };
        if !name.is_some_and(is_name) {
            return Err(EXPECTED);
        }
    }
    let repeats = variables.contains([',', '*']);
    Ok(match operator {
        None => Part::Run(Characters::Segment),
        Some(b'+') => Part::Run(Characters::Any),
        Some(operator @ b'#') => Part::Optional { operator, characters: Characters::Any, repeats: false },
        Some(operator @ (b'?' | b'&')) => {
            Part::Optional { operator, characters: Characters::Query, repeats: false }
        }
        Some(operator) => Part::Optional { operator, characters: Characters::Segment, repeats },
    })
}

/// Returns whether the path has a segment `.` or `..`, which a server may resolve.
fn has_dot_segment(uri: &str) -> bool {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    path.split(['/', '\\']).any(|segment| matches!(segment, "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rmcp_21_variable_matches_what_its_operator_allows() {
        for (template, matching, others) in [
            (
                "jobs://{job}/log",
                &["jobs://app/log", "jobs://a:b,c/log", "jobs://ü/log"][..],
                &["jobs:///log", "jobs://a/b/log", "jobs://app/log/", "xjobs://app/log", "jobs://a?/log"][..],
            ),
            (
                "files://{+path}",
                &["files://a/b", "files://a?b#c"],
                &["files://", "files://a/../b", "files://a\\b"],
            ),
            ("x://{a,b}", &["x://1,2"], &["x://1/2"]),
            ("x://h{/path*}", &["x://h", "x://h/a", "x://h/a/b"], &["x://h/", "x://h//a", "x://ha"]),
            ("x://h{/one}", &["x://h", "x://h/a"], &["x://h/a/b"]),
            ("x://h{/one}/z", &["x://h/z", "x://h/a/z"], &["x://h/a/b/z"]),
            ("x://h{?q,r}", &["x://h", "x://h?q=1&r=/"], &["x://h?", "x://h?q#f", "x://h&q"]),
            ("x://h?a=1{&q}", &["x://h?a=1", "x://h?a=1&q=2"], &["x://h?a=1q=2"]),
            ("x://h{#f}", &["x://h", "x://h#a/b"], &["x://h#"]),
            ("x://h{.e}", &["x://h", "x://h.txt"], &["x://htxt", "x://h.a/b"]),
            ("x://{a}-{b}", &["x://1-2", "x://1-2-3"], &["x://-2", "x://1-"]),
            ("x://{a:3}", &["x://abc"], &["x://"]),
        ] {
            let parsed = UriTemplate::parse(template).unwrap();

            for uri in matching {
                assert!(parsed.matches(uri), "{template} {uri}");
            }
            for uri in others {
                assert!(!parsed.matches(uri), "{template} {uri}");
            }
        }
    }

    #[test]
    fn template_that_is_not_supported_is_an_error() {
        for template in
            ["", "x://{", "x://}", "x://{}", "x://{;a}", "x://{=a}", "x://{a b}", "x://{a:0}", "x://{+}"]
        {
            assert!(UriTemplate::parse(template).is_err(), "{template}");
        }
    }

    #[test]
    fn long_uri_with_many_variables_is_not_matched_in_exponential_time() {
        let template = UriTemplate::parse(&"{+a}x".repeat(50)).unwrap();

        assert!(!template.matches(&format!("{}y", "x".repeat(MAX_URI_LEN - 1))));
        assert!(template.matches(&"x".repeat(MAX_URI_LEN)));
        assert!(!template.matches(&"x".repeat(MAX_URI_LEN + 1)));
    }
}
