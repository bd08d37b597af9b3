//! Forwards requests to the backend: [`Proxy`].

use std::{
    convert::Infallible,
    future::Future,
    net::{IpAddr, Ipv4Addr},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{AUTHORIZATION, CONNECTION, EXPECT, TE},
    request::Parts,
};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tower::Service;
use tower_bearer::ValidatedToken;

use super::{
    body::{BoxError, Permission, Progress, RequestBody, ResponseBody},
    header_rules::{add_forwarded, add_via, join_cookies, list, remove_hop_by_hop},
    listener::ClientAddress,
    settings::ProxySettings,
    websocket::{TunnelEnd, WebSocketRequest},
};

/// A service that forwards each request to the backend. It belongs inside the layer that validates tokens.
#[derive(Clone)]
pub(crate) struct Proxy {
    settings: Arc<ProxySettings>,
    client: Client<HttpConnector, RequestBody>,
}

/// Why a request got no response from the backend.
#[derive(Debug)]
enum Failure {
    /// `CONNECT` and `TRACE` are not forwarded.
    Method,
    Target,
    UnsendableClaim,
    Unreachable,
    NoResponse,
    Timeout,
    /// The backend switched to a protocol that the client did not ask for.
    UnexpectedUpgrade,
    /// The backend refused the gateway's own credential.
    GatewayRefused,
}

impl Proxy {
    pub(crate) fn new(settings: ProxySettings) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(settings.backend.connect_timeout));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .http2_only(settings.backend.http2)
            .build(connector);
        Self { settings: Arc::new(settings), client }
    }

    async fn forward<B>(self, mut request: Request<B>) -> Result<Response<ResponseBody>, Failure>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        // `TRACE` would send the gateway's own credential to the client (RFC 9110 section 9.3.8).
        if request.method() == Method::CONNECT || request.method() == Method::TRACE {
            return Err(Failure::Method);
        }
        let websocket = if self.settings.backend.http2 { None } else { WebSocketRequest::of(&mut request) };
        let (parts, body) = request.into_parts();
        let token = parts.extensions.get::<ValidatedToken>();
        let end = TunnelEnd::of(token, self.settings.clock_skew);

        let progress = Progress::start();
        let mut body = RequestBody::new(body, Arc::clone(&self.settings), progress.clone());
        let expects_permission =
            list(&parts.headers, &EXPECT).any(|value| value.eq_ignore_ascii_case("100-continue"));
        let permission = expects_permission.then(|| body.wait_for_permission());

        let mut outgoing = Request::new(body);
        *outgoing.method_mut() = parts.method.clone();
        *outgoing.uri_mut() = self.settings.backend.url_for(&parts.uri).map_err(|_| Failure::Target)?;
        *outgoing.headers_mut() = self.request_headers(&parts, token, websocket.is_some())?;
        if let Some(permission) = permission.clone() {
            hyper::ext::on_informational(&mut outgoing, move |response| {
                if response.status() == StatusCode::CONTINUE {
                    permission.give();
                }
            });
        }

        let response = self.send(outgoing, &progress, permission.as_ref()).await?;
        self.answer(response, websocket, end, permission)
    }

    /// Sends a request and waits for the head of the response.
    async fn send(
        &self,
        request: Request<RequestBody>,
        progress: &Progress,
        permission: Option<&Permission>,
    ) -> Result<Response<Incoming>, Failure> {
        let timeout = self.settings.backend.response_timeout;
        let mut response = pin!(self.client.request(request));
        if let Some(permission) = permission {
            // RFC 9110 section 10.1.1: a server may ignore the expectation, so do not wait for long.
            match tokio::time::timeout(PERMISSION_TIMEOUT, response.as_mut()).await {
                Ok(response) => return response.map_err(|error| Failure::from_client(&error)),
                Err(_) => permission.give(),
            }
        }
        loop {
            let deadline = progress.last() + timeout;
            tokio::select! {
                response = response.as_mut() => return response.map_err(|error| Failure::from_client(&error)),
                () = tokio::time::sleep_until(deadline) => {
                    if progress.last() + timeout <= deadline {
                        return Err(Failure::Timeout);
                    }
                }
            }
        }
    }

    fn request_headers(
        &self,
        parts: &Parts,
        token: Option<&ValidatedToken>,
        is_websocket: bool,
    ) -> Result<HeaderMap, Failure> {
        let settings = &*self.settings;
        let mut headers = parts.headers.clone();
        settings.header_rules.clean_request(&mut headers);
        join_cookies(&mut headers);

        let client = parts.extensions.get::<ClientAddress>();
        let client = client.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.0.ip());
        add_forwarded(&mut headers, client, &settings.public_scheme, &settings.public_host);
        add_via(&mut headers, parts.version);
        if let Some(token) = token {
            let claims = settings.claim_headers.of(token).map_err(|error| {
                tracing::warn!(%error, "the request was refused");
                Failure::UnsendableClaim
            })?;
            headers.extend(claims);
        }
        if let Some(authorization) = &settings.backend.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        if is_websocket {
            WebSocketRequest::write_headers(&mut headers);
        } else if headers.contains_key(TE) && !settings.backend.http2 {
            // RFC 9110 section 10.1.4: `TE` is for one connection.
            headers.insert(CONNECTION, HeaderValue::from_static("te"));
        }
        Ok(headers)
    }

    fn answer(
        &self,
        mut response: Response<Incoming>,
        websocket: Option<WebSocketRequest>,
        end: TunnelEnd,
        permission: Option<Permission>,
    ) -> Result<Response<ResponseBody>, Failure> {
        let version = response.version();
        if response.status() == StatusCode::UNAUTHORIZED && self.settings.backend.authorization.is_some() {
            return Err(Failure::GatewayRefused);
        }
        let is_upgrade = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let accepted = websocket.filter(|request| is_upgrade && request.is_accepted_by(&response));
        if is_upgrade && accepted.is_none() {
            return Err(Failure::UnexpectedUpgrade);
        }
        remove_hop_by_hop(response.headers_mut());
        add_via(response.headers_mut(), version);
        if let Some(websocket) = accepted {
            WebSocketRequest::write_headers(response.headers_mut());
            websocket.connect(hyper::upgrade::on(&mut response), end);
            return Ok(response.map(|_| ResponseBody::empty()));
        }
        Ok(response.map(|body| ResponseBody::backend(body, permission)))
    }
}

