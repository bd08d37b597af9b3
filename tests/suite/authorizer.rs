//! Proves when an [`Authorizer`] is asked and what its decision does.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::sync::Semaphore;
use tower::{Layer as _, Service as _, ServiceBuilder, ServiceExt as _, limit::ConcurrencyLimitLayer};
use tower_bearer::{
    Authorizer, RequestHead, Requirement, ResourceServer, ValidatedToken, ValidationError,
    testing::TestAuthorizationServer,
};

use crate::support::{
    App, ISSUER, READ, RESOURCE, assert_reason, plain, poll_once, soon, until, with_authorization,
};

/// Records its input, waits for a permit, and decides by the subject.
#[derive(Clone)]
struct BySubject {
    permits: Arc<Semaphore>,
    asked: Arc<AtomicUsize>,
    shown: Arc<Mutex<Vec<String>>>,
}

impl BySubject {
    fn new(permits: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(permits)), asked: Arc::default(), shown: Arc::default() }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Authorizer for BySubject {
    async fn authorize(
        &self,
        token: &ValidatedToken,
        request: &RequestHead<'_>,
    ) -> Result<(), ValidationError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let has_credentials = request.headers().contains_key("authorization");
        self.shown.lock().unwrap().push(format!(
            "{} {} {has_credentials}",
            request.method(),
            request.uri().path()
        ));
        self.permits.acquire().await.map_err(ValidationError::unavailable)?.forget();
        match token.subject() {
            Some("alice") => Ok(()),
            Some("down") => {
                Err(ValidationError::unavailable("no decision").with_retry_after(Duration::from_secs(7)))
            }
            Some("broken") => Err(ValidationError::internal("no policy")),
            Some("panic") => panic!("on purpose"),
            _ => Err(ValidationError::denied("not alice")),
        }
    }
}

fn resource_server() -> (TestAuthorizationServer, ResourceServer) {
    let authority = TestAuthorizationServer::new(ISSUER);
    let resource_server = authority.resource_server(RESOURCE);
    (authority, resource_server)
}

fn token(authority: &TestAuthorizationServer, subject: &str) -> String {
    authority.token().subject(subject).scope("orders:read").sign()
}

#[tokio::test]
async fn denial_is_403_without_a_challenge() {
    let (authority, resource_server) = resource_server();
    let app = App::new(resource_server.require_scopes(READ).authorizer(BySubject::new(9)));

    app.present(&token(&authority, "alice")).await.assert_pass();
    let mallory = token(&authority, "mallory");
    for _ in 0..2 {
        let answer = app.present(&mallory).await;

        assert_eq!((answer.status, answer.calls), (StatusCode::FORBIDDEN, 0));
        assert!(!answer.headers.contains_key("www-authenticate"));
        assert_reason!(answer, ValidationError::Denied { source, .. } if source.to_string() == "not alice");
    }
}

#[tokio::test]
async fn decision_that_cannot_be_made_is_503_and_a_broken_one_500() {
    let (authority, resource_server) = resource_server();
    let app = App::new(resource_server.require_token().authorizer(BySubject::new(9)));

    let answer = app.present(&token(&authority, "down")).await;
    answer.assert_unavailable();
    assert!((7..=10).contains(&answer.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap()));
    app.present(&token(&authority, "broken")).await.assert_internal();
    app.present(&token(&authority, "panic")).await.assert_internal();
    app.present(&token(&authority, "alice")).await.assert_pass();
}

#[tokio::test]
async fn authorizer_is_asked_for_every_request_after_all_other_checks() {
    let (authority, resource_server) = resource_server();
    let authorizer = BySubject::new(9);
    let app = App::new(resource_server.require_scopes(READ).authorizer(authorizer.clone()));
    let alice = token(&authority, "alice");

    app.present(&alice).await.assert_pass(); // validated
    app.present(&alice).await.assert_pass(); // cached
    assert_eq!(authorizer.asked(), 2);

    app.send(plain()).await.assert_unauthorized();
    app.present("junk").await.assert_invalid_token();
    app.present(&authority.token().subject("alice").expired().sign()).await.assert_invalid_token();
    app.present(&authority.token().subject("alice").scope("").sign())
        .await
        .assert_insufficient_scope("orders:read");
    assert_eq!(authorizer.asked(), 2);
}

