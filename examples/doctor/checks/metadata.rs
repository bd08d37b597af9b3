//! The metadata of the resource (RFC 9728).

use std::collections::HashSet;

use serde_json::Value;
use url::Url;

use super::{
    super::{
        document::JsonDocument,
        exchange::is_loopback,
        finding::{Finding, Severity, quoted, shown},
        rules,
        urls::{self, AUTHORIZATION_SERVER, OPENID_CONFIGURATION, PROTECTED_RESOURCE, Relation},
    },
    documents::DocumentRules,
};

pub(crate) const RULES: DocumentRules = DocumentRules {
    unreachable: &rules::METADATA_UNREACHABLE,
    refused: &rules::METADATA_BEHIND_TOKEN,
    redirected: &rules::METADATA_REDIRECTED,
    status: &rules::METADATA_STATUS,
    not_json: &rules::METADATA_NOT_JSON,
    content_type: Some(&rules::METADATA_CONTENT_TYPE),
    repeated: Some(&rules::METADATA_REPEATED_MEMBER),
};

/// An issuer in `authorization_servers`.
#[derive(Clone, Debug)]
pub(crate) struct NamedIssuer {
    /// As it is written. Issuers are compared as text.
    pub(crate) text: String,
    pub(crate) url: Url,
}

/// What the metadata says, as far as it can be used.
#[derive(Clone, Debug, Default)]
pub(crate) struct MetadataFacts {
    pub(crate) resource: Option<String>,
    pub(crate) issuers: Vec<NamedIssuer>,
    pub(crate) scopes: Vec<String>,
}

/// Checks the URL in the challenge. Returns it if clients can fetch it.
pub(crate) fn check_url(value: &str, target: &Url) -> (Option<Url>, Vec<Finding>) {
    let found = || format!("resource_metadata={}", quoted(value));
    let url = match Url::parse(value) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.fragment().is_none() => url,
        _ => return (None, vec![Finding::new(&rules::METADATA_URL_INVALID, found())]),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return (
            None,
            vec![Finding::new(&rules::METADATA_URL_INVALID, "user name or password in resource_metadata")],
        );
    }
    let mut findings = Vec::new();
    let may_be_http = is_loopback(target) && is_loopback(&url);
    if url.scheme() == "http" && !may_be_http {
        findings.push(Finding::new(&rules::METADATA_URL_HTTP, found()));
    }
    let names = [AUTHORIZATION_SERVER, OPENID_CONFIGURATION];
    if names.iter().any(|name| url.path().contains(name)) {
        findings.push(Finding::new(&rules::METADATA_URL_OF_AUTHORIZATION_SERVER, found()));
    } else if url.host_str() != target.host_str()
        || url.port_or_known_default() != target.port_or_known_default()
    {
        let is_same_host = url.host_str() == target.host_str();
        if !(is_same_host && url.scheme() != target.scheme()) {
            let found = format!("{} for the resource at {}", found(), quoted(target.as_str()));
            findings.push(Finding::new(&rules::METADATA_URL_ELSEWHERE, found));
        }
    }
    (Some(url), findings)
}

/// Returns the well-known URL of the metadata: that of the resource, if it is the target or above it, or else of the target.
pub(crate) fn well_known(target: &Url, resource: Option<&str>) -> Url {
    let resource = resource.filter(|resource| urls::compare(resource, target) == Relation::Parent);
    let url = resource.and_then(|resource| Url::parse(resource).ok());
    urls::inserted(url.as_ref().unwrap_or(target), PROTECTED_RESOURCE)
}

/// Compares the metadata at the URL in the challenge with that at the well-known URL.
pub(crate) fn check_same(named: &JsonDocument, well_known: &JsonDocument) -> Option<Finding> {
    let differing: Vec<_> = ["resource", "authorization_servers"]
        .into_iter()
        .filter(|name| named.get(name) != well_known.get(name))
        .map(|name| format!("{} instead of {}", member(well_known, name), value_of(named, name)))
        .collect();
    (!differing.is_empty()).then(|| Finding::new(&rules::METADATA_DIFFERS, differing.join(", ")))
}

