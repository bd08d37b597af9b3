//! Proves the exact names, units and labels of all metrics, and that the dashboard uses only them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use serde_json::Value;
use tower_bearer::{
    IssuerResolver, ResolvingValidator, ResourceServer, RoutingValidator, Tenant, UnverifiedIssuer,
    ValidationError, integration::metrics::MetricsObserver, testing::TestAuthorizationServer,
};

use crate::support::{App, ISSUER, READ, RESOURCE, plain};

const SECOND: Duration = Duration::from_secs(1);

/// Returns each time series as `kind name{labels} value`, without the values of histograms.
fn series(snapshotter: &Snapshotter) -> Vec<String> {
    let mut lines: Vec<_> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, unit, description, value)| {
            assert!(description.is_some(), "{key:?} has no description");
            let (kind, key) = key.into_parts();
            let labels: Vec<_> =
                key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            let unit = unit.map_or("", |unit| unit.as_str());
            let value = match value {
                DebugValue::Counter(count) => count.to_string(),
                DebugValue::Gauge(value) => value.to_string(),
                DebugValue::Histogram(values) => format!("{} times", values.len()),
            };
            let kind = format!("{kind:?}").to_lowercase();
            format!("{kind} {}[{unit}]{{{}}} {value}", key.name(), labels.join(","))
        })
        .collect();
    lines.sort();
    lines
}

struct NoTenants;

impl IssuerResolver for NoTenants {
    async fn resolve(&self, _: &UnverifiedIssuer) -> Result<Option<Tenant>, ValidationError> {
        Ok(None)
    }
}

/// Sends good and bad requests, also during an outage, and records the health.
async fn walk(authority: &TestAuthorizationServer) -> ResourceServer {
    let metrics = Arc::new(MetricsObserver::new());
    let jwt = authority.jwt_validator(RESOURCE).build();
    let introspection = authority.introspection_validator(RESOURCE).cache_ttl(Duration::ZERO).build();
    let tenants = ResolvingValidator::builder(NoTenants).otherwise(introspection).build();
    let validator = RoutingValidator::new().route(jwt).otherwise(tenants);
    let server = authority.resource_server_with(validator).observer(metrics.clone()).build().unwrap();
    server.ready(SECOND).await.unwrap();
    let app = App::new(server.require_scopes(READ));
    let good = authority.token().scope("orders:read").expires_in(10_000 * SECOND).sign();
    let opaque = authority.token().scope("orders:read").opaque();

    app.present(&good).await.assert_pass();
    app.present(&good).await.assert_pass();
    app.present(&opaque).await.assert_pass();
    app.present("unknown").await.assert_invalid_token();
    let unknown_issuer = authority.token().claim("iss", "https://unknown.example").sign();
    app.present(&unknown_issuer).await.assert_invalid_token();
    app.send(plain()).await.assert_unauthorized();
    app.present(&authority.token().sign()).await.assert_insufficient_scope("orders:read");
    App::new(server.allow_anonymous()).send(plain()).await.assert_pass();
    authority.go_down();
    authority.clock().advance(300 * SECOND);
    app.present(&good).await.assert_pass();
    authority.settle().await;
    app.present(&opaque).await.assert_unavailable();
    metrics.record_health(&server.health());
    server
}

