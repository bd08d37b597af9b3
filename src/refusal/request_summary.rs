//! What a refusal knows of its request: [`RequestSummary`].

#[cfg(feature = "axum")]
use axum::extract::OriginalUri;
use http::{Extensions, HeaderMap, Method, Request, Uri};

use super::RequestKind;

/// Method and URI of a request, and what the response depends on. Every token that passed a layer carries one, so that
/// refusals of handlers know it too.
///
/// A server shares the bytes of a URI with the request, so a clone allocates nothing.
#[derive(Clone, Debug)]
pub(crate) struct RequestSummary {
    pub(super) kind: RequestKind,
    pub(super) method: Method,
    pub(super) uri: Uri,
}

impl RequestSummary {
    /// Looks at a request; `grpc` says whether the layer guards gRPC.
    pub(crate) fn of<B>(request: &Request<B>, grpc: bool) -> Self {
        Self::new(request.method(), request.uri(), request.headers(), grpc, request.extensions())
    }

    pub(crate) fn new(
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        grpc: bool,
        extensions: &Extensions,
    ) -> Self {
        let kind = RequestKind::new(method, headers, grpc);
        Self { kind, method: method.clone(), uri: original_uri(uri, extensions).clone() }
    }
}

/// `Router::nest` of axum removes its prefix from the URI and keeps the one that the client sent.
#[cfg(feature = "axum")]
fn original_uri<'a>(uri: &'a Uri, extensions: &'a Extensions) -> &'a Uri {
    extensions.get::<OriginalUri>().map_or(uri, |OriginalUri(original)| original)
}

#[cfg(not(feature = "axum"))]
fn original_uri<'a>(uri: &'a Uri, _: &'a Extensions) -> &'a Uri {
    uri
}
