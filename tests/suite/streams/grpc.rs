//! gRPC calls, also over gRPC-Web.

use super::*;

#[tokio::test(start_paused = true)]
async fn a51_rgrpc_06_idle_stream_ends_with_16_when_the_token_expires() {
    let kit = Kit::new();
    let (feeder, response) = kit.call("application/grpc").await;
    let mut body = response.into_body();
    feeder.send(data("one")).unwrap();
    assert_eq!(next(&mut body).await, Some(Ok("one".to_owned())));

    let (end, ()) = tokio::join!(next(&mut body), kit.expire());

    assert_expired(&end.unwrap().unwrap_err());
    assert!(body.is_end_stream());
    assert_eq!(next(&mut body).await, None);
    feeder.send(data("two")).unwrap();
    assert_eq!(next(&mut body).await, None);
}

#[tokio::test(start_paused = true)]
async fn rgrpc_06_stream_without_any_message_ends_too() {
    let kit = Kit::new();
    let (_feeder, response) = kit.call("application/grpc").await;
    let mut body = response.into_body();

    let (end, ()) = tokio::join!(next(&mut body), kit.expire());

    assert_expired(&end.unwrap().unwrap_err());
}

#[tokio::test(start_paused = true)]
async fn rgrpc_06_clock_of_the_resource_server_decides_and_not_the_timer() {
    let kit = Kit::new();
    let (feeder, response) = kit.call("application/grpc").await;
    let mut body = response.into_body();

    // Two timers fire before the clock reaches `exp`.
    let late = async {
        sleep(LIFETIME * 2 + LIFETIME / 2).await;
        feeder.send(data("in time")).unwrap();
        sleep(LIFETIME / 4).await;
        kit.clock.advance(LIFETIME);
    };
    let ((first, end), ()) = tokio::join!(async { (next(&mut body).await, next(&mut body).await) }, late);

    assert_eq!(first, Some(Ok("in time".to_owned())));
    assert_expired(&end.unwrap().unwrap_err());
}

#[tokio::test(start_paused = true)]
async fn a51_rgrpc_06_busy_stream_ends_although_there_is_always_more() {
    let kit = Kit::new();
    let (feeder, response) = kit.call("application/grpc").await;
    let mut body = response.into_body();
    for index in 0..10 {
        feeder.send(data(&index.to_string())).unwrap();
    }
    for index in 0..3 {
        assert_eq!(next(&mut body).await, Some(Ok(index.to_string())));
    }

    kit.clock.advance(LIFETIME);

    assert_expired(&next(&mut body).await.unwrap().unwrap_err());
    assert_eq!(next(&mut body).await, None);
}

#[tokio::test(start_paused = true)]
async fn rgrpc_06_stream_continues_until_the_last_moment() {
    let kit = Kit::new();
    let (feeder, response) = kit.call("application/grpc").await;
    let mut body = response.into_body();
    kit.clock.advance(LIFETIME - Duration::from_secs(1));
    for text in ["one", "two"] {
        feeder.send(data(text)).unwrap();
        assert_eq!(next(&mut body).await, Some(Ok(text.to_owned())));
    }

    kit.clock.advance(Duration::from_secs(1));
    feeder.send(data("three")).unwrap();

    assert_expired(&next(&mut body).await.unwrap().unwrap_err());
}

#[tokio::test(start_paused = true)]
async fn status_of_the_service_is_passed_on_after_the_token_has_expired() {
    let kit = Kit::new();
    let (feeder, response) = kit.call("application/grpc").await;
    let mut body = response.into_body();
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "5".parse().unwrap())]);
    feeder.send(Frame::trailers(trailers.clone())).unwrap();
    kit.clock.advance(LIFETIME);

    assert_eq!(next(&mut body).await, Some(Err(trailers)));
}

#[tokio::test(start_paused = true)]
async fn unary_call_that_runs_longer_than_the_token_is_completed() {
    let kit = Kit::new();
    let message = Full::new(Bytes::from_static(&[0; 5]));

    let (response, ()) = tokio::join!(kit.call_working(message, LIFETIME * 3), kit.expire());

    assert_eq!(response.headers()["grpc-status"], "0");
}

