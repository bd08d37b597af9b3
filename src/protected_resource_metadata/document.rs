//! The metadata document (RFC 9728 section 2) and its path (section 3.1).

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};
use url::Url;

use super::ProtectedResourceMetadata;
use crate::{
    Issuer, Scope,
    config_error::Problem,
    scope::OFFLINE_ACCESS,
    url_policy::{check_url, with_lower_case_origin},
};

/// The path of the document, for a resource without a path.
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// Published metadata. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Publication(Arc<Published>);

#[derive(Debug)]
struct Published {
    /// All members except the scopes.
    members: Map<String, Value>,
    url: Box<str>,
    path: Box<str>,
    other_paths: Vec<Box<str>>,
    /// The configured scopes, or the baseline scopes plus those of each guard created so far.
    scopes: Mutex<Vec<Scope>>,
    grows: bool,
}

impl Publication {
    /// # Errors
    /// If a setting is invalid. All problems are returned.
    pub(crate) fn new(
        metadata: ProtectedResourceMetadata,
        issuers: &[Issuer],
        baseline: &[Scope],
    ) -> Result<Self, Vec<Problem>> {
        let ProtectedResourceMetadata {
            resource,
            scopes_supported,
            mut members,
            urls,
            loopback,
            also_at_root,
            mut problems,
        } = metadata;
        for (name, url) in urls {
            problems.extend(check_url(name, &url, loopback).err());
        }
        let url = match check_url("resource", &resource, loopback) {
            Ok(url) if problems.is_empty() => url,
            Ok(_) => return Err(problems),
            Err(problem) => {
                problems.push(problem);
                return Err(problems);
            }
        };
        if url.query().is_some() {
            tracing::warn!(
                %resource,
                "resource identifier has a query, which RFC 9728 section 1.2 advises against"
            );
        }
        if with_lower_case_origin(&resource) != *resource {
            tracing::warn!(
                %resource,
                "resource identifier with an upper-case scheme or host: clients compare it as text with a URL in lower case"
            );
        }
        let path = well_known_path(&url);
        let mut other_paths: Vec<Box<str>> = path.strip_suffix('/').map(Into::into).into_iter().collect();
        if also_at_root && path != WELL_KNOWN {
            other_paths.push(WELL_KNOWN.into());
        }
        members.insert("resource".into(), (*resource).into());
        members.insert("bearer_methods_supported".into(), json!(["header"]));
        if !issuers.is_empty() {
            let issuers: Vec<_> = issuers.iter().map(Issuer::as_str).collect();
            members.insert("authorization_servers".into(), issuers.into());
        }
        let grows = scopes_supported.is_none();
        Ok(Self(Arc::new(Published {
            members,
            url: document_url(&url, &path).into(),
            path: path.into(),
            other_paths,
            scopes: Mutex::new(scopes_supported.unwrap_or_else(|| baseline.to_vec())),
            grows,
        })))
    }

    /// Returns the identifier of the resource.
    pub(crate) fn resource(&self) -> &str {
        self.0.members.get("resource").and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns the URL of the document, for challenges.
    pub(crate) fn url(&self) -> &str {
        &self.0.url
    }

    /// Returns every path at which the document is served. RFC 9728 and the MCP SDK for Python remove a trailing slash
    /// only if it directly follows the host. The MCP SDK for TypeScript removes it from any path.
    pub(crate) fn paths(&self) -> Vec<&str> {
        std::iter::once(&self.0.path).chain(&self.0.other_paths).map(|path| &**path).collect()
    }

    /// Adds the scopes of a guard to the published ones, unless the scopes were configured.
    pub(crate) fn add_scopes<'a>(&self, scopes: impl IntoIterator<Item = &'a Scope>) {
        if !self.0.grows {
            return;
        }
        let mut published = self.0.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        for scope in scopes {
            if scope.as_str() != OFFLINE_ACCESS && !published.contains(scope) {
                published.push(scope.clone());
            }
        }
    }

