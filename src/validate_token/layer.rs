//! The layer, which a resource server creates: [`ValidateTokenLayer`].

use std::sync::Arc;

use tower_layer::Layer;

use super::{
    Authorizer, Guard, LayerDescription, Policy, ValidateGrpcTokenLayer, ValidateToken, authorizer::erase,
};
use crate::{ResourceServer, Scope};

/// Wraps a service with [`ValidateToken`].
///
/// Created by [`ResourceServer::require_token`], [`ResourceServer::require_scopes`],
/// [`ResourceServer::allow_anonymous`] and [`ResourceServer::require_by`]. Inside another layer of the same resource
/// server, it uses the token that the outer layer validated.
#[derive(Clone, Debug)]
#[must_use]
pub struct ValidateTokenLayer {
    guard: Arc<Guard>,
}

impl ValidateTokenLayer {
    #[track_caller]
    pub(crate) fn new(server: ResourceServer, policy: Policy) -> Self {
        let guard = Arc::new(Guard::new(server, policy));
        guard.server.0.layers.add(&guard);
        Self { guard }
    }

    /// Describes what the layer requires, for people who review it.
    pub fn describe(&self) -> LayerDescription {
        LayerDescription::of(&self.guard)
    }

    #[cfg(feature = "utoipa")]
    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Changes the guard. It is another one then, for [`ResourceServer::layers`] too.
    fn change(&mut self, change: impl FnOnce(&mut Guard)) {
        change(Arc::make_mut(&mut self.guard));
        self.guard.server.0.layers.add(&self.guard);
    }

    /// Adds scopes to the challenge of a 401 that the layer does not require.
    ///
    /// Some MCP clients request exactly the scopes in the first 401 and cannot get more later. Default: the required
    /// scopes, or the [baseline scopes](crate::ResourceServerBuilder::baseline_scopes) if the layer requires none.
    ///
    /// The metadata also lists them, unless its scopes were configured. The challenge of a 403 still contains exactly
    /// the required scopes. `offline_access` is removed.
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
        self.change(|guard| guard.advertise(&scopes));
        self
    }

    /// Calls an [`Authorizer`] for each request with a token, after all other checks. Default: none.
    ///
    /// For decisions that scopes cannot express, such as those of a policy decision point. It is not called for anonymous
    /// requests. A second call replaces the first authorizer.
    pub fn authorizer(mut self, authorizer: impl Authorizer) -> Self {
        let authorizer = erase(authorizer);
        self.change(|guard| guard.authorizer = Some(authorizer));
        self
    }

    /// Protects a gRPC service: refuses with gRPC statuses, and also removes credentials from request trailers.
    ///
    /// A refusal is HTTP 200 with a trailers-only `grpc-status`, for `POST` requests with the content type
    /// `application/grpc`, `application/grpc-web` or `application/grpc-web-text`. Other requests are refused with an
    /// HTTP status.
    ///
    /// The trailers have the challenge (`www-authenticate`), and for 14 `UNAVAILABLE` also `grpc-retry-pushback-ms`. The details
    /// of the status (`grpc-status-details-bin`) have a `google.rpc.ErrorInfo`. Its `reason` is, for example,
    /// `INSUFFICIENT_SCOPE`. Its `domain` is the resource identifier, or else the realm, or else `api`. Its `metadata` has the
    /// parameters of the challenge: `scope`, `acr_values`, `max_age` and `resource_metadata`. All trailers together stay below
    /// 8 KiB: parameters that are too long are left out of the details.
    ///
    /// Default: every refusal has an HTTP status of 400 or above, for all content types. gRPC clients map 401, 403 and
    /// 503 to the right codes. Such a refusal has no body, because gRPC clients would read it as a broken message.
    ///
    /// tonic merges the trailers of unary and server-streaming requests into the metadata that a handler reads, and a
    /// trailer replaces a header of the same name. Without this setting, a handler can read an `authorization` trailer
    /// from the client that the layer has not validated, even if the validated header was removed or forwarded. The
    /// returned layer removes `authorization`, `proxy-authorization` and `dpop` from the trailers of every request that
    /// it passes on, with or without a token. Other trailers are not changed.
    ///
    /// To protect all services of a server, use `tonic::transport::Server::builder().layer(layer)`. To protect one service,
    /// use `tonic::service::LayerExt`, which keeps the name of the service: `layer.named_layer(OrdersServer::new(orders))`.
    /// If the methods of a service need different scopes, use [`ResourceServer::require_grpc`].
    ///
    /// The inner service is called with a [`GrpcRequestBody`](super::GrpcRequestBody). Services that tonic generates
    /// and `tonic::service::Routes` accept any body. For a service that accepts only one type, add a conversion:
    /// `ServiceBuilder::new().layer(layer).map_request(|request: http::Request<_>|
    /// request.map(tonic::body::Body::new))`.
    ///
    /// # Security
    /// Use it only for gRPC services. Proxies that use this service to authorize requests (nginx `auth_request`,
    /// Traefik `forwardAuth`, Envoy `ext_authz` over HTTP) treat any 2xx as allowed, and forward the client's headers.
    pub fn grpc(mut self) -> ValidateGrpcTokenLayer {
        self.change(|guard| guard.grpc = true);
        ValidateGrpcTokenLayer::new(self)
    }
}

impl<S> Layer<S> for ValidateTokenLayer {
    type Service = ValidateToken<S>;

    fn layer(&self, inner: S) -> ValidateToken<S> {
        ValidateToken::new(inner, Arc::clone(&self.guard))
    }
}

/// Never implemented. Improves the compiler error if a [`ResourceServer`] is used as a layer.
///
/// ```compile_fail,E0277
/// # fn make(resource_server: tower_bearer::ResourceServer) {
/// tower::ServiceBuilder::new().layer(resource_server).service(tower::util::BoxService::<(), (), ()>::new);
/// # }
/// ```
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a `ResourceServer` is not a layer; it creates layers",
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
