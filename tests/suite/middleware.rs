//! Proves that the layer behaves as a tower layer should: readiness, bodies, errors, other layers and nesting.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    future::{Future, Ready, ready},
    marker::PhantomPinned,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, Bytes};
use http::{HeaderMap, Method, Request, Response, StatusCode, header::AUTHORIZATION};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Empty, Full};
use tower::{
    BoxError, Layer, Service, ServiceBuilder, ServiceExt, buffer::BufferLayer, limit::ConcurrencyLimitLayer,
    service_fn, util::BoxCloneSyncService,
};
use tower_bearer::{
    AccessToken, ClaimsSet, ResourceServer, ScopeRequirement, TokenValidator, ValidatedToken,
    ValidationError,
    testing::{TestAuthorizationServer, bearer, challenges},
};
use tower_http::{cors::CorsLayer, timeout::TimeoutLayer, trace::TraceLayer};

use crate::support::{
    App, DEADLOCK, ISSUER, READ, RESOURCE, UnreadBody, WRITE, http_client, plain, poll_once, settle, soon,
    until, with_authorization,
};

type Incoming = Request<Full<Bytes>>;

fn with_token(token: &str) -> Incoming {
    with_authorization(&format!("Bearer {token}"))
}

async fn orders<B>(_: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"orders"))))
}

mod readiness {
    use super::*;

    /// Panics if it is called without being polled ready first. Clones start out not ready.
    struct RequiresReady {
        is_ready: bool,
        calls: Arc<AtomicUsize>,
    }

    impl RequiresReady {
        fn new() -> (Self, Arc<AtomicUsize>) {
            let calls = Arc::default();
            (Self { is_ready: false, calls: Arc::clone(&calls) }, calls)
        }
    }

    impl Clone for RequiresReady {
        fn clone(&self) -> Self {
            Self { is_ready: false, calls: Arc::clone(&self.calls) }
        }
    }

