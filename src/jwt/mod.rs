//! Tokens verified on the spot: [`JwtValidator`] (RFC 9068, RFC 7519, RFC 8725).
//!
//! The checks, in this order, each in a function of its own: size and compact form, header (`typ`, `alg`, `crit`), key,
//! signature, issuer, type of token, times, audience. A claim that a check needs must be there and of its type; nothing
//! is read from a payload whose signature was not verified, but its issuer, to keep strangers' tokens from causing
//! fetches.
//!
//! **Not checked**: whether the token was revoked (it is good until `exp`; introspection asks), whether it was presented
//! before (`jti`), and the scopes, which the layer asks for route by route.
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
//! // Keycloak: `typ: JWT` in the header, and a claim `typ` that tells access tokens from ID tokens.
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
mod remote_keys;
mod token_type;

use std::sync::Arc;

pub use self::{builder::JwtValidatorBuilder, token_type::AccessTokenRule};
use self::{
    claims_policy::ClaimsPolicy,
    compact::{CompactJws, SignedPayload},
    header::HeaderPolicy,
    remote_keys::{KeyRefresh, RemoteKeys},
};
use crate::{
    AccessToken, Audience, AuthorizationServer, Clock, Issuer, KeySet, TokenValidator, ValidatedToken,
    ValidationError,
    refusal::Excerpt,
    validator::{BuiltIn, Private, UnverifiedIssuer},
};

/// Validates JWT access tokens of one authorization server. Free to clone.
#[derive(Clone, Debug)]
pub struct JwtValidator {
    keys: KeySource,
    header_policy: HeaderPolicy,
    claims_policy: Arc<ClaimsPolicy>,
    clock: Arc<dyn Clock>,
}

/// Where keys come from.
#[derive(Clone, Debug)]
enum KeySource {
    Given(Arc<KeySet>),
    Remote(Arc<RemoteKeys>),
}

impl JwtValidator {
    /// Starts a configuration: who must have issued the tokens, and for whom.
    ///
    /// Issuer and audience are arguments, so that neither can be forgotten.
    pub fn builder(
        authorization_server: AuthorizationServer,
        audience: impl Into<Audience>,
    ) -> JwtValidatorBuilder {
        JwtValidatorBuilder::new(authorization_server, audience.into())
    }

    /// Verifies the signature. If the current keys cannot, newer ones are looked for.
    async fn verify(&self, jws: &mut CompactJws<'_>) -> Result<SignedPayload, ValidationError> {
        let remote = match &self.keys {
            KeySource::Given(keys) => return jws.verify(keys),
            KeySource::Remote(remote) => remote,
        };
        let keys = match remote.current() {
            Some(keys) => keys,
            None => {
                // Tokens of other issuers cause no fetch.
                self.check_unverified_issuer(jws)?;
                remote.first().await?
            }
        };
        let mut refusal = match verify_with(jws, remote, &keys) {
            Err(refusal) if may_be_outdated(&refusal) => refusal,
            verdict => return verdict,
        };
        if let Err(stranger) = self.check_unverified_issuer(jws) {
            let is_bad_signature = matches!(refusal, ValidationError::BadSignature);
            return Err(if is_bad_signature { refusal } else { stranger });
        }
        let mut search = remote.search(jws.kid(), jws.algorithm(), keys);
        while let Some(newer) = search.next().await {
            refusal = match verify_with(jws, remote, &newer) {
                Err(refusal) if may_be_outdated(&refusal) => refusal,
                verdict => return verdict,
            };
        }
        Err(search.conclude(refusal))
    }

    /// Compares the issuer before anything was verified, to refuse only.
    fn check_unverified_issuer(&self, jws: &CompactJws<'_>) -> Result<(), ValidationError> {
        let expected = self.claims_policy.issuer();
        match UnverifiedIssuer::of_payload(jws.unverified_payload()) {
            Some(found) if *found == *expected.as_str() => Ok(()),
            Some(found) => Err(ValidationError::IssuerMismatch {
                expected: expected.as_str().into(),
                found: Excerpt::new(&found),
            }),
            None => Err(ValidationError::MalformedToken("payload is no JSON object with a string iss")),
        }
    }
}

/// Verifies with fetched keys. The verdict is withdrawn when its key leaves the set.
fn verify_with(
    jws: &mut CompactJws<'_>,
    remote: &Arc<RemoteKeys>,
    keys: &KeySet,
) -> Result<SignedPayload, ValidationError> {
    Ok(jws.verify(keys)?.refreshed_by(Arc::<RemoteKeys>::clone(remote)))
}

/// Tells whether newer keys could turn a refusal into an acceptance: the key is unknown, or it was replaced by another one
/// under the same `kid`, or without one.
fn may_be_outdated(refusal: &ValidationError) -> bool {
    matches!(refusal, ValidationError::UnknownKey { .. } | ValidationError::BadSignature)
}

impl TokenValidator for JwtValidator {
    async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        let mut jws = CompactJws::parse(token.expose(), &self.header_policy)?;
        let payload = self.verify(&mut jws).await?;
        self.claims_policy.check(&payload, self.clock.now())
    }

    fn issuers(&self) -> Vec<Issuer> {
        vec![self.claims_policy.issuer().clone()]
    }

    fn __built_in(&self, _: Private) -> Option<BuiltIn> {
        Some(BuiltIn::default())
    }
}
