//! Finds the tenant of an issuer in a cache, or asks the resolver: [`KnownTenants`].

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use quick_cache::{
    UnitWeighter,
    sync::{Cache, DefaultLifecycle},
};

use super::{
    ErasedResolver, Tenant, UnverifiedIssuer,
    record::Record,
    resolver_calls::{ResolverCalls, ResolverFailure, ResolverState, notify},
    tenant_state::{Refresh, TenantState, TenantTimes},
};
use crate::{
    Clock, HttpClient, Issuer, ValidationError,
    catch_panic::{Panicked, catch_panic},
    observer::{Observers, ResolvedIssuer},
    single_flight::{FlightError, SingleFlight},
    token::TenantValidity as _,
    validator::{BuildTokenHasher, ErasedValidator, OutageLog, TokenHash, TokenHasher},
};

/// Maximum number of issuers without a known tenant that the resolver is asked about at the same time, and of others.
pub(super) const MAX_QUESTIONS: usize = 1_024;

/// Maximum number of issuers that are cached as unknown, about a megabyte. Only unknown issuers are in this cache, so
/// invented ones cannot evict tenants.
pub(super) const MAX_UNKNOWN: usize = 10_000;

type HashCache<V> = Cache<TokenHash, V, UnitWeighter, BuildTokenHasher>;

type Flights = Arc<SingleFlight<TokenHash, Resolution, BuildTokenHasher>>;

/// `None` if the resolver does not know the issuer.
type Resolution = Result<Option<Arc<KnownTenant>>, ValidationError>;

/// A tenant that the resolver returned.
pub(super) struct KnownTenant {
    pub(super) state: Arc<TenantState>,
    pub(super) validator: Arc<dyn ErasedValidator>,
}

pub(super) struct KnownTenants {
    /// For questions in tasks of their own.
    this: Weak<Self>,
    resolver: Box<dyn ErasedResolver>,
    outages: OutageLog,
    calls: ResolverCalls,
    client: Option<Arc<dyn HttpClient>>,
    clock: Arc<dyn Clock>,
    times: TenantTimes,
    unknown_ttl: Duration,
    hasher: TokenHasher,
    pub(super) max_tenants: usize,
    pub(super) tenants: HashCache<Arc<KnownTenant>>,
    /// When each unknown issuer is asked for again, on the monotonic clock.
    unknown: HashCache<Duration>,
    /// Questions about issuers whose tenant is not known.
    searches: Flights,
    /// Questions about known tenants. Separate, so that invented issuers cannot keep a tenant from being renewed or removed.
    renewals: Flights,
    /// Never locked across an await, nor while validators are dropped, which may run code of others.
    record: Mutex<Record>,
    pub(super) observers: Observers,
}

/// What [`KnownTenants`] is made of.
pub(super) struct Parts {
    pub(super) resolver: Box<dyn ErasedResolver>,
    pub(super) outages: OutageLog,
    pub(super) client: Option<Arc<dyn HttpClient>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) times: TenantTimes,
    pub(super) unknown_ttl: Duration,
    pub(super) max_tenants: usize,
    pub(super) hasher: TokenHasher,
}