    impl<B> Service<Request<B>> for RequiresReady {
        type Response = Response<Full<Bytes>>;
        type Error = Infallible;
        type Future = Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            self.is_ready = true;
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<B>) -> Self::Future {
            assert!(self.is_ready, "called before it was polled ready");
            self.is_ready = false;
            self.calls.fetch_add(1, Ordering::SeqCst);
            ready(Ok(Response::new(Full::default())))
        }
    }

    #[tokio::test]
    async fn inner_service_is_polled_ready_before_each_call() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let resource_server = authority.resource_server(RESOURCE);
        let (strict, calls) = RequiresReady::new();
        let mut service = ServiceBuilder::new()
            .layer(resource_server.allow_anonymous())
            .layer(resource_server.allow_anonymous())
            .service(strict);
        let token = authority.token().sign();

        for (request, status) in [
            (with_token(&token), 200), // not cached
            (with_token(&token), 200), // cached
            (plain(), 200),            // anonymous
            (with_token("junk"), 401), // refused after validation
            (with_token("a b"), 400),  // refused before validation
            (with_token(&token), 200), // cached, after refusals
            (plain(), 200),
        ] {
            let ready = ServiceExt::<Incoming>::ready(&mut service).await.unwrap();
            let response = ready.call(request).await.unwrap();

            assert_eq!(response.status(), status);
        }
        assert_eq!(calls.load(Ordering::SeqCst), 5);
    }

    #[tokio::test]
    async fn service_is_ready_again_while_earlier_requests_are_pending() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let (strict, calls) = RequiresReady::new();
        let mut service = authority.resource_server(RESOURCE).require_token().layer(strict);
        authority.hold(&authority.jwks_uri());

        let mut answers: Vec<_> = Vec::new();
        for _ in 0..10 {
            let request = with_token(&authority.token().sign());
            let ready = ServiceExt::<Incoming>::ready(&mut service).await.unwrap();
            let mut answer = Box::pin(ready.call(request));
            assert!(poll_once(&mut answer).await.is_pending());
            answers.push(answer);
        }
        authority.release(&authority.jwks_uri());

        for answer in answers {
            assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
        }
        assert_eq!(calls.load(Ordering::SeqCst), 10);
    }

    /// A validator that waits for `answer()`.
    #[derive(Clone)]
    struct Slow(tokio::sync::watch::Sender<bool>);

    impl Slow {
        fn new() -> Self {
            Self(tokio::sync::watch::Sender::new(false))
        }

        fn answer(&self) {
            self.0.send_replace(true);
        }
    }

    impl TokenValidator for Slow {
        async fn validate(&self, _: &AccessToken) -> Result<ValidatedToken, ValidationError> {
            self.0.subscribe().wait_for(|go| *go).await.map_err(|_| ValidationError::Inactive)?;
            Ok(ValidatedToken::from_trusted_claims(ClaimsSet::new()))
        }
    }

    #[tokio::test]
    async fn rhttp_07_request_in_validation_holds_no_permit() {
        let slow = Slow::new();
        let resource_server = ResourceServer::builder(slow.clone()).build().unwrap();
        let mut service = ServiceBuilder::new()
            .layer(resource_server.allow_anonymous())
            .layer(ConcurrencyLimitLayer::new(1))
            .service_fn(orders::<Full<Bytes>>);
        let mut waiting = Box::pin(service.ready().await.unwrap().call(with_token("token")));
        assert!(poll_once(&mut waiting).await.is_pending());

        // Through the same service, and through a clone.
        let answer = soon(service.ready()).await.unwrap().call(plain()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(soon(service.clone().oneshot(plain())).await.unwrap().status(), StatusCode::OK);
        assert!(poll_once(&mut waiting).await.is_pending());

        slow.answer();
        assert_eq!(soon(waiting).await.unwrap().status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn rhttp_07_request_that_is_never_polled_holds_no_permit() {
        let slow = Slow::new();
        let resource_server = ResourceServer::builder(slow).build().unwrap();
        let mut service = ServiceBuilder::new()
            .layer(resource_server.allow_anonymous())
            .layer(ConcurrencyLimitLayer::new(1))
            .service_fn(orders::<Full<Bytes>>);

        let waiting = service.ready().await.unwrap().call(with_token("token"));

        assert_eq!(soon(service.clone().oneshot(plain())).await.unwrap().status(), StatusCode::OK);
        drop(waiting);
    }

    #[tokio::test]
    async fn rhttp_07_refusal_holds_no_permit() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let resource_server = authority.resource_server(RESOURCE);
        let token = authority.token().scope("orders:read").sign();
        let cached = authority.token().sign();
        for request in
            [plain(), with_token("a b"), with_token("junk"), with_token(&cached), with_token(&cached)]
        {
            let mut service = ServiceBuilder::new()
                .layer(resource_server.require_scopes(READ))
                .layer(ConcurrencyLimitLayer::new(1))
                .service_fn(orders::<Full<Bytes>>);
            let refused = service.ready().await.unwrap().call(request);

            let other = soon(service.clone().oneshot(with_token(&token))).await.unwrap();

            assert_eq!(other.status(), StatusCode::OK);
            assert!(refused.await.unwrap().status().is_client_error());
        }
    }

    #[tokio::test]
    async fn cancelled_request_returns_its_permit() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let resource_server = authority.resource_server(RESOURCE);
        let entered = Arc::new(AtomicUsize::new(0));
        let go = tokio::sync::watch::Sender::new(false);
        let inner = {
            let (entered, go) = (Arc::clone(&entered), go.clone());
            service_fn(move |_: Incoming| {
                entered.fetch_add(1, Ordering::SeqCst);
                let mut go = go.subscribe();
                async move {
                    go.wait_for(|go| *go).await.unwrap();
                    Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
                }
            })
        };
        let service = ServiceBuilder::new()
            .layer(resource_server.require_token())
            .layer(ConcurrencyLimitLayer::new(1))
            .service(inner);
        let present = || tokio::spawn(service.clone().oneshot(with_token(&authority.token().sign())));
        let (inside, queued, last) = (present(), present(), present());
        until(|| entered.load(Ordering::SeqCst) == 1).await;
        settle().await;

        queued.abort();
        inside.abort();
        go.send_replace(true);

        assert_eq!(soon(last).await.unwrap().unwrap().status(), StatusCode::OK);
    }

    type Stack = BoxCloneSyncService<Incoming, StatusCode, BoxError>;

    /// Returns services with the layer, limits of one permit and buffers, in every sensible order.
    fn stacks(resource_server: &ResourceServer) -> Vec<(&'static str, Stack)> {
        fn boxed<S, R>(service: S) -> Stack
        where
            S: Service<Incoming, Response = Response<R>> + Clone + Send + Sync + 'static,
            S::Error: Into<BoxError>,
            S::Future: Send + 'static,
            R: 'static,
        {
            let service = service.map_response(|response| response.status()).map_err(Into::into);
            BoxCloneSyncService::new(service)
        }
        let layer = || resource_server.require_token();
        let limit = || ConcurrencyLimitLayer::new(1);
        let buffer = || BufferLayer::<Incoming>::new(1);
        let builder = ServiceBuilder::new;
        let inner = || service_fn(orders::<Full<Bytes>>);
        vec![
            ("limit inside", boxed(builder().layer(layer()).layer(limit()).service(inner()))),
            ("limit outside", boxed(builder().layer(limit()).layer(layer()).service(inner()))),
            ("buffer inside", boxed(builder().layer(layer()).layer(buffer()).service(inner()))),
            ("buffer outside", boxed(builder().layer(buffer()).layer(layer()).service(inner()))),
            (
                "buffer around limit inside",
                boxed(builder().layer(layer()).layer(buffer()).layer(limit()).service(inner())),
            ),
            (
                "limit around buffer inside",
                boxed(builder().layer(layer()).layer(limit()).layer(buffer()).service(inner())),
            ),
            (
                "buffer outside, limit inside",
                boxed(builder().layer(buffer()).layer(layer()).layer(limit()).service(inner())),
            ),
            (
                "buffers outside and inside, limit inside",
                boxed(
                    builder().layer(buffer()).layer(layer()).layer(buffer()).layer(limit()).service(inner()),
                ),
            ),
            (
                "two layers, limits between and inside",
                boxed(builder().layer(layer()).layer(limit()).layer(layer()).layer(limit()).service(inner())),
            ),
            (
                "everything combined",
                boxed(
                    builder()
                        .layer(buffer())
                        .layer(limit())
                        .layer(layer())
                        .layer(buffer())
                        .layer(layer())
                        .layer(limit())
                        .service(inner()),
                ),
            ),
        ]
    }

    #[tokio::test]
    async fn new_cached_and_invalid_tokens_do_not_deadlock_with_one_permit() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let names: Vec<_> =
            stacks(&authority.resource_server(RESOURCE)).into_iter().map(|(name, _)| name).collect();
        for (index, name) in names.into_iter().enumerate() {
            let resource_server = authority.resource_server(RESOURCE);
            let (_, stack) = stacks(&resource_server).swap_remove(index);
            let cached = authority.token().sign();
            let requests = (0..300).map(|number| match number % 4 {
                0 => (plain(), 401),
                1 => (with_token(&cached), 200),
                2 => (with_token(&format!("junk-{number}")), 401),
                _ => (with_token(&authority.token().sign()), 200),
            });

            let answers: Vec<_> = requests
                .map(|(request, status)| (tokio::spawn(stack.clone().oneshot(request)), status))
                .collect();

            for (answer, status) in answers {
                assert_eq!(soon(answer).await.unwrap().unwrap(), status, "{name}");
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn new_and_cached_tokens_do_not_deadlock_with_several_threads() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let resource_server = authority.resource_server(RESOURCE);
        for (name, stack) in stacks(&resource_server) {
            let cached = authority.token().sign();
            let answers: Vec<_> = (0..200)
                .map(|number| {
                    let token = if number % 2 == 0 { cached.clone() } else { authority.token().sign() };
                    tokio::spawn(stack.clone().oneshot(with_token(&token)))
                })
                .collect();

            for answer in answers {
                assert_eq!(soon(answer).await.unwrap().unwrap(), StatusCode::OK, "{name}");
            }
        }
    }

    #[tokio::test]
    async fn hanging_validations_do_not_block_other_requests_in_a_buffer() {
        let slow = Slow::new();
        let resource_server = ResourceServer::builder(slow.clone()).build().unwrap();
        let service = ServiceBuilder::new()
            .layer(BufferLayer::<Incoming>::new(1))
            .layer(resource_server.allow_anonymous())
            .layer(ConcurrencyLimitLayer::new(1))
            .service_fn(orders::<Full<Bytes>>);
        let waiting: Vec<_> = (0..100)
            .map(|number| tokio::spawn(service.clone().oneshot(with_token(&format!("token-{number}")))))
            .collect();
        settle().await;

        let answer = soon(service.clone().oneshot(plain())).await.unwrap();

        assert_eq!(answer.status(), StatusCode::OK);
        slow.answer();
        for answer in waiting {
            assert_eq!(soon(answer).await.unwrap().unwrap().status(), StatusCode::OK);
        }
    }

    /// Is ready for the first `from` polls and then fails. Clones share the number of polls.
    #[derive(Clone)]
    struct Failing {
        polls: Arc<AtomicUsize>,
        from: usize,
    }

    impl<B> Service<Request<B>> for Failing {
        type Response = Response<Full<Bytes>>;
        type Error = &'static str;
        type Future = Ready<Result<Self::Response, &'static str>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
            let number = self.polls.fetch_add(1, Ordering::SeqCst);
            Poll::Ready(if number < self.from { Ok(()) } else { Err("broken") })
        }

        fn call(&mut self, _: Request<B>) -> Self::Future {
            ready(Err("failed"))
        }
    }

    #[tokio::test]
    async fn errors_of_the_inner_service_are_passed_on() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let resource_server = authority.resource_server(RESOURCE);
        let token = authority.token().sign();
        // A new token is validated between two polls of the inner service (rows 1 to 3), a cached token after one poll.
        for (from, request, error) in [
            (0, with_token(&token), "broken"),
            (1, with_token(&token), "broken"),
            (2, with_token(&authority.token().sign()), "failed"),
            (0, with_token(&token), "broken"),
            (1, with_token(&token), "failed"),
        ] {
            let inner = Failing { polls: Arc::default(), from };
            let service = resource_server.require_token().layer(inner);

            assert_eq!(service.oneshot(request).await.unwrap_err(), error, "{from}");
        }
    }

    #[tokio::test]
    async fn refused_request_does_not_poll_the_inner_service_again() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let polls = Arc::<AtomicUsize>::default();
        let inner = Failing { polls: Arc::clone(&polls), from: 1 };
        let service = authority.resource_server(RESOURCE).require_token().layer(inner);

        let response = service.oneshot(with_token("junk")).await.unwrap();

        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(polls.load(Ordering::SeqCst), 1);
    }
}

