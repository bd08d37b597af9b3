//! The settings of a validator with a resolver, and their defaults: [`ResolvingValidatorBuilder`].

use std::{any::type_name, fmt, sync::Arc, time::Duration};

use super::{
    ErasedResolver, IssuerResolver, ResolvingValidator,
    known_tenants::{KnownTenants, Parts},
    tenant_state::TenantTimes,
};
#[cfg(feature = "reqwest")]
use crate::{AddressGuard, ReqwestClient};
use crate::{
    Clock, ConfigError, HttpClient, SystemClock, TokenValidator,
    config_error::Problem,
    validator::{ErasedValidator, OutageLog, TokenHasher, erase},
};

const DEFAULT_MAX_TENANTS: usize = 20_000;
const DEFAULT_TTL: Duration = Duration::from_secs(5 * 60);
const DEFAULT_UNKNOWN_TTL: Duration = Duration::from_secs(10);
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(60 * 60);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// Builds a [`ResolvingValidator`]. See [`ResolvingValidator::builder`].
#[must_use]
pub struct ResolvingValidatorBuilder {
    resolver: Box<dyn ErasedResolver>,
    /// The type name of the resolver, for the log.
    name: &'static str,
    max_tenants: usize,
    times: TenantTimes,
    unknown_ttl: Duration,
    client: Option<Arc<dyn HttpClient>>,
    otherwise: Option<Arc<dyn ErasedValidator>>,
    clock: Arc<dyn Clock>,
}

