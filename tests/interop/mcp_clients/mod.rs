//! MCP clients go all the way from no token to a call that needs a step-up: 401, metadata of the resource and of the authorization
//! server, registration, authorization code with PKCE, token, call, 403, authorization for more scopes, call.

#[path = "../../../examples/mcp_jenkins/main.rs"]
#[allow(dead_code, reason = "`main` is used only by the example")]
pub(crate) mod example;
mod rmcp_client;
mod server;

use serde_json::{Value, json};
use url::Url;

use self::server::{READ, Server, WRITE};
use crate::support::{self, Script, Tools, parameter};

/// Checks one authorization URL, and returns the scopes that the client asks for.
fn requested_scope(url: &str, server: &Server) -> String {
    let url = Url::parse(url).unwrap();
    assert!(url.as_str().starts_with(server.authority.issuer()), "{url}");
    assert_eq!(parameter(&url, "response_type"), "code");
    assert_eq!(parameter(&url, "code_challenge_method"), "S256");
    assert_eq!(parameter(&url, "resource"), server.resource);
    parameter(&url, "scope")
}

/// Checks what a client asked for and got.
fn assert_walked(server: &Server, scopes: &[String], result: &Value) {
    let [first, second] = scopes else { panic!("asked for {scopes:?}") };
    assert_eq!(first, "mcp:read");
    assert!(second.split(' ').any(|scope| scope == "mcp:write"), "{second}");
    // The client lists the tools with its first token, which may call only these.
    assert_eq!(result["tools"], json!(["list_jobs", "show_build"]));
    assert_eq!(result["list_jobs"]["listed_for"], "alice");
    assert_eq!(result["trigger_build"]["started_by"], "alice");
    assert_eq!(server.authority.requests("/register"), 1, "a step-up must not register again");
    assert_eq!(server.authority.requests("/token"), 2);
}

/// Runs a script until it prints its result. Returns the scopes that it asked for, and the result.
async fn walk(tools: &Tools, server: &Server, script: &str, mode: &[&str]) -> (Vec<String>, Value) {
    let arguments = [&[server.resource.as_str()], mode].concat();
    let mut client = Script::start(tools, script, &arguments);
    let mut scopes = Vec::new();
    loop {
        let line: Value = serde_json::from_str(&client.line().await).unwrap();
        let Some(url) = line["authorize"].as_str() else { return (scopes, line) };
        scopes.push(requested_scope(url, server));
        client.send(&server.authorize(url).await).await;
    }
}

/// Runs a script to its end, and returns the revision of MCP that it used.
async fn walk_to_step_up(tools: &Tools, script: &str, mode: &[&str]) -> Value {
    let server = Server::start(&[]).await;
    let (scopes, result) = walk(tools, &server, script, mode).await;
    assert_walked(&server, &scopes, &result);
    result["revision"].clone()
}

#[tokio::test]
async fn typescript_sdk_1_walks_from_no_token_to_a_step_up() {
    let Some(tools) = Tools::find() else { return };

    assert_eq!(walk_to_step_up(&tools, "mcp_client_v1.mjs", &["without-refresh"]).await, "2025-11-25");
}

/// With a refresh token, this client uses it for the step-up. A refresh cannot add scopes (RFC 6749 section 6), so the first
/// token must have all of them.
#[tokio::test]
async fn typescript_sdk_1_with_a_refresh_token_gets_the_advertised_scopes_at_first() {
    let Some(tools) = Tools::find() else { return };

    let server = Server::start(&[]).await;
    let (scopes, result) = walk(&tools, &server, "mcp_client_v1.mjs", &["refresh"]).await;
    assert_eq!(
        (&scopes[..], &result["trigger_build"]["refused"]),
        (&["mcp:read".to_owned()][..], &json!(403))
    );

    let server = Server::start(&[READ, WRITE]).await;
    let (scopes, result) = walk(&tools, &server, "mcp_client_v1.mjs", &["refresh"]).await;
    assert_eq!(scopes, ["mcp:read mcp:write"]);
    assert_eq!(result["trigger_build"]["started_by"], "alice");
}

#[tokio::test]
async fn typescript_sdk_2_walks_from_no_token_to_a_step_up_with_a_session_and_without() {
    let Some(tools) = Tools::find() else { return };

    assert_eq!(walk_to_step_up(&tools, "mcp_client_v2.mjs", &["legacy"]).await, "2025-11-25");
    assert_eq!(walk_to_step_up(&tools, "mcp_client_v2.mjs", &["auto"]).await, "2026-07-28");
}

#[tokio::test]
async fn python_sdk_walks_from_no_token_to_a_step_up() {
    let Some(tools) = Tools::find() else { return };

    assert_eq!(walk_to_step_up(&tools, "mcp_client.py", &[]).await, "2026-07-28");
}

#[tokio::test]
async fn inspector_connects_with_a_token_and_shows_the_refusal_without() {
    let Some(tools) = Tools::find() else { return };
    let server = Server::start(&[]).await;
    let node = tools.node();
    let cli = tools.path("node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js");
    let authorization = format!("Authorization: Bearer {}", server.token("mcp:read"));
    let common = [cli.to_str().unwrap(), "--cli", &server.resource, "--transport", "http"];

    let arguments = [&common[..], &["--method", "tools/list", "--header", &authorization]].concat();
    let (succeeded, output) = support::run(&node, &arguments).await;
    assert!(
        succeeded && output.contains("\"show_build\"") && !output.contains("\"trigger_build\""),
        "{output}"
    );

    let arguments =
        [&common[..], &["--method", "tools/call", "--tool-name", "list_jobs", "--header", &authorization]];
    let (succeeded, output) = support::run(&node, &arguments.concat()).await;
    assert!(succeeded && output.contains("listed_for"), "{output}");

    let arguments = [&common[..], &["--method", "tools/list"]].concat();
    let (succeeded, output) = support::run(&node, &arguments).await;
    assert!(!succeeded, "{output}");
}
