//! The signature algorithms that a token may use: [`Algorithm`].

use std::{fmt, str::FromStr};

use aws_lc_rs::{
    rsa::RsaParameters,
    signature::{self, VerificationAlgorithm},
};

use crate::refusal::Excerpt;

/// A signature algorithm (RFC 7518 section 3.1, RFC 8037, RFC 9864).
///
/// Symmetric algorithms and `none` are not supported.
///
/// [`FromStr`] parses the exact names used in `alg`:
///
/// ```
/// # fn main() -> Result<(), tower_bearer::UnknownAlgorithm> {
/// use tower_bearer::Algorithm;
///
/// assert_eq!("RS256".parse::<Algorithm>()?, Algorithm::RS256);
/// assert!("HS256".parse::<Algorithm>().is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// ECDSA on P-521 with SHA-512.
    ES512,
    /// EdDSA on Ed25519. The names `EdDSA` (RFC 8037) and `Ed25519` (RFC 9864) are treated as the same algorithm.
    EdDSA,
}

impl Algorithm {
    /// All algorithms. A validator accepts them by default.
    pub const ALL: &'static [Self] = &[
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::ES512,
        Self::EdDSA,
    ];

    /// Returns the name used in `alg`. For `EdDSA` this is the older name, `EdDSA` (RFC 8037).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::EdDSA => "EdDSA",
        }
    }

    /// Returns the `aws-lc-rs` parameters if this is an RSA algorithm.
    pub(super) fn rsa(self) -> Option<&'static RsaParameters> {
        match self {
            Self::RS256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
            Self::RS384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
            Self::RS512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
            Self::PS256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
            Self::PS384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
            Self::PS512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
            Self::ES256 | Self::ES384 | Self::ES512 | Self::EdDSA => None,
        }
    }

    /// Returns the `aws-lc-rs` algorithm if this is an elliptic curve algorithm. ECDSA signatures in a JWS have a fixed
    /// length (RFC 7518 section 3.4), unlike those in X.509.
    pub(super) fn curve(self) -> Option<&'static dyn VerificationAlgorithm> {
        match self {
            Self::ES256 => Some(&signature::ECDSA_P256_SHA256_FIXED),
            Self::ES384 => Some(&signature::ECDSA_P384_SHA384_FIXED),
            Self::ES512 => Some(&signature::ECDSA_P521_SHA512_FIXED),
            Self::EdDSA => Some(&signature::ED25519),
            Self::RS256 | Self::RS384 | Self::RS512 | Self::PS256 | Self::PS384 | Self::PS512 => None,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    /// Parses the name of an algorithm, which is case-sensitive (RFC 7515 section 4.1.1). `Ed25519` is parsed as
    /// [`Algorithm::EdDSA`].
    ///
    /// # Errors
    /// If the name is not that of a supported algorithm. `none` and symmetric algorithms are not supported.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if name == "Ed25519" {
            return Ok(Self::EdDSA);
        }
        let found = Self::ALL.iter().copied().find(|algorithm| algorithm.as_str() == name);
        found.ok_or_else(|| UnknownAlgorithm(Excerpt::new(name)))
    }
}

/// The error for a name that is not an [`Algorithm`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a supported signature algorithm, expected a name such as RS256 (RFC 7518 section 3.1)")]
pub struct UnknownAlgorithm(Excerpt);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_are_found_by_their_exact_names() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.as_str().parse(), Ok(*algorithm));
        }
        assert_eq!("Ed25519".parse(), Ok(Algorithm::EdDSA));
    }

    #[test]
    fn other_names_are_refused() {
        for name in
            ["", "none", "HS256", "rs256", "RS256 ", "ES256K", "Ed448", "eddsa", "ed25519", "RSA-OAEP"]
        {
            let error = name.parse::<Algorithm>().unwrap_err();

            assert!(
                error.to_string().starts_with(&format!("{name:?} is not a supported signature algorithm")),
                "{error}"
            );
        }
    }
}
