//! Client ID metadata documents (CIMD): which URLs identify a client, and what their document must contain.
//!
//! Section numbers are those of draft-ietf-oauth-client-id-metadata-document-01.

use serde::{Deserialize, de::IgnoredAny};
use url::Url;

use super::{
    oauth_error::{ErrorCode, OAuthError},
    redirect_uri::{check_redirect_uri, is_loopback},
    registration::{Client, displayable},
};

/// Whether client identifiers on this machine are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loopback {
    Refuse,
    Accept,
}

/// Returns whether a client identifier is a URL, valid or not. Registered clients have other identifiers (section 6.9).
pub(super) fn is_url(client_id: &str) -> bool {
    ["https:", "http:"]
        .iter()
        .any(|scheme| client_id.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
}

/// Checks a client identifier (section 3).
pub(super) fn parse_client_id(client_id: &str, issuer: &str, loopback: Loopback) -> Result<Url, OAuthError> {
    let url = Url::parse(client_id).map_err(|_| invalid_client("client_id is not a URL"))?;
    // Otherwise two spellings could name the same document, and the consent page could show another host than the one that was
    // contacted. This also excludes a missing path and the path segments "." and "..".
    if url.as_str() != client_id || client_id.len() > MAX_URL_LEN {
        return Err(invalid_client("client_id is not a URL in its normal form"));
    }
    if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(invalid_client("client_id has a fragment, a user or a password"));
    }
    let is_accepted_loopback = loopback == Loopback::Accept && is_loopback(&url);
    if url.scheme() != "https" && !is_accepted_loopback {
        return Err(invalid_client("client_id is not an https URL"));
    }
    // This server hosts no client documents, and must not send requests to itself.
    if Url::parse(issuer).is_ok_and(|issuer| issuer.origin() == url.origin()) {
        return Err(invalid_client("client_id is a URL of the authorization server"));
    }
    Ok(url)
}

/// The members that this server reads (section 4.1). The document is for all authorization servers, so it may contain others.
/// A repeated member is an error.
#[derive(Deserialize)]
struct Document {
    client_id: String,
    redirect_uris: Vec<String>,
    client_name: Option<String>,
    grant_types: Option<Vec<String>>,
    token_endpoint_auth_method: Option<String>,
    client_secret: Option<IgnoredAny>,
    client_secret_expires_at: Option<IgnoredAny>,
}

/// Reads the document that was found at `client_id`.
pub(super) fn parse_document(client_id: &str, json: &[u8]) -> Result<Client, OAuthError> {
    let document: Document = serde_json::from_slice(json)
        .map_err(|_| invalid_client("the document of the client is malformed or incomplete"))?;
    // Section 4.1: compared as strings. Otherwise anyone could use the document of another client.
    if document.client_id != client_id {
        return Err(invalid_client("the document of the client names another client_id"));
    }
    check_authentication(&document)?;
    let grant_types = document.grant_types.unwrap_or_else(|| vec![AUTHORIZATION_CODE.to_owned()]);
    if !grant_types.iter().any(|grant_type| grant_type == AUTHORIZATION_CODE) {
        return Err(invalid_client("grant_types of the client does not contain authorization_code"));
    }
    // Skip redirect URIs that this server does not support, such as private schemes. They may be for other servers.
    let redirect_uris: Vec<_> =
        document.redirect_uris.into_iter().filter(|uri| check_redirect_uri(uri).is_ok()).collect();
    if redirect_uris.is_empty() {
        return Err(invalid_client("the document of the client has no redirect URI that can be used"));
    }
    Ok(Client {
        id: document.client_id,
        name: document.client_name.as_deref().and_then(displayable),
        redirect_uris,
        may_refresh: grant_types.iter().any(|grant_type| grant_type == REFRESH_TOKEN),
    })
}

// Section 4.1: a public document cannot contain a shared secret, so methods that need one are excluded. Section 6.2 allows
// `private_key_jwt`, but then the client must authenticate, and this server cannot check that.
fn check_authentication(document: &Document) -> Result<(), OAuthError> {
    if document.client_secret.is_some() || document.client_secret_expires_at.is_some() {
        return Err(invalid_client("the document of the client contains a secret"));
    }
    match document.token_endpoint_auth_method.as_deref() {
        // The default of RFC 7591 needs a secret, which does not exist here.
        None | Some("none") => Ok(()),
        Some(_) => Err(invalid_client("token_endpoint_auth_method of the client is not none")),
    }
}

pub(super) fn invalid_client(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClient, description)
}

const AUTHORIZATION_CODE: &str = "authorization_code";
const REFRESH_TOKEN: &str = "refresh_token";

/// In bytes. Section 3 recommends a short URL.
const MAX_URL_LEN: usize = 1_024;
