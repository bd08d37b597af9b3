//! What was found: [`Finding`].

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use super::rules::Rule;

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// Clients work. Good to know.
    Note,
    /// Some clients fail, or a protection is missing.
    Warning,
    /// Clients fail, or requests without a valid token are accepted.
    Error,
}

impl Severity {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The part of the server that a finding is about. Declared in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    Connection,
    WithoutToken,
    Challenge,
    Tokens,
    Browsers,
    Metadata,
    AuthorizationServer,
    Keys,
}

impl Group {
    /// Returns the name in the JSON report.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::WithoutToken => "without_token",
            Self::Challenge => "challenge",
            Self::Tokens => "tokens",
            Self::Browsers => "browsers",
            Self::Metadata => "metadata",
            Self::AuthorizationServer => "authorization_server",
            Self::Keys => "keys",
        }
    }

    /// Returns the title in the text report.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Connection => "Connection",
            Self::WithoutToken => "Request without a token",
            Self::Challenge => "Challenge (WWW-Authenticate)",
            Self::Tokens => "Requests with made-up tokens",
            Self::Browsers => "Scripts in browsers (CORS)",
            Self::Metadata => "Metadata of the resource (RFC 9728)",
            Self::AuthorizationServer => "Metadata of the authorization server (RFC 8414)",
            Self::Keys => "Keys of the authorization server",
        }
    }
}

/// One thing that is wrong or good to know.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) rule: &'static Rule,
    pub(crate) severity: Severity,
    pub(crate) found: String,
    /// More precise than that of the rule, if the value is known.
    pub(crate) expected: String,
    /// The URL of the request, if it is not that of the target.
    pub(crate) url: Option<String>,
}

impl Finding {
    pub(crate) fn new(rule: &'static Rule, found: impl fmt::Display) -> Self {
        Self {
            rule,
            severity: rule.severity,
            found: found.to_string(),
            expected: rule.expected.to_owned(),
            url: None,
        }
    }

    pub(crate) fn expected(self, expected: impl fmt::Display) -> Self {
        Self { expected: expected.to_string(), ..self }
    }

    pub(crate) fn severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    pub(crate) fn at(self, url: impl fmt::Display) -> Self {
        Self { url: Some(url.to_string()), ..self }
    }
}

/// The findings so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    all: Vec<Finding>,
    /// The code, the URL and what was found.
    known: HashSet<(&'static str, Option<String>, String)>,
    /// How many findings each code has.
    counts: HashMap<&'static str, usize>,
}

/// Maximum number of findings with the same code. A server could cause many thousands.
const MAX_PER_CODE: usize = 20;

/// Maximum length of what was found, in characters.
const MAX_FOUND_CHARS: usize = 4_000;

impl Findings {
    /// Adds a finding, unless the same was found before, or too many with its code.
    pub(crate) fn add(&mut self, mut finding: Finding) {
        let code = finding.rule.code;
        if let Some((end, _)) = finding.found.char_indices().nth(MAX_FOUND_CHARS) {
            finding.found.truncate(end);
            finding.found.push_str(" ...");
        }
        let count = self.counts.entry(code).or_default();
        if *count < MAX_PER_CODE && self.known.insert((code, finding.url.clone(), finding.found.clone())) {
            *count += 1;
            if *count == MAX_PER_CODE {
                finding.found.push_str(" (any others are not listed)");
            }
            self.all.push(finding);
        }
    }

    pub(crate) fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(|finding| self.add(finding));
    }

    /// Returns whether there is a finding of this rule.
    pub(crate) fn has(&self, rule: &Rule) -> bool {
        self.all.iter().any(|finding| finding.rule.code == rule.code)
    }

    /// Returns the findings by group, the most serious ones first.
    pub(crate) fn sorted(mut self) -> Vec<Finding> {
        self.all.sort_by_key(|finding| (finding.rule.group, std::cmp::Reverse(finding.severity)));
        self.all
    }
}

/// Shows text from a server in quotes, escaped and truncated, so that it cannot control the terminal.
pub(crate) fn quoted(text: &str) -> tower_bearer::Excerpt {
    tower_bearer::Excerpt::new(text)
}

/// Shows a JSON value, escaped and truncated.
pub(crate) fn shown(value: &serde_json::Value) -> String {
    const MAX_CHARS: usize = 160;
    let text = value.to_string();
    let escaped = text.chars().flat_map(|character| {
        // JSON leaves some control characters as they are.
        let escape = character.is_control().then(|| character.escape_unicode());
        let plain = escape.is_none().then_some(character);
        escape.into_iter().flatten().chain(plain)
    });
    escaped.take(MAX_CHARS).collect()
}
