//! Validates each token with the validator that a resolver returns for its issuer: [`ResolvingValidator`].

use std::{fmt, sync::Arc};

use super::{
    IssuerResolver, ResolvingValidatorBuilder,
    known_tenants::{KnownTenant, KnownTenants},
};
use crate::{
    AccessToken, Dependency, Issuer, TokenValidator, ValidatedToken, ValidationError,
    credentials::UnverifiedJwt,
    refusal::Excerpt,
    token::TenantValidity as _,
    validator::{BuiltIn, ErasedValidator, Private},
};

/// Maximum number of times a request starts again because its tenant was invalidated in the meantime.
const MAX_ATTEMPTS: usize = 4;

/// Validates each token with the validator that an [`IssuerResolver`] returns for its issuer.
///
/// Cloning is cheap, and clones share the known tenants. Keep a clone to [`invalidate`](Self::invalidate) tenants. See
/// the [module documentation](super) for an example and for what is cached.
#[derive(Clone)]
pub struct ResolvingValidator {
    known: Arc<KnownTenants>,
    otherwise: Option<Arc<dyn ErasedValidator>>,
}

impl ResolvingValidator {
    /// Creates a builder with a resolver.
    pub fn builder(resolver: impl IssuerResolver) -> ResolvingValidatorBuilder {
        ResolvingValidatorBuilder::new(resolver)
    }

    pub(super) fn new(known: Arc<KnownTenants>, otherwise: Option<Arc<dyn ErasedValidator>>) -> Self {
        Self { known, otherwise }
    }

    /// Forgets what is known about an issuer, so that the resolver is asked again. Call it when a tenant was added, changed
    /// or removed.
    ///
    /// It takes effect before this method returns: verdicts of the tenant that are cached are not used again, a token that is
    /// being validated is validated again, and the result of a call of the resolver in progress is not used. A token that was
    /// already accepted is not affected: a stream that is open ends when its token expires.
    ///
    /// Its keys are forgotten too, so the next token causes a fetch. Does nothing if the issuer is not known.
    pub fn invalidate(&self, issuer: &str) {
        self.known.invalidate(issuer);
    }

    /// Forgets what is known about all issuers, as [`invalidate`](Self::invalidate) does for one.
    ///
    /// Call it when changes may have been missed, for example when the connection over which your database announces them
    /// was lost.
    pub fn invalidate_all(&self) {
        self.known.invalidate_all();
    }

    /// Returns the validator for tokens without an issuer.
    fn otherwise(&self) -> Result<&Arc<dyn ErasedValidator>, ValidationError> {
        self.otherwise.as_ref().ok_or(ValidationError::UnknownIssuer { found: None })
    }
}

impl TokenValidator for ResolvingValidator {
    async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        let Some(issuer) = token.unverified_jwt().and_then(UnverifiedJwt::issuer) else {
            return self.otherwise()?.validate(token).await;
        };
        let hash = self.known.hash(&issuer);
        for _ in 0..MAX_ATTEMPTS {
            let Some(tenant) = self.known.find_or_resolve(hash, &issuer).await? else {
                return Err(ValidationError::UnknownIssuer { found: Some(Excerpt::new(&issuer)) });
            };
            let verdict = tenant.validate(token, &issuer).await;
            // If the tenant was removed or changed meanwhile, the verdict is that of its old settings.
            if !tenant.state.is_withdrawn() {
                return verdict;
            }
        }
        Err(ValidationError::unavailable("the tenant was invalidated several times during the request"))
    }

    fn issuers(&self) -> Vec<Issuer> {
        self.otherwise.as_ref().map(|validator| validator.issuers()).unwrap_or_default()
    }

    /// Those of [`otherwise`](super::ResolvingValidatorBuilder::otherwise), and one for all tenants together.
    fn dependencies(&self) -> Vec<Dependency> {
        let tenants = Dependency::new(Arc::<KnownTenants>::clone(&self.known));
        let otherwise = self.otherwise.iter().flat_map(|validator| validator.dependencies());
        otherwise.chain([tenants]).collect()
    }

    fn shares_calls(&self, token: &AccessToken) -> bool {
        match token.unverified_jwt().and_then(UnverifiedJwt::issuer) {
            Some(issuer) => {
                let known = self.known.find(self.known.hash(&issuer));
                known.is_some_and(|known| known.validator.shares_calls(token))
            }
            None => self.otherwise.as_ref().is_some_and(|validator| validator.shares_calls(token)),
        }
    }

    fn __built_in(&self, _: Private) -> Option<BuiltIn> {
        Some(BuiltIn::default())
    }
}

impl KnownTenant {
    /// Validates a token. The verdict ends when the tenant is removed or changes.
    async fn validate(&self, token: &AccessToken, issuer: &str) -> Result<ValidatedToken, ValidationError> {
        let token = self.validator.validate(token).await?;
        // The validator was chosen by the unverified issuer. A custom one for several issuers may have verified another.
        match token.issuer() {
            Some(found) if found != issuer => {
                Err(ValidationError::IssuerMismatch { expected: issuer.into(), found: Excerpt::new(found) })
            }
            _ => Ok(token.of_tenant(Arc::<super::TenantState>::clone(&self.state))),
        }
    }
}

impl fmt::Debug for ResolvingValidator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResolvingValidator")
            .field("known_tenants", &self.known.len())
            .field("otherwise", &self.otherwise.is_some())
            .finish_non_exhaustive()
    }
}
