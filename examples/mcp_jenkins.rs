//! Protects an MCP server with access tokens, and shows what its tools and its clients get.
//!
//! `cargo run --features axum --example mcp_jenkins` starts an authorization server, an MCP server with two tools and its
//! clients on this machine. It prints what each client gets, and fails if something is not as expected:
//!
//! | the client has | it gets |
//! |---|---|
//! | no token, or an invalid one | 401; the challenge says where to get a token |
//! | a token without `mcp:read` | 403; the challenge names the scope |
//! | a token with `mcp:read` | both tools; the one that writes returns an error |
//! | a token with `mcp:write` | both tools |

#![allow(clippy::print_stdout, reason = "an example prints")]

#[path = "authorization_server/mod.rs"]
pub(crate) mod authorization_server;

use std::{error::Error, sync::Arc};

use axum::Router;
use http::request::Parts;
use rmcp::{
    ErrorData, RoleClient, ServiceExt as _,
    handler::server::{common::Extension, wrapper::Parameters},
    model::{CallToolRequestParams, ErrorCode},
    schemars::JsonSchema,
    service::{ClientInitializeError, RunningService, ServiceError},
    tool, tool_router,
    transport::{
        StreamableHttpClientTransport, StreamableHttpServerConfig, StreamableHttpService,
        streamable_http_client::{StreamableHttpClientTransportConfig, StreamableHttpError},
        streamable_http_server::session::local::LocalSessionManager,
    },
};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tower::Layer as _;
use tower_bearer::{
    ConfigError, JwtValidator, ProtectedResourceMetadata, Refusal, ResourceServer, Scope, ScopeHierarchy,
    ValidatedToken,
};

use self::authorization_server::{AuthorizationServer, Minting, TokenFormat};

const READ: Scope = Scope::from_static("mcp:read");
const WRITE: Scope = Scope::from_static("mcp:write");

/// Defines which tokens are valid, and the metadata for clients.
pub(crate) fn resource_server(issuer: &str, resource: &str) -> Result<ResourceServer, ConfigError> {
    // A real service leaves out `allow_http_on_loopback`, so that only https is accepted.
    let issuer = tower_bearer::AuthorizationServer::discover(issuer).allow_http_on_loopback();
    let metadata = ProtectedResourceMetadata::new(resource)
        .allow_http_on_loopback()
        .resource_name("Jenkins")
        .scopes_supported([READ, WRITE]);
    ResourceServer::builder(JwtValidator::builder(issuer, resource).build()?)
        .resource_metadata(metadata)
        .scope_hierarchy(ScopeHierarchy::default().implies(WRITE, [READ]))
        .build()
}

/// Requires `mcp:read` for the MCP server. The metadata is public.
pub(crate) fn app(resource_server: &ResourceServer) -> Result<Router, ConfigError> {
    // By default it accepts only requests to loopback addresses. A public server sets its host names here.
    let config = StreamableHttpServerConfig::default();
    let mcp = StreamableHttpService::new(|| Ok(Jenkins), Arc::new(LocalSessionManager::default()), config);
    Ok(Router::new()
        .nest_service("/mcp", resource_server.require_scopes(READ).layer(mcp))
        .merge(resource_server.metadata_router()?))
}

pub(crate) struct Jenkins;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct BuildRequest {
    /// The name of the job.
    job: String,
}

#[tool_router(server_handler)]
impl Jenkins {
    #[tool(description = "Lists the jobs")]
    async fn list_jobs(&self, Extension(parts): Extension<Parts>) -> Result<String, ErrorData> {
        let token = token(&parts)?;
        Ok(format!("app, docs (listed for {})", token.subject().unwrap_or("nobody")))
    }

    #[tool(description = "Starts a build of a job")]
    async fn trigger_build(
        &self,
        Parameters(BuildRequest { job }): Parameters<BuildRequest>,
        Extension(parts): Extension<Parts>,
    ) -> Result<String, ErrorData> {
        let token = token(&parts)?;
        // The layer checks the scope that all tools need. A tool checks the scopes that only it needs.
        token.require(WRITE).map_err(|refusal| insufficient_scope(&refusal))?;
        Ok(format!("build 1 of {job} (started by {})", token.subject().unwrap_or("nobody")))
    }
}

/// Returns the token of the HTTP request that carried this message.
fn token(parts: &Parts) -> Result<&ValidatedToken, ErrorData> {
    let token = parts.extensions.get::<ValidatedToken>();
    token.ok_or_else(|| ErrorData::internal_error("the server has no layer that validates tokens", None))
}

/// The refusal of a tool call, as a JSON-RPC error that names the scopes to ask for.
fn insufficient_scope(refusal: &Refusal) -> ErrorData {
    let scopes: Vec<_> = refusal.scopes().iter().map(Scope::as_str).collect();
    let data = json!({ "scope": scopes.join(" ") });
    ErrorData::new(ErrorCode::INVALID_REQUEST, "insufficient_scope", Some(data))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    demonstrate().await
}

