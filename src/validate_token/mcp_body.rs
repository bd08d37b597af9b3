//! A request body whose start was read to determine the operation: [`McpRequestBody`].

use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

/// The body of a request behind [`ValidateMcpToken`](super::ValidateMcpToken).
///
/// It has exactly the data and trailers that the client sends. The part that the layer has read comes first, as one frame. The
/// rest is read from the client when the inner service reads it.
pub struct McpRequestBody<B: Body> {
    start: Bytes,
    /// What followed the start, if it was read.
    end: End<B::Error>,
    rest: Pin<Box<B>>,
}

enum End<E> {
    /// The rest has not been read.
    Unread,
    Trailers(HeaderMap),
    Error(E),
    /// The body ended.
    Reached,
}

impl<B: Body> McpRequestBody<B> {
    pub(super) fn unread(body: B) -> Self {
        Self { start: Bytes::new(), end: End::Unread, rest: Box::pin(body) }
    }
}

/// Reads a body up to a limit.
pub(super) struct Peek<B: Body> {
    buffer: BytesMut,
    body: McpRequestBody<B>,
}

/// Whether a body was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Complete,
    /// The limit or the deadline was exceeded, or reading failed.
    Incomplete,
}

impl<B: Body> Peek<B> {
    pub(super) fn new(body: B) -> Self {
        Self { buffer: BytesMut::new(), body: McpRequestBody::unread(body) }
    }

    /// Reads until the end of the body, an error, or more than `limit` bytes.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, limit: usize) -> Poll<Reading> {
        loop {
            let (end, reading) = match ready!(self.body.rest.as_mut().poll_frame(cx)) {
                None => (End::Reached, Reading::Complete),
                Some(Err(error)) => (End::Error(error), Reading::Incomplete),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(mut data) => {
                        // A body in one frame is not copied.
                        if self.buffer.is_empty() && self.body.rest.is_end_stream() {
                            self.body.start = data.copy_to_bytes(data.remaining());
                        } else {
                            self.buffer.reserve(data.remaining());
                            while data.has_remaining() {
                                let chunk = data.chunk();
                                self.buffer.extend_from_slice(chunk);
                                data.advance(chunk.len());
                            }
                        }
                        if self.body.start.len().max(self.buffer.len()) > limit {
                            return Poll::Ready(Reading::Incomplete);
                        }
                        if !self.body.rest.is_end_stream() {
                            continue;
                        }
                        (End::Reached, Reading::Complete)
                    }
                    Err(frame) => match frame.into_trailers() {
                        Ok(trailers) => (End::Trailers(trailers), Reading::Complete),
                        // An unknown kind of frame.
                        Err(_) => continue,
                    },
                },
            };
            self.body.end = end;
            return Poll::Ready(reading);
        }
    }

    /// Returns the body, with the part that was read at its start.
    pub(super) fn into_body(self) -> McpRequestBody<B> {
        let mut body = self.body;
        if !self.buffer.is_empty() {
            body.start = self.buffer.freeze();
        }
        body
    }
}

impl<B: Body> McpRequestBody<B> {
    pub(super) fn start(&self) -> &[u8] {
        &self.start
    }
}

impl<B: Body> Body for McpRequestBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        if !this.start.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(mem::take(&mut this.start)))));
        }
        match mem::replace(&mut this.end, End::Reached) {
            End::Trailers(trailers) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            End::Error(error) => Poll::Ready(Some(Err(error))),
            End::Reached => Poll::Ready(None),
            End::Unread => {
                this.end = End::Unread;
                let frame = ready!(this.rest.as_mut().poll_frame(cx));
                let to_bytes = |mut data: B::Data| data.copy_to_bytes(data.remaining());
                Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(to_bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.start.is_empty()
            && match &self.end {
                End::Unread => self.rest.is_end_stream(),
                End::Reached => true,
                End::Trailers(_) | End::Error(_) => false,
            }
    }

    fn size_hint(&self) -> SizeHint {
        let start = u64::try_from(self.start.len()).unwrap_or(u64::MAX);
        match &self.end {
            End::Unread => {
                let rest = self.rest.size_hint();
                let mut hint = SizeHint::new();
                // The upper bound first, since the lower one must not exceed it.
                if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(start)) {
                    hint.set_upper(upper);
                }
                hint.set_lower(rest.lower().saturating_add(start));
                hint
            }
            End::Trailers(_) | End::Error(_) | End::Reached => SizeHint::with_exact(start),
        }
    }
}

// The body is boxed, and the error is never pinned.
impl<B: Body> Unpin for McpRequestBody<B> {}

impl<B: Body> fmt::Debug for McpRequestBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpRequestBody").field("start_len", &self.start.len()).finish_non_exhaustive()
    }
}
