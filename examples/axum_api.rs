//! An axum service with three routes, two scopes and a custom claim. A real service needs only the lines above `main`.
//! Run it with `cargo run --features axum,config,testing --example axum_api`.
//!
//! Its settings are a TOML document. Environment variables override them, such as `TOWER_BEARER_ISSUERS_0_CLOCK_SKEW=5s`.

#![allow(clippy::print_stdout, reason = "an example prints")]

use axum::{
    Router,
    routing::{get, post},
};
use serde::Deserialize;
use tokio::net::TcpListener;
use tower_bearer::{
    Claims, ResourceServer, Scope, ValidatedToken,
    config::{ConfigSource, Document, Environment},
    testing::{ManualClock, TestAuthorizationServer},
};

const READ: Scope = Scope::from_static("orders:read");
const WRITE: Scope = Scope::from_static("orders:write");

#[derive(Deserialize)]
struct Tenant {
    tenant: String,
}

async fn list(Claims(Tenant { tenant }): Claims<Tenant>) -> String {
    format!("the orders of {tenant}")
}

async fn create(token: ValidatedToken) -> String {
    format!("an order of {}", token.subject().unwrap_or("a service"))
}

async fn greet(token: Option<ValidatedToken>) -> &'static str {
    if token.is_some() { "hello again" } else { "hello" }
}

/// The document. A real service has it in a file, which `ConfigSource::file` reads.
fn settings(issuer: &str, resource: &str) -> String {
    format!(
        r#"
        audience = "{resource}"

        [[issuers]]
        issuer = "{issuer}"
        allow_http_on_loopback = true # only for this example

        [metadata]
        resource = "{resource}"
        allow_http_on_loopback = true

        [scope_hierarchy]
        "orders:write" = ["orders:read"]
        "#
    )
}

fn resource_server(settings: &str) -> Result<ResourceServer, Box<dyn std::error::Error>> {
    let document = Document::with_positions(settings, toml::Deserializer::parse(settings)?)?;
    Ok(ConfigSource::document(document).environment(Environment::from_process()).load()?)
}

fn app(issuer: &str, resource: &str) -> Result<Router, Box<dyn std::error::Error>> {
    let resource_server = resource_server(&settings(issuer, resource))?;
    let orders = get(list)
        .route_layer(resource_server.require_scopes(READ))
        .merge(post(create).route_layer(resource_server.require_scopes(WRITE)));
    Ok(Router::new()
        .route("/orders", orders)
        .route("/", get(greet).route_layer(resource_server.allow_anonymous()))
        .merge(resource_server.metadata_router()?))
}

/// Starts an authorization server and the service, and prints what a client gets.
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let issuer_listener = TcpListener::bind("127.0.0.1:0").await?;
    let api_listener = TcpListener::bind("127.0.0.1:0").await?;
    let issuer = format!("http://{}", issuer_listener.local_addr()?);
    let api = format!("http://{}", api_listener.local_addr()?);
    let authority = TestAuthorizationServer::new(&issuer).with_clock(ManualClock::starting_now());
    let token = authority.token().audience(&api).claim("tenant", "acme").scope("orders:read").sign();
    tokio::spawn(axum::serve(issuer_listener, Router::new().fallback_service(authority)).into_future());
    tokio::spawn(axum::serve(api_listener, app(&issuer, &api)?).into_future());

    let client = reqwest::Client::builder().no_proxy().build()?;
    for (request, expected) in [
        (client.get(format!("{api}/")), 200),
        (client.get(format!("{api}/orders")), 401),
        (client.get(format!("{api}/orders")).bearer_auth(&token), 200),
        (client.post(format!("{api}/orders")).bearer_auth(&token), 403),
    ] {
        let request = request.build()?;
        print!("{} {}: ", request.method(), request.url().path());
        let answer = client.execute(request).await?;
        println!("{} {:?}", answer.status(), answer.headers().get("www-authenticate"));
        assert_eq!(answer.status(), expected);
    }
    Ok(())
}
