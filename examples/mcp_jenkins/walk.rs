//! Clients of the MCP server, and what they get.

use std::error::Error;

use rmcp::{
    RoleClient, ServiceExt as _,
    model::CallToolRequestParams,
    service::{ClientInitializeError, RunningService, ServiceError},
    transport::{
        DynamicTransportError, StreamableHttpClientTransport,
        streamable_http_client::{StreamableHttpClientTransportConfig, StreamableHttpError},
    },
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{
    app,
    authorization_server::{AuthorizationServer, Minting, TokenFormat},
    embedded_jenkins, resource_server,
};

/// Prints what clients with different tokens get.
///
/// # Errors
/// If something is not as expected.
pub(crate) async fn demonstrate() -> Result<(), Box<dyn Error>> {
    let (_jenkins, client) = embedded_jenkins().await?;
    let authority = AuthorizationServer::start().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let resource = format!("http://{}/mcp", listener.local_addr()?);
    authority.add_resource(&resource, TokenFormat::Jwt, &["mcp:read", "mcp:write"]);
    let app = app(&resource_server(authority.issuer(), &resource)?, client)?;
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
    expect(&tools.join(", "), "", "list_jobs, show_build")?;
    expect(
        &call(&client, list_jobs()).await?,
        r#"{"jobs":[{"color":"notbuilt","name":"app"}"#,
        r#""listed_for":"alice""#,
    )?;
    expect(
        &call(&client, trigger_build()).await?,
        "403 Bearer error=\"insufficient_scope\"",
        "scope=\"mcp:read mcp:write\"",
    )?;
    client.cancel().await?;

    println!("\nA token with mcp:write, which implies mcp:read");
    let client = connect(&resource, Some(&writer)).await?;
    expect(&call(&client, trigger_build()).await?, r#"{"build":1,"job":"app""#, r#""started_by":"alice""#)?;
    let log = r"Started by user robot\nRunning as SYSTEM\n";
    expect(&call(&client, tool("show_build", json!({ "job": "app" }))).await?, r#"{"building":"#, log)?;
    let parameters = json!({ "job": "deploy", "parameters": { "TARGET": "production" } });
    expect(
        &call(&client, tool("trigger_build", parameters)).await?,
        r#"{"build":1,"job":"deploy""#,
        "alice",
    )?;
    let shown = call(&client, tool("show_build", json!({ "job": "deploy", "number": 1 }))).await?;
    expect(&shown, "{", r#""parameters":{"TARGET":"production","VERSION":"latest"}"#)?;
    call(&client, tool("trigger_build", json!({ "job": "soak-test" }))).await?;
    let build = json!({ "job": "soak-test", "number": 1 });
    expect(&call(&client, tool("abort_build", build.clone())).await?, "{", r#""aborted_by":"alice""#)?;
    expect(&call(&client, tool("show_build", build)).await?, "{", r#""result":"ABORTED""#)?;
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
    tool("list_jobs", json!({}))
}

pub(crate) fn trigger_build() -> CallToolRequestParams {
    tool("trigger_build", json!({ "job": "app" }))
}

/// A call of a tool. The arguments are a JSON object.
pub(crate) fn tool(name: &'static str, arguments: Value) -> CallToolRequestParams {
    let Value::Object(arguments) = arguments else { return CallToolRequestParams::new(name) };
    CallToolRequestParams::new(name).with_arguments(arguments)
}

/// Calls a tool and returns the text of its result, its error, or the challenge of a 403.
pub(crate) async fn call(client: &Client, tool: CallToolRequestParams) -> Result<String, ServiceError> {
    match client.call_tool(tool).await {
        Ok(result) => {
            let texts = result.content.iter().filter_map(|content| content.as_text());
            Ok(texts.map(|text| text.text.as_str()).collect())
        }
        Err(ServiceError::McpError(error)) => {
            Ok(format!("{} {} {}", error.code.0, error.message, error.data.unwrap_or_default()))
        }
        Err(ServiceError::TransportSend(error)) => {
            forbidden(&error).ok_or(ServiceError::TransportSend(error))
        }
        Err(other) => Err(other),
    }
}

/// Returns the status and the challenge of a 403.
fn forbidden(error: &DynamicTransportError) -> Option<String> {
    match error.error.downcast_ref::<StreamableHttpError<reqwest::Error>>() {
        Some(StreamableHttpError::InsufficientScope(error)) => {
            Some(format!("403 {}", error.www_authenticate_header))
        }
        _ => None,
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
        _ => forbidden(&error).ok_or_else(|| error.into()),
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
