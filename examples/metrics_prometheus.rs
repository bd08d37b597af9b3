//! Exports metrics to Prometheus and answers health probes, through an outage of the authorization server.
//!
//! The metrics and the health are served on a separate port, which is not reachable from outside.
//!
//! Run it with `cargo run --features axum,metrics,testing --example metrics_prometheus`. With `-- --minutes 10`, it sends requests
//! for that time and has an outage in the middle. Then point a Prometheus at `127.0.0.1:9464` and load the dashboard
//! `docs/grafana/tower-bearer.json`.

#![allow(clippy::print_stdout, reason = "an example prints")]

use std::{error::Error, sync::Arc, time::Duration};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{Instant, interval, sleep},
};
use tower_bearer::{
    Health, ResourceServer, RoutingValidator, Scope, SystemClock, ValidatedToken,
    integration::metrics::MetricsObserver,
    testing::{ManualClock, TestAuthorizationServer},
};

const READ: Scope = Scope::from_static("orders:read");

/// Upper bounds of the buckets for durations, in seconds. A cached token takes microseconds, introspection milliseconds.
const BUCKETS: [f64; 12] = [0.000_01, 0.000_1, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

/// What the listener for operators shows.
#[derive(Clone)]
struct Operations {
    resource_server: ResourceServer,
    metrics: Arc<MetricsObserver>,
    prometheus: PrometheusHandle,
}

impl Operations {
    fn router(self) -> Router {
        Router::new()
            .route("/metrics", get(metrics))
            .route("/health/live", get(StatusCode::OK))
            .route("/health/ready", get(ready))
            .with_state(self)
    }
}

/// Sets the gauges and writes all metrics.
async fn metrics(State(operations): State<Operations>) -> String {
    operations.metrics.record_health(&operations.resource_server.health());
    operations.prometheus.render()
}

/// Answers 200 once the keys of all issuers are known, also while an authorization server is down.
async fn ready(State(operations): State<Operations>) -> (StatusCode, Json<Health>) {
    let health = operations.resource_server.health();
    let status = if health.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health))
}

async fn orders(token: ValidatedToken) -> String {
    format!("orders of {}\n", token.subject().unwrap_or("nobody"))
}

/// Serves a router until the program ends. Returns its base URL.
async fn serve(address: &str, router: Router) -> std::io::Result<String> {
    let listener = TcpListener::bind(address).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let _server: JoinHandle<_> = tokio::spawn(async { axum::serve(listener, router).await });
    Ok(url)
}

/// Calls the API like its clients do, and reads what operators read.
struct Client {
    http: reqwest::Client,
    api: String,
    operations: String,
}

impl Client {
    /// Sends a request with a token, or without one. Returns the status.
    async fn call(&self, token: Option<&str>) -> reqwest::Result<u16> {
        let request = self.http.get(format!("{}/orders", self.api));
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        Ok(request.send().await?.status().as_u16())
    }

    async fn show(&self, what: &str, token: Option<&str>) -> reqwest::Result<()> {
        println!("{what}: {}", self.call(token).await?);
        Ok(())
    }

