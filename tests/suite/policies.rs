//! Proves layers that decide by request what it requires: closures and other policies.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use tower::{ServiceBuilder, ServiceExt as _};
use tower_bearer::{
    ProtectedResourceMetadata, RequestHead, Requirement, RequirementPolicy, Scope, ScopeHierarchy,
    ScopeRequirement, ValidationError,
    testing::{TestAuthorizationServer, challenges},
};

use crate::support::{App, ISSUER, METADATA_URL, READ, RESOURCE, WRITE, assert_reason};

/// What each method requires: reading is public, writing needs a scope, and so on.
fn by_method(request: &RequestHead<'_>) -> Requirement {
    match *request.method() {
        Method::HEAD => Requirement::public(),
        Method::GET => Requirement::scopes(READ),
        Method::PUT => Requirement::scopes([READ, WRITE]),
        Method::POST => Requirement::token(),
        Method::PATCH => Requirement::malformed("two paths"),
        _ => Requirement::deny("method not offered"),
    }
}

fn server_and_app() -> (TestAuthorizationServer, App) {
    let authority = TestAuthorizationServer::new(ISSUER);
    let app = App::new(authority.resource_server(RESOURCE).require_by(by_method));
    (authority, app)
}

fn request(method: Method) -> Request<Full<Bytes>> {
    Request::builder().method(method).uri("/orders").body(Full::default()).unwrap()
}

