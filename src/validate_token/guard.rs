//! Decides whether a request is passed on: [`Guard`].

use std::{fmt, panic::Location, sync::Arc};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, Uri,
    header::{
        ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, ORIGIN, TRANSFER_ENCODING,
    },
};

use super::{authorizer::ErasedAuthorizer, timing::Timing};
use crate::{
    AccessToken, BoxFuture, Clock, PolicyDescription, RequestHead, Requirement, RequirementPolicy,
    ResourceServer, Scope, ValidatedToken, ValidationError,
    credentials::{Credentials, extract},
    refusal::{AUDIT, RequestSummary},
    requirement::{RequirementKind, TokenRequirement, deduplicated},
    resource_server::Settings,
    token::{Passed, PassedGuards},
    validator::TokenHash,
};

/// What one layer requires of each request.
pub(crate) struct Guard {
    pub(crate) server: ResourceServer,
    policy: Policy,
    created_at: &'static Location<'static>,
    pub(super) authorizer: Option<Arc<dyn ErasedAuthorizer>>,
    /// Whether gRPC calls are refused with a gRPC status.
    pub(super) grpc: bool,
    /// Scopes that are added to challenges.
    advertised: Arc<[Scope]>,
    /// The settings that were in force for the last request.
    in_force: ArcSwap<InForce>,
}

/// Where a guard finds its requirement policy.
#[derive(Clone)]
pub(crate) enum Policy {
    /// It belongs to the layer.
    OfLayer(Arc<dyn RequirementPolicy>),
    /// It is a setting of the resource server, which can be replaced.
    OfServer,
}

/// The settings of the resource server, and what a guard derives from them.
pub(crate) struct InForce {
    generation: u64,
    settings: Arc<Settings>,
    /// The record for a token that passes only this guard.
    passed: Arc<PassedGuards>,
}

/// The decision about a request that is possible without waiting.
pub(crate) enum Decision {
    /// Pass it on with this token.
    Admit(ValidatedToken),
    /// Pass it on without a token: it is anonymous, or a preflight request for an inner CORS layer.
    AdmitAnonymous,
    /// Validate its token, which is not in the cache.
    Validate(NewToken),
    Refuse(ValidationError, Need),
}

/// A token that is not in the cache, and the settings to validate it with.
pub(crate) struct NewToken {
    token: AccessToken,
    hash: TokenHash,
    pub(super) pending: Pending,
}

/// A request whose token is being validated.
pub(crate) struct Pending {
    need: Need,
    in_force: Arc<InForce>,
}

/// What the token of a request must have. `None` accepts any valid token.
pub(crate) type Need = Option<Arc<TokenRequirement>>;

impl NewToken {
    pub(super) fn validate(self) -> (BoxFuture<'static, Result<ValidatedToken, ValidationError>>, Pending) {
        let Self { token, hash, pending } = self;
        (pending.in_force.settings.validator.validate(token, hash), pending)
    }
}

impl InForce {
    fn new(server: &ResourceServer, advertised: &Arc<[Scope]>) -> Self {
        let (generation, settings) = server.0.current();
        let passed = PassedGuards {
            server: server.0.id,
            settings: Arc::clone(&settings.guard),
            advertised: Arc::clone(advertised),
            outer: None,
        };
        Self { generation, settings, passed: Arc::new(passed) }
    }
}

impl Guard {
    #[track_caller]
    pub(super) fn new(server: ResourceServer, policy: Policy) -> Self {
        let advertised = Arc::default();
        let in_force = ArcSwap::from_pointee(InForce::new(&server, &advertised));
        let created_at = Location::caller();
        Self { server, policy, created_at, authorizer: None, grpc: false, advertised, in_force }
    }

    /// Adds scopes to challenges.
    pub(super) fn advertise(&mut self, scopes: &[Scope]) {
        if let Some(publication) = &self.server.0.publication {
            publication.add_scopes(scopes);
        }
        self.advertised = deduplicated(self.advertised.iter().chain(scopes).cloned()).into();
        self.in_force = ArcSwap::from_pointee(InForce::new(&self.server, &self.advertised));
    }

