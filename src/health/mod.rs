//! The state of a resource server, for health checks: [`Health`].
//!
//! ```
//! # async fn check(resource_server: tower_bearer::ResourceServer) -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! // At start: wait until requests can be served.
//! resource_server.ready(Duration::from_secs(10)).await?;
//!
//! // For each readiness probe.
//! let health = resource_server.health();
//! let status = if health.ready { 200 } else { 503 };
//! let body = serde_json::to_string(&health)?;
//! # let _ = (status, body);
//! # Ok(())
//! # }
//! ```
//!
//! # Readiness
//! A resource server is ready once it has the keys or the introspection endpoint of each issuer, and **stays ready** while an
//! authorization server is down. Cached verdicts and keys still work then, and taking the service out of rotation would turn
//! an outage of the authorization server into one of the service. Liveness does not depend on any of this: a restart would
//! not help, and the keys would be lost.
//!
//! [Tenants](crate::tenants) do not count. They are not known at start, and the authorization server of one customer must not stop
//! the service for all others. The resolver is not asked, and a resolver that fails does not make the service unready, because
//! the tenants in memory are still served. Alert on the [state](TenantsHealth) of the resolver instead.

mod dependency;
mod ready;
mod source_health;
mod tenants_health;

use serde::Serialize;

pub use self::{
    dependency::Dependency,
    ready::{NotReady, NotReadySource},
    source_health::{InactiveCacheHealth, SourceFailure, SourceHealth, SourceState},
    tenants_health::TenantsHealth,
};
pub(crate) use self::{
    dependency::{Source, deduplicated},
    ready::{pause_before_retry, wait},
};

/// The state of a resource server at one moment. Created by [`ResourceServer::health`](crate::ResourceServer::health).
///
/// It contains no token, no claim and no credential. It does contain issuers, and URLs of authorization servers in the
/// reasons of failures, so let only operators read it. Elsewhere, serve only the status.
///
/// ```json
/// {
///   "ready": true,
///   "sources": [{
///     "issuer": "https://as.example.com", "kind": "keys", "state": "failing", "ready": true, "keys": 2,
///     "age_seconds": 412.7,
///     "last_failure": { "age_seconds": 3.1, "reason": "GET https://as.example.com/jwks: status 503" },
///     "next_attempt_seconds": 4.9, "calls_in_progress": null, "inactive_cache": null
///   }],
///   "tenants": [],
///   "verdict_cache": {
///     "entries": 1834, "bytes": 1901420, "limit_bytes": 33554432, "hits": 90210, "misses": 1911, "hit_rate": 0.979
///   }
/// }
/// ```
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// Whether every source has been ready once. See [the module](self#readiness).
    pub ready: bool,
    /// What the validators need of authorization servers. Those of tenants are not listed.
    pub sources: Vec<SourceHealth>,
    /// Each [`ResolvingValidator`](crate::ResolvingValidator), with all its tenants in one entry.
    pub tenants: Vec<TenantsHealth>,
    /// The cache of verdicts.
    pub verdict_cache: VerdictCacheHealth,
}

impl Health {
    pub(crate) fn new(dependencies: &[Dependency], verdict_cache: VerdictCacheHealth) -> Self {
        let sources: Vec<_> = dependencies.iter().filter_map(Dependency::health).collect();
        let tenants = dependencies.iter().filter_map(Dependency::tenants_health).collect();
        Self { ready: sources.iter().all(|source| source.ready), sources, tenants, verdict_cache }
    }
}

/// The state of the verdict cache.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct VerdictCacheHealth {
    /// Number of cached verdicts, including expired ones that were not removed yet.
    pub entries: usize,
    /// The memory they use, in bytes.
    pub bytes: u64,
    /// The configured limit, in bytes. Zero if the cache is disabled.
    pub limit_bytes: u64,
    /// Number of lookups since the start that found a valid verdict.
    pub hits: u64,
    /// Number of lookups since the start that found none, including those of invalid tokens.
    pub misses: u64,
    /// The share of hits, from 0 to 1. `None` before the first lookup.
    pub hit_rate: Option<f64>,
}
