//! A keyed hash of the subject, for logs: [`PseudonymKey`].

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::ClaimsSet;

/// The name of the span field, from the semantic conventions of OpenTelemetry.
pub(crate) const PSEUDONYM_FIELD: &str = "enduser.pseudo.id";

/// Minimum length of a key, in bytes: the output of the hash (RFC 2104 section 3).
pub(crate) const MIN_KEY_LEN: usize = 32;

/// Length of a pseudonym in bytes. Two of a billion subjects have the same one with a probability of 10^-21.
const LEN: usize = 16;

/// Separates these hashes from others with the same key.
const DOMAIN: &[u8] = b"tower-bearer enduser.pseudo.id v1\0";

/// Computes pseudonyms. `Debug` does not show the key.
#[derive(Clone, Debug)]
pub(crate) struct PseudonymKey(hmac::Key);

impl PseudonymKey {
    /// Returns `None` if the key is too short.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        (key.len() >= MIN_KEY_LEN).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, key)))
    }

    /// Returns the pseudonym of the subject at its issuer. `None` if there is no subject.
    pub(crate) fn of(&self, claims: &ClaimsSet) -> Option<String> {
        let subject = claims.subject()?;
        let issuer = claims.issuer().unwrap_or_default();
        let mut context = hmac::Context::with_key(&self.0);
        context.update(DOMAIN);
        // With its length, so that no other issuer and subject have the same bytes.
        context.update(&(issuer.len() as u64).to_be_bytes());
        context.update(issuer.as_bytes());
        context.update(subject.as_bytes());
        let tag = context.sign();
        let start = tag.as_ref().get(..LEN)?;
        Some(URL_SAFE_NO_PAD.encode(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> PseudonymKey {
        PseudonymKey::new(&[byte; MIN_KEY_LEN]).unwrap()
    }

    fn of(key: &PseudonymKey, issuer: &str, subject: &str) -> String {
        key.of(&ClaimsSet::new().with_issuer(issuer).with_subject(subject)).unwrap()
    }

    #[test]
    fn a_pseudonym_depends_on_key_issuer_and_subject_only() {
        let known = of(&key(1), "https://as.example.com", "alice");

        assert_eq!(known.len(), 22);
        let claims = ClaimsSet::new().with_issuer("https://as.example.com").with_subject("alice");
        assert_eq!(key(1).of(&claims.with_scopes("orders:read")), Some(known.clone()));
        assert_ne!(of(&key(2), "https://as.example.com", "alice"), known);
        assert_ne!(of(&key(1), "https://as.example.org", "alice"), known);
        assert_ne!(of(&key(1), "https://as.example.com", "bob"), known);
        assert_ne!(of(&key(1), "https://as.example.coma", "lice"), known);
    }

    #[test]
    fn a_token_without_subject_has_no_pseudonym() {
        assert_eq!(key(1).of(&ClaimsSet::new()), None);
    }

    #[test]
    fn a_short_key_is_refused() {
        assert!(PseudonymKey::new(&[1; MIN_KEY_LEN - 1]).is_none());
    }
}
