//! Chooses one of several validators: [`RoutingValidator`].

use std::{any::type_name, fmt, sync::Arc};

use super::{BuiltIn, ErasedValidator, Private, TokenValidator, erase};
use crate::{
    AccessToken, Dependency, Issuer, ValidatedToken, ValidationError, config_error::Problem,
    credentials::UnverifiedJwt, refusal::Excerpt,
};

/// Chooses a validator for each token by the issuer in the token.
///
/// Use it for several authorization servers, or for JWTs and opaque tokens at the same resource server.
///
/// If the `iss` of a JWT equals an issuer of a route, the token goes to the validator of that route, with its own keys,
/// audience and algorithms. Every other token goes to the validator set with [`otherwise`](Self::otherwise). If there
/// is none, the token is refused with 401.
///
/// There is no fallback: if the chosen validator refuses a token, the token is refused. `iss` is not verified at this
/// point and is only compared with the configured issuers. The chosen validator verifies it.
///
/// ```
/// # #[cfg(all(feature = "jwt", feature = "introspection", feature = "reqwest"))]
/// # fn main() -> Result<(), tower_bearer::ConfigError> {
/// use tower_bearer::{
///     AuthorizationServer, IntrospectionValidator, JwtValidator, ResourceServer, ResourceServerCredential,
///     RoutingValidator,
/// };
///
/// let audience = "https://orders.example.com";
/// let ours = AuthorizationServer::discover("https://as.example.com");
/// let partner = AuthorizationServer::discover("https://login.partner.example");
/// let credential = ResourceServerCredential::secret_basic("orders", "s3cret");
///
/// let validator = RoutingValidator::new()
///     .route(JwtValidator::builder(ours.clone(), audience).build()?)
///     .route(JwtValidator::builder(partner, audience).build()?)
///     .otherwise(IntrospectionValidator::builder(ours, credential, audience).build()?);
/// let resource_server = ResourceServer::builder(validator).build()?;
/// # Ok(())
/// # }
/// # #[cfg(not(all(feature = "jwt", feature = "introspection", feature = "reqwest")))]
/// # fn main() {}
/// ```
#[derive(Default)]
#[must_use]
pub struct RoutingValidator {
    routes: Vec<Route>,
    otherwise: Option<Arc<dyn ErasedValidator>>,
    /// Routes that can never be chosen.
    unreachable: Vec<Problem>,
}

struct Route {
    issuers: Vec<Issuer>,
    validator: Arc<dyn ErasedValidator>,
}

impl RoutingValidator {
    /// Creates a router without validators, which refuses every token.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a route for JWTs from the [issuers](TokenValidator::issuers) of `validator`.
    ///
    /// If several routes have the same issuer, the first one is used.
    ///
    /// # Errors
    /// If `validator` has no issuers, it can never be chosen, and [`ResourceServerBuilder::build`] returns a
    /// [`ConfigError`]. This is not detected if a custom validator wraps this router.
    ///
    /// [`ResourceServerBuilder::build`]: crate::ResourceServerBuilder::build
    /// [`ConfigError`]: crate::ConfigError
    pub fn route<V: TokenValidator>(mut self, validator: V) -> Self {
        let issuers = validator.issuers();
        let validator = erase(validator);
        if issuers.is_empty() && validator.problems().is_empty() {
            let expected = "expected a validator that names its issuers (TokenValidator::issuers); one that names none \
                            can only be given to otherwise()";
            self.unreachable.push(Problem::new("route of RoutingValidator", type_name::<V>(), expected));
        }
        self.routes.push(Route { issuers, validator });
        self
    }

    /// Sets the validator for all other tokens. Default: none; they are refused with 401.
    ///
    /// These are opaque tokens, and JWTs from issuers that have no route. A second call replaces the first.
    pub fn otherwise(mut self, validator: impl TokenValidator) -> Self {
        self.otherwise = Some(erase(validator));
        self
    }

    /// Returns all validators, in the order of the routes.
    fn validators(&self) -> impl Iterator<Item = &Arc<dyn ErasedValidator>> {
        self.routes.iter().map(|route| &route.validator).chain(&self.otherwise)
    }

    fn find(&self, token: &AccessToken) -> Result<&Arc<dyn ErasedValidator>, ValidationError> {
        let issuer = token.unverified_jwt().and_then(UnverifiedJwt::issuer);
        let is_issuer = |configured: &Issuer| issuer.as_deref() == Some(configured.as_str());
        self.routes
            .iter()
            .find(|route| route.issuers.iter().any(is_issuer))
            .map(|route| &route.validator)
            .or(self.otherwise.as_ref())
            .ok_or_else(|| ValidationError::UnknownIssuer { found: issuer.as_deref().map(Excerpt::new) })
    }
}

impl TokenValidator for RoutingValidator {
    async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        self.find(token)?.validate(token).await
    }

    fn issuers(&self) -> Vec<Issuer> {
        let mut all: Vec<Issuer> = Vec::new();
        for issuer in self.validators().flat_map(|validator| validator.issuers()) {
            if !all.contains(&issuer) {
                all.push(issuer);
            }
        }
        all
    }

    fn dependencies(&self) -> Vec<Dependency> {
        self.validators().flat_map(|validator| validator.dependencies()).collect()
    }

    fn shares_calls(&self, token: &AccessToken) -> bool {
        self.find(token).is_ok_and(|validator| validator.shares_calls(token))
    }

    fn __built_in(&self, _: Private) -> Option<BuiltIn> {
        let inner = self.validators().flat_map(|validator| validator.problems());
        Some(BuiltIn { problems: self.unreachable.iter().chain(inner).cloned().collect() })
    }
}

impl fmt::Debug for RoutingValidator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutingValidator")
            .field("issuers", &TokenValidator::issuers(self))
            .field("otherwise", &self.otherwise.is_some())
            .finish()
    }
}
