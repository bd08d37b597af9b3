//! One key: read from a JWK (RFC 7517 section 4), judged, and prepared for the algorithms it may be used with.

use std::fmt;

use aws_lc_rs::signature::{ParsedPublicKey, RsaPublicKeyComponents};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::Algorithm;
use crate::{
    refusal::Excerpt,
    strict_json::{self, Members},
    token::KeyValidity,
};

/// A public key that may verify tokens, parsed once.
pub(crate) struct VerifyingKey {
    kid: Option<Box<str>>,
    /// Whether it verifies tokens of any `kid`: a key that was configured by itself, without one.
    fits_any_kid: bool,
    /// One entry for each algorithm: aws-lc-rs binds a parsed key to it (RFC 8725 section 3.1).
    prepared: Vec<(Algorithm, ParsedPublicKey)>,
    /// What is withdrawn when the key leaves its set.
    validity: KeyValidity,
}

/// Why a key is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unusable(pub(crate) &'static str);

/// The numbers of a public key.
pub(crate) enum Material {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// A point as `04 ‖ x ‖ y` on the curve of the algorithm.
    Ec(Algorithm, Vec<u8>),
    Ed25519(Vec<u8>),
}

impl VerifyingKey {
    /// Reads a JWK. Members that are unknown are ignored; those that are wrong make the key unusable.
    pub(crate) fn from_jwk(jwk: &Members<'_>) -> Result<Self, Unusable> {
        check_public(jwk)?;
        check_use(jwk)?;
        let kid = optional_string(jwk, "kid")?;
        let material = Material::from_jwk(jwk)?;
        let algorithm = match optional_string(jwk, "alg")? {
            None => None,
            Some(name) => {
                Some(Algorithm::find(&name).ok_or(Unusable("alg is no signature algorithm known here"))?)
            }
        };
        Self::prepare(kid, &material, algorithm)
    }

    /// Judges a key and parses it for `algorithm`, or for each that it can be used with.
    pub(crate) fn prepare(
        kid: Option<Box<str>>,
        material: &Material,
        algorithm: Option<Algorithm>,
    ) -> Result<Self, Unusable> {
        material.check()?;
        let prepared: Vec<_> = Algorithm::ALL
            .into_iter()
            .filter(|candidate| algorithm.is_none_or(|declared| declared == *candidate))
            .filter_map(|candidate| Some((candidate, material.parse_for(candidate)?)))
            .map(|(candidate, parsed)| Ok((candidate, parsed?)))
            .collect::<Result<_, _>>()?;
        if prepared.is_empty() {
            return Err(Unusable("alg does not fit the key's type"));
        }
        Ok(Self { kid, fits_any_kid: false, prepared, validity: KeyValidity::default() })
    }

    /// Lets the key verify tokens of any `kid`, unless it has one.
    pub(crate) fn for_any_kid(self) -> Self {
        Self { fits_any_kid: self.kid.is_none(), ..self }
    }

    /// Returns the key as parsed for `algorithm`, if it fits that and the `kid` of a token.
    pub(crate) fn fitting(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&ParsedPublicKey> {
        let fits_kid = kid.is_none() || self.fits_any_kid || self.kid.as_deref() == kid;
        if !fits_kid {
            return None;
        }
        self.prepared.iter().find(|(prepared, _)| *prepared == algorithm).map(|(_, key)| key)
    }

    /// Tells whether this is the same key for the same use, so that verdicts which rest on it stay good.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let uses = |key: &Self| key.prepared.iter().map(|(algorithm, _)| *algorithm).collect::<Vec<_>>();
        let bytes = |key: &Self| key.prepared.first().map(|(_, key)| key.as_ref().to_vec());
        self.kid == other.kid && uses(self) == uses(other) && bytes(self) == bytes(other)
    }

    pub(crate) fn validity(&self) -> &KeyValidity {
        &self.validity
    }

