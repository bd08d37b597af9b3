//! A tower service that serves the authorization server over a socket, with axum or hyper.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use http_body::Body;
use http_body_util::{BodyExt as _, Collected, Full};
use tower_service::Service;
use url::Url;

use super::TestAuthorizationServer;
use crate::BoxFuture;

/// Serves metadata, keys and introspection over HTTP.
///
/// The issuer must be the URL at which it is served.
///
/// While the server is [down](TestAuthorizationServer::go_down), it answers with 503, because a service cannot refuse a
/// connection.
///
/// ```
/// # #[cfg(feature = "axum")]
/// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_bearer::testing::{ManualClock, TestAuthorizationServer};
///
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let authority = TestAuthorizationServer::new(&format!("http://{}", listener.local_addr()?))
///     .with_clock(ManualClock::starting_now());
/// let app = axum::Router::new().fallback_service(authority.clone());
/// tokio::spawn(async move { axum::serve(listener, app).await });
/// # Ok(())
/// # }
/// ```
impl<B> Service<Request<B>> for TestAuthorizationServer
where
    B: Body + Send + 'static,
    B::Data: Send,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            parts.uri = absolute(server.issuer(), &parts.uri);
            // If the body ends early, the received part is used.
            let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
            let answer = server.answer_request(Request::from_parts(parts, body)).await;
            let answer = answer.unwrap_or_else(|_| {
                let mut unavailable = Response::new(Bytes::new());
                *unavailable.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                unavailable
            });
            Ok(answer.map(Full::new))
        })
    }
}

/// Adds the origin of the issuer to a request URI that has only a path.
fn absolute(issuer: &str, uri: &Uri) -> Uri {
    let origin = Url::parse(issuer).expect("checked in new()").origin().ascii_serialization();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    format!("{origin}{path}").parse().expect("an origin and a path are a URI")
}
