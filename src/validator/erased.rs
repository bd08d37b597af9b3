//! [`TokenValidator`] made object-safe: [`ErasedValidator`].

use std::{any::type_name, sync::Arc};

use super::{BuiltIn, Private, TokenValidator, outage_log::OutageLog};
use crate::{
    AccessToken, BoxFuture, Dependency, Issuer, ValidatedToken, ValidationError, config_error::Problem,
};

/// An object-safe [`TokenValidator`], so that layers need no type parameter for the validator.
pub(crate) trait ErasedValidator: Send + Sync {
    /// Validates a token. The verdict may only be reused if the validator itself allows it.
    fn validate<'a>(
        &'a self,
        token: &'a AccessToken,
    ) -> BoxFuture<'a, Result<ValidatedToken, ValidationError>>;

    fn issuers(&self) -> Vec<Issuer>;

    fn dependencies(&self) -> Vec<Dependency>;

    fn shares_calls(&self, token: &AccessToken) -> bool;

    /// Returns the problems of the validator's configuration.
    fn problems(&self) -> &[Problem];
}

/// Erases the type of a validator.
pub(crate) fn erase<V: TokenValidator>(validator: V) -> Arc<dyn ErasedValidator> {
    match validator.__built_in(Private(())) {
        Some(BuiltIn { problems }) => Arc::new(OurValidator { validator, problems }),
        None => Arc::new(CustomValidator { validator, outages: OutageLog::new(type_name::<V>()) }),
    }
}

/// A validator of this crate.
struct OurValidator<V> {
    validator: V,
    problems: Vec<Problem>,
}

impl<V: TokenValidator> ErasedValidator for OurValidator<V> {
    fn validate<'a>(
        &'a self,
        token: &'a AccessToken,
    ) -> BoxFuture<'a, Result<ValidatedToken, ValidationError>> {
        Box::pin(self.validator.validate(token))
    }

    fn issuers(&self) -> Vec<Issuer> {
        self.validator.issuers()
    }

    fn dependencies(&self) -> Vec<Dependency> {
        self.validator.dependencies()
    }

    fn shares_calls(&self, token: &AccessToken) -> bool {
        self.validator.shares_calls(token)
    }

    fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// A validator from outside this crate.
struct CustomValidator<V> {
    validator: V,
    outages: OutageLog,
}

impl<V: TokenValidator> CustomValidator<V> {
    async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        let verdict = self.validator.validate(token).await;
        match &verdict {
            // Other outage errors come from a validator of this crate, which logs them itself.
            Err(error @ ValidationError::Unavailable { .. }) => self.outages.failed(error),
            _ => self.outages.answered(),
        }
        // The token may come from a wrapped validator of this crate, whose verdict does not include the checks of the
        // wrapper.
        verdict.map(ValidatedToken::without_inherited_reuse)
    }
}

impl<V: TokenValidator> ErasedValidator for CustomValidator<V> {
    fn validate<'a>(
        &'a self,
        token: &'a AccessToken,
    ) -> BoxFuture<'a, Result<ValidatedToken, ValidationError>> {
        Box::pin(self.validate(token))
    }

    fn issuers(&self) -> Vec<Issuer> {
        self.validator.issuers()
    }

    fn dependencies(&self) -> Vec<Dependency> {
        self.validator.dependencies()
    }

    fn shares_calls(&self, token: &AccessToken) -> bool {
        self.validator.shares_calls(token)
    }

    fn problems(&self) -> &[Problem] {
        &[]
    }
}
