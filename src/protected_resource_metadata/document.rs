//! The metadata document (RFC 9728 section 2) and its path (section 3.1).

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use serde_json::{Map, Value, json};
use url::Url;

use super::ProtectedResourceMetadata;
use crate::{
    Issuer, Scope,
    config_error::Problem,
    requirement::deduplicated,
    scope::OFFLINE_ACCESS,
    url_policy::{check_url, with_lower_case_origin},
};

/// The path of the document, for a resource without a path.
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// Published metadata. Clones share the document.
#[derive(Clone, Debug)]
pub(crate) struct Publication(Arc<Published>);

#[derive(Debug)]
struct Published {
    /// Every path at which the document is served.
    paths: Box<[Box<str>]>,
    document: ArcSwap<Document>,
    /// The scopes of each guard created so far.
    guard_scopes: Mutex<Vec<Scope>>,
}

/// One version of the document.
#[derive(Debug)]
struct Document {
    /// All members except the scopes.
    members: Map<String, Value>,
    url: Box<str>,
    scopes: DocumentScopes,
}

#[derive(Debug)]
enum DocumentScopes {
    Configured(Vec<Scope>),
    /// These, and the scopes of the guards.
    Derived(Vec<Scope>),
}

impl Publication {
    /// # Errors
    /// If a setting is invalid. All problems are returned.
    pub(crate) fn new(
        metadata: ProtectedResourceMetadata,
        issuers: &[Issuer],
        derived_scopes: Vec<Scope>,
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
        // RFC 9728 and the MCP SDK for Python remove a trailing slash only if it directly follows the host. The MCP SDK for
        // TypeScript removes it from any path.
        let without_slash = path.strip_suffix('/').map(Into::into);
        let root = (also_at_root && path != WELL_KNOWN).then(|| WELL_KNOWN.into());
        let paths = [Some(path.as_str().into()), without_slash, root].into_iter().flatten().collect();
        members.insert("resource".into(), (*resource).into());
        members.insert("bearer_methods_supported".into(), json!(["header"]));
        if !issuers.is_empty() {
            let issuers: Vec<_> = issuers.iter().map(Issuer::as_str).collect();
            members.insert("authorization_servers".into(), issuers.into());
        }
        let document = Document {
            members,
            url: document_url(&url, &path).into(),
            scopes: match scopes_supported {
                Some(configured) => DocumentScopes::Configured(configured),
                None => DocumentScopes::Derived(derived_scopes),
            },
        };
        let document = ArcSwap::from_pointee(document);
        Ok(Self(Arc::new(Published { paths, document, guard_scopes: Mutex::default() })))
    }

    /// Returns the identifier of the resource.
    pub(crate) fn resource(&self) -> Box<str> {
        let document = self.0.document.load();
        document.members.get("resource").and_then(Value::as_str).unwrap_or_default().into()
    }

    /// Returns the URL of the document, for challenges.
    pub(crate) fn url(&self) -> Box<str> {
        self.0.document.load().url.clone()
    }

    /// Returns every path at which the document is served. The first one is in challenges.
    pub(crate) fn paths(&self) -> &[Box<str>] {
        &self.0.paths
    }

    pub(crate) fn is_at(&self, path: &str) -> bool {
        self.0.paths.iter().any(|known| &**known == path)
    }

    /// Checks whether the document of `next` can be published in place of this one.
    ///
    /// # Errors
    /// If it has other paths, because the service is mounted already.
    pub(crate) fn check_replacement(&self, next: &Self) -> Result<(), Problem> {
        if self.0.paths == next.0.paths {
            return Ok(());
        }
        let expected = format!(
            "expected a resource with the metadata paths {}, which are mounted already; restart the service to change them",
            self.0.paths.join(", ")
        );
        Err(Problem::new("resource", next.resource(), expected))
    }

    /// Publishes the document of `next` from now on. The scopes of the guards are kept.
    pub(crate) fn replace(&self, next: &Self) {
        self.0.document.store(next.0.document.load_full());
    }

    /// Adds the scopes of a guard to the published ones, unless the scopes were configured.
    pub(crate) fn add_scopes(&self, scopes: &[Scope]) {
        let mut known = self.0.guard_scopes.lock().unwrap_or_else(PoisonError::into_inner);
        let added = deduplicated(known.iter().chain(scopes).cloned());
        *known = added;
    }

    /// Returns the document. Members without a value are omitted (RFC 9728 section 3.2).
    pub(crate) fn document(&self) -> Value {
        let document = self.0.document.load();
        let mut members = document.members.clone();
        let scopes = match &document.scopes {
            DocumentScopes::Configured(scopes) => scopes.clone(),
            DocumentScopes::Derived(scopes) => {
                let guards = self.0.guard_scopes.lock().unwrap_or_else(PoisonError::into_inner);
                let all = deduplicated(scopes.iter().chain(&*guards).cloned());
                all.into_iter().filter(|scope| scope.as_str() != OFFLINE_ACCESS).collect()
            }
        };
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
        Publication::new(ProtectedResourceMetadata::new(resource), &[], Vec::new()).unwrap()
    }

    fn paths(publication: &Publication) -> Vec<&str> {
        publication.paths().iter().map(|path| &**path).collect()
    }

    #[test]
    fn r9728_01_well_known_part_goes_before_the_path() {
        let publication = publication("https://h/a/b");

        assert_eq!(paths(&publication), ["/.well-known/oauth-protected-resource/a/b"]);
        assert_eq!(&*publication.url(), "https://h/.well-known/oauth-protected-resource/a/b");
    }

    #[test]
    fn r9728_02_a_bare_host_has_no_suffix_and_a_last_slash_has_two_paths() {
        for (resource, expected) in [
            ("https://h", &["/.well-known/oauth-protected-resource"][..]),
            ("https://h/", &["/.well-known/oauth-protected-resource"]),
            (
                "https://h/a/",
                &["/.well-known/oauth-protected-resource/a/", "/.well-known/oauth-protected-resource/a"],
            ),
        ] {
            assert_eq!(paths(&publication(resource)), expected, "{resource}");
        }
    }

    #[test]
    fn rmcp_02_root_path_is_added_by_a_call() {
        for (resource, expected) in [
            (
                "https://h/mcp",
                &["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"][..],
            ),
            ("https://h", &["/.well-known/oauth-protected-resource"]),
        ] {
            let metadata = ProtectedResourceMetadata::new(resource).also_at_root();
            let publication = Publication::new(metadata, &[], Vec::new()).unwrap();

            assert_eq!(paths(&publication), expected);
            assert!(publication.url().ends_with(expected[0]));
        }
    }

    #[test]
    fn r9728_07_a_query_is_kept_after_the_path() {
        let publication = publication("https://h/a?t=1");

        assert_eq!(&*publication.url(), "https://h/.well-known/oauth-protected-resource/a?t=1");
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
        let publication = Publication::new(metadata, &[], vec![Scope::from_static("base")]).unwrap();

        publication.add_scopes(&[Scope::from_static("write")]);

        assert_eq!(publication.document()["scopes_supported"], json!(["read"]));
    }
}
