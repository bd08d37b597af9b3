//! Tools for tests: an in-memory authorization server, tokens with exactly one fault, and a manual clock.
//!
//! Nothing here opens a socket or sleeps. To test a service over HTTP, serve a [`TestAuthorizationServer`] with axum.
//! Incorrect use panics with a message that explains the mistake.
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
//!
//! A response tells the client little about the cause. To assert it, read the [`RejectionReason`](crate::RejectionReason)
//! in the extensions of the response.

mod answers;
mod authorization_server;
mod challenge;
mod guarded;
mod manual_clock;
mod signing_key;
mod socket;
mod token_builder;

pub use self::{
    authorization_server::TestAuthorizationServer,
    challenge::{ExpectedChallenge, ParsedChallenge, bearer, challenges},
    guarded::assert_guarded,
    manual_clock::ManualClock,
    signing_key::SigningKey,
    token_builder::TokenBuilder,
};
