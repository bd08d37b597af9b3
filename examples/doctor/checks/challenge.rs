//! The challenge of a 401.

use http::header::WWW_AUTHENTICATE;

use super::super::{
    challenge::{Challenge, parse_challenges},
    exchange::Answer,
    finding::{Finding, quoted},
    rules,
};

/// What the challenges of a response contain.
#[derive(Clone, Debug, Default)]
pub(crate) struct Challenges {
    /// The first challenge with the scheme `Bearer`.
    pub(crate) bearer: Option<Challenge>,
    /// All header fields, for the report.
    pub(crate) fields: Vec<String>,
    pub(crate) findings: Vec<Finding>,
}

/// Reads the challenges, and checks their syntax.
pub(crate) fn read(answer: &Answer) -> Challenges {
    let fields = answer.values(&WWW_AUTHENTICATE);
    let parsed: Vec<_> = fields.iter().map(|field| parse_challenges(field)).collect();
    let mut findings = Vec::new();
    for (field, parsed) in fields.iter().zip(&parsed) {
        for problem in &parsed.problems {
            findings
                .push(Finding::new(&rules::CHALLENGE_MALFORMED, format!("{problem} in {}", quoted(field))));
        }
        for challenge in &parsed.challenges {
            for name in challenge.repeated() {
                let found = format!("parameter {} more than once in {}", quoted(name), quoted(field));
                findings.push(Finding::new(&rules::DUPLICATE_PARAMETER, found));
            }
        }
        if parsed.challenges.len() > 1 {
            let schemes: Vec<_> = parsed.challenges.iter().map(|challenge| &*challenge.scheme).collect();
            let found = format!("{} in one field", quoted(&schemes.join(", ")));
            findings.push(Finding::new(&rules::SEVERAL_SCHEMES, found));
        }
    }
    let mut bearer =
        parsed.iter().flat_map(|field| &field.challenges).filter(|challenge| challenge.is("Bearer"));
    let first = bearer.next().cloned();
    if bearer.next().is_some() {
        let found = format!("{} Bearer challenges", bearer.count() + 2);
        findings.push(Finding::new(&rules::SEVERAL_BEARER_CHALLENGES, found));
    }
    if let Some(scope) = first.as_ref().and_then(|challenge| challenge.parameter("scope")) {
        findings.extend(check_scope(scope));
    }
    Challenges { bearer: first, fields, findings }
}

/// Checks the challenge of a response to a request without credentials.
pub(crate) fn check_without_token(challenges: &Challenges) -> Vec<Finding> {
    let mut findings = challenges.findings.clone();
    let Some(bearer) = &challenges.bearer else {
        if challenges.fields.is_empty() {
            findings.push(Finding::new(&rules::NO_CHALLENGE, "no WWW-Authenticate header"));
        } else {
            let found = format!("WWW-Authenticate: {}", quoted(&challenges.fields.join(" / ")));
            findings.push(Finding::new(&rules::NO_BEARER, found));
        }
        return findings;
    };
    for name in ["error", "error_description", "error_uri"] {
        if let Some(value) = bearer.parameter(name) {
            findings
                .push(Finding::new(&rules::ERROR_WITHOUT_CREDENTIALS, format!("{name}={}", quoted(value))));
            break;
        }
    }
    if bearer.parameter("resource_metadata").is_none() {
        let fields = quoted(&challenges.fields.join(" / ")).to_string();
        findings.push(Finding::new(&rules::NO_RESOURCE_METADATA, format!("WWW-Authenticate: {fields}")));
    }
    findings
}

/// Checks whether the 401 names scopes, if the resource has some.
pub(crate) fn check_scope_is_named(
    bearer: &Challenge,
    is_mcp: bool,
    supported: &[String],
) -> Option<Finding> {
    if bearer.parameter("scope").is_some() {
        return None;
    }
    Some(match (is_mcp, supported) {
        (false, []) => Finding::new(&rules::NO_SCOPE_KNOWN, "no scope in the challenge"),
        (true, []) => Finding::new(&rules::NO_SCOPE, "no scope in the challenge of an MCP server"),
        (_, scopes) => {
            let scopes = quoted(&scopes.join(" ")).to_string();
            Finding::new(
                &rules::NO_SCOPE,
                format!("no scope in the challenge, but scopes_supported has {scopes}"),
            )
        }
    })
}

fn check_scope(scope: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_valid = |scope: &str| {
        !scope.is_empty() && scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
    };
    if !scope.split(' ').all(is_valid) {
        findings.push(Finding::new(&rules::SCOPE_MALFORMED, format!("scope={}", quoted(scope))));
    } else if scope.contains(',') {
        let found = format!("scope={}, one scope with commas", quoted(scope));
        findings.push(Finding::new(&rules::SCOPE_MALFORMED, found));
    }
    if scope.split(' ').any(|scope| scope == "offline_access") {
        findings
            .push(Finding::new(&rules::OFFLINE_ACCESS, format!("scope={} in the challenge", quoted(scope))));
    }
    findings
}
