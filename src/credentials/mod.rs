//! What a request presents: [`AccessToken`], read from the `Authorization` header and from nowhere else.
//!
//! Query parameters, form fields, cookies and `Proxy-Authorization` are never looked at (RFC 6750 section 2.3 on why not).
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

use std::fmt;

use aws_lc_rs::digest;
use http::HeaderName;

pub(crate) use extract::{Credentials, MAX_PAYLOAD_LEN, MAX_TOKEN_LEN, extract};

/// The header with a proof of possession (RFC 9449 section 4.1). Together with the token, it is as good as the token.
pub(crate) const DPOP: HeaderName = HeaderName::from_static("dpop");

/// An access token as it was presented (RFC 6749 section 1.4): a secret, so `Debug` does not show it.
#[derive(Clone)]
pub struct AccessToken(Box<str>);

impl AccessToken {
    /// Takes a token.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into().into())
    }

    /// Returns the token itself. Neither log it nor use it as a key: see [`sha256`](Self::sha256).
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the token's SHA-256, to find it in a table that does not store tokens.
    ///
    /// Right for tokens that a machine made at random (128 bits or more); a word that a person chose needs a slow hash.
    pub fn sha256(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, self.0.as_bytes()).as_ref());
        hash
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken([redacted])")
    }
}
