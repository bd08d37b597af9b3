//! For MCP servers with rmcp: the token as an argument of tools and prompts, and filtered lists.
//!
//! ```
//! use rmcp::{ErrorData, tool, tool_router};
//! use tower_bearer::{ValidatedToken, integration::rmcp::OptionalToken};
//!
//! struct Jobs;
//!
//! #[tool_router(server_handler)]
//! impl Jobs {
//!     #[tool(description = "Lists the jobs")]
//!     async fn list_jobs(&self, token: ValidatedToken) -> Result<String, ErrorData> {
//!         Ok(format!("jobs of {}", token.subject().unwrap_or("nobody")))
//!     }
//!
//!     #[tool(description = "Greets")]
//!     async fn greet(&self, OptionalToken(token): OptionalToken) -> String {
//!         if token.is_some() { "hello again".into() } else { "hello".into() }
//!     }
//! }
//! ```
//!
//! The token is that of the HTTP request that carried the call, also within a session. The layer can be around the
//! `StreamableHttpService` of rmcp, or around a router that contains it.
//!
//! # In other methods of a handler
//! `read_resource`, for example, has no such arguments. There the token is in the `http::request::Parts` that rmcp adds to the context:
//!
//! ```
//! use http::request::Parts;
//! use rmcp::{ErrorData, RoleServer, service::RequestContext};
//! use tower_bearer::ValidatedToken;
//!
//! fn token(context: &RequestContext<RoleServer>) -> Result<&ValidatedToken, ErrorData> {
//!     let parts = context.extensions.get::<Parts>();
//!     let parts = parts.ok_or_else(|| ErrorData::internal_error("not called over HTTP", None))?;
//!     Ok(ValidatedToken::from_extensions(&parts.extensions)?)
//! }
//! # let _ = token;
//! ```
//!
//! # Where to check scopes
//! Let the layer check them: see [`mcp`](crate::mcp). It refuses with HTTP 403 and a challenge, as MCP requires. A tool cannot
//! do that: its `token.require(scopes)?` returns a JSON-RPC error with the scopes in `data`, and most clients do not request more
//! scopes after such an error.

mod extractors;
mod filtered_lists;

pub use self::{extractors::OptionalToken, filtered_lists::FilteredLists};