fn with_token(method: Method, token: &str) -> Request<Full<Bytes>> {
    let mut request = request(method);
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

#[tokio::test]
async fn rmcp_03_challenge_of_a_401_names_the_scopes_of_the_operation() {
    let (_, app) = server_and_app();

    for (method, scope) in [
        (Method::GET, "scope=\"orders:read\", "),
        (Method::PUT, "scope=\"orders:read orders:write\", "),
        (Method::POST, ""),
    ] {
        let answer = app.send(request(method)).await;

        answer.assert_unauthorized();
        answer.assert_challenge(&format!("Bearer {scope}resource_metadata=\"{METADATA_URL}\""));
    }
}

#[tokio::test]
async fn scopes_of_the_operation_are_required() {
    let (authority, app) = server_and_app();
    let reader = authority.token().scope("orders:read").sign();
    let nobody = authority.token().scope("").sign();

    app.send(with_token(Method::GET, &reader)).await.assert_pass();
    app.send(with_token(Method::POST, &nobody)).await.assert_pass();
    app.send(with_token(Method::PUT, &reader)).await.assert_insufficient_scope("orders:read orders:write");
    app.send(with_token(Method::GET, &nobody)).await.assert_insufficient_scope("orders:read");
    // The verdict is cached; the requirement is not.
    app.send(with_token(Method::GET, &reader)).await.assert_pass();
}

#[tokio::test]
async fn a52_public_operation_passes_without_a_token_but_not_with_a_bad_one() {
    let (authority, app) = server_and_app();

    app.send(request(Method::HEAD)).await.assert_pass();
    assert!(app.last_seen().token.is_none());
    app.send(with_token(Method::HEAD, &authority.token().scope("").sign())).await.assert_pass();
    assert!(app.last_seen().token.is_some());
    app.send(with_token(Method::HEAD, &authority.token().expired().sign())).await.assert_invalid_token();
}

#[tokio::test]
async fn denied_operation_is_403_without_a_challenge_with_and_without_a_token() {
    let (authority, app) = server_and_app();
    let token = authority.token().scope("orders:read orders:write").sign();

    for request in
        [request(Method::DELETE), with_token(Method::DELETE, &token), with_token(Method::DELETE, "junk")]
    {
        let answer = app.send(request).await;

        assert_eq!((answer.status, answer.calls), (StatusCode::FORBIDDEN, 0));
        assert!(!answer.headers.contains_key("www-authenticate"));
        assert_reason!(answer, ValidationError::Denied { source, .. } if source.to_string() == "method not offered");
        let body = r#"{"status":403,"title":"Forbidden","detail":"This operation is not allowed"}"#;
        assert_eq!(answer.body, body);
    }
    assert_eq!(authority.key_fetches(), 0, "a denied request costs no work");
}

#[tokio::test]
async fn malformed_operation_is_400_without_a_challenge() {
    let (_, app) = server_and_app();

    let answer = app.send(request(Method::PATCH)).await;

    assert_eq!((answer.status, answer.calls), (StatusCode::BAD_REQUEST, 0));
    assert!(!answer.headers.contains_key("www-authenticate"));
    assert_reason!(answer, ValidationError::MalformedRequest { .. });
}

#[tokio::test]
async fn denied_and_malformed_operations_over_grpc_have_their_own_status() {
    let authority = TestAuthorizationServer::new(ISSUER);
    for (requirement, status) in
        [(Requirement::deny("closed"), "7"), (Requirement::malformed("two methods"), "3")]
    {
        let app = App::grpc(authority.resource_server(RESOURCE).require_by(requirement));
        let call = Request::post("/orders.Orders/List").header("content-type", "application/grpc");

        let answer = app.send(call.body(Full::default()).unwrap()).await;

        assert_eq!((answer.status, answer.calls), (StatusCode::OK, 0));
        assert_eq!(answer.headers["grpc-status"], status);
        assert!(!answer.headers.contains_key("www-authenticate"));
    }
}

#[tokio::test]
async fn policy_is_called_once_for_each_request() {
    let calls = Arc::new(AtomicUsize::new(0));
    let authority = TestAuthorizationServer::new(ISSUER);
    let counted = Arc::clone(&calls);
    let app = App::new(authority.resource_server(RESOURCE).require_by(move |_: &RequestHead<'_>| {
        counted.fetch_add(1, Ordering::Relaxed);
        Requirement::token()
    }));
    let token = authority.token().sign();

    app.present(&token).await.assert_pass(); // validated
    app.present(&token).await.assert_pass(); // cached

    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn nested_layers_require_and_name_the_scopes_of_both() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let resource_server = authority.resource_server(RESOURCE);
    let outer = resource_server.require_by(by_method);
    let inner = resource_server.require_by(|_: &RequestHead<'_>| Requirement::scopes(WRITE));
    let service =
        ServiceBuilder::new().layer(outer).layer(inner).service_fn(async |_: Request<Full<Bytes>>| {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });

    for (granted, status, named) in [
        ("orders:read orders:write", StatusCode::OK, None),
        ("orders:read", StatusCode::FORBIDDEN, Some("orders:read orders:write")),
        ("orders:write", StatusCode::FORBIDDEN, Some("orders:read")),
    ] {
        let token = authority.token().scope(granted).sign();

        let response = service.clone().oneshot(with_token(Method::GET, &token)).await.unwrap();

        assert_eq!(response.status(), status, "{granted}");
        let named_in_challenge =
            challenges(&response).first().map(|challenge| challenge.param("scope").map(str::to_owned));
        assert_eq!(named_in_challenge.flatten().as_deref(), named, "{granted}");
    }
}

#[tokio::test]
async fn requirement_of_the_layer_is_named_before_that_of_the_handler() {
    let (authority, app) = server_and_app();
    app.present(&authority.token().scope("orders:read").sign()).await.assert_pass();
    let token = app.last_seen().token.unwrap();

    let refusal = token.require(WRITE).unwrap_err();

    assert_eq!(refusal.scopes(), [READ, WRITE]);
    assert!(token.require(Requirement::deny("not today")).is_err());
    assert!(token.require(Requirement::token()).is_ok());
    assert!(token.require(Requirement::public()).is_ok());
}

#[tokio::test]
async fn rmcp_10_hierarchy_counts_for_policies() {
    const ADMIN: Scope = Scope::from_static("admin");
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.jwt_validator(RESOURCE).build().unwrap();
    let hierarchy = ScopeHierarchy::default().implies(WRITE, [READ]).implies(ADMIN, [WRITE]);
    let resource_server =
        authority.resource_server_with(validator).scope_hierarchy(hierarchy).build().unwrap();
    let app = App::new(resource_server.require_by(by_method));

    app.send(with_token(Method::PUT, &authority.token().scope("admin").sign())).await.assert_pass();
    app.send(with_token(Method::GET, &authority.token().scope("orders:write").sign())).await.assert_pass();
}

#[tokio::test]
async fn scopes_of_a_policy_are_published() {
    struct Listed;

    impl RequirementPolicy for Listed {
        fn requirement(&self, _: &RequestHead<'_>) -> Requirement {
            Requirement::token()
        }

        fn scopes(&self) -> Vec<Scope> {
            vec![READ, WRITE]
        }
    }

    let authority = TestAuthorizationServer::new(ISSUER);
    let resource_server = authority.resource_server(RESOURCE);
    let _ = resource_server.require_by(Listed);
    let _ = resource_server.require_by(Requirement::scopes(ScopeRequirement::any([
        Scope::from_static("c"),
        Scope::from_static("d"),
    ])));

    let scopes = &resource_server.metadata().unwrap()["scopes_supported"];

    assert_eq!(*scopes, serde_json::json!(["orders:read", "orders:write", "c", "d"]));
}

#[tokio::test]
async fn scopes_are_advertised_beside_those_of_the_operation() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let app = App::new(authority.resource_server(RESOURCE).require_by(by_method).advertise([WRITE]));

    let answer = app.send(request(Method::GET)).await;

    answer.assert_challenge(&format!(
        "Bearer scope=\"orders:read orders:write\", resource_metadata=\"{METADATA_URL}\""
    ));
}

