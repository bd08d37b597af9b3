//! Proves that a body that the layer has read reaches the MCP server unchanged, and that slow clients hold nothing.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Full};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tower::{Service, ServiceBuilder, ServiceExt as _, service_fn};
use tower_bearer::{
    McpRequestBody, Requirement, Scope,
    mcp::{McpOperations, McpOperationsBuilder},
    testing::{TestAuthorizationServer, challenges},
};

use crate::support::{ISSUER, RESOURCE, poll_once, settle, soon};

const READ: Scope = Scope::from_static("mcp:read");
const WRITE: Scope = Scope::from_static("mcp:write");

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_file"}}"#;

/// A body whose frames the test sends. It counts the frames that were read.
struct Upload {
    frames: UnboundedReceiver<Result<Frame<Bytes>, &'static str>>,
    read: Arc<AtomicUsize>,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        let frame = self.frames.poll_recv(cx);
        if let Poll::Ready(Some(_)) = &frame {
            self.read.fetch_add(1, Ordering::Relaxed);
        }
        frame
    }
}

type Sender = UnboundedSender<Result<Frame<Bytes>, &'static str>>;

fn upload() -> (Sender, Arc<AtomicUsize>, Upload) {
    let (sender, frames) = unbounded_channel();
    let read = Arc::<AtomicUsize>::default();
    (sender, Arc::clone(&read), Upload { frames, read })
}

fn data(text: &str) -> Result<Frame<Bytes>, &'static str> {
    Ok(Frame::data(Bytes::copy_from_slice(text.as_bytes())))
}

fn post(upload: Upload, token: Option<&str>) -> Request<Upload> {
    let mut request = Request::post("/mcp").header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.body(upload).unwrap()
}

/// What the MCP server received: data, trailers and error.
#[derive(Clone, Debug, PartialEq)]
struct Received(Vec<u8>, Option<HeaderMap>, Option<&'static str>);

/// An MCP server that answers with what it received, in the extensions.
async fn receive(request: Request<McpRequestBody<Upload>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut body = pin!(request.into_body());
    let mut received = Received(Vec::new(), None, None);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => match frame.into_data() {
                Ok(data) => received.0.extend_from_slice(&data),
                Err(frame) => received.1 = frame.into_trailers().ok(),
            },
            Err(error) => {
                received.2 = Some(error);
                break;
            }
        }
    }
    let mut response = Response::new(Full::default());
    response.extensions_mut().insert(received);
    Ok(response)
}

fn builder() -> McpOperationsBuilder {
    McpOperations::builder().connecting(Requirement::public()).tool("read_file", READ).otherwise(WRITE)
}

fn authority() -> TestAuthorizationServer {
    TestAuthorizationServer::new(ISSUER)
}

fn received<B>(response: &Response<B>) -> Received {
    response.extensions().get::<Received>().cloned().expect("the MCP server was called")
}

/// Returns the scopes in the challenge of a 401.
#[track_caller]
fn required<B>(response: &Response<B>) -> String {
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    challenges(response)[0].param("scope").unwrap().to_owned()
}

#[tokio::test]
async fn body_reaches_the_server_unchanged() {
    let authority = authority();
    let layer = authority.resource_server(RESOURCE).require_mcp(builder().build().unwrap());
    let service = ServiceBuilder::new().layer(layer).service_fn(receive);
    let token = authority.token().scope("mcp:read").sign();
    let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from_static("1"))]);
    for size in [1, 7, CALL.len()] {
        for trailers in [None, Some(trailers.clone())] {
            let (sender, _, body) = upload();
            for piece in CALL.as_bytes().chunks(size) {
                sender.send(Ok(Frame::data(Bytes::copy_from_slice(piece)))).unwrap();
            }
            if let Some(trailers) = trailers.clone() {
                sender.send(Ok(Frame::trailers(trailers))).unwrap();
            }
            drop(sender);

            let response = service.clone().oneshot(post(body, Some(&token))).await.unwrap();

            assert_eq!(received(&response), Received(CALL.into(), trailers, None), "{size}");
        }
    }
}

#[tokio::test]
async fn body_in_one_frame_is_not_copied() {
    let authority = authority();
    let layer = authority.resource_server(RESOURCE).require_mcp(builder().build().unwrap());
    let service = ServiceBuilder::new().layer(layer).service_fn(
        async |request: Request<McpRequestBody<Full<Bytes>>>| {
            assert_eq!(request.body().size_hint().exact(), Some(CALL.len() as u64));
            let frame = pin!(request.into_body()).frame().await.unwrap().unwrap().into_data().unwrap();
            Ok::<_, Infallible>(Response::new(Full::new(frame)))
        },
    );
    let token = authority.token().scope("mcp:read").sign();
    let sent = Bytes::from(CALL.to_owned());
    let request = Request::post("/mcp")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {token}"));

    let response = service.oneshot(request.body(Full::new(sent.clone())).unwrap()).await.unwrap();

    let received = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(received.as_ptr(), sent.as_ptr());
}

