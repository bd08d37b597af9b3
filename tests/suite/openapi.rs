//! Proves that OpenAPI documents have what the layers require, and that routes without a layer are found.

#[path = "../../examples/openapi.rs"]
#[allow(dead_code, reason = "`main` is used only by the example")]
mod example;

use axum::{Router, body::Body, routing::get};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use tower_bearer::{
    PathRules, Requirement, ScopeRequirement,
    integration::utoipa::{OpenApiSecurity, operations},
    testing::{TestAuthorizationServer, assert_guarded, challenges},
};
use utoipa::openapi::{
    HttpMethod, OpenApi, PathItem,
    path::{Operation, Paths},
};

use crate::support::{ISSUER, READ, RESOURCE, WRITE};

fn security_of(document: &OpenApi, method: &str, path: &str) -> Value {
    let document = serde_json::to_value(document).unwrap();
    document["paths"][path][method]["security"].clone()
}

/// Returns paths with an operation for each method.
fn paths(operations: &[(&str, HttpMethod)]) -> Paths {
    let mut paths = Paths::new();
    for (path, method) in operations {
        paths.add_path_operation(*path, vec![method.clone()], Operation::new());
    }
    paths
}

#[tokio::test]
async fn document_requires_exactly_what_the_layers_require() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let security = OpenApiSecurity::open_id_connect(ISSUER);
    let (app, document) = example::app(&authority.resource_server(RESOURCE), &security).unwrap();
    let mut compared = 0;

    for (method, path) in operations(&document) {
        let send = async |scopes: &str| {
            let token = authority.token().scope(scopes).sign();
            let request = Request::builder()
                .method(method.clone())
                .uri(path.replace("{id}", "1"))
                .header("authorization", format!("Bearer {token}"));
            app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
        };
        let security = security_of(&document, &method.as_str().to_lowercase(), &path);
        for alternative in security.as_array().into_iter().flatten() {
            let scopes: Vec<_> = alternative["oauth"]
                .as_array()
                .unwrap()
                .iter()
                .map(|scope| scope.as_str().unwrap())
                .collect();
            assert_eq!(send(&scopes.join(" ")).await.status(), StatusCode::OK, "{method} {path}");
            // Without any one of its scopes, an alternative is not met.
            for left_out in &scopes {
                let others: Vec<_> = scopes.iter().filter(|scope| scope != &left_out).copied().collect();
                let response = send(&others.join(" ")).await;
                assert_eq!(response.status(), StatusCode::FORBIDDEN, "{method} {path} without {left_out}");
                let named =
                    security[0]["oauth"].as_array().unwrap().iter().map(|scope| scope.as_str().unwrap());
                assert_eq!(
                    challenges(&response)[0].param("scope"),
                    Some(&*named.collect::<Vec<_>>().join(" "))
                );
                compared += 1;
            }
        }
    }

    assert_eq!(compared, 5);
    assert_eq!(security_of(&document, "get", "/health"), Value::Null);
    let scheme = &serde_json::to_value(&document).unwrap()["components"]["securitySchemes"]["oauth"];
    assert_eq!(scheme["openIdConnectUrl"], format!("{ISSUER}/.well-known/openid-configuration"));
}

#[test]
fn each_kind_of_requirement_has_its_security() {
    let security = OpenApiSecurity::bearer();
    let show = |requirement: Requirement| serde_json::to_value(security.requirements(&requirement)).unwrap();

    assert_eq!(show(Requirement::public()), json!([{}, {"bearer": []}]));
    assert_eq!(show(Requirement::token()), json!([{"bearer": []}]));
    assert_eq!(show([READ, WRITE].into()), json!([{"bearer": ["orders:read", "orders:write"]}]));
    assert_eq!(
        show(ScopeRequirement::any([READ, WRITE]).into()),
        json!([{"bearer": ["orders:read"]}, {"bearer": ["orders:write"]}])
    );
    assert_eq!(show(Requirement::deny("closed")), Value::Null);
}

#[test]
fn path_rules_fill_a_document_and_name_what_they_refuse() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let rules = PathRules::builder()
        .rule([Method::GET], "/orders/{id}", READ)
        .rule([Method::PUT], "/orders/{id}", [READ, WRITE])
        .build()
        .unwrap();
    let layer = authority.resource_server(RESOURCE).require_by(rules);
    let security = OpenApiSecurity::bearer();
    let mut described = paths(&[
        ("/orders/{order}", HttpMethod::Get),
        ("/orders/{order}", HttpMethod::Put),
        ("/orders/{order}", HttpMethod::Delete),
        ("/other", HttpMethod::Get),
    ]);

    let error = security.secure(&mut described, &layer).unwrap_err().to_string();

    let item: Value = serde_json::to_value(&described).unwrap()["/orders/{order}"].clone();
    assert_eq!(item["get"]["security"], json!([{"bearer": ["orders:read"]}]));
    assert_eq!(item["put"]["security"], json!([{"bearer": ["orders:read", "orders:write"]}]));
    assert_eq!(item["delete"]["security"], Value::Null);
    assert!(error.contains("DELETE /orders/{order}") && error.contains("GET /other"), "{error}");
}

#[test]
fn operation_without_a_layer_is_found_at_start() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let security = OpenApiSecurity::bearer();
    let mut document = OpenApi::default();
    document.paths = paths(&[("/orders", HttpMethod::Get)]);
    let layer = authority.resource_server(RESOURCE).require_scopes(READ);
    security.secure(&mut document.paths, &layer).unwrap();
    let item = PathItem::new(HttpMethod::Post, Operation::new());
    document.paths.paths.insert("/forgotten".to_owned(), item.clone());
    document.paths.paths.insert("/health".to_owned(), item);

    let error = security.check(&document, ["/health", "/gone"]).unwrap_err().to_string();

    assert!(error.contains("POST /forgotten") && error.contains("/gone"), "{error}");
    assert!(!error.contains("/orders") && !error.contains("/health"), "{error}");
    assert!(security.check(&document, ["/health", "/forgotten"]).is_ok());
}

#[tokio::test]
async fn routes_of_the_document_are_guarded() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let (app, document) =
        example::app(&authority.resource_server(RESOURCE), &OpenApiSecurity::bearer()).unwrap();

    let routes = operations(&document).into_iter().filter(|(_, path)| !example::PUBLIC.contains(&&**path));

    assert_guarded(&app, routes).await;
}

fn partly_guarded() -> Router {
    let layer = TestAuthorizationServer::new(ISSUER).resource_server(RESOURCE).require_token();
    Router::new().route("/orders/{id}", get(async || "order").route_layer(layer).delete(async || "deleted"))
}

#[tokio::test]
#[should_panic(expected = "DELETE /orders/{id}: 200\nGET /other: 404")]
async fn open_and_missing_routes_fail_the_assertion() {
    let routes = [(Method::GET, "/orders/{id}"), (Method::DELETE, "/orders/{id}"), (Method::GET, "/other")];

    assert_guarded(&partly_guarded(), routes).await;
}

#[tokio::test]
#[should_panic(expected = "no routes to check")]
async fn empty_list_of_routes_fails_the_assertion() {
    assert_guarded(&partly_guarded(), Vec::<(Method, &str)>::new()).await;
}
