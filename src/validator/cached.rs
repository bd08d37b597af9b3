//! Look up, else validate, then keep: [`CachedValidator`].

use std::{
    fmt,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use aws_lc_rs::error::Unspecified;

use super::{ErasedValidator, TokenHash, VerdictCache};
use crate::{
    AccessToken, BoxFuture, Clock, Issuer, ValidatedToken, ValidationError,
    single_flight::{FlightError, SingleFlight},
};

/// A validator with a cache of good verdicts in front of it.
pub(crate) struct CachedValidator {
    validator: Arc<dyn ErasedValidator>,
    verdicts: VerdictCache,
    /// Validations that several callers wait for.
    shared: Arc<SingleFlight<TokenHash, Result<ValidatedToken, ValidationError>>>,
}

/// Maximum number of concurrent shared validations, whatever the validator. Introspection has a lower bound of its own.
const MAX_SHARED_VALIDATIONS: usize = 1_024;

/// Maximum duration of a shared validation. Its callers may all have left, so nobody else would end it. Our own validators
/// have shorter deadlines.
const MAX_SHARED_DURATION: Duration = Duration::from_secs(60);

const PANICKED: &str = "the validator panicked";

impl CachedValidator {
    /// Puts a cache of about `max_bytes` in front of a validator; zero bytes switch it off.
    ///
    /// # Errors
    /// If the operating system has no random bytes for the key of the token hashes.
    pub(crate) fn new(
        validator: Arc<dyn ErasedValidator>,
        max_bytes: u64,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Unspecified> {
        let verdicts = VerdictCache::new(max_bytes, clock)?;
        Ok(Self { validator, verdicts, shared: SingleFlight::new(MAX_SHARED_VALIDATIONS) })
    }

    pub(crate) fn issuers(&self) -> Vec<Issuer> {
        self.validator.issuers()
    }

    /// Looks a token up; the error is the hash to validate it under.
    pub(crate) fn find(&self, token: &str) -> Result<ValidatedToken, TokenHash> {
        let hash = self.verdicts.hash(token);
        self.verdicts.find(hash).map(ValidatedToken::from_verdict).ok_or(hash)
    }

    /// Validates a token that is not in the cache, sharing the call with others that present the same token if the
    /// validator allows it, and keeps a good verdict.
    pub(crate) fn validate(
        self: &Arc<Self>,
        token: AccessToken,
        hash: TokenHash,
    ) -> BoxFuture<'static, Result<ValidatedToken, ValidationError>> {
        let this = Arc::clone(self);
        Box::pin(catch_panic(async move {
            if this.validator.shares_calls(&token) {
                this.validate_shared(token, hash).await
            } else {
                this.validate_and_keep(&token, hash).await
            }
        }))
    }

    async fn validate_shared(
        self: Arc<Self>,
        token: AccessToken,
        hash: TokenHash,
    ) -> Result<ValidatedToken, ValidationError> {
        let call = || {
            let this = Arc::clone(&self);
            async move {
                // Another shared call may have ended between our look-up and this start.
                if let Some(verdict) = this.verdicts.find(hash) {
                    return Ok(ValidatedToken::from_verdict(verdict));
                }
                tokio::time::timeout(MAX_SHARED_DURATION, this.validate_and_keep(&token, hash))
                    .await
                    .unwrap_or_else(|_| {
                        Err(ValidationError::unavailable("the validator took more than a minute"))
                    })
            }
        };
        match self.shared.run(hash, call).await {
            Ok(verdict) => verdict,
            Err(FlightError::Full) => {
                Err(ValidationError::unavailable("too many tokens are being validated"))
            }
            Err(FlightError::Lost) => Err(ValidationError::internal(PANICKED)),
        }
    }

    async fn validate_and_keep(
        &self,
        token: &AccessToken,
        hash: TokenHash,
    ) -> Result<ValidatedToken, ValidationError> {
        let token = self.validator.validate(token).await?;
        self.verdicts.keep(hash, token.verdict());
        Ok(token)
    }
}

/// Converts a panic of the validator into an error, so that the connection and its other requests go on.
async fn catch_panic(
    validation: impl Future<Output = Result<ValidatedToken, ValidationError>>,
) -> Result<ValidatedToken, ValidationError> {
    let mut validation = pin!(validation);
    poll_fn(|cx| {
        // No state of ours is left half changed: a verdict is kept only after it was found.
        let polled = catch_unwind(AssertUnwindSafe(|| validation.as_mut().poll(cx)));
        polled.unwrap_or(Poll::Ready(Err(ValidationError::internal(PANICKED))))
    })
    .await
}

impl fmt::Debug for CachedValidator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedValidator").field("issuers", &self.issuers()).finish_non_exhaustive()
    }
}