    async fn read(&self, path: &str) -> reqwest::Result<(u16, String)> {
        let response = self.http.get(format!("{}{path}", self.operations)).send().await?;
        Ok((response.status().as_u16(), response.text().await?))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The recorder comes first, so that it learns the units and descriptions.
    let prometheus =
        PrometheusBuilder::new().with_recommended_naming(true).set_buckets(&BUCKETS)?.install_recorder()?;
    let metrics = Arc::new(MetricsObserver::new());

    // An authorization server in memory. Yours is `AuthorizationServer::discover("https://…")`.
    let clock = ManualClock::starting_now(); // so that keys can be made old
    let authority = TestAuthorizationServer::new("https://as.example.com").with_clock(clock);
    let minutes = std::env::args().skip_while(|argument| argument != "--minutes").nth(1);
    let audience = "https://orders.example.com";
    let mut jwt = authority.jwt_validator(audience).key_refresh_interval(Duration::from_secs(60));
    let mut opaque = authority.introspection_validator(audience).cache_ttl(Duration::from_secs(5));
    if minutes.is_some() {
        (jwt, opaque) = (jwt.clock(SystemClock), opaque.clock(SystemClock));
    }
    let validator = RoutingValidator::new().route(jwt.build()?).otherwise(opaque.build()?);
    let resource_server = authority.resource_server_with(validator);
    let resource_server = resource_server.clock(SystemClock).observer(metrics.clone()).build()?;

    let api = Router::new().route("/orders", get(orders)).layer(resource_server.require_scopes(READ));
    let operations = Operations { resource_server: resource_server.clone(), metrics, prometheus }.router();
    let operations_address = if minutes.is_some() { "127.0.0.1:9464" } else { "127.0.0.1:0" };
    let client = Client {
        http: reqwest::Client::builder().no_proxy().build()?,
        api: serve("127.0.0.1:0", api).await?,
        operations: serve(operations_address, operations).await?,
    };

    println!("ready before the keys are fetched: {}", client.read("/health/ready").await?.0);
    resource_server.ready(Duration::from_secs(10)).await?;
    println!("ready after that: {}", client.read("/health/ready").await?.0);
    match minutes {
        Some(minutes) => {
            send_requests(&client, &authority, Duration::from_secs_f64(60.0 * minutes.parse::<f64>()?)).await
        }
        None => walk(&client, &authority).await,
    }
}

/// Sends good and bad requests, also during an outage, and prints what Prometheus reads.
async fn walk(client: &Client, authority: &TestAuthorizationServer) -> Result<(), Box<dyn Error>> {
    let good = authority.token().scope("orders:read").sign();
    let opaque = authority.token().scope("orders:read").opaque();
    client.show("a good token", Some(&good)).await?;
    client.show("the same token, now cached", Some(&good)).await?;
    client.show("an opaque token", Some(&opaque)).await?;
    client.show("no token", None).await?;
    client.show("a token that is unknown", Some("unknown")).await?;
    client.show("a token without the scope", Some(&authority.token().sign())).await?;

    println!("-- the authorization server goes down");
    authority.go_down();
    authority.clock().advance(Duration::from_secs(60));
    client.show("the good token, with keys that are due for a refresh", Some(&good)).await?;
    authority.settle().await;
    let opaque = authority.token().scope("orders:read").opaque();
    client.show("another opaque token", Some(&opaque)).await?;
    let (status, health) = client.read("/health/ready").await?;
    println!("ready: {status}\n{health}");

    println!("-- what Prometheus reads");
    println!("{}", client.read("/metrics").await?.1);
    Ok(())
}

/// Sends requests for some time. In the middle third, the authorization server is down.
async fn send_requests(
    client: &Client,
    authority: &TestAuthorizationServer,
    time: Duration,
) -> Result<(), Box<dyn Error>> {
    println!("metrics at {}/metrics for {time:?}", client.operations);
    let expiry = time + Duration::from_secs(3_600);
    let token = || authority.token().scope("orders:read").expires_in(expiry);
    let (good, opaque) = (token().sign(), token().opaque());
    let (began, mut every) = (Instant::now(), interval(Duration::from_millis(50)));
    let (mut number, mut is_down) = (0_u32, false);
    while began.elapsed() < time {
        every.tick().await;
        number += 1;
        let down = began.elapsed() > time / 3 && began.elapsed() < time * 2 / 3;
        if down != is_down {
            is_down = down;
            if down {
                authority.go_down();
            } else {
                authority.come_back();
            }
            println!("the authorization server is {}", if down { "down" } else { "back" });
        }
        match number % 20 {
            0 => client.call(None).await?,
            1 | 2 => client.call(Some(&format!("unknown-{number}"))).await?,
            3 => client.call(Some(&authority.token().sign())).await?,
            4 => client.call(Some(&token().claim("number", number).sign())).await?,
            5..=9 => client.call(Some(&opaque)).await?,
            _ => client.call(Some(&good)).await?,
        };
    }
    sleep(Duration::from_secs(2)).await; // for the last scrape
    Ok(())
}
