//! Shared test support: third-party programs, an API on loopback, a browser.

mod api;
mod authorization_server;
mod browser;
mod process;
mod tools;

pub(crate) use api::Api;
pub(crate) use authorization_server::{Paths, ThirdParty, text};
pub(crate) use browser::{Browser, parameter};
pub(crate) use process::{Script, run, serve_with};
pub(crate) use tools::{Tools, system_program};

use std::{future::Future, panic::Location, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tower_bearer::Scope;

pub(crate) const READ: Scope = Scope::from_static("orders:read");
pub(crate) const WRITE: Scope = Scope::from_static("orders:write");

/// Maximum time before a test counts as deadlocked. Starting a third-party program on a busy machine takes seconds.
const DEADLOCK: Duration = Duration::from_secs(120);

/// Fails the test if the future does not complete within [`DEADLOCK`].
#[track_caller]
pub(crate) fn soon<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = Location::caller();
    async move {
        match tokio::time::timeout(DEADLOCK, future).await {
            Ok(output) => output,
            Err(_) => panic!("deadlock at {caller}"),
        }
    }
}

/// Returns an HTTP client that ignores the proxy settings of the environment and follows no redirects.
pub(crate) fn http_client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// Encodes bytes as base64url without padding.
pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes base64url without padding.
pub(crate) fn from_base64url(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// Returns the header of a JWT.
pub(crate) fn jwt_header(token: &str) -> serde_json::Value {
    let header = token.split('.').next().unwrap();
    serde_json::from_slice(&from_base64url(header)).unwrap()
}
