//! Which addresses tenants make this program connect to.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, extract::Request, middleware::Next};
use tokio::net::TcpListener;
use tower_bearer::{
    AddressGuard, AuthorizationServer, IntrospectionValidator, JwtValidator, ReqwestClient,
    ResourceServerCredential, Tenant, ValidationError, testing::TestAuthorizationServer,
};

use super::kit::{ACME, Kit};
use crate::support::{RESOURCE, assert_reason};

/// Serves an authorization server on loopback. The number counts its connections' requests.
async fn on_loopback(kit: &Kit) -> (TestAuthorizationServer, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = kit.server(&format!("http://{}", listener.local_addr().unwrap()));
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    let app = Router::new().fallback_service(server.clone()).layer(axum::middleware::from_fn(
        move |request: Request, next: Next| {
            count.fetch_add(1, Ordering::SeqCst);
            next.run(request)
        },
    ));
    tokio::spawn(axum::serve(listener, app).into_future());
    (server, requests)
}

/// A tenant whose authorization server is on loopback, with the client of the resolving validator.
fn tenant(kit: &Kit, server: &TestAuthorizationServer) -> impl Fn() -> Tenant + Send + Sync + 'static {
    let (issuer, clock) = (server.issuer().to_owned(), kit.clock.clone());
    move || {
        let server = AuthorizationServer::discover(&issuer).allow_http_on_loopback();
        Tenant::jwt(JwtValidator::builder(server, RESOURCE).clock(clock.clone())).version(1)
    }
}

#[tokio::test]
async fn a67_tenant_with_an_internal_address_causes_no_connection_by_default() {
    let kit = Kit::new();
    let (server, requests) = on_loopback(&kit).await;
    kit.table.insert(server.issuer(), tenant(&kit, &server));

    let answer = kit.app.present(&server.token().audience(RESOURCE).sign()).await;

    answer.assert_unavailable();
    assert_reason!(answer, ValidationError::KeysUnavailable { reason, .. } if reason.contains("127.0.0.1, which is not on the public internet"));
    assert_eq!(requests.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a67_introspection_at_an_internal_address_causes_no_connection_by_default() {
    let kit = Kit::new();
    let (server, requests) = on_loopback(&kit).await;
    let issuer = server.issuer().to_owned();
    kit.table.insert(server.issuer(), move || {
        let server = AuthorizationServer::discover(&issuer).allow_http_on_loopback();
        let credential = ResourceServerCredential::secret_basic("orders", "s3cret");
        Tenant::introspection(IntrospectionValidator::builder(server, credential, RESOURCE)).version(1)
    });

    kit.app.present(&server.token().audience(RESOURCE).sign()).await.assert_unavailable();

    assert_eq!(requests.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn tenant_with_an_internal_address_that_is_allowed_is_served() {
    let client = ReqwestClient::guarded(AddressGuard::new().allow("127.0.0.0/8")).unwrap();
    let kit = Kit::with(|builder| builder.http_client(client));
    let (server, requests) = on_loopback(&kit).await;
    kit.table.insert(server.issuer(), tenant(&kit, &server));

    kit.app.present(&server.token().audience(RESOURCE).sign()).await.assert_pass();

    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a23_token_of_an_issuer_that_the_resolver_does_not_know_causes_no_connection() {
    // The client could connect to it.
    let client = ReqwestClient::guarded(AddressGuard::new().allow("127.0.0.0/8")).unwrap();
    let kit = Kit::with(|builder| builder.http_client(client));
    let acme = kit.tenant(ACME);
    let (unknown, requests) = on_loopback(&kit).await;

    kit.app.present(&acme.token().sign()).await.assert_pass();
    for token in [unknown.token(), acme.token().claim("iss", unknown.issuer())] {
        let answer = kit.app.present(&token.audience(RESOURCE).sign()).await;
        answer.assert_invalid_token();
        assert_reason!(answer, ValidationError::UnknownIssuer { .. });
    }

    assert_eq!(requests.load(Ordering::SeqCst), 0);
}