impl ResolvingValidatorBuilder {
    pub(super) fn new<R: IssuerResolver>(resolver: R) -> Self {
        Self {
            resolver: Box::new(resolver),
            name: type_name::<R>(),
            max_tenants: DEFAULT_MAX_TENANTS,
            times: TenantTimes { ttl: DEFAULT_TTL, max_age: DEFAULT_MAX_AGE, timeout: DEFAULT_TIMEOUT },
            unknown_ttl: DEFAULT_UNKNOWN_TTL,
            client: None,
            otherwise: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// Sets the maximum number of tenants in memory. Default: 20,000. Range: 1 to 1,000,000.
    ///
    /// See [memory](super#memory) for what a tenant uses. If there are more, the resolver is asked again for those that
    /// were not used for a long time, and their keys are fetched again. Cached verdicts stay valid. The limit is
    /// approximate, because the cache is divided into parts: set it a tenth higher than the tenants in use.
    pub fn max_tenants(mut self, tenants: usize) -> Self {
        self.max_tenants = tenants;
        self
    }

    /// Sets how long an answer of the resolver is used. Default: 5 minutes. Range: 1 second to 24 hours.
    ///
    /// A tenant that the resolver no longer returns, or that has another [version](super::Tenant::version), is noticed after
    /// this time at the latest, also for tokens whose verdict is cached. To end it immediately, call
    /// [`invalidate`](ResolvingValidator::invalidate).
    ///
    /// For a tenant in use, the resolver is asked in the background after four fifths of this time, so that requests do
    /// not wait.
    pub fn tenant_ttl(mut self, ttl: Duration) -> Self {
        self.times.ttl = ttl;
        self
    }

    /// Sets how long a tenant is used while the resolver fails, from its last answer on.
    ///
    /// Default: 1 hour. Range: [`tenant_ttl`](Self::tenant_ttl) to 7 days.
    ///
    /// After this time, its tokens are answered with 503. Meanwhile, the resolver is tried again every 5 seconds while
    /// there are requests.
    ///
    /// # Security
    /// A tenant that is removed while the resolver fails is accepted for as long as this, unless
    /// [`invalidate`](ResolvingValidator::invalidate) is called.
    pub fn max_tenant_age(mut self, age: Duration) -> Self {
        self.times.max_age = age;
        self
    }

    /// Sets how long an issuer that the resolver does not know is cached as unknown. Default: 10 seconds. Range: 1 second to
    /// 1 hour.
    ///
    /// A new tenant is known after this time at the latest, or at once with
    /// [`invalidate`](ResolvingValidator::invalidate). At most 10,000 such issuers are cached, separately from tenants.
    pub fn unknown_issuer_ttl(mut self, ttl: Duration) -> Self {
        self.unknown_ttl = ttl;
        self
    }

    /// Sets the maximum time for one answer of the resolver. Default: 5 seconds. Range: 10 milliseconds to 1 minute.
    pub fn resolve_timeout(mut self, timeout: Duration) -> Self {
        self.times.timeout = timeout;
        self
    }

    /// Sets the HTTP client that all tenants share, except those whose
    /// [`AuthorizationServer`](crate::AuthorizationServer) has its own and those made with
    /// [`Tenant::custom`](super::Tenant::custom).
    ///
    /// Default, with the feature `reqwest`: [`ReqwestClient::guarded`](crate::ReqwestClient::guarded), which connects
    /// only to the public internet and uses no proxy. Without this feature, there is none.
    ///
    /// # Security
    /// Customers who enter their own issuer decide which servers this program connects to. A client without an
    /// [`AddressGuard`](crate::AddressGuard) lets them reach servers in your network. To allow some addresses of it, use
    /// `ReqwestClient::guarded(AddressGuard::new().allow("10.20.0.0/16"))`.
    pub fn http_client(mut self, client: impl HttpClient) -> Self {
        self.client = Some(Arc::new(client));
        self
    }

    /// Sets the validator for tokens without an issuer, such as opaque ones. Default: none; they are refused with 401.
    ///
    /// Tokens of issuers that the resolver does not know are always refused. For issuers that are known when the program
    /// starts, put this validator behind a [`RoutingValidator`](crate::RoutingValidator), with
    /// [`otherwise`](crate::RoutingValidator::otherwise).
    pub fn otherwise(mut self, validator: impl TokenValidator) -> Self {
        self.otherwise = Some(erase(validator));
        self
    }

    /// Sets the clock for the ages of tenants. Default: [`SystemClock`]. Validators have their own.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Builds the validator. The resolver is not asked before the first token arrives.
    ///
    /// # Errors
    /// If a number or time is out of range, the validator of [`otherwise`](Self::otherwise) has problems, or the default
    /// HTTP client cannot be built. The error lists all problems.
    pub fn build(self) -> Result<ResolvingValidator, ConfigError> {
        let mut problems = self.range_problems();
        problems.extend(self.otherwise.iter().flat_map(|validator| validator.problems()).cloned());
        let client = self.client.map(Ok).or_else(default_client).transpose();
        let client = client.map_err(|problem| problems.push(problem)).ok();
        let hasher = TokenHasher::new().map_err(|_| {
            let expected = "expected random bytes from the operating system";
            problems.push(Problem::without_value("resolving validator", expected));
        });
        let (Some(client), Ok(hasher), []) = (client, hasher, problems.as_slice()) else {
            return Err(ConfigError::of(problems));
        };
        let known = KnownTenants::new(Parts {
            resolver: self.resolver,
            outages: OutageLog::of_resolver(self.name),
            client,
            clock: self.clock,
            times: self.times,
            unknown_ttl: self.unknown_ttl,
            max_tenants: self.max_tenants,
            hasher,
        });
        Ok(ResolvingValidator::new(known, self.otherwise))
    }

    fn range_problems(&self) -> Vec<Problem> {
        const SECOND: Duration = Duration::from_secs(1);
        const HOUR: Duration = Duration::from_secs(60 * 60);
        let mut problems = Vec::new();
        if !(1..=1_000_000).contains(&self.max_tenants) {
            let found = self.max_tenants.to_string();
            problems.push(Problem::new("max_tenants", found, "expected from 1 to 1,000,000"));
        }
        let TenantTimes { ttl, max_age, timeout } = self.times;
        let settings = [
            ("tenant_ttl", ttl, SECOND..=24 * HOUR, "expected from 1 second to 24 hours"),
            ("max_tenant_age", max_age, ttl..=7 * 24 * HOUR, "expected from tenant_ttl to 7 days"),
            ("unknown_issuer_ttl", self.unknown_ttl, SECOND..=HOUR, "expected from 1 second to 1 hour"),
            (
                "resolve_timeout",
                timeout,
                SECOND / 100..=60 * SECOND,
                "expected from 10 milliseconds to 1 minute",
            ),
        ];
        let wrong = settings.into_iter().filter(|(_, span, range, _)| !range.contains(span));
        problems.extend(
            wrong.map(|(setting, span, _, expected)| Problem::new(setting, format!("{span:?}"), expected)),
        );
        problems
    }
}

/// Creates the client for tenants without their own. Customers choose their issuers, so the client must not connect to
/// private addresses.
#[cfg(feature = "reqwest")]
fn default_client() -> Option<Result<Arc<dyn HttpClient>, Problem>> {
    Some(match ReqwestClient::guarded(AddressGuard::new()) {
        Ok(client) => Ok(Arc::new(client)),
        Err(error) => Err(Problem::new("http_client", error.to_string(), "expected a TLS stack")),
    })
}

#[cfg(not(feature = "reqwest"))]
fn default_client() -> Option<Result<Arc<dyn HttpClient>, Problem>> {
    None
}

impl fmt::Debug for ResolvingValidatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResolvingValidatorBuilder")
            .field("resolver", &self.name)
            .field("max_tenants", &self.max_tenants)
            .field("times", &self.times)
            .field("unknown_issuer_ttl", &self.unknown_ttl)
            .field("http_client", &self.client)
            .field("otherwise", &self.otherwise.is_some())
            .finish_non_exhaustive()
    }
}
