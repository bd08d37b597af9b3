//! Decides whether a request is passed on: [`Guard`].

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, Uri,
    header::{
        ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, ORIGIN, TRANSFER_ENCODING,
    },
};

use super::authorizer::ErasedAuthorizer;
use crate::{
    AccessToken, RequestHead, RequirementPolicy, ResourceServer, Scope, ValidatedToken, ValidationError,
    credentials::{Credentials, extract},
    refusal::{AUDIT, RequestSummary},
    requirement::{RequirementKind, TokenRequirement, deduplicated},
    token::{Passed, PassedGuards},
    validator::TokenHash,
};

/// What one layer requires of each request.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) server: ResourceServer,
    policy: Arc<dyn RequirementPolicy>,
    pub(super) authorizer: Option<Arc<dyn ErasedAuthorizer>>,
    /// Whether gRPC calls are refused with a gRPC status.
    pub(super) grpc: bool,
    /// The record for a token that passes only this guard.
    pub(super) passed: Arc<PassedGuards>,
}

/// The decision about a request that is possible without waiting.
pub(crate) enum Decision {
    /// Pass it on with this token.
    Admit(ValidatedToken),
    /// Pass it on without a token: it is anonymous, or a preflight request for an inner CORS layer.
    AdmitAnonymous,
    /// Validate its token, which is not in the cache.
    Validate(AccessToken, TokenHash, Need),
    Refuse(ValidationError, Need),
}

/// What the token of a request must have. `None` accepts any valid token.
pub(crate) type Need = Option<Arc<TokenRequirement>>;

impl Guard {
    pub(super) fn new(server: ResourceServer, policy: Arc<dyn RequirementPolicy>) -> Self {
        let settings = &server.0;
        let passed = Arc::new(PassedGuards {
            server: settings.id,
            hierarchy: Arc::clone(&settings.hierarchy),
            refusals: Arc::clone(&settings.refusals),
            clock: Arc::clone(&settings.clock),
            baseline: Arc::clone(&settings.baseline),
            advertised: Arc::default(),
            outer: None,
        });
        Self { server, policy, authorizer: None, grpc: false, passed }
    }

    /// Adds scopes to challenges.
    pub(super) fn advertise(&mut self, scopes: &[Scope]) {
        if let Some(publication) = &self.server.0.publication {
            publication.add_scopes(scopes);
        }
        let passed = Arc::make_mut(&mut self.passed);
        passed.advertised = deduplicated(passed.advertised.iter().chain(scopes).cloned()).into();
    }

    /// Decides about a request by its head, without waiting.
    pub(super) fn decide<B>(&self, request: &Request<B>) -> Decision {
        let (method, headers) = (request.method(), request.headers());
        let outer = request.extensions().get::<ValidatedToken>();
        let outer = outer.and_then(|token| Some((token, token.passed()?)));
        // A request whose token an outer layer validated had an `Authorization` header, so it is not a preflight request.
        if self.server.0.pass_cors_preflight && outer.is_none() && is_cors_preflight(method, headers) {
            return Decision::AdmitAnonymous;
        }
        let requirement = self.policy.requirement(&RequestHead::new(request, &*self.server.0.clock));
        let (need, token_is_optional) = match requirement.into_kind() {
            RequirementKind::Public => (None, true),
            RequirementKind::Token(need) => (need, false),
            RequirementKind::Denied(reason) => {
                return Decision::Refuse(ValidationError::denied(reason), None);
            }
            RequirementKind::Malformed(reason) => {
                return Decision::Refuse(ValidationError::malformed_request(reason), None);
            }
        };
        // An outer layer of the same resource server has validated the token and removed the header.
        if let Some((token, outer)) = outer.filter(|(_, outer)| outer.guards.server == self.server.0.id) {
            let guards = Arc::new(self.passed.inside(outer));
            return match self.check(token, &guards, need.as_deref(), request) {
                Ok(()) => Decision::Admit(self.having_passed(token.clone(), guards, need, request)),
                Err(error) => Decision::Refuse(error, need),
            };
        }
        let token = match extract(headers) {
            Ok(Credentials::Bearer(token)) => token,
            Ok(Credentials::NoToken) if token_is_optional => return Decision::AdmitAnonymous,
            // RFC 9449 section 7.1: an access token with the scheme DPoP. The request is not anonymous. This resource
            // server only supports Bearer, so it answers as for any unsupported scheme.
            Ok(Credentials::DpopToken | Credentials::NoToken) => {
                return Decision::Refuse(ValidationError::NoCredentials, need);
            }
            Err(error) => return Decision::Refuse(error, need),
        };
        match self.server.0.validator.find(token) {
            Ok(validated) => {
                tracing::trace!("verdict found in the cache");
                match self.admit(validated, need, request) {
                    Ok(token) => Decision::Admit(token),
                    Err((error, need)) => Decision::Refuse(error, need),
                }
            }
            Err(hash) => Decision::Validate(AccessToken::new(token), hash, need),
        }
    }

    /// Admits a valid token if it meets the requirement of the request.
    pub(super) fn admit<B>(
        &self,
        token: ValidatedToken,
        need: Need,
        request: &Request<B>,
    ) -> Result<ValidatedToken, (ValidationError, Need)> {
        match self.check(&token, &self.passed, need.as_deref(), request) {
            Ok(()) => Ok(self.having_passed(token, Arc::clone(&self.passed), need, request)),
            Err(error) => Err((error, need)),
        }
    }

    fn having_passed<B>(
        &self,
        token: ValidatedToken,
        guards: Arc<PassedGuards>,
        requirement: Need,
        request: &Request<B>,
    ) -> ValidatedToken {
        if let Some(requirement) =
            requirement.as_ref().filter(|requirement| !requirement.scopes.named().is_empty())
        {
            tracing::debug!(target: AUDIT, rule = ?requirement.scopes.to_string(), "scopes accepted");
        }
        token.having_passed(Passed { guards, requirement, request: RequestSummary::of(request, self.grpc) })
    }

    /// Checks expiry, sender constraint, claim rules, scopes and step-up, whichever validator was used.
    fn check<B>(
        &self,
        token: &ValidatedToken,
        guards: &PassedGuards,
        need: Option<&TokenRequirement>,
        request: &Request<B>,
    ) -> Result<(), ValidationError> {
        self.check_expiry(token)?;
        check_sender_constraint(token)?;
        self.check_claim_rules(token, request)?;
        need.map_or(Ok(()), |need| guards.check(need, token))
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
        let request = RequestHead::new(request, &*self.server.0.clock);
        rules.iter().try_for_each(|rule| rule.check(token.claims(), &request))
    }

    /// Refuses a request.
    pub(super) fn refuse<B>(
        &self,
        error: ValidationError,
        need: Option<&TokenRequirement>,
        request: &Request<B>,
    ) -> Response<Bytes> {
        let refusal = self.passed.refuse(error, need, Some(RequestSummary::of(request, self.grpc)));
        self.server.warn_of_refused_metadata(refusal.uri().map(Uri::path));
        refusal.into_http()
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
            .field("server", &self.server)
            .field("grpc", &self.grpc)
            .finish_non_exhaustive()
    }
}
