//! The bodies of requests and responses, which are passed on part by part: [`RequestBody`], [`ResponseBody`].
//!
//! Each part is read when the other side is ready for it, so a slow receiver slows the sender down.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Empty, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use tokio::{sync::oneshot, time::Instant};

use super::settings::ProxySettings;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request on its way to the backend.
pub(crate) struct RequestBody {
    inner: UnsyncBoxBody<Bytes, BoxError>,
    settings: Arc<ProxySettings>,
    progress: Progress,
    /// Set while the body waits for the backend's `100 Continue`, because the client sent `Expect: 100-continue`.
    permission: Option<oneshot::Receiver<()>>,
}

/// When the last part of a body was read.
#[derive(Clone, Debug)]
pub(crate) struct Progress(Arc<Mutex<Instant>>);

/// Permits the client to send its body. If it is dropped without [`Permission::give`], the body fails.
#[derive(Clone, Debug, Default)]
pub(crate) struct Permission(Arc<Mutex<Option<oneshot::Sender<()>>>>);

impl RequestBody {
    pub(crate) fn new<B>(inner: B, settings: Arc<ProxySettings>, progress: Progress) -> Self
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Self { inner: inner.map_err(Into::into).boxed_unsync(), settings, progress, permission: None }
    }

    /// Makes the body wait until the returned permission is given.
    pub(crate) fn wait_for_permission(&mut self) -> Permission {
        let (sender, receiver) = oneshot::channel();
        self.permission = Some(receiver);
        Permission(Arc::new(Mutex::new(Some(sender))))
    }
}

impl Permission {
    pub(crate) fn give(&self) {
        if let Some(sender) = self.take() {
            // An error means that nobody waits any more.
            let _ = sender.send(());
        }
    }

    fn take(&self) -> Option<oneshot::Sender<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Progress {
    pub(crate) fn start() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    pub(crate) fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(permission) = &mut self.permission {
            let given = ready!(Pin::new(permission).poll(cx));
            self.permission = None;
            if given.is_err() {
                return Poll::Ready(Some(Err("the backend did not want the body".into())));
            }
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        self.progress.record();
        Poll::Ready(frame.map(|frame| {
            frame.map(|mut frame| {
                if let Some(trailers) = frame.trailers_mut() {
                    self.settings.header_rules.clean_trailers(trailers);
                }
                frame
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of a response on its way to the client.
pub(crate) struct ResponseBody {
    inner: UnsyncBoxBody<Bytes, BoxError>,
    /// Withdrawn when the response ends, so that a request body that the backend did not want ends too.
    permission: Option<Permission>,
}

impl ResponseBody {
    pub(crate) fn backend(body: Incoming, permission: Option<Permission>) -> Self {
        Self { inner: body.map_err(Into::into).boxed_unsync(), permission }
    }

    pub(crate) fn empty() -> Self {
        Self { inner: Empty::new().map_err(|never| match never {}).boxed_unsync(), permission: None }
    }

    pub(crate) fn text(text: &'static str) -> Self {
        let body = Full::new(Bytes::from_static(text.as_bytes()));
        Self { inner: body.map_err(|never| match never {}).boxed_unsync(), permission: None }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Some(permission) = &self.permission {
            drop(permission.take());
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
