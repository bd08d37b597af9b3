//! A token that is valid unless a test breaks it: [`TokenBuilder`].

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{SigningKey, TestAuthorizationServer};
use crate::{Algorithm, Clock};

/// Builds a token of a [`TestAuthorizationServer`]; each method changes one thing.
///
/// Unchanged, it is an access token of RFC 9068 for the resource server that the test made first. It is issued now, expires in
/// ten minutes, has no scopes and is signed with the server's newest key.
///
/// ```
/// # use tower_bearer::testing::TestAuthorizationServer;
/// let authority = TestAuthorizationServer::new("https://as.example.com");
/// let _resource_server = authority.resource_server("https://orders.example.com");
///
/// let valid = authority.token().scope("orders:read").sign();
/// let expired = authority.token().scope("orders:read").expired().sign();
/// let id_token = authority.token().id_token("web-shop").sign();
/// # let _ = (valid, expired, id_token);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct TokenBuilder {
    server: TestAuthorizationServer,
    key: SigningKey,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    /// Whether neither the server nor the test has set an audience.
    audience_is_open: bool,
    raw_header: Option<Vec<u8>>,
    raw_payload: Option<Vec<u8>>,
    signature: Option<Vec<u8>>,
}

const LIFETIME: Duration = Duration::from_secs(10 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);

impl TokenBuilder {
    pub(super) fn new(server: TestAuthorizationServer, key: &SigningKey) -> Self {
        let now = server.clock().now();
        let claims = json!({
            "iss": server.issuer(),
            "sub": "alice",
            "jti": server.next_token_id(),
            "iat": now.as_secs(),
            "exp": now.saturating_add(LIFETIME).as_secs(),
        });
        let header = json!({"typ": "at+jwt"});
        let (Value::Object(header), Value::Object(mut claims)) = (header, claims) else {
            unreachable!("both are objects")
        };
        let audience = server.audience();
        let audience_is_open = audience.is_none();
        claims.extend(audience.map(|audience| ("aud".to_owned(), audience.into())));
        Self {
            server,
            key: key.clone(),
            header,
            claims,
            audience_is_open,
            raw_header: None,
            raw_payload: None,
            signature: None,
        }
        .key(key)
    }

    /// Sets `scope`: words separated by spaces.
    pub fn scope(self, scope: &str) -> Self {
        self.claim("scope", scope)
    }

    /// Sets `aud` to one audience; for several give [`claim`](Self::claim) an array.
    pub fn audience(self, audience: &str) -> Self {
        self.claim("aud", audience)
    }

    /// Sets `sub`.
    pub fn subject(self, subject: &str) -> Self {
        self.claim("sub", subject)
    }

    /// Sets `iss`.
    pub fn issuer(self, issuer: &str) -> Self {
        self.claim("iss", issuer)
    }

    /// Sets `exp` to this long from now.
    pub fn expires_in(self, span: Duration) -> Self {
        let exp = self.server.clock().now().saturating_add(span).as_secs();
        self.claim("exp", exp)
    }

    /// Makes the token expired: issued an hour ago, expired ten minutes ago. No permitted clock skew saves it.
    pub fn expired(self) -> Self {
        let now = self.server.clock().now();
        let (iat, exp) = (now.saturating_sub(HOUR), now.saturating_sub(LIFETIME));
        self.claim("iat", iat.as_secs()).claim("exp", exp.as_secs())
    }

    /// Makes the token valid only in an hour (`nbf`).
    pub fn not_yet_valid(self) -> Self {
        let nbf = self.server.clock().now().saturating_add(HOUR);
        self.claim("nbf", nbf.as_secs()).claim("exp", nbf.saturating_add(LIFETIME).as_secs())
    }

    /// Makes the token one for another resource server.
    pub fn for_another_resource(self) -> Self {
        self.audience("https://another-resource.example")
    }

    /// Makes the token one that names another issuer, signed with this server's key.
    pub fn from_another_issuer(self) -> Self {
        self.issuer("https://another-issuer.example")
    }

    /// Signs with a key that this server never published, under the `kid` of one that it did.
    pub fn forged(self) -> Self {
        let key = SigningKey::generate(self.key.kid(), self.key.algorithm());
        self.key(&key)
    }

    /// Makes an ID token of it (OpenID Connect Core 1.0 section 2): `typ: JWT`, for an application, without `scope`.
    pub fn id_token(self, application: &str) -> Self {
        self.header("typ", "JWT").audience(application).without_claim("scope").without_claim("jti")
    }

    /// Sets a claim to any value, of the right type or not.
    pub fn claim(mut self, name: &str, value: impl Serialize) -> Self {
        self.audience_is_open &= name != "aud";
        self.claims.insert(name.to_owned(), serde_json::to_value(value).expect("a claim is JSON"));
        self
    }

    /// Leaves a claim out.
    pub fn without_claim(mut self, name: &str) -> Self {
        self.audience_is_open &= name != "aud";
        self.claims.remove(name);
        self
    }

    /// Sets a header parameter to any value, of the right type or not. The signing key stays the same.
    pub fn header(mut self, name: &str, value: impl Serialize) -> Self {
        self.header.insert(name.to_owned(), serde_json::to_value(value).expect("a parameter is JSON"));
        self
    }

    /// Leaves a header parameter out.
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    /// Signs with the server's key for this algorithm.
    ///
    /// # Panics
    /// If the server has none: see [`TestAuthorizationServer::with_algorithms`].
    pub fn algorithm(self, algorithm: Algorithm) -> Self {
        let key = self.server.key_for(algorithm);
        self.key(&key)
    }

    /// Signs with this key, published or not, and names it in the header.
    pub fn key(mut self, key: &SigningKey) -> Self {
        self.key = key.clone();
        let (kid, alg) = (self.key.kid().to_owned(), self.key.algorithm().as_str());
        self.header("kid", kid).header("alg", alg)
    }

    /// Replaces the header by this text, JSON or not, and signs that.
    pub fn raw_header(mut self, header: impl Into<Vec<u8>>) -> Self {
        self.raw_header = Some(header.into());
        self
    }

    /// Replaces the claims by this text, JSON or not, and signs that.
    pub fn raw_payload(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.raw_payload = Some(payload.into());
        self
    }

    /// Replaces the signature by these bytes.
    pub fn signature(mut self, signature: impl Into<Vec<u8>>) -> Self {
        self.signature = Some(signature.into());
        self
    }

    /// Returns the claims.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// Returns the header parameters.
    pub fn header_parameters(&self) -> &Map<String, Value> {
        &self.header
    }

    /// Writes the token as a JWT in compact form.
    ///
    /// # Panics
    /// If no audience was set and no resource server was made that would give one.
    pub fn sign(self) -> String {
        self.check_audience();
        let text = |object: Map<String, Value>| Value::Object(object).to_string().into_bytes();
        let header = self.raw_header.unwrap_or_else(|| text(self.header));
        let payload = self.raw_payload.unwrap_or_else(|| text(self.claims));
        let mut token = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.signature.unwrap_or_else(|| self.key.sign(token.as_bytes()));
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(signature));
        token
    }

    /// Issues the token as an opaque one. The introspection endpoint answers with its claims until it expires or is revoked.
    ///
    /// # Panics
    /// As [`sign`](Self::sign).
    pub fn opaque(self) -> String {
        self.check_audience();
        self.server.issue_opaque(self.claims)
    }

    fn check_audience(&self) {
        assert!(
            !self.audience_is_open || self.raw_payload.is_some(),
            "the token has no audience: make the resource server first, or set one with audience()"
        );
    }
}
