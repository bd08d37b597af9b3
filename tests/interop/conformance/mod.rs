//! The conformance suite of MCP: npm's @modelcontextprotocol/conformance.

mod authorization;
mod everything;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use axum::Router;
use http::{HeaderValue, Request, header::AUTHORIZATION};
use rmcp::transport::{
    StreamableHttpServerConfig, StreamableHttpService,
    streamable_http_server::session::local::LocalSessionManager,
};
use serde_json::Value;
use tokio::net::TcpListener;
use tower::Layer as _;
use tower_bearer::{Scope, mcp::McpOperations, testing::TestAuthorizationServer};

use self::everything::Everything;
use crate::support::{self, Tools};

const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];

const USE: Scope = Scope::from_static("mcp:use");

/// The status of each check, by scenario.
type Results = BTreeMap<String, Vec<String>>;

fn everything() -> StreamableHttpService<Everything, LocalSessionManager> {
    StreamableHttpService::new(|| Ok(Everything), Default::default(), StreamableHttpServerConfig::default())
}

/// Serves on a free port and returns the URL of the MCP server.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    url
}

/// Runs the server scenarios that these revisions of MCP require. The suite cannot send a token.
async fn run(tools: &Tools, url: &str, name: &str, revisions: &[&str]) -> Results {
    let cli = tools.path("node_modules/@modelcontextprotocol/conformance/dist/index.js");
    let mut results = Results::new();
    for revision in revisions {
        let directory = tools.path(&format!("conformance-{name}-{revision}"));
        let _ = std::fs::remove_dir_all(&directory);
        let output = directory.to_str().unwrap();
        let arguments = ["server", "--url", url, "--requirements", revision, "--output-dir", output];
        let arguments = [&[cli.to_str().unwrap()], &arguments[..]].concat();
        support::run(&tools.node(), &arguments).await; // it fails if a scenario does
        let of_revision = read_results(&directory);
        results.extend(of_revision.into_iter().map(|(name, checks)| (format!("{revision} {name}"), checks)));
    }
    results
}

fn read_results(directory: &Path) -> Results {
    let mut results = Results::new();
    for scenario in std::fs::read_dir(directory).expect("the suite wrote results") {
        let scenario: PathBuf = scenario.unwrap().path();
        let name = scenario.file_name().unwrap().to_str().unwrap();
        let name = &name[..name.len() - "-2026-11-24T14-30-00-000Z".len()];
        let checks = std::fs::read_to_string(scenario.join("checks.json")).unwrap();
        let checks: Vec<Value> = serde_json::from_str(&checks).unwrap();
        let statuses = checks.iter().map(|check| format!("{} {}", check["id"], check["status"])).collect();
        assert!(results.insert(name.to_owned(), statuses).is_none(), "two results of {name}");
    }
    results
}

fn failing(results: &Results) -> Vec<&str> {
    let fails = |statuses: &Vec<String>| statuses.iter().any(|status| status.contains("FAILURE"));
    results.iter().filter(|(_, statuses)| fails(statuses)).map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn server_scenarios_have_the_same_results_with_our_layers_as_without() {
    let Some(tools) = Tools::find() else { return };
    let authority = TestAuthorizationServer::new("https://as.example.com");
    let resource_server = authority.resource_server("https://mcp.example.com");
    let token =
        HeaderValue::try_from(format!("Bearer {}", authority.token().scope("mcp:use").sign())).unwrap();
    let add_token = axum::middleware::map_request(move |mut request: Request<axum::body::Body>| {
        request.headers_mut().insert(AUTHORIZATION, token.clone());
        std::future::ready(request)
    });
    // All operations need a token with the same scope, because the suite's scenarios use all of them with one token.
    let operations = McpOperations::builder().connecting(USE).otherwise(USE).build().unwrap();
    let bare = Router::new().nest_service("/mcp", everything());
    let token_layer = Router::new().nest_service("/mcp", resource_server.require_token().layer(everything()));
    let mcp_layer = resource_server.require_mcp(operations).layer(everything());
    let mcp_layer = Router::new().nest_service("/mcp", mcp_layer);
    let (bare, without_token) = (serve(bare).await, serve(token_layer.clone()).await);
    let (token_layer, mcp_layer) =
        (serve(token_layer.layer(add_token.clone())).await, serve(mcp_layer.layer(add_token)).await);

    let (bare, token_layer, mcp_layer, without_token) = tokio::join!(
        run(&tools, &bare, "bare", &REVISIONS),
        run(&tools, &token_layer, "token-layer", &REVISIONS),
        run(&tools, &mcp_layer, "mcp-layer", &REVISIONS),
        run(&tools, &without_token, "without-token", &REVISIONS[..1]),
    );

    let passing_2025 = failing(&bare).iter().all(|name| name.starts_with(REVISIONS[1]));
    assert!(passing_2025, "{bare:#?}");
    assert_eq!(bare, token_layer);
    assert_eq!(bare, mcp_layer);
    let passing = bare.len() - failing(&bare).len();
    assert!(bare.len() >= 80 && passing >= 40, "{passing} of {} scenarios pass", bare.len());
    assert_eq!(
        failing(&without_token).len(),
        without_token.len(),
        "without a token, nothing passes: {without_token:#?}"
    );
}
