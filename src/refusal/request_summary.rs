//! The parts of a request that a refusal needs: [`RequestSummary`].

use http::{Extensions, HeaderMap, Method, Request, Uri};

use super::RequestKind;
use crate::request_head::original_uri;

/// Method, URI and kind of a request. Every token that passed a layer contains one, for refusals of handlers.
///
/// Cloning does not allocate, because the bytes of the URI are shared with the request.
#[derive(Clone, Debug)]
pub(crate) struct RequestSummary {
    pub(super) kind: RequestKind,
    pub(super) method: Method,
    pub(super) uri: Uri,
}

impl RequestSummary {
    /// Reads a request. `grpc` is whether the layer is for gRPC.
    pub(crate) fn of<B>(request: &Request<B>, grpc: bool) -> Self {
        Self::new(request.method(), request.uri(), request.headers(), grpc, request.extensions())
    }

    /// Returns whether the request is a gRPC call on a layer for gRPC.
    pub(crate) fn is_grpc(&self) -> bool {
        self.kind.is_grpc()
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