#[tokio::test]
async fn anonymous_request_is_not_shown_to_the_authorizer() {
    let (authority, resource_server) = resource_server();
    let authorizer = BySubject::new(9);
    let app = App::new(resource_server.allow_anonymous().authorizer(authorizer.clone()));

    app.send(plain()).await.assert_pass();
    assert_eq!(authorizer.asked(), 0);

    app.present(&token(&authority, "mallory")).await;
    assert_eq!(authorizer.asked(), 1);
}

#[tokio::test]
async fn a44_authorizer_sees_the_head_without_the_token() {
    let (authority, resource_server) = resource_server();
    let authorizer = BySubject::new(9);
    let app = App::new(resource_server.require_token().authorizer(authorizer.clone()));

    app.present(&token(&authority, "alice")).await.assert_pass();

    assert_eq!(*authorizer.shown.lock().unwrap(), ["GET /orders false"]);
    assert_eq!(app.last_seen().token.unwrap().subject(), Some("alice"));
}

#[tokio::test]
async fn each_of_two_nested_layers_asks_its_own_authorizer() {
    let (authority, resource_server) = resource_server();
    let (outer, inner) = (BySubject::new(9), BySubject::new(9));
    let service = ServiceBuilder::new()
        .layer(resource_server.require_token().authorizer(outer.clone()))
        .layer(resource_server.require_by(Requirement::scopes(READ)).authorizer(inner.clone()))
        .service_fn(async |_: Request<Full<bytes::Bytes>>| {
            Ok::<_, std::convert::Infallible>(http::Response::new(Full::<bytes::Bytes>::default()))
        });

    let request = with_authorization(&format!("Bearer {}", token(&authority, "alice")));
    assert_eq!(service.clone().oneshot(request).await.unwrap().status(), StatusCode::OK);
    let request = with_authorization(&format!("Bearer {}", token(&authority, "mallory")));
    assert_eq!(service.oneshot(request).await.unwrap().status(), StatusCode::FORBIDDEN);

    assert_eq!((outer.asked(), inner.asked()), (2, 1));
}

#[tokio::test]
async fn rhttp_07_no_permit_of_the_inner_service_is_held_during_the_decision() {
    let (authority, resource_server) = resource_server();
    let authorizer = BySubject::new(0);
    let limited =
        ConcurrencyLimitLayer::new(1).layer(tower::service_fn(async |_: Request<Full<bytes::Bytes>>| {
            Ok::<_, std::convert::Infallible>(http::Response::new(Full::<bytes::Bytes>::default()))
        }));
    let mut service = resource_server.require_token().authorizer(authorizer.clone()).layer(limited.clone());
    let request = || with_authorization(&format!("Bearer {}", token(&authority, "alice")));

    let mut waiting = Box::pin(service.ready().await.unwrap().call(request()));
    let mut other = Box::pin(service.ready().await.unwrap().call(request()));
    while authorizer.asked() < 2 {
        assert!(poll_once(&mut waiting).await.is_pending());
        assert!(poll_once(&mut other).await.is_pending());
        tokio::task::yield_now().await;
    }

    // The only permit is free.
    let response = soon(limited.oneshot(plain())).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    authorizer.permits.add_permits(2);
    assert_eq!(soon(waiting).await.unwrap().status(), StatusCode::OK);
    assert_eq!(soon(other).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn client_that_leaves_cancels_the_decision() {
    let (authority, resource_server) = resource_server();
    let authorizer = BySubject::new(0);
    let app = App::new(resource_server.require_token().authorizer(authorizer.clone()));
    let token = token(&authority, "alice");

    let request = tokio::spawn({
        let (app, token) = (app.clone(), token.clone());
        async move { app.present(&token).await }
    });
    until(|| authorizer.asked() == 1).await;
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());

    // The cancelled decision takes no permit.
    authorizer.permits.add_permits(1);
    app.present(&token).await.assert_pass();
}

#[tokio::test]
async fn denial_over_grpc_is_permission_denied() {
    let (authority, resource_server) = resource_server();
    let app = App::new(resource_server.require_token().authorizer(BySubject::new(9)).grpc());
    let call = Request::post("/orders.Orders/List")
        .header("content-type", "application/grpc")
        .header("authorization", format!("Bearer {}", token(&authority, "mallory")));

    let answer = app.send(call.body(Full::default()).unwrap()).await;

    assert_eq!((answer.status, answer.calls), (StatusCode::OK, 0));
    assert_eq!(answer.headers["grpc-status"], "7");
}
