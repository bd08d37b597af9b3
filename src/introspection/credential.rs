//! The credential of this resource server at the introspection endpoint: [`ResourceServerCredential`].

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use url::form_urlencoded;

/// The credential of this resource server at the introspection endpoint (RFC 7662 section 2.1).
///
/// It is registered for the resource server at the authorization server. It is sent to the introspection endpoint only,
/// and this crate sends no other credential. `Debug` does not show it.
#[derive(Clone)]
pub struct ResourceServerCredential(Kind);

#[derive(Clone)]
enum Kind {
    Basic { id: Box<str>, secret: Box<str> },
    Post { id: Box<str>, secret: Box<str> },
    Bearer { token: Box<str> },
}

impl ResourceServerCredential {
    /// Sends an identifier and a secret in an HTTP Basic header (RFC 6749 section 2.3.1).
    ///
    /// This is the usual choice. Servers call it `client_secret_basic`. Both values are form-encoded first.
    pub fn secret_basic(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self(Kind::Basic { id: id.into().into(), secret: secret.into().into() })
    }

    /// Sends an identifier and a secret in the body (RFC 6749 section 2.3.1).
    ///
    /// Servers call this `client_secret_post`.
    pub fn secret_post(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self(Kind::Post { id: id.into().into(), secret: secret.into().into() })
    }

    /// Sends a bearer token (RFC 6750 section 2.1).
    ///
    /// It must be visible ASCII, which the `build()` of the validator checks.
    pub fn bearer(token: impl Into<String>) -> Self {
        Self(Kind::Bearer { token: token.into().into() })
    }

    /// Returns the value of the `Authorization` header, if the credential is sent in it.
    pub(super) fn header(&self) -> Result<Option<HeaderValue>, http::Error> {
        let value = match &self.0 {
            Kind::Basic { id, secret } => {
                // RFC 6749 section 2.3.1: both are form-encoded before they are joined.
                let encoded =
                    |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret))))
            }
            Kind::Bearer { token } => format!("Bearer {token}"),
            Kind::Post { .. } => return Ok(None),
        };
        let mut value = HeaderValue::try_from(value)?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// Adds the credential to the form, if it is sent in the body (RFC 6749 section 2.3.1).
    pub(super) fn add_to(&self, form: &mut form_urlencoded::Serializer<'_, String>) {
        match &self.0 {
            Kind::Post { id, secret } => {
                form.append_pair("client_id", id).append_pair("client_secret", secret);
            }
            Kind::Basic { .. } | Kind::Bearer { .. } => {}
        }
    }
}

impl fmt::Debug for ResourceServerCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Kind::Basic { .. } => "secret_basic",
            Kind::Post { .. } => "secret_post",
            Kind::Bearer { .. } => "bearer",
        };
        write!(f, "ResourceServerCredential({kind} [redacted])")
    }
}
