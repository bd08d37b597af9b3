//! Serves the fixture of the MCP working group for scope challenges (SEP-2350), and runs its checks.
//!
//! The scenario `sep-2350-server-scope-challenge` of the conformance suite calls four operations with two opaque tokens:
//!
//! | operation | scopes |
//! |---|---|
//! | `tools/call` of `test_simple_text` | `mcp:conformance:tools:call`, `mcp:conformance:tools:test_simple_text` |
//! | `resources/read` of `test://static-text` | `mcp:conformance:resources:read`, `mcp:conformance:resources:static` |
//! | `resources/read` of `test://template/123/data` | `mcp:conformance:resources:read`, `mcp:conformance:resources:template:123` |
//! | `prompts/get` of `test_simple_prompt` | `mcp:conformance:prompts:get`, `mcp:conformance:prompts:test_simple_prompt` |
//!
//! With the token `mcp-conformance-scope-low`, each is refused with one challenge that names both scopes. With
//! `mcp-conformance-scope-full`, each succeeds.
//!
//! `cargo run --features axum,rmcp --example mcp_scope_challenges` runs these checks. With `-- --serve`, it prints the URL and serves
//! until it is stopped.

#![allow(clippy::print_stdout, reason = "an example prints")]

use std::{env, error::Error};

use axum::Router;
use reqwest::{Response, StatusCode};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, GetPromptRequestParams, GetPromptResponse,
        GetPromptResult, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
        ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse,
        ReadResourceResult, ServerConfig,
    },
    service::RequestContext,
    transport::{
        StreamableHttpServerConfig, StreamableHttpService,
        streamable_http_server::session::local::LocalSessionManager,
    },
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::Layer as _;
use tower_bearer::{
    AccessToken, ClaimsSet, ConfigError, ProtectedResourceMetadata, Requirement, ResourceServer, Scope,
    TokenValidator, ValidatedToken, ValidationError, mcp::McpOperations,
};

const TOOLS: Scope = Scope::from_static("mcp:conformance:tools:call");
const TEXT_TOOL: Scope = Scope::from_static("mcp:conformance:tools:test_simple_text");
const RESOURCES: Scope = Scope::from_static("mcp:conformance:resources:read");
const STATIC: Scope = Scope::from_static("mcp:conformance:resources:static");
const PROMPTS: Scope = Scope::from_static("mcp:conformance:prompts:get");
const SIMPLE_PROMPT: Scope = Scope::from_static("mcp:conformance:prompts:test_simple_prompt");

const LOW: &str = "mcp-conformance-scope-low";
const FULL: &str = "mcp-conformance-scope-full";

/// The scopes of each operation. Connecting and listing need no token.
pub(crate) fn operations() -> Result<McpOperations, ConfigError> {
    McpOperations::builder()
        .connecting(Requirement::public())
        .method("tools/call", TOOLS)
        .tool("test_simple_text", TEXT_TOOL)
        .method("resources/read", RESOURCES)
        .resource("test://static-text", STATIC)
        .resource_template_by("test://template/{id}/data", |uri| {
            let id = uri.split('/').nth(3).unwrap_or_default();
            match Scope::new(&format!("mcp:conformance:resources:template:{id}")) {
                Ok(scope) => Requirement::scopes(scope),
                Err(_) => Requirement::deny("the id is not part of a scope"),
            }
        })
        .method("prompts/get", PROMPTS)
        .prompt("test_simple_prompt", SIMPLE_PROMPT)
        .build()
}

/// Accepts the two tokens of the fixture.
struct FixtureTokens;

impl TokenValidator for FixtureTokens {
    async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        let scopes = match token.expose() {
            LOW => "mcp:conformance:baseline".to_owned(),
            FULL => {
                let fixed = [TOOLS, TEXT_TOOL, RESOURCES, STATIC, PROMPTS, SIMPLE_PROMPT];
                let fixed: Vec<_> = fixed.iter().map(Scope::as_str).collect();
                format!("{} mcp:conformance:resources:template:123", fixed.join(" "))
            }
            _ => return Err(ValidationError::Inactive),
        };
        Ok(ValidatedToken::from_trusted_claims(ClaimsSet::new().with_scopes(&scopes)))
    }
}

/// The MCP server behind the layer, with its metadata.
pub(crate) fn app(resource: &str) -> Result<Router, ConfigError> {
    let metadata = ProtectedResourceMetadata::new(resource).allow_http_on_loopback();
    let resource_server = ResourceServer::builder(FixtureTokens).resource_metadata(metadata).build()?;
    let operations = operations()?;
    let layer = resource_server.require_mcp(operations.clone());
    let config = StreamableHttpServerConfig::default().with_json_response(true);
    let mcp: StreamableHttpService<_, LocalSessionManager> =
        StreamableHttpService::new(move || Ok(operations.filter_lists(Fixture)), Default::default(), config);
    Ok(Router::new().nest_service("/mcp", layer.layer(mcp)).merge(resource_server.metadata_router()?))
}

/// Serves the fixture on a free port, and returns its URL.
pub(crate) async fn start() -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let resource = format!("http://{}/mcp", listener.local_addr()?);
    let app = app(&resource)?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(resource)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let resource = start().await?;
    println!("{resource}");
    if env::args().any(|argument| argument == "--serve") {
        return Ok(tokio::signal::ctrl_c().await?);
    }
    check(&resource).await
}

/// The server. Results are written as JSON, as in the descriptions of the suite's scenarios.
#[derive(Clone, Debug)]
pub(crate) struct Fixture;

