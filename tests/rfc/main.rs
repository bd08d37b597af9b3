//! What the standards ask of a resource server, a module a document, in the order of its sections.
//!
//! A test that proves a numbered rule carries the number in its name.

mod support;

mod rfc6750;
mod rfc8414;
