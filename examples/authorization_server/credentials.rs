//! Who says the caller it is? (RFC 6749 section 2.3, RFC 6750 section 2.1)

use axum::http::{HeaderMap, HeaderValue, header};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use url::form_urlencoded;

use super::{
    oauth_error::{ErrorCode, OAuthError},
    parameters::Parameters,
};

/// What a caller presented, not yet compared with anything.
pub(super) enum Credentials<'a> {
    /// `client_secret_basic`
    Basic { id: String, secret: String },
    /// `client_secret_post`
    Post { id: &'a str, secret: &'a str },
    /// `none`: a public client only says its name.
    NameOnly(&'a str),
    /// An access token; only resource servers have one for us.
    Bearer(&'a str),
}

impl<'a> Credentials<'a> {
    /// Reads the header and the form, of which one may authenticate (RFC 6749 section 2.3).
    pub(super) fn parse(headers: &'a HeaderMap, parameters: &'a Parameters) -> Result<Self, OAuthError> {
        let mut header = headers.get_all(header::AUTHORIZATION).into_iter();
        let (first, second) = (header.next(), header.next());
        let id = parameters.optional("client_id")?;
        let secret = parameters.optional("client_secret")?;
        match (first, secret) {
            (_, _) if second.is_some() => Err(OAuthError::invalid_request("Authorization is repeated")),
            (Some(_), Some(_)) => Err(OAuthError::invalid_request("two authentication methods at once")),
            (Some(header), None) => Self::from_header(header, id),
            (None, Some(secret)) => match id {
                Some(id) => Ok(Self::Post { id, secret }),
                None => Err(OAuthError::invalid_request("client_secret without client_id")),
            },
            (None, None) => id.map(Self::NameOnly).ok_or_else(|| invalid_client("no client authentication")),
        }
    }

    fn from_header(value: &'a HeaderValue, form_id: Option<&str>) -> Result<Self, OAuthError> {
        let value = value.to_str().map_err(|_| invalid_client("Authorization is not ASCII"))?;
        let (scheme, credentials) = value.split_once(' ').unwrap_or((value, ""));
        if scheme.eq_ignore_ascii_case("Bearer") {
            return Ok(Self::Bearer(credentials.trim()));
        }
        if !scheme.eq_ignore_ascii_case("Basic") {
            return Err(invalid_client("the authentication scheme is not supported"));
        }
        let (id, secret) =
            parse_basic(credentials.trim()).ok_or_else(|| invalid_client("malformed Basic credentials"))?;
        if form_id.is_some_and(|form_id| form_id != id) {
            return Err(OAuthError::invalid_request("client_id contradicts Authorization"));
        }
        Ok(Self::Basic { id, secret })
    }
}

/// RFC 6749 section 2.3.1: both halves are form-encoded before they are put into Basic.
fn parse_basic(credentials: &str) -> Option<(String, String)> {
    let text = String::from_utf8(BASE64_STANDARD.decode(credentials).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((form_decode(id)?, form_decode(secret)?))
}

fn form_decode(text: &str) -> Option<String> {
    // As a form these would be separators; encoded credentials have none of them.
    if text.contains(['&', '=']) {
        return None;
    }
    let decoded = form_urlencoded::parse(text.as_bytes()).next();
    Some(decoded.map(|(name, _)| name.into_owned()).unwrap_or_default())
}

pub(super) fn invalid_client(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClient, description)
}
