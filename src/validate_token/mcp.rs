//! The layer for MCP servers, which reads the operation from the body: [`ValidateMcpTokenLayer`].

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Method, Request, Response, request::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::{
    runtime::Handle,
    time::{Sleep, sleep},
};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    Authorizer, LayerDescription, McpRequestBody, ResponseBody, ResponseFuture, ValidateToken,
    ValidateTokenLayer,
    mcp_body::{Peek, Reading},
};
use crate::{
    ResourceServer, Scope, ValidationError,
    mcp::{McpOperations, Mismatch, Peeked, has_json_body, header_mismatch_body},
};

/// Wraps an MCP server with [`ValidateMcpToken`]. Created by [`ResourceServer::require_mcp`].
///
/// ```
/// use tower::{Layer as _, service_fn};
/// use tower_bearer::{ConfigError, ResourceServer, Scope, mcp::McpOperations};
///
/// const READ: Scope = Scope::from_static("mcp:read");
///
/// fn protect(resource_server: &ResourceServer) -> Result<(), ConfigError> {
///     let operations = McpOperations::builder().tool("list_jobs", READ).build()?;
///     let layer = resource_server.require_mcp(operations).advertise([READ]);
/// #   let mcp_server = service_fn(|_: http::Request<()>| async { Ok::<_, std::convert::Infallible>(http::Response::new(())) });
///     let protected = layer.layer(mcp_server); // such as a `StreamableHttpService` of rmcp
/// #   let _ = protected;
///     Ok(())
/// }
/// # let _ = protect;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ValidateMcpTokenLayer {
    layer: ValidateTokenLayer,
    operations: Operations,
}

/// Where a layer finds its operations.
#[derive(Clone, Debug)]
pub(crate) enum Operations {
    OfLayer(McpOperations),
    /// The policy of the resource server, which can be replaced.
    OfServer(ResourceServer, McpOperations),
}

impl Operations {
    pub(crate) fn current(&self) -> McpOperations {
        match self {
            Self::OfLayer(operations) => operations.clone(),
            // `reconfigure` refuses a policy of another kind, so the first one is never used again.
            Self::OfServer(server, first) => server.mcp_policy().unwrap_or_else(|| first.clone()),
        }
    }
}

impl ValidateMcpTokenLayer {
    #[track_caller]
    pub(crate) fn new(server: &ResourceServer, operations: McpOperations) -> Self {
        Self { layer: server.require_by(operations.clone()), operations: Operations::OfLayer(operations) }
    }

    /// Creates a layer for the policy of the resource server, which is `operations` now.
    pub(crate) fn of_policy(
        layer: ValidateTokenLayer,
        server: &ResourceServer,
        operations: McpOperations,
    ) -> Self {
        Self { layer, operations: Operations::OfServer(server.clone(), operations) }
    }

    /// Returns where the layer finds its operations.
    #[cfg(feature = "rmcp")]
    pub(crate) fn operations(&self) -> &Operations {
        &self.operations
    }

    /// Describes what the layer requires, for people who review it.
    pub fn describe(&self) -> LayerDescription {
        self.layer.describe()
    }

    /// Adds scopes to the challenge of a 401 that the operation does not require, like
    /// [`ValidateTokenLayer::advertise`].
    pub fn advertise(self, scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self { layer: self.layer.advertise(scopes), ..self }
    }

    /// Calls an [`Authorizer`] for each request with a token, after all other checks, like
    /// [`ValidateTokenLayer::authorizer`].
    pub fn authorizer(self, authorizer: impl Authorizer) -> Self {
        Self { layer: self.layer.authorizer(authorizer), ..self }
    }
}

impl<S> Layer<S> for ValidateMcpTokenLayer {
    type Service = ValidateMcpToken<S>;

    fn layer(&self, inner: S) -> ValidateMcpToken<S> {
        ValidateMcpToken { validate: self.layer.layer(inner), operations: self.operations.clone() }
    }
}

/// Validates the access token of each request to an MCP server, as its operation requires.
///
/// Works like [`ValidateToken`], but reads the body of `POST` requests to determine the operation, up to a limit and a deadline
/// ([`max_body_bytes`](crate::mcp::McpOperationsBuilder::max_body_bytes),
/// [`body_deadline`](crate::mcp::McpOperationsBuilder::body_deadline)). The inner service is called with a [`McpRequestBody`],
/// which has the whole body.
///
/// # Readiness
/// A request whose body must be read releases the readiness of the inner service, so that a slow client holds no permit of a
/// `ConcurrencyLimit`. After its token has been validated, it waits for readiness again.
#[derive(Clone, Debug)]
pub struct ValidateMcpToken<S> {
    validate: ValidateToken<S>,
    operations: Operations,
}

