//! The claims and the signature of an access token (RFC 9068).

use std::sync::Arc;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header,
    jwk::{Jwk, PublicKeyUse, ThumbprintHash},
};
use serde_json::{Map, Value, json};

use super::{
    resources::{ScopeSet, TokenFormat},
    state::{Grant, ServerState, random_text},
};

/// When a token was issued and when it expires, in seconds since 1970.
pub(super) struct Validity {
    pub(super) issued_at: u64,
    pub(super) expires_at: u64,
}

/// Returns the claims of RFC 9068 section 2.2. Introspection describes an opaque token with the same claims.
pub(super) fn claims(
    issuer: &str,
    grant: &Grant,
    scope: &ScopeSet,
    validity: &Validity,
) -> Map<String, Value> {
    let claims = json!({
        "iss": issuer,
        "sub": grant.subject,
        // RFC 8707 section 2: the requested resource, exactly as it was added.
        "aud": grant.resource.identifier,
        "exp": validity.expires_at,
        "iat": validity.issued_at,
        "jti": random_text(),
        "scope": scope.to_string(),
        "client_id": grant.client_id,
    });
    let Value::Object(mut claims) = claims else { unreachable!("the macro got an object") };
    // RFC 9068 section 2.2.1; for introspection, RFC 9470 section 6.2. A refreshed token has the same values.
    if let Some(authentication) = grant.authentication {
        claims.insert("acr".to_owned(), authentication.level.acr().into());
        claims.insert("auth_time".to_owned(), authentication.time.into());
    }
    claims
}

impl ServerState {
    /// Issues an access token with the usual lifetime.
    pub(super) fn issue_access_token(&self, grant: &Arc<Grant>, scope: &ScopeSet) -> String {
        let issued_at = self.now();
        let validity = Validity { issued_at, expires_at: issued_at + ACCESS_TOKEN_LIFETIME };
        let claims = claims(&self.issuer, grant, scope, &validity);
        self.write_access_token(Arc::clone(grant), claims)
    }

    /// Creates a token in the format of its resource, and stores it for introspection and revocation.
    pub(super) fn write_access_token(&self, grant: Arc<Grant>, claims: Map<String, Value>) -> String {
        let token = match grant.resource.format {
            TokenFormat::Jwt => self.signing_key.sign(&claims),
            TokenFormat::Opaque => random_text(),
        };
        self.access_tokens.store(&token, grant, claims);
        token
    }
}

/// The key that signs JWTs, with ES256.
pub(super) struct SigningKey {
    private: EncodingKey,
    public: Jwk,
}

impl SigningKey {
    pub(super) fn generate() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("P-256 is supported");
        let pkcs8 = pair.to_pkcs8v1().expect("a new key can be serialized");
        let private = EncodingKey::from_ec_der(pkcs8.as_ref());
        let mut public =
            Jwk::from_encoding_key(&private, Algorithm::ES256).expect("the key is for this algorithm");
        // RFC 7638: no other key has the same thumbprint.
        let thumbprint = public.thumbprint(ThumbprintHash::SHA256).expect("EC keys have a thumbprint");
        public.common.key_id = Some(thumbprint);
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Self { private, public }
    }

    pub(super) fn public(&self) -> Jwk {
        self.public.clone()
    }

    /// Signs a JWT access token. Its type is `at+jwt` (RFC 9068 section 2.1).
    fn sign(&self, claims: &Map<String, Value>) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("at+jwt".to_owned());
        header.kid.clone_from(&self.public.common.key_id);
        jsonwebtoken::encode(&header, claims, &self.private).expect("the key is for this algorithm")
    }
}

/// In seconds.
pub(super) const ACCESS_TOKEN_LIFETIME: u64 = 3_600;
