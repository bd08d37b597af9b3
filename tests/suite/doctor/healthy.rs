//! Services protected by this crate have no faults.

use axum::{Router, routing::get};
use serde_json::json;
use tokio::net::TcpListener;
use tower::{Layer as _, service_fn};
use tower_bearer::{
    ResourceServer,
    mcp::McpOperations,
    testing::{ManualClock, TestAuthorizationServer},
};
use tower_http::cors::CorsLayer;

use super::{assert_healthy, codes, example::examination::examine, settings};
use crate::support::{READ, WRITE};

/// Serves an authorization server and an API of its tokens. Returns the URL of the API.
async fn serve(path: &str, app: fn(&ResourceServer) -> Router) -> String {
    let api = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}{path}", api.local_addr().unwrap());
    let authority = TestAuthorizationServer::new(&format!("http://{}", issuer.local_addr().unwrap()))
        .with_clock(ManualClock::starting_now());
    let metadata = json!({
        "issuer": authority.issuer(),
        "jwks_uri": authority.jwks_uri(),
        "authorization_endpoint": format!("{}/authorize", authority.issuer()),
        "token_endpoint": format!("{}/token", authority.issuer()),
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
    });
    authority.answer(&authority.metadata_url(), move |_| {
        let response = http::Response::builder().header("content-type", "application/json");
        response.body(metadata.to_string().into()).unwrap()
    });
    let resource_server = authority.resource_server(&url);
    let app = app(&resource_server).merge(resource_server.metadata_router().unwrap());
    tokio::spawn(axum::serve(api, app).into_future());
    tokio::spawn(axum::serve(issuer, Router::new().fallback_service(authority)).into_future());
    url
}

fn orders(resource_server: &ResourceServer) -> Router {
    let read = resource_server.require_scopes(READ);
    Router::new().route("/orders", get(async || "orders").route_layer(read))
}

#[tokio::test]
async fn axum_api_has_no_faults() {
    let url = serve("/orders", orders).await;

    let report = examine(settings(&url)).await.unwrap();

    assert_healthy(&report);
    assert_eq!(codes(&report), ["no-cors"].into());
}

#[tokio::test]
async fn axum_api_for_scripts_has_no_faults() {
    let url = serve("/orders", |resource_server| {
        let cors = CorsLayer::permissive().allow_headers([http::header::AUTHORIZATION]);
        orders(resource_server).layer(cors.expose_headers([http::header::WWW_AUTHENTICATE]))
    })
    .await;
    let mut settings = settings(&url);
    settings.origin = Some("https://app.example.com".to_owned());

    let report = examine(settings).await.unwrap();

    assert_healthy(&report);
    assert_eq!(codes(&report), [].into());
}

#[tokio::test]
async fn route_of_an_api_has_no_faults() {
    let url = serve("", orders).await;

    let report = examine(settings(&format!("{url}/orders"))).await.unwrap();

    assert_healthy(&report);
    assert_eq!(codes(&report), ["no-cors", "resource-is-parent"].into());
}

#[tokio::test]
async fn mcp_server_has_no_faults() {
    let url = serve("/mcp", |resource_server| {
        let operations = McpOperations::builder().tool("list", READ).tool("change", WRITE).connecting(READ);
        let layer = resource_server.require_mcp(operations.build().unwrap());
        let server = service_fn(async |_: http::Request<_>| {
            Ok::<_, std::convert::Infallible>(http::Response::new(axum::body::Body::empty()))
        });
        Router::new().route_service("/mcp", layer.layer(server))
    })
    .await;

    let report = examine(settings(&url)).await.unwrap();

    assert_healthy(&report);
    assert_eq!(codes(&report), ["no-cors"].into());
}
