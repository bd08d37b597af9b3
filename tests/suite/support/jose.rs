//! Keys, key sets and the parts of tokens.

use std::sync::OnceLock;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::Response;
use tower_bearer::{
    Algorithm,
    testing::{SigningKey, TestAuthorizationServer, TokenBuilder},
};

/// Serves this text at the server's `jwks_uri`.
pub(crate) fn publish_jwks(authority: &TestAuthorizationServer, jwks: impl Into<String>) {
    let body = Bytes::from(jwks.into());
    authority.answer(&authority.jwks_uri(), move |_| Response::new(body.clone()));
}

/// Returns an RSA key for `RS256`. All tests share it, because generating one is slow.
pub(crate) fn rsa_key() -> SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate("rsa", Algorithm::RS256)).clone()
}

/// Returns the claims of a token with one claim replaced by this text, which need not be valid JSON.
pub(crate) fn claims_with(token: &TokenBuilder, name: &str, json: &str) -> String {
    let mut claims = token.claims().clone();
    claims.remove(name);
    let others = serde_json::Value::from(claims).to_string();
    format!("{},\"{name}\":{json}}}", others.strip_suffix('}').unwrap())
}

/// Encodes bytes as base64url without padding.
pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes base64url without padding.
pub(crate) fn from_base64url(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}