/// Checks the members of the document.
pub(crate) fn check(
    document: &JsonDocument,
    target: &Url,
    is_mcp: bool,
    scope: Option<&str>,
) -> (MetadataFacts, Vec<Finding>) {
    let mut findings = Vec::new();
    let mut facts = MetadataFacts::default();
    if document.get("resource").is_none() && document.get("issuer").is_some() {
        let found = format!("a document with issuer {} and without resource", value_of(document, "issuer"));
        findings.push(Finding::new(&rules::METADATA_OF_AUTHORIZATION_SERVER, found));
        return (facts, findings);
    }
    facts.resource = check_resource(document, target, &mut findings);
    facts.issuers = check_issuers(document, target, is_mcp, &mut findings);
    facts.scopes = check_scopes(document, scope, &mut findings);
    check_bearer_methods(document, &mut findings);
    for name in ["jwks_uri", "resource_documentation", "resource_policy_uri", "resource_tos_uri"] {
        let Some(value) = document.get(name) else { continue };
        match value.as_str().map(Url::parse) {
            Some(Ok(url)) if url.scheme() == "https" || is_loopback(&url) => {}
            Some(Ok(_)) => findings.push(Finding::new(&rules::RESOURCE_URL_HTTP, member(document, name))),
            Some(Err(_)) | None => findings
                .push(Finding::new(&rules::METADATA_MEMBER_TYPE, member(document, name)).expected("a URL")),
        }
    }
    (facts, findings)
}

fn check_resource(document: &JsonDocument, target: &Url, findings: &mut Vec<Finding>) -> Option<String> {
    let Some(value) = document.get("resource") else {
        findings.push(Finding::new(&rules::NO_RESOURCE, "no member resource"));
        return None;
    };
    let Some(resource) = value.as_str() else {
        let found = member(document, "resource");
        findings.push(Finding::new(&rules::METADATA_MEMBER_TYPE, found).expected("a string"));
        return None;
    };
    let is_http = Url::parse(resource).is_ok_and(|url| url.scheme() == "http" && !is_loopback(&url));
    if is_http && target.scheme() == "http" && !is_loopback(target) {
        findings.push(Finding::new(&rules::RESOURCE_NOT_HTTPS, format!("resource {}", quoted(resource))));
    }
    match urls::compare(resource, target) {
        Relation::Same => {}
        Relation::Parent => {
            let found = format!("resource {} for {}", quoted(resource), quoted(target.as_str()));
            findings.push(Finding::new(&rules::RESOURCE_IS_PARENT, found));
        }
        Relation::Different(differences) => {
            let found = format!("resource {}: {}", quoted(resource), differences.join(", "));
            let expected = format!("{}, which clients compare as text", quoted(target.as_str()));
            findings.push(Finding::new(&rules::RESOURCE_MISMATCH, found).expected(expected));
        }
    }
    Some(resource.to_owned())
}

fn check_issuers(
    document: &JsonDocument,
    target: &Url,
    is_mcp: bool,
    findings: &mut Vec<Finding>,
) -> Vec<NamedIssuer> {
    let severity = if is_mcp { Severity::Error } else { Severity::Warning };
    let issuers = match document.texts("authorization_servers") {
        None => {
            let finding = Finding::new(&rules::NO_AUTHORIZATION_SERVERS, "no member authorization_servers");
            findings.push(finding.severity(severity));
            return Vec::new();
        }
        Some(Err(_)) => {
            let finding =
                Finding::new(&rules::METADATA_MEMBER_TYPE, member(document, "authorization_servers"));
            findings.push(finding.expected("an array of strings"));
            // A single issuer without the array is a common mistake. Its checks are useful anyway.
            document.text("authorization_servers").into_iter().collect()
        }
        Some(Ok(issuers)) if issuers.is_empty() => {
            findings.push(Finding::new(&rules::AUTHORIZATION_SERVERS_EMPTY, "an empty array"));
            return Vec::new();
        }
        Some(Ok(issuers)) => issuers,
    };
    issuers.into_iter().filter_map(|issuer| check_issuer(issuer, target, findings)).collect()
}

