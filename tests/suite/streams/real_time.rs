//! Streams over sockets, with the clock of the system. The token expires one or two seconds after it was signed.

use axum::{
    Router,
    body::Body as AxumBody,
    response::{Sse, sse::Event},
    routing::get,
};
use tower_bearer::SystemClock;

use super::*;
use crate::support::{http_client, serve, soon};

#[tokio::test]
async fn event_streams_of_axum_end_idle_and_busy() {
    let authority = TestAuthorizationServer::new(ISSUER).with_clock(ManualClock::starting_now());
    let validator = authority.jwt_validator(RESOURCE).clock(SystemClock).clock_skew(Duration::ZERO).build();
    let server = ResourceServer::builder(validator).build().unwrap();
    let idle = || async {
        let first = tonic::codegen::tokio_stream::once(Ok::<_, Infallible>(Event::default().data("one")));
        Sse::new(tonic::codegen::tokio_stream::StreamExt::chain(
            first,
            tonic::codegen::tokio_stream::pending(),
        ))
    };
    let busy = || async {
        let ticks = tokio::time::interval(Duration::from_millis(10));
        let body = AxumBody::new(Ticks(ticks));
        ([("content-type", "text/event-stream")], body)
    };
    let routes = get(idle).route_layer(server.require_token());
    let router =
        Router::new().route("/idle", routes).route("/busy", get(busy).route_layer(server.require_token()));
    let address = serve(router).await;

    let read = async |path: &str| {
        let token = authority.token().expires_in(Duration::from_secs(2)).sign();
        let request = http_client().get(format!("http://{address}{path}")).bearer_auth(token);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.text().await.unwrap()
    };
    let (idle, busy) = soon(async { tokio::join!(read("/idle"), read("/busy")) }).await;

    assert_eq!(idle, "data: one\n\n");
    assert!(busy.starts_with("data: tick\n\n"), "{busy}");
}

/// A body that never ends.
struct Ticks(tokio::time::Interval);

impl Body for Ticks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_tick(cx).map(|_| Some(Ok(data("data: tick\n\n"))))
    }
}