/// Prints what clients with different tokens get.
///
/// # Errors
/// If something is not as expected.
pub(crate) async fn demonstrate() -> Result<(), Box<dyn Error>> {
    let authority = AuthorizationServer::start().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let resource = format!("http://{}/mcp", listener.local_addr()?);
    authority.add_resource(&resource, TokenFormat::Jwt, &["mcp:read", "mcp:write"]);
    let app = app(&resource_server(authority.issuer(), &resource)?)?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    println!("authorization server: {}\nMCP server: {resource}\n", authority.issuer());

    let reading = Minting { resource: &resource, scope: "mcp:read", ..Minting::default() };
    let reader = authority.mint(reading.clone());
    let writer = authority.mint(Minting { scope: "mcp:write", ..reading.clone() });
    let unrelated = authority.mint(Minting { scope: "profile", ..reading.clone() });
    let elsewhere = authority.mint(Minting { resource: "https://elsewhere.example/mcp", ..reading });

    println!("No token");
    let challenge = refusal(connect(&resource, None).await)?;
    expect(&challenge, "401 Bearer ", "scope=\"mcp:read\"")?;
    let url = challenge
        .split('"')
        .find(|part| part.starts_with("http://"))
        .ok_or("the challenge contains no URL")?;
    let metadata = http_client()?.get(url).send().await?.text().await?;
    expect(&metadata, "{", &format!("\"authorization_servers\":[\"{}\"]", authority.issuer()))?;

    println!("\nA token for another server");
    expect(&refusal(connect(&resource, Some(&elsewhere)).await)?, "401 ", "error=\"invalid_token\"")?;

    println!("\nA token without mcp:read");
    let challenge = refusal(connect(&resource, Some(&unrelated)).await)?;
    expect(&challenge, "403 Bearer error=\"insufficient_scope\"", "scope=\"mcp:read\"")?;

    println!("\nA token with mcp:read");
    let client = connect(&resource, Some(&reader)).await?;
    let tools: Vec<_> = client.list_all_tools().await?.into_iter().map(|tool| tool.name).collect();
    expect(&tools.join(", "), "", "list_jobs, trigger_build")?;
    expect(&call(&client, list_jobs()).await?, "app, docs", "(listed for alice)")?;
    expect(
        &call(&client, trigger_build()).await?,
        "-32600 insufficient_scope",
        r#"{"scope":"mcp:read mcp:write"}"#,
    )?;
    client.cancel().await?;

    println!("\nA token with mcp:write, which implies mcp:read");
    let client = connect(&resource, Some(&writer)).await?;
    expect(&call(&client, list_jobs()).await?, "app, docs", "(listed for alice)")?;
    expect(&call(&client, trigger_build()).await?, "build 1 of app", "(started by alice)")?;
    client.cancel().await?;
    Ok(())
}

pub(crate) type Client = RunningService<RoleClient, ()>;

/// Opens an MCP session that sends the token with each request.
pub(crate) async fn connect(resource: &str, token: Option<&str>) -> Result<Client, Box<dyn Error>> {
    let mut config = StreamableHttpClientTransportConfig::with_uri(resource);
    config.auth_header = token.map(str::to_owned);
    let transport = StreamableHttpClientTransport::with_client(http_client()?, config);
    Ok(().serve(transport).await?)
}

fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder().no_proxy().build()
}

pub(crate) fn list_jobs() -> CallToolRequestParams {
    CallToolRequestParams::new("list_jobs")
}

pub(crate) fn trigger_build() -> CallToolRequestParams {
    let arguments = [("job".to_owned(), "app".into())].into_iter().collect();
    CallToolRequestParams::new("trigger_build").with_arguments(arguments)
}

/// Calls a tool and returns the text of its result, or its error.
pub(crate) async fn call(client: &Client, tool: CallToolRequestParams) -> Result<String, ServiceError> {
    match client.call_tool(tool).await {
        Ok(result) => {
            let texts = result.content.iter().filter_map(|content| content.as_text());
            Ok(texts.map(|text| text.text.as_str()).collect())
        }
        Err(ServiceError::McpError(error)) => {
            Ok(format!("{} {} {}", error.code.0, error.message, error.data.unwrap_or_default()))
        }
        Err(other) => Err(other),
    }
}

/// Returns the status and the challenge from the error of a client that was refused.
pub(crate) fn refusal(connected: Result<Client, Box<dyn Error>>) -> Result<String, Box<dyn Error>> {
    let error = connected.err().ok_or("the client was not refused")?;
    let error = error.downcast::<ClientInitializeError>()?;
    let ClientInitializeError::TransportError { error, .. } = *error else { return Err(error) };
    match error.error.downcast_ref::<StreamableHttpError<reqwest::Error>>() {
        Some(StreamableHttpError::AuthRequired(error)) => {
            Ok(format!("401 {}", error.www_authenticate_header))
        }
        Some(StreamableHttpError::InsufficientScope(error)) => {
            Ok(format!("403 {}", error.www_authenticate_header))
        }
        _ => Err(error.into()),
    }
}

/// Prints a result and checks its start and one part of it.
fn expect(found: &str, start: &str, part: &str) -> Result<(), Box<dyn Error>> {
    println!("    {found}");
    if found.starts_with(start) && found.contains(part) {
        return Ok(());
    }
    Err(format!("expected {start:?} at the start, and {part:?}").into())
}
