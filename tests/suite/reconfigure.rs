//! Proves that the settings of a resource server can be replaced while it serves.

use std::sync::Arc;

use http::{Method, StatusCode};
use tokio::sync::Semaphore;
use tower_bearer::{
    AccessToken, ClaimsSet, PathRules, ProtectedResourceMetadata, Requirement, ResourceServer,
    ResourceServerBuilder, Scope, ScopeHierarchy, TokenValidator, ValidatedToken, ValidationError,
    mcp::McpOperations,
    testing::{ManualClock, TestAuthorizationServer},
};

use crate::support::{App, METADATA_URL, READ, RESOURCE, WRITE, plain, with_authorization};

const OLD: &str = "https://old.example.com";
const NEW: &str = "https://new.example.com";

fn builder(authority: &TestAuthorizationServer) -> ResourceServerBuilder {
    authority
        .resource_server_with(authority.jwt_validator(RESOURCE).build())
        .resource_metadata(ProtectedResourceMetadata::new(RESOURCE))
}

fn bearer(token: &str) -> http::Request<http_body_util::Full<bytes::Bytes>> {
    with_authorization(&format!("Bearer {token}"))
}

#[tokio::test]
async fn every_layer_uses_the_new_validator_and_no_verdict_of_the_old_one() {
    let (old, new) = (TestAuthorizationServer::new(OLD), TestAuthorizationServer::new(NEW));
    let resource_server = builder(&old).build().unwrap();
    let apps = [
        App::new(resource_server.require_token()),
        App::new(resource_server.clone().require_scopes(READ)),
        App::new(resource_server.require_by(Requirement::token()).advertise([WRITE])),
    ];
    let next = builder(&new).build().unwrap();
    let (of_old, of_new) = (old.token().scope("orders:read").sign(), new.token().scope("orders:read").sign());
    for app in &apps {
        app.send(bearer(&of_old)).await.assert_pass();
        app.send(bearer(&of_new)).await.assert_invalid_token();
    }

    resource_server.reconfigure(&next).unwrap();

    for app in &apps {
        app.send(bearer(&of_old)).await.assert_invalid_token();
        app.send(bearer(&of_new)).await.assert_pass();
    }
}

/// Accepts every token once it has a permit.
struct Slow {
    permits: Arc<Semaphore>,
    shares_calls: bool,
}

impl TokenValidator for Slow {
    async fn validate(&self, _: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        self.permits.acquire().await.map_err(ValidationError::unavailable)?.forget();
        Ok(ValidatedToken::from_trusted_claims(ClaimsSet::new()))
    }

    fn shares_calls(&self, _: &AccessToken) -> bool {
        self.shares_calls
    }
}

#[tokio::test]
async fn a_token_that_is_being_validated_is_decided_with_the_new_settings() {
    for shares_calls in [false, true] {
        let new = TestAuthorizationServer::new(NEW);
        let permits = Arc::new(Semaphore::new(0));
        let slow = Slow { permits: Arc::clone(&permits), shares_calls };
        let resource_server = ResourceServer::builder(slow).build().unwrap();
        let app = App::new(resource_server.require_scopes(READ));
        let good = new.token().audience(RESOURCE).scope("orders:read").sign();
        let (of_new, unknown) = (bearer(&good), bearer("opaque"));
        let sender = app.clone();
        let of_new = tokio::spawn(async move { sender.send(of_new).await });
        let sender = app.clone();
        let unknown = tokio::spawn(async move { sender.send(unknown).await });
        tokio::task::yield_now().await;

        let next = ResourceServer::builder(new.jwt_validator(RESOURCE).build()).build().unwrap();
        resource_server.reconfigure(&next).unwrap();
        permits.add_permits(2);

        of_new.await.unwrap().assert_pass();
        unknown.await.unwrap().assert_invalid_token();
    }
}