impl KnownTenants {
    pub(super) fn new(parts: Parts) -> Arc<Self> {
        // If a question takes longer than this, its runtime has stopped.
        let deadline = parts.times.timeout.saturating_mul(2);
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            resolver: parts.resolver,
            outages: parts.outages,
            calls: ResolverCalls::default(),
            client: parts.client,
            clock: parts.clock,
            unknown_ttl: parts.unknown_ttl,
            hasher: parts.hasher,
            max_tenants: parts.max_tenants,
            tenants: cache(parts.max_tenants),
            unknown: cache(MAX_UNKNOWN),
            searches: SingleFlight::new(MAX_QUESTIONS, deadline),
            renewals: SingleFlight::new(MAX_QUESTIONS, deadline),
            times: parts.times,
            record: Mutex::default(),
            observers: Observers::default(),
        })
    }

    pub(super) fn hash(&self, issuer: &str) -> TokenHash {
        self.hasher.hash(issuer)
    }

    /// Returns the tenant if it is known and the resolver need not be asked before it is used.
    pub(super) fn find(&self, hash: TokenHash) -> Option<Arc<KnownTenant>> {
        self.tenants.get(&hash).filter(|known| known.state.is_valid())
    }

    /// Returns whether the resolver recently did not know this issuer.
    pub(super) fn is_unknown(&self, hash: TokenHash) -> bool {
        self.unknown.get(&hash).is_some_and(|until| self.clock.monotonic() < until)
    }

    /// Finds the tenant, or asks the resolver.
    pub(super) async fn find_or_resolve(self: &Arc<Self>, hash: TokenHash, issuer: &str) -> Resolution {
        if let Some(known) = self.find(hash) {
            known.state.refresh_if_due();
            return Ok(Some(known));
        }
        // No authorization server can have such an issuer, so the resolver need not be asked.
        if self.is_unknown(hash) || Issuer::new_on_loopback(issuer).is_err() {
            return Ok(None);
        }
        let issuer = UnverifiedIssuer::new(issuer);
        let resolution = self.join_question(hash, &issuer).await;
        if matches!(resolution, Ok(None)) && !self.is_unknown(hash) {
            // The issuer was invalidated after this answer, before the question was removed.
            return self.join_question(hash, &issuer).await;
        }
        resolution
    }

    /// Waits for the question in progress about this issuer, or starts one.
    async fn join_question(self: &Arc<Self>, hash: TokenHash, issuer: &UnverifiedIssuer) -> Resolution {
        let is_known = self.record().state(hash).is_some();
        let flights = if is_known { &self.renewals } else { &self.searches };
        match flights.run(hash, || Arc::clone(self).resolve(hash, issuer.clone())).await {
            Ok(resolution) => resolution,
            Err(FlightError::Panicked) => Err(ValidationError::internal("resolving the issuer panicked")),
            Err(FlightError::Full) => {
                notify(&self.observers, Duration::ZERO, Err("too_many_calls"));
                let reason = "the resolver is being asked about 1,024 issuers";
                self.tolerate(hash, ValidationError::unavailable(reason))
            }
            Err(FlightError::Lost) => {
                self.tolerate(hash, ValidationError::unavailable("the runtime was shut down"))
            }
        }
    }

    /// Asks the resolver, unless another call has just done so.
    async fn resolve(self: Arc<Self>, hash: TokenHash, issuer: UnverifiedIssuer) -> Resolution {
        if let Some(known) = self.find(hash).filter(|known| !known.state.is_due()) {
            return Ok(Some(known));
        }
        let (timeout, began) = (self.times.timeout, self.clock.monotonic());
        let asked = tokio::time::timeout(timeout, self.ask(hash, &issuer)).await;
        let answer = asked.unwrap_or_else(|_| Err(ResolverFailure::timeout(timeout)));
        self.report(began, &answer);
        match answer {
            Ok(known) => {
                self.outages.answered();
                Ok(known)
            }
            Err(ResolverFailure { error, .. }) => {
                self.outages.failed(&error);
                self.tolerate(hash, error)
            }
        }
    }

    /// Records and reports the outcome of a call that began at `began`.
    fn report(&self, began: Duration, answer: &Result<Option<Arc<KnownTenant>>, ResolverFailure>) {
        let now = self.clock.monotonic();
        self.calls.record(now, answer.as_ref().err());
        let result = match answer {
            Ok(Some(_)) => Ok(ResolvedIssuer::Known),
            Ok(None) => Ok(ResolvedIssuer::Unknown),
            Err(failure) => Err(failure.kind),
        };
        notify(&self.observers, now.saturating_sub(began), result);
    }

    /// Asks the resolver, again if the issuer is invalidated meanwhile.
    async fn ask(
        &self,
        hash: TokenHash,
        issuer: &UnverifiedIssuer,
    ) -> Result<Option<Arc<KnownTenant>>, ResolverFailure> {
        loop {
            let question = Question::open(self, hash, issuer);
            let answer = catch_panic(async { self.resolver.resolve(issuer).await }).await;
            let answer = answer.map_err(|Panicked| ResolverFailure::panicked())?;
            if let Some(known) = self.store(&question, answer?)? {
                return Ok(known);
            }
        }
    }

    /// Stores an answer. Returns `None` if it is outdated.
    fn store(
        &self,
        question: &Question<'_>,
        answer: Option<Tenant>,
    ) -> Result<Option<Option<Arc<KnownTenant>>>, ValidationError> {
        let hash = question.hash;
        let Some(tenant) = answer else {
            let mut record = self.record();
            if record.is_outdated(question.number) {
                return Ok(None);
            }
            record.withdraw(hash);
            self.unknown.insert(hash, question.asked.saturating_add(self.unknown_ttl));
            drop(record);
            self.tenants.remove(&hash);
            return Ok(Some(None));
        };
        let version = tenant.named_version().map(Box::from);
        // Verdicts of an evicted tenant stay valid if its settings are the same.
        let same = |record: &Record| record.state(hash).filter(|state| state.has_version(version.as_deref()));
        let cached = self.tenants.get(&hash);
        let unchanged = same(&self.record());
        let validator = match (unchanged, cached) {
            (Some(state), Some(cached)) if Arc::ptr_eq(&cached.state, &state) => {
                Arc::clone(&cached.validator)
            }
            _ => {
                let validator = build(tenant, &question.issuer, self.client.as_ref())?;
                self.observe_new(&*validator);
                validator
            }
        };
        let state = {
            let mut record = self.record();
            if record.is_outdated(question.number) {
                return Ok(None);
            }
            self.unknown.remove(&hash);
            match same(&record) {
                Some(state) => {
                    state.renew(question.asked);
                    state
                }
                None => {
                    record.withdraw(hash);
                    let (clock, resolver) = (Arc::clone(&self.clock), Weak::clone(&self.this));
                    let state = TenantState::new(question, version.clone(), self.times, clock, resolver);
                    record.insert(hash, &state);
                    state
                }
            }
        };
        let known = Arc::new(KnownTenant { state, validator });
        // If the issuer is invalidated before this line, the state is withdrawn, and the entry is not used.
        self.tenants.insert(hash, Arc::clone(&known));
        // An observer that was added since the validator was built may not have found it in the cache.
        self.observe_new(&*known.validator);
        Ok(Some(Some(known)))
    }

    /// Goes on with a known tenant while the resolver fails, up to its maximum age.
    fn tolerate(&self, hash: TokenHash, error: ValidationError) -> Resolution {
        let state = self.record().state(hash);
        // Also prolongs the verdicts of an evicted tenant.
        let is_usable = state.is_some_and(|state| state.tolerate_failure());
        match self.find(hash).filter(|_| is_usable) {
            Some(known) => Ok(Some(known)),
            None => Err(error),
        }
    }

    /// Forgets what is known about an issuer.
    pub(super) fn invalidate(&self, issuer: &str) {
        let hash = self.hash(issuer);
        let mut record = self.record();
        record.outdate(Some(hash));
        record.withdraw(hash);
        self.unknown.remove(&hash);
        drop(record);
        self.tenants.remove(&hash);
    }

    /// Forgets what is known about all issuers.
    pub(super) fn invalidate_all(&self) {
        let mut record = self.record();
        record.outdate(None);
        record.withdraw_all();
        self.unknown.clear();
        drop(record);
        self.tenants.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.tenants.len()
    }

    /// Returns the number of issuers that are cached as unknown.
    pub(super) fn unknown_len(&self) -> usize {
        self.unknown.len()
    }

    /// Returns the number of questions that the resolver has not answered yet.
    pub(super) fn open_questions(&self) -> usize {
        self.record().open_questions()
    }

    pub(super) fn resolver_name(&self) -> &'static str {
        self.outages.name()
    }

    pub(super) fn resolver_state(&self) -> ResolverState {
        self.calls.state(self.clock.monotonic())
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        // Consistent after each statement, so a panic elsewhere does no harm.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Refresh for KnownTenants {
    fn refresh(&self, issuer: &UnverifiedIssuer) {
        let hash = self.hash(issuer.expose_for_lookup());
        if let Some(this) = self.this.upgrade() {
            self.renewals.start_if(hash, || Some(this.resolve(hash, issuer.clone())));
        }
    }
}