    /// Returns the settings for a request.
    fn in_force(&self) -> arc_swap::Guard<Arc<InForce>> {
        let known = self.in_force.load();
        if known.generation == self.server.0.generation() {
            return known;
        }
        // Not loaded again: another thread may have stored older settings meanwhile, for its own request.
        let newer = Arc::new(InForce::new(&self.server, &self.advertised));
        self.in_force.store(Arc::clone(&newer));
        arc_swap::Guard::from_inner(newer)
    }

    /// Returns where the layer was created.
    pub(super) fn created_at(&self) -> &'static Location<'static> {
        self.created_at
    }

    pub(super) fn advertised(&self) -> &[Scope] {
        &self.advertised
    }

    pub(super) fn describe_policy(&self) -> PolicyDescription {
        match (&self.policy, &self.in_force().settings.policy) {
            (Policy::OfLayer(policy), _) | (Policy::OfServer, Some(policy)) => policy.describe(),
            (Policy::OfServer, None) => PolicyDescription::new([]),
        }
    }

    /// Returns what a request requires.
    #[cfg(feature = "utoipa")]
    pub(crate) fn requirement_of<B>(&self, request: &Request<B>) -> Requirement {
        self.requirement(&self.in_force().settings, request)
    }

    fn requirement<B>(&self, settings: &Settings, request: &Request<B>) -> Requirement {
        let head = RequestHead::new(request, &*settings.guard.clock);
        match (&self.policy, &settings.policy) {
            (Policy::OfLayer(policy), _) | (Policy::OfServer, Some(policy)) => policy.requirement(&head),
            // Cannot happen: such a layer is not created without a policy, and a policy is only replaced by another one.
            (Policy::OfServer, None) => Requirement::deny("the resource server has no policy"),
        }
    }

    /// Starts to measure a decision that is made elsewhere.
    #[cfg(feature = "mcp")]
    pub(super) fn start(&self) -> Timing {
        let mut timing = Timing::default();
        timing.begin(&self.in_force().settings.guard);
        timing
    }