impl<B> Service<Request<B>> for Proxy
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Dropping the future, when the client leaves, also ends the request to the backend.
        let forwarded = self.clone().forward(request);
        Box::pin(async move { Ok(forwarded.await.unwrap_or_else(Failure::into_response)) })
    }
}

impl Failure {
    fn from_client(error: &hyper_util::client::legacy::Error) -> Self {
        tracing::warn!(?error, "the backend did not answer");
        if error.is_connect() { Self::Unreachable } else { Self::NoResponse }
    }

    fn into_response(self) -> Response<ResponseBody> {
        let (status, text) = match self {
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "the gateway does not forward this method"),
            Self::Target => (StatusCode::BAD_REQUEST, "the request target is not a path"),
            Self::UnsendableClaim => {
                (StatusCode::FORBIDDEN, "the backend cannot be told who sent this request")
            }
            Self::Timeout => (StatusCode::GATEWAY_TIMEOUT, "the backend did not answer in time"),
            Self::Unreachable => (StatusCode::BAD_GATEWAY, "the backend cannot be reached"),
            Self::NoResponse | Self::UnexpectedUpgrade | Self::GatewayRefused => {
                (StatusCode::BAD_GATEWAY, "the backend did not answer as expected")
            }
        };
        let mut response = Response::new(ResponseBody::text(text));
        *response.status_mut() = status;
        if status == StatusCode::METHOD_NOT_ALLOWED {
            let allowed = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
            response.headers_mut().insert(http::header::ALLOW, allowed);
        }
        response
    }
}

/// How long to wait for the backend's `100 Continue` before the body is read anyway.
const PERMISSION_TIMEOUT: Duration = Duration::from_secs(1);
