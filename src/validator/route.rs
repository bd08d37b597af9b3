//! Which validator gets a token: by the issuer it names, or else by being no such token. A choice, never a fallback.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{ErasedValidator, TokenValidator};
use crate::{
    AccessToken, Issuer, ValidatedToken, ValidationError,
    credentials::MAX_PAYLOAD_LEN,
    refusal::Excerpt,
    strict_json::{self, Members},
};

/// Chooses among several validators by the issuer that a token names; for several authorization servers, or for JWTs
/// and opaque tokens side by side.
///
/// A JWT whose `iss` is exactly an issuer of one of the validators goes to that one; each has its own keys, audience
/// and algorithms. Everything else goes to the validator given to [`otherwise`](Self::otherwise), or is refused. The
/// choice reads the `iss` of a token that nobody has verified yet, and compares it with what is configured; nothing else
/// is done with it. What the chosen validator refuses is refused: no other one is asked.
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
}

struct Route {
    issuers: Vec<Issuer>,
    validator: Arc<dyn ErasedValidator>,
}

impl RoutingValidator {
    /// Starts with no validator, which refuses every token.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends the JWTs of the issuers of `validator` to it ([`TokenValidator::issuers`]).
    ///
    /// Of two validators with the same issuer the first gets its tokens.
    pub fn route(mut self, validator: impl TokenValidator) -> Self {
        let issuers = TokenValidator::issuers(&validator);
        if issuers.is_empty() {
            tracing::error!("a validator that names no issuer has a route, and will never be chosen");
        }
        self.routes.push(Route { issuers, validator: Arc::new(validator) });
        self
    }

    /// Sends every other token to `validator`: opaque ones, and JWTs of issuers that have no route.
    pub fn otherwise(mut self, validator: impl TokenValidator) -> Self {
        self.otherwise = Some(Arc::new(validator));
        self
    }

    fn find(&self, token: &AccessToken) -> Result<&Arc<dyn ErasedValidator>, ValidationError> {
        let issuer = UnverifiedIssuer::peek(token.expose());
        let by_issuer = |route: &&Route| route.issuers.iter().any(|configured| issuer.is(configured));
        self.routes
            .iter()
            .find(by_issuer)
            .map(|route| &route.validator)
            .or(self.otherwise.as_ref())
            .ok_or_else(|| ValidationError::UnknownIssuer { found: issuer.excerpt() })
    }
}

impl TokenValidator for RoutingValidator {
    async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        self.find(token)?.validate(token).await
    }

    fn issuers(&self) -> Vec<Issuer> {
        let mut all: Vec<Issuer> = Vec::new();
        let otherwise = self.otherwise.iter().flat_map(|validator| validator.issuers());
        for issuer in self.routes.iter().flat_map(|route| route.issuers.clone()).chain(otherwise) {
            if !all.contains(&issuer) {
                all.push(issuer);
            }
        }
        all
    }

    fn shares_calls(&self, token: &AccessToken) -> bool {
        self.find(token).is_ok_and(|validator| validator.shares_calls(token))
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

/// The issuer that a token names before anything was verified. It can be compared, and shown in a log; no more.
pub(crate) struct UnverifiedIssuer(Option<Box<str>>);

impl UnverifiedIssuer {
    /// Looks for `iss` in what has the shape of a JWT: three parts, the first two JSON objects in base64url.
    pub(crate) fn peek(token: &str) -> Self {
        Self(Self::of_jwt(token))
    }

    /// Looks for `iss` in a payload.
    pub(crate) fn of_payload(payload: &[u8]) -> Option<Box<str>> {
        let members = Members::parse(payload).ok()?;
        strict_json::string(members.find("iss")?).map(Into::into)
    }

    fn of_jwt(token: &str) -> Option<Box<str>> {
        let mut parts = token.split('.');
        let (header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || payload.len() > MAX_PAYLOAD_LEN.div_ceil(3) * 4 {
            return None;
        }
        Members::parse(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?.find("alg")?;
        Self::of_payload(&URL_SAFE_NO_PAD.decode(payload).ok()?)
    }

    pub(crate) fn is(&self, configured: &Issuer) -> bool {
        self.0.as_deref() == Some(configured.as_str())
    }

    fn excerpt(&self) -> Option<Excerpt> {
        self.0.as_deref().map(Excerpt::new)
    }
}