/// Checks an issuer identifier. Returns it if its metadata can be fetched.
fn check_issuer(issuer: &str, target: &Url, findings: &mut Vec<Finding>) -> Option<NamedIssuer> {
    let found = || format!("issuer {}", quoted(issuer));
    let url = match Url::parse(issuer) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url,
        _ => {
            findings.push(Finding::new(&rules::ISSUER_INVALID, found()));
            return None;
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        findings.push(Finding::new(&rules::ISSUER_INVALID, "an issuer with a user name or password"));
        return None;
    }
    if url.path().contains("/.well-known/") {
        findings.push(Finding::new(&rules::ISSUER_IS_METADATA_URL, found()));
        let path = url.path().replace(AUTHORIZATION_SERVER, "").replace(OPENID_CONFIGURATION, "");
        let url = urls::with_path(&url, &path);
        let text = url.as_str().trim_end_matches('/').to_owned();
        return Some(NamedIssuer { text, url });
    }
    if url.query().is_some() || url.fragment().is_some() {
        findings.push(Finding::new(&rules::ISSUER_INVALID, found()));
    }
    if url.scheme() == "http" && !(is_loopback(&url) && is_loopback(target)) {
        findings.push(Finding::new(&rules::ISSUER_HTTP, found()));
    }
    Some(NamedIssuer { text: issuer.to_owned(), url })
}

fn check_scopes(document: &JsonDocument, scope: Option<&str>, findings: &mut Vec<Finding>) -> Vec<String> {
    let scopes = match document.texts("scopes_supported") {
        None => {
            findings.push(Finding::new(&rules::SCOPES_SUPPORTED_MISSING, "no member scopes_supported"));
            return Vec::new();
        }
        Some(Err(_)) => {
            let finding = Finding::new(&rules::METADATA_MEMBER_TYPE, member(document, "scopes_supported"));
            findings.push(finding.expected("an array of strings"));
            return Vec::new();
        }
        Some(Ok(scopes)) => scopes,
    };
    if scopes.is_empty() {
        let finding = Finding::new(&rules::METADATA_MEMBER_TYPE, "an empty array scopes_supported");
        findings.push(
            finding
                .severity(Severity::Warning)
                .expected("at least one scope, or no member (RFC 9728 section 3.2)"),
        );
    }
    if scopes.contains(&"offline_access") {
        findings.push(Finding::new(&rules::OFFLINE_ACCESS, "offline_access in scopes_supported"));
    }
    let is_valid = |scope: &&str| {
        !scope.is_empty() && scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
    };
    for invalid in scopes.iter().filter(|scope| !is_valid(scope)) {
        let found = format!("{} in scopes_supported", quoted(invalid));
        findings.push(Finding::new(&rules::SCOPE_MALFORMED, found));
    }
    let named =
        scope.unwrap_or_default().split(' ').filter(|scope| !scope.is_empty() && *scope != "offline_access");
    let known: HashSet<&str> = scopes.iter().copied().collect();
    for missing in named.filter(|scope| !known.contains(scope)) {
        let found = format!("{} in the challenge, not in scopes_supported", quoted(missing));
        findings.push(Finding::new(&rules::SCOPE_NOT_SUPPORTED, found));
    }
    scopes.into_iter().map(str::to_owned).collect()
}

fn check_bearer_methods(document: &JsonDocument, findings: &mut Vec<Finding>) {
    match document.texts("bearer_methods_supported") {
        None => {}
        Some(Err(_)) => {
            let finding =
                Finding::new(&rules::METADATA_MEMBER_TYPE, member(document, "bearer_methods_supported"));
            findings.push(finding.expected("an array of strings"));
        }
        Some(Ok(methods)) if methods == ["header"] => {}
        Some(Ok(_)) => {
            let found = member(document, "bearer_methods_supported");
            findings.push(Finding::new(&rules::BEARER_METHODS, found));
        }
    }
}

fn member(document: &JsonDocument, name: &str) -> String {
    format!("{name}: {}", value_of(document, name))
}

fn value_of(document: &JsonDocument, name: &str) -> String {
    shown(document.get(name).unwrap_or(&Value::Null))
}
