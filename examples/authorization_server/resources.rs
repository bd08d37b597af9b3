//! For which resources are tokens issued? (RFC 8707)

use std::sync::{Arc, PoisonError, RwLock};

use super::{
    credentials::Credentials,
    oauth_error::{ErrorCode, OAuthError},
    scope::ScopeSet,
    secret::{Secret, SecretDigest, random_text},
};

/// What an access token for a resource looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFormat {
    /// Signed, to be checked by the resource server itself (RFC 9068).
    Jwt,
    /// A random string, to be checked by asking the authorization server (RFC 7662).
    Opaque,
}

/// The resource server's own credential, for the introspection endpoint.
#[derive(Debug, Clone)]
pub struct ResourceCredential {
    /// Name for `client_secret_basic` and `client_secret_post`.
    pub id: String,
    /// Its secret, which alone also serves as bearer token.
    pub secret: Secret,
}

/// A protected resource that this server issues tokens for.
pub(super) struct Resource {
    /// Compared as it is, and `aud` of its tokens.
    pub(super) identifier: String,
    pub(super) format: TokenFormat,
    pub(super) scopes: ScopeSet,
    credential_id: String,
    secret: SecretDigest,
}

impl Resource {
    /// Makes a resource for a token that nobody asked for; it has a credential that nobody knows.
    pub(super) fn unregistered(identifier: &str, format: TokenFormat) -> Self {
        let (credential_id, secret) = (random_text(), Secret::random().digest());
        Self { identifier: identifier.to_owned(), format, scopes: ScopeSet::parse(""), credential_id, secret }
    }
}

/// All resources. Only the owner of the server adds some, never a peer, so their number needs no bound.
#[derive(Default)]
pub(super) struct Resources(RwLock<Vec<Arc<Resource>>>);

impl Resources {
    /// Adds a resource, or replaces the one of this name and voids its credential.
    pub(super) fn add(&self, identifier: &str, format: TokenFormat, scopes: ScopeSet) -> ResourceCredential {
        let credential = ResourceCredential { id: random_text(), secret: Secret::random() };
        let resource = Resource {
            identifier: identifier.to_owned(),
            format,
            scopes,
            credential_id: credential.id.clone(),
            secret: credential.secret.digest(),
        };
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

    /// Chooses the resource that a token is asked for.
    ///
    /// Without the parameter it is the only one there is. RFC 8707 section 2 also allows several in one
    /// request; here a token is for one resource, so that none of them can use it at another.
    pub(super) fn choose(&self, asked: Option<&str>) -> Result<Arc<Resource>, OAuthError> {
        if let Some(identifier) = asked {
            return self.find(identifier).ok_or_else(|| invalid_target("resource is not known here"));
        }
        match self.all().as_slice() {
            [only] => Ok(Arc::clone(only)),
            _ => Err(invalid_target("resource is missing and there is no default")),
        }
    }

    /// Finds out which resource server is asking (RFC 7662 section 2.1).
    pub(super) fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Arc<Resource>, OAuthError> {
        let known = self.all().into_iter().find(|resource| match credentials {
            Credentials::Basic { id, secret } => {
                resource.credential_id == *id && resource.secret.matches(secret)
            }
            Credentials::Post { id, secret } => {
                resource.credential_id == *id && resource.secret.matches(secret)
            }
            Credentials::Bearer(secret) => resource.secret.matches(secret),
            Credentials::NameOnly(_) => false,
        });
        known.ok_or_else(|| match credentials {
            Credentials::Bearer(_) => {
                OAuthError::new(ErrorCode::InvalidToken, "no resource server has this token")
            }
            Credentials::Basic { .. } | Credentials::Post { .. } | Credentials::NameOnly(_) => {
                OAuthError::new(
                    ErrorCode::InvalidClient,
                    "the resource server is unknown or its secret is wrong",
                )
            }
        })
    }
}

pub(super) fn invalid_target(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidTarget, description)
}
