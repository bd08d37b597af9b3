//! What a layer decides, apart from all that carries requests about.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{
    Extensions, HeaderMap, HeaderValue, Method, Response,
    header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN},
};

use crate::{
    AccessToken, Rejection, RejectionReason, ResourceServer, ScopeHierarchy, ScopeRequirement,
    ValidatedToken, ValidationError,
    challenge::Challenges,
    credentials::extract,
    response::{self, Asked},
    scope_requirement::ScopeCheck,
    validator::TokenHash,
};

/// What one layer asks of a request.
pub(crate) struct Guard {
    pub(crate) server: ResourceServer,
    admit: Admit,
    scopes: ScopeCheck,
    challenges: Challenges,
}

/// Who may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admit {
    WithToken,
    WithOrWithoutToken,
}

/// The guards that a token has passed, innermost first.
pub(crate) struct Passed {
    guard: Arc<Guard>,
    outer: Option<Arc<Passed>>,
}

/// What becomes of a request, as far as can be told without waiting.
pub(crate) enum Decision {
    /// It goes on with this token.
    Admit(ValidatedToken),
    /// It goes on without a token.
    AdmitAnonymous,
    /// It goes on as it is, for a CORS layer to answer.
    AdmitPreflight,
    /// Its token has not been seen before.
    Validate(AccessToken, TokenHash),
    Refuse(ValidationError),
}

impl Guard {
    pub(super) fn new(server: ResourceServer, admit: Admit, requirement: ScopeRequirement) -> Self {
        let settings = &server.0;
        let named =
            if requirement.named().is_empty() { settings.baseline.named() } else { requirement.named() };
        let challenges = Challenges::new(&settings.challenge, named);
        let scopes = ScopeCheck::new(requirement, &settings.hierarchy);
        Self { server, admit, scopes, challenges }
    }

    /// Decides about a request from its head.
    pub(super) fn decide(
        &self,
        alone: &Arc<Passed>,
        method: &Method,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Decision {
        if self.server.0.cors_preflight && is_cors_preflight(method, headers) {
            return Decision::AdmitPreflight;
        }
        // An outer layer of the same resource server has validated the token and removed the header.
        if let Some(token) = extensions.get::<ValidatedToken>()
            && let Some(outer) = token.passed().filter(|outer| outer.is_of(&self.server))
        {
            return match self.check(token, Some(outer)) {
                Ok(()) => Decision::Admit(token.clone().having_passed(Arc::new(Passed {
                    guard: Arc::clone(&alone.guard),
                    outer: Some(Arc::clone(outer)),
                }))),
                Err(error) => Decision::Refuse(error),
            };
        }
        let token = match (extract(headers), self.admit) {
            (Ok(Some(token)), _) => token,
            (Ok(None), Admit::WithOrWithoutToken) => return Decision::AdmitAnonymous,
            (Ok(None), Admit::WithToken) => return Decision::Refuse(ValidationError::NoCredentials),
            (Err(error), _) => return Decision::Refuse(error),
        };
        let hash = self.server.0.cache.hash(token);
        match self.server.0.cache.find(hash) {
            Some(verdict) => {
                tracing::trace!("verdict remembered");
                match self.admit(ValidatedToken::from_verdict(verdict), alone) {
                    Ok(token) => Decision::Admit(token),
                    Err(error) => Decision::Refuse(error),
                }
            }
            None => Decision::Validate(AccessToken::new(token), hash),
        }
    }

    /// Lets a token pass that was found good, if it suffices here.
    pub(super) fn admit(
        &self,
        token: ValidatedToken,
        alone: &Arc<Passed>,
    ) -> Result<ValidatedToken, ValidationError> {
        self.check(&token, None)?;
        Ok(token.having_passed(Arc::clone(alone)))
    }

    /// Checks what is the layer's to check, whoever validated the token: time, sender constraint, scopes.
    fn check(&self, token: &ValidatedToken, outer: Option<&Arc<Passed>>) -> Result<(), ValidationError> {
        self.check_expiry(token)?;
        check_sender_constraint(token)?;
        if !self.scopes.is_met_by(token.scopes()) {
            let mine = &self.scopes.requirement;
            let required = outer.map_or_else(|| mine.clone(), |outer| outer.requirement().and(mine.clone()));
            return Err(ValidationError::InsufficientScope { required, granted: token.scopes().clone() });
        }
        Ok(())
    }

    // RFC 7519 section 4.1.4. Validators check it too; a custom one may not, and a cached verdict ages.
    fn check_expiry(&self, token: &ValidatedToken) -> Result<(), ValidationError> {
        let (Some(expired_from), Some(exp)) = (token.verdict().expired_from(), token.expires_at()) else {
            return Ok(());
        };
        let now = self.server.0.clock.now();
        if now >= expired_from {
            let clock_skew = expired_from.saturating_duration_since(exp);
            return Err(ValidationError::Expired { exp, now, clock_skew });
        }
        Ok(())
    }

    /// Writes the refusal and reports its cause.
    pub(super) fn refuse(&self, error: ValidationError, asked: Asked) -> Response<Bytes> {
        let settings = &self.server.0;
        let rejection = Rejection::from(&error);
        report(rejection, &error);
        let challenge = match &error {
            // Nested guards: all of their scopes, which are known only now.
            ValidationError::InsufficientScope { required, .. } if *required != self.scopes.requirement => {
                Some(settings.challenge.write(rejection, required.named()))
            }
            _ => self.challenges.find(rejection),
        };
        let without_scopes = || rejection.is_challenge().then(|| settings.challenge.write(rejection, &[]));
        let grpc_status = self.grpc_status(rejection);
        let mut response = response::refusal(
            rejection,
            challenge,
            without_scopes,
            asked,
            grpc_status,
            &*settings.write_body,
        );
        response.extensions_mut().insert(RejectionReason::new(error));
        response
    }

    fn grpc_status(&self, rejection: Rejection) -> u8 {
        const INVALID_ARGUMENT: u8 = 3;
        match rejection {
            Rejection::InvalidRequest if self.server.0.grpc_invalid_argument => INVALID_ARGUMENT,
            _ => rejection.grpc_status(),
        }
    }
}

/// RFC 9449 section 7.2: a token bound to a key must not work as a plain bearer token. What cannot be proved is refused.
fn check_sender_constraint(token: &ValidatedToken) -> Result<(), ValidationError> {
    if token.claims().is_sender_constrained() {
        return Err(ValidationError::SenderConstraintNotProved);
    }
    Ok(())
}

/// The Fetch standard's preflight request. The value of `Access-Control-Request-Method` is the CORS layer's to judge.
fn is_cors_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.get(ACCESS_CONTROL_REQUEST_METHOD).is_some_and(|value: &HeaderValue| !value.is_empty())
}

