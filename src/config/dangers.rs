//! Refuses combinations of settings that are dangerous or have no effect: [`check_combinations`].

use std::collections::HashMap;

use super::{read::Reader, report::Report};
use crate::Scope;

/// Checks settings that are good by themselves. The rules are listed in the documentation of the module.
pub(super) fn check_combinations(root: &Reader<'_>, report: &mut Report) {
    let issuers = root.get("issuers").elements();
    for issuer in issuers.iter().filter(|issuer| !issuer.is_invalid()) {
        check_id_tokens(issuer, root, report);
        check_missing_issuer(issuer, report);
        check_loopback(issuer, root, report);
        check_ages(issuer, report);
        check_lifetimes(issuer, root, report);
        check_fixed_keys(issuer, report);
    }
    check_routes(&issuers, report);
    check_metadata_loopback(&root.get("metadata"), report);
    check_hierarchy(&root.get("scope_hierarchy"), report);
    check_policies(root, report);
    check_open_defaults(root, report);
}

// In an ID token, `aud` is the identifier of an application (OpenID Connect Core section 2).
fn check_id_tokens(issuer: &Reader<'_>, root: &Reader<'_>, report: &mut Report) {
    let by_audience = issuer.get("accept_typ_jwt");
    let by_audience = Some(by_audience).filter(|rule| rule.is_set() && !rule.is_invalid());
    let Some(rule) =
        by_audience.map(|rule| rule.get("audience_is_only_in_access_tokens")).filter(Reader::flag)
    else {
        return;
    };
    let has_own = issuer.get("audience").is_set() || issuer.get("opaque_audience").is_set();
    let opaque = if has_own { issuer.get("opaque_audience") } else { root.get("opaque_audience") };
    if opaque.is_set() {
        let expected = "expected another rule, because an opaque audience may be the identifier of an application, which is in \
                        the `aud` of its ID tokens";
        report.without_value(rule.path(), expected);
    }
}

/// Only the key tells who issued a token without `iss`, so another claim must name the issuer.
fn check_missing_issuer(issuer: &Reader<'_>, report: &mut Report) {
    let allow = issuer.get("dangerously_allow_missing_issuer");
    let rules = issuer.get("claim_rules");
    if allow.flag() && !rules.is_invalid() && rules.elements().is_empty() {
        let expected =
            "expected claim_rules for a claim that names the issuer, because tokens may have no `iss`";
        report.without_value(allow.path(), expected);
    }
    let (kind, otherwise) = (issuer.get("validation"), issuer.get("otherwise"));
    let is_jwt = !kind.is_set() || kind.text() == Some("jwt");
    if otherwise.flag() && is_jwt && !allow.flag() {
        let expected = "expected only with validation = \"introspection\" or dangerously_allow_missing_issuer, since the tokens \
                        that no other issuer has are opaque or have no `iss`";
        report.without_value(otherwise.path(), expected);
    }
}

fn check_loopback(issuer: &Reader<'_>, root: &Reader<'_>, report: &mut Report) {
    let allow = issuer.get("allow_http_on_loopback");
    let urls = [issuer.get("issuer"), issuer.get("jwks_uri"), issuer.get("introspection_endpoint")];
    if allow.flag() && !urls.iter().any(is_http) {
        report.without_value(allow.path(), "expected none, because no URL of this issuer is http");
    }
    let resource = root.get("metadata");
    let is_public = !resource.is_invalid()
        && resource.get("resource").text().is_some_and(|url| url.starts_with("https://"));
    if is_public && is_http(&issuer.get("issuer")) {
        let expected = "expected https, because the resource is https: a public service must not accept tokens of a development \
                        server";
        report.value(issuer.get("issuer").path(), issuer.get("issuer").text().unwrap_or_default(), expected);
    }
}

fn check_metadata_loopback(metadata: &Reader<'_>, report: &mut Report) {
    if !metadata.is_set() || metadata.is_invalid() {
        return;
    }
    let allow = metadata.get("allow_http_on_loopback");
    let keys = ["resource", "resource_documentation", "resource_policy_uri", "resource_tos_uri"];
    if allow.flag() && !keys.iter().any(|key| is_http(&metadata.get(key))) {
        report.without_value(allow.path(), "expected none, because no URL of the metadata is http");
    }
}

fn is_http(url: &Reader<'_>) -> bool {
    url.text().and_then(|url| url.get(..5)).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:"))
}

fn check_ages(issuer: &Reader<'_>, report: &mut Report) {
    let (skew, age) = (issuer.get("clock_skew"), issuer.get("max_age"));
    let default = crate::clock::DEFAULT_CLOCK_SKEW;
    if let Some(found) = age.duration().filter(|age| !age.is_zero()) {
        let skew = if skew.is_invalid() { default } else { skew.duration().unwrap_or(default) };
        if found <= skew {
            let expected = format!("expected more than the clock skew, which is {skew:?}");
            report.value(age.path(), age.text().unwrap_or_default(), expected);
        }
    }
}

