//! Third-party clients that reach the backend through the gateway.

use tower_bearer::{PathRules, Requirement};

use crate::support::{Script, Tools};

use super::*;

/// A gateway in front of a backend.
struct Gateway {
    _authority: AuthorizationServer,
    url: String,
    token: String,
}

impl Gateway {
    /// `rules` are those of `gateway.toml` if they are `None`.
    async fn start(
        backend: &str,
        authorization: Option<http::HeaderValue>,
        rules: Option<PathRules>,
    ) -> Self {
        let authority = AuthorizationServer::start().await.unwrap();
        let listener = bind().await;
        let url = format!("http://{}", listener.local_addr().unwrap());
        authority.add_resource(&url, TokenFormat::Jwt, &["mcp:read", "mcp:write"]);
        let token = authority.mint(Minting { resource: &url, scope: "mcp:write", ..Minting::default() });
        let Configuration { gateway, source } =
            Configuration::embedded(authority.issuer(), &url, backend).unwrap();
        let resource_server = source.load().unwrap();
        let mut proxy = gateway.proxy(&resource_server).unwrap();
        proxy.backend.authorization = authorization;
        let layer = match rules {
            Some(rules) => resource_server.require_by(rules),
            None => resource_server.require_policy().unwrap(),
        };
        let gateway = app(&resource_server, &layer, proxy, gateway.websocket_token_prefix).unwrap();
        tokio::spawn(serve(listener, gateway));
        Self { _authority: authority, url, token }
    }
}

#[tokio::test]
async fn python_jenkins_works_through_the_gateway() {
    let Some(tools) = Tools::find() else { return };
    let jenkins = JenkinsImitation::start().await.unwrap();
    let gateway = Gateway::start(jenkins.url(), Some(example::jenkins_authorization()), None).await;

    let mut script = Script::start(&tools, "python_jenkins_client.py", &[&gateway.url, &gateway.token]);

    for expected in [
        "refused without a token: 401",
        "version: 2.516.3",
        "user: robot",
        "jobs: app deploy docs soak-test team",
        "all jobs: app deploy docs soak-test team team/api team/web team/web/site",
        "exists: True None",
        "build: deploy 1 SUCCESS TARGET=production VERSION=latest",
        "log: Started by user robot ... Finished: SUCCESS",
        "build in a folder: team/api 1",
        "aborted: soak-test 1 ABORTED",
        "missing: job[nope] does not exist",
    ] {
        assert_eq!(script.line().await, expected);
    }
    for request in jenkins.received() {
        assert!(!format!("{request:?}").contains(&gateway.token), "{request:?}");
        assert_eq!(request.headers["x-forwarded-user"], "alice");
    }
}

#[tokio::test]
async fn browser_websocket_works_through_the_gateway() {
    let Some(tools) = Tools::find() else { return };
    let mut server = Script::start(&tools, "websocket_server.py", &[]);
    let any = PathRules::builder().otherwise(Requirement::token()).build().unwrap();
    let gateway = Gateway::start(&server.line().await, None, Some(any)).await;
    let url = gateway.url.replacen("http", "ws", 1);

    let mut client = Script::start(&tools, "websocket_client.py", &[&url, &gateway.token]);

    for expected in [
        "refused without a token: 401",
        "refused with a forged token: 401",
        "selected: chat",
        "user: alice",
        "offered: chat",
        "credential: None",
        "echo: 1048576 bytes",
        "closed: 1000",
    ] {
        assert_eq!(client.line().await, expected);
    }
}
