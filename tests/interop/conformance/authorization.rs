//! The suite's scenarios for authorization servers, against the embedded one.

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::read_results;
use crate::{
    mcp_clients::example::authorization_server::{AuthorizationServer, Browser, Decision, TokenFormat},
    support::{Script, Tools, http_client, soon},
};

const RESOURCE: &str = "https://mcp.example.com/mcp";
const SUITE: &str = "node_modules/@modelcontextprotocol/conformance/dist/index.js";

/// Registers a client, and returns its identifier.
async fn register(authority: &AuthorizationServer, redirect_uri: &str) -> String {
    let metadata = json!({"client_name": "suite", "redirect_uris": [redirect_uri]});
    let request = http_client().post(format!("{}/register", authority.issuer())).json(&metadata);
    let registered: Value = soon(request.send()).await.unwrap().json().await.unwrap();
    registered["client_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn embedded_authorization_server_passes_the_scenarios_for_authorization_servers() {
    let Some(tools) = Tools::find() else { return };
    let authority = AuthorizationServer::start().await.unwrap();
    authority.add_resource(RESOURCE, TokenFormat::Jwt, &["mcp:use"]);
    // The suite cannot choose a free port itself.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port().to_string();
    let client = register(&authority, &format!("http://127.0.0.1:{port}/callback")).await;
    let directory = tools.path("conformance-authorization");
    let _ = std::fs::remove_dir_all(&directory);
    let arguments = [
        &["authorization", "--url", authority.issuer(), "--client-id", &client][..],
        &["--resource", RESOURCE, "--port", &port, "--output-dir", directory.to_str().unwrap()],
    ];

    let mut suite = Script::start(&tools, SUITE, &arguments.concat());
    let url = loop {
        let line = suite.line().await;
        if line.starts_with(authority.issuer()) {
            break line;
        }
    };
    let answer = Browser::new().unwrap().authorize(&url, Decision::Approve).await.unwrap();
    let callback = answer.headers()["location"].to_str().unwrap();
    soon(http_client().get(callback).send()).await.unwrap();
    suite.finish().await;

    let results = read_results(&directory);
    let mut passed: Vec<_> = results.values().flatten().map(String::as_str).collect();
    passed.sort_unstable();
    let expected =
        ["authorization-code-grant", "authorization-server-metadata", "authorization-server-metadata-cimd"];
    assert_eq!(passed, expected.map(|check| format!("\"{check}\" \"SUCCESS\"")), "{results:#?}");
}