/// A question to the resolver. Closed when it is dropped.
pub(super) struct Question<'a> {
    tenants: &'a KnownTenants,
    number: u64,
    hash: TokenHash,
    issuer: UnverifiedIssuer,
    /// When it began, on the monotonic clock.
    asked: Duration,
}

impl<'a> Question<'a> {
    fn open(tenants: &'a KnownTenants, hash: TokenHash, issuer: &UnverifiedIssuer) -> Self {
        let number = tenants.record().open(hash);
        Self { tenants, number, hash, issuer: issuer.clone(), asked: tenants.clock.monotonic() }
    }

    pub(super) fn issuer(&self) -> &UnverifiedIssuer {
        &self.issuer
    }

    pub(super) fn asked(&self) -> Duration {
        self.asked
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.tenants.record().close(self.number);
    }
}

/// Builds the validator of a tenant, and checks that it is one for this issuer.
fn build(
    tenant: Tenant,
    issuer: &UnverifiedIssuer,
    client: Option<&Arc<dyn HttpClient>>,
) -> Result<Arc<dyn ErasedValidator>, ValidationError> {
    let validator = tenant.build(client).map_err(ValidationError::internal)?;
    let issuers = validator.issuers();
    if issuers.iter().any(|known| issuer == known) {
        return Ok(validator);
    }
    let names: Vec<_> = issuers.iter().map(Issuer::as_str).collect();
    let asked = issuer.to_excerpt();
    Err(ValidationError::internal(format!(
        "the resolver was asked for issuer {asked} and returned a validator for {names:?}"
    )))
}

fn cache<V: Clone>(entries: usize) -> HashCache<V> {
    Cache::with(
        entries,
        entries as u64,
        UnitWeighter,
        BuildTokenHasher::default(),
        DefaultLifecycle::default(),
    )
}