    /// Returns the document. Members without a value are omitted (RFC 9728 section 3.2).
    pub(crate) fn document(&self) -> Value {
        let mut members = self.0.members.clone();
        let scopes = self.0.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        if !scopes.is_empty() {
            let scopes: Vec<_> = scopes.iter().map(Scope::as_str).collect();
            members.insert("scopes_supported".into(), scopes.into());
        }
        Value::Object(members)
    }
}

// RFC 9728 section 3.1: the well-known part is inserted between host and path. A slash that directly follows the host
// is removed.
fn well_known_path(resource: &Url) -> String {
    match resource.path() {
        "/" => WELL_KNOWN.to_owned(),
        path => format!("{WELL_KNOWN}{path}"),
    }
}

fn document_url(resource: &Url, path: &str) -> String {
    let mut url = resource.clone();
    url.set_path(path);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publication(resource: &str) -> Publication {
        Publication::new(ProtectedResourceMetadata::new(resource), &[], &[]).unwrap()
    }

    #[test]
    fn r9728_01_well_known_part_goes_before_the_path() {
        let publication = publication("https://h/a/b");

        assert_eq!(publication.paths(), ["/.well-known/oauth-protected-resource/a/b"]);
        assert_eq!(publication.url(), "https://h/.well-known/oauth-protected-resource/a/b");
    }

    #[test]
    fn r9728_02_a_bare_host_has_no_suffix_and_a_last_slash_has_two_paths() {
        for (resource, paths) in [
            ("https://h", &["/.well-known/oauth-protected-resource"][..]),
            ("https://h/", &["/.well-known/oauth-protected-resource"]),
            (
                "https://h/a/",
                &["/.well-known/oauth-protected-resource/a/", "/.well-known/oauth-protected-resource/a"],
            ),
        ] {
            assert_eq!(publication(resource).paths(), paths, "{resource}");
        }
    }

    #[test]
    fn rmcp_02_root_path_is_added_by_a_call() {
        for (resource, paths) in [
            (
                "https://h/mcp",
                &["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"][..],
            ),
            ("https://h", &["/.well-known/oauth-protected-resource"]),
        ] {
            let metadata = ProtectedResourceMetadata::new(resource).also_at_root();
            let publication = Publication::new(metadata, &[], &[]).unwrap();

            assert_eq!(publication.paths(), paths);
            assert!(publication.url().ends_with(paths[0]));
        }
    }

    #[test]
    fn r9728_07_a_query_is_kept_after_the_path() {
        let publication = publication("https://h/a?t=1");

        assert_eq!(publication.url(), "https://h/.well-known/oauth-protected-resource/a?t=1");
        assert_eq!(publication.document()["resource"], "https://h/a?t=1");
    }

    #[test]
    fn r9728_06_members_without_value_are_left_out() {
        assert_eq!(
            publication("https://h").document(),
            json!({"resource": "https://h", "bearer_methods_supported": ["header"]})
        );
    }

    #[test]
    fn r9728_11_scopes_come_from_the_guards_and_never_offline_access() {
        let publication = publication("https://h");

        publication.add_scopes(&[Scope::from_static("read"), Scope::from_static(OFFLINE_ACCESS)]);
        publication.add_scopes(&[Scope::from_static("write"), Scope::from_static("read")]);

        assert_eq!(publication.document()["scopes_supported"], json!(["read", "write"]));
    }

    #[test]
    fn configured_scopes_are_not_extended() {
        let metadata = ProtectedResourceMetadata::new("https://h");
        let metadata = metadata.scopes_supported([Scope::from_static("read")]);
        let publication = Publication::new(metadata, &[], &[Scope::from_static("base")]).unwrap();

        publication.add_scopes(&[Scope::from_static("write")]);

        assert_eq!(publication.document()["scopes_supported"], json!(["read"]));
    }
}
