//! Shared test support: requests, an app behind a layer, assertions, logs, and servers on loopback.

mod app;
mod config;
mod jose;
mod log;
mod request;
mod socket;
mod wait;

pub(crate) use app::{
    Answer, App, Seen, app_with, assert_invalid, assert_reason, server_and_app, server_and_app_with,
};
pub(crate) use config::{check_metadata, check_server};
pub(crate) use jose::{base64url, claims_with, from_base64url, publish_jwks, rsa_key};
pub(crate) use log::Log;
pub(crate) use request::{plain, with_authorization, with_authorizations};
pub(crate) use socket::{UnreadBody, http_client, serve};
pub(crate) use wait::{DEADLOCK, poll_once, settle, soon, until};

use tower_bearer::Scope;

pub(crate) const ISSUER: &str = "https://as.example.com";
pub(crate) const RESOURCE: &str = "https://orders.example.com";
pub(crate) const READ: Scope = Scope::from_static("orders:read");
pub(crate) const WRITE: Scope = Scope::from_static("orders:write");

/// The metadata URL of [`RESOURCE`].
pub(crate) const METADATA_URL: &str = "https://orders.example.com/.well-known/oauth-protected-resource";
