//! The value of `WWW-Authenticate`: [`Challenge`] (RFC 6750 section 3, RFC 9110 section 11.6.1).

use std::{sync::Arc, time::Duration};

use http::HeaderValue;

use super::{ErrorCode, RefusalSettings};
use crate::{
    Scope,
    requirement::{deduplicated, scope_list},
    scope::OFFLINE_ACCESS,
};

/// The settings for all challenges of a resource server.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChallengeSettings {
    pub(crate) realm: Option<Box<str>>,
    /// The identifier of the resource, for the details of gRPC statuses.
    pub(crate) resource: Option<Box<str>>,
    pub(crate) resource_metadata: Option<Box<str>>,
    pub(crate) error_uri: Option<Box<str>>,
}

/// Used if a challenge would have no other parameter, because it needs one (RFC 6750 section 3).
pub(super) const DEFAULT_REALM: &str = "api";

/// Builds a `Bearer` challenge, for handlers that refuse requests themselves.
///
/// Created by [`ResourceServer::challenge`](crate::ResourceServer::challenge). It contains the realm and the metadata
/// URL of the resource server.
///
/// ```
/// # struct Nobody;
/// # impl tower_bearer::TokenValidator for Nobody {
/// #     async fn validate(
/// #         &self,
/// #         _: &tower_bearer::AccessToken,
/// #     ) -> Result<tower_bearer::ValidatedToken, tower_bearer::ValidationError> {
/// #         Err(tower_bearer::ValidationError::Inactive)
/// #     }
/// # }
/// use tower_bearer::{ErrorCode, ProtectedResourceMetadata, ResourceServer, Scope};
///
/// let resource_server = ResourceServer::builder(Nobody)
///     .resource_metadata(ProtectedResourceMetadata::new("https://orders.example.com"))
///     .build()?;
///
/// let challenge = resource_server
///     .challenge()
///     .error(ErrorCode::InvalidToken)
///     .error_description("The session of this token has ended")
///     .scope([Scope::from_static("orders:read")])
///     .to_header_value();
///
/// assert_eq!(
///     challenge,
///     "Bearer error=\"invalid_token\", error_description=\"The session of this token has ended\", \
///      scope=\"orders:read\", \
///      resource_metadata=\"https://orders.example.com/.well-known/oauth-protected-resource\""
/// );
/// # Ok::<_, tower_bearer::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Challenge {
    settings: Arc<RefusalSettings>,
    error: Option<ErrorCode>,
    error_description: Option<String>,
    acr_values: Arc<[Box<str>]>,
    max_age: Option<Duration>,
    scopes: Vec<Scope>,
}

impl Challenge {
    pub(crate) fn new(settings: &Arc<RefusalSettings>) -> Self {
        Self {
            settings: Arc::clone(settings),
            error: None,
            error_description: None,
            acr_values: Arc::default(),
            max_age: None,
            scopes: Vec::new(),
        }
    }

    /// Sets `error` (RFC 6750 section 3.1). Default: none, which is for requests without credentials.
    pub fn error(mut self, code: ErrorCode) -> Self {
        self.error = Some(code);
        self
    }

    /// Sets `error_description`, a sentence for the developer of the client.
    ///
    /// Only used together with [`error`](Self::error). Default: the sentence that layers use for this error.
    ///
    /// Characters that RFC 6750 section 3 does not allow are removed: quotes, backslashes, and everything except
    /// visible ASCII and spaces.
    pub fn error_description(mut self, text: &str) -> Self {
        let is_allowed = |character: &char| matches!(character, ' '..='!' | '#'..='[' | ']'..='~');
        self.error_description = Some(text.chars().filter(is_allowed).collect());
        self
    }

    /// Sets `scope`: the required scopes (RFC 6750 section 3). Default: none.
    ///
    /// `offline_access` is removed, because it is for the authorization server, not for a resource.
    pub fn scope(mut self, scopes: impl IntoIterator<Item = Scope>) -> Self {
        self.scopes = nameable(scopes);
        self
    }

    /// Sets `acr_values` and `max_age` (RFC 9470 section 3).
    pub(super) fn authentication(mut self, acr_values: &Arc<[Box<str>]>, max_age: Option<Duration>) -> Self {
        self.acr_values = Arc::clone(acr_values);
        self.max_age = max_age;
        self
    }

