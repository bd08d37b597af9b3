//! Reads the access token of a request: [`AccessToken`], only from the `Authorization` header.
//!
//! Query parameters, form fields, cookies and `Proxy-Authorization` are ignored, for the reasons in RFC 6750 section
//! 2.3.
//!
//! ```
//! use tower_bearer::AccessToken;
//!
//! let token = AccessToken::new("mF_9.B5f-4.1JqM");
//!
//! assert_eq!(format!("{token:?}"), "AccessToken([redacted])");
//! assert_eq!(token.expose(), "mF_9.B5f-4.1JqM");
//! ```

mod extract;
mod unverified_jwt;

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use aws_lc_rs::digest;
use http::HeaderName;

pub(crate) use extract::{Credentials, MAX_PAYLOAD_LEN, MAX_TOKEN_LEN, extract};
pub(crate) use unverified_jwt::UnverifiedJwt;

/// The header with a proof of possession (RFC 9449 section 4.1). It is as sensitive as the token.
pub(crate) const DPOP: HeaderName = HeaderName::from_static("dpop");

/// An access token from a request (RFC 6749 section 1.4). `Debug` does not show it.
#[derive(Clone)]
pub struct AccessToken {
    token: Box<str>,
    /// The parsed token, if it was needed. Contains `None` if the token does not have the form of a JWT.
    unverified: OnceLock<Option<Arc<UnverifiedJwt>>>,
}

impl AccessToken {
    /// Wraps a token. Nothing is checked.
    pub fn new(token: impl Into<String>) -> Self {
        Self { token: token.into().into(), unverified: OnceLock::new() }
    }

    /// Parses the token as a JWT on the first call. Returns `None` if it does not have that form.
    pub(crate) fn unverified_jwt(&self) -> Option<&UnverifiedJwt> {
        self.unverified.get_or_init(|| UnverifiedJwt::parse(&self.token).map(Arc::new)).as_deref()
    }

    /// Returns the result of an earlier [`unverified_jwt`](Self::unverified_jwt), if there was one.
    pub(crate) fn parsed_jwt(&self) -> Option<&UnverifiedJwt> {
        self.unverified.get()?.as_deref()
    }

    /// Returns the token itself.
    ///
    /// # Security
    /// Do not log it or use it as a key in a table. For keys, see [`sha256`](Self::sha256).
    pub fn expose(&self) -> &str {
        &self.token
    }

    /// Returns the SHA-256 of the token, for lookups in a table that does not store tokens.
    ///
    /// Use it only for random tokens of 128 bits or more. A secret chosen by a person needs a slow hash.
    pub fn sha256(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, self.token.as_bytes()).as_ref());
        hash
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken([redacted])")
    }
}
