//! Tests a service that is protected by tower-bearer, with the testing kit.
//!
//! `cargo test --features axum,testing --example test_a_handler`

#![cfg_attr(not(test), allow(dead_code, reason = "the tests below are the example"))]

use axum::{Router, routing::get};
use tower_bearer::{ResourceServer, Scope, ValidatedToken};

const READ: Scope = Scope::from_static("orders:read");

async fn list(token: ValidatedToken) -> String {
    format!("orders of {}", token.subject().unwrap_or("a service"))
}

/// Takes its resource server as an argument, so that tests can pass another one.
fn app(resource_server: &ResourceServer) -> Router {
    Router::new().route("/orders", get(list).route_layer(resource_server.require_scopes(READ)))
}

fn main() {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;
    use http::{Request, Response, StatusCode};
    use tower::ServiceExt as _;
    use tower_bearer::testing::{TestAuthorizationServer, TokenBuilder, bearer, challenges};

    use super::*;

    fn set_up() -> (TestAuthorizationServer, Router) {
        let authority = TestAuthorizationServer::new("https://as.example.com");
        let app = app(&authority.resource_server("https://orders.example.com"));
        (authority, app)
    }

    async fn get_orders(app: &Router, token: TokenBuilder) -> Response<Body> {
        let request = Request::get("/orders").header("authorization", format!("Bearer {}", token.sign()));
        app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn valid_token_is_admitted() {
        let (authority, app) = set_up();

        let response = get_orders(&app, authority.token().subject("alice").scope("orders:read")).await;

        assert_eq!(response.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn token_without_the_scope_gets_403_that_names_the_scope() {
        let (authority, app) = set_up();

        let response = get_orders(&app, authority.token().scope("orders:write")).await;

        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert_eq!(challenges(&response), [bearer().error("insufficient_scope").scope("orders:read")]);
    }

    #[tokio::test]
    async fn unavailable_keys_are_503_and_not_401() {
        let (authority, app) = set_up();
        authority.go_down();
        let token = || authority.token().scope("orders:read");
        assert_eq!(get_orders(&app, token()).await.status(), StatusCode::SERVICE_UNAVAILABLE);

        authority.come_back();
        authority.clock().advance(Duration::from_secs(5)); // past the pause after a failed fetch

        assert_eq!(get_orders(&app, token()).await.status(), StatusCode::OK);
    }
}
