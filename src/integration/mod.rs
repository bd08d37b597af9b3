//! Support for web frameworks, beyond the layer, and for metrics.

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(any(feature = "axum", feature = "rmcp"))]
mod claims;
#[cfg(feature = "axum")]
mod metadata_router;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "rmcp")]
pub mod rmcp;
#[cfg(feature = "tonic")]
pub mod tonic;
#[cfg(feature = "utoipa")]
pub mod utoipa;

#[cfg(any(feature = "axum", feature = "rmcp"))]
pub use self::claims::Claims;
