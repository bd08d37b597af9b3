//! Valid tokens with another signature.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};
use tower_bearer::Algorithm;

use super::{Fixture, Tokens};
use crate::support::from_base64url;

/// The order of the P-256 group (FIPS 186-5), big endian.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The order of the group of Ed25519 (RFC 8032 section 5.1), big endian.
const ED25519_ORDER: [u8; 32] = [
    0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0xde, 0xf9, 0xde, 0xa2, 0xf7, 0x9c, 0xd6, 0x58,
    0x12, 0x63, 0x1a, 0x5c, 0xf5, 0xd3, 0xed,
];

pub(super) fn tokens(fixture: &Fixture) -> Tokens {
    let mut tokens = Vec::new();
    for key in &fixture.keys {
        let algorithm = key.algorithm();
        // The claims are fixed first, so that the signature is that of this token.
        let token = fixture.token().key(key);
        let signed = token.clone().sign();
        let signature = from_base64url(signed.rsplit_once('.').unwrap().1);
        let mut add = |name: &str, bytes: Vec<u8>| {
            tokens.push((format!("{algorithm}: {name}"), token.clone().signature(bytes).sign()));
        };
        let (start, end) = (signature[0], signature[signature.len() - 1]);
        add("first bit flipped", [&[start ^ 0x80], &signature[1..]].concat());
        add("last bit flipped", [&signature[..signature.len() - 1], &[end ^ 1]].concat());
        add("one byte less", signature[..signature.len() - 1].to_vec());
        add("a zero byte in front", [&[0], &signature[..]].concat());
        add("a zero byte at the end", [&signature[..], &[0]].concat());
        add("all zero", vec![0; signature.len()]);
        add("all ones", vec![0xff; signature.len()]);
        add("no byte", Vec::new());
        let other = fixture.token().key(key).subject("mallory").sign();
        add("of another token", from_base64url(other.rsplit_once('.').unwrap().1));
    }
    tokens.extend(elliptic(fixture));
    tokens
}

/// Other encodings of valid signatures on elliptic curves.
fn elliptic(fixture: &Fixture) -> Tokens {
    let mut tokens = Vec::new();
    let mut add = |name: &str, token| tokens.push((name.to_owned(), token));

    let token = fixture.token();
    let signature = from_base64url(token.clone().sign().rsplit_once('.').unwrap().1);
    let (r, s) = signature.split_at(32);
    let order = P256_ORDER.as_slice();
    add("ES256: s replaced by n - s", token.clone().signature([r, &difference(order, s)].concat()).sign());
    add("ES256: r zero", token.clone().signature([&[0; 32], s].concat()).sign());
    add("ES256: s zero", token.clone().signature([r, &[0; 32]].concat()).sign());
    add("ES256: r and s equal to n", token.clone().signature([order, order].concat()).sign());
    add("ES256: r and s with two more bytes each", {
        token.clone().signature([&[0, 0], r, &[0, 0], s].concat()).sign()
    });
    add("ES256: as ASN.1, random key", {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let signature = key.sign(&SystemRandom::new(), b"anything").unwrap();
        token.clone().signature(signature.as_ref()).sign()
    });
    add("ES256: as ASN.1", token.clone().signature(asn1(r, s)).sign());

    let token = fixture.token().key(fixture.key(Algorithm::EdDSA));
    let signature = from_base64url(token.clone().sign().rsplit_once('.').unwrap().1);
    let (point, scalar) = signature.split_at(32);
    let scalar: Vec<u8> = scalar.iter().rev().copied().collect(); // little endian
    let mut sum = sum(&scalar, &ED25519_ORDER);
    sum.reverse();
    add("EdDSA: s replaced by s + L", token.clone().signature([point, &sum].concat()).sign());
    add("EdDSA: a point of small order", {
        let mut small = vec![0; 64];
        small[0] = 1;
        token.signature(small).sign()
    });
    tokens
}

/// Returns the DER encoding of a pair of positive integers.
fn asn1(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let digits: Vec<_> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        let sign = if digits[0] & 0x80 == 0 { &[][..] } else { &[0] };
        let length = u8::try_from(sign.len() + digits.len()).unwrap();
        [&[2, length], sign, &digits].concat()
    };
    let integers = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(integers.len()).unwrap()], &integers[..]].concat()
}

/// Subtracts numbers of the same length, big endian.
fn difference(from: &[u8], number: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut bytes: Vec<u8> = Vec::new();
    for (from, number) in from.iter().zip(number).rev() {
        let byte = i16::from(*from) - i16::from(*number) - borrow;
        borrow = i16::from(byte < 0);
        bytes.push(byte.rem_euclid(256).try_into().unwrap());
    }
    bytes.reverse();
    bytes
}

/// Adds numbers of the same length, big endian. The sum must not be longer.
fn sum(one: &[u8], other: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let mut bytes: Vec<u8> = Vec::new();
    for (one, other) in one.iter().zip(other).rev() {
        let byte = u16::from(*one) + u16::from(*other) + carry;
        carry = byte / 256;
        bytes.push((byte % 256).try_into().unwrap());
    }
    bytes.reverse();
    bytes
}
