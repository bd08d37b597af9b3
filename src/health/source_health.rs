//! The state of the keys or the introspection endpoint of an issuer: [`SourceHealth`].

use std::{sync::Arc, time::Duration};

use serde::{Serialize, Serializer};

use crate::observer::SourceKind;

/// The state of the keys or the introspection endpoint of one issuer.
///
/// In JSON, durations are seconds with a fraction, and their names end with `_seconds`.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SourceHealth {
    /// The configured issuer.
    pub issuer: Box<str>,
    /// What it is.
    pub kind: SourceKind,
    /// The result of the last attempt.
    pub state: SourceState,
    /// Whether there are keys, or the URL of the endpoint is known. Stays true during an outage.
    pub ready: bool,
    /// Number of usable keys. `None` for introspection.
    pub keys: Option<usize>,
    /// The time since the keys in use were last confirmed by a fetch, or since the last answer of the introspection
    /// endpoint. `None` if there was none, and for configured keys.
    #[serde(rename = "age_seconds", serialize_with = "optional_seconds")]
    pub age: Option<Duration>,
    /// The last failed attempt, even if a later one succeeded.
    pub last_failure: Option<SourceFailure>,
    /// The time until the next attempt may start. A request starts it, so it is later if there are no requests. `None` if it
    /// does not depend on time.
    #[serde(rename = "next_attempt_seconds", serialize_with = "optional_seconds")]
    pub next_attempt: Option<Duration>,
    /// Number of introspection calls in progress. `None` for keys.
    pub calls_in_progress: Option<usize>,
    /// The cache of tokens that are not active. `None` for keys, and if results are not cached.
    pub inactive_cache: Option<InactiveCacheHealth>,
}

impl SourceHealth {
    pub(crate) fn new(issuer: &str, kind: SourceKind, state: SourceState, ready: bool) -> Self {
        Self {
            issuer: issuer.into(),
            kind,
            state,
            ready,
            keys: None,
            age: None,
            last_failure: None,
            next_attempt: None,
            calls_in_progress: None,
            inactive_cache: None,
        }
    }
}

/// The result of the last attempt to use a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SourceState {
    /// There was no attempt yet.
    NotUsedYet,
    /// It succeeded.
    Working,
    /// It failed.
    Failing,
}

/// A failed attempt.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SourceFailure {
    /// The time since the attempt.
    #[serde(rename = "age_seconds", serialize_with = "seconds")]
    pub age: Duration,
    /// Why it failed, for operators. It can contain URLs of the authorization server, without user names and passwords.
    pub reason: Arc<str>,
}

impl SourceFailure {
    pub(crate) fn new(age: Duration, reason: Arc<str>) -> Self {
        Self { age, reason }
    }
}

/// The cache of tokens that introspection found not active.
#[derive(Clone, Copy, Debug, Serialize)]
#[non_exhaustive]
pub struct InactiveCacheHealth {
    /// Number of cached tokens, including expired entries.
    pub entries: usize,
    /// The maximum number.
    pub limit: usize,
}

impl InactiveCacheHealth {
    pub(crate) fn new(entries: usize, limit: usize) -> Self {
        Self { entries, limit }
    }
}

pub(super) fn optional_seconds<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_secs_f64()).serialize(serializer)
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    duration.as_secs_f64().serialize(serializer)
}
