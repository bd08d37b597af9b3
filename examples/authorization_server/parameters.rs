//! Parameters in a query or in a form (RFC 6749 sections 3.1 and 3.2, appendix B).

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::header,
};
use url::form_urlencoded;

use super::oauth_error::OAuthError;

/// The parameters of a request. Section 3.1: unknown ones are ignored.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn parse(encoded: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(encoded).into_owned();
        // Section 3.1: parameters without a value count as omitted.
        Self(pairs.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// Returns a parameter. Fails if it is repeated.
    pub(super) fn optional(&self, name: &'static str) -> Result<Option<&str>, OAuthError> {
        let mut values = self.0.iter().filter(|(found, _)| found == name);
        let first = values.next().map(|(_, value)| value.as_str());
        // Section 3.1: parameters must not be included more than once.
        if values.next().is_some() {
            return Err(OAuthError::invalid_request(format!("{name} is repeated")));
        }
        Ok(first)
    }

    /// Returns all values of a parameter that may be repeated, such as the checkboxes of a page.
    pub(super) fn all(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Returns a parameter. Fails if it is missing or repeated.
    pub(super) fn required(&self, name: &'static str) -> Result<&str, OAuthError> {
        self.optional(name)?.ok_or_else(|| OAuthError::invalid_request(format!("{name} is missing")))
    }
}

/// Reads the form of a `POST`. The router limits its length.
impl<S: Send + Sync> FromRequest<S> for Parameters {
    type Rejection = OAuthError;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
        if !media_type.trim().eq_ignore_ascii_case(FORM) {
            return Err(OAuthError::invalid_request(format!("the body must be {FORM}")));
        }
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|_| OAuthError::invalid_request("the body is too long or incomplete"))?;
        Ok(Self::parse(&body))
    }
}

const FORM: &str = "application/x-www-form-urlencoded";
