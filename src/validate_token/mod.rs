//! The middleware: [`ValidateTokenLayer`] wraps a service with [`ValidateToken`].
//!
//! It works with any request body and with any service whose response is an `http::Response`: axum, tonic, hyper,
//! tower-http. A [`ResourceServer`](crate::ResourceServer) creates the layers.
//!
//! ```
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_bearer::{AccessToken, ClaimsSet, ResourceServer, TokenValidator, ValidatedToken, ValidationError};
//!
//! struct OneToken;
//!
//! impl TokenValidator for OneToken {
//!     async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
//!         match token.expose() {
//!             "good" => Ok(ValidatedToken::from_trusted_claims(ClaimsSet::new().with_subject("alice"))),
//!             _ => Err(ValidationError::Inactive),
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let resource_server = ResourceServer::builder(OneToken).build()?;
//! let service = ServiceBuilder::new().layer(resource_server.require_token()).service_fn(|request: http::Request<()>| async move {
//!     assert!(!request.headers().contains_key("authorization")); // removed
//!     let token = request.extensions().get::<ValidatedToken>().expect("the layer is in front");
//!     Ok::<_, std::convert::Infallible>(http::Response::new(token.subject().unwrap_or_default().to_owned()))
//! });
//!
//! let request = http::Request::get("/").header("authorization", "Bearer good").body(())?;
//! assert_eq!(service.clone().oneshot(request).await?.status(), 200);
//! let request = http::Request::get("/").body(())?;
//! assert_eq!(service.oneshot(request).await?.status(), 401);
//! # Ok(())
//! # }
//! ```

mod authorizer;
mod description;
mod future;
mod grpc;
mod guard;
mod layer;
#[cfg(feature = "mcp")]
mod mcp;
#[cfg(feature = "mcp")]
mod mcp_body;
mod response_body;
mod service;
mod stream_bound;
mod timing;

pub(crate) use self::guard::{Guard, Policy};
#[cfg(feature = "rmcp")]
pub(crate) use self::mcp::Operations;
pub use self::{
    authorizer::Authorizer,
    description::LayerDescription,
    future::ResponseFuture,
    grpc::{GrpcRequestBody, TokenExpired, ValidateGrpcToken, ValidateGrpcTokenLayer},
    layer::ValidateTokenLayer,
    response_body::ResponseBody,
    service::ValidateToken,
};
#[cfg(feature = "mcp")]
pub use self::{
    mcp::{McpResponseFuture, ValidateMcpToken, ValidateMcpTokenLayer},
    mcp_body::McpRequestBody,
};
