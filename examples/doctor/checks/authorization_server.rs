//! The metadata of the authorization server (RFC 8414).

use std::collections::HashSet;

use serde_json::Value;
use url::Url;

use super::{
    super::{
        document::JsonDocument,
        exchange::is_loopback,
        finding::{Finding, Severity, quoted, shown},
        rules,
    },
    documents::DocumentRules,
    metadata::NamedIssuer,
};

pub(crate) const RULES: DocumentRules = DocumentRules {
    unreachable: &rules::ISSUER_UNREACHABLE,
    refused: &rules::ISSUER_METADATA_MISSING,
    redirected: &rules::ISSUER_METADATA_REDIRECTED,
    status: &rules::ISSUER_METADATA_MISSING,
    not_json: &rules::ISSUER_METADATA_NOT_JSON,
    content_type: Some(&rules::ISSUER_METADATA_CONTENT_TYPE),
    repeated: Some(&rules::ISSUER_METADATA_REPEATED_MEMBER),
};

/// Endpoints that must be URLs, if they are present.
const ENDPOINTS: [&str; 9] = [
    "authorization_endpoint",
    "token_endpoint",
    "jwks_uri",
    "introspection_endpoint",
    "revocation_endpoint",
    "registration_endpoint",
    "userinfo_endpoint",
    "device_authorization_endpoint",
    "pushed_authorization_request_endpoint",
];

/// Checks the members of the document. `issuer` is what the metadata of the resource names.
pub(crate) fn check(
    document: &JsonDocument,
    issuer: &NamedIssuer,
    is_mcp: bool,
    scopes: &[String],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(check_issuer(document, issuer));
    for name in ENDPOINTS {
        findings.extend(document.get(name).and_then(|value| check_endpoint(name, value, &issuer.url)));
    }
    // Without the member, the grant types are authorization_code and implicit (RFC 8414 section 2).
    let grants = document.texts("grant_types_supported").and_then(Result::ok);
    let users_log_in = grants.is_none_or(|grants| grants.contains(&"authorization_code"));
    if document.get("token_endpoint").is_none() {
        findings.push(Finding::new(&rules::NO_TOKEN_ENDPOINT, "no member token_endpoint"));
    }
    if users_log_in && document.get("authorization_endpoint").is_none() {
        let finding = Finding::new(&rules::NO_AUTHORIZATION_ENDPOINT, "no member authorization_endpoint");
        findings.push(finding.severity(if is_mcp { Severity::Error } else { Severity::Warning }));
    }
    if document.get("jwks_uri").is_none() {
        let has_introspection = document.get("introspection_endpoint").is_some();
        let severity = if has_introspection { Severity::Note } else { Severity::Warning };
        findings.push(Finding::new(&rules::NO_JWKS_URI, "no member jwks_uri").severity(severity));
    }
    if users_log_in {
        findings.extend(check_pkce(document, is_mcp));
        if document.get("response_types_supported").is_none() {
            findings.push(Finding::new(&rules::NO_RESPONSE_TYPES, "no member response_types_supported"));
        }
    }
    if let Some(Ok(supported)) = document.texts("scopes_supported") {
        let supported: HashSet<&str> = supported.into_iter().collect();
        for scope in scopes.iter().filter(|scope| !supported.contains(scope.as_str())) {
            let found = format!("scope {} is not in scopes_supported", quoted(scope));
            findings.push(Finding::new(&rules::SCOPE_UNKNOWN_TO_ISSUER, found));
        }
    }
    findings
}

fn check_issuer(document: &JsonDocument, issuer: &NamedIssuer) -> Option<Finding> {
    let found = match document.get("issuer") {
        None => "no member issuer".to_owned(),
        Some(Value::String(found)) if *found == issuer.text => return None,
        Some(Value::String(found)) => {
            let is_slash = found.trim_end_matches('/') == issuer.text.trim_end_matches('/');
            let hint = if is_slash { ", which differs by the slash at the end" } else { "" };
            format!("issuer {}{hint}", quoted(found))
        }
        Some(other) => format!("issuer {}", shown(other)),
    };
    Some(Finding::new(&rules::ISSUER_MISMATCH, found).expected(format!("issuer {}", quoted(&issuer.text))))
}

fn check_endpoint(name: &str, value: &Value, issuer: &Url) -> Option<Finding> {
    let text = value.as_str().unwrap_or_default();
    let shown = || format!("{name}: {}", shown(value));
    match Url::parse(text) {
        Ok(url) if url.scheme() == "https" && url.has_host() => None,
        Ok(url) if url.scheme() == "http" && is_loopback(&url) && is_loopback(issuer) => None,
        Ok(url) if url.scheme() == "http" => Some(Finding::new(&rules::ENDPOINT_HTTP, shown())),
        Ok(_) | Err(_) => Some(Finding::new(&rules::ENDPOINT_INVALID, shown())),
    }
}

fn check_pkce(document: &JsonDocument, is_mcp: bool) -> Option<Finding> {
    let found = match document.texts("code_challenge_methods_supported") {
        Some(Ok(methods)) if methods.contains(&"S256") => return None,
        Some(Ok(methods)) => format!("code_challenge_methods_supported: {}", quoted(&methods.join(", "))),
        Some(Err(other)) => format!("code_challenge_methods_supported: {}", shown(other)),
        None => "no member code_challenge_methods_supported".to_owned(),
    };
    let severity = if is_mcp { Severity::Error } else { Severity::Warning };
    Some(Finding::new(&rules::NO_S256, found).severity(severity))
}
