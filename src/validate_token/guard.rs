//! Decides whether a request is passed on: [`Guard`].

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response,
    header::{
        ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, ORIGIN, TRANSFER_ENCODING,
    },
};

use crate::{
    AccessToken, RequestHead, ResourceServer, Scope, ScopeRequirement, ValidatedToken, ValidationError,
    credentials::{Credentials, extract},
    refusal::RequestSummary,
    requirement::{ScopeCheck, deduplicated},
    token::PassedGuards,
    validator::TokenHash,
};

/// What one layer requires of a request.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) server: ResourceServer,
    admit: Admit,
    scopes: ScopeCheck,
    /// Whether gRPC calls are refused with a gRPC status.
    pub(super) grpc: bool,
    /// The record for a token that passes only this guard.
    pub(super) passed: Arc<PassedGuards>,
}

/// Which requests are passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admit {
    WithToken,
    WithOrWithoutToken,
}

/// The decision about a request, as far as possible without waiting.
pub(crate) enum Decision {
    /// Pass it on with this token.
    Admit(ValidatedToken),
    /// Pass it on without a token: it is anonymous, or a preflight request for an inner CORS layer.
    AdmitAnonymous,
    /// Validate its token, which is not in the cache.
    Validate(AccessToken, TokenHash),
    Refuse(ValidationError),
}

impl Guard {
    pub(super) fn new(server: ResourceServer, admit: Admit, requirement: ScopeRequirement) -> Self {
        let settings = &server.0;
        let advertised =
            if requirement.named().is_empty() { &*settings.baseline } else { requirement.named() };
        let passed = Arc::new(PassedGuards {
            server: settings.id,
            hierarchy: Arc::clone(&settings.hierarchy),
            refusals: Arc::clone(&settings.refusals),
            required_here: requirement.clone(),
            advertised: advertised.into(),
            outer: None,
        });
        let scopes = ScopeCheck::new(requirement, &settings.hierarchy);
        Self { server, admit, scopes, grpc: false, passed }
    }

    /// Adds scopes to challenges.
    pub(super) fn advertise(&mut self, scopes: &[Scope]) {
        if let Some(publication) = &self.server.0.publication {
            publication.add_scopes(scopes);
        }
        let passed = Arc::make_mut(&mut self.passed);
        passed.advertised = deduplicated(passed.advertised.iter().chain(scopes).cloned()).into();
    }

    /// Decides about a request by its head.
    pub(super) fn decide<B>(&self, request: &Request<B>) -> Decision {
        let (method, headers) = (request.method(), request.headers());
        let outer = request.extensions().get::<ValidatedToken>();
        let outer = outer.and_then(|token| Some((token, token.passed()?)));
        // A request whose token an outer layer validated had an `Authorization` header, so it is not a preflight request.
        if self.server.0.pass_cors_preflight && outer.is_none() && is_cors_preflight(method, headers) {
            return Decision::AdmitAnonymous;
        }
        // An outer layer of the same resource server has validated the token and removed the header.
        if let Some((token, outer)) = outer.filter(|(_, outer)| outer.server == self.server.0.id) {
            return match self.check(token, Some(outer), request) {
                Ok(()) => {
                    let passed = Arc::new(self.passed.inside(outer));
                    let request = RequestSummary::of(request, self.grpc);
                    Decision::Admit(token.clone().having_passed(passed, request))
                }
                Err(error) => Decision::Refuse(error),
            };
        }
        let token = match (extract(headers), self.admit) {
            (Ok(Credentials::Bearer(token)), _) => token,
            (Ok(Credentials::NoToken), Admit::WithOrWithoutToken) => return Decision::AdmitAnonymous,
            // RFC 9449 section 7.1: an access token with the scheme DPoP. The request is not anonymous. This resource
            // server only supports Bearer, so it answers as for any unsupported scheme.
            (Ok(Credentials::DpopToken), _) | (Ok(Credentials::NoToken), Admit::WithToken) => {
                return Decision::Refuse(ValidationError::NoCredentials);
            }
            (Err(error), _) => return Decision::Refuse(error),
        };
        match self.server.0.validator.find(token) {
            Ok(validated) => {
                tracing::trace!("verdict found in the cache");
                match self.admit(validated, request) {
                    Ok(token) => Decision::Admit(token),
                    Err(error) => Decision::Refuse(error),
                }
            }
            Err(hash) => Decision::Validate(AccessToken::new(token), hash),
        }
    }

    /// Admits a valid token if it meets the requirement of this layer.
    pub(super) fn admit<B>(
        &self,
        token: ValidatedToken,
        request: &Request<B>,
    ) -> Result<ValidatedToken, ValidationError> {
        self.check(&token, None, request)?;
        Ok(token.having_passed(Arc::clone(&self.passed), RequestSummary::of(request, self.grpc)))
    }

    /// Checks expiry, sender constraint, claim rules and scopes, whichever validator was used.
    fn check<B>(
        &self,
        token: &ValidatedToken,
        outer: Option<&Arc<PassedGuards>>,
        request: &Request<B>,
    ) -> Result<(), ValidationError> {
        self.check_expiry(token)?;
        check_sender_constraint(token)?;
        self.check_claim_rules(token, request)?;
        if !self.scopes.is_met_by(token.scopes()) {
            let mine = &self.scopes.requirement;
            let required = outer.map_or_else(|| mine.clone(), |outer| outer.requirement().and(mine.clone()));
            return Err(ValidationError::InsufficientScope { required, granted: token.scopes().clone() });
        }
        Ok(())
    }

    // RFC 7519 section 4.1.4. A custom validator may not check it, and a cached token may have expired since
    // validation.
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

    fn check_claim_rules<B>(
        &self,
        token: &ValidatedToken,
        request: &Request<B>,
    ) -> Result<(), ValidationError> {
        let rules = &self.server.0.claim_rules;
        if rules.is_empty() {
            return Ok(());
        }
        let request = RequestHead::new(request, self.server.0.clock.now());
        rules.iter().try_for_each(|rule| rule.check(token.claims(), &request))
    }

    /// Refuses a request.
    pub(super) fn refuse<B>(&self, error: ValidationError, request: &Request<B>) -> Response<Bytes> {
        self.passed.refuse(error, Some(RequestSummary::of(request, self.grpc))).into_http()
    }
}

/// RFC 9449 section 7.2: a token that is bound to a key must not be accepted as a plain bearer token. This crate does
/// not verify proofs, so it refuses such tokens.
fn check_sender_constraint(token: &ValidatedToken) -> Result<(), ValidationError> {
    if token.claims().is_sender_constrained() {
        return Err(ValidationError::SenderConstraintNotProved);
    }
    Ok(())
}

/// Returns whether the head is that of a preflight request in the Fetch standard. The inner CORS layer checks the value
/// of `Access-Control-Request-Method`.
fn is_cors_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.get(ACCESS_CONTROL_REQUEST_METHOD).is_some_and(|value: &HeaderValue| !value.is_empty())
        && !headers.contains_key(AUTHORIZATION)
        && !headers.contains_key(CONTENT_TYPE)
        && !headers.contains_key(TRANSFER_ENCODING)
        && headers.get_all(CONTENT_LENGTH).iter().all(|length| length == "0")
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
