//! The conformance suite of MCP: npm's @modelcontextprotocol/conformance.

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
use tower_bearer::testing::TestAuthorizationServer;

use self::everything::Everything;
use crate::support::{self, Tools};

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

/// Runs all server scenarios. The suite cannot send a token.
async fn run(tools: &Tools, url: &str, name: &str) -> Results {
    let directory = tools.path(&format!("conformance-{name}"));
    let _ = std::fs::remove_dir_all(&directory);
    let cli = tools.path("node_modules/@modelcontextprotocol/conformance/dist/index.js");
    let arguments = [
        cli.to_str().unwrap(),
        "server",
        "--url",
        url,
        "--suite",
        "all",
        "--output-dir",
        directory.to_str().unwrap(),
    ];
    support::run(&tools.node(), &arguments).await; // it fails if a scenario does
    read_results(&directory)
}

fn read_results(directory: &Path) -> Results {
    let mut results = Results::new();
    for scenario in std::fs::read_dir(directory).expect("the suite wrote results") {
        let scenario: PathBuf = scenario.unwrap().path();
        let name = scenario.file_name().unwrap().to_str().unwrap();
        // server-SCENARIO-TIME, where the time is 2026-11-24T14-30-00-000Z.
        let name = &name["server-".len()..name.find("-20").expect("the name ends with the time")];
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
async fn server_scenarios_have_the_same_results_with_our_layer_as_without() {
    let Some(tools) = Tools::find() else { return };
    let authority = TestAuthorizationServer::new("https://as.example.com");
    let layer = authority.resource_server("https://mcp.example.com").require_token();
    let token = HeaderValue::try_from(format!("Bearer {}", authority.token().sign())).unwrap();
    let add_token = axum::middleware::map_request(move |mut request: Request<axum::body::Body>| {
        request.headers_mut().insert(AUTHORIZATION, token.clone());
        std::future::ready(request)
    });
    let bare = serve(Router::new().nest_service("/mcp", everything())).await;
    let protected = Router::new().nest_service("/mcp", layer.layer(everything()));
    let without_token = serve(protected.clone()).await;
    let with_token = serve(protected.layer(add_token)).await;

    let (bare, with_token, without_token) = tokio::join!(
        run(&tools, &bare, "bare"),
        run(&tools, &with_token, "with-token"),
        run(&tools, &without_token, "without-token"),
    );

    assert_eq!(bare, with_token);
    assert!(failing(&bare).is_empty(), "{bare:#?}");
    assert!(bare.len() >= 30, "{} scenarios", bare.len());
    assert_eq!(
        failing(&without_token).len(),
        without_token.len(),
        "without a token, nothing passes: {without_token:#?}"
    );
}
