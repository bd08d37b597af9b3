//! The layer of a gRPC service: like any other, but for credentials in the trailers of requests.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{
    HeaderName, Request, Response,
    header::{AUTHORIZATION, PROXY_AUTHORIZATION},
};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{ResponseBody, ResponseFuture, ValidateToken, ValidateTokenLayer};
use crate::credentials::DPOP;

/// Puts [`ValidateGrpcToken`] around a gRPC service. Made by [`ValidateTokenLayer::grpc`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ValidateGrpcTokenLayer(ValidateTokenLayer);

impl ValidateGrpcTokenLayer {
    pub(super) fn new(layer: ValidateTokenLayer) -> Self {
        Self(layer)
    }
}

impl<S> Layer<S> for ValidateGrpcTokenLayer {
    type Service = ValidateGrpcToken<S>;

    fn layer(&self, inner: S) -> ValidateGrpcToken<S> {
        ValidateGrpcToken(self.0.layer(inner))
    }
}

/// Validates the access token of each request to a gRPC service.
///
/// Works like [`ValidateToken`], and calls the inner service with a [`GrpcRequestBody`], which has no credentials in its
/// trailers.
#[derive(Clone, Debug)]
pub struct ValidateGrpcToken<S>(ValidateToken<S>);

impl<S, B, R> Service<Request<B>> for ValidateGrpcToken<S>
where
    S: Service<Request<GrpcRequestBody<B>>, Response = Response<R>> + Clone,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, GrpcRequestBody<B>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.0.call(request.map(GrpcRequestBody::new))
    }
}

pin_project! {
    /// The body of a gRPC request, without credentials in its trailers.
    ///
    /// Removes `authorization`, `proxy-authorization` and `dpop` from the trailers. Data and other trailers stay as they are.
    #[derive(Clone, Debug)]
    pub struct GrpcRequestBody<B> {
        #[pin]
        body: B,
    }
}

impl<B> GrpcRequestBody<B> {
    pub(super) fn new(body: B) -> Self {
        Self { body }
    }
}

impl<B: Body> Body for GrpcRequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut frame = ready!(self.project().body.poll_frame(cx));
        if let Some(Ok(frame)) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            for name in CREDENTIALS {
                trailers.remove(name);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

// RFC 9110 section 6.5.1: a trailer must not have the meaning of a header that is needed before the content, such as one for
// authentication.
const CREDENTIALS: [HeaderName; 3] = [AUTHORIZATION, PROXY_AUTHORIZATION, DPOP];