#[tokio::test]
async fn baseline_scopes_are_named_for_operations_without_scopes() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.jwt_validator(RESOURCE).build().unwrap();
    let resource_server = authority
        .resource_server_with(validator)
        .resource_metadata(ProtectedResourceMetadata::new(RESOURCE))
        .baseline_scopes([READ])
        .build()
        .unwrap();
    let app = App::new(resource_server.require_by(by_method));

    let answer = app.send(request(Method::POST)).await;

    answer.assert_challenge(&format!("Bearer scope=\"orders:read\", resource_metadata=\"{METADATA_URL}\""));
}

#[tokio::test]
async fn a56_preflight_request_is_decided_by_the_policy_unless_it_is_passed() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let preflight = || {
        let request = Request::options("/orders")
            .header("origin", "https://app.example.com")
            .header("access-control-request-method", "PUT");
        request.body(Full::default()).unwrap()
    };
    let app = App::new(authority.resource_server(RESOURCE).require_by(by_method));
    assert_eq!(app.send(preflight()).await.status, StatusCode::FORBIDDEN);

    let validator = authority.jwt_validator(RESOURCE).build().unwrap();
    let passing =
        authority.resource_server_with(validator).dangerously_pass_cors_preflight().build().unwrap();
    App::new(passing.require_by(by_method)).send(preflight()).await.assert_pass();
}

#[test]
fn a_refusal_wins_when_requirements_are_combined() {
    let denied = Requirement::deny("closed");
    let malformed = Requirement::malformed("two paths");
    let read = Requirement::scopes(READ);

    assert_eq!(Requirement::public().and(Requirement::public()), Requirement::public());
    assert_eq!(Requirement::public().and(Requirement::token()), Requirement::token());
    assert_eq!(Requirement::token().and(Requirement::public()), Requirement::token());
    assert_eq!(Requirement::public().and(READ), read);
    assert_eq!(read.clone().and(Requirement::public()), read);
    assert_eq!(read.clone().and(Requirement::token()), read);
    assert_eq!(read.clone().and(WRITE), Requirement::scopes([READ, WRITE]));
    assert_eq!(read.clone().and(denied.clone()), denied);
    assert_eq!(denied.clone().and(read), denied);
    assert_eq!(denied.and(malformed.clone()), malformed);
}