/// Says why, to those who operate the service.
fn report(rejection: Rejection, error: &ValidationError) {
    let status = rejection.status().as_u16();
    match error {
        ValidationError::Internal(_) => tracing::error!(status, %error, "request refused"),
        // Outages and refused credentials are reported, louder and once, by who meets them.
        _ => tracing::debug!(status, %error, "request refused"),
    }
}

/// Left in an anonymous request, for a handler that asks for a token all the same.
#[cfg(feature = "axum")]
#[derive(Clone)]
pub(crate) struct Anonymous(Arc<Guard>);

#[cfg(feature = "axum")]
impl Anonymous {
    pub(super) fn admitted_by(guard: &Arc<Guard>) -> Self {
        Self(Arc::clone(guard))
    }

    /// Answers as a layer does that lets nobody pass without a token.
    pub(crate) fn refuse(&self, asked: Asked) -> Response<Bytes> {
        self.0.refuse(ValidationError::NoCredentials, asked)
    }
}

impl Passed {
    pub(super) fn first(guard: Arc<Guard>) -> Self {
        Self { guard, outer: None }
    }

    pub(crate) fn hierarchy(&self) -> &ScopeHierarchy {
        &self.guard.server.0.hierarchy
    }

    fn is_of(&self, server: &ResourceServer) -> bool {
        Arc::ptr_eq(&self.guard.server.0, &server.0)
    }

    /// Returns what all the guards need, outer first.
    fn requirement(&self) -> ScopeRequirement {
        let mine = self.guard.scopes.requirement.clone();
        match &self.outer {
            Some(outer) => outer.requirement().and(mine),
            None => mine,
        }
    }
}

impl fmt::Debug for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Passed({})", self.requirement())
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("admit", &self.admit)
            .field("scopes", &self.scopes.requirement)
            .field("server", &self.server)
            .finish()
    }
}
