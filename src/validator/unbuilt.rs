//! Accepts the result of a validator's `build()`, so that all configuration problems are reported together.

use super::{BuiltIn, Private, TokenValidator};
use crate::{AccessToken, ConfigError, Dependency, Issuer, ValidatedToken, ValidationError};

/// Forwards to the validator if the result is `Ok`.
///
/// If it is `Err`, [`ResourceServerBuilder::build`](crate::ResourceServerBuilder::build) reports its problems together with
/// those of the resource server. If a custom validator wraps an `Err`, every request with a token is answered with 500.
impl<V: TokenValidator> TokenValidator for Result<V, ConfigError> {
    async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        match self {
            Ok(validator) => validator.validate(token).await,
            Err(error) => Err(ValidationError::internal(error.clone())),
        }
    }

    fn issuers(&self) -> Vec<Issuer> {
        self.as_ref().map(V::issuers).unwrap_or_default()
    }

    fn dependencies(&self) -> Vec<Dependency> {
        self.as_ref().map(V::dependencies).unwrap_or_default()
    }

    fn shares_calls(&self, token: &AccessToken) -> bool {
        self.as_ref().is_ok_and(|validator| validator.shares_calls(token))
    }

    fn __built_in(&self, private: Private) -> Option<BuiltIn> {
        match self {
            Ok(validator) => validator.__built_in(private),
            Err(error) => Some(BuiltIn { problems: error.as_slice().to_vec() }),
        }
    }
}
