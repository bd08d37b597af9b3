//! The settings of an introspection validator and their defaults: [`IntrospectionValidatorBuilder`].

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use super::{
    IntrospectionValidator, ResourceServerCredential, call::EndpointClient, inactive_cache::InactiveCache,
    location::EndpointLocation, outage_log::OutageLog, response::IntrospectionPolicy,
    source_state::CallRecord, validation::Introspection,
};
use crate::{
    Audience, AuthorizationServer, ClaimRule, Clock, ConfigError, HttpClient, SystemClock,
    claims::{ClaimRules, MissingClaim, ScopeArray, ScopeSources},
    clock::{DEFAULT_CLOCK_SKEW, MAX_CLOCK_SKEW},
    config_error::Problem,
};

const DEFAULT_TTL: Duration = Duration::from_secs(60);
const MAX_TTL: Duration = Duration::from_secs(60 * 60);
const DEFAULT_INACTIVE_TTL: Duration = Duration::from_secs(5);
const MAX_INACTIVE_TTL: Duration = Duration::from_secs(60);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);

/// Builds an [`IntrospectionValidator`]. See [`IntrospectionValidator::builder`].
#[derive(Debug)]
#[must_use]
pub struct IntrospectionValidatorBuilder {
    authorization_server: AuthorizationServer,
    credential: ResourceServerCredential,
    audience: Audience,
    missing_audience: MissingClaim,
    scope_sources: ScopeSources,
    claim_rules: Vec<ClaimRule>,
    clock_skew: Duration,
    ttl: Duration,
    inactive_ttl: Duration,
    timeout: Duration,
    token_type_hint: bool,
    clock: Arc<dyn Clock>,
}

impl IntrospectionValidatorBuilder {
    pub(super) fn new(
        authorization_server: AuthorizationServer,
        credential: ResourceServerCredential,
        audience: Audience,
    ) -> Self {
        Self {
            authorization_server,
            credential,
            audience,
            missing_audience: MissingClaim::Refuse,
            scope_sources: ScopeSources::Standard(ScopeArray::Ignore),
            claim_rules: Vec::new(),
            clock_skew: DEFAULT_CLOCK_SKEW,
            ttl: DEFAULT_TTL,
            inactive_ttl: DEFAULT_INACTIVE_TTL,
            timeout: DEFAULT_TIMEOUT,
            token_type_hint: false,
            clock: Arc::new(SystemClock),
        }
    }

    /// Sets how long a positive result is reused for the same token.
    ///
    /// Default: 60 seconds. Range: zero to 1 hour. A result is never reused after `exp` (RFC 7662 section 4).
    ///
    /// The time starts when the introspection request is sent. A revocation takes effect after this time at the latest.
    /// With zero, every request is introspected, and concurrent requests with the same token do not share a call.
    ///
    /// The layers of the resource server keep the result, not this validator. A custom validator around this one decides
    /// itself how long its results are reused: see [`ValidatedToken::reusable_for`](crate::ValidatedToken::reusable_for).
    pub fn cache_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets how long the result that a token is not active is cached.
    ///
    /// Default: 5 seconds. Range: zero to 1 minute. The time starts when the introspection request is sent.
    ///
    /// With zero, or if [`cache_ttl`](Self::cache_ttl) is zero, such results are not cached. At most 10,000 are cached.
    pub fn inactive_ttl(mut self, ttl: Duration) -> Self {
        self.inactive_ttl = ttl;
        self
    }

    /// Accepts responses with no `aud` or an empty one.
    ///
    /// Default: they are refused (RFC 9700 section 2.3).
    ///
    /// A response whose `aud` contains only other audiences is always refused.
    ///
    /// # Security
    /// Use this only if the authorization server answers `active: false` for every token that is not for this resource
    /// server. RFC 7662 section 4 leaves this to the server. If it does not, tokens for any other service are accepted.
    pub fn dangerously_allow_missing_audience(mut self) -> Self {
        self.missing_audience = MissingClaim::Accept;
        self
    }

