//! Converts refusals to tonic statuses, for handlers of a tonic service.
//!
//! ```
//! use tonic::{Request, Response, Status};
//! use tower_bearer::{Scope, ValidatedToken};
//!
//! const WRITE: Scope = Scope::from_static("orders:write");
//!
//! async fn cancel(request: Request<u32>) -> Result<Response<()>, Status> {
//!     let token = ValidatedToken::from_extensions(request.extensions())?;
//!     token.require(WRITE)?; // PERMISSION_DENIED, with the challenge in the metadata
//!     Ok(Response::new(()))
//! }
//! # let _ = cancel;
//! ```
//!
//! For where to put the layer, see [`grpc`](crate::ValidateTokenLayer::grpc).

use std::sync::Arc;

use tonic::{Code, Status, metadata::MetadataMap};

use crate::Refusal;

/// Converts into the status that a layer with [`grpc()`](crate::ValidateTokenLayer::grpc) sends, and logs the refusal.
///
/// The metadata has `www-authenticate` and `grpc-retry-pushback-ms`. The details have a `google.rpc.ErrorInfo`. The source is
/// the [`ValidationError`](crate::ValidationError).
impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        refusal.report();
        let code = Code::from_i32(refusal.grpc_status().into());
        let metadata = MetadataMap::from_headers(refusal.grpc_metadata());
        let (message, details) = (refusal.rejection().description(), refusal.grpc_details());
        let mut status = Self::with_details_and_metadata(code, message, details.into(), metadata);
        status.set_source(Arc::new(refusal.error().clone()));
        status
    }
}
