//! Finds the verdict on a token in a cache, or validates the token and caches the verdict: [`CachedValidator`].

use std::{fmt, sync::Arc, time::Duration};

use aws_lc_rs::error::Unspecified;

use super::{ErasedValidator, TokenHash, VerdictCache, lookups::Lookups, outage_log::OutageLog};
use crate::{
    AccessToken, BoxFuture, Clock, Dependency, Event, Issuer, ValidatedToken, ValidationError,
    catch_panic::{Panicked, catch_panic},
    health::{Health, VerdictCacheHealth, deduplicated},
    observer::Observation,
    single_flight::{FlightError, SingleFlight},
};

/// A validator with a cache of positive verdicts.
pub(crate) struct CachedValidator {
    validator: Arc<dyn ErasedValidator>,
    verdicts: VerdictCache,
    /// Calls of the validator that are shared by several requests.
    shared_calls: Arc<SingleFlight<TokenHash, Validation>>,
    shared_call_outages: OutageLog,
    clock: Arc<dyn Clock>,
    max_bytes: u64,
    lookups: Lookups,
    observation: Observation,
}

type Validation = Result<ValidatedToken, ValidationError>;

/// Maximum number of concurrent shared calls. Introspection has its own lower limit.
const MAX_SHARED_CALLS: usize = 1_024;

/// Maximum duration of a shared call. Nothing else ends it if all its clients disconnect. The validators of this crate
/// have shorter deadlines.
const MAX_SHARED_DURATION: Duration = Duration::from_secs(60);

const PANICKED: &str = "the validator panicked";

impl CachedValidator {
    /// Adds a cache of about `max_bytes` to a validator. Zero bytes disable the cache.
    ///
    /// # Errors
    /// If the operating system cannot provide random bytes for the key of the token hashes.
    pub(crate) fn new(
        validator: Arc<dyn ErasedValidator>,
        max_bytes: u64,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Unspecified> {
        Ok(Self {
            validator,
            verdicts: VerdictCache::new(max_bytes, Arc::clone(&clock))?,
            // If a call takes longer than this, its runtime has stopped.
            shared_calls: SingleFlight::new(MAX_SHARED_CALLS, MAX_SHARED_DURATION.saturating_mul(2)),
            shared_call_outages: OutageLog::new("shared calls"),
            clock,
            max_bytes,
            lookups: Lookups::default(),
            observation: Observation::default(),
        })
    }

    /// Reports to the observer of the resource server, also from what the validator depends on.
    pub(crate) fn observed_by(self, observation: Observation) -> Self {
        if let Some(observer) = observation.observer() {
            self.validator.dependencies().iter().for_each(|dependency| dependency.observe(observer));
        }
        Self { observation, ..self }
    }

    pub(crate) fn issuers(&self) -> Vec<Issuer> {
        self.validator.issuers()
    }

    /// Returns what the validator depends on, without duplicates.
    pub(crate) fn dependencies(&self) -> Vec<Dependency> {
        deduplicated(self.validator.dependencies())
    }

    /// Returns whether it has tenants that are known only at run time.
    pub(crate) fn has_tenants(&self) -> bool {
        self.validator.dependencies().iter().any(Dependency::has_tenants)
    }

    pub(crate) fn health(&self) -> Health {
        let (entries, bytes) = self.verdicts.usage().unwrap_or_default();
        let (hits, misses) = self.lookups.totals();
        let lookups = hits.saturating_add(misses);
        let hit_rate = (lookups > 0).then(|| hits as f64 / lookups as f64);
        let limit_bytes = self.max_bytes;
        let verdict_cache = VerdictCacheHealth { entries, bytes, limit_bytes, hits, misses, hit_rate };
        Health::new(&self.dependencies(), verdict_cache)
    }

    /// Finds the verdict on a token in the cache. If there is none, returns the hash to call
    /// [`validate`](Self::validate) with.
    pub(crate) fn find(&self, token: &str) -> Result<ValidatedToken, TokenHash> {
        let hash = self.verdicts.hash(token);
        let found = self.find_hash(hash);
        if self.max_bytes > 0 {
            let hit = found.is_some();
            self.lookups.record(hit);
            self.observation.notify(&Event::VerdictLookup { hit });
        }
        found.ok_or(hash)
    }

    /// Validates a token that is not in the cache, and caches the verdict if the token is valid.
    pub(crate) fn validate(
        self: &Arc<Self>,
        token: AccessToken,
        hash: TokenHash,
    ) -> BoxFuture<'static, Validation> {
        let this = Arc::clone(self);
        let validation = async move {
            if this.validator.shares_calls(&token) {
                this.validate_shared(token, hash).await
            } else {
                this.validate_and_cache(&token, hash).await
            }
        };
        // A panic is an error, so that other requests on the connection are not affected. Our own state does not change
        // before the validator returns.
        Box::pin(async {
            catch_panic(validation).await.unwrap_or_else(|Panicked| Err(ValidationError::internal(PANICKED)))
        })
    }

