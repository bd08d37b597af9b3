//! A key parsed for each algorithm that it may be used with: [`VerifyingKey`].

use std::fmt;

use aws_lc_rs::signature::ParsedPublicKey;

use super::{
    Algorithm,
    jwk::PublicJwk,
    material::{Material, Unusable},
};
use crate::{refusal::Excerpt, strict_json::Members, token::KeyValidity};

/// A public key for verification, parsed once.
pub(crate) struct VerifyingKey {
    kid: Option<Box<str>>,
    /// Whether it verifies tokens with any `kid`. True for a single configured key without a `kid`.
    fits_any_kid: bool,
    /// One entry per algorithm, because aws-lc-rs binds a parsed key to one algorithm (RFC 8725 section 3.1).
    prepared: Vec<(Algorithm, ParsedPublicKey)>,
    /// Ends when the key leaves its set.
    validity: KeyValidity,
}

impl VerifyingKey {
    /// Reads a JWK. Unknown members are ignored. Invalid members make the key unusable.
    pub(super) fn from_jwk(members: &Members<'_>) -> Result<Self, Unusable> {
        let jwk = PublicJwk::read(members)?;
        Self::prepare(jwk.kid, &jwk.material, jwk.algorithm)
    }

    /// Checks a key and parses it for `algorithm`, or for every algorithm that fits if that is `None`.
    pub(super) fn prepare(
        kid: Option<Box<str>>,
        material: &Material,
        algorithm: Option<Algorithm>,
    ) -> Result<Self, Unusable> {
        material.check()?;
        let prepared: Vec<_> = Algorithm::ALL
            .iter()
            .copied()
            .filter(|candidate| algorithm.is_none_or(|declared| declared == *candidate))
            .filter_map(|candidate| Some((candidate, material.parse_for(candidate)?)))
            .map(|(candidate, parsed)| Ok((candidate, parsed?)))
            .collect::<Result<_, _>>()?;
        if prepared.is_empty() {
            return Err(Unusable("alg does not fit the key's type"));
        }
        Ok(Self { kid, fits_any_kid: false, prepared, validity: KeyValidity::default() })
    }

    /// Allows the key to verify tokens with any `kid`, unless it has a `kid` itself.
    pub(super) fn for_any_kid(self) -> Self {
        Self { fits_any_kid: self.kid.is_none(), ..self }
    }

    /// Returns the key parsed for `algorithm`, if it fits the algorithm and the `kid` of a token.
    pub(super) fn fitting(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&ParsedPublicKey> {
        let fits_kid = kid.is_none() || self.fits_any_kid || self.kid.as_deref() == kid;
        if !fits_kid {
            return None;
        }
        self.prepared.iter().find(|(prepared, _)| *prepared == algorithm).map(|(_, key)| key)
    }

    /// Returns whether both are the same key with the same algorithms.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        let uses = |key: &Self| key.prepared.iter().map(|(algorithm, _)| *algorithm).collect::<Vec<_>>();
        let bytes = |key: &Self| key.prepared.first().map(|(_, key)| key.as_ref().to_vec());
        self.kid == other.kid && uses(self) == uses(other) && bytes(self) == bytes(other)
    }

    pub(crate) fn validity(&self) -> &KeyValidity {
        &self.validity
    }

    /// Returns the algorithms it is used with. An RSA key that declares no `alg` has several.
    pub(super) fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.prepared.iter().map(|(algorithm, _)| *algorithm)
    }

    pub(super) fn kid(&self) -> Option<&str> {
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
