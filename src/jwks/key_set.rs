//! A set of public keys (RFC 7517 section 5): [`KeySet`].

use std::sync::Arc;

use serde_json::value::RawValue;

use super::{Algorithm, jwk::NOT_FOR_SIGNATURES, material::Unusable, pem, verifying_key::VerifyingKey};
use crate::{
    ConfigError, ValidationError,
    config_error::Problem,
    refusal::Excerpt,
    strict_json::{self, Members},
};

/// Maximum number of keys in a set. Most servers publish two or three. Entra ID publishes about a dozen, for all
/// tenants.
const MAX_KEYS: usize = 64;

/// Maximum number of keys tried per token. It bounds the cost of a bad signature if many keys share a `kid`.
const MAX_CANDIDATES: usize = 4;

/// The public keys of an authorization server.
///
/// A key that cannot be used is skipped with a warning in the log, and the other keys are used (RFC 7517 section 5).
/// Skipped are: unknown types and curves, encryption keys (without a warning), private and symmetric keys, RSA keys
/// outside 2048 to 8192 bits, RSA keys with an even modulus, or with an exponent that is even, below 3 or above 33
/// bits, points that are not on their curve, Ed25519 keys of small order, and keys with a duplicate member.
///
/// Not checked: certificates (`x5c`, `x5t`, `x5u`), and whether the keys belong to the authorization server.
#[derive(Clone, Debug)]
#[must_use]
pub struct KeySet {
    keys: Vec<Arc<VerifyingKey>>,
}

impl KeySet {
    /// Parses a JWK Set (RFC 7517 section 5).
    ///
    /// # Errors
    /// If the input is not a JWK Set, has more than 64 keys, or has no usable key.
    pub fn from_jwks(json: &str) -> Result<Self, ConfigError> {
        Self::parse(json.as_bytes()).map_err(|reason| Problem::without_value("key set", reason).into())
    }

    /// Parses one JWK (RFC 7517 section 4). A key without `kid` verifies tokens with any `kid`.
    ///
    /// # Errors
    /// If the input is not a JWK, or the key is not usable.
    pub fn from_jwk(json: &str) -> Result<Self, ConfigError> {
        let problem = |reason| ConfigError::from(Problem::without_value("key", reason));
        let members =
            Members::parse(json.as_bytes()).map_err(|_| problem("expected a JWK (RFC 7517 section 4)"))?;
        let key = VerifyingKey::from_jwk(&members).map_err(|Unusable(reason)| problem(reason))?;
        Ok(Self { keys: vec![Arc::new(key.for_any_kid())] })
    }

    /// Parses a PEM public key for one algorithm (RFC 7468 section 13).
    ///
    /// The PEM block must be `BEGIN PUBLIC KEY`. The key verifies tokens with any `kid`.
    ///
    /// # Errors
    /// If the input is not one PEM public key, or the key does not fit the algorithm or is not usable.
    pub fn from_pem(pem: &str, algorithm: Algorithm) -> Result<Self, ConfigError> {
        let key = pem::public_key(pem, algorithm)
            .and_then(|material| VerifyingKey::prepare(None, &material, Some(algorithm)))
            .map_err(|Unusable(reason)| Problem::without_value("key", reason))?;
        Ok(Self { keys: vec![Arc::new(key.for_any_kid())] })
    }

    /// Adds the keys of another set. Keys with the same `kid` are all kept, but at most 4 are tried for a token.
    pub fn and(mut self, other: Self) -> Self {
        self.keys.extend(other.keys);
        self
    }

    /// Parses a set and skips keys that are not usable.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, &'static str> {
        let set = Members::parse(json)
            .map_err(|_| "expected a JWK Set: one JSON object without duplicate members")?;
        let keys: Vec<&RawValue> = set
            .find("keys")
            .and_then(|keys| serde_json::from_str(keys).ok())
            .ok_or("expected a JWK Set with an array named keys (RFC 7517 section 5)")?;
        if keys.len() > MAX_KEYS {
            return Err("more than 64 keys");
        }
        let keys: Vec<_> = keys.into_iter().filter_map(|key| usable(key.get())).map(Arc::new).collect();
        if keys.is_empty() {
            return Err("no key that can verify signatures");
        }
        Ok(Self { keys })
    }

    /// Reuses the keys that are also in `older`, so that cached verdicts of these keys stay valid.
    pub(crate) fn reusing_keys_of(mut self, older: &Self) -> Self {
        for key in &mut self.keys {
            if let Some(same) = older.keys.iter().find(|old| old.is_same_as(key)) {
                *key = Arc::clone(same);
            }
        }
        self
    }

    /// Invalidates cached verdicts of keys that are no longer in `newer`.
    pub(crate) fn invalidate_keys_not_in(&self, newer: &Self) {
        for key in &self.keys {
            if !newer.keys.iter().any(|kept| Arc::ptr_eq(kept, key)) {
                key.validity().withdraw();
            }
        }
    }

    /// Verifies a signature and returns the key that verified it.
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

    /// Returns whether both sets contain the same key objects in the same order.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.keys.len() == other.keys.len()
            && self.keys.iter().zip(&other.keys).all(|(one, other)| Arc::ptr_eq(one, other))
    }

    /// Returns the `kid` of each key that is not in `older` and fits several `allowed` algorithms.
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

/// Parses one key of a set, or logs why it is skipped.
fn usable(jwk: &str) -> Option<VerifyingKey> {
    let key = match Members::parse(jwk.as_bytes()) {
        Ok(members) => {
            let kid = members.find("kid").and_then(strict_json::string);
            let kid = kid.as_deref().map(Excerpt::new);
            VerifyingKey::from_jwk(&members).map_err(|reason| (kid, reason))
        }
        Err(_) => Err((None, Unusable("not a JSON object, or a duplicate member"))),
    };
    match key {
        Ok(key) => Some(key),
        Err((kid, NOT_FOR_SIGNATURES)) => {
            tracing::debug!(?kid, reason = %NOT_FOR_SIGNATURES, "key skipped");
            None
        }
        Err((kid, reason)) => {
            tracing::warn!(?kid, %reason, "key skipped");
            None
        }
    }
}
