//! An API whose customers bring their own authorization servers. One customer is added and one removed while it serves.
//!
//! `cargo run --features axum,testing --example tenants`
//!
//! It starts three authorization servers on this machine, calls the API with their tokens, and prints what happens.

#![allow(clippy::print_stdout, reason = "the output is the example")]

use std::{
    collections::HashMap,
    error::Error,
    sync::{Arc, RwLock},
};

use axum::{Router, routing::get};
use tokio::net::TcpListener;
use tower_bearer::{
    AddressGuard, AuthorizationServer, IssuerResolver, JwtValidator, ReqwestClient, ResolvingValidator,
    ResourceServer, Scope, Tenant, UnverifiedIssuer, ValidatedToken, ValidationError,
    testing::{ManualClock, TestAuthorizationServer},
};

const RESOURCE: &str = "https://orders.example.com";
const READ: Scope = Scope::from_static("orders:read");

/// What the operator stores about a customer.
#[derive(Clone)]
struct Customer {
    name: &'static str,
    issuer: String,
    /// Increased with every change of this row.
    version: u64,
}

/// The customers, by issuer. In production, a table of a database.
#[derive(Clone, Default)]
struct Customers(Arc<RwLock<HashMap<String, Customer>>>);

impl Customers {
    fn add(&self, customer: Customer) {
        self.0.write().expect("no writer panics").insert(customer.issuer.clone(), customer);
    }

    fn remove(&self, issuer: &str) {
        self.0.write().expect("no writer panics").remove(issuer);
    }
}

impl IssuerResolver for Customers {
    async fn resolve(&self, issuer: &UnverifiedIssuer) -> Result<Option<Tenant>, ValidationError> {
        let rows = self.0.read().map_err(|_| ValidationError::internal("the table is poisoned"))?;
        let Some(customer) = issuer.find_in(&rows) else {
            println!("   resolver: {issuer:?} is not a customer");
            return Ok(None);
        };
        println!("   resolver: {} is a customer", customer.name);
        // The URL is the one in the row, not the one in the token.
        let server = AuthorizationServer::discover(&customer.issuer).allow_http_on_loopback();
        Ok(Some(Tenant::jwt(JwtValidator::builder(server, RESOURCE)).version(customer.version)))
    }
}

async fn list(token: ValidatedToken) -> String {
    // A subject is unique only together with its issuer.
    format!("orders of {} at {}", token.subject().unwrap_or("?"), token.issuer().unwrap_or("?"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let [acme, globex, initech] = [start_server().await?, start_server().await?, start_server().await?];
    let customers = Customers::default();
    customers.add(Customer { name: "Acme", issuer: acme.issuer().to_owned(), version: 1 });
    customers.add(Customer { name: "Globex", issuer: globex.issuer().to_owned(), version: 1 });

    // By default, tenants cannot make this program connect to private addresses. The servers of this example have one.
    let client = ReqwestClient::guarded(AddressGuard::new().allow("127.0.0.1"))?;
    let validator = ResolvingValidator::builder(customers.clone()).http_client(client).build()?;
    let tenants = validator.clone();
    let resource_server = ResourceServer::builder(validator).build()?;
    let app = Router::new().route("/orders", get(list).route_layer(resource_server.require_scopes(READ)));
    let api = serve(app).await?;

    let token = |server: &TestAuthorizationServer| {
        server.token().subject("alice").audience(RESOURCE).scope("orders:read").sign()
    };
    let (acme_token, globex_token, initech_token) = (token(&acme), token(&globex), token(&initech));

    println!("1. Acme and Globex are customers.");
    call(&api, "Acme", &acme_token, 200).await?;
    call(&api, "Globex", &globex_token, 200).await?;
    call(&api, "Acme again, without calling the resolver", &acme_token, 200).await?;

    println!("2. Initech is not a customer. Its server is not called.");
    call(&api, "Initech", &initech_token, 401).await?;
    assert_eq!(initech.requests().len(), 0);

    println!("3. Initech becomes a customer.");
    customers.add(Customer { name: "Initech", issuer: initech.issuer().to_owned(), version: 1 });
    tenants.invalidate(initech.issuer());
    call(&api, "Initech", &initech_token, 200).await?;

    println!("4. Globex leaves. Its token has not expired and its verdict is cached.");
    customers.remove(globex.issuer());
    tenants.invalidate(globex.issuer());
    call(&api, "Globex", &globex_token, 401).await?;
    call(&api, "Acme", &acme_token, 200).await?;
    Ok(())
}

/// Sends a request with a token, prints the response and compares its status.
async fn call(api: &str, who: &str, token: &str, expected: u16) -> Result<(), Box<dyn Error>> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let response = client.get(format!("{api}/orders")).bearer_auth(token).send().await?;
    let status = response.status().as_u16();
    println!("   {who}: {status} {}", response.text().await?);
    assert_eq!(status, expected);
    Ok(())
}

/// Starts an authorization server of a customer.
async fn start_server() -> Result<TestAuthorizationServer, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = TestAuthorizationServer::new(&format!("http://{}", listener.local_addr()?))
        .with_clock(ManualClock::starting_now());
    let app = Router::new().fallback_service(server.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(server)
}

/// Serves the API, and returns its URL.
async fn serve(app: Router) -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}
