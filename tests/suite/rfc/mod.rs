//! Proves what the standards require of a resource server, with one module per document.
//!
//! A test that proves a rule of `docs/requirements.md` has the rule's id in its name.

mod rfc6750;
mod rfc7515;
mod rfc7517;
mod rfc7518;
mod rfc7519;
mod rfc7662;
mod rfc8414;
mod rfc8707;
mod rfc8725;
mod rfc9068;
mod rfc9449;
mod rfc9728;
mod http;
