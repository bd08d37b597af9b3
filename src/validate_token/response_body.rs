//! The body of a response, from the inner service or of a refusal: [`ResponseBody`].

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use pin_project_lite::pin_project;

use super::stream_bound::StreamBound;
use crate::refusal::GrpcEnd;

pin_project! {
    /// The body of the inner service, or the bytes of a refusal.
    ///
    /// Can be used in place of the inner body if its data can be created from [`Bytes`].
    #[derive(Debug)]
    pub struct ResponseBody<R> {
        #[pin]
        kind: Kind<R>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = KindProject]
    enum Kind<R> {
        Inner { #[pin] body: R },
        /// A stream, which ends when the token expires.
        Stream { #[pin] body: R, state: StreamState },
        Refusal { #[pin] body: Full<Bytes> },
    }
}

/// A stream, and when it must end.
struct StreamState {
    bound: StreamBound,
    progress: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// No data yet.
    Head,
    /// The first data was passed on. Further data is only passed on until the token expires.
    Data,
    Ended,
}

impl<R> ResponseBody<R> {
    pub(super) fn inner(body: R) -> Self {
        Self { kind: Kind::Inner { body } }
    }

    pub(super) fn stream(body: R, bound: StreamBound) -> Self {
        Self { kind: Kind::Stream { body, state: StreamState { bound, progress: Progress::Head } } }
    }

    pub(super) fn refusal(body: Bytes) -> Self {
        Self { kind: Kind::Refusal { body: Full::new(body) } }
    }
}

impl StreamState {
    /// Ends the stream, because the token has expired.
    fn end<D: From<Bytes>>(&mut self) -> Option<Frame<D>> {
        self.progress = Progress::Ended;
        self.bound.grpc_end().map(|end| match end {
            GrpcEnd::Trailers(trailers) => Frame::trailers(trailers),
            GrpcEnd::WebFrame(frame) => Frame::data(frame.into()),
        })
    }
}

impl<R: Default> Default for ResponseBody<R> {
    fn default() -> Self {
        Self::inner(R::default())
    }
}

impl<R> Body for ResponseBody<R>
where
    R: Body,
    R::Data: From<Bytes>,
{
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.project().kind.project() {
            KindProject::Inner { body } => body.poll_frame(cx),
            KindProject::Stream { state, .. } if state.progress == Progress::Ended => Poll::Ready(None),
            KindProject::Stream { body, state } => match body.poll_frame(cx) {
                // The first data is always passed on, because it is the whole response of a unary gRPC call. Expiry is
                // checked for later data too, because a busy stream may never be pending.
                Poll::Ready(Some(Ok(frame))) if frame.is_data() => {
                    if state.progress == Progress::Data && state.bound.is_over() {
                        return Poll::Ready(state.end().map(Ok));
                    }
                    state.progress = Progress::Data;
                    Poll::Ready(Some(Ok(frame)))
                }
                Poll::Pending if state.bound.poll_over(cx).is_ready() => Poll::Ready(state.end().map(Ok)),
                frame => frame,
            },
            KindProject::Refusal { body } => {
                body.poll_frame(cx).map(|frame| frame.map(|Ok(frame)| Ok(frame.map_data(R::Data::from))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Stream { body, state } => state.progress == Progress::Ended || body.is_end_stream(),
            Kind::Refusal { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            // It may end early.
            Kind::Stream { .. } => SizeHint::default(),
            Kind::Refusal { body } => body.size_hint(),
        }
    }
}

impl fmt::Debug for StreamState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamState").field("progress", &self.progress).finish_non_exhaustive()
    }
}
