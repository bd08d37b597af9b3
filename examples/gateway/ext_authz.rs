//! Decides for Envoy over gRPC, as its filter `ext_authz` asks: [`ExtAuthz`].
//!
//! The messages are the part of `envoy.service.auth.v3` that is needed. They are written by hand: the crate `envoy-types` has
//! all of them, but brings four megabytes of generated code for the rest of Envoy's API.
//!
//! Envoy describes the original request itself, so `authorization` is the only header of the client that is read.

use std::{
    collections::HashMap,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header::AUTHORIZATION};
use http_body_util::BodyExt as _;
use prost::Message;
use tonic::{Code, Response, Status, body::Body, server::NamedService};
use tonic_prost::ProstCodec;
use tower::{BoxError, Service, service_fn};

use super::decision::{DecisionService, original_request};

/// The service `envoy.service.auth.v3.Authorization`.
#[derive(Clone)]
pub(crate) struct ExtAuthz(DecisionService);

/// `CheckRequest.attributes.request.http` describes the original request.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CheckRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) attributes: Option<AttributeContext>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AttributeContext {
    #[prost(message, optional, tag = "4")]
    pub(crate) request: Option<AttributeRequest>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AttributeRequest {
    #[prost(message, optional, tag = "2")]
    pub(crate) http: Option<HttpRequest>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HttpRequest {
    #[prost(string, tag = "2")]
    pub(crate) method: String,
    /// Names in lower case. Several fields of one name are joined with a comma.
    #[prost(map = "string, string", tag = "3")]
    pub(crate) headers: HashMap<String, String>,
    /// With the query.
    #[prost(string, tag = "4")]
    pub(crate) path: String,
    /// Used instead of `headers` if `encode_raw_headers` is set.
    #[prost(message, optional, tag = "13")]
    pub(crate) header_map: Option<HeaderMap>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HeaderMap {
    #[prost(message, repeated, tag = "1")]
    pub(crate) headers: Vec<Header>,
}

/// `envoy.config.core.v3.HeaderValue`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Header {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) raw_value: Vec<u8>,
}

/// `envoy.config.core.v3.HeaderValueOption`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HeaderOption {
    #[prost(message, optional, tag = "1")]
    pub(crate) header: Option<Header>,
    /// `google.protobuf.BoolValue`. False replaces the fields of the client.
    #[prost(message, optional, tag = "2")]
    pub(crate) append: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CheckResponse {
    /// Envoy passes the request on if and only if the code is 0.
    #[prost(message, optional, tag = "1")]
    pub(crate) status: Option<RpcStatus>,
    #[prost(message, optional, tag = "2")]
    pub(crate) denied_response: Option<DeniedHttpResponse>,
    #[prost(message, optional, tag = "3")]
    pub(crate) ok_response: Option<OkHttpResponse>,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DeniedHttpResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) status: Option<HttpStatus>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) headers: Vec<HeaderOption>,
    #[prost(string, tag = "3")]
    pub(crate) body: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HttpStatus {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OkHttpResponse {
    #[prost(message, repeated, tag = "2")]
    pub(crate) headers: Vec<HeaderOption>,
    #[prost(string, repeated, tag = "5")]
    pub(crate) headers_to_remove: Vec<String>,
}

impl ExtAuthz {
    pub(crate) fn new(decisions: DecisionService) -> Self {
        Self(decisions)
    }

    pub(crate) async fn check(&self, request: CheckRequest) -> CheckResponse {
        let http =
            request.attributes.and_then(|attributes| attributes.request).and_then(|request| request.http);
        let original = http.and_then(|http| {
            let method = Method::from_bytes(http.method.as_bytes()).ok()?;
            original_request(method, &http.path, http.authorizations()?.into_iter())
        });
        let Some(original) = original else {
            tracing::error!("Envoy does not describe the original request");
            return denied(StatusCode::FORBIDDEN, Vec::new(), String::new());
        };
        let (parts, body) = self.0.decide(original).await.into_parts();
        let headers: Vec<_> =
            parts.headers.iter().map(|(name, value)| header(name.as_str(), value)).collect();
        if parts.status == StatusCode::NO_CONTENT {
            return self.admitted(headers);
        }
        let Ok(body) = body.collect().await;
        denied(parts.status, headers, String::from_utf8_lossy(&body.to_bytes()).into_owned())
    }

    /// Passes the request on with the claims, and without the credential and what the client sent as claims.
    fn admitted(&self, headers: Vec<HeaderOption>) -> CheckResponse {
        let claims = self.0.claim_headers().names().map(ToString::to_string);
        let is_set = |name: &String| {
            headers.iter().flat_map(|option| &option.header).any(|header| header.key == *name)
        };
        let headers_to_remove =
            claims.filter(|name| !is_set(name)).chain([AUTHORIZATION.to_string()]).collect();
        let headers = headers.into_iter().filter(|option| {
            option
                .header
                .as_ref()
                .is_some_and(|header| self.0.claim_headers().names().any(|name| name.as_str() == header.key))
        });
        CheckResponse {
            status: Some(RpcStatus { code: Code::Ok.into() }),
            denied_response: None,
            ok_response: Some(OkHttpResponse { headers: headers.collect(), headers_to_remove }),
        }
    }
}

impl HttpRequest {
    /// Returns the fields `authorization`, or `None` if one of them is not a header.
    fn authorizations(&self) -> Option<Vec<HeaderValue>> {
        let raw = self.header_map.iter().flat_map(|map| &map.headers);
        let raw = raw.filter(|header| header.key.eq_ignore_ascii_case("authorization")).map(|header| {
            if header.raw_value.is_empty() { header.value.as_bytes() } else { &header.raw_value }
        });
        let joined = self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        raw.chain(joined.map(|(_, value)| value.as_bytes()))
            .map(|value| HeaderValue::from_bytes(value).ok())
            .collect()
    }
}

fn denied(status: StatusCode, headers: Vec<HeaderOption>, body: String) -> CheckResponse {
    let code =
        if status == StatusCode::UNAUTHORIZED { Code::Unauthenticated } else { Code::PermissionDenied };
    CheckResponse {
        status: Some(RpcStatus { code: code.into() }),
        denied_response: Some(DeniedHttpResponse {
            status: Some(HttpStatus { code: status.as_u16().into() }),
            headers,
            body,
        }),
        ok_response: None,
    }
}

fn header(name: &str, value: &HeaderValue) -> HeaderOption {
    let value = value.to_str().unwrap_or_default().to_owned();
    let header = Header { key: name.to_owned(), value, raw_value: Vec::new() };
    HeaderOption { header: Some(header), append: Some(false) }
}

impl NamedService for ExtAuthz {
    const NAME: &'static str = "envoy.service.auth.v3.Authorization";
}

impl<B> Service<http::Request<B>> for ExtAuthz
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError> + Send> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            if request.uri().path() != CHECK {
                return Ok(Status::unimplemented("no such method").into_http());
            }
            let check = |request: tonic::Request<CheckRequest>| {
                let service = service.clone();
                async move { Ok::<_, Status>(Response::new(service.check(request.into_inner()).await)) }
            };
            Ok(tonic::server::Grpc::new(ProstCodec::default()).unary(service_fn(check), request).await)
        })
    }
}

/// The only method.
pub(crate) const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
