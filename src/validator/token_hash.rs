//! The cache key of a token. It is a hash, so that no cache contains tokens.

use std::hash::{BuildHasherDefault, Hash, Hasher};

use aws_lc_rs::{
    aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    error::Unspecified,
    rand,
};

/// A keyed 128-bit hash of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenHash([u8; 16]);

/// Hashes tokens with its own random key, so that nobody can construct tokens whose hashes collide. Two hashers return
/// different hashes for the same token.
#[derive(Debug)]
pub(crate) struct TokenHasher(LessSafeKey);

impl TokenHasher {
    pub(crate) fn new() -> Result<Self, Unspecified> {
        let mut key = [0; 16];
        rand::fill(&mut key)?;
        Ok(Self(LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key)?)))
    }

    /// Hashes a token. The hash is the AES-GCM tag over the token as associated data, which costs a quarter of SHA-256.
    ///
    /// With a fixed nonce this is only a universal hash. That is sufficient because **hashes never leave the process**:
    /// at the maximum token length, two tokens chosen without knowing any hash collide with a probability of about
    /// 2^-117. The key can be computed from known hashes, so never log or send one.
    pub(crate) fn hash(&self, token: &str) -> TokenHash {
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(token.as_bytes()), &mut []);
        let tag = tag.expect("AES-GCM takes associated data of any length that fits in a header");
        let mut hash = [0; 16];
        hash.copy_from_slice(tag.as_ref());
        TokenHash(hash)
    }
}

/// For maps with the key [`TokenHash`], which is already random.
pub(crate) type BuildTokenHasher = BuildHasherDefault<FirstEightBytes>;

#[derive(Default)]
pub(crate) struct FirstEightBytes(u64);

impl Hash for TokenHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_ne_bytes([a, b, c, d, e, f, g, h]));
    }
}

impl Hasher for FirstEightBytes {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_hashers_return_different_hashes() {
        let (one, other) = (TokenHasher::new().unwrap(), TokenHasher::new().unwrap());

        assert_ne!(one.hash("token"), other.hash("token"));
        assert_eq!(one.hash("token"), one.hash("token"));
    }

    proptest! {
        #[test]
        fn different_tokens_have_different_hashes(one in "[A-Za-z0-9._-]{0,80}", other in "[A-Za-z0-9._-]{0,80}", end in "[A-Za-z0-9]") {
            let hasher = TokenHasher::new().unwrap();

            prop_assert_eq!(hasher.hash(&one) == hasher.hash(&other), one == other);
            prop_assert_ne!(hasher.hash(&one), hasher.hash(&format!("{one}{end}")));
        }
    }
}