mod types {
    use super::*;

    #[tokio::test]
    async fn services_bodies_and_futures_need_not_be_send() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let seen = Rc::new(RefCell::new(Vec::new()));
        let inner = {
            let seen = Rc::clone(&seen);
            service_fn(move |request: Request<Rc<str>>| {
                seen.borrow_mut().push(request.into_body());
                let rc = Rc::new(());
                async move {
                    tokio::task::yield_now().await;
                    drop(rc);
                    Ok::<_, Rc<str>>(Response::new(Cell::new(7)))
                }
            })
        };
        let service = authority.resource_server(RESOURCE).require_token().layer(inner);

        let request = with_token(&authority.token().sign()).map(|_| Rc::from("body"));
        let response = service.oneshot(request).await.unwrap();

        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(*seen.borrow(), [Rc::from("body")]);
    }

    #[tokio::test]
    async fn services_and_bodies_may_borrow() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let calls = Cell::new(0);
        let text = String::from("borrowed");
        let inner = service_fn(|request: Request<&str>| {
            calls.set(calls.get() + 1);
            let length = request.into_body().len();
            async move { Ok::<_, Infallible>(Response::new(length)) }
        });
        let service = authority.resource_server(RESOURCE).require_token().layer(inner);

        let request = with_token(&authority.token().sign()).map(|_| text.as_str());
        service.oneshot(request).await.unwrap();

        assert_eq!(calls.get(), 1);
    }

    #[tokio::test]
    async fn futures_of_the_inner_service_need_not_be_unpin() {
        #[derive(Clone)]
        struct PinnedService;

        struct PinnedFuture(PhantomPinned);

        impl Future for PinnedFuture {
            type Output = Result<Response<()>, Infallible>;

            fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
                Poll::Ready(Ok(Response::new(())))
            }
        }

        impl<B> Service<Request<B>> for PinnedService {
            type Response = Response<()>;
            type Error = Infallible;
            type Future = PinnedFuture;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, _: Request<B>) -> PinnedFuture {
                PinnedFuture(PhantomPinned)
            }
        }

        let authority = TestAuthorizationServer::new(ISSUER);
        let service = authority.resource_server(RESOURCE).require_token().layer(PinnedService);

        let response = service.oneshot(with_token(&authority.token().sign())).await.unwrap();

        assert_eq!(response.status(), StatusCode::OK);
    }

    #[test]
    fn layer_service_and_future_are_send() {
        fn is_send<T: Send>(_: &T) {}
        fn is_send_and_sync<T: Send + Sync>(_: &T) {}

        let authority = TestAuthorizationServer::new(ISSUER);
        let layer = authority.resource_server(RESOURCE).require_token();
        is_send_and_sync(&layer);
        let mut service = layer.layer(service_fn(orders::<Full<Bytes>>));
        is_send_and_sync(&service);
        is_send(&service.call(plain()));
    }

    /// Body data of a type other than `Bytes`.
    #[derive(Debug)]
    struct Chunk(Vec<u8>, usize);

    impl From<Bytes> for Chunk {
        fn from(bytes: Bytes) -> Self {
            Self(bytes.into(), 0)
        }
    }

    impl Buf for Chunk {
        fn remaining(&self) -> usize {
            self.0.len() - self.1
        }

        fn chunk(&self) -> &[u8] {
            &self.0[self.1..]
        }

        fn advance(&mut self, count: usize) {
            self.1 += count;
        }
    }

    /// A body of two chunks, trailers and an error.
    #[derive(Debug, Default)]
    struct Chunks(u8);

    impl Body for Chunks {
        type Data = Chunk;
        type Error = &'static str;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Chunk>, &'static str>>> {
            self.0 += 1;
            Poll::Ready(match self.0 {
                1 => Some(Ok(Frame::data(Chunk(b"or".to_vec(), 0)))),
                2 => Some(Ok(Frame::data(Chunk(b"ders".to_vec(), 0)))),
                3 => Some(Ok(Frame::trailers(HeaderMap::from_iter([(
                    http::header::ETAG,
                    "\"x\"".parse().unwrap(),
                )])))),
                4 => Some(Err("connection lost")),
                _ => None,
            })
        }

        fn is_end_stream(&self) -> bool {
            self.0 > 4
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(6)
        }
    }

    #[tokio::test]
    async fn response_body_is_passed_on_frame_by_frame() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let inner = service_fn(|_: Incoming| async { Ok::<_, Infallible>(Response::new(Chunks::default())) });
        let service = authority.resource_server(RESOURCE).require_token().layer(inner);

        let response = service.oneshot(with_token(&authority.token().sign())).await.unwrap();

        let mut body = response.into_body();
        assert_eq!(body.size_hint().exact(), Some(6));
        assert!(!body.is_end_stream());
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().chunk(), b"or");
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().chunk(), b"ders");
        assert_eq!(body.frame().await.unwrap().unwrap().into_trailers().unwrap()["etag"], "\"x\"");
        assert_eq!(body.frame().await.unwrap().unwrap_err(), "connection lost");
        assert!(body.frame().await.is_none());
        assert!(body.is_end_stream());
    }

    #[tokio::test]
    async fn refusal_body_has_the_data_type_of_the_inner_service() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let inner = service_fn(|_: Incoming| async { Ok::<_, Infallible>(Response::new(Chunks::default())) });
        let service = authority.resource_server(RESOURCE).require_token().layer(inner);

        let response = service.oneshot(plain()).await.unwrap();

        let length: u64 = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
        let body = response.into_body();
        assert_eq!(body.size_hint().exact(), Some(length));
        let text = body.collect().await.unwrap().to_bytes();
        let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!((json["status"].as_u64(), text.len() as u64), (Some(401), length));
    }

    #[tokio::test]
    async fn refusal_does_not_read_the_request_body() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let service =
            authority.resource_server(RESOURCE).require_token().layer(service_fn(orders::<UnreadBody>));

        for request in [plain(), with_token("junk")] {
            let response = service.clone().oneshot(request.map(|_| UnreadBody)).await.unwrap();

            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        }
    }
}

