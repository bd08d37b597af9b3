//! Serves the metadata without credentials and to any origin (RFC 9728 section 3): [`MetadataService`].

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE,
    },
};
use http_body_util::Full;
use tower_service::Service;

use super::Publication;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// Serves the metadata of a resource server to `GET`, `HEAD` and `OPTIONS` requests.
///
/// Other methods are answered with 405, other paths with 404. Responses may be cached for 300 seconds.
///
/// Mount it at [`ResourceServer::metadata_paths`](crate::ResourceServer::metadata_paths). It must see the full path of
/// the request, so with axum use `route_service`, not `nest_service`.
#[derive(Clone, Debug)]
pub struct MetadataService {
    publication: Publication,
}

impl MetadataService {
    pub(crate) fn new(publication: Publication) -> Self {
        Self { publication }
    }

    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if !self.publication.is_at(path) {
            return with_status(StatusCode::NOT_FOUND);
        }
        if method == Method::OPTIONS {
            let mut response = with_status(StatusCode::NO_CONTENT);
            let headers = response.headers_mut();
            headers.insert(ALLOW, METHODS);
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            // MCP clients send `MCP-Protocol-Version`. The metadata is public, so any header is allowed.
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
            return response;
        }
        if method != Method::GET && method != Method::HEAD {
            let mut response = with_status(StatusCode::METHOD_NOT_ALLOWED);
            response.headers_mut().insert(ALLOW, METHODS);
            return response;
        }
        let document = Bytes::from(self.publication.document().to_string());
        let mut response = with_status(StatusCode::OK);
        let answer = response.headers_mut();
        // RFC 9728 section 7.10: cached for a limited time, so that clients notice changes.
        answer.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        answer.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer.insert(CONTENT_LENGTH, document.len().into());
        if method == Method::GET {
            *response.body_mut() = Full::new(document);
        }
        response
    }
}

impl<B> Service<Request<B>> for MetadataService {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(self.answer(request.method(), request.uri().path())))
    }
}

fn with_status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}