    /// Joins the call in progress for this token, or starts one.
    async fn validate_shared(self: Arc<Self>, token: AccessToken, hash: TokenHash) -> Validation {
        let this = Arc::clone(&self);
        let call = || async move {
            // Another shared call may have completed between the lookup and the start of this one.
            if let Some(found) = this.find_hash(hash) {
                return Ok(found);
            }
            let validation = this.validate_and_cache(&token, hash);
            let validation = tokio::time::timeout(MAX_SHARED_DURATION, validation).await;
            if validation.is_ok() {
                this.shared_call_outages.answered();
            }
            validation.unwrap_or_else(|_| Err(this.shared_call_failed("no verdict within 60 s")))
        };
        match self.shared_calls.run(hash, call).await {
            Ok(verdict) => verdict,
            Err(FlightError::Full) => Err(self.shared_call_failed("1,024 tokens are being validated")),
            Err(FlightError::Panicked) => Err(ValidationError::internal(PANICKED)),
            Err(FlightError::Lost) => Err(self.shared_call_failed("the runtime was shut down")),
        }
    }

    async fn validate_and_cache(&self, token: &AccessToken, hash: TokenHash) -> Validation {
        let began = self.observation.is_on().then(|| self.clock.monotonic());
        let validation = self.validator.validate(token).await;
        if let Some(began) = began {
            let duration = self.clock.monotonic().saturating_sub(began);
            let result = validation.as_ref().map(|_| ()).map_err(ValidationError::kind);
            self.observation.notify(&Event::ValidatorCalled { duration, result });
        }
        let token = validation?;
        self.verdicts.insert(hash, token.verdict());
        Ok(token)
    }

    fn find_hash(&self, hash: TokenHash) -> Option<ValidatedToken> {
        self.verdicts.find(hash).map(ValidatedToken::from_verdict)
    }

    fn shared_call_failed(&self, reason: &'static str) -> ValidationError {
        let error = ValidationError::unavailable(reason);
        self.shared_call_outages.failed(&error);
        error
    }
}