    /// Accepts a `scope` that is an array of strings.
    ///
    /// Default: such a token has no scopes, because RFC 7662 section 2.2 defines `scope` as a string.
    ///
    /// Changes nothing after or before [`scopes_from`](Self::scopes_from), which accepts arrays.
    pub fn accept_scope_array(mut self) -> Self {
        if let ScopeSources::Standard(array) = &mut self.scope_sources {
            *array = ScopeArray::Accept;
        }
        self
    }

    /// Sets the claims that scopes are read from, so that roles or permissions can be required like scopes. Default: `scope`,
    /// or `scp` if there is no `scope`.
    ///
    /// Each source is the name of a claim or, if it begins with `/`, a JSON pointer (RFC 6901) through objects, such as
    /// `/realm_access/roles`. The token has the scopes of **all** sources together:
    ///
    /// * a string is split at spaces, as `scope` is;
    /// * of an array of strings, each element is one scope. An element that is not a scope by RFC 6749 section 3.3, such as one
    ///   with a space, grants nothing;
    /// * a source that is absent or `null` grants nothing;
    /// * a source of any other type, or a pointer through something other than objects, makes the response malformed (502).
    ///
    /// `scope` and `scp` are read only if they are named. A scope grants the same whichever source it is from, so combine
    /// sources only if no word means different things in them. Challenges name a required role as a scope, which the
    /// authorization server may not know under that name.
    ///
    /// | provider | setting |
    /// |---|---|
    /// | Entra ID | `scopes_from(["scp", "roles"])` |
    /// | Keycloak, realm roles | `scopes_from(["scope", "/realm_access/roles"])` |
    /// | Auth0, permissions of RBAC | `scopes_from(["scope", "permissions"])` |
    ///
    /// [`build`](Self::build) refuses an empty list, an empty name, a pointer with a wrong `~`, and a name that identifies a
    /// client.
    pub fn scopes_from<S: Into<String>>(mut self, sources: impl IntoIterator<Item = S>) -> Self {
        self.scope_sources = ScopeSources::named(sources);
        self
    }

    /// Adds a rule for the claims, such as `ClaimRule::equals("tenant", "acme")`. Default: none. All rules must be met.
    ///
    /// Rules are checked last, in the order in which they were added, when a token is validated; not again while its verdict is
    /// in the cache. For rules that depend on the request or the time see
    /// [`ResourceServerBuilder::claim_rule`](crate::ResourceServerBuilder::claim_rule).
    pub fn claim_rule(mut self, rule: ClaimRule) -> Self {
        self.claim_rules.push(rule);
        self
    }

    /// Sends `token_type_hint=access_token` (RFC 7662 section 2.1). Default: no hint.
    ///
    /// Some servers find access tokens faster with the hint.
    pub fn token_type_hint(mut self) -> Self {
        self.token_type_hint = true;
        self
    }

    /// Sets the tolerated difference between this clock and the authorization server's.
    ///
    /// Applied to `exp` and `nbf` of the response. Default: 30 seconds. Range: zero to 5 minutes.
    pub fn clock_skew(mut self, clock_skew: Duration) -> Self {
        self.clock_skew = clock_skew;
        self
    }

    /// Sets the maximum time for a call, including discovery of the endpoint.
    ///
    /// After it, the request is answered with 503. Default: 3 seconds. Range: 100 milliseconds to 1 minute.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the clock used for token times and caching. Default: [`SystemClock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets the HTTP client if the authorization server has none.
    pub(crate) fn default_http_client(mut self, client: Option<&Arc<dyn HttpClient>>) -> Self {
        self.authorization_server = self.authorization_server.default_http_client(client);
        self
    }

