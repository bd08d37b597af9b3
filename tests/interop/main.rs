//! Runs the crate against third-party servers, clients and libraries. See README.md in this directory.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![allow(clippy::duplicate_mod, reason = "each example includes the authorization server as its own module")]
#![allow(clippy::needless_pass_by_value, reason = "tests are easier to read without a borrow")]

mod support;

mod conformance;
mod corpus;
mod django_oauth_toolkit;
mod gateway;
mod grpc;
mod mcp_clients;
mod oidc_provider;
