//! The layer for gRPC services, which also removes credentials from request trailers: [`ValidateGrpcTokenLayer`].

use std::{
    error::Error,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use http::{
    HeaderName, Request, Response,
    header::{AUTHORIZATION, PROXY_AUTHORIZATION},
};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{Authorizer, LayerDescription, ResponseBody, ResponseFuture, ValidateToken, ValidateTokenLayer};
use crate::{Scope, credentials::DPOP};

/// Wraps a gRPC service with [`ValidateGrpcToken`].
///
/// Created by [`ResourceServer::require_grpc`](crate::ResourceServer::require_grpc) and [`ValidateTokenLayer::grpc`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ValidateGrpcTokenLayer(ValidateTokenLayer);

impl ValidateGrpcTokenLayer {
    pub(super) fn new(layer: ValidateTokenLayer) -> Self {
        Self(layer)
    }

    /// Adds scopes to the challenge of a missing or invalid token that the method does not require, like
    /// [`ValidateTokenLayer::advertise`].
    pub fn advertise(self, scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self(self.0.advertise(scopes))
    }

    /// Calls an [`Authorizer`] for each request with a token, after all other checks, like
    /// [`ValidateTokenLayer::authorizer`].
    pub fn authorizer(self, authorizer: impl Authorizer) -> Self {
        Self(self.0.authorizer(authorizer))
    }

    /// Describes what the layer requires, for people who review it.
    pub fn describe(&self) -> LayerDescription {
        self.0.describe()
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
    /// A request body without credentials in its trailers.
    ///
    /// `authorization`, `proxy-authorization` and `dpop` are removed. Data and other trailers are not changed. When the token expires,
    /// the layer ends the call. After that, reading the body fails with [`TokenExpired`], also in a task that a handler has spawned.
    #[derive(Clone, Debug)]
    pub struct GrpcRequestBody<B> {
        #[pin]
        body: B,
        upload: Upload,
    }
}

/// The error of a request body that is read after the token of its request has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the access token of this call has expired")]
pub struct TokenExpired(());

/// The state of a request body, shared by the body and the future that waits for the response.
#[derive(Clone, Debug, Default)]
pub(super) struct Upload(Arc<UploadState>);

#[derive(Debug, Default)]
struct UploadState {
    /// The body has been read to its end.
    is_finished: AtomicBool,
    /// The call was ended because its token has expired.
    is_cut: AtomicBool,
    /// The task that reads the body.
    reader: Mutex<Option<Waker>>,
}

impl Upload {
    pub(super) fn is_finished(&self) -> bool {
        self.0.is_finished.load(Ordering::Relaxed)
    }

    /// Makes further reading fail.
    pub(super) fn cut(&self) {
        self.0.is_cut.store(true, Ordering::SeqCst);
        if let Some(reader) = self.reader().take() {
            reader.wake();
        }
    }

    /// Completes when the body has been cut.
    fn poll_cut(&self, cx: &mut Context<'_>) -> Poll<TokenExpired> {
        let mut reader = self.reader();
        if self.0.is_cut.load(Ordering::SeqCst) {
            return Poll::Ready(TokenExpired(()));
        }
        match &mut *reader {
            Some(known) => known.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    fn reader(&self) -> MutexGuard<'_, Option<Waker>> {
        self.0.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> Body for GrpcRequestBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let mut this = self.project();
        if this.upload.0.is_cut.load(Ordering::Relaxed) {
            return Poll::Ready(Some(Err(TokenExpired(()).into())));
        }
        let frame = match this.body.as_mut().poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => return this.upload.poll_cut(cx).map(|expired| Some(Err(expired.into()))),
        };
        if frame.is_none() || this.body.is_end_stream() {
            this.upload.0.is_finished.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame.map(|frame| match frame {
            Ok(mut frame) => {
                if let Some(trailers) = frame.trailers_mut() {
                    for name in CREDENTIALS {
                        trailers.remove(name);
                    }
                }
                Ok(frame)
            }
            Err(error) => Err(error.into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

type BoxError = Box<dyn Error + Send + Sync>;

// RFC 9110 section 6.5.1: fields that are needed before the content, such as those for authentication, must not be sent
// as trailers.
const CREDENTIALS: [HeaderName; 3] = [AUTHORIZATION, PROXY_AUTHORIZATION, DPOP];
