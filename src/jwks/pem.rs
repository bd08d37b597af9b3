//! Reads a PEM public key (RFC 7468 section 13).

use aws_lc_rs::rsa;
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    Algorithm,
    material::{Material, Unusable},
};

/// The DER bytes before the key in an Ed25519 public key (RFC 8410 section 10.1).
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Reads the only public key in a PEM text.
pub(super) fn public_key(pem: &str, algorithm: Algorithm) -> Result<Material, Unusable> {
    let der = der(pem)?;
    if algorithm.rsa().is_some() {
        let key = rsa::PublicKey::from_der(&der)
            .map_err(|_| Unusable("expected an RSA public key for this algorithm"))?;
        return Ok(Material::Rsa {
            modulus: key.modulus().big_endian_without_leading_zero().to_vec(),
            exponent: key.exponent().big_endian_without_leading_zero().to_vec(),
        });
    }
    if algorithm == Algorithm::EdDSA {
        return match der.strip_prefix(&ED25519_PREFIX) {
            Some(point) => Ok(Material::Ed25519(point.to_vec())),
            None => Err(Unusable("expected an Ed25519 public key for this algorithm")),
        };
    }
    // The parser accepts a SubjectPublicKeyInfo or a bare point, and checks the curve.
    Ok(Material::Ec(algorithm, der))
}

fn der(pem: &str) -> Result<Vec<u8>, Unusable> {
    const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
    const END: &str = "-----END PUBLIC KEY-----";
    const EXPECTED: Unusable = Unusable(
        "expected one PEM block BEGIN PUBLIC KEY; to extract the key of a certificate: openssl x509 -pubkey -noout",
    );

    let (before, behind_begin) = pem.split_once(BEGIN).ok_or(EXPECTED)?;
    let (base64, after_end) = behind_begin.split_once(END).ok_or(EXPECTED)?;
    if before.contains("-----BEGIN") || after_end.contains("-----BEGIN") {
        return Err(Unusable("more than one PEM block"));
    }
    let base64: String = base64.split_ascii_whitespace().collect();
    STANDARD.decode(base64).map_err(|_| Unusable("PEM block is not base64"))
}