#[tokio::test]
async fn failing_body_requires_everything_and_fails_for_the_server_too() {
    let authority = authority();
    let layer = authority.resource_server(RESOURCE).require_mcp(builder().build().unwrap());
    let service = ServiceBuilder::new().layer(layer).service_fn(receive);
    let send = |token: Option<String>| {
        let (sender, _, body) = upload();
        sender.send(data(CALL)).unwrap();
        sender.send(Err("connection lost")).unwrap();
        service.clone().oneshot(post(body, token.as_deref()))
    };

    let refused = send(None).await.unwrap();
    let passed = send(Some(authority.token().scope("mcp:read mcp:write").sign())).await.unwrap();

    assert_eq!(required(&refused), "mcp:read mcp:write");
    assert_eq!(received(&passed), Received(CALL.into(), None, Some("connection lost")));
}

#[tokio::test]
async fn large_body_is_passed_on_and_not_buffered_beyond_the_limit() {
    let authority = authority();
    let operations = builder().max_body_bytes(100).build().unwrap();
    let layer = authority.resource_server(RESOURCE).require_mcp(operations);
    let service = ServiceBuilder::new().layer(layer).service_fn(receive);
    let token = authority.token().scope("mcp:read mcp:write").sign();
    let all = CALL.to_owned() + &" ".repeat(1_000);
    let send = |token: Option<&str>| {
        let (sender, read, body) = upload();
        for piece in all.as_bytes().chunks(10) {
            sender.send(Ok(Frame::data(Bytes::copy_from_slice(piece)))).unwrap();
        }
        (read, service.clone().oneshot(post(body, token)))
    };

    let (read, refused) = send(None);
    let refused = refused.await.unwrap();
    let read_before_refusal = read.load(Ordering::Relaxed);
    let (_, passed) = send(Some(&token));
    let passed = passed.await.unwrap();

    assert_eq!(required(&refused), "mcp:read mcp:write");
    assert_eq!(read_before_refusal, 11);
    assert_eq!(received(&passed), Received(all.into_bytes(), None, None));
}

#[tokio::test]
async fn body_that_declares_too_many_bytes_is_not_read_before_the_decision() {
    let authority = authority();
    let layer = authority.resource_server(RESOURCE).require_mcp(builder().build().unwrap());
    let service = ServiceBuilder::new().layer(layer).service_fn(receive);
    let (sender, read, body) = upload();
    sender.send(data(CALL)).unwrap();
    let mut request = post(body, None);
    request.headers_mut().insert("content-length", HeaderValue::from_static("1048577"));

    let refused = service.oneshot(request).await.unwrap();

    assert_eq!(required(&refused), "mcp:read mcp:write");
    assert_eq!(read.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn slow_body_requires_everything_after_the_deadline() {
    let authority = authority();
    let operations = builder().body_deadline(Duration::from_secs(3)).build().unwrap();
    let layer = authority.resource_server(RESOURCE).require_mcp(operations);
    let service = ServiceBuilder::new().layer(layer).service_fn(receive);
    let token = authority.token().scope("mcp:read mcp:write").sign();
    let (start, end) = CALL.split_at(20);
    let (slow, _, body) = upload();
    slow.send(data(start)).unwrap();
    let mut refused = Box::pin(service.clone().oneshot(post(body, None)));
    let (patient, _, body) = upload();
    patient.send(data(start)).unwrap();
    let mut passed = Box::pin(service.oneshot(post(body, Some(&token))));

    assert!(poll_once(&mut refused).await.is_pending());
    assert!(poll_once(&mut passed).await.is_pending());
    tokio::time::advance(Duration::from_millis(2_999)).await;
    assert!(poll_once(&mut refused).await.is_pending());
    tokio::time::advance(Duration::from_millis(2)).await;
    let refused = refused.await.unwrap();
    let passed = tokio::spawn(passed);
    settle().await;
    patient.send(data(end)).unwrap();
    drop(patient);
    let passed = soon(passed).await.unwrap().unwrap();

    assert_eq!(required(&refused), "mcp:read mcp:write");
    assert_eq!(received(&passed), Received(CALL.into(), None, None));
}

#[tokio::test]
async fn slow_client_holds_no_permit() {
    let authority = authority();
    let layer = authority.resource_server(RESOURCE).require_mcp(builder().build().unwrap());
    let mut service = ServiceBuilder::new().layer(layer).concurrency_limit(1).service(service_fn(receive));
    let token = authority.token().scope("mcp:read").sign();
    let (slow, _, body) = upload();
    let mut waiting = Box::pin(service.ready().await.unwrap().call(post(body, Some(&token))));
    assert!(poll_once(&mut waiting).await.is_pending());

    for _ in 0..3 {
        let (sender, _, body) = upload();
        sender.send(data(CALL)).unwrap();
        drop(sender);
        let response = soon(service.ready().await.unwrap().call(post(body, Some(&token)))).await.unwrap();
        assert_eq!(received(&response).0, CALL.as_bytes());
    }
    slow.send(data(CALL)).unwrap();
    drop(slow);

    assert_eq!(received(&soon(waiting).await.unwrap()).0, CALL.as_bytes());
}
