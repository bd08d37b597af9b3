//! How is a secret made, kept and compared? (RFC 6749 section 10.10: at least 128 bits of entropy)

use std::fmt;

use aws_lc_rs::{constant_time, digest, rand};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

/// Holds a client secret, a code or a token, and keeps it out of `Debug`.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Draws 256 random bits, in base64url.
    pub(super) fn random() -> Self {
        Self(random_text())
    }

    pub(super) fn digest(&self) -> SecretDigest {
        SecretDigest::of(&self.0)
    }

    /// Returns the text itself, to be sent to its owner.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

/// The SHA-256 of a secret: all that the server keeps of what it handed out.
///
/// A plain hash is enough for 256 random bits; a password chosen by a person would need a slow one. As key of
/// a map it is compared in variable time, which tells nothing: nobody can choose a digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SecretDigest([u8; 32]);

impl SecretDigest {
    pub(super) fn of(presented: &str) -> Self {
        Self(sha256(presented.as_bytes()))
    }

    /// Compares in constant time.
    pub(super) fn matches(&self, presented: &str) -> bool {
        let presented = sha256(presented.as_bytes());
        constant_time::verify_slices_are_equal(&self.0, &presented).is_ok()
    }
}

/// Draws an identifier that is unique but no secret: `client_id`, `jti`.
pub(super) fn random_text() -> String {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).expect("the operating system has randomness");
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}
