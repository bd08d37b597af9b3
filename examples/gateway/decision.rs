//! Decides for other proxies: nginx `auth_request`, Traefik `forwardAuth`, Caddy `forward_auth`, HAProxy: [`DecisionService`].
//!
//! The proxy asks before it forwards a request. The answer is 204 with the chosen claims as headers, or the refusal of the
//! layer, with its status and challenge. The proxy must take these headers over, and replace those of the client.
//!
//! `tests/interop/gateway` has tested configurations of nginx, HAProxy and Caddy. Traefik needs `authResponseHeaders` with the claim
//! headers, and no `trustForwardHeader`. nginx answers 500 for refusals other than 401 and 403; the request is not forwarded.
//! CORS preflight requests have no token, so the proxy must answer them before it asks.
//!
//! It is an example and not part of the library, because proxies differ in how they describe the original request and in which
//! headers they take over. The layer makes the decision; the rest is glue code.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, Method, Request, Response, StatusCode, Uri,
    header::{AUTHORIZATION, CACHE_CONTROL},
};
use http_body_util::Full;
use tower::{Layer as _, Service, ServiceExt as _};
use tower_bearer::{ResponseBody, ValidateToken, ValidateTokenLayer, ValidatedToken};

use super::claim_headers::ClaimHeaders;

/// The body of a decision.
pub(crate) type DecisionBody = ResponseBody<Full<Bytes>>;

/// Answers the subrequests of a proxy. It must be reachable for the proxy only.
#[derive(Clone)]
pub(crate) struct DecisionService {
    described_by: Arc<DescribedBy>,
    claim_headers: Arc<ClaimHeaders>,
    guarded: ValidateToken<Admitted>,
}

/// The headers in which the proxy describes the original request. The proxy must always set both.
#[derive(Clone, Debug)]
pub(crate) struct DescribedBy {
    pub(crate) method: HeaderName,
    pub(crate) uri: HeaderName,
}

/// The inner service of the layer: the request was admitted.
#[derive(Clone, Debug)]
pub(crate) struct Admitted {
    claim_headers: Arc<ClaimHeaders>,
}

impl DescribedBy {
    /// Returns the original request, with nothing but its method, URI and credentials.
    ///
    /// Other headers are left out: `Content-Type` would change the form of a refusal, and those of a CORS preflight would
    /// make it a public request.
    fn read(&self, headers: &HeaderMap) -> Option<Request<()>> {
        let method = Method::from_bytes(only(headers, &self.method)?.as_bytes()).ok()?;
        original_request(method, only(headers, &self.uri)?, headers.get_all(AUTHORIZATION).iter().cloned())
    }
}

/// Creates a request for the layer. Returns `None` if the URI is not a path.
///
/// A fragment is refused: it would be cut off here, but nginx forwards it, and some backends read it as a part of the path.
pub(crate) fn original_request(
    method: Method,
    uri: &str,
    authorizations: impl Iterator<Item = http::HeaderValue>,
) -> Option<Request<()>> {
    let is_path = |uri: &Uri| uri.authority().is_none() && uri.path().starts_with('/');
    let uri: Uri = if uri.contains('#') { None } else { uri.parse().ok().filter(is_path) }?;
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    for authorization in authorizations {
        request.headers_mut().append(AUTHORIZATION, authorization);
    }
    Some(request)
}

/// Returns the value of a field that must appear exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

impl DecisionService {
    pub(crate) fn new(
        layer: &ValidateTokenLayer,
        described_by: DescribedBy,
        claim_headers: ClaimHeaders,
    ) -> Self {
        let claim_headers = Arc::new(claim_headers);
        let admitted = Admitted { claim_headers: Arc::clone(&claim_headers) };
        let guarded = layer.layer(admitted);
        Self { described_by: Arc::new(described_by), claim_headers, guarded }
    }

    /// Returns the headers that the proxy takes over.
    pub(crate) fn claim_headers(&self) -> &ClaimHeaders {
        &self.claim_headers
    }

    /// Decides on a request that a proxy described in another way.
    pub(crate) async fn decide(&self, original: Request<()>) -> Response<DecisionBody> {
        let Ok(response) = self.guarded.clone().oneshot(original).await;
        response
    }
}

impl<B> Service<Request<B>> for DecisionService {
    type Response = Response<DecisionBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let original = self.described_by.read(request.headers());
        let service = self.clone();
        Box::pin(async move {
            match original {
                Some(original) => Ok(service.decide(original).await),
                None => Ok(undescribed()),
            }
        })
    }
}

impl Service<Request<()>> for Admitted {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        // A public path needs no token.
        if let Some(token) = request.extensions().get::<ValidatedToken>() {
            match self.claim_headers.of(token) {
                Ok(claims) => response.headers_mut().extend(claims),
                Err(error) => {
                    tracing::warn!(%error, "the request was refused");
                    *response.status_mut() = StatusCode::FORBIDDEN;
                }
            }
        }
        response.headers_mut().insert(CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
        ready(Ok(response))
    }
}

/// Refuses a request that the proxy did not describe as configured.
pub(crate) fn undescribed() -> Response<DecisionBody> {
    tracing::error!("the proxy does not describe the original request as configured");
    let mut response = Response::new(DecisionBody::default());
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}