#[tokio::test]
async fn a_walk_with_an_outage_records_exactly_these_series() {
    let recorder = DebuggingRecorder::new();
    let _local = metrics::set_default_local_recorder(&recorder);
    let authority = TestAuthorizationServer::new(ISSUER);

    let server = walk(&authority).await;

    let cache = server.health().verdict_cache;
    let (entries, size) = (cache.entries, cache.bytes);
    let issuer = format!("issuer={ISSUER}");
    assert_eq!(
        series(&recorder.snapshotter()),
        [
            "counter tower_bearer.challenges[]{error.type=inactive} 1".to_owned(),
            "counter tower_bearer.challenges[]{error.type=no_credentials} 1".to_owned(),
            "counter tower_bearer.challenges[]{error.type=unknown_issuer} 1".to_owned(),
            "counter tower_bearer.forbids[]{error.type=insufficient_scope} 1".to_owned(),
            "counter tower_bearer.refusals[]{status=401,error.type=inactive} 1".to_owned(),
            "counter tower_bearer.refusals[]{status=401,error.type=no_credentials} 1".to_owned(),
            "counter tower_bearer.refusals[]{status=401,error.type=unknown_issuer} 1".to_owned(),
            "counter tower_bearer.refusals[]{status=403,error.type=insufficient_scope} 1".to_owned(),
            "counter tower_bearer.refusals[]{status=503,error.type=introspection_unavailable} 1".to_owned(),
            "counter tower_bearer.verdict_cache.lookups[]{result=hit} 2".to_owned(),
            "counter tower_bearer.verdict_cache.lookups[]{result=miss} 6".to_owned(),
            format!("gauge tower_bearer.introspection.calls[]{{{issuer}}} 0"),
            format!("gauge tower_bearer.keys.age[seconds]{{{issuer}}} 300"),
            format!("gauge tower_bearer.keys.usable[]{{{issuer}}} 1"),
            "gauge tower_bearer.ready[]{} 1".to_owned(),
            "gauge tower_bearer.resolver.working[]{} 1".to_owned(),
            format!("gauge tower_bearer.source.working[]{{{issuer},source=introspection}} 0"),
            format!("gauge tower_bearer.source.working[]{{{issuer},source=keys}} 0"),
            "gauge tower_bearer.tenants.failing[]{} 0".to_owned(),
            "gauge tower_bearer.tenants.known[]{} 0".to_owned(),
            format!("gauge tower_bearer.verdict_cache.entries[]{{}} {entries}"),
            "gauge tower_bearer.verdict_cache.limit[bytes]{} 33554432".to_owned(),
            format!("gauge tower_bearer.verdict_cache.size[bytes]{{}} {size}"),
            "histogram tower_bearer.authenticate.duration[seconds]{result=failure,error.type=inactive} 1 times".to_owned(),
            "histogram tower_bearer.authenticate.duration[seconds]{result=failure,error.type=insufficient_scope} 1 times".to_owned(),
            "histogram tower_bearer.authenticate.duration[seconds]{result=failure,error.type=introspection_unavailable} 1 times".to_owned(),
            "histogram tower_bearer.authenticate.duration[seconds]{result=failure,error.type=unknown_issuer} 1 times".to_owned(),
            "histogram tower_bearer.authenticate.duration[seconds]{result=none,error.type=no_credentials} 1 times".to_owned(),
            "histogram tower_bearer.authenticate.duration[seconds]{result=none,error.type=} 1 times".to_owned(),
            "histogram tower_bearer.authenticate.duration[seconds]{result=success,error.type=} 4 times".to_owned(),
            format!("histogram tower_bearer.introspection.duration[seconds]{{{issuer},result=failure,error.type=no_response}} 1 times"),
            format!("histogram tower_bearer.introspection.duration[seconds]{{{issuer},result=success,error.type=}} 2 times"),
            format!("histogram tower_bearer.keys.fetch.duration[seconds]{{{issuer},result=failure,error.type=no_response}} 1 times"),
            format!("histogram tower_bearer.keys.fetch.duration[seconds]{{{issuer},result=success,error.type=}} 1 times"),
            "histogram tower_bearer.resolver.duration[seconds]{result=unknown,error.type=} 1 times".to_owned(),
            "histogram tower_bearer.validate.duration[seconds]{result=failure,error.type=inactive} 1 times".to_owned(),
            "histogram tower_bearer.validate.duration[seconds]{result=failure,error.type=introspection_unavailable} 1 times".to_owned(),
            "histogram tower_bearer.validate.duration[seconds]{result=failure,error.type=unknown_issuer} 1 times".to_owned(),
            "histogram tower_bearer.validate.duration[seconds]{result=success,error.type=} 3 times".to_owned(),
        ]
    );
}

/// Every metric in the table of the module, as Prometheus names it: kind, name, and the labels.
fn documented() -> Vec<(String, String)> {
    let source = include_str!("../../src/integration/metrics/mod.rs");
    let rows = source.lines().filter_map(|line| line.strip_prefix("//! | `tower_bearer."));
    rows.map(|row| {
        let (name, rest) = row.split_once("` | ").unwrap();
        let (kind, _) = rest.split_once(" |").unwrap();
        (format!("tower_bearer.{name}"), kind.to_owned())
    })
    .collect()
}

#[tokio::test]
async fn the_documentation_lists_exactly_the_recorded_metrics() {
    let recorder = DebuggingRecorder::new();
    let _local = metrics::set_default_local_recorder(&recorder);

    walk(&TestAuthorizationServer::new(ISSUER)).await;

    let recorded: BTreeSet<_> = series(&recorder.snapshotter())
        .iter()
        .map(|line| line.split([' ', '[']).nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(documented().into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>(), recorded);
}

/// Returns the names under which Prometheus knows a metric.
fn prometheus_names((name, kind): &(String, String)) -> Vec<String> {
    let name = name.replace('.', "_");
    let unit = if kind.contains("seconds") {
        "_seconds"
    } else if kind.contains("bytes") {
        "_bytes"
    } else {
        ""
    };
    match kind.split([',', ' ']).next().unwrap() {
        "counter" => vec![format!("{name}{unit}_total")],
        "histogram" => ["bucket", "sum", "count"].map(|part| format!("{name}{unit}_{part}")).into(),
        _ => vec![format!("{name}{unit}")],
    }
}

/// Returns every `expr` in a JSON document.
fn queries(json: &Value) -> Vec<&str> {
    match json {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| match (name.as_str(), value) {
                ("expr", Value::String(query)) => vec![query.as_str()],
                (_, value) => queries(value),
            })
            .collect(),
        Value::Array(values) => values.iter().flat_map(queries).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn the_dashboard_and_the_alerts_use_only_metrics_that_exist() {
    let known: BTreeSet<String> = documented().iter().flat_map(prometheus_names).collect();
    let dashboard: Value =
        serde_json::from_str(include_str!("../../docs/grafana/tower-bearer.json")).unwrap();
    let alerts = include_str!("../../docs/grafana/alerts.yaml");
    let queries = queries(&dashboard);
    assert!(queries.len() >= 10, "{}", queries.len());

    let mut used = BTreeSet::new();
    for text in queries.into_iter().chain([alerts]) {
        let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        used.extend(words.filter(|word| word.starts_with("tower_bearer_")).map(str::to_owned));
    }

    let unknown: Vec<_> = used.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    for metric in documented() {
        let names = prometheus_names(&metric);
        assert!(names.iter().any(|name| used.contains(name)), "{} is in no panel and no alert", metric.0);
    }
}
