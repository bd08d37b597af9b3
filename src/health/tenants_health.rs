//! The state of a resolver and its tenants: [`TenantsHealth`].

use std::time::Duration;

use serde::Serialize;

use super::{SourceFailure, SourceHealth, SourceState, source_health::optional_seconds};

/// The state of one [`ResolvingValidator`](crate::ResolvingValidator) and of all its tenants together.
///
/// It has the same size with 10 and with 10,000 tenants. In JSON, durations are seconds with a fraction, and their names end
/// with `_seconds`.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TenantsHealth {
    /// The type name of the [resolver](crate::tenants::IssuerResolver).
    pub resolver: &'static str,
    /// The result of the last call of the resolver. An issuer that it does not know is a success.
    pub state: SourceState,
    /// The time since the first call that failed after the last one that succeeded. `None` if the last one succeeded.
    #[serde(rename = "failing_seconds", serialize_with = "optional_seconds")]
    pub failing_for: Option<Duration>,
    /// The last failed call of the resolver, even if a later one succeeded.
    ///
    /// The reason is the text of your error, at most 512 characters, without user names and passwords in URLs.
    pub last_failure: Option<SourceFailure>,
    /// Number of calls of the resolver in progress.
    pub calls_in_progress: usize,
    /// The maximum number of such calls: 1,024 for new issuers, and as many for known tenants.
    pub calls_limit: usize,
    /// Number of tenants in memory. Those that are no longer used remain until there are more than the limit.
    pub known: usize,
    /// The maximum number: [`max_tenants`](crate::ResolvingValidatorBuilder::max_tenants).
    pub limit: usize,
    /// Number of issuers that are cached as unknown, including expired entries.
    pub unknown_issuers: usize,
    /// The maximum number of such issuers.
    pub unknown_issuers_limit: usize,
    /// Number of tenants in memory whose keys or introspection endpoint fail now.
    pub failing: usize,
    /// Keys and introspection endpoints that fail now, at most 20: those of the first tenants in alphabetical order.
    pub failing_sources: Vec<SourceHealth>,
}
