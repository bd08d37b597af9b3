//! The numbers of a public key, and the checks on them: [`Material`].

use aws_lc_rs::signature::{ParsedPublicKey, RsaPublicKeyComponents};

use super::Algorithm;

/// Why a key is not usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unusable(pub(crate) &'static str);

/// The numbers of a public key.
pub(super) enum Material {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// A point on the curve of the algorithm, as `04 ‖ x ‖ y` or in a `SubjectPublicKeyInfo`.
    Ec(Algorithm, Vec<u8>),
    Ed25519(Vec<u8>),
}

impl Material {
    /// Refuses insecure keys that aws-lc-rs accepts.
    pub(super) fn check(&self) -> Result<(), Unusable> {
        match self {
            Self::Rsa { modulus, exponent } => check_rsa(trimmed(modulus), trimmed(exponent)),
            Self::Ec(..) => Ok(()), // the point is checked to be on the curve when it is parsed
            Self::Ed25519(point) => check_ed25519(point),
        }
    }

    /// Parses the key for an algorithm. Returns `None` if the algorithm does not fit the key type.
    pub(super) fn parse_for(&self, algorithm: Algorithm) -> Option<Result<ParsedPublicKey, Unusable>> {
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
        Some(parsed.map_err(|_| Unusable("not a valid public key")))
    }
}

// RFC 7518 sections 3.3 and 3.5: 2048 bits or more. The upper bound is ours, because larger keys are expensive to
// verify with.
fn check_rsa(modulus: &[u8], exponent: &[u8]) -> Result<(), Unusable> {
    const BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
    // The maximum that aws-lc accepts.
    const MAX_EXPONENT: u64 = (1 << 33) - 1;

    let bits = modulus.first().map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize);
    if !BITS.contains(&bits) {
        return Err(Unusable("RSA modulus does not have 2048 to 8192 bits"));
    }
    // A product of two odd primes is odd.
    if modulus.last().is_none_or(|last| last % 2 == 0) {
        return Err(Unusable("RSA modulus is even"));
    }
    if exponent.len() > size_of::<u64>() {
        return Err(Unusable("RSA exponent is too large"));
    }
    let exponent = exponent.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    // With exponent 1, every message is its own signature.
    if exponent < 3 || exponent % 2 == 0 || exponent > MAX_EXPONENT {
        return Err(Unusable("RSA exponent is below 3, even, or longer than 33 bits"));
    }
    Ok(())
}

// With a key of small order, a forged signature verifies for every message, or for one in eight.
fn check_ed25519(point: &[u8]) -> Result<(), Unusable> {
    let Ok(mut without_sign) = <[u8; 32]>::try_from(point) else {
        return Err(Unusable("Ed25519 key does not have 32 bytes"));
    };
    without_sign[31] &= 0x7f;
    if SMALL_ORDER.contains(&without_sign) {
        return Err(Unusable("Ed25519 key has small order"));
    }
    Ok(())
}

/// The encodings of the points whose order divides 8, without the sign bit. The y coordinates are 0, 1, the two of
/// order 8, and -1, followed by p and p + 1, the non-canonical encodings of 0 and 1.
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

/// The bytes of p = 2^255 - 19 after the lowest byte, 0xed.
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

/// Removes leading zeros. Some servers write one before a modulus whose highest bit is set, as DER does.
fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}
