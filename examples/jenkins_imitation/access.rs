//! Who sends a request, and whether it may change anything: Basic authentication, sessions, crumbs.

use std::collections::HashMap;

use axum::http::{
    HeaderMap, HeaderValue, Method,
    header::{AUTHORIZATION, COOKIE},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{API_TOKEN, USER};

/// The header that carries the crumb.
pub(super) const CRUMB_FIELD: &str = "Jenkins-Crumb";
/// The cookie that carries the session. A real Jenkins appends a part of its instance ID.
pub(super) const SESSION_COOKIE: &str = "JSESSIONID.5f2c9d1e";

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denial {
    /// Basic credentials that are not valid.
    WrongCredentials,
    /// No Basic credentials.
    Anonymous,
    /// A request that changes something without the crumb of its session and user.
    NoValidCrumb,
}

/// The sessions, with the crumb of each.
#[derive(Default)]
pub(super) struct Sessions(HashMap<String, Session>);

struct Session {
    user: String,
    crumb: String,
}

/// Returns the user of a request.
pub(super) fn authenticate(headers: &HeaderMap) -> Result<&'static str, Denial> {
    // Jenkins ignores other schemes, such as `Bearer`.
    let basic = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, credentials) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("Basic").then_some(credentials)
    });
    let credentials = basic.ok_or(Denial::Anonymous)?;
    let decoded = STANDARD.decode(credentials).map_err(|_| Denial::WrongCredentials)?;
    if decoded == format!("{USER}:{API_TOKEN}").as_bytes() { Ok(USER) } else { Err(Denial::WrongCredentials) }
}

impl Sessions {
    /// Returns the crumb of the request's session, and the cookie of the session if it is new.
    pub(super) fn issue_crumb(&mut self, headers: &HeaderMap, user: &str) -> (String, Option<String>) {
        if let Some(session) = self.find(headers, user) {
            return (session.crumb.clone(), None);
        }
        let (id, crumb) = (random_hex(), random_hex());
        self.0.insert(id.clone(), Session { user: user.to_owned(), crumb: crumb.clone() });
        (crumb, Some(format!("{SESSION_COOKIE}={id}; Path=/; HttpOnly")))
    }

    /// Requires the crumb of the session and user for every request other than a read.
    pub(super) fn check_crumb(&self, method: &Method, headers: &HeaderMap, user: &str) -> Result<(), Denial> {
        if method == Method::GET || method == Method::HEAD {
            return Ok(());
        }
        let crumb = headers.get(CRUMB_FIELD).map(HeaderValue::as_bytes);
        match self.find(headers, user) {
            Some(session) if crumb == Some(session.crumb.as_bytes()) => Ok(()),
            _ => Err(Denial::NoValidCrumb),
        }
    }

    fn find(&self, headers: &HeaderMap, user: &str) -> Option<&Session> {
        let fields = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut cookies =
            fields.flat_map(|field| field.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        let (_, id) = cookies.find(|(name, _)| *name == SESSION_COOKIE)?;
        self.0.get(id).filter(|session| session.user == user)
    }
}

fn random_hex() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system has random numbers");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
