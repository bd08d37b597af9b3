//! Scopes for each tool, resource and prompt of an MCP server: [`McpOperations`] (feature `mcp`).
//!
//! An MCP server has one URL and many operations. [`McpOperations`] lists what each operation requires. The layer from
//! [`ResourceServer::require_mcp`] determines the operation of each request. Its challenges name the scopes of this operation.
//!
//! ```
//! use tower_bearer::{ConfigError, Requirement, ResourceServer, Scope, ValidateMcpTokenLayer, mcp::McpOperations};
//!
//! const READ: Scope = Scope::from_static("mcp:read");
//! const WRITE: Scope = Scope::from_static("mcp:write");
//!
//! fn layer(resource_server: &ResourceServer) -> Result<ValidateMcpTokenLayer, ConfigError> {
//!     let operations = McpOperations::builder()
//!         .connecting(Requirement::public()) // anyone may connect and list
//!         .tool("list_jobs", READ)
//!         .tool("trigger_build", [READ, WRITE])
//!         .resource_template("jobs://{job}/log", READ)
//!         .build()?; // everything else is refused
//!     Ok(resource_server.require_mcp(operations))
//! }
//! # let _ = layer;
//! ```
//!
//! # How the operation is determined
//! Since revision 2026-07-28 of MCP, the headers `Mcp-Method` and `Mcp-Name` repeat what the body of a request asks for. Older
//! revisions have only the body. There are two modes:
//!
//! | | [`require_mcp(operations)`](crate::ResourceServer::require_mcp) | [`require_by(operations)`](crate::ResourceServer::require_by) |
//! |---|---|---|
//! | reads the body | yes, up to a limit | no |
//! | headers of 2026-07-28 or newer | must match the body, otherwise 400 with the JSON-RPC error -32020 | trusted: the inner service must compare them with the body |
//! | older revisions | operation from the body | the strictest requirement |
//! | operation unknown (body too large or too slow, compressed, not JSON, not UTF-8) | the strictest requirement | |
//!
//! The *strictest requirement* is that of all operations together, including
//! [`otherwise`](McpOperationsBuilder::otherwise). It is a refusal if one of them is, so it is a refusal by default.
//!
//! A body that servers may read differently is refused with 400: one with the same member name twice, or with a member name
//! that differs only by case from one that the layer reads, such as `Name`.
//!
//! A batch (JSON-RPC arrays, revision 2025-03-26) requires what all its members require.
//!
//! Resource URIs are matched as sent and percent-decoded, and must be allowed in both forms. Where a server may read another listed
//! resource than the one that was sent, for example because it ignores queries, the requirements of both apply.
//!
//! # GET and DELETE
//! In older revisions, `GET` opens the stream of messages from the server, and `DELETE` ends the session. Both require what
//! [`connecting`](McpOperationsBuilder::connecting) requires, as every request of a session does. A session ID is not a
//! credential: it never replaces a token.
//!
//! [`ResourceServer::require_mcp`]: crate::ResourceServer::require_mcp
//! [`ResourceServer::require_by`]: crate::ResourceServer::require_by

mod builder;
mod few;
mod headers;
pub(crate) mod json_rpc;
mod known_methods;
mod media_type;
mod message;
mod operations;
mod origins;
mod resource_uri;
mod uri_template;

use self::headers::HeaderMismatch;

pub use self::{builder::McpOperationsBuilder, json_rpc::json_rpc_body, operations::McpOperations};
pub(crate) use self::{
    json_rpc::header_mismatch_body,
    media_type::has_json_body,
    message::{Mismatch, Peeked},
};
