//! Fetches the metadata of an authorization server (RFC 8414 or OpenID Connect Discovery).

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, header::CONTENT_TYPE};
use url::Url;

use super::Issuer;
use crate::{
    HttpClient,
    http_client::fetch::{FetchError, check_status, get, is_json},
    refusal::Excerpt,
    strict_json::{self, Members},
    url_policy::{Loopback, check_url},
    user_info::without_user_info,
};

/// The endpoints that a resource server needs. Each has its own result, because a validator needs only one of them.
#[derive(Clone, Debug)]
pub(crate) struct ServerMetadata {
    pub(crate) jwks_uri: Result<Url, FetchError>,
    pub(crate) introspection_endpoint: Result<Url, FetchError>,
}

impl ServerMetadata {
    /// Fetches the metadata of `issuer`, trying one URL after the other. `timeout` applies to each of them.
    pub(crate) async fn fetch(
        client: &dyn HttpClient,
        issuer: &Issuer,
        timeout: Duration,
    ) -> Result<Self, FetchError> {
        let mut last = FetchError::Unusable(format!("issuer {issuer:?} has no well-known URL"));
        for url in well_known_urls(issuer) {
            let response = match get(client, &url, timeout).await {
                Ok(response) => response,
                Err(error @ FetchError::NoResponse(_)) => return Err(error),
                Err(error) => {
                    last = error;
                    continue;
                }
            };
            match document(&url, &response) {
                Ok(members) => return Self::parse(&members, issuer, &url),
                // Some servers send 200 with HTML for every unknown path.
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn parse(members: &Members<'_>, issuer: &Issuer, url: &Url) -> Result<Self, FetchError> {
        let text = |name| members.find(name).and_then(strict_json::string);
        // RFC 8414 section 3.3: if the issuer is not identical, the metadata must not be used.
        match text("issuer") {
            Some(found) if found == issuer.as_str() => {}
            found => {
                let found = found
                    .map_or("(absent)".into(), |found| Excerpt::new(&without_user_info(&found)).to_string());
                return Err(FetchError::Unusable(format!(
                    "metadata at {url} names issuer {found}, expected \"{issuer}\" (RFC 8414 section 3.3)"
                )));
            }
        }
        // An `https` issuer must not name an `http` URL.
        let loopback = if issuer.has_tls() { Loopback::Refuse } else { Loopback::Accept };
        let endpoint = |name: &'static str| {
            let found =
                text(name).ok_or_else(|| FetchError::Unusable(format!("metadata at {url} has no {name}")))?;
            check_url(name, &found, loopback)
                .map_err(|problem| FetchError::Unusable(format!("metadata at {url}: {problem}")))
        };
        Ok(Self {
            jwks_uri: endpoint("jwks_uri"),
            introspection_endpoint: endpoint("introspection_endpoint"),
        })
    }
}

/// Returns the possible URLs of the metadata, in the order in which they are tried.
fn well_known_urls(issuer: &Issuer) -> Vec<Url> {
    let Ok(base) = Url::parse(issuer.as_str()) else {
        return Vec::new();
    };
    // RFC 8414 section 3.1: "any terminating "/" MUST be removed".
    let path = base.path().trim_end_matches('/').to_owned();
    let at = |path: String| {
        let mut url = base.clone();
        url.set_path(&path);
        url
    };
    let mut urls = vec![
        at(format!("/.well-known/oauth-authorization-server{path}")),
        at(format!("/.well-known/openid-configuration{path}")),
        at(format!("{path}/.well-known/openid-configuration")),
    ];
    urls.dedup();
    urls
}

/// Parses a response: status 200, `application/json`, a JSON object (RFC 8414 section 3.2).
fn document<'a>(url: &Url, response: &'a http::Response<Bytes>) -> Result<Members<'a>, FetchError> {
    check_status(url, response)?;
    if !is_json(response) {
        let found = response.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let found = Excerpt::new(&String::from_utf8_lossy(found));
        return Err(FetchError::Unusable(format!(
            "GET {url}: content type {found}, expected application/json"
        )));
    }
    Members::parse(response.body())
        .map_err(|error| FetchError::Unusable(format!("GET {url}: not an acceptable JSON object: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(issuer: &str) -> Vec<String> {
        well_known_urls(&Issuer::new(issuer).unwrap()).into_iter().map(Into::into).collect()
    }

    #[test]
    fn r8414_02_the_well_known_part_is_inserted_before_the_path() {
        for (issuer, first) in [
            ("https://h", "https://h/.well-known/oauth-authorization-server"),
            ("https://h/", "https://h/.well-known/oauth-authorization-server"),
            ("https://h/t", "https://h/.well-known/oauth-authorization-server/t"),
            ("https://h/t/", "https://h/.well-known/oauth-authorization-server/t"),
        ] {
            assert_eq!(urls(issuer)[0], first, "{issuer}");
        }
    }

    #[test]
    fn r8414_03_openid_discovery_comes_inserted_then_appended() {
        assert_eq!(
            urls("https://h/t/")[1..],
            ["https://h/.well-known/openid-configuration/t", "https://h/t/.well-known/openid-configuration"]
        );
        assert_eq!(urls("https://h").len(), 2);
    }
}
