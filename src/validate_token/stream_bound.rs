//! Ends streams when the token of their request expires: [`StreamBound`].

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{
    HeaderMap, Response,
    header::{CONTENT_TYPE, HeaderValue},
};
use tokio::{
    runtime::Handle,
    time::{Sleep, sleep},
};

use super::grpc::Upload;
use crate::{
    Refusal, UnixTime, ValidatedToken, ValidationError,
    refusal::{GrpcEnd, RequestSummary},
    token::PassedGuards,
};

/// Ends a call when the token of its request expires.
///
/// Expiry is checked with the clock of the resource server. The timer only wakes the task.
pub(super) struct StreamBound {
    guards: Arc<PassedGuards>,
    exp: UnixTime,
    /// `exp` plus the clock skew.
    expired_from: UnixTime,
    /// Set for gRPC calls, which end with a status.
    grpc: Option<Box<RequestSummary>>,
    /// The request body on a layer for gRPC, which is also ended, whatever its content type: tonic does not check that.
    upload: Option<Upload>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl StreamBound {
    /// Returns the bound of a request, or `None` if its token does not expire or streams may outlive it.
    pub(super) fn of(token: &ValidatedToken, upload: Option<Upload>) -> Option<Self> {
        let passed = token.passed().filter(|passed| !passed.guards.settings.streams_outlive_tokens)?;
        Some(Self {
            guards: Arc::clone(&passed.guards),
            exp: token.expires_at()?,
            expired_from: token.verdict().expired_from()?,
            grpc: passed.request.is_grpc().then(|| Box::new(passed.request.clone())),
            upload,
            timer: None,
        })
    }

    pub(super) fn is_grpc(&self) -> bool {
        self.grpc.is_some()
    }

    /// Returns whether a response is a stream, which may not outlive the token.
    pub(super) fn applies_to<R>(&self, response: &Response<R>) -> bool {
        self.is_grpc() || is_stream(response.headers())
    }

    pub(super) fn is_over(&self) -> bool {
        self.guards.settings.clock.now() >= self.expired_from
    }

    /// Returns whether the client can still send messages, on a layer for gRPC.
    pub(super) fn is_uploading(&self) -> bool {
        self.upload.as_ref().is_some_and(|upload| !upload.is_finished())
    }

    /// Completes when the token has expired.
    ///
    /// There are no timers outside a runtime. The stream then ends when the inner body next has data.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.is_over() {
            if Handle::try_current().is_err() {
                return Poll::Pending;
            }
            let rest = self.expired_from.saturating_duration_since(self.guards.settings.clock.now());
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(rest)));
            ready!(timer.as_mut().poll(cx));
            self.timer = None;
        }
        Poll::Ready(())
    }

    /// Creates the response for a gRPC call that was not answered before the token expired.
    pub(super) fn refuse(&self) -> Response<Bytes> {
        self.refusal().into_http()
    }

    /// Returns what ends the body of a gRPC response. `None` for other responses, which just end.
    pub(super) fn grpc_end(&self) -> Option<GrpcEnd> {
        let refusal = self.refusal();
        self.is_grpc().then(|| refusal.into_grpc_end())
    }

    /// Ends the request body too, and returns how the response ends.
    fn refusal(&self) -> Refusal {
        if let Some(upload) = &self.upload {
            upload.cut();
        }
        let now = self.guards.settings.clock.now();
        let clock_skew = self.expired_from.saturating_duration_since(self.exp);
        let error = ValidationError::Expired { exp: self.exp, now, clock_skew };
        self.guards.refuse(error, None, self.grpc.as_deref().cloned())
    }
}

/// Returns whether the content type is that of an event stream or of gRPC.
///
/// The content type of the request is not used, because tonic does not check it.
fn is_stream(headers: &HeaderMap<HeaderValue>) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let starts_with = |stream: &&[u8]| {
        content_type.get(..stream.len()).is_some_and(|start| start.eq_ignore_ascii_case(stream))
    };
    [&b"text/event-stream"[..], b"application/grpc"].iter().any(starts_with)
}
