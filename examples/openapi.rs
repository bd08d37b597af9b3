//! Describes the scopes of layers in an OpenAPI document, and lists them for a review.
//!
//! `cargo run --features axum,testing,utoipa --example openapi` prints the document and the list. The document, the layers and the list
//! come from the same code. At start, the service checks that no route is left open by accident.

#![allow(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;

use axum::Router;
use tower_bearer::{
    ConfigError, ResourceServer, Scope, ScopeRequirement, ValidateTokenLayer, ValidatedToken,
    integration::utoipa::OpenApiSecurity, testing::TestAuthorizationServer,
};
use utoipa::{Modify as _, openapi::OpenApi};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter},
    routes,
};

const READ: Scope = Scope::from_static("orders:read");
const WRITE: Scope = Scope::from_static("orders:write");
const ADMIN: Scope = Scope::from_static("admin");

/// The paths that need no token.
pub(crate) const PUBLIC: [&str; 1] = ["/health"];

#[utoipa::path(get, path = "/orders", responses((status = 200, description = "the orders")))]
async fn list(token: ValidatedToken) -> String {
    format!("orders of {}", token.subject().unwrap_or("a service"))
}

#[utoipa::path(put, path = "/orders/{id}", params(("id" = u64, Path)), responses((status = 200, description = "changed")))]
async fn change() -> &'static str {
    "changed"
}

#[utoipa::path(delete, path = "/orders/{id}", params(("id" = u64, Path)), responses((status = 200, description = "deleted")))]
async fn delete() -> &'static str {
    "deleted"
}

#[utoipa::path(get, path = "/health", responses((status = 200, description = "healthy")))]
async fn health() -> &'static str {
    "healthy"
}

/// Adds a layer to routes, and what it requires to their description.
fn protected(
    security: &OpenApiSecurity,
    layer: ValidateTokenLayer,
    (schemas, mut paths, routes): UtoipaMethodRouter,
) -> Result<UtoipaMethodRouter, ConfigError> {
    security.secure(&mut paths, &layer)?;
    Ok((schemas, paths, routes.route_layer(layer)))
}

/// Builds the service and its document.
pub(crate) fn app(
    resource_server: &ResourceServer,
    security: &OpenApiSecurity,
) -> Result<(Router, OpenApi), ConfigError> {
    let reading = resource_server.require_scopes(READ);
    let changing = resource_server.require_scopes(ScopeRequirement::any([
        ScopeRequirement::from([READ, WRITE]),
        ScopeRequirement::from(ADMIN),
    ]));
    let deleting = resource_server.require_scopes(ADMIN);
    let (app, mut document) = OpenApiRouter::new()
        .routes(protected(security, reading, routes!(list))?)
        .routes(protected(security, changing, routes!(change))?)
        .routes(protected(security, deleting, routes!(delete))?)
        .routes(routes!(health))
        .split_for_parts();
    security.modify(&mut document);
    security.check(&document, PUBLIC)?;
    Ok((app.merge(resource_server.metadata_router()?), document))
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let authority = TestAuthorizationServer::new("https://as.example.com");
    let resource_server = authority.resource_server("https://orders.example.com");
    let security = OpenApiSecurity::open_id_connect(authority.issuer());

    let (_app, document) = app(&resource_server, &security)?;

    println!("{}\n", document.to_pretty_json()?);
    for layer in resource_server.layers() {
        print!("{layer}");
    }
    Ok(())
}
