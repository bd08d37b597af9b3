//! Builds tokens that are valid unless a test changes them: [`TokenBuilder`].

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{SigningKey, TestAuthorizationServer};
use crate::{Algorithm, Clock};

/// Builds a token of a [`TestAuthorizationServer`]. Each method changes one thing.
///
/// By default it is an access token (RFC 9068) for the first resource server that the test created. It is issued now,
/// expires in ten minutes, has no scopes and is signed with the server's newest key.
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
    audience_is_unset: bool,
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
        let audience_is_unset = audience.is_none();
        claims.extend(audience.map(|audience| ("aud".to_owned(), audience.into())));
        Self {
            server,
            key: key.clone(),
            header,
            claims,
            audience_is_unset,
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

    /// Sets `aud` to one audience. For several, pass an array to [`claim`](Self::claim).
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

    /// Sets `exp` to `span` from now.
    pub fn expires_in(self, span: Duration) -> Self {
        let exp = self.server.clock().now().saturating_add(span).as_secs();
        self.claim("exp", exp)
    }

    /// Makes the token expired: issued an hour ago, expired ten minutes ago.
    ///
    /// It is expired with every permitted clock skew.
    pub fn expired(self) -> Self {
        let now = self.server.clock().now();
        let (iat, exp) = (now.saturating_sub(HOUR), now.saturating_sub(LIFETIME));
        self.claim("iat", iat.as_secs()).claim("exp", exp.as_secs())
    }

    /// Makes the token not valid until an hour from now (`nbf`).
    pub fn not_yet_valid(self) -> Self {
        let nbf = self.server.clock().now().saturating_add(HOUR);
        self.claim("nbf", nbf.as_secs()).claim("exp", nbf.saturating_add(LIFETIME).as_secs())
    }

    /// Sets `aud` to another resource server.
    pub fn for_another_resource(self) -> Self {
        self.audience("https://another-resource.example")
    }

    /// Sets `iss` to another issuer. The token is still signed with this server's key.
    pub fn from_another_issuer(self) -> Self {
        self.issuer("https://another-issuer.example")
    }

    /// Signs with an unpublished key, but with the `kid` of a published one.
    pub fn forged(self) -> Self {
        let key = SigningKey::generate(self.key.kid(), self.key.algorithm());
        self.key(&key)
    }

    /// Makes the token an ID token for an application (OpenID Connect Core 1.0 section 2).
    ///
    /// It has `typ: JWT`, and no `scope` and `jti`.
    pub fn id_token(self, application: &str) -> Self {
        self.header("typ", "JWT").audience(application).without_claim("scope").without_claim("jti")
    }

    /// Sets a claim to any value, even of the wrong type.
    pub fn claim(mut self, name: &str, value: impl Serialize) -> Self {
        self.audience_is_unset &= name != "aud";
        self.claims.insert(name.to_owned(), serde_json::to_value(value).expect("a claim is JSON"));
        self
    }

    /// Removes a claim.
    pub fn without_claim(mut self, name: &str) -> Self {
        self.audience_is_unset &= name != "aud";
        self.claims.remove(name);
        self
    }

    /// Sets a header parameter to any value, even of the wrong type.
    ///
    /// The signing key does not change.
    pub fn header(mut self, name: &str, value: impl Serialize) -> Self {
        self.header.insert(name.to_owned(), serde_json::to_value(value).expect("a parameter is JSON"));
        self
    }

    /// Removes a header parameter.
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    /// Signs with the server's key for this algorithm.
    ///
    /// # Panics
    /// If the server has no such key: see [`TestAuthorizationServer::with_algorithms`].
    pub fn algorithm(self, algorithm: Algorithm) -> Self {
        let key = self.server.key_for(algorithm);
        self.key(&key)
    }

    /// Signs with this key, and sets `kid` and `alg`. The key does not have to be published.
    pub fn key(mut self, key: &SigningKey) -> Self {
        self.key = key.clone();
        let (kid, alg) = (self.key.kid().to_owned(), self.key.algorithm().as_str());
        self.header("kid", kid).header("alg", alg)
    }

    /// Replaces the header with these bytes, which need not be JSON, and signs them.
    pub fn raw_header(mut self, header: impl Into<Vec<u8>>) -> Self {
        self.raw_header = Some(header.into());
        self
    }

    /// Replaces the payload with these bytes, which need not be JSON, and signs them.
    pub fn raw_payload(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.raw_payload = Some(payload.into());
        self
    }

    /// Replaces the signature with these bytes.
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

    /// Returns the token as a JWT in compact form.
    ///
    /// # Panics
    /// If no audience was set and no resource server was created before.
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

    /// Issues the token as an opaque token.
    ///
    /// The introspection endpoint returns its claims until it expires or is revoked.
    ///
    /// # Panics
    /// If no audience was set and no resource server was created before.
    pub fn opaque(self) -> String {
        self.check_audience();
        self.server.issue_opaque(self.claims)
    }

    fn check_audience(&self) {
        assert!(
            !self.audience_is_unset || self.raw_payload.is_some(),
            "the token has no audience: create the resource server first, or call audience()"
        );
    }
}
