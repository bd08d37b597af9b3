//! The compact form of a JWS (RFC 7515 section 7.1): [`CompactJws`].

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::header::{HeaderPolicy, JoseHeader};
use crate::{
    AccessToken, Algorithm, KeySet, ValidationError,
    credentials::{MAX_PAYLOAD_LEN, MAX_TOKEN_LEN},
    strict_json::{Members, OwnedMembers},
    token::KeyValidity,
};

/// Maximum length of a header, in bytes of JSON. Only certificates (`x5c`), which this crate does not use, make headers
/// longer.
const MAX_HEADER_LEN: usize = 4 * 1024;

/// A JWT with an acceptable form and header. Its signature was not verified, so the payload must not be trusted.
pub(super) struct CompactJws<'a> {
    header: JoseHeader,
    signing_input: &'a [u8],
    payload: Payload<'a>,
    signature: Vec<u8>,
}

/// A payload whose signature was not verified.
enum Payload<'a> {
    Decoded(Vec<u8>),
    /// Parsed by a router, which chose the validator by the issuer.
    Parsed(&'a OwnedMembers),
}

impl<'a> CompactJws<'a> {
    // RFC 7519 section 7.2.
    pub(super) fn parse(token: &'a AccessToken, policy: &HeaderPolicy) -> Result<Self, ValidationError> {
        let (parsed, token) = (token.parsed_jwt(), token.expose());
        // The layer has checked this for tokens from a header, but other callers have not.
        if token.len() > MAX_TOKEN_LEN {
            return Err(ValidationError::TokenTooLong { length: token.len(), limit: MAX_TOKEN_LEN });
        }
        let (signing_input, header, payload, signature) = split(token)?;
        check_len(header, MAX_HEADER_LEN, HEADER)?;
        let header = match parsed {
            Some(parsed) => JoseHeader::of(&parsed.header.members(), policy)?,
            None => JoseHeader::parse(&decode(header, HEADER)?, policy)?,
        };
        check_len(payload, MAX_PAYLOAD_LEN, PAYLOAD)?;
        let payload = match parsed {
            Some(parsed) => Payload::Parsed(&parsed.payload),
            None => Payload::Decoded(decode(payload, PAYLOAD)?),
        };
        let signature = decode(signature, "signature not in base64url")?;
        if signature.is_empty() {
            return Err(ValidationError::MalformedToken("empty signature"));
        }
        Ok(Self { header, signing_input: signing_input.as_bytes(), payload, signature })
    }

    pub(super) fn kid(&self) -> Option<&str> {
        self.header.kid()
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.header.algorithm()
    }

    /// Returns the unverified claims. Parses them unless a router has already done so.
    pub(super) fn claims(&self) -> Result<Members<'_>, ValidationError> {
        match &self.payload {
            Payload::Parsed(payload) => Ok(payload.members()),
            Payload::Decoded(payload) => Members::parse(payload).map_err(|_| {
                ValidationError::MalformedToken(
                    "payload is not an acceptable JSON object, or has a duplicate claim",
                )
            }),
        }
    }

    /// Verifies the signature (RFC 7515 section 5.2). Returns the validity of the key that verified it.
    pub(super) fn verify(&self, keys: &KeySet) -> Result<KeyValidity, ValidationError> {
        let key = keys.verify(self.kid(), self.algorithm(), self.signing_input, &self.signature)?;
        Ok(key.validity().clone())
    }
}

/// Returns the signing input and the three parts.
fn split(token: &str) -> Result<(&str, &str, &str, &str), ValidationError> {
    let Some((signing_input, signature)) = token.rsplit_once('.') else {
        return Err(ValidationError::MalformedToken("does not have three parts"));
    };
    match signing_input.split_once('.') {
        Some((header, payload)) if !payload.contains('.') => Ok((signing_input, header, payload, signature)),
        Some((_, rest)) if rest.matches('.').count() == 2 => {
            Err(ValidationError::MalformedToken("five parts: encrypted tokens are not supported"))
        }
        _ => Err(ValidationError::MalformedToken("does not have three parts")),
    }
}

const HEADER: &str = "header not in base64url, or too long";
const PAYLOAD: &str = "payload not in base64url, or too long";

/// Checks the length of a part before it is decoded.
fn check_len(part: &str, max_len: usize, otherwise: &'static str) -> Result<(), ValidationError> {
    if part.len() > max_len.div_ceil(3) * 4 {
        return Err(ValidationError::MalformedToken(otherwise));
    }
    Ok(())
}

/// Decodes base64url without padding (RFC 7515 section 2). Other encodings of the same bytes are refused, so that a
/// token has one encoding.
fn decode(part: &str, otherwise: &'static str) -> Result<Vec<u8>, ValidationError> {
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
        assert_eq!(decode("QQ", OTHERWISE).unwrap(), b"A");
        for part in ["QR", "QQ==", "QQ=", "Q", "Q+", "Q/", "Q Q", "QQ\n", "é"] {
            assert!(decode(part, OTHERWISE).is_err(), "{part:?}");
        }
    }

    proptest! {
        #[test]
        fn what_decodes_encodes_to_the_same_text(part in "[A-Za-z0-9_-]{0,24}") {
            if let Ok(bytes) = decode(&part, OTHERWISE) {
                prop_assert_eq!(URL_SAFE_NO_PAD.encode(bytes), part);
            }
        }

        #[test]
        fn every_byte_string_is_decoded_from_its_encoding(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(decode(&URL_SAFE_NO_PAD.encode(&bytes), OTHERWISE).unwrap(), bytes);
        }
    }
}
