//! Asserts that routes require a token: [`assert_guarded`].

use std::{fmt, future::poll_fn};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::WWW_AUTHENTICATE};
use http_body_util::Full;
use tower_service::Service;

/// Asserts that each of these routes refuses a request without a token: with 401 and a challenge.
///
/// Use it for all routes of a service, so that none is left unprotected by accident. axum cannot list the routes of a router,
/// so take them from an OpenAPI document (`integration::utoipa::operations`) or write them down.
///
/// In a path, a segment in braces such as `{id}` is replaced by `1`.
///
/// ```
/// # #[cfg(feature = "axum")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use axum::{Router, routing::get};
/// use http::Method;
/// use tower_bearer::testing::{TestAuthorizationServer, assert_guarded};
///
/// let authority = TestAuthorizationServer::new("https://as.example.com");
/// let layer = authority.resource_server("https://orders.example.com").require_token();
/// let app: Router = Router::new()
///     .route("/orders", get(async || "orders"))
///     .route("/orders/{id}", get(async || "order").delete(async || "deleted"))
///     .route_layer(layer)
///     .route("/health", get(async || "healthy")); // public
///
/// let routes = [(Method::GET, "/orders"), (Method::GET, "/orders/{id}"), (Method::DELETE, "/orders/{id}")];
/// assert_guarded(&app, routes).await;
/// # }
/// # #[cfg(not(feature = "axum"))]
/// # fn main() {}
/// ```
///
/// # Panics
/// If a route answers with anything else, such as 200, 404 or 405. The message lists all of them. Also if there are no routes, or if the
/// service fails.
///
/// # Security
/// The handlers of unprotected routes are called, so use this only in tests.
pub async fn assert_guarded<S, R, P>(service: &S, routes: impl IntoIterator<Item = (Method, P)>)
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone,
    S::Error: fmt::Debug,
    P: AsRef<str>,
{
    let (mut count, mut open) = (0, Vec::new());
    for (method, path) in routes {
        count += 1;
        let path = path.as_ref();
        let request = Request::builder().method(method.clone()).uri(example_of(path)).body(Full::default());
        let request = request.unwrap_or_else(|error| panic!("path {path:?}: {error}"));
        let mut service = service.clone();
        poll_fn(|cx| service.poll_ready(cx)).await.expect("the service is ready");
        let response = service.call(request).await.expect("the service responds");
        match response.status() {
            StatusCode::UNAUTHORIZED if response.headers().contains_key(WWW_AUTHENTICATE) => {}
            StatusCode::UNAUTHORIZED => open.push(format!("{method} {path}: 401 without a challenge")),
            status => open.push(format!("{method} {path}: {}", status.as_u16())),
        }
    }
    assert!(count > 0, "no routes to check");
    assert!(open.is_empty(), "expected 401 with a challenge from every route, found\n{}", open.join("\n"));
}

/// Replaces the variables of a pattern.
fn example_of(path: &str) -> String {
    let segment = |segment: &str| match segment.split_once('{') {
        Some((prefix, name)) if name.ends_with('}') && !name.starts_with('{') => format!("{prefix}1"),
        _ => segment.to_owned(),
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}