impl fmt::Debug for CachedValidator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedValidator").field("issuers", &self.issuers()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;
    use crate::{ClaimsSet, SystemClock, TokenValidator, validator::erase};

    /// Accepts "good" for a minute, refuses "bad", panics on "panic". Each call waits for a permit.
    struct Scripted {
        calls: Arc<AtomicUsize>,
        permits: Arc<Semaphore>,
        shares_calls: bool,
    }

    impl TokenValidator for Scripted {
        async fn validate(&self, token: &AccessToken) -> Validation {
            self.calls.fetch_add(1, Ordering::SeqCst);
            self.permits.acquire().await.map_err(ValidationError::unavailable)?.forget();
            match token.expose() {
                "bad" => Err(ValidationError::Inactive),
                "panic" => panic!("on purpose"),
                _ => {
                    Ok(ValidatedToken::from_trusted_claims(ClaimsSet::new())
                        .reusable_for(MAX_SHARED_DURATION))
                }
            }
        }

        fn shares_calls(&self, _: &AccessToken) -> bool {
            self.shares_calls
        }
    }

    struct Fixture {
        validator: Arc<CachedValidator>,
        calls: Arc<AtomicUsize>,
        permits: Arc<Semaphore>,
    }

    impl Fixture {
        fn new(shares_calls: bool, permits: usize) -> Self {
            let (calls, permits) = (Arc::default(), Arc::new(Semaphore::new(permits)));
            let scripted =
                Scripted { calls: Arc::clone(&calls), permits: Arc::clone(&permits), shares_calls };
            let validator = CachedValidator::new(erase(scripted), 1_000_000, Arc::new(SystemClock)).unwrap();
            Self { validator: Arc::new(validator), calls, permits }
        }

        fn validate(&self, token: &str) -> BoxFuture<'static, Validation> {
            let hash = self.validator.find(token).expect_err("not in the cache");
            self.validator.validate(AccessToken::new(token), hash)
        }

        fn calls(&self) -> usize {
            self.calls.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn a_valid_token_is_found_after_it_was_validated() {
        for shares_calls in [false, true] {
            let fixture = Fixture::new(shares_calls, 1);

            fixture.validate("good").await.unwrap();

            assert!(fixture.validator.find("good").is_ok());
            assert!(fixture.validator.find("other").is_err());
            assert_eq!(fixture.calls(), 1);
        }
    }

    #[tokio::test]
    async fn a_refused_token_is_not_found() {
        for shares_calls in [false, true] {
            let fixture = Fixture::new(shares_calls, 2);

            for _ in 0..2 {
                let error = fixture.validate("bad").await.unwrap_err();
                assert!(matches!(error, ValidationError::Inactive), "{error}");
            }

            assert_eq!(fixture.calls(), 2);
        }
    }

    #[tokio::test]
    async fn requests_with_one_token_share_a_call_if_the_validator_allows_it() {
        for (shares_calls, expected) in [(false, 3), (true, 1)] {
            let fixture = Fixture::new(shares_calls, 0);
            let waiting: Vec<_> = (0..3).map(|_| tokio::spawn(fixture.validate("good"))).collect();
            while fixture.calls() < expected {
                tokio::task::yield_now().await;
            }

            fixture.permits.add_permits(expected);

            for validation in waiting {
                validation.await.unwrap().unwrap();
            }
            assert_eq!(fixture.calls(), expected);
        }
    }

    #[tokio::test]
    async fn a_call_that_starts_after_the_verdict_was_cached_uses_it() {
        let fixture = Fixture::new(true, 1);
        let late = fixture.validate("good");
        fixture.validate("good").await.unwrap();

        late.await.unwrap();

        assert_eq!(fixture.calls(), 1);
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_error() {
        for shares_calls in [false, true] {
            let error = Fixture::new(shares_calls, 1).validate("panic").await.unwrap_err();

            assert_eq!(error.to_string(), "token cannot be validated: the validator panicked");
            assert_eq!(error.kind(), "internal");
        }
    }

    #[test]
    fn a_shared_call_whose_runtime_is_shut_down_is_an_outage() {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (first, second) = (runtime(), runtime());
        let fixture = Fixture::new(true, 0);
        let leading = fixture.validate("good");
        first.block_on(async {
            tokio::spawn(leading);
            while fixture.calls() < 1 {
                tokio::task::yield_now().await;
            }
        });
        let following = second.spawn(fixture.validate("good"));
        second.block_on(tokio::task::yield_now());

        drop(first);

        let error = second.block_on(following).unwrap().unwrap_err();
        assert_eq!(error.to_string(), "token cannot be checked now: the runtime was shut down");
    }

    #[tokio::test(start_paused = true)]
    async fn a_shared_call_is_ended_after_a_minute() {
        let error = Fixture::new(true, 0).validate("good").await.unwrap_err();

        assert_eq!(error.to_string(), "token cannot be checked now: no verdict within 60 s");
    }
}
