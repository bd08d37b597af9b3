//! With which key is a token signed, and where is its public half? (RFC 7515, RFC 7517, RFC 7638)

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{self, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use axum::{Json, extract::State};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header,
    jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash},
};
use serde_json::{Map, Value};

use super::state::ServerState;

/// The algorithm of the signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SigningAlgorithm {
    /// RSA of 2048 bits, as nearly every authorization server has it.
    #[default]
    Rs256,
    /// The curve P-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

/// The key that signs now, and those that are published.
pub(super) struct SigningKeys {
    algorithm: SigningAlgorithm,
    keys: Mutex<Keys>,
}

struct Keys {
    current: Arc<SigningKey>,
    /// The newest first.
    published: Vec<Jwk>,
}

impl SigningKeys {
    pub(super) fn generate(algorithm: SigningAlgorithm) -> Self {
        let current = Arc::new(SigningKey::generate(algorithm));
        let published = vec![current.public.clone()];
        Self { algorithm, keys: Mutex::new(Keys { current, published }) }
    }

    /// Signs with a new key from now on. Of the former ones, `kept` stay published.
    pub(super) fn rotate(&self, kept: usize) {
        let current = Arc::new(SigningKey::generate(self.algorithm));
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.published.truncate(kept);
        keys.published.insert(0, current.public.clone());
        keys.current = current;
    }

    /// Signs a JWT access token (RFC 9068 section 2.1: its type is `at+jwt`).
    pub(super) fn sign(&self, claims: &Map<String, Value>) -> String {
        let key = Arc::clone(&self.keys.lock().unwrap_or_else(PoisonError::into_inner).current);
        let mut header = Header::new(key.algorithm);
        header.typ = Some("at+jwt".to_owned());
        header.kid.clone_from(&key.public.common.key_id);
        jsonwebtoken::encode(&header, claims, &key.private).expect("the key was made for this algorithm")
    }

    fn published(&self) -> JwkSet {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        JwkSet { keys: keys.published.clone() }
    }
}

/// Answers `GET /jwks` (RFC 7517 section 5).
pub(super) async fn jwks(State(state): State<Arc<ServerState>>) -> Json<JwkSet> {
    Json(state.keys.published())
}

struct SigningKey {
    algorithm: Algorithm,
    private: EncodingKey,
    public: Jwk,
}

impl SigningKey {
    fn generate(algorithm: SigningAlgorithm) -> Self {
        let (algorithm, private) = match algorithm {
            SigningAlgorithm::Rs256 => (Algorithm::RS256, generate_rsa()),
            SigningAlgorithm::Es256 => (Algorithm::ES256, generate_p256()),
            SigningAlgorithm::EdDsa => (Algorithm::EdDSA, generate_ed25519()),
        };
        let mut public =
            Jwk::from_encoding_key(&private, algorithm).expect("the key was made for this algorithm");
        // RFC 7638: the thumbprint is a name that no other key has.
        let thumbprint = public.thumbprint(ThumbprintHash::SHA256).expect("RSA, EC and OKP have one");
        public.common.key_id = Some(thumbprint);
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Self { algorithm, private, public }
    }
}

fn generate_rsa() -> EncodingKey {
    let pair = rsa::KeyPair::generate(KeySize::Rsa2048).expect("2048 bits are supported");
    let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).expect("a new key can be written");
    // By way of PEM, because `from_rsa_der` takes only the inner PKCS #1 structure.
    let pem = BASE64_STANDARD.encode(pkcs8.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{pem}\n-----END PRIVATE KEY-----\n");
    EncodingKey::from_rsa_pem(pem.as_bytes()).expect("a new key can be read")
}

fn generate_p256() -> EncodingKey {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("P-256 is supported");
    EncodingKey::from_ec_der(pair.to_pkcs8v1().expect("a new key can be written").as_ref())
}

fn generate_ed25519() -> EncodingKey {
    let pair = Ed25519KeyPair::generate().expect("Ed25519 is supported");
    // Version 1, without the public half: `Jwk::from_encoding_key` knows the curve by this length.
    EncodingKey::from_ed_der(pair.to_pkcs8v1().expect("a new key can be written").as_ref())
}
