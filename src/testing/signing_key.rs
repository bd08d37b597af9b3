//! A private key that signs tokens: [`SigningKey`].

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaSignatureEncoding,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::Algorithm;

/// A key pair of an authorization server. Cheap to clone.
#[derive(Clone)]
pub struct SigningKey {
    kid: Box<str>,
    algorithm: Algorithm,
    pair: Pair,
}

#[derive(Clone)]
enum Pair {
    Rsa(Arc<RsaKeyPair>),
    Ec(Arc<EcdsaKeyPair>),
    Ed25519(Arc<Ed25519KeyPair>),
}

impl SigningKey {
    /// Generates a key for an algorithm.
    ///
    /// RSA keys have 2048 bits. Generating one takes a few tenths of a second in a debug build.
    pub fn generate(kid: &str, algorithm: Algorithm) -> Self {
        let pair = match algorithm {
            Algorithm::ES256 => Pair::ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            Algorithm::ES384 => Pair::ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            Algorithm::ES512 => Pair::ec(&signature::ECDSA_P521_SHA512_FIXED_SIGNING),
            Algorithm::EdDSA => Pair::Ed25519(Arc::new(Ed25519KeyPair::generate().expect(GENERATED))),
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512 => {
                Pair::Rsa(Arc::new(RsaKeyPair::generate(KeySize::Rsa2048).expect(GENERATED)))
            }
        };
        Self { kid: kid.into(), algorithm, pair }
    }

    /// Returns the same key with another `kid`.
    #[must_use]
    pub fn with_kid(&self, kid: &str) -> Self {
        Self { kid: kid.into(), ..self.clone() }
    }

    /// Returns the same key for another algorithm of the same key type.
    ///
    /// RSA keys can sign with six algorithms. A mismatch panics in [`sign`](Self::sign).
    #[must_use]
    pub fn with_algorithm(&self, algorithm: Algorithm) -> Self {
        Self { algorithm, ..self.clone() }
    }

    /// Returns the `kid` of the key.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Returns the algorithm it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the public key as a JWK with `kid`, `alg` and `use` (RFC 7517 section 4).
    pub fn jwk(&self) -> Value {
        let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let key = pair.public_key();
                json!({
                    "kty": "RSA",
                    "n": base64(key.modulus().big_endian_without_leading_zero()),
                    "e": base64(key.exponent().big_endian_without_leading_zero()),
                })
            }
            Pair::Ec(pair) => {
                // 04 ‖ x ‖ y
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = match self.algorithm {
                    Algorithm::ES384 => "P-384",
                    Algorithm::ES512 => "P-521",
                    _ => "P-256",
                };
                json!({"kty": "EC", "crv": curve, "x": base64(x), "y": base64(y)})
            }
            Pair::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64(pair.public_key().as_ref())})
            }
        };
        jwk["kid"] = (*self.kid).into();
        jwk["alg"] = self.algorithm.as_str().into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// Signs a message.
    ///
    /// # Panics
    /// If the key type does not fit the algorithm set with [`with_algorithm`](Self::with_algorithm).
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signed = vec![0; pair.public_modulus_len()];
                pair.sign(self.rsa_encoding(), &random, message, &mut signed).expect(SIGNED);
                signed
            }
            Pair::Ec(pair) => pair.sign(&random, message).expect(SIGNED).as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    fn rsa_encoding(&self) -> &'static RsaSignatureEncoding {
        match self.algorithm {
            Algorithm::RS256 => &signature::RSA_PKCS1_SHA256,
            Algorithm::RS384 => &signature::RSA_PKCS1_SHA384,
            Algorithm::RS512 => &signature::RSA_PKCS1_SHA512,
            Algorithm::PS256 => &signature::RSA_PSS_SHA256,
            Algorithm::PS384 => &signature::RSA_PSS_SHA384,
            Algorithm::PS512 => &signature::RSA_PSS_SHA512,
            other => panic!("an RSA key cannot sign with {other}"),
        }
    }
}

const GENERATED: &str = "key generation needs random bytes only";
const SIGNED: &str = "a generated key can sign";

impl Pair {
    fn ec(algorithm: &'static EcdsaSigningAlgorithm) -> Self {
        Self::Ec(Arc::new(EcdsaKeyPair::generate(algorithm).expect(GENERATED)))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
