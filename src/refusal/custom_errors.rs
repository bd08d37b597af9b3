//! Creates the errors of custom validators, authorizers and policies.

use std::{error::Error, sync::Arc, time::Duration};

use super::{ClaimError, ValidationError};

impl ValidationError {
    /// Refuses a token in a custom validator. The response is 401 `invalid_token`.
    ///
    /// `reason` is a text or an error. It is logged at DEBUG, is the [source](Error::source) of this error and is not
    /// sent to the client. It must not contain the token or personal data. To access an error of your own type, match
    /// [`Refused`](Self::Refused) and downcast its `source`.
    ///
    /// ```
    /// use tower_bearer::{Rejection, ValidationError};
    ///
    /// let error = ValidationError::refused("API key withdrawn");
    ///
    /// assert_eq!(error.to_string(), "token refused: API key withdrawn");
    /// assert_eq!(Rejection::from(&error), Rejection::InvalidToken);
    /// ```
    pub fn refused(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Refused { source: Arc::from(reason.into()) }
    }

    /// Denies an operation to a valid token, in an [`Authorizer`](crate::Authorizer). The response is 403 without a challenge.
    ///
    /// `reason` is a text or an error. It is logged at DEBUG and is not sent to the client. It must not contain the token or
    /// personal data.
    pub fn denied(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Denied { source: Arc::from(reason.into()) }
    }

    /// Refuses a malformed or ambiguous request. The response is 400 without a challenge.
    ///
    /// `reason` is a text or an error. It is logged at DEBUG and is not sent to the client.
    pub fn malformed_request(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::MalformedRequest { source: Arc::from(reason.into()) }
    }

    /// Reports that a custom validator or authorizer is unavailable. The response is 503.
    ///
    /// For example, its database is unreachable. `Retry-After` is 2 to 5 seconds. To change it, see
    /// [`with_retry_after`](Self::with_retry_after).
    ///
    /// `reason` is a text or an error. It is not sent to the client. It is logged at DEBUG for each request. For a
    /// validator, the beginning of an outage is also logged at WARN, and its end at INFO (see
    /// [`TokenValidator`](crate::TokenValidator#errors-and-what-is-logged)).
    ///
    /// ```
    /// use tower_bearer::ValidationError;
    ///
    /// let lost = std::io::Error::other("connection to the token table lost");
    /// let error = ValidationError::unavailable(lost);
    ///
    /// assert_eq!(error.to_string(), "token cannot be checked now: connection to the token table lost");
    /// ```
    pub fn unavailable(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable { source: Arc::from(reason.into()), retry_after: DEFAULT_RETRY_AFTER }
    }

    /// Reports a bug or an incorrect configuration. The response is 500.
    ///
    /// `reason` is a text or an error. It is logged at ERROR for each request and is not sent to the client.
    pub fn internal(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal { source: Arc::from(reason.into()) }
    }

    /// Sets the `Retry-After` of the response. Range: 1 second to 1 hour.
    ///
    /// Other values are clamped. Up to 3 random seconds are added.
    ///
    /// Applies to `KeysUnavailable`, `IntrospectionUnavailable` and `Unavailable`. Other errors are not changed.
    #[must_use]
    pub fn with_retry_after(mut self, time: Duration) -> Self {
        if let Self::KeysUnavailable { retry_after, .. }
        | Self::IntrospectionUnavailable { retry_after, .. }
        | Self::Unavailable { retry_after, .. } = &mut self
        {
            *retry_after = time;
        }
        self
    }
}

/// An error of [`ClaimsSet::with_claim`](crate::ClaimsSet::with_claim) becomes [`Internal`](ValidationError::Internal),
/// because the program caused it. Any other becomes [`Claims`](ValidationError::Claims), because the token caused it.
impl From<ClaimError> for ValidationError {
    fn from(error: ClaimError) -> Self {
        if error.is_about_own_claim() { Self::internal(error) } else { Self::Claims(error) }
    }
}

/// Default `Retry-After`: long enough for a restart behind a load balancer, and short enough for a quick recovery.
pub(crate) const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(2);
