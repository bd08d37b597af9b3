//! All integration tests that can share a process, in one binary to keep linking fast.
//!
//! Tests that count allocations or record logs of the whole process have their own binaries next to this directory.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![allow(clippy::duplicate_mod, reason = "each example includes the authorization server as its own module")]
#![allow(clippy::needless_pass_by_value, reason = "tests are easier to read without a borrow")]

mod support;

mod authorization_server;
mod authorizer;
mod availability;
mod axum;
mod claim_rules;
mod config;
mod config_errors;
mod custom_validators;
mod descriptions;
mod doctor;
mod gateway;
mod grpc;
mod grpc_methods;
mod guides;
mod health;
mod introspection_outages;
mod key_rotation;
mod log_names;
mod mcp;
mod metrics;
mod middleware;
mod openapi;
mod observer;
mod oracle;
mod page;
mod path_rules;
mod policies;
mod providers;
mod pseudonyms;
mod public_api;
mod quickstart;
mod recipes;
mod reconfigure;
mod refusals;
mod rfc;
mod routing;
mod step_up;
mod streams;
mod tenants;
mod testing_kit;
