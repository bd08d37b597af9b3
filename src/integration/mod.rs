//! What frameworks need beyond a layer.

pub mod axum;
mod metadata_router;