    /// Decides about a request by its head, without waiting.
    pub(super) fn decide<B>(&self, request: &Request<B>, timing: &mut Timing) -> Decision {
        let in_force = self.in_force();
        let settings = &in_force.settings;
        timing.begin(&settings.guard);
        let (method, headers) = (request.method(), request.headers());
        let outer = request.extensions().get::<ValidatedToken>();
        let outer = outer.and_then(|token| Some((token, token.passed()?)));
        // A request whose token an outer layer validated had an `Authorization` header, so it is not a preflight request.
        if settings.guard.pass_cors_preflight && outer.is_none() && is_cors_preflight(method, headers) {
            return Decision::AdmitAnonymous;
        }
        let (need, token_is_optional) = match self.requirement(settings, request).into_kind() {
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
            timing.is_inner();
            let guards = Arc::new(in_force.passed.inside(outer));
            return match check(token, &guards, need.as_deref(), request) {
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
        match settings.validator.find(token) {
            Ok(validated) => {
                tracing::trace!("verdict found in the cache");
                self.admit(validated, &in_force, need, request)
            }
            Err(hash) => {
                let pending = Pending { need, in_force: Arc::clone(&in_force) };
                Decision::Validate(NewToken { token: AccessToken::new(token), hash, pending })
            }
        }
    }

    /// Decides about a request whose token was validated.
    pub(super) fn conclude<B>(
        &self,
        verdict: Result<ValidatedToken, ValidationError>,
        pending: Pending,
        request: &Request<B>,
        timing: &mut Timing,
    ) -> Decision {
        let Pending { need, in_force } = pending;
        // A verdict under settings that were replaced in the meantime does not count, nor does one of a tenant that was removed.
        let is_withdrawn = verdict.as_ref().is_ok_and(|token| token.verdict().has_withdrawn_tenant());
        if is_withdrawn || in_force.generation != self.server.0.generation() {
            return self.decide(request, timing);
        }
        match verdict {
            Ok(token) => self.admit(token, &in_force, need, request),
            Err(error) => Decision::Refuse(error, need),
        }
    }

    /// Admits a valid token if it meets the requirement of the request.
    fn admit<B>(
        &self,
        token: ValidatedToken,
        in_force: &InForce,
        need: Need,
        request: &Request<B>,
    ) -> Decision {
        match check(&token, &in_force.passed, need.as_deref(), request) {
            Ok(()) => {
                let guards = Arc::clone(&in_force.passed);
                Decision::Admit(self.having_passed(token, guards, need, request))
            }
            Err(error) => Decision::Refuse(error, need),
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

    /// Returns the record for a token that passes only this guard.
    pub(super) fn passed(&self) -> Arc<PassedGuards> {
        Arc::clone(&self.in_force().passed)
    }

    /// Refuses a request.
    pub(super) fn refuse<B>(
        &self,
        error: ValidationError,
        need: Option<&TokenRequirement>,
        request: &Request<B>,
    ) -> Response<Bytes> {
        let refusal = self.passed().refuse(error, need, Some(RequestSummary::of(request, self.grpc)));
        self.server.warn_of_refused_metadata(refusal.uri().map(Uri::path));
        refusal.into_http()
    }
}

/// Checks expiry, sender constraint, claim rules, scopes and step-up, whichever validator was used.
fn check<B>(
    token: &ValidatedToken,
    guards: &PassedGuards,
    need: Option<&TokenRequirement>,
    request: &Request<B>,
) -> Result<(), ValidationError> {
    check_expiry(token, &*guards.settings.clock)?;
    check_sender_constraint(token)?;
    let rules = &guards.settings.claim_rules;
    if !rules.is_empty() {
        let request = RequestHead::new(request, &*guards.settings.clock);
        rules.iter().try_for_each(|rule| rule.check(token.claims(), &request))?;
    }
    need.map_or(Ok(()), |need| guards.check(need, token))
}

// RFC 7519 section 4.1.4. A custom validator may not check it, and a cached token may have expired since validation.
fn check_expiry(token: &ValidatedToken, clock: &dyn Clock) -> Result<(), ValidationError> {
    let (Some(expired_from), Some(exp)) = (token.verdict().expired_from(), token.expires_at()) else {
        return Ok(());
    };
    let now = clock.now();
    if now >= expired_from {
        let clock_skew = expired_from.saturating_duration_since(exp);
        return Err(ValidationError::Expired { exp, now, clock_skew });
    }
    Ok(())
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

impl Clone for Guard {
    fn clone(&self) -> Self {
        Self {
            server: self.server.clone(),
            policy: self.policy.clone(),
            created_at: self.created_at,
            authorizer: self.authorizer.clone(),
            grpc: self.grpc,
            advertised: Arc::clone(&self.advertised),
            in_force: ArcSwap::new(self.in_force.load_full()),
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("server", &self.server)
            .field("grpc", &self.grpc)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    };

    use super::*;
    use crate::{ClaimsSet, TokenValidator};

    struct AcceptAll;

    impl TokenValidator for AcceptAll {
        async fn validate(&self, _: &AccessToken) -> Result<ValidatedToken, ValidationError> {
            Ok(ValidatedToken::from_trusted_claims(ClaimsSet::new()))
        }
    }

    fn server() -> ResourceServer {
        ResourceServer::builder(AcceptAll).build().unwrap()
    }

    #[test]
    fn a_request_after_the_swap_never_uses_older_settings() {
        const SWAPS: usize = 1_000;
        let (server, next) = (server(), server());
        let guard =
            Guard::new(server.clone(), Policy::OfLayer(Arc::new(|_: &RequestHead<'_>| Requirement::token())));
        let is_over = AtomicBool::new(false);
        let start = Barrier::new(4);

        let older = std::thread::scope(|scope| {
            let readers: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        let mut older = 0;
                        while !is_over.load(Ordering::Relaxed) {
                            let at_least = server.0.generation();
                            older += usize::from(guard.in_force().generation < at_least);
                        }
                        older
                    })
                })
                .collect();
            start.wait();
            for _ in 0..SWAPS {
                server.reconfigure(&next).unwrap();
                std::thread::yield_now();
            }
            is_over.store(true, Ordering::Relaxed);
            readers.into_iter().map(|reader| reader.join().unwrap()).sum::<usize>()
        });

        assert_eq!(older, 0);
    }
}