    /// Returns the challenge as a header value.
    pub fn to_header_value(&self) -> HeaderValue {
        let ChallengeSettings { realm, resource_metadata, error_uri, .. } = &self.settings.challenge;
        let mut params = Params(String::with_capacity(256));
        let is_bare = resource_metadata.is_none() && self.scopes.is_empty();
        if let Some(realm) = realm.as_deref().or(is_bare.then_some(DEFAULT_REALM)) {
            params.push("realm", realm);
        }
        if let Some(code) = self.error {
            params.push("error", code.as_str());
            params.push("error_description", self.error_description.as_deref().unwrap_or(code.description()));
            if let Some(uri) = error_uri {
                params.push("error_uri", uri);
            }
        }
        if !self.acr_values.is_empty() {
            params.push("acr_values", &self.acr_values.join(" "));
        }
        if let Some(max_age) = self.max_age {
            params.push("max_age", &max_age.as_secs().to_string());
        }
        if !self.scopes.is_empty() {
            params.push("scope", &scope_list(&self.scopes));
        }
        if let Some(url) = resource_metadata {
            params.push("resource_metadata", url);
        }
        HeaderValue::try_from(params.0)
            .expect("each value was checked for visible ASCII when it was configured")
    }
}

/// Returns the scopes that a challenge may contain, each once.
pub(crate) fn nameable(scopes: impl IntoIterator<Item = Scope>) -> Vec<Scope> {
    deduplicated(scopes.into_iter().filter(|scope| scope.as_str() != OFFLINE_ACCESS))
}

/// The scheme and its parameters, each value as a quoted-string (RFC 9110 section 5.6.4).
struct Params(String);

impl Params {
    fn push(&mut self, name: &str, value: &str) {
        self.0.push_str(if self.0.is_empty() { "Bearer " } else { ", " });
        self.0.push_str(name);
        self.0.push_str("=\"");
        for character in value.chars() {
            if matches!(character, '"' | '\\') {
                self.0.push('\\');
            }
            self.0.push(character);
        }
        self.0.push('"');
    }
}

/// Returns whether a text consists of visible ASCII and spaces, so that it fits into a quoted-string.
pub(crate) fn is_quotable(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Returns whether a text has only the characters of an `error_uri` (RFC 6750 section 3): %x21 / %x23-5B / %x5D-7E.
pub(crate) fn is_error_uri(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Scope = Scope::from_static("read");

    fn challenge(settings: ChallengeSettings) -> Challenge {
        Challenge::new(&Arc::new(RefusalSettings { challenge: settings, ..RefusalSettings::default() }))
    }

    #[test]
    fn r6750_11_bare_configuration_falls_back_to_a_realm() {
        assert_eq!(challenge(ChallengeSettings::default()).to_header_value(), "Bearer realm=\"api\"");
    }

    #[test]
    fn r6750_20_realm_is_written_once_as_quoted_string() {
        let settings =
            ChallengeSettings { realm: Some("a \"b\" \\ c".into()), ..ChallengeSettings::default() };

        let value = challenge(settings).scope([READ]).to_header_value();

        assert_eq!(value, r#"Bearer realm="a \"b\" \\ c", scope="read""#);
    }

    #[test]
    fn parameters_have_a_fixed_order() {
        let settings = ChallengeSettings {
            realm: Some("orders".into()),
            resource: Some("https://h".into()),
            resource_metadata: Some("https://h/.well-known/oauth-protected-resource".into()),
            error_uri: Some("https://h/errors".into()),
        };

        let value =
            challenge(settings).scope([READ, READ]).error(ErrorCode::InsufficientScope).to_header_value();

        assert_eq!(
            value,
            "Bearer realm=\"orders\", error=\"insufficient_scope\", \
             error_description=\"The access token does not allow this operation\", \
             error_uri=\"https://h/errors\", scope=\"read\", \
             resource_metadata=\"https://h/.well-known/oauth-protected-resource\""
        );
    }

    #[test]
    fn r6750_18_description_keeps_only_the_allowed_characters() {
        let value = challenge(ChallengeSettings::default())
            .error(ErrorCode::InvalidToken)
            .error_description("a\"b\\c\r\nd é!#[]~")
            .to_header_value();

        assert_eq!(value, r#"Bearer realm="api", error="invalid_token", error_description="abcd !#[]~""#);
    }

    #[test]
    fn rmcp_11_offline_access_is_never_named() {
        let value = challenge(ChallengeSettings::default())
            .scope([Scope::from_static(OFFLINE_ACCESS), READ])
            .to_header_value();

        assert_eq!(value, r#"Bearer scope="read""#);
    }

    #[test]
    fn r6750_18_every_description_is_of_the_allowed_characters() {
        use crate::Rejection;

        let retry_after = std::time::Duration::ZERO;
        for rejection in [
            Rejection::Unauthorized,
            Rejection::InvalidRequest,
            Rejection::InvalidToken,
            Rejection::InsufficientScope,
            Rejection::InsufficientUserAuthentication,
            Rejection::Forbidden,
            Rejection::MalformedRequest,
            Rejection::Unavailable { retry_after },
            Rejection::BadGateway,
            Rejection::Internal,
        ] {
            let allowed = |byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            assert!(rejection.description().bytes().all(allowed), "{rejection:?}");
        }
    }
}
