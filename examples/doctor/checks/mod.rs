//! What is checked about the responses. Nothing here sends a request.

pub(crate) mod authorization_server;
pub(crate) mod browsers;
pub(crate) mod challenge;
pub(crate) mod connection;
pub(crate) mod documents;
pub(crate) mod keys;
pub(crate) mod metadata;
pub(crate) mod tokens;
pub(crate) mod without_token;
