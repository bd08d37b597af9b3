//! The compact form of a JWS (RFC 7515 section 7.1), before and after its signature was verified.

use std::{mem, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::header::{HeaderPolicy, JoseHeader};
use crate::{
    Algorithm, KeySet, ValidationError,
    credentials::{MAX_PAYLOAD_LEN, MAX_TOKEN_LEN},
    token::{KeyValidity, RefreshHook},
};

/// Longest header, in bytes of JSON. Certificates (`x5c`), which nobody here reads, are what makes headers long.
const MAX_HEADER_LEN: usize = 4 * 1024;

/// A JWT whose form and header are acceptable. Its signature was not verified: the payload counts for nothing.
#[derive(Debug)]
pub(super) struct CompactJws<'a> {
    header: JoseHeader,
    signing_input: &'a [u8],
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// A payload whose signature was verified.
pub(super) struct SignedPayload {
    json: Vec<u8>,
    /// The key that vouched for it.
    validity: KeyValidity,
}

impl<'a> CompactJws<'a> {
    // RFC 7519 section 7.2.
    pub(super) fn parse(token: &'a str, policy: &HeaderPolicy) -> Result<Self, ValidationError> {
        // The layer has checked this for tokens from a header; others have not come through it.
        if token.len() > MAX_TOKEN_LEN {
            return Err(ValidationError::TokenTooLong { length: token.len(), limit: MAX_TOKEN_LEN });
        }
        let (signing_input, header, payload, signature) = split(token)?;
        let header = decode(header, MAX_HEADER_LEN, "header not in base64url, or too long")?;
        let header = JoseHeader::parse(&header, policy)?;
        let payload = decode(payload, MAX_PAYLOAD_LEN, "payload not in base64url, or too long")?;
        let signature = decode(signature, MAX_TOKEN_LEN, "signature not in base64url")?;
        if signature.is_empty() {
            return Err(ValidationError::MalformedToken("signature empty"));
        }
        Ok(Self { header, signing_input: signing_input.as_bytes(), payload, signature })
    }

    pub(super) fn kid(&self) -> Option<&str> {
        self.header.kid()
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.header.algorithm()
    }

    /// Returns the payload before its signature was verified. For one comparison of issuers.
    pub(super) fn unverified_payload(&self) -> &[u8] {
        &self.payload
    }

    /// Verifies the signature and hands the payload over (RFC 7515 section 5.2). After a refusal it can be tried again
    /// with newer keys.
    pub(super) fn verify(&mut self, keys: &KeySet) -> Result<SignedPayload, ValidationError> {
        let key = keys.verify(self.kid(), self.header.algorithm(), self.signing_input, &self.signature)?;
        Ok(SignedPayload { json: mem::take(&mut self.payload), validity: key.validity().clone() })
    }
}

impl SignedPayload {
    pub(super) fn json(&self) -> &[u8] {
        &self.json
    }

    /// Names who finds out when the key is withdrawn.
    pub(super) fn refreshed_by(self, keeper: Arc<dyn RefreshHook>) -> Self {
        Self { validity: self.validity.refreshed_by(keeper), ..self }
    }

    pub(super) fn validity(&self) -> KeyValidity {
        self.validity.clone()
    }
}

/// Splits into what is signed, and the three parts.
fn split(token: &str) -> Result<(&str, &str, &str, &str), ValidationError> {
    let Some((signing_input, signature)) = token.rsplit_once('.') else {
        return Err(ValidationError::MalformedToken("not of three parts"));
    };
    match signing_input.split_once('.') {
        Some((header, payload)) if !payload.contains('.') => Ok((signing_input, header, payload, signature)),
        Some((_, rest)) if rest.matches('.').count() == 2 => {
            Err(ValidationError::MalformedToken("five parts: an encrypted token, which cannot be read here"))
        }
        _ => Err(ValidationError::MalformedToken("not of three parts")),
    }
}

/// Decodes base64url without padding (RFC 7515 section 2). A text that is not the one its bytes encode to is refused, so
/// that a token has one spelling.
fn decode(part: &str, max_len: usize, otherwise: &'static str) -> Result<Vec<u8>, ValidationError> {
    if part.len() > max_len.div_ceil(3) * 4 {
        return Err(ValidationError::MalformedToken(otherwise));
    }
    URL_SAFE_NO_PAD.decode(part).map_err(|_| ValidationError::MalformedToken(otherwise))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OTHERWISE: &str = "otherwise";

    #[test]
    fn three_parts_are_split() {
        assert_eq!(split("a.b.c").unwrap(), ("a.b", "a", "b", "c"));
        assert_eq!(split("..").unwrap(), (".", "", "", ""));
        for token in ["", "a", "a.b", "a.b.c.d", "a.b.c.d.e", &".".repeat(16_000)] {
            assert!(matches!(split(token), Err(ValidationError::MalformedToken(_))), "{token:.20}");
        }
    }

    #[test]
    fn r7515_02_base64url_has_one_spelling() {
        assert_eq!(decode("QQ", 10, OTHERWISE).unwrap(), b"A");
        for part in ["QR", "QQ==", "QQ=", "Q", "Q+", "Q/", "Q Q", "QQ\n", "é"] {
            assert!(decode(part, 10, OTHERWISE).is_err(), "{part:?}");
        }
    }

    proptest! {
        #[test]
        fn what_decodes_encodes_to_the_same_text(part in "[A-Za-z0-9_-]{0,24}") {
            if let Ok(bytes) = decode(&part, 64, OTHERWISE) {
                prop_assert_eq!(URL_SAFE_NO_PAD.encode(bytes), part);
            }
        }

        #[test]
        fn every_byte_string_is_decoded_from_its_encoding(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(decode(&URL_SAFE_NO_PAD.encode(&bytes), 64, OTHERWISE).unwrap(), bytes);
        }
    }
}
