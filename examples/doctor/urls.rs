//! Builds well-known URLs, and compares URLs as clients do.

use std::net::IpAddr;

use url::{Host, Url};

/// The path of the metadata of a resource (RFC 9728 section 3).
pub(crate) const PROTECTED_RESOURCE: &str = "/.well-known/oauth-protected-resource";
/// The path of the metadata of an authorization server (RFC 8414 section 3).
pub(crate) const AUTHORIZATION_SERVER: &str = "/.well-known/oauth-authorization-server";
/// The path of the metadata of an OpenID provider (OpenID Connect Discovery section 4).
pub(crate) const OPENID_CONFIGURATION: &str = "/.well-known/openid-configuration";

/// Inserts a well-known path between host and path (RFC 9728 section 3.1, RFC 8414 section 3.1).
pub(crate) fn inserted(url: &Url, well_known: &str) -> Url {
    let path = if url.path() == "/" { "" } else { url.path() };
    with_path(url, &format!("{well_known}{path}"))
}

/// Appends a well-known path to the path, as OpenID Connect Discovery does.
pub(crate) fn appended(url: &Url, well_known: &str) -> Url {
    with_path(url, &format!("{}{well_known}", url.path().trim_end_matches('/')))
}

/// Replaces the path and removes the query.
pub(crate) fn with_path(url: &Url, path: &str) -> Url {
    let mut url = url.clone();
    url.set_path(path);
    url.set_query(None);
    url
}

/// Returns the URLs at which clients look for the metadata of an authorization server, in their order (MCP, section
/// "Authorization Server Metadata Discovery").
pub(crate) fn of_authorization_server(issuer: &Url) -> Vec<Url> {
    let mut urls = vec![
        inserted(&without_last_slash(issuer), AUTHORIZATION_SERVER),
        inserted(&without_last_slash(issuer), OPENID_CONFIGURATION),
        appended(issuer, OPENID_CONFIGURATION),
    ];
    urls.dedup();
    urls
}

fn without_last_slash(url: &Url) -> Url {
    with_path(url, url.path().trim_end_matches('/'))
}

/// How a resource identifier relates to the URL that was requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Same,
    /// On the same origin, and its path begins that of the URL.
    Parent,
    /// These parts differ.
    Different(Vec<String>),
}

/// Compares a resource identifier with the URL that was requested. The identifier must be a URL.
pub(crate) fn compare(resource: &str, target: &Url) -> Relation {
    let Ok(url) = Url::parse(resource) else {
        return Relation::Different(vec!["not a URL".to_owned()]);
    };
    let mut differences = Vec::new();
    if url.fragment().is_some() {
        differences.push("it has a fragment".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        differences.push("it has a user name or password".to_owned());
    }
    if url.scheme() != target.scheme() {
        let hint = match (url.scheme(), target.scheme()) {
            ("http", "https") => ", perhaps because a proxy terminates TLS",
            _ => "",
        };
        differences.push(format!("scheme {:?} instead of {:?}{hint}", url.scheme(), target.scheme()));
    }
    let (host, target_host) = (url.host_str().unwrap_or_default(), target.host_str().unwrap_or_default());
    if host != target_host {
        let hint = if is_internal(&url) { ", which looks like a name behind a proxy" } else { "" };
        differences.push(format!("host {host:?} instead of {target_host:?}{hint}"));
    }
    if url.port() != target.port() && url.scheme() == target.scheme() {
        let port = |url: &Url| url.port().map_or_else(|| "no port".to_owned(), |port| format!("port {port}"));
        differences.push(format!("{} instead of {}", port(&url), port(target)));
    } else if url.port() != target.port()
        && let Some(port) = url.port()
    {
        differences.push(format!("port {port}"));
    }
    if let Some(spelling) = spelling(resource, &url) {
        differences.push(spelling.to_owned());
    }
    let (path, target_path) = (url.path(), target.path());
    let is_parent = path == "/"
        || target_path.strip_prefix(path.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'));
    let has_query = url.query().is_some() && url.query() != target.query();
    if has_query {
        differences.push("another query".to_owned());
    }
    if path == target_path {
        return if differences.is_empty() { Relation::Same } else { Relation::Different(differences) };
    }
    if path.trim_end_matches('/') == target_path.trim_end_matches('/') {
        let difference = if path.ends_with('/') { "a slash at the end" } else { "no slash at the end" };
        differences.push(difference.to_owned());
    } else if path.eq_ignore_ascii_case(target_path) {
        differences.push(format!("path {path:?} instead of {target_path:?}, another case"));
    } else if is_parent && differences.is_empty() && (path == "/" || !path.ends_with('/')) {
        return Relation::Parent;
    } else if !is_parent {
        differences.push(format!("path {path:?} instead of {target_path:?}"));
    } else if path != "/" && path.ends_with('/') {
        differences.push("a slash at the end".to_owned());
    }
    Relation::Different(differences)
}

/// Returns how the text of a URL differs from its usual spelling, which clients compare it with.
fn spelling(text: &str, url: &Url) -> Option<&'static str> {
    let usual = url.as_str();
    if text == usual || (url.path() == "/" && usual.strip_suffix('/') == Some(text)) {
        return None;
    }
    if url.path() == "/" && url.query().is_some() {
        return None;
    }
    let origin = text.get(..text.len().min(usual.len())).unwrap_or(text);
    let is_default_port = |port: &str| text.contains(port) && !usual.contains(port);
    if is_default_port(":443") || is_default_port(":80") {
        Some("the default port is written")
    } else if origin.bytes().take(usual.len() - url.path().len()).any(|byte| byte.is_ascii_uppercase()) {
        Some("scheme or host in upper case")
    } else {
        Some("an unusual spelling, such as escapes, dots or white space")
    }
}

/// Returns whether a host is probably not reachable from outside.
fn is_internal(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let suffixes = [".local", ".internal", ".localhost", ".svc", ".lan", ".cluster.local"];
            !name.contains('.') || suffixes.iter().any(|suffix| name.ends_with(suffix))
        }
        Some(Host::Ipv4(address)) => is_internal_address(address.into()),
        Some(Host::Ipv6(address)) => is_internal_address(address.into()),
        None => false,
    }
}

fn is_internal_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_private()
                || address.is_loopback()
                || address.is_unspecified()
                || address.is_link_local()
        }
        IpAddr::V6(address) => address.is_loopback() || address.is_unspecified() || address.is_unique_local(),
    }
}
