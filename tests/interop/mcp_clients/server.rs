//! The MCP server of `examples/mcp_jenkins` with the embedded authorization server, for third-party clients.

use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;
use tower::Layer as _;
use tower_bearer::Scope;

use super::example::{
    app,
    authorization_server::{AuthorizationServer, Browser, Decision, Minting, TokenFormat},
    embedded_jenkins,
    jenkins_imitation::JenkinsImitation,
    mcp_service, resource_server,
};

pub(super) const READ: Scope = Scope::from_static("mcp:read");
pub(super) const WRITE: Scope = Scope::from_static("mcp:write");

/// The running MCP server of the example. Its tools that write need `mcp:write`.
pub(super) struct Server {
    pub(super) resource: String,
    pub(super) authority: AuthorizationServer,
    browser: Browser,
    _jenkins: JenkinsImitation,
}

impl Server {
    /// Starts a server. If `advertised` is not empty, its 401 names these scopes, and not only `mcp:read`.
    pub(super) async fn start(advertised: &[Scope]) -> Self {
        let (jenkins, client) = embedded_jenkins().await.unwrap();
        let authority = AuthorizationServer::start().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let resource = format!("http://{}/mcp", listener.local_addr().unwrap());
        authority.add_resource(&resource, TokenFormat::Jwt, &["mcp:read", "mcp:write"]);
        let resource_server = resource_server(authority.issuer(), &resource).unwrap();
        let router = if advertised.is_empty() {
            app(&resource_server, client).unwrap()
        } else {
            let layer = resource_server.require_mcp_policy().unwrap().advertise(advertised.to_vec());
            Router::new()
                .nest_service("/mcp", layer.layer(mcp_service(Arc::new(client))))
                .merge(resource_server.metadata_router().unwrap())
        };
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { resource, authority, browser: Browser::new().unwrap(), _jenkins: jenkins }
    }

    /// Opens an authorization URL as the user, who signs in and approves. Returns the URL of the callback.
    pub(super) async fn authorize(&self, url: &str) -> String {
        let response = self.browser.authorize(url, Decision::Approve).await.unwrap();
        let callback = response.headers().get("location").expect("the user approved").to_str().unwrap();
        callback.to_owned()
    }

    pub(super) fn token(&self, scope: &str) -> String {
        self.authority.mint(Minting { resource: &self.resource, scope, ..Minting::default() })
    }
}
