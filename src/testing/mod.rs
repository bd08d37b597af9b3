//! For tests, yours and ours: an authorization server in memory, tokens that are good but for one thing, a clock that
//! waits to be told the time.
//!
//! Nothing here opens a socket or sleeps. Whatever a test does wrong is a panic that says what.
//!
//! ```
//! use std::time::Duration;
//! use http::{Request, StatusCode};
//! use tower::{ServiceBuilder, ServiceExt};
//! use tower_bearer::{Scope, testing::{TestAuthorizationServer, bearer, challenges}};
//!
//! const READ: Scope = Scope::from_static("orders:read");
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let authority = TestAuthorizationServer::new("https://as.example.com").expect_key_fetches(1);
//! let resource_server = authority.resource_server("https://orders.example.com");
//! let app = ServiceBuilder::new().layer(resource_server.require_scopes(READ)).service_fn(|_: Request<()>| async {
//!     Ok::<_, std::convert::Infallible>(http::Response::new("orders".to_owned()))
//! });
//! let token = authority.token().scope("orders:read").sign();
//! let request = || Request::get("/orders").header("authorization", format!("Bearer {token}")).body(()).unwrap();
//!
//! let response = app.clone().oneshot(request()).await.unwrap();
//! assert_eq!(response.status(), StatusCode::OK);
//!
//! authority.clock().advance(Duration::from_secs(3_600));
//! let response = app.oneshot(request()).await.unwrap();
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//! assert_eq!(challenges(&response), [bearer().error("invalid_token").scope("orders:read")]);
//! # }
//! ```

mod authorization_server;
mod challenge;
mod manual_clock;
mod signing_key;
mod token_builder;

pub use self::{
    authorization_server::TestAuthorizationServer,
    challenge::{ExpectedChallenge, ParsedChallenge, bearer, challenges},
    manual_clock::ManualClock,
    signing_key::SigningKey,
    token_builder::TokenBuilder,
};
