//! The response future, which polls the validation and then the inner service: [`ResponseFuture`].

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    Guard, ResponseBody,
    grpc::Upload,
    guard::{Decision, Pending},
    service::mark_sensitive,
    stream_bound::StreamBound,
    timing::Timing,
};
use crate::{BoxFuture, Outcome, ValidatedToken, ValidationError};

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
        Answering { #[pin] answer: F, call: CallBound },
        /// The token is being validated. Boxed, to keep the common case small.
        Validating { validation: Validation, pending: Option<Pending>, waiting: Option<Box<Waiting<S, B>>> },
        /// The authorizer was called and owns the head of the request.
        Authorizing { authorization: Authorization, undecided: Option<Box<Undecided<S, B>>> },
        /// The request is accepted, but the inner service is not ready yet.
        WaitingForReady { waiting: Option<Box<Waiting<S, B>>> },
        /// The request is refused.
        Refused { refusal: Option<Response<Bytes>> },
    }
}

type Validation = BoxFuture<'static, Result<ValidatedToken, ValidationError>>;
type Authorization = BoxFuture<'static, Result<Parts, ValidationError>>;

/// A request that waits for validation or readiness, and the service to call.
pub(super) struct Waiting<S, B> {
    pub(super) inner: S,
    pub(super) request: Request<B>,
    pub(super) guard: Arc<Guard>,
    pub(super) call: CallBound,
}

/// A request without its head, which the authorizer owns.
struct Undecided<S, B> {
    inner: S,
    body: B,
    guard: Arc<Guard>,
    call: CallBound,
    token: ValidatedToken,
}

/// What ends a call to the inner service early.
#[derive(Default)]
pub(super) struct CallBound {
    pub(super) token: Option<StreamBound>,
    /// The request body on a layer for gRPC, until the token is known.
    pub(super) upload: Option<Upload>,
    /// When the decision began.
    pub(super) timing: Timing,
}

impl CallBound {
    /// Sets the token of the call.
    pub(super) fn set_token(&mut self, token: &ValidatedToken) {
        self.token = StreamBound::of(token, self.upload.take());
    }

    /// Completes with a refusal if the token expires while the client of a gRPC call is still sending.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Response<Bytes>> {
        match &mut self.token {
            Some(token) if token.is_uploading() => {
                ready!(token.poll_over(cx));
                Poll::Ready(token.refuse())
            }
            _ => Poll::Pending,
        }
    }

    fn bound<R>(&mut self, response: Response<R>) -> Response<ResponseBody<R>> {
        match self.token.take().filter(|token| token.applies_to(&response)) {
            Some(token) => response.map(|body| ResponseBody::stream(body, token)),
            None => response.map(ResponseBody::inner),
        }
    }
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    pub(super) fn answering(answer: S::Future, call: CallBound) -> Self {
        Self { state: State::Answering { answer, call } }
    }

    /// Continues as decided.
    pub(super) fn decided(decision: Decision, waiting: Waiting<S, B>) -> Self {
        Self { state: State::decided(decision, Box::new(waiting)) }
    }

    pub(super) fn refused(refusal: Response<Bytes>) -> Self {
        Self { state: State::refused(refusal) }
    }
}

impl<S, B, F> State<S, B, F> {
    fn refused(refusal: Response<Bytes>) -> Self {
        Self::Refused { refusal: Some(refusal) }
    }

    fn decided(decision: Decision, mut waiting: Box<Waiting<S, B>>) -> Self {
        match decision {
            Decision::Admit(token) => Self::admitted(token, waiting),
            Decision::AdmitAnonymous => {
                waiting.call.timing.end(|| Outcome::Anonymous);
                Arc::clone(&waiting.guard).prepare(&mut waiting.request, None);
                Self::WaitingForReady { waiting: Some(waiting) }
            }
            Decision::Validate(new) => {
                mark_sensitive(waiting.request.headers_mut());
                let (validation, pending) = new.validate();
                Self::Validating { validation, pending: Some(pending), waiting: Some(waiting) }
            }
            Decision::Refuse(error, need) => {
                waiting.call.timing.end_refused(&error);
                Self::refused(waiting.guard.refuse(error, need.as_deref(), &waiting.request))
            }
        }
    }

    /// Prepares the request and calls the authorizer, if there is one.
    fn admitted(token: ValidatedToken, mut waiting: Box<Waiting<S, B>>) -> Self {
        let guard = Arc::clone(&waiting.guard);
        waiting.call.set_token(&token);
        guard.prepare(&mut waiting.request, Some(token.clone()));
        let Some(authorizer) = &guard.authorizer else {
            waiting.call.timing.end(|| Outcome::Admitted);
            return Self::WaitingForReady { waiting: Some(waiting) };
        };
        let Waiting { inner, request, call, .. } = *waiting;
        let (head, body) = request.into_parts();
        let clock = guard.passed().settings.clock.clone();
        let authorization = Arc::clone(authorizer).authorize(token.clone(), head, clock);
        let undecided = Undecided { inner, body, guard, call, token };
        Self::Authorizing { authorization, undecided: Some(Box::new(undecided)) }
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
                StateProject::Answering { answer, call } => match answer.poll(cx)? {
                    Poll::Ready(response) => return Poll::Ready(Ok(call.bound(response))),
                    Poll::Pending => State::refused(ready!(call.poll_over(cx))),
                },
                StateProject::Validating { validation, pending, waiting } => {
                    let verdict = ready!(validation.as_mut().poll(cx));
                    let mut waiting = waiting.take().expect(POLLED_AGAIN);
                    let pending = pending.take().expect(POLLED_AGAIN);
                    let Waiting { request, guard, call, .. } = &mut *waiting;
                    let decision = guard.conclude(verdict, pending, request, &mut call.timing);
                    State::decided(decision, waiting)
                }
                StateProject::Authorizing { authorization, undecided } => {
                    let decision = ready!(authorization.as_mut().poll(cx));
                    let Undecided { inner, body, guard, mut call, token } =
                        *undecided.take().expect(POLLED_AGAIN);
                    match decision {
                        Ok(head) => {
                            call.timing.end(|| Outcome::Admitted);
                            let request = Request::from_parts(head, body);
                            let waiting = Waiting { inner, request, guard, call };
                            State::WaitingForReady { waiting: Some(Box::new(waiting)) }
                        }
                        Err(error) => {
                            call.timing.end_refused(&error);
                            State::refused(token.refuse(error).into_http())
                        }
                    }
                }
                StateProject::WaitingForReady { waiting } => {
                    ready!(waiting.as_mut().expect(POLLED_AGAIN).inner.poll_ready(cx))?;
                    let Waiting { mut inner, request, call, .. } = *waiting.take().expect(POLLED_AGAIN);
                    State::Answering { answer: inner.call(request), call }
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
            State::Authorizing { .. } => "ResponseFuture::Authorizing",
            State::WaitingForReady { .. } => "ResponseFuture::WaitingForReady",
            State::Refused { .. } => "ResponseFuture::Refused",
        })
    }
}
