//! `WWW-Authenticate`: one challenge of the scheme `Bearer` (RFC 6750 section 3, RFC 9110 section 11.6.1).
//!
//! What a challenge says is known when a layer is built, but for the scopes of nested guards; so it is written then.

use http::HeaderValue;

use super::{ErrorCode, Rejection};
use crate::{Scope, requirement::scope_list};

/// What every challenge of a resource server says.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChallengeSettings {
    pub(crate) realm: Option<Box<str>>,
    pub(crate) resource_metadata: Option<Box<str>>,
    pub(crate) error_uri: Option<Box<str>>,
}

/// Written when nothing else is configured: a challenge needs one parameter (RFC 6750 section 3).
const DEFAULT_REALM: &str = "api";

impl ChallengeSettings {
    /// Writes the challenge of a rejection; `scopes` are those that the operation needs.
    pub(crate) fn write(&self, rejection: Rejection, scopes: &[Scope]) -> HeaderValue {
        let mut params = Params(String::with_capacity(256));
        let bare = self.resource_metadata.is_none() && scopes.is_empty();
        if let Some(realm) = self.realm.as_deref().or(bare.then_some(DEFAULT_REALM)) {
            params.push("realm", realm);
        }
        if let Some(code) = rejection.error_code() {
            params.push("error", code.as_str());
            params.push("error_description", rejection.description());
            if let Some(uri) = &self.error_uri {
                params.push("error_uri", uri);
            }
        }
        if !scopes.is_empty() {
            params.push("scope", &scope_list(scopes));
        }
        if let Some(url) = &self.resource_metadata {
            params.push("resource_metadata", url);
        }
        HeaderValue::try_from(params.0)
            .expect("each value was checked for visible ASCII when it was configured")
    }
}

/// The challenges that one layer needs, written in advance.
#[derive(Clone, Debug)]
pub(crate) struct Challenges {
    unauthorized: HeaderValue,
    invalid_request: HeaderValue,
    invalid_token: HeaderValue,
    insufficient_scope: HeaderValue,
}

impl Challenges {
    pub(crate) fn new(settings: &ChallengeSettings, scopes: &[Scope]) -> Self {
        Self {
            unauthorized: settings.write(Rejection::Unauthorized, scopes),
            invalid_request: settings.write(Rejection::InvalidRequest, scopes),
            invalid_token: settings.write(Rejection::InvalidToken, scopes),
            insufficient_scope: settings.write(Rejection::InsufficientScope, scopes),
        }
    }

    /// Returns the challenge of a rejection; none where the fault is not the caller's.
    pub(crate) fn find(&self, rejection: Rejection) -> Option<HeaderValue> {
        if !rejection.is_challenge() {
            return None;
        }
        Some(match rejection.error_code() {
            None => self.unauthorized.clone(),
            Some(ErrorCode::InvalidRequest) => self.invalid_request.clone(),
            Some(ErrorCode::InvalidToken) => self.invalid_token.clone(),
            Some(ErrorCode::InsufficientScope) => self.insufficient_scope.clone(),
        })
    }
}

/// The scheme and its parameters, each value as quoted-string (RFC 9110 section 5.6.4).
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

/// Tells whether a text may stand in a quoted-string of ours: visible ASCII and spaces.
pub(crate) fn is_quotable(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Tells whether a text may stand in `error_uri` (RFC 6750 section 3): %x21 / %x23-5B / %x5D-7E.
pub(crate) fn is_error_uri(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Scope = Scope::from_static("read");

    #[test]
    fn r6750_11_a_bare_configuration_falls_back_to_a_realm() {
        let challenge = ChallengeSettings::default().write(Rejection::Unauthorized, &[]);

        assert_eq!(challenge, "Bearer realm=\"api\"");
    }

    #[test]
    fn r6750_20_a_realm_is_written_once_as_quoted_string() {
        let settings =
            ChallengeSettings { realm: Some("a \"b\" \\ c".into()), ..ChallengeSettings::default() };

        let challenge = settings.write(Rejection::Unauthorized, &[READ]);

        assert_eq!(challenge, r#"Bearer realm="a \"b\" \\ c", scope="read""#);
    }

    #[test]
    fn parameters_have_a_fixed_order() {
        let settings = ChallengeSettings {
            realm: Some("orders".into()),
            resource_metadata: Some("https://h/.well-known/oauth-protected-resource".into()),
            error_uri: Some("https://h/errors".into()),
        };

        let challenge = settings.write(Rejection::InsufficientScope, &[READ]);

        assert_eq!(
            challenge,
            "Bearer realm=\"orders\", error=\"insufficient_scope\", \
             error_description=\"The access token does not allow this operation\", \
             error_uri=\"https://h/errors\", scope=\"read\", \
             resource_metadata=\"https://h/.well-known/oauth-protected-resource\""
        );
    }

    #[test]
    fn r6750_18_every_description_is_of_the_allowed_characters() {
        let retry_after = std::time::Duration::ZERO;
        for rejection in [
            Rejection::Unauthorized,
            Rejection::InvalidRequest,
            Rejection::InvalidToken,
            Rejection::InsufficientScope,
            Rejection::Unavailable { retry_after },
            Rejection::BadGateway,
            Rejection::Internal,
        ] {
            let allowed = |byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            assert!(rejection.description().bytes().all(allowed), "{rejection:?}");
        }
    }
}