    /// Returns the algorithms it is used with; several for an RSA key that declares none.
    pub(crate) fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.prepared.iter().map(|(algorithm, _)| *algorithm)
    }

    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("kid", &self.kid.as_deref().map(Excerpt::new))
            .field("algorithms", &self.algorithms().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Material {
    fn from_jwk(jwk: &Members<'_>) -> Result<Self, Unusable> {
        let kty = optional_string(jwk, "kty")?.ok_or(Unusable("no kty"))?;
        match &*kty {
            "RSA" => Ok(Self::Rsa { modulus: number(jwk, "n")?, exponent: number(jwk, "e")? }),
            "EC" => Self::ec(jwk),
            "OKP" => match optional_string(jwk, "crv")?.as_deref() {
                Some("Ed25519") => Ok(Self::Ed25519(number(jwk, "x")?)),
                _ => Err(Unusable("crv is not Ed25519")),
            },
            _ => Err(Unusable("kty is not RSA, EC or OKP")),
        }
    }

    fn ec(jwk: &Members<'_>) -> Result<Self, Unusable> {
        let (algorithm, coordinate_len) = match optional_string(jwk, "crv")?.as_deref() {
            Some("P-256") => (Algorithm::ES256, 32),
            Some("P-384") => (Algorithm::ES384, 48),
            Some("P-521") => (Algorithm::ES512, 66),
            _ => return Err(Unusable("crv is not P-256, P-384 or P-521")),
        };
        let (x, y) = (number(jwk, "x")?, number(jwk, "y")?);
        // RFC 7518 section 6.2.1.2: the length of the full size of a coordinate.
        if x.len() != coordinate_len || y.len() != coordinate_len {
            return Err(Unusable("a coordinate has not the full length of the curve"));
        }
        Ok(Self::Ec(algorithm, [&[UNCOMPRESSED], x.as_slice(), y.as_slice()].concat()))
    }

    /// Refuses what aws-lc-rs would parse although nobody should trust it.
    fn check(&self) -> Result<(), Unusable> {
        match self {
            Self::Rsa { modulus, exponent } => check_rsa(trimmed(modulus), trimmed(exponent)),
            Self::Ec(..) => Ok(()), // the point is checked to be on the curve when it is parsed
            Self::Ed25519(point) => check_ed25519(point),
        }
    }

    /// Parses the key for an algorithm; `None` where it is none for this type of key.
    fn parse_for(&self, algorithm: Algorithm) -> Option<Result<ParsedPublicKey, Unusable>> {
        let parsed = match self {
            Self::Rsa { modulus, exponent } => {
                RsaPublicKeyComponents { n: trimmed(modulus), e: trimmed(exponent) }
                    .to_parsed_public_key(algorithm.rsa()?)
            }
            Self::Ec(of_curve, point) => {
                ParsedPublicKey::new(algorithm.curve().filter(|_| algorithm == *of_curve)?, point)
            }
            Self::Ed25519(point) => {
                ParsedPublicKey::new(algorithm.curve().filter(|_| algorithm == Algorithm::EdDSA)?, point)
            }
        };
        Some(parsed.map_err(|_| Unusable("no valid public key")))
    }
}

/// Marks a point that is given by both coordinates (SEC 1 section 2.3.3).
const UNCOMPRESSED: u8 = 4;

// RFC 7518 sections 3.3 and 3.5: 2048 bits or more. The upper bound is ours: verification gets dear.
fn check_rsa(modulus: &[u8], exponent: &[u8]) -> Result<(), Unusable> {
    const BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
    // What aws-lc verifies with, at most.
    const MAX_EXPONENT: u64 = (1 << 33) - 1;

    let bits = modulus.first().map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize);
    if !BITS.contains(&bits) {
        return Err(Unusable("RSA modulus not of 2048 to 8192 bits"));
    }
    // A product of two odd primes is odd; of an even one everybody knows a factor.
    if modulus.last().is_none_or(|last| last % 2 == 0) {
        return Err(Unusable("RSA modulus even"));
    }
    if exponent.len() > size_of::<u64>() {
        return Err(Unusable("RSA exponent too large"));
    }
    let exponent = exponent.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    // With the exponent 1 every message is its own signature.
    if exponent < 3 || exponent % 2 == 0 || exponent > MAX_EXPONENT {
        return Err(Unusable("RSA exponent below 3, even, or beyond 33 bits"));
    }
    Ok(())
}

