//! Exports metrics with the OpenTelemetry API: an [`Observer`] that records into its instruments.
//!
//! The feature `metrics` is not needed. The names are those of `integration::metrics`, in the form of OpenTelemetry. The exporter
//! writes to stdout; with `opentelemetry-otlp` in its place, a collector receives them.
//!
//! Run it with `cargo run --features testing --example metrics_opentelemetry`.

#![allow(clippy::print_stdout, reason = "an example prints")]

use std::{error::Error, sync::Arc, time::Duration};

use http::{Request, Response, StatusCode};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, Meter, MeterProvider as _},
};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use tower::{Service, ServiceBuilder, ServiceExt as _};
use tower_bearer::{
    Event, Observer, Outcome, ResourceServer, Scope, SystemClock,
    testing::{ManualClock, TestAuthorizationServer},
};

const READ: Scope = Scope::from_static("orders:read");

/// Records events into instruments.
struct OpenTelemetryObserver {
    authenticate: Histogram<f64>,
    refusals: Counter<u64>,
    lookups: Counter<u64>,
    key_fetches: Histogram<f64>,
    introspections: Histogram<f64>,
}

impl OpenTelemetryObserver {
    fn new(meter: &Meter) -> Self {
        let seconds = |name: &'static str| {
            let buckets = vec![0.000_01, 0.000_1, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];
            meter.f64_histogram(name).with_unit("s").with_boundaries(buckets).build()
        };
        Self {
            authenticate: seconds("tower_bearer.authenticate.duration"),
            refusals: meter.u64_counter("tower_bearer.refusals").with_unit("{response}").build(),
            lookups: meter.u64_counter("tower_bearer.verdict_cache.lookups").with_unit("{lookup}").build(),
            key_fetches: seconds("tower_bearer.keys.fetch.duration"),
            introspections: seconds("tower_bearer.introspection.duration"),
        }
    }
}

impl Observer for OpenTelemetryObserver {
    fn on_event(&self, event: &Event<'_>) {
        match *event {
            Event::RequestDecided { outcome, duration, .. } => {
                let attributes = match outcome {
                    Outcome::Refused { error, .. } => {
                        vec![KeyValue::new("result", "failure"), KeyValue::new("error.type", error)]
                    }
                    Outcome::Anonymous => vec![KeyValue::new("result", "none")],
                    _ => vec![KeyValue::new("result", "success")],
                };
                self.authenticate.record(duration.as_secs_f64(), &attributes);
            }
            Event::RequestRefused { status, error, .. } => {
                let status = KeyValue::new("http.response.status_code", i64::from(status.as_u16()));
                self.refusals.add(1, &[status, KeyValue::new("error.type", error)]);
            }
            Event::VerdictLookup { hit, .. } => {
                self.lookups.add(1, &[KeyValue::new("result", if hit { "hit" } else { "miss" })]);
            }
            Event::KeysFetched { issuer, duration, result, .. } => {
                self.key_fetches.record(duration.as_secs_f64(), &call(issuer, result));
            }
            Event::IntrospectionCalled { issuer, duration, result, .. } => {
                self.introspections.record(duration.as_secs_f64(), &call(issuer, result));
            }
            // Events of later versions, and those without a metric here.
            _ => {}
        }
    }
}

/// Returns the attributes of a call to an authorization server.
fn call(issuer: &str, result: Result<(), &'static str>) -> Vec<KeyValue> {
    let issuer = KeyValue::new("issuer", issuer.to_owned());
    match result {
        Ok(()) => vec![issuer, KeyValue::new("result", "success")],
        Err(error) => vec![issuer, KeyValue::new("result", "failure"), KeyValue::new("error.type", error)],
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let exporter = opentelemetry_stdout::MetricExporter::default();
    let reader = PeriodicReader::builder(exporter).with_interval(Duration::from_secs(30)).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let observer = OpenTelemetryObserver::new(&provider.meter("tower-bearer"));

    // An authorization server in memory. Yours is `AuthorizationServer::discover("https://…")`.
    let authority =
        TestAuthorizationServer::new("https://as.example.com").with_clock(ManualClock::starting_now());
    let validator = authority.jwt_validator("https://orders.example.com").build()?;
    let resource_server =
        authority.resource_server_with(validator).clock(SystemClock).observer(Arc::new(observer)).build()?;

    let good = authority.token().scope("orders:read").sign();
    let forged = format!("{}AAAAAAAA", &good[..good.len() - 8]);
    for (what, token) in [
        ("a good token", Some(&good)),
        ("the same token", Some(&good)),
        ("a forged token", Some(&forged)),
        ("no token", None),
    ] {
        println!("{what}: {}", present(&resource_server, token).await?);
    }
    authority.go_down();
    authority.clock().advance(Duration::from_secs(300));
    println!("the valid token during an outage: {}", present(&resource_server, Some(&good)).await?);
    authority.settle().await;

    provider.shutdown()?; // exports what was recorded
    Ok(())
}

/// Sends a request to a protected service.
async fn present(
    resource_server: &ResourceServer,
    token: Option<&String>,
) -> Result<StatusCode, Box<dyn Error>> {
    let mut service = ServiceBuilder::new().layer(resource_server.require_scopes(READ)).service_fn(
        |_: Request<()>| async { Ok::<_, Box<dyn Error>>(Response::new(String::from("orders"))) },
    );
    let mut request = Request::get("/orders");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    Ok(service.ready().await?.call(request.body(())?).await?.status())
}