#[tokio::test(start_paused = true)]
async fn response_of_a_unary_call_is_complete_although_the_token_has_expired() {
    let kit = Kit::new();
    let (feeder, response) = kit.call("application/grpc").await;
    let mut body = response.into_body();
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
    kit.clock.advance(LIFETIME);
    feeder.send(data("all")).unwrap();
    feeder.send(Frame::trailers(trailers.clone())).unwrap();

    assert_eq!(next(&mut body).await, Some(Ok("all".to_owned())));
    assert_eq!(next(&mut body).await, Some(Err(trailers)));
}

#[tokio::test(start_paused = true)]
async fn a51_rgrpc_06_idle_client_stream_is_refused_with_16_and_its_handler_dropped() {
    let kit = Kit::new();
    let (feeder, upload) = Fed::new(&kit.open);
    feeder.send(data("one")).unwrap();

    let (response, ()) = tokio::join!(kit.call_working(upload, Duration::ZERO), kit.expire());

    assert_expired(response.headers());
    assert_eq!(response.status(), 200);
    assert_eq!(kit.open.load(Ordering::SeqCst), 0, "the handler or its request body is still there");
}

#[tokio::test(start_paused = true)]
async fn a51_rgrpc_06_task_that_still_reads_the_request_of_an_ended_call_gets_an_error() {
    let kit = Kit::new();
    let (feeder, upload) = Fed::new(&kit.open);
    let (_response_feeder, body) = Fed::new(&kit.open);
    let (read, mut received) = mpsc::unbounded_channel();
    let body = Arc::new(Mutex::new(Some(body)));
    let service =
        kit.server.require_token().grpc().layer(service_fn(move |request: Request<GrpcRequestBody<Fed>>| {
            let read = read.clone();
            tokio::spawn(async move {
                let mut messages = request.into_body();
                while let Some(frame) = messages.frame().await {
                    let is_error = frame.is_err();
                    read.send(frame.map(|frame| frame.into_data().unwrap())).unwrap();
                    if is_error {
                        break;
                    }
                }
            });
            let body = body.lock().unwrap().take().unwrap();
            ready(Ok::<_, Infallible>(Response::new(body)))
        }));
    let response = service.oneshot(kit.request("application/grpc", upload)).await.unwrap();
    let mut body = response.into_body();
    feeder.send(data("one")).unwrap();
    assert_eq!(received.recv().await.unwrap().unwrap(), "one");

    let (end, ()) = tokio::join!(next(&mut body), kit.expire());

    assert_expired(&end.unwrap().unwrap_err());
    let error = timeout(LIFETIME, received.recv()).await.unwrap().unwrap().unwrap_err();
    assert!(error.is::<TokenExpired>(), "{error:?}");
    // What the client sends now is not read.
    let _ = feeder.send(data("two"));
    assert!(timeout(LIFETIME, received.recv()).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a64_client_stream_that_hides_its_content_type_is_refused_too() {
    let kit = Kit::new();
    let (feeder, upload) = Fed::new(&kit.open);
    feeder.send(data("one")).unwrap();
    let service = kit.server.require_token().grpc().layer(service_fn(
        |request: Request<GrpcRequestBody<Fed>>| async move {
            let _ = request.into_body().collect().await;
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        },
    ));

    let (response, ()) = tokio::join!(service.oneshot(kit.request("text/plain", upload)), kit.expire());

    assert_eq!(response.unwrap().status(), 401);
    assert_eq!(kit.open.load(Ordering::SeqCst), 0, "the request body is still there");
}

#[tokio::test(start_paused = true)]
async fn a64_stream_ends_although_its_request_hides_its_content_type() {
    for grpc in [true, false] {
        for content_type in ["application/grpc", "application/grpc-web+proto"] {
            let kit = Kit::new();
            let (feeder, body) = Fed::new(&kit.open);
            let response = Response::builder().header("content-type", content_type).body(body).unwrap();
            let response = Arc::new(Mutex::new(Some(response)));
            let take = move || ready(Ok::<_, Infallible>(response.lock().unwrap().take().unwrap()));
            let request = kit.request("text/plain", Full::<Bytes>::default());
            let layer = kit.server.require_token();
            let response = if grpc {
                layer.grpc().layer(service_fn(move |_: Request<_>| take())).oneshot(request).await
            } else {
                layer.layer(service_fn(move |_: Request<_>| take())).oneshot(request).await
            };
            let mut body = response.unwrap().into_body();
            feeder.send(data("one")).unwrap();
            assert_eq!(next(&mut body).await, Some(Ok("one".to_owned())));
            kit.expire().await;

            feeder.send(data("two")).unwrap();

            assert_eq!(next(&mut body).await, None, "{grpc} {content_type}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn client_stream_that_ends_in_time_is_completed() {
    let kit = Kit::new();
    let (feeder, upload) = Fed::new(&kit.open);
    let finish = async {
        sleep(LIFETIME / 4).await;
        feeder.send(data("last")).unwrap();
        drop(feeder);
    };

    let (response, (), ()) = tokio::join!(kit.call_working(upload, LIFETIME), finish, kit.expire());

    assert_eq!(response.headers()["grpc-status"], "0");
}

#[tokio::test(start_paused = true)]
async fn rgrpc_06_bidirectional_stream_ends_while_both_sides_are_open() {
    let kit = Kit::new();
    let (upload_feeder, upload) = Fed::new(&kit.open);
    let (feeder, body) = Fed::new(&kit.open);
    let body = Arc::new(Mutex::new(Some(body)));
    let service = kit.server.require_token().grpc().layer(service_fn(move |request: Request<_>| {
        let body = Both { upload: request.into_body(), body: body.lock().unwrap().take().unwrap() };
        ready(Ok::<_, Infallible>(Response::new(body)))
    }));
    let response = service.oneshot(kit.request("application/grpc", upload)).await.unwrap();
    let mut body = response.into_body();
    feeder.send(data("one")).unwrap();
    assert!(body.frame().await.unwrap().unwrap().is_data());

    let (end, ()) = tokio::join!(body.frame(), kit.expire());

    assert_expired(end.unwrap().unwrap().trailers_ref().unwrap());
    drop(body);
    assert_eq!(kit.open.load(Ordering::SeqCst), 0);
    assert!(upload_feeder.is_closed());
}

#[tokio::test(start_paused = true)]
async fn rgrpc_06_client_that_leaves_ends_the_stream() {
    let kit = Kit::new();
    let (feeder, response) = kit.call("application/grpc").await;
    let mut body = response.into_body();
    assert!(poll_once(&mut body.frame()).await.is_pending());

    drop(body);

    assert_eq!(kit.open.load(Ordering::SeqCst), 0);
    assert!(feeder.is_closed());
}

#[tokio::test(start_paused = true)]
async fn stream_may_outlive_its_token_if_told_so() {
    let kit = Kit::with(ResourceServerBuilder::dangerously_let_streams_outlive_tokens);
    let (feeder, response) = kit.call("application/grpc").await;
    let mut body = response.into_body();
    kit.expire().await;

    for text in ["one", "two", "three"] {
        feeder.send(data(text)).unwrap();
        assert_eq!(next(&mut body).await, Some(Ok(text.to_owned())));
    }
}

#[tokio::test(start_paused = true)]
async fn clock_skew_is_added_to_exp() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let kit = Kit {
        server: authority.resource_server(RESOURCE),
        clock: authority.clock().clone(),
        token: authority.token().audience(RESOURCE).expires_in(LIFETIME).sign(),
        open: Arc::default(),
    };
    let (feeder, response) = kit.call("application/grpc").await;
    let mut body = response.into_body();
    kit.clock.advance(LIFETIME + Duration::from_secs(29));
    for text in ["one", "two"] {
        feeder.send(data(text)).unwrap();
        assert_eq!(next(&mut body).await, Some(Ok(text.to_owned())));
    }

    kit.clock.advance(Duration::from_secs(1));
    feeder.send(data("three")).unwrap();

    assert_expired(&next(&mut body).await.unwrap().unwrap_err());
}

#[tokio::test(start_paused = true)]
async fn rgrpc_06_rgrpc_08_grpc_web_stream_ends_with_a_frame_of_trailers() {
    for content_type in ["application/grpc-web+proto", "application/grpc-web-text"] {
        let kit = Kit::new();
        let (feeder, response) = kit.call(content_type).await;
        let mut body = response.into_body();
        feeder.send(data("one")).unwrap();
        assert_eq!(next(&mut body).await, Some(Ok("one".to_owned())));

        let (end, ()) = tokio::join!(body.frame(), kit.expire());

        let end = end.unwrap().unwrap().into_data().expect("data");
        let end = if content_type.contains("text") { STANDARD.decode(&end).unwrap() } else { end.to_vec() };
        let (head, fields) = end.split_at(5);
        assert_eq!(head[0], 0x80);
        assert_eq!(u32::from_be_bytes(head[1..].try_into().unwrap()) as usize, fields.len());
        let fields = str::from_utf8(fields).unwrap();
        assert!(fields.lines().any(|line| line == "grpc-status:16"), "{fields}");
        assert!(fields.contains("www-authenticate:Bearer "), "{fields}");
        assert!(fields.ends_with("\r\n"), "{fields}");
        assert!(body.frame().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn rgrpc_08_stream_ends_with_16_inside_and_outside_of_tonic_web() {
    for ours_is_inside in [true, false] {
        let kit = Kit::new();
        let (feeder, body) = Fed::new(&kit.open);
        feeder.send(data("\0\0\0\0\0")).unwrap();
        let body = Arc::new(Mutex::new(Some(body)));
        let layer = kit.server.require_token().grpc();
        let request = kit.request("application/grpc-web+proto", Full::<Bytes>::default());

        let body = if ours_is_inside {
            let service = ServiceBuilder::new().layer(tonic_web::GrpcWebLayer::new()).layer(layer);
            let service = service.service(Once(body));
            tonic::body::Body::new(service.oneshot(request).await.unwrap().into_body())
        } else {
            let service = ServiceBuilder::new().layer(layer).layer(tonic_web::GrpcWebLayer::new());
            let service = service.service(Once(body));
            tonic::body::Body::new(service.oneshot(request).await.unwrap().into_body())
        };
        let (whole, ()) = tokio::join!(body.collect(), kit.expire());

        let whole = whole.unwrap();
        assert!(whole.trailers().is_none(), "inside: {ours_is_inside}");
        let whole = whole.to_bytes();
        let (message, end) = whole.split_at(5);
        assert_eq!(message, [0; 5], "inside: {ours_is_inside}");
        assert_eq!(end[0], 0x80, "inside: {ours_is_inside}");
        let fields = String::from_utf8_lossy(&end[5..]).replace(": ", ":");
        assert!(fields.contains("grpc-status:16\r\n"), "inside: {ours_is_inside}: {fields}");
        assert_eq!(fields.matches("grpc-status:").count(), 1, "inside: {ours_is_inside}: {fields}");
    }
}

#[tokio::test]
async fn rgrpc_08_refusal_is_readable_inside_and_outside_of_tonic_web() {
    let kit = Kit::new();
    let layer = kit.server.require_token().grpc();
    let request = || {
        let mut request = kit.request("application/grpc-web+proto", Full::<Bytes>::default());
        request.headers_mut().remove("authorization");
        request
    };

    let inside = ServiceBuilder::new().layer(tonic_web::GrpcWebLayer::new()).layer(layer.clone());
    let inside = inside.service(Once(Arc::default())).oneshot(request()).await.unwrap();
    let outside = ServiceBuilder::new().layer(layer).layer(tonic_web::GrpcWebLayer::new());
    let outside = outside.service(Once(Arc::default())).oneshot(request()).await.unwrap();

    for headers in [inside.headers(), outside.headers()] {
        assert_eq!(headers["grpc-status"], "16");
        assert!(headers["content-type"].to_str().unwrap().starts_with("application/grpc-web"));
        assert!(headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
    }
}

/// Answers one call with this body, whatever the type of the request body.
#[derive(Clone)]
struct Once(Arc<Mutex<Option<Fed>>>);

impl<B> Service<Request<B>> for Once {
    type Response = Response<Fed>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Fed>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        let body = self.0.lock().unwrap().take().expect("one call");
        ready(Ok(Response::builder().header("content-type", "application/grpc").body(body).unwrap()))
    }
}

/// A response body that holds its request body, as a bidirectional handler does.
struct Both<U> {
    upload: U,
    body: Fed,
}

impl<U: Body + Unpin> Body for Both<U> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let _ = Pin::new(&mut self.upload).poll_frame(cx);
        Pin::new(&mut self.body).poll_frame(cx)
    }
}