/// Settings of caches that are off.
fn check_lifetimes(issuer: &Reader<'_>, root: &Reader<'_>, report: &mut Report) {
    let (ttl, inactive) = (issuer.get("cache_ttl"), issuer.get("inactive_ttl"));
    let is_zero = |setting: &Reader<'_>| setting.duration().is_some_and(|ttl| ttl.is_zero());
    if is_zero(&ttl) && inactive.is_set() && !is_zero(&inactive) {
        let expected = "expected none with a cache_ttl of zero, since then no result is reused";
        report.without_value(inactive.path(), expected);
    }
    if root.get("verdict_cache_bytes").size() == Some(0) && ttl.is_set() && !is_zero(&ttl) {
        let expected = "expected none with verdict_cache_bytes = \"0B\", since then no result is reused";
        report.without_value(ttl.path(), expected);
    }
}

fn check_fixed_keys(issuer: &Reader<'_>, report: &mut Report) {
    if !issuer.get("keys").is_set() {
        return;
    }
    for key in ["jwks_uri", "key_refresh_interval", "key_cool_down", "key_fetch_timeout"] {
        let setting = issuer.get(key);
        if setting.is_set() {
            report.without_value(setting.path(), "expected none with fixed keys, since no keys are fetched");
        }
    }
}

fn check_routes(issuers: &[Reader<'_>], report: &mut Report) {
    let mut first: HashMap<&str, &str> = HashMap::new();
    let mut otherwise: Option<&Reader<'_>> = None;
    for issuer in issuers.iter().filter(|issuer| !issuer.is_invalid()) {
        if issuer.get("otherwise").flag() {
            if let Some(other) = otherwise {
                let expected = format!("expected only one, and {} is one already", other.path());
                report.without_value(issuer.get("otherwise").path(), expected);
            }
            otherwise = otherwise.or(Some(issuer));
            continue;
        }
        let setting = issuer.get("issuer");
        let Some(name) = setting.text() else { continue };
        match first.get(name) {
            Some(other) => {
                let expected = format!("expected each issuer once, and {other} has it already");
                report.value(setting.path(), name, expected);
            }
            None => {
                first.insert(name, issuer.path());
            }
        }
    }
}

fn check_hierarchy(reader: &Reader<'_>, report: &mut Report) {
    let entries = reader.entries();
    let implied: HashMap<&str, Vec<&str>> =
        entries.iter().map(|(scope, list)| (*scope, list.texts())).collect();
    for (scope, list) in &entries {
        if Scope::new(scope).is_err() {
            let expected =
                "expected a scope, of the characters %x21 / %x23-5B / %x5D-7E (RFC 6749 section 3.3)";
            report.value(list.path(), scope, expected);
        }
        // Everything that the scope implies, directly or through others.
        let mut reached: Vec<&str> = implied.get(scope).cloned().unwrap_or_default();
        let mut next = 0;
        while let Some(lesser) = reached.get(next) {
            let more = implied.get(lesser).into_iter().flatten().copied();
            let more: Vec<_> = more.filter(|scope| !reached.contains(scope)).collect();
            reached.extend(more);
            next += 1;
        }
        if reached.contains(scope) {
            let expected = "expected a scope that does not imply itself, directly or through others";
            report.value(list.path(), scope, expected);
        }
    }
}

fn check_policies(root: &Reader<'_>, report: &mut Report) {
    let set: Vec<_> = ["paths", "grpc", "mcp"].into_iter().filter(|key| root.get(key).is_set()).collect();
    if let [first, others @ ..] = set.as_slice() {
        for other in others {
            let expected = format!("expected none together with {first}: a resource server has one policy");
            report.without_value(root.get(other).path(), expected);
        }
    }
    let forward = root.get("dangerously_forward_credential");
    if forward.flag() {
        for key in ["paths", "mcp"].into_iter().filter(|key| root.get(key).is_set()) {
            let expected = match key {
                "paths" => {
                    "expected none with rules for paths: every backend of a gateway would receive tokens that it could use \
                     elsewhere (RFC 9700 section 2.3)"
                }
                _ => "expected none with mcp: an MCP server must not pass on tokens that it received",
            };
            report.without_value(forward.path(), expected);
        }
    }
    let preflight = root.get("dangerously_pass_cors_preflight");
    if preflight.flag() && root.get("grpc").is_set() {
        let expected = "expected none with grpc: gRPC servers ignore the HTTP method, so anyone could call without a token";
        report.without_value(preflight.path(), expected);
    }
    // Model Context Protocol, Authorization: MCP servers must publish this metadata.
    if root.get("mcp").is_set() && !root.get("metadata").is_set() {
        let metadata = root.get("metadata");
        report.without_value(metadata.path(), "expected metadata, which MCP clients need to get a token");
    }
}

/// The builders refuse a public `otherwise` themselves.
fn check_open_defaults(root: &Reader<'_>, report: &mut Report) {
    for key in ["paths", "grpc"] {
        let policy = root.get(key);
        if !policy.is_set() || policy.is_invalid() {
            continue;
        }
        let (otherwise, open) = (policy.get("otherwise"), policy.get("dangerously_public_otherwise"));
        if open.flag() && otherwise.is_set() {
            let expected = "expected none with dangerously_public_otherwise, which replaces it";
            report.without_value(otherwise.path(), expected);
        }
    }
}
