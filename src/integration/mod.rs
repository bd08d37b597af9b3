//! What frameworks need beyond a layer.

#[cfg(feature = "axum")]
pub mod axum;