    /// Builds the validator. No request is sent before the first token arrives.
    ///
    /// # Errors
    /// If a setting is invalid. The error lists all problems: invalid settings of the authorization server, an audience
    /// that is not a URI, a duration out of range, a credential that cannot be sent in a header, no way to find the
    /// introspection endpoint, or no HTTP client.
    ///
    /// Not checked: whether the authorization server can be reached and accepts the credential.
    pub fn build(self) -> Result<IntrospectionValidator, ConfigError> {
        let mut problems = self.audience.problems();
        problems.extend(self.time_problems());
        problems.extend(self.scope_sources.problems());
        problems.extend(self.claim_rules.iter().filter_map(ClaimRule::problem));
        if self.credential.header().is_err() {
            let expected = "expected visible ASCII (RFC 6750 section 2.1)";
            problems.push(Problem::without_value("resource server credential", expected));
        }
        let Some(server) = self.authorization_server.check(&mut problems) else {
            return Err(ConfigError::of(problems));
        };
        if !server.discovered && server.introspection_endpoint.is_none() {
            let expected = "expected introspection_endpoint or discovery";
            problems.push(Problem::without_value("authorization server", expected));
        }
        let client = server.client().map_err(|problem| problems.push(problem)).ok();
        // If results are not reused, negative results must not be cached either.
        let inactive_ttl = if self.ttl.is_zero() { Duration::ZERO } else { self.inactive_ttl };
        let inactive = InactiveCache::new(inactive_ttl, Arc::clone(&self.clock)).ok();
        if inactive.is_none() {
            let expected = "expected random bytes from the operating system";
            problems.push(Problem::without_value("introspection", expected));
        }
        let (Some(client), Some(inactive)) = (client, inactive) else {
            return Err(ConfigError::of(problems));
        };
        let rules = ClaimRules {
            issuer: server.issuer.as_str().into(),
            // Optional in RFC 7662 section 2.2, and this server was asked.
            missing_issuer: MissingClaim::Accept,
            audience: self.audience.spellings(),
            // RFC 7662 section 4 lets the authorization server check the audience, but a response without `aud` does not show
            // whether it did.
            missing_audience: self.missing_audience,
            missing_expiry: MissingClaim::Accept,
            clock_skew: self.clock_skew,
        };
        let policy =
            IntrospectionPolicy { rules, scope_sources: self.scope_sources, claim_rules: self.claim_rules };
        let issuer = server.issuer.clone();
        let outages = OutageLog::new(issuer.clone(), Arc::clone(&self.clock));
        let location =
            EndpointLocation::new(server, Arc::clone(&client), Arc::clone(&self.clock), self.timeout);
        let endpoint = EndpointClient::new(
            location,
            self.credential,
            client,
            Arc::clone(&self.clock),
            self.timeout,
            self.token_type_hint,
        );
        let introspection = Introspection {
            issuer,
            endpoint,
            policy,
            ttl: self.ttl,
            inactive,
            clock: self.clock,
            outages,
            calls: CallRecord::default(),
            has_logged_audience: AtomicBool::new(false),
        };
        ConfigError::unless_none(problems, IntrospectionValidator(Arc::new(introspection)))
    }

    fn time_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut check = |setting, span: Duration, is_good: bool, expected| {
            if !is_good {
                problems.push(Problem::new(setting, format!("{span:?}"), expected));
            }
        };
        check("cache_ttl", self.ttl, self.ttl <= MAX_TTL, "expected at most 1 hour");
        check(
            "inactive_ttl",
            self.inactive_ttl,
            self.inactive_ttl <= MAX_INACTIVE_TTL,
            "expected at most 1 minute",
        );
        check("clock_skew", self.clock_skew, self.clock_skew <= MAX_CLOCK_SKEW, "expected at most 5 minutes");
        let timeouts = Duration::from_millis(100)..=Duration::from_secs(60);
        let expected = "expected from 100 milliseconds to 1 minute";
        check("timeout", self.timeout, timeouts.contains(&self.timeout), expected);
        problems
    }
}
