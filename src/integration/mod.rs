//! Support for web frameworks, beyond the layer.

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "axum")]
mod metadata_router;
#[cfg(feature = "tonic")]
pub mod tonic;
