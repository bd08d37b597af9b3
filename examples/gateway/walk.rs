//! A client of the gateway, with different tokens.

use std::error::Error;

use http::{Method, StatusCode, header};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tokio::net::TcpListener;

use super::{
    app,
    authorization_server::{AuthorizationServer, Minting, TokenFormat},
    jenkins_authorization,
    jenkins_imitation::JenkinsImitation,
    listener,
    settings::Configuration,
};

/// Prints what clients with different tokens get.
///
/// # Errors
/// If something is not as expected.
pub(crate) async fn demonstrate() -> Result<(), Box<dyn Error>> {
    let jenkins = JenkinsImitation::start().await?;
    let authority = AuthorizationServer::start().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    authority.add_resource(&url, TokenFormat::Jwt, &["mcp:read", "mcp:write"]);
    let token = authority.mint(Minting { resource: &url, scope: "mcp:write", ..Minting::default() });
    let reader = authority.mint(Minting { resource: &url, scope: "mcp:read", ..Minting::default() });
    let Configuration { gateway, source } = Configuration::embedded(authority.issuer(), &url, jenkins.url())?;
    let resource_server = source.load()?;
    let mut proxy = gateway.proxy(&resource_server)?;
    proxy.backend.authorization = Some(jenkins_authorization());
    let layer = resource_server.require_policy()?;
    let gateway = app(&resource_server, &layer, proxy, gateway.websocket_token_prefix)?;
    tokio::spawn(listener::serve(listener, gateway));
    println!("authorization server: {}\nJenkins: {}\ngateway: {url}\n", authority.issuer(), jenkins.url());

    let client = Client { http: reqwest::Client::builder().no_proxy().build()?, url };
    let refused = client.send(Method::GET, "/api/json", None).await?;
    client.expect("no token", &refused, StatusCode::UNAUTHORIZED)?;

    let listed = client.send(Method::GET, "/api/json?tree=jobs[name]", Some(&token)).await?;
    client.expect("list jobs", &listed, StatusCode::OK)?;

    let underscoped = client.send(Method::POST, "/job/app/build", Some(&reader)).await?;
    client.expect("build with mcp:read", &underscoped, StatusCode::FORBIDDEN)?;
    let denied = client.send(Method::POST, "/script", Some(&token)).await?;
    client.expect("a path without a rule", &denied, StatusCode::FORBIDDEN)?;
    let ambiguous = client.send(Method::GET, "/job/app%2F..%2F..%2Fscript", Some(&token)).await?;
    client.expect("a path that Jenkins could read differently", &ambiguous, StatusCode::BAD_REQUEST)?;

    let without_crumb = client.send(Method::POST, "/job/app/build", Some(&token)).await?;
    client.expect("build without a crumb, which Jenkins refuses", &without_crumb, StatusCode::FORBIDDEN)?;

    let issued = client.send(Method::GET, "/crumbIssuer/api/json", Some(&token)).await?;
    client.expect("get a crumb", &issued, StatusCode::OK)?;
    let session =
        issued.headers()[header::SET_COOKIE].to_str()?.split(';').next().unwrap_or_default().to_owned();
    let crumb: Value = issued.json().await?;
    let crumb = crumb["crumb"].as_str().ok_or("no crumb")?;
    let request = client.request(Method::POST, "/job/app/build", Some(&token)).header("Jenkins-Crumb", crumb);
    let started = request.header(header::COOKIE, session).send().await?;
    client.expect("build", &started, StatusCode::CREATED)?;
    println!("    location: {}", started.headers()[header::LOCATION].to_str()?);

    let last = jenkins.received().pop().ok_or("Jenkins received no request")?;
    println!("Jenkins received:");
    for (name, value) in &last.headers {
        println!("    {name}: {}", if name == header::AUTHORIZATION { "Basic ..." } else { value.to_str()? });
    }
    Ok(())
}

struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    fn request(&self, method: Method, path: &str, token: Option<&str>) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn send(&self, method: Method, path: &str, token: Option<&str>) -> reqwest::Result<Response> {
        self.request(method, path, token).send().await
    }

    /// Prints a response and checks its status.
    fn expect(&self, what: &str, response: &Response, status: StatusCode) -> Result<(), Box<dyn Error>> {
        println!("{what}: {}", response.status());
        if let Some(challenge) = response.headers().get(header::WWW_AUTHENTICATE) {
            println!("    {}", challenge.to_str()?);
        }
        if response.status() == status { Ok(()) } else { Err(format!("expected {status}").into()) }
    }
}
