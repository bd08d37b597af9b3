//! A set of keys (RFC 7517 section 5): read, searched, and followed from one version to the next.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::{Algorithm, VerifyingKey, jwk::Unusable, pem};
use crate::{
    ConfigError, ValidationError,
    config_error::Problem,
    refusal::Excerpt,
    strict_json::{self, Members},
};

/// Most keys in a set. Servers publish two or three; Entra, with all its tenants' keys, a dozen.
const MAX_KEYS: usize = 64;

/// Most keys of one `kid` that are tried, so that a set cannot multiply the cost of a bad signature.
const MAX_CANDIDATES: usize = 4;

/// The public keys of an authorization server.
///
/// Keys that cannot be used are left out, each for itself, with a warning in the log: unknown types and curves, keys for
/// encryption, private and symmetric keys, RSA keys that are not of 2048 to 8192 bits or whose modulus or exponent is
/// even or whose exponent is below 3, points off their curve, Ed25519 keys of small order, keys with a member twice.
#[derive(Clone, Debug)]
#[must_use]
pub struct KeySet {
    keys: Vec<Arc<VerifyingKey>>,
}

impl KeySet {
    /// Reads a JWK Set document (RFC 7517 section 5).
    ///
    /// # Errors
    /// When it is none, has more than 64 keys, or none that can be used.
    pub fn from_jwks(json: &str) -> Result<Self, ConfigError> {
        Self::parse(json.as_bytes()).map_err(|reason| Problem::without_value("key set", reason).into())
    }

    /// Reads one JWK (RFC 7517 section 4). Without `kid` it verifies tokens of any `kid`.
    ///
    /// # Errors
    /// When it is none, or cannot be used.
    pub fn from_jwk(json: &str) -> Result<Self, ConfigError> {
        let problem = |reason| ConfigError::from(Problem::without_value("key", reason));
        let members =
            Members::parse(json.as_bytes()).map_err(|_| problem("expected a JWK (RFC 7517 section 4)"))?;
        let key = VerifyingKey::from_jwk(&members).map_err(|Unusable(reason)| problem(reason))?;
        Ok(Self { keys: vec![Arc::new(key.for_any_kid())] })
    }

    /// Reads a public key in PEM (`BEGIN PUBLIC KEY`, RFC 7468 section 13), for one algorithm. It verifies tokens of any
    /// `kid`.
    ///
    /// # Errors
    /// When it is none, does not fit the algorithm or cannot be used.
    pub fn from_pem(pem: &str, algorithm: Algorithm) -> Result<Self, ConfigError> {
        let key = pem::public_key(pem, algorithm)
            .and_then(|material| VerifyingKey::prepare(None, &material, Some(algorithm)))
            .map_err(|Unusable(reason)| Problem::without_value("key", reason))?;
        Ok(Self { keys: vec![Arc::new(key.for_any_kid())] })
    }

    /// Adds the keys of another set.
    pub fn and(mut self, other: Self) -> Self {
        self.keys.extend(other.keys);
        self
    }

    /// Reads a set, leaving out what cannot be used.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, &'static str> {
        let set = Members::parse(json).map_err(|_| "expected a JWK Set: one JSON object, no member twice")?;
        let keys: Vec<&RawValue> = set
            .find("keys")
            .and_then(|keys| serde_json::from_str(keys).ok())
            .ok_or("expected a JWK Set with the array keys (RFC 7517 section 5)")?;
        if keys.len() > MAX_KEYS {
            return Err("more than 64 keys");
        }
        let keys: Vec<_> = keys.into_iter().filter_map(|key| usable(key.get())).map(Arc::new).collect();
        if keys.is_empty() {
            return Err("no key that can be used to verify signatures");
        }
        Ok(Self { keys })
    }

    /// Takes over from an older version of the set: keys that stay are carried over, so that verdicts which rest on them
    /// stay good.
    pub(crate) fn succeeding(mut self, older: &Self) -> Self {
        for key in &mut self.keys {
            if let Some(same) = older.keys.iter().find(|old| old.is_same_as(key)) {
                *key = Arc::clone(same);
            }
        }
        self
    }

    /// Withdraws what rests on keys that `newer` no longer has.
    pub(crate) fn retire_in_favour_of(&self, newer: &Self) {
        for key in &self.keys {
            if !newer.keys.iter().any(|kept| Arc::ptr_eq(kept, key)) {
                key.validity().withdraw();
            }
        }
    }

    /// Verifies a signature with the key that a header names, and returns that key.
    pub(crate) fn verify(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<&Arc<VerifyingKey>, ValidationError> {
        let mut fitting = self.keys.iter().filter_map(|key| Some((key, key.fitting(kid, algorithm)?)));
        if kid.is_none() {
            let candidates = fitting.clone().count();
            if candidates > 1 {
                return Err(ValidationError::AmbiguousKey { candidates, algorithm: algorithm.as_str() });
            }
        }
        let Some(first) = fitting.next() else {
            return Err(ValidationError::UnknownKey {
                kid: kid.map(Excerpt::new),
                algorithm: algorithm.as_str(),
            });
        };
        std::iter::once(first)
            .chain(fitting)
            .take(MAX_CANDIDATES)
            .find(|(_, prepared)| prepared.verify_sig(message, signature).is_ok())
            .map(|(key, _)| key)
            .ok_or(ValidationError::BadSignature)
    }

    /// Tells whether this set holds the very keys of `other`, in the same order.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.keys.len() == other.keys.len()
            && self.keys.iter().zip(&other.keys).all(|(one, other)| Arc::ptr_eq(one, other))
    }

    /// Returns the `kid` of each key that `older` does not have and that fits several of the `allowed` algorithms.
    pub(crate) fn unpinned_kids<'a>(
        &'a self,
        allowed: &'a [Algorithm],
        older: Option<&'a Self>,
    ) -> impl Iterator<Item = Option<&'a str>> {
        let is_new = move |key: &&Arc<VerifyingKey>| {
            older.is_none_or(|older| !older.keys.iter().any(|old| Arc::ptr_eq(old, key)))
        };
        let is_unpinned = |key: &&Arc<VerifyingKey>| {
            key.algorithms().filter(|algorithm| allowed.contains(algorithm)).count() > 1
        };
        self.keys.iter().filter(is_new).filter(is_unpinned).map(|key| key.kid())
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }
}

/// Reads one key of a set, or says in the log why it is left out.
fn usable(jwk: &str) -> Option<VerifyingKey> {
    let key = match Members::parse(jwk.as_bytes()) {
        Ok(members) => {
            let kid = members.find("kid").and_then(strict_json::string);
            let kid = kid.as_deref().map(Excerpt::new);
            VerifyingKey::from_jwk(&members).map_err(|reason| (kid, reason))
        }
        Err(_) => Err((None, Unusable("no JSON object, or a member twice"))),
    };
    match key {
        Ok(key) => Some(key),
        // Servers publish keys for encryption beside the others as a matter of course.
        Err((kid, reason @ Unusable("use is not sig"))) => {
            tracing::debug!(?kid, %reason, "key left out");
            None
        }
        Err((kid, reason)) => {
            tracing::warn!(?kid, %reason, "key left out");
            None
        }
    }
}