impl<S, B, R> Service<Request<B>> for ValidateMcpToken<S>
where
    S: Service<Request<McpRequestBody<B>>, Response = Response<R>> + Clone,
    B: Body,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = McpResponseFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.validate.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let operations = self.operations.current();
        if request.method() != Method::POST || !operations.accepts_origin(request.headers()) {
            let request = request.map(McpRequestBody::unread);
            return McpResponseFuture::responding(self.validate.respond(request, None));
        }
        let limit = operations.body_settings().limit;
        if !has_json_body(request.headers(), limit) {
            request.extensions_mut().insert(Peeked::Unknown);
            let request = request.map(McpRequestBody::unread);
            return McpResponseFuture::responding(self.validate.respond(request, None));
        }
        drop(self.validate.give_readiness_back());
        let (head, body) = request.into_parts();
        let reading = ReadingBody {
            validate: self.validate.clone(),
            head,
            peek: Peek::new(body),
            limit,
            deadline: Deadline::After(operations.body_settings().deadline),
        };
        McpResponseFuture { state: State::Reading { reading: Some(Box::new(reading)) } }
    }
}

pin_project! {
    /// The future of [`ValidateMcpToken`].
    #[must_use = "futures do nothing unless polled"]
    pub struct McpResponseFuture<S, B>
    where
        S: Service<Request<McpRequestBody<B>>>,
        B: Body,
    {
        #[pin]
        state: State<S, B>,
    }
}

pin_project! {
    #[project = StateProject]
    enum State<S, B>
    where
        S: Service<Request<McpRequestBody<B>>>,
        B: Body,
    {
        Reading { reading: Option<Box<ReadingBody<S, B>>> },
        Responding { #[pin] response: ResponseFuture<S, McpRequestBody<B>> },
    }
}

/// A request whose body is being read.
struct ReadingBody<S, B: Body> {
    validate: ValidateToken<S>,
    head: Parts,
    peek: Peek<B>,
    limit: usize,
    deadline: Deadline,
}

/// Ends the wait for a slow client.
enum Deadline {
    /// Not started, because there was no wait yet.
    After(std::time::Duration),
    At(Pin<Box<Sleep>>),
    /// There are no timers outside a runtime.
    Never,
}

impl Deadline {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::After(time) = self {
            *self =
                if Handle::try_current().is_ok() { Self::At(Box::pin(sleep(*time))) } else { Self::Never };
        }
        match self {
            Self::At(sleep) => sleep.as_mut().poll(cx),
            Self::After(_) | Self::Never => Poll::Pending,
        }
    }
}

impl<S, B> ReadingBody<S, B>
where
    S: Service<Request<McpRequestBody<B>>> + Clone,
    B: Body,
{
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Reading> {
        if let Poll::Ready(reading) = self.peek.poll_read(cx, self.limit) {
            return Poll::Ready(reading);
        }
        ready!(self.deadline.poll(cx));
        Poll::Ready(Reading::Incomplete)
    }

    fn respond(self, reading: Reading) -> ResponseFuture<S, McpRequestBody<B>> {
        let Self { mut validate, mut head, peek, .. } = self;
        let body = peek.into_body();
        let peeked = match reading {
            Reading::Complete => Peeked::read(&head.headers, body.start()),
            Reading::Incomplete => Ok(Peeked::Unknown),
        };
        match peeked {
            Ok(peeked) => {
                head.extensions.insert(peeked);
                validate.respond_unready(Request::from_parts(head, body))
            }
            Err(mismatch) => {
                let request = Request::from_parts(head, body);
                ResponseFuture::refused(refuse(&validate, &mismatch, &request))
            }
        }
    }
}

/// Refuses a request whose headers contradict its body. The body of the refusal is always a JSON-RPC error, even if other
/// refusals have other bodies.
fn refuse<S, B>(validate: &ValidateToken<S>, mismatch: &Mismatch, request: &Request<B>) -> Response<Bytes> {
    let error = ValidationError::malformed_request(mismatch.reason.message());
    validate.guard().start().end_refused(&error);
    let mut response = validate.guard().refuse(error, None, request);
    header_mismatch_body(mismatch.reason, mismatch.id.as_deref()).write_to(&mut response);
    response
}

impl<S, B> McpResponseFuture<S, B>
where
    S: Service<Request<McpRequestBody<B>>>,
    B: Body,
{
    fn responding(response: ResponseFuture<S, McpRequestBody<B>>) -> Self {
        Self { state: State::Responding { response } }
    }
}

impl<S, B, R> Future for McpResponseFuture<S, B>
where
    S: Service<Request<McpRequestBody<B>>, Response = Response<R>> + Clone,
    B: Body,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const POLLED_AGAIN: &str = "polled after completion";
        let mut state = self.project().state;
        loop {
            let response = match state.as_mut().project() {
                StateProject::Reading { reading } => {
                    let outcome = ready!(reading.as_mut().expect(POLLED_AGAIN).poll_read(cx));
                    mem::take(reading).expect(POLLED_AGAIN).respond(outcome)
                }
                StateProject::Responding { response } => return response.poll(cx),
            };
            state.set(State::Responding { response });
        }
    }
}

impl<S, B> fmt::Debug for McpResponseFuture<S, B>
where
    S: Service<Request<McpRequestBody<B>>>,
    B: Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Reading { .. } => f.write_str("McpResponseFuture::Reading"),
            State::Responding { response } => response.fmt(f),
        }
    }
}
