//! What is in an access token, and what is remembered of it? (RFC 6749 section 1.4, RFC 9068)

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use serde_json::{Map, Value, json};

use super::{
    bounded::Bounded,
    grant::Grant,
    resources::TokenFormat,
    scope::ScopeSet,
    secret::{Secret, SecretDigest, random_text},
    state::ServerState,
};

/// From when until when a token is valid, in seconds since 1970.
pub(super) struct Validity {
    pub(super) issued_at: u64,
    pub(super) expires_at: u64,
}

/// Gathers the claims of RFC 9068 section 2.2: what a JWT says itself, introspection says of an opaque token.
pub(super) fn claims(
    issuer: &str,
    grant: &Grant,
    scope: &ScopeSet,
    validity: &Validity,
) -> Map<String, Value> {
    let claims = json!({
        "iss": issuer,
        "sub": grant.subject,
        // RFC 8707 section 2: the resource that was asked for, exactly as it was registered.
        "aud": grant.resource.identifier,
        "exp": validity.expires_at,
        "iat": validity.issued_at,
        "jti": random_text(),
        "scope": scope.to_string(),
        "client_id": grant.client_id,
    });
    match claims {
        Value::Object(claims) => claims,
        _ => unreachable!("the macro was given an object"),
    }
}

impl ServerState {
    /// Issues an access token of the usual lifetime.
    pub(super) fn issue_access_token(&self, grant: &Arc<Grant>, scope: &ScopeSet) -> Secret {
        let issued_at = self.now();
        let validity = Validity { issued_at, expires_at: issued_at + ACCESS_TOKEN_LIFETIME };
        let claims = claims(&self.issuer, grant, scope, &validity);
        self.write_access_token(Arc::clone(grant), claims)
    }

    /// Writes a token in the format of its resource, and remembers it for introspection and revocation.
    pub(super) fn write_access_token(&self, grant: Arc<Grant>, claims: Map<String, Value>) -> Secret {
        let token = match grant.resource.format {
            TokenFormat::Jwt => Secret::from(self.keys.sign(&claims)),
            TokenFormat::Opaque => Secret::random(),
        };
        let revoked = AtomicBool::new(false);
        self.access_tokens.remember(&token, IssuedToken { grant, claims, revoked });
        token
    }
}

/// A token that was handed out, without the token itself.
pub(super) struct IssuedToken {
    pub(super) grant: Arc<Grant>,
    pub(super) claims: Map<String, Value>,
    revoked: AtomicBool,
}

impl IssuedToken {
    /// Tells whether the token is good now (RFC 7662 section 2.2, on "active").
    pub(super) fn is_active(&self, now: u64) -> bool {
        let time_claim = |name| self.claims.get(name).and_then(Value::as_u64);
        let expired = time_claim("exp").is_some_and(|exp| exp <= now);
        let early = time_claim("nbf").is_some_and(|nbf| nbf > now);
        !expired && !early && !self.revoked.load(Ordering::Acquire) && !self.grant.is_revoked()
    }

    /// Revokes this token alone.
    pub(super) fn revoke(&self) {
        self.revoked.store(true, Ordering::Release);
    }
}

/// The tokens that were handed out, by the hash of their text.
pub(super) struct AccessTokens(Mutex<Bounded<SecretDigest, Arc<IssuedToken>>>);

impl AccessTokens {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Bounded::new(MAX_ACCESS_TOKENS)))
    }

    fn remember(&self, token: &Secret, issued: IssuedToken) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(token.digest(), Arc::new(issued));
    }

    pub(super) fn find(&self, presented: &str) -> Option<Arc<IssuedToken>> {
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.find(&SecretDigest::of(presented)).map(Arc::clone)
    }
}

/// Seconds; usual for a token that, as a JWT, nobody can take back before.
pub(super) const ACCESS_TOKEN_LIFETIME: u64 = 3_600;

/// Tokens remembered, of about 1 KiB each. One that was forgotten counts as inactive.
const MAX_ACCESS_TOKENS: usize = 4_096;