mod other_layers {
    use super::*;

    #[tokio::test]
    async fn tower_http_layers_work_inside_and_outside() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let timeout = || TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, DEADLOCK);
        let service = ServiceBuilder::new()
            .layer(TraceLayer::new_for_http())
            .layer(CorsLayer::permissive())
            .layer(timeout())
            .layer(authority.resource_server(RESOURCE).require_token())
            .layer(CorsLayer::permissive())
            .layer(timeout())
            .service_fn(orders::<Full<Bytes>>);

        let passed = service.clone().oneshot(with_token(&authority.token().sign())).await.unwrap();
        let refused = service.oneshot(plain()).await.unwrap();

        assert_eq!(passed.status(), StatusCode::OK);
        assert_eq!(passed.into_body().collect().await.unwrap().to_bytes(), "orders");
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(challenges(&refused), [bearer()]);
    }

    #[tokio::test]
    async fn layers_that_wrap_the_body_work_inside_and_outside() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let service = ServiceBuilder::new()
            .layer(TraceLayer::new_for_http())
            .layer(authority.resource_server(RESOURCE).require_token())
            .layer(TraceLayer::new_for_http())
            .service_fn(orders::<Full<Bytes>>);

        let passed = service.clone().oneshot(with_token(&authority.token().sign())).await.unwrap();
        let refused = service.oneshot(plain()).await.unwrap();

        assert_eq!(passed.into_body().collect().await.unwrap().to_bytes(), "orders");
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    }

    fn preflight() -> Incoming {
        Request::builder()
            .method(Method::OPTIONS)
            .header("origin", "https://app.example.com")
            .header("access-control-request-method", "GET")
            .body(Full::default())
            .unwrap()
    }

    #[tokio::test]
    async fn outer_cors_layer_answers_the_preflight() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let service = ServiceBuilder::new()
            .layer(CorsLayer::permissive())
            .layer(authority.resource_server(RESOURCE).require_token())
            .service_fn(orders::<Full<Bytes>>);

        let response = service.oneshot(preflight()).await.unwrap();

        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.headers().contains_key("access-control-allow-methods"));
    }

    #[tokio::test]
    async fn inner_cors_layer_answers_the_preflight_if_configured() {
        let authority = TestAuthorizationServer::new(ISSUER);
        for (passes, status) in [(true, StatusCode::OK), (false, StatusCode::UNAUTHORIZED)] {
            let validator = authority.jwt_validator(RESOURCE).build().unwrap();
            let builder = authority.resource_server_with(validator);
            let builder = if passes { builder.dangerously_pass_cors_preflight() } else { builder };
            let resource_server = builder.build().unwrap();
            let service = ServiceBuilder::new()
                .layer(resource_server.require_token())
                .layer(CorsLayer::permissive())
                .service_fn(|_: Incoming| async {
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"inner service"))))
                });

            let response = service.oneshot(preflight()).await.unwrap();

            assert_eq!(response.status(), status);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_ne!(body, "inner service");
        }
    }

    #[tokio::test]
    async fn outer_timeout_does_not_cancel_the_key_fetch() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let timeout = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_millis(50));
        let service = ServiceBuilder::new()
            .layer(timeout)
            .layer(authority.resource_server(RESOURCE).require_token())
            .service_fn(orders::<Full<Bytes>>);
        authority.hold(&authority.jwks_uri());
        let answer = service.clone().oneshot(with_token(&authority.token().sign())).await.unwrap();
        assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
        authority.release(&authority.jwks_uri());
        settle().await;

        let answer = service.oneshot(with_token(&authority.token().sign())).await.unwrap();

        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(authority.key_fetches(), 1);
    }
}

