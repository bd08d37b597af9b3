//! Resources that tokens are issued for, and their scopes (RFC 8707, RFC 6749 section 3.3).

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::constant_time;
use axum::http::{HeaderMap, header};
use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{
    oauth_error::{ErrorCode, OAuthError},
    state::random_text,
};

/// The format of the access tokens for a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFormat {
    /// Signed; the resource server verifies it (RFC 9068).
    Jwt,
    /// A random string; the resource server asks the authorization server about it (RFC 7662).
    Opaque,
}

/// The resource server's own credential for the introspection endpoint, for `client_secret_basic`.
#[derive(Debug, Clone)]
pub struct ResourceCredential {
    pub id: String,
    pub secret: Secret,
}

impl ResourceCredential {
    fn matches(&self, id: &str, secret: &str) -> bool {
        let (expected, secret) = (self.secret.expose().as_bytes(), secret.as_bytes());
        self.id == id && constant_time::verify_slices_are_equal(expected, secret).is_ok()
    }
}

/// A secret that `Debug` does not print.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Returns the secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

/// A protected resource.
pub(super) struct Resource {
    /// Compared exactly; `aud` of its tokens.
    pub(super) identifier: String,
    pub(super) format: TokenFormat,
    pub(super) scopes: ScopeSet,
    credential: ResourceCredential,
}

impl Resource {
    pub(super) fn new(identifier: &str, format: TokenFormat, scopes: ScopeSet) -> Self {
        let credential = ResourceCredential { id: random_text(), secret: Secret(random_text()) };
        Self { identifier: identifier.to_owned(), format, scopes, credential }
    }
}

/// All resources.
#[derive(Default)]
pub(super) struct Resources(RwLock<Vec<Arc<Resource>>>);

impl Resources {
    /// Adds a resource, or replaces it if it exists.
    pub(super) fn add(&self, identifier: &str, format: TokenFormat, scopes: ScopeSet) -> ResourceCredential {
        let resource = Resource::new(identifier, format, scopes);
        let credential = resource.credential.clone();
        let mut resources = self.0.write().unwrap_or_else(PoisonError::into_inner);
        resources.retain(|known| known.identifier != identifier);
        resources.push(Arc::new(resource));
        credential
    }

    pub(super) fn find(&self, identifier: &str) -> Option<Arc<Resource>> {
        self.all().into_iter().find(|resource| resource.identifier == identifier)
    }

    pub(super) fn all(&self) -> Vec<Arc<Resource>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the resource that a client requests a token for.
    ///
    /// RFC 8707 section 2 also allows several resources in one request. Here a token is for exactly one, so
    /// that a resource cannot use it at another.
    pub(super) fn requested(&self, identifier: Option<&str>) -> Result<Arc<Resource>, OAuthError> {
        let identifier = identifier.ok_or_else(|| invalid_target("resource is missing"))?;
        self.find(identifier).ok_or_else(|| invalid_target("resource is unknown"))
    }

    /// Authenticates a resource server with `client_secret_basic` (RFC 7662 section 2.1).
    pub(super) fn authenticate(&self, headers: &HeaderMap) -> Result<Arc<Resource>, OAuthError> {
        let known = parse_basic(headers).and_then(|(id, secret)| {
            self.all().into_iter().find(|resource| resource.credential.matches(&id, &secret))
        });
        known.ok_or_else(|| {
            OAuthError::new(ErrorCode::InvalidClient, "the resource server is unknown or its secret is wrong")
        })
    }
}

/// Parses `Authorization: Basic`. Our identifiers and secrets are base64url, so form encoding (RFC 6749
/// section 2.3.1) does not change them.
fn parse_basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, credentials) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let text = String::from_utf8(BASE64_STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

pub(super) fn invalid_target(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidTarget, description)
}

/// A list of different scopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ScopeSet(Vec<String>);

impl ScopeSet {
    pub(super) fn parse(text: &str) -> Self {
        Self::from_names(text.split(' ').filter(|name| !name.is_empty()))
    }

    pub(super) fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut scopes = Vec::new();
        for name in names {
            if !scopes.iter().any(|known| known == name) {
                scopes.push(name.to_owned());
            }
        }
        Self(scopes)
    }

    /// Returns the requested scopes, or all of `self` if none were requested.
    ///
    /// Fails if one of them is not in `self`. RFC 6749 section 3.3 also allows to grant fewer scopes than
    /// requested, but an error is easier to understand.
    pub(super) fn narrow(&self, requested: Option<&str>) -> Result<Self, OAuthError> {
        let Some(requested) = requested.map(Self::parse) else {
            return Ok(self.clone());
        };
        if requested.0.iter().all(|name| self.0.contains(name)) {
            return Ok(requested);
        }
        Err(OAuthError::new(ErrorCode::InvalidScope, "a scope is unknown or was not granted"))
    }

    /// Returns those scopes of `self` that `chosen` contains too.
    pub(super) fn only(&self, chosen: &Self) -> Self {
        Self(self.0.iter().filter(|name| chosen.0.contains(name)).cloned().collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}