type Context = RequestContext<RoleServer>;
type Page = Option<PaginatedRequestParams>;

impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        typed(json!({
            "protocolVersion": "2025-11-25",
            "serverInfo": { "name": "scope-challenges", "version": "1" },
            "capabilities": { "tools": {}, "prompts": {}, "resources": {} },
        }))
        .expect("these are server capabilities")
    }

    async fn list_tools(&self, _: Page, _: Context) -> Result<ListToolsResult, ErrorData> {
        let schema = json!({ "type": "object", "properties": {} });
        typed(
            json!({ "tools": [{ "name": "test_simple_text", "description": "A text", "inputSchema": schema }] }),
        )
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: Context,
    ) -> Result<CallToolResponse, ErrorData> {
        if request.name != "test_simple_text" {
            return Err(ErrorData::invalid_params("unknown tool", None));
        }
        let text = "This is a simple text response for testing.";
        Ok(typed::<CallToolResult>(json!({ "content": [{ "type": "text", "text": text }] }))?.into())
    }

    async fn list_resources(&self, _: Page, _: Context) -> Result<ListResourcesResult, ErrorData> {
        typed(json!({ "resources": [{ "uri": "test://static-text", "name": "text" }] }))
    }

    async fn list_resource_templates(
        &self,
        _: Page,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        typed(
            json!({ "resourceTemplates": [{ "uriTemplate": "test://template/{id}/data", "name": "data" }] }),
        )
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = &*request.uri;
        let id = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
        let text = match id {
            Some(id) => json!({ "id": id, "templateTest": true }).to_string(),
            None if uri == "test://static-text" => {
                "This is the content of the static text resource.".to_owned()
            }
            None => return Err(ErrorData::resource_not_found("unknown resource", None)),
        };
        let contents = json!({ "contents": [{ "uri": uri, "mimeType": "text/plain", "text": text }] });
        Ok(typed::<ReadResourceResult>(contents)?.into())
    }

    async fn list_prompts(&self, _: Page, _: Context) -> Result<ListPromptsResult, ErrorData> {
        typed(json!({ "prompts": [{ "name": "test_simple_prompt", "description": "A prompt" }] }))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        if request.name != "test_simple_prompt" {
            return Err(ErrorData::invalid_params("unknown prompt", None));
        }
        let content = json!({ "type": "text", "text": "This is a simple prompt for testing." });
        Ok(typed::<GetPromptResult>(json!({ "messages": [{ "role": "user", "content": content }] }))?.into())
    }
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

/// One operation of the scenario: method, name or URI, scopes, and a part of its result.
type Operation = (&'static str, &'static str, [&'static str; 2], &'static str);

pub(crate) const OPERATIONS: [Operation; 4] = [
    (
        "tools/call",
        "test_simple_text",
        ["mcp:conformance:tools:call", "mcp:conformance:tools:test_simple_text"],
        "/content/0/text",
    ),
    (
        "resources/read",
        "test://static-text",
        ["mcp:conformance:resources:read", "mcp:conformance:resources:static"],
        "/contents/0/text",
    ),
    (
        "resources/read",
        "test://template/123/data",
        ["mcp:conformance:resources:read", "mcp:conformance:resources:template:123"],
        "/contents/0/text",
    ),
    (
        "prompts/get",
        "test_simple_prompt",
        ["mcp:conformance:prompts:get", "mcp:conformance:prompts:test_simple_prompt"],
        "/messages/0/content/text",
    ),
];

/// Runs the checks of the scenario against a server.
///
/// # Errors
/// If one of them fails.
async fn check(resource: &str) -> Result<(), Box<dyn Error>> {
    for (method, name, scopes, result) in OPERATIONS {
        println!("{method} {name}");
        let refused = send(resource, LOW, method, name).await?;
        let challenge = refused.headers().get("www-authenticate").ok_or("no challenge")?.to_str()?;
        println!("    {} {challenge}", refused.status());
        let named =
            challenge.split("scope=\"").nth(1).and_then(|rest| rest.split('"').next()).ok_or("no scope")?;
        let is_complete = scopes.iter().all(|scope| named.split(' ').any(|word| word == *scope));
        let is_challenge = challenge.starts_with("Bearer ")
            && challenge.contains("error=\"insufficient_scope\"")
            && challenge.contains("resource_metadata=\"http://");
        if refused.status() != StatusCode::FORBIDDEN || !is_challenge || !is_complete {
            return Err("expected 403 with one challenge that names both scopes".into());
        }
        let passed = send(resource, FULL, method, name).await?;
        let status = passed.status();
        let body: Value = passed.json().await?;
        let text = body["result"].pointer(result).and_then(Value::as_str).ok_or("no result")?;
        println!("    {status} {text}");
        if status != StatusCode::OK {
            return Err("expected 200".into());
        }
    }
    Ok(())
}

/// Sends one request of the revision 2026-07-28.
pub(crate) async fn send(
    resource: &str,
    token: &str,
    method: &str,
    name: &str,
) -> Result<Response, reqwest::Error> {
    let version = "2026-07-28";
    let mut params = json!({
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientInfo": { "name": "check", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    });
    params[if method == "resources/read" { "uri" } else { "name" }] = name.into();
    let request = reqwest::Client::builder().no_proxy().build()?.post(resource);
    let request = request
        .bearer_auth(token)
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", version)
        .header("mcp-method", method)
        .header("mcp-name", name);
    request.json(&json!({ "jsonrpc": "2.0", "id": "check", "method": method, "params": params })).send().await
}
