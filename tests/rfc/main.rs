//! What the standards ask of a resource server, a module a document, in the order of its sections.
//!
//! A test that proves a numbered rule carries the number in its name.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::needless_pass_by_value, reason = "a test says what it means without a borrow")]

mod support;

mod rfc6750;
mod rfc8414;
