//! The settings of an introspection validator and what each is by default.

use std::{
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use tokio::sync::Semaphore;

use super::{
    IntrospectionValidator, ResourceServerCredential,
    endpoint::{Introspection, MAX_CALLS},
    inactive_cache::InactiveCache,
    response::{IntrospectionPolicy, MissingAudience},
};
use crate::{
    Audience, AuthorizationServer, Clock, ConfigError, SystemClock,
    claims::ScopeArray,
    clock::{DEFAULT_CLOCK_SKEW, MAX_CLOCK_SKEW},
    config_error::Problem,
    single_flight::SingleFlight,
};

const DEFAULT_TTL: Duration = Duration::from_secs(60);
const MAX_TTL: Duration = Duration::from_secs(60 * 60);
const DEFAULT_INACTIVE_TTL: Duration = Duration::from_secs(5);
const MAX_INACTIVE_TTL: Duration = Duration::from_secs(60);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);

/// Builds an [`IntrospectionValidator`].
#[derive(Debug)]
#[must_use]
pub struct IntrospectionValidatorBuilder {
    authorization_server: AuthorizationServer,
    credential: ResourceServerCredential,
    audience: Audience,
    missing_audience: MissingAudience,
    scope_array: ScopeArray,
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
            missing_audience: MissingAudience::Refuse,
            scope_array: ScopeArray::Ignore,
            clock_skew: DEFAULT_CLOCK_SKEW,
            ttl: DEFAULT_TTL,
            inactive_ttl: DEFAULT_INACTIVE_TTL,
            timeout: DEFAULT_TIMEOUT,
            token_type_hint: false,
            clock: Arc::new(SystemClock),
        }
    }

    /// Lets a good verdict serve later requests with the same token for this long, `exp` at most. A revocation is noticed
    /// after this time. Zero asks for every request, and shares no call. Default: 60 seconds; at most 1 hour.
    pub fn cache_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Remembers for this long that a token is not active. Zero remembers nothing, and so does a
    /// [time to live](Self::cache_ttl) of zero. Default: 5 seconds; at most 1 minute.
    pub fn inactive_ttl(mut self, ttl: Duration) -> Self {
        self.inactive_ttl = ttl;
        self
    }

    /// Accepts answers without `aud`, or with an empty one. Default: they are refused. One that names others is refused
    /// either way.
    ///
    /// # Security
    /// Say this only of an authorization server that calls tokens inactive which are not for the resource server that
    /// asks (RFC 7662 section 4 leaves it to the server). Otherwise a token for any other service works here.
    pub fn allow_missing_audience(mut self) -> Self {
        self.missing_audience = MissingAudience::Accept;
        self
    }

    /// Reads a `scope` that is an array of strings. Default: such a token has no scopes, since RFC 7662 section 2.2 knows
    /// a string only.
    pub fn accept_scope_array(mut self) -> Self {
        self.scope_array = ScopeArray::Accept;
        self
    }

    /// Sends `token_type_hint=access_token` (RFC 7662 section 2.1). Default: no hint; some servers look for access tokens
    /// first with it.
    pub fn token_type_hint(mut self) -> Self {
        self.token_type_hint = true;
        self
    }

    /// Tolerates this much difference between our clock and the authorization server's, for `exp` and `nbf` of the
    /// answer. Default: 30 seconds; at most 5 minutes.
    pub fn clock_skew(mut self, clock_skew: Duration) -> Self {
        self.clock_skew = clock_skew;
        self
    }

    /// Waits this long for an answer, discovery included; then the caller gets 503. Default: 3 seconds; from 100
    /// milliseconds to 1 minute.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the clock. Default: [`SystemClock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Builds the validator. Nothing is asked before the first token arrives.
    ///
    /// # Errors
    /// Lists all settings that cannot work: an audience that is no URI, a time out of its range, no way to the endpoint,
    /// no HTTP client, a credential that no header can hold.
    pub fn build(self) -> Result<IntrospectionValidator, ConfigError> {
        let mut problems = self.audience.problems();
        problems.extend(self.time_problems());
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
        // Who asks for every request wants every answer to be new.
        let inactive_ttl = if self.ttl.is_zero() { Duration::ZERO } else { self.inactive_ttl };
        let inactive = InactiveCache::new(inactive_ttl, Arc::clone(&self.clock)).ok();
        if inactive.is_none() {
            let expected = "expected random bytes from the operating system";
            problems.push(Problem::without_value("introspection", expected));
        }
        let (Some(client), Some(inactive)) = (client, inactive) else {
            return Err(ConfigError::of(problems));
        };
        let policy = IntrospectionPolicy {
            issuer: server.issuer.clone(),
            audience: self.audience.spellings(),
            missing_audience: self.missing_audience,
            scope_array: self.scope_array,
            clock_skew: self.clock_skew,
        };
        let introspection = Introspection {
            server,
            credential: self.credential,
            client,
            clock: self.clock,
            policy,
            ttl: self.ttl,
            timeout: self.timeout,
            token_type_hint: self.token_type_hint,
            inactive,
            calls: Semaphore::new(MAX_CALLS),
            in_trouble: AtomicBool::new(false),
            said_audience: AtomicBool::new(false),
            located: Mutex::default(),
            discovery: SingleFlight::new(1),
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