mod over_a_socket {
    use std::net::SocketAddr;

    use hyper_util::{
        rt::{TokioExecutor, TokioIo},
        server::conn::auto,
        service::TowerToHyperService,
    };
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    async fn serve(authority: &TestAuthorizationServer) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = ServiceBuilder::new()
            .layer(authority.resource_server(RESOURCE).require_token())
            .service_fn(orders::<hyper::body::Incoming>);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(service.clone());
                tokio::spawn(async move {
                    auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await
                        .map_err(drop)
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn hyper_serves_the_layer_over_http_1() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let url = format!("http://{}/", serve(&authority).await);

        let refused = http_client().get(&url).send().await.unwrap();
        let passed = http_client().get(&url).bearer_auth(authority.token().sign()).send().await.unwrap();

        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        assert!(refused.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer "));
        assert_eq!(passed.status(), StatusCode::OK);
        assert_eq!(passed.text().await.unwrap(), "orders");
    }

    #[tokio::test]
    async fn hyper_serves_the_layer_over_http_2() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let url = format!("http://{}/", serve(&authority).await);
        let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();

        let refused = client.get(&url).send().await.unwrap();
        let passed = client.get(&url).bearer_auth(authority.token().sign()).send().await.unwrap();

        assert_eq!((refused.status(), refused.version()), (StatusCode::UNAUTHORIZED, http::Version::HTTP_2));
        assert_eq!(passed.text().await.unwrap(), "orders");
    }

    /// Reads one response with a `content-length` and returns its head in lower case.
    async fn read_response(stream: &mut TcpStream) -> String {
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n\r\n") {
            text.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(text).unwrap().to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        head
    }

    #[tokio::test]
    async fn connection_stays_usable_after_a_refusal() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let mut stream = TcpStream::connect(serve(&authority).await).await.unwrap();
        let token = authority.token().sign();

        for (authorization, status) in [
            (String::new(), "http/1.1 401"),
            (format!("authorization: Bearer {token}\r\n"), "http/1.1 200"),
            ("authorization: Bearer a b\r\n".to_owned(), "http/1.1 400"),
            (format!("authorization: Bearer {token}\r\n"), "http/1.1 200"),
        ] {
            let request =
                format!("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n{authorization}\r\nbody");
            stream.write_all(request.as_bytes()).await.unwrap();

            let head = read_response(&mut stream).await;

            assert!(head.starts_with(status), "{head}");
        }
    }

