//! The layer for gRPC services, which also removes credentials from request trailers: [`ValidateGrpcTokenLayer`].

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
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

/// Wraps a gRPC service with [`ValidateGrpcToken`]. Created by [`ValidateTokenLayer::grpc`].
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
/// Works like [`ValidateToken`], but calls the inner service with a [`GrpcRequestBody`], which removes credentials from
/// the trailers.
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
        let upload = Upload::default();
        let request = request.map(|body| GrpcRequestBody { body, upload: upload.clone() });
        self.0.respond(request, Some(upload))
    }
}

pin_project! {
    /// A request body that removes credentials from its trailers.
    ///
    /// These are `authorization`, `proxy-authorization` and `dpop`. Data and other trailers are not changed.
    #[derive(Clone, Debug)]
    pub struct GrpcRequestBody<B> {
        #[pin]
        body: B,
        upload: Upload,
    }
}

/// Whether a request body has been read to its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Upload(Arc<AtomicBool>);

impl Upload {
    pub(super) fn is_finished(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<B: Body> Body for GrpcRequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let mut frame = ready!(this.body.as_mut().poll_frame(cx));
        if frame.is_none() || this.body.is_end_stream() {
            this.upload.0.store(true, Ordering::Relaxed);
        }
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

// RFC 9110 section 6.5.1: fields that are needed before the content, such as those for authentication, must not be sent
// as trailers.
const CREDENTIALS: [HeaderName; 3] = [AUTHORIZATION, PROXY_AUTHORIZATION, DPOP];
