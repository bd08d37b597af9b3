//! The public keys of an authorization server as values: [`KeySet`] (RFC 7517) and [`Algorithm`].
//!
//! ```
//! use tower_bearer::{Algorithm, AuthorizationServer, KeySet};
//!
//! # fn main() -> Result<(), tower_bearer::ConfigError> {
//! let keys = KeySet::from_jwks(
//!     r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"2026","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
//! )?;
//! let authorization_server = AuthorizationServer::with_endpoints("https://as.example.com").keys(keys);
//! # let _ = authorization_server;
//! # Ok(())
//! # }
//! ```

mod algorithm;
mod jwk;
mod key_set;
mod material;
mod pem;
mod verifying_key;
#[cfg(test)]
mod wycheproof;

pub use self::{
    algorithm::{Algorithm, UnknownAlgorithm},
    key_set::KeySet,
};
