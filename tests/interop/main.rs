//! The crate against servers, clients and libraries of others. See README.md in this directory.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod support;

mod conformance;
mod corpus;
mod django_oauth_toolkit;
mod grpc;
mod oidc_provider;
