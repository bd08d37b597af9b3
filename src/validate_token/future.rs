//! The response future, which polls the validation and then the inner service: [`ResponseFuture`].

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{Guard, ResponseBody};
use crate::{BoxFuture, ValidatedToken, ValidationError};

pin_project! {
    /// The future of [`ValidateToken`](super::ValidateToken).
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B, S::Future>,
    }
}

pin_project! {
    #[project = StateProject]
    enum State<S, B, F> {
        /// The inner service was called.
        Answering { #[pin] answer: F },
        /// The token is being validated. Boxed, to keep the common case small.
        Validating { validation: Validation, waiting: Option<Box<Waiting<S, B>>> },
        /// The request is accepted, but the inner service is not ready yet.
        WaitingForReady { waiting: Option<Box<Waiting<S, B>>> },
        /// The request is refused.
        Refused { refusal: Option<Response<Bytes>> },
    }
}

type Validation = BoxFuture<'static, Result<ValidatedToken, ValidationError>>;

/// A request whose token is being validated, and the service to call after that.
pub(super) struct Waiting<S, B> {
    pub(super) inner: S,
    pub(super) request: Request<B>,
    pub(super) guard: Arc<Guard>,
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    pub(super) fn answering(answer: S::Future) -> Self {
        Self { state: State::Answering { answer } }
    }

    pub(super) fn validating(validation: Validation, waiting: Waiting<S, B>) -> Self {
        Self { state: State::Validating { validation, waiting: Some(Box::new(waiting)) } }
    }

    pub(super) fn refused(refusal: Response<Bytes>) -> Self {
        Self { state: State::Refused { refusal: Some(refusal) } }
    }
}

impl<S, B> Waiting<S, B> {
    /// Applies the verdict: prepares the request for the inner service, or returns the refusal.
    fn refuse_or_prepare(
        &mut self,
        verdict: Result<ValidatedToken, ValidationError>,
    ) -> Option<Response<Bytes>> {
        let error = match verdict.and_then(|token| self.guard.admit(token, &self.request)) {
            Ok(token) => {
                self.guard.prepare(&mut self.request, Some(token));
                return None;
            }
            Err(error) => error,
        };
        Some(self.guard.refuse(error, &self.request))
    }
}

impl<S, B, R> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const POLLED_AGAIN: &str = "polled after completion";
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProject::Answering { answer } => {
                    let response = ready!(answer.poll(cx))?;
                    return Poll::Ready(Ok(response.map(ResponseBody::inner)));
                }
                StateProject::Validating { validation, waiting } => {
                    let verdict = ready!(validation.as_mut().poll(cx));
                    let mut waiting = waiting.take().expect(POLLED_AGAIN);
                    match waiting.refuse_or_prepare(verdict) {
                        None => State::WaitingForReady { waiting: Some(waiting) },
                        Some(refusal) => State::Refused { refusal: Some(refusal) },
                    }
                }
                StateProject::WaitingForReady { waiting } => {
                    ready!(waiting.as_mut().expect(POLLED_AGAIN).inner.poll_ready(cx))?;
                    let Waiting { mut inner, request, .. } = *waiting.take().expect(POLLED_AGAIN);
                    State::Answering { answer: inner.call(request) }
                }
                StateProject::Refused { refusal } => {
                    let refusal = refusal.take().expect(POLLED_AGAIN);
                    return Poll::Ready(Ok(refusal.map(ResponseBody::refusal)));
                }
            };
            state.set(next);
        }
    }
}

impl<S, B> fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Answering { .. } => "ResponseFuture::Answering",
            State::Validating { .. } => "ResponseFuture::Validating",
            State::WaitingForReady { .. } => "ResponseFuture::WaitingForReady",
            State::Refused { .. } => "ResponseFuture::Refused",
        })
    }
}