    #[tokio::test]
    async fn refusal_does_not_wait_for_a_large_upload() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let mut stream = TcpStream::connect(serve(&authority).await).await.unwrap();

        let head = "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1073741824\r\n\r\nfirst bytes of 1 GiB";
        stream.write_all(head.as_bytes()).await.unwrap();
        let head = read_response(&mut stream).await;

        assert!(head.starts_with("http/1.1 401"), "{head}");
    }
}

mod nested_layers {
    use super::*;

    /// Accepts every token except `bad`, with this subject and these scopes, and counts the calls.
    #[derive(Clone)]
    struct AcceptAll {
        subject: &'static str,
        scopes: &'static str,
        calls: Arc<AtomicUsize>,
    }

    impl TokenValidator for AcceptAll {
        async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
            self.calls.fetch_add(1, Ordering::SeqCst);
            match token.expose() {
                "bad" => Err(ValidationError::Inactive),
                _ => Ok(ValidatedToken::from_trusted_claims(
                    ClaimsSet::new().with_subject(self.subject).with_scopes(self.scopes),
                )),
            }
        }
    }

    fn accept_all(subject: &'static str, scopes: &'static str) -> (AcceptAll, Arc<AtomicUsize>) {
        let calls = Arc::default();
        (AcceptAll { subject, scopes, calls: Arc::clone(&calls) }, calls)
    }

    /// Subject and `Authorization` field of each request that reached the innermost service.
    type Seen = Arc<Mutex<Vec<(Option<String>, Option<http::HeaderValue>)>>>;

    fn recording() -> (
        impl Service<Incoming, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
        Seen,
    ) {
        let seen = Seen::default();
        let inner = {
            let seen = Arc::clone(&seen);
            service_fn(move |request: Incoming| {
                let token = request.extensions().get::<ValidatedToken>();
                let subject = token.and_then(|token| token.subject().map(str::to_owned));
                seen.lock().unwrap().push((subject, request.headers().get(AUTHORIZATION).cloned()));
                orders(request)
            })
        };
        (inner, seen)
    }

    #[tokio::test]
    async fn nested_layers_of_one_resource_server_validate_once() {
        let (validator, calls) = accept_all("alice", "orders:read orders:write");
        let resource_server = ResourceServer::builder(validator).build().unwrap();
        let (inner, seen) = recording();
        let service = ServiceBuilder::new()
            .layer(resource_server.require_token())
            .layer(resource_server.require_scopes(READ))
            .layer(resource_server.allow_anonymous())
            .layer(resource_server.clone().require_scopes(WRITE))
            .service(inner);

        let response = service.oneshot(with_token("token")).await.unwrap();

        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        assert_eq!(*seen.lock().unwrap(), [(Some("alice".to_owned()), None)]);
    }

    #[tokio::test]
    async fn challenge_of_a_403_names_the_scopes_of_all_guards_outermost_first() {
        const ADMIN: tower_bearer::Scope = tower_bearer::Scope::from_static("admin");
        let (validator, _) = accept_all("alice", "orders:read orders:write");
        let resource_server = ResourceServer::builder(validator).build().unwrap();
        let service = ServiceBuilder::new()
            .layer(resource_server.require_scopes(WRITE))
            .layer(resource_server.require_token())
            .layer(resource_server.require_scopes([READ, WRITE]))
            .layer(resource_server.require_scopes(ScopeRequirement::any([ADMIN, READ]).and(ADMIN)))
            .service_fn(orders::<Full<Bytes>>);

        let response = service.oneshot(with_token("token")).await.unwrap();

        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        let expected = bearer().error("insufficient_scope").scope("orders:write orders:read admin");
        assert_eq!(challenges(&response), [expected]);
    }

    #[tokio::test]
    async fn token_without_the_scope_of_the_outer_guard_does_not_reach_the_inner_one() {
        let (validator, _) = accept_all("alice", "orders:write");
        let resource_server = ResourceServer::builder(validator).build().unwrap();
        let service = ServiceBuilder::new()
            .layer(resource_server.require_scopes(READ))
            .layer(resource_server.require_scopes(WRITE))
            .service_fn(orders::<Full<Bytes>>);

        let response = service.oneshot(with_token("token")).await.unwrap();

        assert_eq!(challenges(&response), [bearer().error("insufficient_scope").scope("orders:read")]);
    }

    #[tokio::test]
    async fn guard_inside_an_optional_layer_refuses_anonymous_requests() {
        let (validator, _) = accept_all("alice", "orders:read");
        let resource_server = ResourceServer::builder(validator).build().unwrap();
        let service = ServiceBuilder::new()
            .layer(resource_server.allow_anonymous())
            .layer(resource_server.require_scopes(READ))
            .service_fn(orders::<Full<Bytes>>);

        let refused = service.clone().oneshot(plain()).await.unwrap();
        let passed = service.oneshot(with_token("token")).await.unwrap();

        assert_eq!(challenges(&refused), [bearer().scope("orders:read")]);
        assert_eq!(passed.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn challenge_of_a_401_names_the_scopes_of_the_outermost_layer() {
        let (validator, _) = accept_all("alice", "orders:read");
        let resource_server = ResourceServer::builder(validator).baseline_scopes([READ]).build().unwrap();
        let service = ServiceBuilder::new()
            .layer(resource_server.require_token())
            .layer(resource_server.require_scopes(WRITE))
            .service_fn(orders::<Full<Bytes>>);

        let response = service.oneshot(plain()).await.unwrap();

        assert_eq!(challenges(&response), [bearer().scope("orders:read")]);
    }

    #[tokio::test]
    async fn inner_resource_server_finds_no_credentials() {
        let (outer, _) = accept_all("outer", "");
        let (inner, calls) = accept_all("inner", "");
        let service = ServiceBuilder::new()
            .layer(ResourceServer::builder(outer).build().unwrap().require_token())
            .layer(ResourceServer::builder(inner).build().unwrap().require_token())
            .service_fn(orders::<Full<Bytes>>);

        let response = service.oneshot(with_token("token")).await.unwrap();

        assert_eq!((response.status(), challenges(&response).len()), (StatusCode::UNAUTHORIZED, 1));
        assert_eq!(challenges(&response), [bearer()]);
        assert_eq!(calls.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn inner_resource_server_validates_forwarded_credentials() {
        let (outer, outer_calls) = accept_all("outer", "");
        let (inner, inner_calls) = accept_all("inner", "");
        let (recorder, seen) = recording();
        let service = ServiceBuilder::new()
            .layer(
                ResourceServer::builder(outer)
                    .dangerously_forward_credential()
                    .build()
                    .unwrap()
                    .require_token(),
            )
            .layer(ResourceServer::builder(inner).build().unwrap().require_token())
            .service(recorder);

        let response = service.oneshot(with_token("token")).await.unwrap();

        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!([&outer_calls, &inner_calls].map(|calls| calls.load(Ordering::SeqCst)), [1, 1]);
        assert_eq!(*seen.lock().unwrap(), [(Some("inner".to_owned()), None)]);
    }

    #[tokio::test]
    async fn token_validated_by_an_outer_resource_server_is_not_visible_to_the_inner_one() {
        let (outer, _) = accept_all("outer", "orders:read");
        let (inner, _) = accept_all("inner", "");
        let outer = ResourceServer::builder(outer).build().unwrap();
        let inner = ResourceServer::builder(inner).build().unwrap();
        let (recorder, seen) = recording();

        // The credentials were removed, so for the inner resource server the request is anonymous.
        let service = ServiceBuilder::new()
            .layer(outer.require_token())
            .layer(inner.allow_anonymous())
            .service(recorder);
        service.oneshot(with_token("token")).await.unwrap();

        assert_eq!(*seen.lock().unwrap(), [(None, None)]);
    }
}

mod optional {
    use super::*;

    fn app() -> (TestAuthorizationServer, App) {
        let authority = TestAuthorizationServer::new(ISSUER);
        let app = App::new(authority.resource_server(RESOURCE).allow_anonymous());
        (authority, app)
    }

    #[tokio::test]
    async fn request_without_credentials_passes_anonymously() {
        let (_authority, app) = app();

        app.send(plain()).await.assert_pass();

        assert!(app.last_seen().token.is_none());
    }

    #[tokio::test]
    async fn credentials_of_another_scheme_pass_anonymously_unchanged() {
        let (_authority, app) = app();

        app.send(with_authorization("Basic YWxpY2U6c2VjcmV0")).await.assert_pass();

        assert!(app.last_seen().token.is_none());
        assert_eq!(app.last_seen().headers["authorization"], "Basic YWxpY2U6c2VjcmV0");
    }

    #[tokio::test]
    async fn valid_token_passes_with_its_claims() {
        let (authority, app) = app();

        app.present(&authority.token().sign()).await.assert_pass();

        assert_eq!(app.last_seen().token.unwrap().subject(), Some("alice"));
        assert!(!app.last_seen().headers.contains_key(AUTHORIZATION));
    }

    #[tokio::test]
    async fn invalid_credentials_are_refused() {
        let (authority, app) = app();

        app.present("junk").await.assert_invalid_token();
        app.present(&authority.token().claim("exp", 1).sign()).await.assert_invalid_token();
        app.present(&authority.token().audience("https://other.example").sign()).await.assert_invalid_token();
        app.send(with_authorization("Bearer")).await.assert_invalid_request();
        app.send(with_authorization("Bearer a b")).await.assert_invalid_request();
        app.send(crate::support::with_authorizations(&[b"Basic YTpi", b"Bearer x"]))
            .await
            .assert_invalid_request();
    }

    #[tokio::test]
    async fn outage_does_not_make_a_request_anonymous() {
        let (authority, app) = app();
        authority.go_down();

        app.present(&authority.token().sign()).await.assert_unavailable();
    }
}

mod credentials {
    use super::*;

    fn app(forward: bool) -> (TestAuthorizationServer, App) {
        let authority = TestAuthorizationServer::new(ISSUER);
        let builder = authority.resource_server_with(authority.jwt_validator(RESOURCE).build().unwrap());
        let builder = if forward { builder.dangerously_forward_credential() } else { builder };
        let app = App::new(builder.build().unwrap().require_token());
        (authority, app)
    }

    #[tokio::test]
    async fn credentials_are_removed_for_new_and_cached_tokens() {
        let (authority, app) = app(false);
        let token = authority.token().sign();

        for _ in 0..2 {
            app.present(&token).await.assert_pass();

            assert!(!app.last_seen().headers.contains_key(AUTHORIZATION));
        }
    }

    #[tokio::test]
    async fn forwarded_credentials_are_marked_sensitive() {
        let (authority, app) = app(true);
        let token = authority.token().sign();

        for _ in 0..2 {
            app.present(&token).await.assert_pass();

            let seen = app.last_seen();
            assert_eq!(seen.headers["authorization"], format!("Bearer {token}"));
            assert!(seen.headers["authorization"].is_sensitive());
            assert!(!format!("{seen:?}").contains(&token));
        }
    }

    #[tokio::test]
    async fn debug_output_of_the_middleware_does_not_show_the_token() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let layer = authority.resource_server(RESOURCE).require_token();
        let mut service = layer.layer(service_fn(orders::<Empty<Bytes>>));
        let token = authority.token().sign();

        let response = service.call(with_token(&token).map(|_| Empty::new()));

        let shown = format!("{layer:?} {:?} {response:?}", layer.layer(()));
        assert!(!shown.contains(&token), "{shown}");
    }
}

mod order_of_checks {
    use super::*;

    #[tokio::test]
    async fn expired_token_without_the_scope_is_401() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let app = App::new(authority.resource_server(RESOURCE).require_scopes(READ));

        app.present(&authority.token().claim("exp", 1).sign()).await.assert_invalid_token();
    }

    #[tokio::test]
    async fn checks_run_in_the_documented_order() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let app = App::new(authority.resource_server(RESOURCE).require_scopes(READ));
        app.present(&authority.token().sign()).await.assert_insufficient_scope("orders:read");
        // The token starts invalid in every respect and is then corrected one check at a time.
        let mut token = authority
            .token()
            .header("typ", "JWT")
            .header("kid", "unknown")
            .claim("exp", 1)
            .audience("https://other.example")
            .claim("cnf", serde_json::json!({"jkt": "x"}))
            .issuer("https://evil.example")
            .signature([0x55; 64]);
        let mut refusals = Vec::new();
        let steps: [fn(tower_bearer::testing::TokenBuilder) -> tower_bearer::testing::TokenBuilder; 7] = [
            |token| token.header("typ", "at+jwt"),
            |token| token.issuer(ISSUER),
            |token| token.header("kid", "key-1"),
            |token| token.signature([]),
            |token| token.expires_in(Duration::from_secs(60)),
            |token| token.audience(RESOURCE),
            |token| token.without_claim("cnf"),
        ];
        refusals.push(name(&app.present(&token.clone().sign()).await));
        for (index, step) in steps.into_iter().enumerate() {
            token = step(token);
            let signed = match index {
                ..3 => token.clone().sign(),
                // `raw_header` and `raw_payload` remove the invalid signature, so that the token is signed.
                _ => resign(&authority, &token),
            };
            refusals.push(name(&app.present(&signed).await));
        }

        assert_eq!(
            refusals,
            [
                "TypeNotAccepted",
                "IssuerMismatch",
                "UnknownKey",
                "BadSignature",
                "Expired",
                "AudienceMismatch",
                "SenderConstraintNotProved",
                "InsufficientScope"
            ]
        );
    }

    fn resign(authority: &TestAuthorizationServer, token: &tower_bearer::testing::TokenBuilder) -> String {
        let text = |object: &serde_json::Map<String, serde_json::Value>| serde_json::to_vec(object).unwrap();
        authority.token().raw_header(text(token.header_parameters())).raw_payload(text(token.claims())).sign()
    }

    fn name(answer: &crate::support::Answer) -> String {
        let shown = format!("{:?}", answer.reason.as_ref().unwrap());
        shown.split([' ', '(']).next().unwrap().to_owned()
    }
}
