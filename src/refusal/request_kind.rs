//! The properties of a request that determine the form of a refusal: [`RequestKind`].

use http::{
    HeaderMap, HeaderValue, Method,
    header::{CONTENT_TYPE, ORIGIN},
};

/// What the response to a request depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestKind {
    pub(super) protocol: Protocol,
    pub(super) is_head: bool,
    /// Whether the request has an `Origin`, so that a script from another origin may read the response.
    pub(super) has_origin: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Protocol {
    #[default]
    Http,
    /// HTTP to a gRPC client. It derives the code from the HTTP status, and would read a body as a broken message.
    HttpToGrpcClient,
    Grpc,
    /// gRPC for browsers.
    GrpcWeb,
    /// gRPC for browsers, with bodies in base64.
    GrpcWebText,
}

impl RequestKind {
    /// Reads the head of a request. `grpc` is whether the layer is for gRPC.
    pub(crate) fn new(method: &Method, headers: &HeaderMap, grpc: bool) -> Self {
        // gRPC calls are `POST` (gRPC over HTTP2). Anything else with its content type does not come from a gRPC client.
        let protocol = if method == Method::POST { Protocol::of(headers) } else { Protocol::Http };
        Self {
            protocol: if grpc || protocol == Protocol::Http { protocol } else { Protocol::HttpToGrpcClient },
            is_head: method == Method::HEAD,
            has_origin: headers.contains_key(ORIGIN),
        }
    }

    pub(super) fn is_grpc(self) -> bool {
        match self.protocol {
            Protocol::Http | Protocol::HttpToGrpcClient => false,
            Protocol::Grpc | Protocol::GrpcWeb | Protocol::GrpcWebText => true,
        }
    }
}

impl Protocol {
    fn of(headers: &HeaderMap) -> Self {
        let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let Some(rest) = strip_prefix_ignore_case(content_type, b"application/grpc") else {
            return Self::Http;
        };
        if strip_prefix_ignore_case(rest, b"-web-text").is_some_and(ends_subtype) {
            return Self::GrpcWebText;
        }
        if strip_prefix_ignore_case(rest, b"-web").is_some_and(ends_subtype) {
            return Self::GrpcWeb;
        }
        if ends_subtype(rest) { Self::Grpc } else { Self::Http }
    }
}

fn strip_prefix_ignore_case<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// The name of the message encoding (`+proto`) or parameters may follow.
fn ends_subtype(rest: &[u8]) -> bool {
    matches!(rest.first(), None | Some(b'+' | b';' | b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rgrpc_11_protocol_follows_layer_method_and_content_type() {
        for (content_type, protocol) in [
            ("application/grpc", Protocol::Grpc),
            ("application/grpc+proto", Protocol::Grpc),
            ("Application/GRPC; x=1", Protocol::Grpc),
            ("application/grpc-web", Protocol::GrpcWeb),
            ("application/grpc-web+proto", Protocol::GrpcWeb),
            ("application/grpc-web-text+proto", Protocol::GrpcWebText),
            ("application/grpcish", Protocol::Http),
            ("application/grpc-webby", Protocol::Http),
            ("application/json", Protocol::Http),
            ("", Protocol::Http),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);

            assert_eq!(RequestKind::new(&Method::POST, &headers, true).protocol, protocol, "{content_type}");
            assert!(!RequestKind::new(&Method::POST, &headers, false).is_grpc(), "{content_type}");
            assert!(!RequestKind::new(&Method::GET, &headers, true).is_grpc(), "{content_type}");
        }
    }
}
