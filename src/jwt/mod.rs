//! Validates JWT access tokens locally: [`JwtValidator`] (RFC 9068, RFC 7519, RFC 8725).
//!
//! The checks, in this order: size and compact form, header (`typ`, `alg`, `crit`), key, signature, issuer, token type,
//! times, audience. A claim that a check needs must be present and have the right JSON type. Before the signature is
//! verified, only the issuer is read from the payload, so that tokens of other issuers do not trigger fetches.
//!
//! **Not checked**: whether the token was revoked (use introspection for that), whether it was used before (`jti`), and
//! the scopes, which the layer checks for each route.
//!
//! ```
//! use std::time::Duration;
//! use tower_bearer::{AccessTokenRule, Algorithm, AuthorizationServer, JwtValidator};
//!
//! # #[cfg(feature = "reqwest")]
//! # fn main() -> Result<(), tower_bearer::ConfigError> {
//! // A server that follows RFC 9068.
//! let authorization_server = AuthorizationServer::discover("https://as.example.com");
//! let strict = JwtValidator::builder(authorization_server, "https://orders.example.com").build()?;
//!
//! // Keycloak: the header has `typ: JWT`, and the claim `typ` is `Bearer` in access tokens only.
//! let keycloak = AuthorizationServer::discover("https://sso.example.com/realms/main");
//! let relaxed = JwtValidator::builder(keycloak, "https://orders.example.com")
//!     .accept_typ_jwt(AccessTokenRule::claim_is("typ", "Bearer"))
//!     .algorithms([Algorithm::RS256])
//!     .clock_skew(Duration::from_secs(10))
//!     .build()?;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "reqwest"))]
//! # fn main() {}
//! ```

mod builder;
mod claims_policy;
mod compact;
mod header;
mod key_source;
mod payload;
mod remote_keys;
mod token_type;

use std::sync::Arc;

pub use self::{builder::JwtValidatorBuilder, token_type::AccessTokenRule};
use self::{
    claims_policy::ClaimsPolicy,
    compact::CompactJws,
    header::HeaderPolicy,
    key_source::KeySource,
    payload::{SignedPayload, UnverifiedPayload},
    remote_keys::{KeyRefresh, RemoteKeys},
};
use crate::{
    AccessToken, Audience, AuthorizationServer, Clock, Dependency, Issuer, KeySet, TokenValidator,
    ValidatedToken, ValidationError,
    claims::MissingClaim,
    validator::{BuiltIn, Private},
};

/// Validates JWT access tokens of one authorization server (RFC 9068 section 4).
///
/// Cloning is cheap, and clones share their keys. See the [module documentation](self) for what is checked.
#[derive(Clone, Debug)]
pub struct JwtValidator {
    issuer: Issuer,
    keys: KeySource,
    header_policy: HeaderPolicy,
    claims_policy: Arc<ClaimsPolicy>,
    clock: Arc<dyn Clock>,
}

impl JwtValidator {
    /// Creates a builder from the authorization server and the expected audience.
    ///
    /// Both are required. All settings are checked in [`build`](JwtValidatorBuilder::build).
    pub fn builder(
        authorization_server: AuthorizationServer,
        audience: impl Into<Audience>,
    ) -> JwtValidatorBuilder {
        JwtValidatorBuilder::new(authorization_server, audience.into())
    }

    /// Verifies the signature with the current keys, or with newer ones if those do not verify it.
    async fn verify<'a>(
        &self,
        payload: &mut UnverifiedPayload<'a>,
    ) -> Result<SignedPayload<'a>, ValidationError> {
        let remote = match &self.keys {
            KeySource::Given(keys) => return payload.verify(keys),
            KeySource::Remote(remote) => remote,
        };
        let keys = match remote.current() {
            Some(keys) => keys,
            None => {
                // Tokens of other issuers must not trigger a fetch.
                self.check_unverified_issuer(payload)?;
                remote.first().await?
            }
        };
        let mut refusal = match verify_with(payload, remote, &keys) {
            Err(refusal) if may_be_outdated(&refusal) => refusal,
            verdict => return verdict,
        };
        if let Err(stranger) = self.check_unverified_issuer(payload) {
            let is_bad_signature = matches!(refusal, ValidationError::BadSignature);
            return Err(if is_bad_signature { refusal } else { stranger });
        }
        let mut search = remote.search(payload.kid(), payload.algorithm(), keys);
        while let Some(newer) = search.next().await {
            refusal = match verify_with(payload, remote, &newer) {
                Err(refusal) if may_be_outdated(&refusal) => refusal,
                verdict => return verdict,
            };
        }
        Err(search.conclude(refusal))
    }

    /// Refuses tokens of other issuers before the signature is verified.
    fn check_unverified_issuer(&self, payload: &mut UnverifiedPayload<'_>) -> Result<(), ValidationError> {
        match payload.issuer() {
            Some(found) => self.claims_policy.rules.compare_issuer(&found),
            // What the payload is instead is found after the signature.
            None if self.claims_policy.rules.missing_issuer == MissingClaim::Accept => Ok(()),
            None => Err(ValidationError::MalformedToken("payload is not a JSON object with a string iss")),
        }
    }
}

/// Verifies with fetched keys. The verdict stops being valid when its key leaves the set.
fn verify_with<'a>(
    payload: &mut UnverifiedPayload<'a>,
    remote: &Arc<RemoteKeys>,
    keys: &KeySet,
) -> Result<SignedPayload<'a>, ValidationError> {
    Ok(payload.verify(keys)?.refreshed_by(Arc::<RemoteKeys>::clone(remote)))
}

/// Returns whether newer keys could verify the token: its key is unknown, or may have been replaced under the same
/// `kid`.
fn may_be_outdated(refusal: &ValidationError) -> bool {
    matches!(refusal, ValidationError::UnknownKey { .. } | ValidationError::BadSignature)
}

impl TokenValidator for JwtValidator {
    async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        let jws = CompactJws::parse(token, &self.header_policy)?;
        let payload = self.verify(&mut UnverifiedPayload::of(&jws)).await?;
        self.claims_policy.check(&payload, self.clock.now())
    }

    fn issuers(&self) -> Vec<Issuer> {
        vec![self.issuer.clone()]
    }

    fn dependencies(&self) -> Vec<Dependency> {
        vec![self.keys.dependency(&self.issuer)]
    }

    fn __built_in(&self, _: Private) -> Option<BuiltIn> {
        Some(BuiltIn::default())
    }
}
