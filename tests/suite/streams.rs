//! Proves that streams end when the token of their request expires, and that other responses do not.

mod event_streams;
mod grpc;
mod real_time;

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Full};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tower::{Layer as _, Service, ServiceBuilder, ServiceExt as _, service_fn};
use tower_bearer::{
    AccessToken, ClaimsSet, GrpcRequestBody, ResourceServer, ResourceServerBuilder, ResponseBody,
    TokenExpired, TokenValidator, UnixTime, ValidatedToken, ValidationError,
    testing::{ManualClock, TestAuthorizationServer},
};

use crate::support::{ISSUER, RESOURCE, poll_once};

const LIFETIME: Duration = Duration::from_secs(60);
const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";

/// A body that a test feeds. It counts as open until it is dropped.
struct Fed {
    frames: mpsc::UnboundedReceiver<Frame<Bytes>>,
    open: Arc<AtomicUsize>,
}

/// Feeds a body. The body ends when this is dropped.
type Feeder = mpsc::UnboundedSender<Frame<Bytes>>;

impl Fed {
    fn new(open: &Arc<AtomicUsize>) -> (Feeder, Self) {
        let (feeder, frames) = mpsc::unbounded_channel();
        open.fetch_add(1, Ordering::SeqCst);
        (feeder, Self { frames, open: Arc::clone(open) })
    }
}

impl Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.frames.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

impl Drop for Fed {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A service whose responses a test feeds, behind a resource server without clock skew.
struct Kit {
    server: ResourceServer,
    clock: ManualClock,
    token: String,
    open: Arc<AtomicUsize>,
}

impl Kit {
    fn new() -> Self {
        Self::with(|builder| builder)
    }

    fn with(configure: impl FnOnce(ResourceServerBuilder) -> ResourceServerBuilder) -> Self {
        let authority = TestAuthorizationServer::new(ISSUER);
        let validator = authority.jwt_validator(RESOURCE).clock_skew(Duration::ZERO).build().unwrap();
        let server = configure(authority.resource_server_with(validator)).build().unwrap();
        let token = authority.token().expires_in(LIFETIME).sign();
        Self { server, clock: authority.clock().clone(), token, open: Arc::default() }
    }

    /// Lets the token expire, and waits until the timers have fired.
    async fn expire(&self) {
        sleep(LIFETIME / 2).await;
        self.clock.advance(LIFETIME);
        sleep(LIFETIME).await;
    }

    fn request<B>(&self, content_type: &str, body: B) -> Request<B> {
        Request::post("/orders.v1.Orders/Watch")
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", content_type)
            .body(body)
            .unwrap()
    }

    /// Calls a service that answers at once. Returns the response and what feeds its body.
    async fn call(&self, content_type: &str) -> (Feeder, Response<ResponseBody<Fed>>) {
        let (feeder, body) = Fed::new(&self.open);
        let body = Arc::new(Mutex::new(Some(body)));
        let service = self.server.require_token().grpc().layer(service_fn(move |request: Request<_>| {
            let content_type = request.headers()["content-type"].clone();
            let body = body.lock().unwrap().take().unwrap();
            ready(Ok::<_, Infallible>(
                Response::builder().header("content-type", content_type).body(body).unwrap(),
            ))
        }));
        let response = service.oneshot(self.request(content_type, Full::<Bytes>::default())).await.unwrap();
        (feeder, response)
    }

    /// Calls a service that answers with the status 0 when it has read the request and then worked for this time.
    async fn call_working<B>(&self, body: B, work: Duration) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
    {
        let running = Arc::clone(&self.open);
        let service = self.server.require_token().grpc().layer(service_fn(
            move |request: Request<GrpcRequestBody<B>>| {
                let running = Running::new(&running);
                async move {
                    let _running = running;
                    request.into_body().collect().await.unwrap();
                    sleep(work).await;
                    Ok::<_, Infallible>(
                        Response::builder()
                            .header("grpc-status", "0")
                            .body(Full::<Bytes>::default())
                            .unwrap(),
                    )
                }
            },
        ));
        let response = service.oneshot(self.request("application/grpc", body)).await.unwrap();
        let (head, body): (_, ResponseBody<Full<Bytes>>) = response.into_parts();
        Response::from_parts(head, Full::new(body.collect().await.unwrap().to_bytes()))
    }
}

/// Counts as open until it is dropped.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(open))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn data(text: &str) -> Frame<Bytes> {
    Frame::data(Bytes::copy_from_slice(text.as_bytes()))
}

/// Returns the next frame as text: data, trailers, or `None` at the end.
async fn next(body: &mut ResponseBody<Fed>) -> Option<Result<String, HeaderMap>> {
    // In paused time, which passes while all tasks wait.
    let frame = timeout(LIFETIME * 60, body.frame()).await.expect("a frame or the end")?.unwrap();
    Some(match frame.into_data() {
        Ok(data) => Ok(String::from_utf8_lossy(&data).into_owned()),
        Err(frame) => Err(frame.into_trailers().unwrap()),
    })
}

/// Asserts trailers with status 16 and the challenge for an expired token.
#[track_caller]
fn assert_expired(trailers: &HeaderMap) {
    assert_eq!(trailers["grpc-status"], "16");
    let message = "The access token is malformed, expired, withdrawn or not for this resource";
    assert_eq!(trailers["grpc-message"], message);
    let challenge = trailers["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    assert!(trailers.contains_key("grpc-status-details-bin"));
}
