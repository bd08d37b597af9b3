//! The layer, which a resource server makes.

use std::sync::Arc;

use tower_layer::Layer;

use super::{Admit, Guard, ValidateGrpcTokenLayer, ValidateToken};
use crate::{ResourceServer, Scope, ScopeRequirement};

/// Puts [`ValidateToken`] around a service.
///
/// Made by [`ResourceServer::require_token`], [`ResourceServer::require_scopes`] and [`ResourceServer::allow_anonymous`].
/// Inside another layer of the same resource server, it takes over the token that the outer one validated.
#[derive(Clone, Debug)]
#[must_use]
pub struct ValidateTokenLayer {
    guard: Arc<Guard>,
}

impl ValidateTokenLayer {
    pub(crate) fn new(server: ResourceServer, admit: Admit, requirement: ScopeRequirement) -> Self {
        Self { guard: Arc::new(Guard::new(server, admit, requirement)) }
    }

    /// Names more scopes in the challenge of a 401 than the layer requires, for clients that ask for exactly the scopes
    /// of the first 401 and cannot get more later (some MCP clients). Default: the required scopes, or the
    /// [baseline scopes](crate::ResourceServerBuilder::baseline_scopes) of a layer that requires none.
    ///
    /// The metadata lists them too, unless it has a list of its own. The challenge of a 403 still names exactly what the
    /// operation requires. `offline_access` is left out.
    ///
    /// ```
    /// # use tower_bearer::{ResourceServer, Scope};
    /// # const READ: Scope = Scope::from_static("mcp:read");
    /// # const WRITE: Scope = Scope::from_static("mcp:write");
    /// # fn layer(resource_server: &ResourceServer) -> tower_bearer::ValidateTokenLayer {
    /// resource_server.require_scopes(READ).advertise([READ, WRITE])
    /// # }
    /// ```
    pub fn advertise(mut self, scopes: impl IntoIterator<Item = Scope>) -> Self {
        let scopes: Vec<_> = scopes.into_iter().collect();
        Arc::make_mut(&mut self.guard).advertise(&scopes);
        self
    }

    /// Guards a gRPC service: refuses with gRPC statuses, and removes credentials from the trailers of requests too.
    ///
    /// A refusal is HTTP 200 with `grpc-status` in trailers-only form, for `POST` requests with the content type
    /// `application/grpc`, `application/grpc-web` or `application/grpc-web-text`. Other requests get an HTTP status.
    /// Default: every refusal has an HTTP status of 400 or above, whatever the request's content type. gRPC clients map
    /// 401, 403 and 503 to the right codes; such an answer has no body, because they would read it as a broken message.
    ///
    /// tonic merges the trailers of unary and server-streaming requests into the metadata that a handler reads, and a
    /// trailer replaces a header of the same name. Without this, a handler can read an `authorization` that the client sent
    /// in the trailers and that the layer has not validated, whether the validated header was removed or forwarded. The
    /// returned layer removes `authorization`, `proxy-authorization` and `dpop` from the trailers of every request that it
    /// admits, with or without a token. Other trailers stay.
    ///
    /// The inner service is called with a [`GrpcRequestBody`](super::GrpcRequestBody). Services that tonic generates and
    /// `tonic::service::Routes` take any body. Around a service that takes one type only, put a conversion between:
    /// `ServiceBuilder::new().layer(layer).map_request(|request: http::Request<_>| request.map(tonic::body::Body::new))`.
    ///
    /// # Security
    /// Use it only around gRPC services. A proxy that asks this service whether to let a request through (`auth_request`
    /// of nginx, `forwardAuth` of Traefik, `ext_authz` of Envoy over HTTP) takes any 2xx for yes, and such proxies
    /// forward the client's headers.
    pub fn grpc(mut self) -> ValidateGrpcTokenLayer {
        Arc::make_mut(&mut self.guard).grpc = true;
        ValidateGrpcTokenLayer::new(self)
    }
}

impl<S> Layer<S> for ValidateTokenLayer {
    type Service = ValidateToken<S>;

    fn layer(&self, inner: S) -> ValidateToken<S> {
        ValidateToken::new(inner, Arc::clone(&self.guard))
    }
}

/// Never implemented: makes the compiler say what to do if a [`ResourceServer`] is used as a layer.
///
/// ```compile_fail,E0277
/// # fn make(resource_server: tower_bearer::ResourceServer) {
/// tower::ServiceBuilder::new().layer(resource_server).service(tower::util::BoxService::<(), (), ()>::new);
/// # }
/// ```
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a `ResourceServer` is not a layer; it makes layers",
    label = "expected a layer",
    note = "call `.require_scopes(..)`, `.require_token()` or `.allow_anonymous()` on the resource server"
)]
pub trait NotALayer {}

#[doc(hidden)]
impl<S: NotALayer> Layer<S> for ResourceServer {
    type Service = ValidateToken<S>;

    fn layer(&self, inner: S) -> ValidateToken<S> {
        self.require_token().layer(inner)
    }
}
