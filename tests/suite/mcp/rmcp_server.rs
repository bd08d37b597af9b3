//! Proves the layer and the extractors with a server and a client of rmcp.

use std::{sync::Arc, time::Duration};

use axum::Router;
use http::StatusCode;
use reqwest::header;
use rmcp::{
    ErrorData,
    model::{CallToolRequestParams, ProtocolVersion},
    service::{ClientLifecycleMode, ClientServiceExt as _},
    tool, tool_router,
    transport::{
        StreamableHttpClientTransport, StreamableHttpServerConfig, StreamableHttpService,
        streamable_http_client::StreamableHttpClientTransportConfig,
        streamable_http_server::session::local::LocalSessionManager,
    },
};
use serde::Deserialize;
use serde_json::{Value, json};
use tower::Layer as _;
use tower_bearer::{
    Claims, Requirement, Scope, ValidatedToken, integration::rmcp::OptionalToken, mcp::McpOperations,
    testing::TestAuthorizationServer,
};

use super::example::walk::{Client, call, connect};
use crate::support::{ISSUER, RESOURCE, http_client, serve, soon};

const READ: Scope = Scope::from_static("mcp:read");
const WRITE: Scope = Scope::from_static("mcp:write");

#[derive(Clone)]
struct Jobs;

#[derive(Deserialize)]
struct Tenant {
    tenant: String,
}

#[tool_router(server_handler)]
impl Jobs {
    #[tool(description = "Lists the jobs")]
    async fn list_jobs(&self, token: ValidatedToken) -> String {
        format!("jobs of {}", token.subject().unwrap_or("nobody"))
    }

    #[tool(description = "Starts a build")]
    async fn trigger_build(&self, token: ValidatedToken) -> Result<String, ErrorData> {
        token.require(WRITE)?;
        Ok(format!("started by {}", token.subject().unwrap_or("nobody")))
    }

    #[tool(description = "Names the tenant")]
    async fn tenant(&self, Claims(Tenant { tenant }): Claims<Tenant>) -> String {
        tenant
    }

    #[tool(description = "Greets")]
    async fn greet(&self, OptionalToken(token): OptionalToken) -> String {
        token.map_or_else(|| "hello".to_owned(), |_| "hello again".to_owned())
    }

    #[tool(description = "Needs a token, but its guard does not")]
    async fn misconfigured(&self, _token: ValidatedToken) -> String {
        String::new()
    }
}

fn operations() -> McpOperations {
    McpOperations::builder()
        .connecting(Requirement::public())
        .tool("list_jobs", READ)
        .tool("trigger_build", [READ, WRITE])
        .tool("tenant", Requirement::token())
        .tool("greet", Requirement::public())
        .tool("misconfigured", Requirement::public())
        .build()
        .unwrap()
}

struct Kit {
    authority: TestAuthorizationServer,
    resource: String,
}

impl Kit {
    async fn start() -> Self {
        Self::with(StreamableHttpServerConfig::default()).await
    }

    async fn with(config: StreamableHttpServerConfig) -> Self {
        let authority = TestAuthorizationServer::new(ISSUER);
        let layer = authority.resource_server(RESOURCE).require_mcp(operations());
        let mcp: StreamableHttpService<_, LocalSessionManager> =
            StreamableHttpService::new(|| Ok(operations().filter_lists(Jobs)), Arc::default(), config);
        let nested = Router::new().nest_service("/mcp", layer.layer(mcp));
        let address = serve(Router::new().nest("/servers", nested)).await;
        Self { authority, resource: format!("http://{address}/servers/mcp") }
    }

    fn token(&self, scope: &str) -> String {
        self.authority.token().subject("alice").scope(scope).claim("tenant", "acme").sign()
    }

    /// Connects without a handshake (MCP 2026-07-28).
    async fn discover(&self, token: Option<String>) -> Client {
        let mut config = StreamableHttpClientTransportConfig::with_uri(&*self.resource);
        config.auth_header = token;
        let transport = StreamableHttpClientTransport::with_client(http_client(), config);
        let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
        ().serve_with_lifecycle(transport, ClientLifecycleMode::Discover { preferred_versions })
            .await
            .unwrap()
    }

    /// Sends one message of the revision 2025-11-25.
    async fn post(&self, session: Option<&str>, token: &str, message: &Value) -> reqwest::Response {
        let mut request = http_client()
            .post(&self.resource)
            .bearer_auth(token)
            .header(header::ACCEPT, "application/json, text/event-stream");
        if let Some(session) = session {
            request = request.header("mcp-session-id", session);
        }
        request.json(message).send().await.unwrap()
    }
}

fn params(tool: &'static str) -> CallToolRequestParams {
    CallToolRequestParams::new(tool)
}

#[tokio::test]
async fn rmcp_08_rmcp_21_each_tool_is_guarded_over_http() {
    let kit = Kit::start().await;
    let reader = kit.token("mcp:read");
    for client in
        [connect(&kit.resource, Some(&reader)).await.unwrap(), kit.discover(Some(reader.clone())).await]
    {
        let listed = call(&client, params("list_jobs")).await.unwrap();
        let refused = soon(call(&client, params("trigger_build"))).await.unwrap();

        assert_eq!(listed, "jobs of alice");
        assert!(refused.starts_with("403 Bearer error=\"insufficient_scope\""), "{refused}");
        assert!(refused.contains("scope=\"mcp:read mcp:write\""), "{refused}");
    }
    let writer = kit.discover(Some(kit.token("mcp:read mcp:write"))).await;

    assert_eq!(call(&writer, params("trigger_build")).await.unwrap(), "started by alice");
}

