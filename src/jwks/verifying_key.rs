//! A key prepared for the algorithms that it may be used with: [`VerifyingKey`].

use std::fmt;

use aws_lc_rs::signature::ParsedPublicKey;

use super::{
    Algorithm,
    jwk::PublicJwk,
    material::{Material, Unusable},
};
use crate::{refusal::Excerpt, strict_json::Members, token::KeyValidity};

/// A public key that may verify tokens, parsed once.
pub(crate) struct VerifyingKey {
    kid: Option<Box<str>>,
    /// Whether it verifies tokens of any `kid`. True for a single key that was configured without one.
    fits_any_kid: bool,
    /// One entry for each algorithm, because aws-lc-rs binds a parsed key to one (RFC 8725 section 3.1).
    prepared: Vec<(Algorithm, ParsedPublicKey)>,
    /// Withdrawn when the key leaves its set.
    validity: KeyValidity,
}

impl VerifyingKey {
    /// Reads a JWK. Unknown members are ignored; wrong ones make the key unusable.
    pub(super) fn from_jwk(members: &Members<'_>) -> Result<Self, Unusable> {
        let jwk = PublicJwk::read(members)?;
        Self::prepare(jwk.kid, &jwk.material, jwk.algorithm)
    }

    /// Checks a key and parses it for `algorithm`, or for each that it can be used with.
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

    /// Lets the key verify tokens of any `kid`, unless it has one.
    pub(super) fn for_any_kid(self) -> Self {
        Self { fits_any_kid: self.kid.is_none(), ..self }
    }

    /// Returns the key as parsed for `algorithm`, if it fits both that and the `kid` of a token.
    pub(super) fn fitting(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&ParsedPublicKey> {
        let fits_kid = kid.is_none() || self.fits_any_kid || self.kid.as_deref() == kid;
        if !fits_kid {
            return None;
        }
        self.prepared.iter().find(|(prepared, _)| *prepared == algorithm).map(|(_, key)| key)
    }

    /// Tells whether this is the same key for the same use.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        let uses = |key: &Self| key.prepared.iter().map(|(algorithm, _)| *algorithm).collect::<Vec<_>>();
        let bytes = |key: &Self| key.prepared.first().map(|(_, key)| key.as_ref().to_vec());
        self.kid == other.kid && uses(self) == uses(other) && bytes(self) == bytes(other)
    }

    pub(crate) fn validity(&self) -> &KeyValidity {
        &self.validity
    }

    /// Returns the algorithms it is used with; several for an RSA key that declares none.
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
