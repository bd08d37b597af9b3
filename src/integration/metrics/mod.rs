//! Metrics for the facade [`metrics`](https://docs.rs/metrics): [`MetricsObserver`].
//!
//! The facade has exporters for Prometheus, StatsD, OpenTelemetry and others. The names follow the authentication metrics of
//! ASP.NET Core and the semantic conventions of OpenTelemetry.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use tower_bearer::{ConfigError, ResourceServer, TokenValidator, integration::metrics::MetricsObserver};
//!
//! # async fn build(validator: impl TokenValidator) -> Result<(), ConfigError> {
//! let metrics = Arc::new(MetricsObserver::new()); // after the recorder was installed
//! let resource_server = ResourceServer::builder(validator).observer(metrics.clone()).build()?;
//!
//! // Gauges such as the age of the keys change without an event, so they are set before each scrape, or by a task:
//! tokio::spawn(async move {
//!     let mut every = tokio::time::interval(Duration::from_secs(10));
//!     loop {
//!         every.tick().await;
//!         metrics.record_health(&resource_server.health());
//!     }
//! });
//! # Ok(())
//! # }
//! ```
//!
//! # Metrics
//! | name | kind, unit | labels |
//! |---|---|---|
//! | `tower_bearer.authenticate.duration` | histogram, seconds | `result`, `error.type` |
//! | `tower_bearer.challenges` | counter | `error.type` |
//! | `tower_bearer.forbids` | counter | `error.type` |
//! | `tower_bearer.refusals` | counter | `status`, `error.type` |
//! | `tower_bearer.validate.duration` | histogram, seconds | `result`, `error.type` |
//! | `tower_bearer.verdict_cache.lookups` | counter | `result` |
//! | `tower_bearer.verdict_cache.entries` | gauge | |
//! | `tower_bearer.verdict_cache.size` | gauge, bytes | |
//! | `tower_bearer.verdict_cache.limit` | gauge, bytes | |
//! | `tower_bearer.keys.fetch.duration` | histogram, seconds | `issuer`, `result`, `error.type` |
//! | `tower_bearer.keys.age` | gauge, seconds | `issuer` |
//! | `tower_bearer.keys.usable` | gauge | `issuer` |
//! | `tower_bearer.introspection.duration` | histogram, seconds | `issuer`, `result`, `error.type` |
//! | `tower_bearer.introspection.calls` | gauge | `issuer` |
//! | `tower_bearer.source.working` | gauge, 0 or 1 | `issuer`, `source` |
//! | `tower_bearer.resolver.duration` | histogram, seconds | `result`, `error.type` |
//! | `tower_bearer.resolver.working` | gauge, 0 or 1 | |
//! | `tower_bearer.tenants.known` | gauge | |
//! | `tower_bearer.tenants.failing` | gauge | |
//! | `tower_bearer.ready` | gauge, 0 or 1 | |
//!
//! * `authenticate.duration` is the time until a layer decided, including validation and [`Authorizer`](crate::Authorizer).
//!   Layers inside another one of the same resource server are not counted. Its `result` is `success`, `none` (no
//!   credentials: passed on as anonymous, or asked for a token) or `failure`.
//! * `challenges` counts the responses with status 401, `forbids` those with 403, and `refusals` all responses that refuse a
//!   request, including those of handlers.
//! * `validate.duration` is the time of the validator, for tokens that are not in the cache.
//! * The `result` of `verdict_cache.lookups` is `hit` or `miss`, and that of `resolver.duration` is `known`, `unknown` or
//!   `failure`. All other results are `success` or `failure`.
//! * `introspection.calls` is the number of calls in progress. The limit is 256.
//! * `source` is `keys` or `introspection`. `source.working` is 0 if the last attempt failed. It has no value before the first,
//!   and none for tenants.
//! * `resolver.*` and `tenants.*` have values only with a [`ResolvingValidator`](crate::ResolvingValidator). `tenants.failing` is the
//!   number of tenants in memory whose keys or introspection endpoint fail now.
//!
//! With the Prometheus exporter and its
//! [recommended naming](https://docs.rs/metrics-exporter-prometheus/latest/metrics_exporter_prometheus/struct.PrometheusBuilder.html#method.with_recommended_naming),
//! the first is `tower_bearer_authenticate_duration_seconds`, with the labels `result` and `error_type`, and the second
//! `tower_bearer_challenges_total`.
//!
//! # Labels
//! All values come from fixed lists, except `issuer`, which comes from the configuration. `error.type` of a request is
//! [`ValidationError::kind`](crate::ValidationError::kind), and empty if there is no error. At most
//! [64 issuers](MetricsObserver::max_issuers) have their own label, in the order of their first event. All others share the
//! label `other`, so that the number of time series is bounded if tenants come and go.