#[tokio::test]
async fn a_refusal_of_the_old_validator_does_not_count_either() {
    let new = TestAuthorizationServer::new(NEW);
    let permits = Arc::new(Semaphore::new(0));
    let slow = Slow { permits: Arc::clone(&permits), shares_calls: false };
    let resource_server = ResourceServer::builder(slow).build().unwrap();
    let app = App::new(resource_server.require_token());
    let request = bearer(&new.token().audience(RESOURCE).sign());
    let sender = app.clone();
    let answer = tokio::spawn(async move { sender.send(request).await });
    tokio::task::yield_now().await;

    let next = ResourceServer::builder(new.jwt_validator(RESOURCE).build()).build().unwrap();
    resource_server.reconfigure(&next).unwrap();
    permits.close(); // the old validator answers 503

    answer.await.unwrap().assert_pass();
}

#[tokio::test]
async fn a_request_between_two_layers_keeps_the_token_that_the_outer_one_accepted() {
    use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};

    let (old, new) = (TestAuthorizationServer::new(OLD), TestAuthorizationServer::new(NEW));
    let resource_server = builder(&old).build().unwrap();
    let next = builder(&new).build().unwrap();
    let handler = service_fn(|_: http::Request<()>| async {
        Ok::<_, std::convert::Infallible>(
            http::Response::new(http_body_util::Full::<bytes::Bytes>::default()),
        )
    });
    let inner = resource_server.require_scopes(READ).layer(handler);
    let swapped = resource_server.clone();
    let between = service_fn(move |request| {
        swapped.reconfigure(&next).unwrap();
        let mut inner = inner.clone();
        async move { inner.ready().await?.call(request).await }
    });
    let mut service = resource_server.require_token().layer(between);
    let token = old.token().scope("orders:read").sign();

    let request =
        http::Request::get("/").header("authorization", format!("Bearer {token}")).body(()).unwrap();
    let answer = service.ready().await.unwrap().call(request).await.unwrap();

    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn challenges_scopes_clock_and_credentials_follow_the_new_settings() {
    let authority = TestAuthorizationServer::new(OLD);
    let resource_server = builder(&authority).realm("old").build().unwrap();
    let app = App::new(resource_server.require_scopes(READ));
    let writer = authority.token().scope("orders:write").sign();
    app.send(plain()).await.assert_challenge(&format!(
        "Bearer realm=\"old\", scope=\"orders:read\", resource_metadata=\"{METADATA_URL}\""
    ));
    app.send(bearer(&writer)).await.assert_insufficient_scope("orders:read");

    let next = builder(&authority)
        .realm("new")
        .scope_hierarchy(ScopeHierarchy::default().implies(WRITE, [READ]))
        .dangerously_forward_credential();
    resource_server.reconfigure(&next.build().unwrap()).unwrap();

    app.send(plain()).await.assert_challenge(&format!(
        "Bearer realm=\"new\", scope=\"orders:read\", resource_metadata=\"{METADATA_URL}\""
    ));
    app.send(bearer(&writer)).await.assert_pass();
    assert!(app.last_seen().headers.contains_key("authorization"));

    let later = ManualClock::default();
    later.advance(std::time::Duration::from_secs(100 * 365 * 24 * 60 * 60));
    resource_server.reconfigure(&builder(&authority).clock(later).build().unwrap()).unwrap();
    app.send(bearer(&writer)).await.assert_invalid_token();
    assert!(format!("{:?}", resource_server.challenge()).contains("resource_metadata"));
}

#[tokio::test]
async fn policy_of_the_resource_server_is_replaced_with_the_other_settings() {
    let authority = TestAuthorizationServer::new(OLD);
    let rules = |scope: Scope| PathRules::builder().rule([Method::GET], "/orders", scope).build().unwrap();
    let resource_server = builder(&authority).policy(rules(READ)).build().unwrap();
    let app = App::new(resource_server.require_policy().unwrap());
    let reader = authority.token().scope("orders:read").sign();
    app.send(bearer(&reader)).await.assert_pass();
    assert_eq!(scopes_supported(&resource_server), ["orders:read"]);

    resource_server.reconfigure(&builder(&authority).policy(rules(WRITE)).build().unwrap()).unwrap();

    app.send(bearer(&reader)).await.assert_insufficient_scope("orders:write");
    assert_eq!(scopes_supported(&resource_server), ["orders:write"]);
}

