//! What a resolver returns for an issuer: [`Tenant`].

use std::{fmt, sync::Arc};

#[cfg(feature = "introspection")]
use crate::IntrospectionValidatorBuilder;
#[cfg(feature = "jwt")]
use crate::JwtValidatorBuilder;
use crate::{
    ConfigError, HttpClient, TokenValidator,
    validator::{ErasedValidator, erase},
};

/// How the tokens of one issuer are validated.
///
/// It has the settings of a validator that is not built yet. So all tenants can share one HTTP client, and no validator is
/// built if the tenant has not changed.
#[must_use]
pub struct Tenant {
    validator: Unbuilt,
    version: Option<Box<str>>,
}

enum Unbuilt {
    #[cfg(feature = "jwt")]
    Jwt(Box<JwtValidatorBuilder>),
    #[cfg(feature = "introspection")]
    Introspection(Box<IntrospectionValidatorBuilder>),
    Custom(Arc<dyn ErasedValidator>),
}

impl Tenant {
    /// Creates a tenant whose JWTs are validated locally.
    ///
    /// Unless its [`AuthorizationServer`](crate::AuthorizationServer) has an HTTP client, it uses the
    /// [client](super::ResolvingValidatorBuilder::http_client) of the [`ResolvingValidator`](super::ResolvingValidator),
    /// which by default connects only to the public internet.
    #[cfg(feature = "jwt")]
    pub fn jwt(builder: JwtValidatorBuilder) -> Self {
        Self::new(Unbuilt::Jwt(Box::new(builder)))
    }

    /// Creates a tenant whose authorization server introspects its tokens. They must be JWTs, because the tenant is found
    /// by the issuer in the token.
    ///
    /// The HTTP client is that of [`jwt`](Self::jwt).
    #[cfg(feature = "introspection")]
    pub fn introspection(builder: IntrospectionValidatorBuilder) -> Self {
        Self::new(Unbuilt::Introspection(Box::new(builder)))
    }

    /// Creates a tenant with a validator of your own, or one that is already built.
    ///
    /// Its [`issuers`](TokenValidator::issuers) must contain the issuer that the resolver was asked for.
    ///
    /// # Security
    /// The validator has its own HTTP client. Without [`http_client`](crate::AuthorizationServer::http_client), a built
    /// `JwtValidator` has its own client, which connects to any address, including those in your network.
    pub fn custom(validator: impl TokenValidator) -> Self {
        Self::new(Unbuilt::Custom(erase(validator)))
    }

    fn new(validator: Unbuilt) -> Self {
        Self { validator, version: None }
    }

    /// Sets the version of the tenant's settings, such as a row version or the time of the last change.
    ///
    /// If the resolver is called again and returns the same version, the validator with its keys and all cached verdicts stay
    /// in use. With another version, they are replaced.
    ///
    /// Default: none. Then each answer of the resolver counts as changed: keys are fetched again, and every token is
    /// validated again.
    #[allow(clippy::needless_pass_by_value, reason = "callers write `.version(row.version)`")]
    pub fn version(mut self, version: impl ToString) -> Self {
        self.version = Some(version.to_string().into());
        self
    }

    pub(super) fn named_version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Builds the validator, with this client if it needs one and has none.
    #[cfg_attr(
        not(any(feature = "jwt", feature = "introspection")),
        expect(unused_variables, reason = "only the validators of this crate need a client")
    )]
    pub(super) fn build(
        self,
        client: Option<&Arc<dyn HttpClient>>,
    ) -> Result<Arc<dyn ErasedValidator>, ConfigError> {
        match self.validator {
            #[cfg(feature = "jwt")]
            Unbuilt::Jwt(builder) => Ok(erase(builder.default_http_client(client).build()?)),
            #[cfg(feature = "introspection")]
            Unbuilt::Introspection(builder) => Ok(erase(builder.default_http_client(client).build()?)),
            Unbuilt::Custom(validator) => match validator.problems() {
                [] => Ok(validator),
                problems => Err(ConfigError::of(problems.to_vec())),
            },
        }
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenant").field("version", &self.version).finish_non_exhaustive()
    }
}
