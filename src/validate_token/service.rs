//! The service, which passes a request to the inner service or refuses it: [`ValidateToken`].

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, HeaderValue, Request, Response, header::AUTHORIZATION};
use tower_service::Service;

use super::{
    Guard, ResponseBody, ResponseFuture,
    future::{CallBound, Waiting},
    grpc::Upload,
    guard::Decision,
};
use crate::{Outcome, ValidatedToken, credentials::DPOP, refusal::RequestSummary, token::AnonymousRequest};

/// Validates the access token of each request before calling the inner service.
///
/// The inner service receives requests with a [`ValidatedToken`] in the extensions and without the `Authorization`
/// header. It does not receive refused requests. Trailers are not changed: see
/// [`grpc`](super::ValidateTokenLayer::grpc).
///
/// # Readiness
/// With a cached verdict, the request uses the readiness of the inner service immediately. A request that has to wait
/// or is refused releases it, so that it holds no permit of a `ConcurrencyLimit` during validation. After validation,
/// it waits for readiness again.
#[derive(Clone, Debug)]
pub struct ValidateToken<S> {
    inner: S,
    guard: Arc<Guard>,
}

impl<S> ValidateToken<S> {
    pub(super) fn new(inner: S, guard: Arc<Guard>) -> Self {
        Self { inner, guard }
    }

    #[cfg(feature = "mcp")]
    pub(super) fn guard(&self) -> &Guard {
        &self.guard
    }
}

impl<S, B, R> Service<Request<B>> for ValidateToken<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.respond(request, None)
    }
}

impl<S> ValidateToken<S> {
    /// Responds to a request. `upload` is the state of the request body on a layer for gRPC.
    pub(super) fn respond<B>(
        &mut self,
        mut request: Request<B>,
        upload: Option<Upload>,
    ) -> ResponseFuture<S, B>
    where
        S: Service<Request<B>> + Clone,
    {
        let mut call = CallBound { upload, ..CallBound::default() };
        match self.guard.decide(&request, &mut call.timing) {
            Decision::Admit(token) if self.guard.authorizer.is_none() => {
                call.timing.end(|| Outcome::Admitted);
                call.set_token(&token);
                self.guard.prepare(&mut request, Some(token));
                ResponseFuture::answering(self.inner.call(request), call)
            }
            Decision::AdmitAnonymous => {
                call.timing.end(|| Outcome::Anonymous);
                self.guard.prepare(&mut request, None);
                ResponseFuture::answering(self.inner.call(request), call)
            }
            decision => self.respond_when_ready(decision, request, call),
        }
    }

    /// Responds to a request, if the inner service was not polled ready.
    #[cfg(feature = "mcp")]
    pub(super) fn respond_unready<B>(&mut self, request: Request<B>) -> ResponseFuture<S, B>
    where
        S: Service<Request<B>> + Clone,
    {
        let mut call = CallBound::default();
        let decision = self.guard.decide(&request, &mut call.timing);
        self.respond_when_ready(decision, request, call)
    }

    fn respond_when_ready<B>(
        &mut self,
        decision: Decision,
        request: Request<B>,
        mut call: CallBound,
    ) -> ResponseFuture<S, B>
    where
        S: Service<Request<B>> + Clone,
    {
        if let Decision::Refuse(error, need) = decision {
            call.timing.end_refused(&error);
            drop(self.give_readiness_back());
            return ResponseFuture::refused(self.guard.refuse(error, need.as_deref(), &request));
        }
        ResponseFuture::decided(decision, self.waiting(request, call))
    }
}

impl<S: Clone> ValidateToken<S> {
    fn waiting<B>(&mut self, request: Request<B>, call: CallBound) -> Waiting<S, B> {
        Waiting { inner: self.give_readiness_back(), request, guard: Arc::clone(&self.guard), call }
    }

    /// Drops the service that was polled ready, with any permit that it holds. Returns a clone to poll later.
    ///
    /// tower allows dropping a ready service. Keeping it while its clone waits for the same permit would cause a
    /// deadlock.
    pub(super) fn give_readiness_back(&mut self) -> S {
        let unready = self.inner.clone();
        drop(mem::replace(&mut self.inner, unready.clone()));
        unready
    }
}

impl Guard {
    /// Prepares a request for the inner service.
    pub(super) fn prepare<B>(&self, request: &mut Request<B>, token: Option<ValidatedToken>) {
        match token {
            Some(token) => {
                let forward = token.passed().is_some_and(|passed| passed.guards.settings.forward_credential);
                if forward {
                    mark_sensitive(request.headers_mut());
                } else {
                    request.headers_mut().remove(AUTHORIZATION);
                    request.headers_mut().remove(DPOP);
                }
                token.record_pseudonym();
                request.extensions_mut().insert(token);
            }
            // Removes a token that an outer layer of another resource server validated. Credentials of other schemes
            // stay in the request.
            None => {
                mark_sensitive(request.headers_mut());
                request.extensions_mut().remove::<ValidatedToken>();
                self.mark_anonymous(request);
            }
        }
    }

    fn mark_anonymous<B>(&self, request: &mut Request<B>) {
        let summary = RequestSummary::of(request, self.grpc);
        request.extensions_mut().insert(AnonymousRequest { passed: self.passed(), request: summary });
    }
}

/// Keeps the token out of the `Debug` output of headers and out of the compression tables of HTTP/2.
pub(super) fn mark_sensitive(headers: &mut HeaderMap<HeaderValue>) {
    if let Some(value) = headers.get_mut(AUTHORIZATION) {
        value.set_sensitive(true);
    }
}