#[tokio::test]
async fn operations_of_an_mcp_layer_are_replaced_with_their_limits() {
    let authority = TestAuthorizationServer::new(OLD);
    let operations = |scope: Scope, limit| {
        let operations = McpOperations::builder().tool("list", scope).max_body_bytes(limit);
        operations.connecting(Requirement::public()).build().unwrap()
    };
    let resource_server = builder(&authority).policy(operations(READ, 1_000)).build().unwrap();
    let app = App::new(resource_server.require_mcp_policy().unwrap());
    let reader = authority.token().scope("orders:read").sign();
    let call = || {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list"}}"#;
        let mut request = bearer(&reader).map(|_| body.into());
        *request.method_mut() = Method::POST;
        request.headers_mut().insert("content-type", "application/json".parse().unwrap());
        request
    };
    app.send(call()).await.assert_pass();

    let next = builder(&authority).policy(operations(WRITE, 1_000)).build().unwrap();
    resource_server.reconfigure(&next).unwrap();
    app.send(call()).await.assert_insufficient_scope("orders:write");
    let next = builder(&authority).policy(operations(READ, 10)).build().unwrap();
    resource_server.reconfigure(&next).unwrap();
    assert_eq!(app.send(call()).await.status, StatusCode::FORBIDDEN, "the body is too long to read");

    let other = builder(&authority).policy(Requirement::public()).build().unwrap();
    let error = resource_server.reconfigure(&other).unwrap_err();
    assert_eq!(
        error.to_string(),
        "policy: expected McpOperations, because layers use those of this resource server"
    );
    assert!(other.require_mcp_policy().is_err());
}

fn scopes_supported(resource_server: &ResourceServer) -> Vec<String> {
    serde_json::from_value(resource_server.metadata().unwrap()["scopes_supported"].clone()).unwrap()
}

#[test]
fn published_metadata_is_replaced_and_keeps_the_scopes_of_layers() {
    let (old, new) = (TestAuthorizationServer::new(OLD), TestAuthorizationServer::new(NEW));
    let resource_server = builder(&old).build().unwrap();
    let _layer = resource_server.require_scopes(READ);
    let metadata = ProtectedResourceMetadata::new(RESOURCE).resource_name("Orders");

    let next = builder(&new).resource_metadata(metadata).baseline_scopes([WRITE]).build().unwrap();
    resource_server.reconfigure(&next).unwrap();

    let document = resource_server.metadata().unwrap();
    assert_eq!(document["resource_name"], "Orders");
    assert_eq!(document["authorization_servers"], serde_json::json!([NEW]));
    assert_eq!(scopes_supported(&resource_server), ["orders:write", "orders:read"]);
}

#[tokio::test]
async fn what_cannot_change_while_serving_is_refused_and_nothing_changes() {
    let (old, new) = (TestAuthorizationServer::new(OLD), TestAuthorizationServer::new(NEW));
    let rules = PathRules::builder().rule([Method::GET], "/orders", READ).build().unwrap();
    let resource_server = builder(&old).policy(rules).build().unwrap();
    let app = App::new(resource_server.require_token());
    let of_old = old.token().sign();
    let elsewhere = ProtectedResourceMetadata::new("https://orders.example.com/elsewhere");
    let bare = ResourceServer::builder(new.jwt_validator(RESOURCE).build());

    for (next, problems) in [
        (
            builder(&new).resource_metadata(elsewhere),
            &[
                "policy: expected a policy, because layers use the one of this resource server",
                "resource \"https://orders.example.com/elsewhere\": expected a resource with the metadata paths \
                 /.well-known/oauth-protected-resource, which are mounted already; restart the service to change them",
            ],
        ),
        (
            bare,
            &[
                "policy: expected a policy, because layers use the one of this resource server",
                "resource_metadata: expected metadata, because it is served already; restart the service to remove it",
            ],
        ),
    ] {
        let error = resource_server.reconfigure(&next.build().unwrap()).unwrap_err();

        assert_eq!(error.problems().collect::<Vec<_>>(), problems);
        app.send(bearer(&of_old)).await.assert_pass();
    }

    let error = ResourceServer::builder(old.jwt_validator(RESOURCE).build()).build().unwrap();
    let error = error.require_policy().unwrap_err();
    assert_eq!(error.to_string(), "policy: expected a policy; set it on the builder of the resource server");
}