// Under a point of small order a made-up signature verifies for every message, or for every eighth.
fn check_ed25519(point: &[u8]) -> Result<(), Unusable> {
    let Ok(mut without_sign) = <[u8; 32]>::try_from(point) else {
        return Err(Unusable("Ed25519 key not of 32 bytes"));
    };
    without_sign[31] &= 0x7f;
    if SMALL_ORDER.contains(&without_sign) {
        return Err(Unusable("Ed25519 key of small order"));
    }
    Ok(())
}

/// The encodings of the points whose order divides 8, without the sign bit: with it they are 14. The coordinate y is
/// 0, 1, the two of order 8, and -1; then 0 and 1 once more, as p and p + 1.
const SMALL_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    little_endian(1, [0; 31]),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    little_endian(0xec, FIELD_HIGH),
    little_endian(0xed, FIELD_HIGH),
    little_endian(0xee, FIELD_HIGH),
];

/// The bytes of p = 2^255 - 19 behind its lowest one, 0xed.
const FIELD_HIGH: [u8; 31] = {
    let mut bytes = [0xff; 31];
    bytes[30] = 0x7f;
    bytes
};

const fn little_endian(lowest: u8, rest: [u8; 31]) -> [u8; 32] {
    let mut bytes = [lowest; 32];
    let mut index = 0;
    while index < rest.len() {
        bytes[index + 1] = rest[index];
        index += 1;
    }
    bytes
}

/// Some servers put a zero before a modulus whose highest bit is set, as DER has it.
fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

// A private key on a public address is nobody's secret any more, and a symmetric one never was ours to know.
fn check_public(jwk: &Members<'_>) -> Result<(), Unusable> {
    const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    if PRIVATE.iter().any(|name| jwk.find(name).is_some()) {
        return Err(Unusable("holds a private or symmetric key"));
    }
    Ok(())
}

// RFC 7517 sections 4.2 and 4.3: for signatures, and both members must agree.
fn check_use(jwk: &Members<'_>) -> Result<(), Unusable> {
    let used = optional_string(jwk, "use")?;
    if used.as_deref().is_some_and(|used| used != "sig") {
        return Err(Unusable("use is not sig"));
    }
    if let Some(operations) = jwk.find("key_ops") {
        let operations: Vec<String> =
            serde_json::from_str(operations).map_err(|_| Unusable("key_ops is no array of strings"))?;
        if !operations.iter().any(|operation| operation == "verify") {
            return Err(Unusable("key_ops without verify"));
        }
        if used.is_some() && !operations.iter().all(|operation| matches!(&**operation, "sign" | "verify")) {
            return Err(Unusable("key_ops beyond what use allows"));
        }
    }
    Ok(())
}

fn optional_string(jwk: &Members<'_>, name: &str) -> Result<Option<Box<str>>, Unusable> {
    match jwk.find(name) {
        None => Ok(None),
        Some(value) => match strict_json::string(value) {
            Some(text) => Ok(Some(text.into())),
            None => Err(Unusable("a member that must be a string is none")),
        },
    }
}

fn number(jwk: &Members<'_>, name: &str) -> Result<Vec<u8>, Unusable> {
    let text = optional_string(jwk, name)?.ok_or(Unusable("a coordinate, modulus or exponent is missing"))?;
    URL_SAFE_NO_PAD.decode(text.as_bytes()).map_err(|_| Unusable("a number is not in base64url"))
}
