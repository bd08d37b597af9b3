//! Protects an MCP server in front of Jenkins with access tokens, and shows what its tools and its clients get.
//!
//! `cargo run --features axum,config,rmcp --example mcp_jenkins` starts an imitation of Jenkins, an authorization server, the MCP server
//! and its clients on this machine. It prints what each client gets, and fails if something is not as expected:
//!
//! | the client has | it gets |
//! |---|---|
//! | no token, or an invalid one | 401; the challenge says where to get a token |
//! | a token without `mcp:read` | 403; the challenge names the scope |
//! | a token with `mcp:read` | the tools that read; a call of another is a 403 that names the scopes |
//! | a token with `mcp:write` | all tools |
//!
//! With `-- --serve`, it prints the addresses and a token of each kind, and serves until it is stopped. With the environment
//! variables `JENKINS_URL`, `JENKINS_USER` and `JENKINS_TOKEN` (an API token), it serves with a real Jenkins instead.
//!
//! The environment variable `MCP_CONFIG` names a file to use instead of `settings.toml`, which has the scopes of each tool. When the
//! file changes, the next call follows it. Its issuer and its URLs are replaced with those of the servers on this machine.
//!
//! | file | contents |
//! |---|---|
//! | `main` | the layer, and how it is set up |
//! | `settings.toml` | which tokens are valid, and the scopes of each tool |
//! | `tools` | the tools |
//! | `jenkins_client` | the client of Jenkins |
//! | `walk` | the clients of the MCP server |

#![allow(clippy::print_stdout, reason = "an example prints")]

#[path = "../authorization_server/mod.rs"]
pub(crate) mod authorization_server;
#[path = "../jenkins_imitation/mod.rs"]
pub(crate) mod jenkins_imitation;

pub(crate) mod jenkins_client;
pub(crate) mod tools;
pub(crate) mod walk;

use std::{env, error::Error, path::Path, sync::Arc};

use axum::Router;
use rmcp::transport::{
    StreamableHttpServerConfig, StreamableHttpService,
    streamable_http_server::session::local::LocalSessionManager,
};
use tokio::net::TcpListener;
use tower::Layer as _;
use tower_bearer::{
    ConfigError, ResourceServer,
    config::{ConfigSource, Document, Environment},
};

use self::{
    authorization_server::{AuthorizationServer, Minting, TokenFormat},
    jenkins_client::JenkinsClient,
    jenkins_imitation::{API_TOKEN, JenkinsImitation, USER},
    tools::JenkinsTools,
    walk::demonstrate,
};

/// The settings of `settings.toml`, for servers in this process.
pub(crate) fn resource_server(issuer: &str, resource: &str) -> Result<ResourceServer, Box<dyn Error>> {
    let source = ConfigSource::document(parse(include_str!("settings.toml"))?);
    Ok(source.environment(embedded(issuer, resource)).load()?)
}

/// The settings of a file such as `settings.toml`, for servers in this process.
pub(crate) fn source(path: &Path, issuer: &str, resource: &str) -> ConfigSource {
    ConfigSource::file(path, parse).environment(embedded(issuer, resource))
}

/// Replaces the issuer and the URLs of a document.
fn embedded(issuer: &str, resource: &str) -> Environment {
    let variables = [("AUDIENCE", resource), ("METADATA_RESOURCE", resource), ("ISSUERS_0_ISSUER", issuer)];
    Environment::from_variables("", variables)
}

fn parse(settings: &str) -> Result<Document, toml::de::Error> {
    Document::with_positions(settings, toml::Deserializer::parse(settings)?)
}

/// The MCP server behind its layer. Its lists have only the tools that the token may call. The metadata is public.
pub(crate) fn app(resource_server: &ResourceServer, jenkins: JenkinsClient) -> Result<Router, ConfigError> {
    let layer = resource_server.require_mcp_policy()?;
    let jenkins = JenkinsTools::new(Arc::new(jenkins));
    let sessions = Arc::new(LocalSessionManager::default());
    // The layer and the lists follow the document when it changes.
    let lists = layer.clone();
    let new_server = move || Ok(lists.filter_lists(jenkins.clone()));
    // By default it accepts only requests to loopback addresses. A public server sets its host names here.
    let mcp = StreamableHttpService::new(new_server, sessions, StreamableHttpServerConfig::default());
    Ok(Router::new().nest_service("/mcp", layer.layer(mcp)).merge(resource_server.metadata_router()?))
}

/// The MCP server without a layer.
#[allow(dead_code, reason = "used by tests with layers of their own")]
pub(crate) fn mcp_service(
    jenkins: Arc<JenkinsClient>,
) -> StreamableHttpService<JenkinsTools, LocalSessionManager> {
    let config = StreamableHttpServerConfig::default();
    StreamableHttpService::new(move || Ok(JenkinsTools::new(Arc::clone(&jenkins))), Arc::default(), config)
}

/// An imitation of Jenkins, and a client for it.
pub(crate) async fn embedded_jenkins() -> Result<(JenkinsImitation, JenkinsClient), Box<dyn Error>> {
    let imitation = JenkinsImitation::start().await?;
    let client = JenkinsClient::new(imitation.url(), USER, API_TOKEN)?;
    Ok((imitation, client))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    if env::var_os("JENKINS_URL").is_some() {
        let variable = |name: &str| env::var(name).map_err(|error| format!("{name}: {error}"));
        let (user, api_token) = (variable("JENKINS_USER")?, variable("JENKINS_TOKEN")?);
        return serve(JenkinsClient::new(&variable("JENKINS_URL")?, &user, &api_token)?).await;
    }
    if env::args().any(|argument| argument == "--serve") {
        let (_imitation, client) = embedded_jenkins().await?;
        return serve(client).await;
    }
    demonstrate().await
}

/// Serves until the process is stopped.
async fn serve(jenkins: JenkinsClient) -> Result<(), Box<dyn Error>> {
    let authority = AuthorizationServer::start().await?;
    // Lets a client on this machine use the URL of its metadata document as its identifier.
    authority.allow_client_ids_on_loopback();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let resource = format!("http://{}/mcp", listener.local_addr()?);
    authority.add_resource(&resource, TokenFormat::Jwt, &["mcp:read", "mcp:write"]);
    println!("authorization server: {}\nMCP server: {resource}", authority.issuer());
    for scope in ["mcp:read", "mcp:write"] {
        let token = authority.mint(Minting { resource: &resource, scope, ..Minting::default() });
        println!("token with {scope}, for one hour: {token}");
    }
    let Some(path) = env::var_os("MCP_CONFIG") else {
        let resource_server = resource_server(authority.issuer(), &resource)?;
        return Ok(axum::serve(listener, app(&resource_server, jenkins)?).await?);
    };
    // Without a log, nobody would see why a changed file is not followed.
    tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::INFO).init();
    // The file is followed until this value is dropped.
    let watch = source(path.as_ref(), authority.issuer(), &resource).watch()?;
    axum::serve(listener, app(watch.resource_server(), jenkins)?).await?;
    drop(watch);
    Ok(())
}