#[tokio::test]
async fn public_tool_gets_no_token() {
    let kit = Kit::start().await;
    let anonymous = kit.discover(None).await;
    let alice = connect(&kit.resource, Some(&kit.token(""))).await.unwrap();

    assert_eq!(call(&anonymous, params("greet")).await.unwrap(), "hello");
    assert_eq!(call(&alice, params("greet")).await.unwrap(), "hello again");
    assert_eq!(
        call(&anonymous, params("misconfigured")).await.unwrap(),
        "-32600 An access token is required null"
    );
}

#[tokio::test]
async fn claims_are_an_argument_of_tools() {
    let kit = Kit::start().await;
    let acme = kit.discover(Some(kit.token(""))).await;
    let other = kit.discover(Some(kit.authority.token().sign())).await;

    assert_eq!(call(&acme, params("tenant")).await.unwrap(), "acme");
    assert_eq!(call(&other, params("tenant")).await.unwrap(), "-32600 This operation is not allowed null");
}

#[tokio::test]
async fn requirement_in_a_tool_is_a_json_rpc_error_with_the_scopes() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let layer = authority.resource_server(RESOURCE).require_scopes(READ);
    let mcp: StreamableHttpService<_, LocalSessionManager> =
        StreamableHttpService::new(|| Ok(Jobs), Arc::default(), Default::default());
    let address = serve(Router::new().nest_service("/mcp", layer.layer(mcp))).await;
    let token = authority.token().scope("mcp:read").sign();
    let client = connect(&format!("http://{address}/mcp"), Some(&token)).await.unwrap();

    let refused = call(&client, params("trigger_build")).await.unwrap();

    assert_eq!(
        refused,
        "-32600 The access token does not allow this operation \
         {\"error\":\"insufficient_scope\",\"scope\":\"mcp:read mcp:write\"}"
    );
}

#[tokio::test]
async fn tool_without_a_layer_fails_with_an_internal_error() {
    let mcp: StreamableHttpService<_, LocalSessionManager> =
        StreamableHttpService::new(|| Ok(Jobs), Arc::default(), Default::default());
    let address = serve(Router::new().nest_service("/mcp", mcp)).await;
    let client = connect(&format!("http://{address}/mcp"), None).await.unwrap();

    let refused = call(&client, params("list_jobs")).await.unwrap();

    assert!(refused.starts_with("-32603 "), "{refused}");
}

#[tokio::test]
async fn list_of_tools_has_what_the_token_may_call() {
    let kit = Kit::start().await;
    for (token, tools) in [
        (None, &["greet", "misconfigured"][..]),
        (Some(""), &["greet", "misconfigured", "tenant"]),
        (Some("mcp:read"), &["greet", "list_jobs", "misconfigured", "tenant"]),
        (Some("mcp:read mcp:write"), &["greet", "list_jobs", "misconfigured", "tenant", "trigger_build"]),
    ] {
        let token = token.map(|scope| kit.token(scope));
        let discovered = kit.discover(token.clone()).await;
        let connected = connect(&kit.resource, token.as_deref()).await.unwrap();
        for client in [&discovered, &connected] {
            let list = client.list_tools(None).await.unwrap();

            let mut names: Vec<_> = list.tools.iter().map(|tool| &*tool.name).collect();
            names.sort_unstable();
            assert_eq!(names, tools);
            assert_eq!(serde_json::to_value(&list).unwrap()["cacheScope"], "private");
        }
    }
}

#[tokio::test]
async fn json_responses_and_stateless_mode_work() {
    let config =
        StreamableHttpServerConfig::default().with_json_response(true).with_legacy_session_mode(false);
    let kit = Kit::with(config).await;
    let reader = kit.token("mcp:read");
    let message =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "list_jobs" } });

    let response = kit.post(None, &reader, &message).await;
    let discovered = kit.discover(Some(reader)).await;

    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.json::<Value>().await.unwrap()["result"]["content"][0]["text"], "jobs of alice");
    assert_eq!(call(&discovered, params("list_jobs")).await.unwrap(), "jobs of alice");
}

#[tokio::test]
async fn rmcp_24_stream_of_a_session_ends_when_the_token_expires() {
    let config = StreamableHttpServerConfig::default().with_sse_keep_alive(Some(Duration::from_millis(10)));
    let kit = Kit::with(config).await;
    let token = kit.authority.token().scope("mcp:read").expires_in(Duration::from_secs(300)).sign();
    let initialize = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } } });
    let opened = kit.post(None, &token, &initialize).await;
    let session = opened.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    let open_stream = |token: String| {
        let request = http_client().get(&kit.resource).bearer_auth(token);
        request.header("mcp-session-id", &*session).header(header::ACCEPT, "text/event-stream").send()
    };
    let mut stream = open_stream(token.clone()).await.unwrap();
    assert_eq!(stream.status(), StatusCode::OK);
    for _ in 0..3 {
        assert!(soon(stream.chunk()).await.unwrap().is_some());
    }

    kit.authority.clock().advance(Duration::from_secs(3_600));
    soon(async { while stream.chunk().await.unwrap().is_some() {} }).await;
    let expired = open_stream(token).await.unwrap();

    assert_eq!(expired.status(), StatusCode::UNAUTHORIZED);
}
