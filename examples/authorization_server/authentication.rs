//! How users sign in, how long they stay signed in, and what a client may require of the sign-in (RFC 9470).

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use aws_lc_rs::constant_time;
use axum::http::{HeaderMap, HeaderValue, header};

use super::{
    oauth_error::{ErrorCode, OAuthError},
    parameters::Parameters,
    state::{USER, random_text},
};

/// How a user signed in. Later variants are stronger and include the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Password,
    PasswordAndCode,
}

impl Level {
    pub(super) const ALL: [Self; 2] = [Self::Password, Self::PasswordAndCode];

    /// Returns the value of `acr` (RFC 9068 section 2.2.1).
    pub(super) fn acr(self) -> &'static str {
        match self {
            Self::Password => ACR_PASSWORD,
            Self::PasswordAndCode => ACR_PASSWORD_AND_CODE,
        }
    }

    fn from_acr(acr: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.acr() == acr)
    }
}

/// What a token says about the sign-in (RFC 9470 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Authentication {
    pub(super) level: Level,
    /// In seconds since 1970.
    pub(super) time: u64,
}

/// What an authorization request requires of the sign-in (RFC 9470 section 4).
#[derive(Debug, Clone, Copy)]
pub(super) struct RequiredAuthentication {
    level: Option<Level>,
    /// In seconds.
    max_age: Option<u64>,
}

impl RequiredAuthentication {
    pub(super) fn read(parameters: &Parameters) -> Result<Self, OAuthError> {
        // The client lists the values in the order of its preference.
        let level = match parameters.optional("acr_values")? {
            None => None,
            Some(values) => Some(values.split(' ').find_map(Level::from_acr).ok_or_else(|| {
                // RFC 9470 section 5.
                let code = ErrorCode::UnmetAuthenticationRequirements;
                OAuthError::new(code, "no value of acr_values is supported")
            })?),
        };
        let max_age = parameters.optional("max_age")?.map(parse_seconds).transpose()?;
        Ok(Self { level, max_age })
    }

    /// Returns the level that the user must reach.
    pub(super) fn level(self) -> Level {
        self.level.unwrap_or(Level::Password)
    }

    /// Returns whether the session meets the requirement. If not, the user must sign in again.
    pub(super) fn is_met_by(self, session: &Session, now: u64) -> bool {
        let age = now.saturating_sub(session.authentication.time);
        // With 0, the user signs in for each request, even within the same second.
        let recent = self.max_age.is_none_or(|max_age| max_age > 0 && age <= max_age);
        recent && self.level() <= session.authentication.level
    }

    /// Returns the authentication for the token. Its level is the one that the client asked for, even if the user reached a
    /// higher one, because a resource server compares `acr` with the values that it asked for.
    pub(super) fn answer(self, session: &Session) -> Authentication {
        Authentication {
            level: self.level.unwrap_or(session.authentication.level),
            time: session.authentication.time,
        }
    }
}

fn parse_seconds(text: &str) -> Result<u64, OAuthError> {
    let seconds = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    seconds.ok_or_else(|| OAuthError::invalid_request("max_age is not a number of seconds"))
}

/// Checks what the user typed. Returns the level that the user reached, or `None` if that is not enough.
pub(super) fn check_credentials(form: &Parameters, required: Level) -> Result<Option<Level>, OAuthError> {
    let matches = |name, expected: &str| -> Result<bool, OAuthError> {
        let typed = form.optional(name)?.unwrap_or_default();
        Ok(constant_time::verify_slices_are_equal(typed.as_bytes(), expected.as_bytes()).is_ok())
    };
    if !matches("username", USER)? || !matches("password", PASSWORD)? {
        return Ok(None);
    }
    let level = if matches("code", ONE_TIME_CODE)? { Level::PasswordAndCode } else { Level::Password };
    Ok(Some(level).filter(|level| *level >= required))
}

/// A user who is signed in, in one browser.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) subject: &'static str,
    pub(super) authentication: Authentication,
}

#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Session>>);

impl Sessions {
    pub(super) fn start(&self, level: Level, now: u64) -> Session {
        let authentication = Authentication { level, time: now };
        let session = Session { id: random_text(), subject: USER, authentication };
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| !is_over(session, now));
        sessions.insert(session.id.clone(), session.clone());
        session
    }

    /// Returns the session of the browser that sent these headers.
    pub(super) fn find(&self, headers: &HeaderMap, now: u64) -> Option<Session> {
        let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let (_, id) = pairs.find(|(name, _)| *name == COOKIE)?;
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get(id).filter(|session| !is_over(session, now)).cloned()
    }
}

fn is_over(session: &Session, now: u64) -> bool {
    now.saturating_sub(session.authentication.time) >= SESSION_LIFETIME
}

/// Returns the cookie that keeps the user signed in. `Secure` is missing, because this server has no TLS.
pub(super) fn cookie(session: &Session) -> HeaderValue {
    let cookie = format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Lax", session.id);
    HeaderValue::try_from(cookie).expect("base64url is visible ASCII")
}

const COOKIE: &str = "authorization_server_session";

/// In seconds.
const SESSION_LIFETIME: u64 = 8 * 3_600;

/// The password of [`USER`]. The login page shows it.
pub const PASSWORD: &str = "wonderland";

/// The one-time code of [`USER`], always the same. The login page shows it if it is needed.
pub const ONE_TIME_CODE: &str = "314159";

/// `acr` of a user who signed in with a password.
pub const ACR_PASSWORD: &str = "urn:example:password";

/// `acr` of a user who signed in with a password and a one-time code.
pub const ACR_PASSWORD_AND_CODE: &str = "urn:example:password-and-code";