mod gauges;
mod issuer_labels;

use std::{fmt, time::Duration};

use ::metrics::{
    SharedString, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use self::issuer_labels::IssuerLabels;
use crate::{Event, Health, Observer, Outcome, observer::SourceKind};

const AUTHENTICATE_DURATION: &str = "tower_bearer.authenticate.duration";
const CHALLENGES: &str = "tower_bearer.challenges";
const FORBIDS: &str = "tower_bearer.forbids";
const REFUSALS: &str = "tower_bearer.refusals";
const VALIDATE_DURATION: &str = "tower_bearer.validate.duration";
const CACHE_LOOKUPS: &str = "tower_bearer.verdict_cache.lookups";
const CACHE_ENTRIES: &str = "tower_bearer.verdict_cache.entries";
const CACHE_SIZE: &str = "tower_bearer.verdict_cache.size";
const CACHE_LIMIT: &str = "tower_bearer.verdict_cache.limit";
const KEY_FETCH_DURATION: &str = "tower_bearer.keys.fetch.duration";
const KEY_AGE: &str = "tower_bearer.keys.age";
const KEYS_USABLE: &str = "tower_bearer.keys.usable";
const INTROSPECTION_DURATION: &str = "tower_bearer.introspection.duration";
const INTROSPECTION_CALLS: &str = "tower_bearer.introspection.calls";
const SOURCE_WORKING: &str = "tower_bearer.source.working";
const RESOLVER_DURATION: &str = "tower_bearer.resolver.duration";
const RESOLVER_WORKING: &str = "tower_bearer.resolver.working";
const TENANTS_KNOWN: &str = "tower_bearer.tenants.known";
const TENANTS_FAILING: &str = "tower_bearer.tenants.failing";
const READY: &str = "tower_bearer.ready";

/// Records metrics with the recorder that is installed for the facade `metrics`.
///
/// See the [module documentation](self) for the names. Give clones of one `Arc` to all resource servers of a process: gauges
/// have no label for the resource server.
pub struct MetricsObserver {
    issuers: IssuerLabels,
}

impl MetricsObserver {
    /// Creates an observer, and describes the metrics to the recorder. Install the recorder first.
    pub fn new() -> Self {
        describe();
        Self { issuers: IssuerLabels::default() }
    }

    /// Sets the maximum number of issuers with their own label. Default: 64. With zero, all have the label `other`.
    #[must_use]
    pub fn max_issuers(self, max: usize) -> Self {
        Self { issuers: IssuerLabels::new(max) }
    }

    /// Sets the gauges to the state of a resource server. Call it before each scrape, or every few seconds.
    pub fn record_health(&self, health: &Health) {
        gauges::record(health, &self.issuers);
    }
}

impl Default for MetricsObserver {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for MetricsObserver {
    fn on_event(&self, event: &Event<'_>) {
        match *event {
            Event::RequestDecided { is_inner: true, .. } => {}
            Event::RequestDecided { outcome, duration, .. } => {
                let (result, error) = match outcome {
                    Outcome::Admitted => ("success", ""),
                    Outcome::Anonymous => ("none", ""),
                    Outcome::Refused { error: error @ "no_credentials", .. } => ("none", error),
                    Outcome::Refused { error, .. } => ("failure", error),
                };
                histogram!(AUTHENTICATE_DURATION, "result" => result, "error.type" => error).record(duration);
            }
            Event::RequestRefused { status, error, .. } => {
                match status.as_u16() {
                    401 => counter!(CHALLENGES, "error.type" => error).increment(1),
                    403 => counter!(FORBIDS, "error.type" => error).increment(1),
                    _ => {}
                }
                counter!(REFUSALS, "status" => status_label(status), "error.type" => error).increment(1);
            }
            Event::ValidatorCalled { duration, result } => {
                let (result, error) = labels(result);
                histogram!(VALIDATE_DURATION, "result" => result, "error.type" => error).record(duration);
            }
            Event::VerdictLookup { hit } => {
                counter!(CACHE_LOOKUPS, "result" => if hit { "hit" } else { "miss" }).increment(1);
            }
            Event::KeysFetched { issuer, duration, result } => {
                record_call(KEY_FETCH_DURATION, self.issuers.of(issuer), duration, result);
            }
            Event::IntrospectionCalled { issuer, duration, result } => {
                record_call(INTROSPECTION_DURATION, self.issuers.of(issuer), duration, result);
            }
            Event::ResolverCalled { duration, result } => {
                let (result, error) = match result {
                    Ok(issuer) => (issuer.as_str(), ""),
                    Err(error) => ("failure", error),
                };
                histogram!(RESOLVER_DURATION, "result" => result, "error.type" => error).record(duration);
            }
            // The gauge is set from the health. An event of a tenant would leave it at 0 after the tenant is gone, or
            // overwrite that of the other issuers with the same label.
            Event::SourceStateChanged { .. } => {}
        }
    }
}

fn record_call(
    name: &'static str,
    issuer: SharedString,
    duration: Duration,
    result: Result<(), &'static str>,
) {
    let (result, error) = labels(result);
    histogram!(name, "issuer" => issuer, "result" => result, "error.type" => error).record(duration);
}

fn record_working(issuer: SharedString, source: SourceKind, working: bool) {
    gauge!(SOURCE_WORKING, "issuer" => issuer, "source" => source.as_str()).set(u8::from(working));
}

/// Returns `result` and `error.type`.
fn labels(result: Result<(), &'static str>) -> (&'static str, &'static str) {
    match result {
        Ok(()) => ("success", ""),
        Err(error) => ("failure", error),
    }
}

/// Returns a status without an allocation. Refusals have no others.
fn status_label(status: http::StatusCode) -> SharedString {
    match status.as_u16() {
        400 => "400".into(),
        401 => "401".into(),
        403 => "403".into(),
        500 => "500".into(),
        502 => "502".into(),
        503 => "503".into(),
        _ => status.as_str().to_owned().into(),
    }
}

fn describe() {
    describe_histogram!(AUTHENTICATE_DURATION, Unit::Seconds, "Time until a layer decided about a request");
    describe_counter!(CHALLENGES, "Responses with status 401");
    describe_counter!(FORBIDS, "Responses with status 403");
    describe_counter!(REFUSALS, "Responses that refuse a request");
    describe_histogram!(
        VALIDATE_DURATION,
        Unit::Seconds,
        "Time of the validator, for tokens that are not cached"
    );
    describe_counter!(CACHE_LOOKUPS, "Lookups in the verdict cache");
    describe_gauge!(CACHE_ENTRIES, "Cached verdicts");
    describe_gauge!(CACHE_SIZE, Unit::Bytes, "Memory of the cached verdicts");
    describe_gauge!(CACHE_LIMIT, Unit::Bytes, "Configured limit of the verdict cache");
    describe_histogram!(KEY_FETCH_DURATION, Unit::Seconds, "Time of a fetch of keys");
    describe_gauge!(KEY_AGE, Unit::Seconds, "Time since the keys in use were confirmed by a fetch");
    describe_gauge!(KEYS_USABLE, "Usable keys");
    describe_histogram!(INTROSPECTION_DURATION, Unit::Seconds, "Time of an introspection call");
    describe_gauge!(INTROSPECTION_CALLS, "Introspection calls in progress");
    describe_gauge!(SOURCE_WORKING, "Whether the last attempt to use keys or introspection succeeded");
    describe_histogram!(RESOLVER_DURATION, Unit::Seconds, "Time of a call of the resolver of tenants");
    describe_gauge!(RESOLVER_WORKING, "Whether the last call of the resolver of tenants succeeded");
    describe_gauge!(TENANTS_KNOWN, "Tenants in memory");
    describe_gauge!(TENANTS_FAILING, "Tenants in memory whose keys or introspection endpoint fail");
    describe_gauge!(READY, "Whether all keys and introspection endpoints are known");
}

impl fmt::Debug for MetricsObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsObserver").field("issuers", &self.issuers).finish()
    }
}
