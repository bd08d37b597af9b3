//! Proves how a layer guards an MCP server, over loopback with an MCP client and with a plain HTTP client.

#[path = "../../examples/mcp_jenkins/main.rs"]
#[allow(dead_code, reason = "`main` is used only by the example")]
mod example;

mod bodies;
mod operations;
mod refusals;
mod reloading;
mod rmcp_server;
mod scope_challenges;
mod tools;

use std::{
    error::Error,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::Router;
use http::{HeaderMap, Request};
use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use rmcp::{
    model::ProtocolVersion,
    service::{ClientInitializeError, ClientLifecycleMode, ClientServiceExt as _},
    transport::{
        StreamableHttpClientTransport,
        streamable_http_client::{StreamableHttpClientTransportConfig, StreamableHttpError},
    },
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_bearer::{JwtValidator, ProtectedResourceMetadata, ResourceServer, Scope};

use crate::support::http_client;

use self::example::{
    authorization_server::{AuthorizationServer, Minting, TokenFormat},
    embedded_jenkins,
    jenkins_client::JenkinsClient,
    jenkins_imitation::{API_TOKEN, JenkinsImitation, USER},
    mcp_service,
    walk::{call, connect, demonstrate, list_jobs, tool, trigger_build},
};

const READ: Scope = Scope::from_static("mcp:read");
const WRITE: Scope = Scope::from_static("mcp:write");

#[tokio::test]
async fn mcp_example_succeeds() {
    demonstrate().await.unwrap();
}

mod discovery {
    use super::*;

    #[tokio::test]
    async fn rmcp_01_metadata_names_the_authorization_server() {
        let kit = Kit::start().await;

        let response = kit.http.get(kit.metadata_url()).send().await.unwrap();

        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(
            response.json::<Value>().await.unwrap(),
            json!({
                "resource": kit.resource,
                "resource_name": "Jenkins",
                "authorization_servers": [kit.authority.issuer()],
                "bearer_methods_supported": ["header"],
                "scopes_supported": ["mcp:read", "mcp:write"],
            })
        );
    }

    #[tokio::test]
    async fn rmcp_02_metadata_is_found_through_the_challenge_and_by_path() {
        let kit = Kit::start().await;

        let refused = kit.post(None, None, INITIALIZE).await;
        let challenge = challenge_of(&refused);
        let named = challenge.split("resource_metadata=\"").nth(1).unwrap().trim_end_matches('"');
        let by_path = kit.http.get(named).send().await.unwrap();
        let root = kit.origin() + "/.well-known/oauth-protected-resource";
        let by_root = kit.http.get(root).send().await.unwrap();

        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(named, format!("{}/.well-known/oauth-protected-resource/mcp", kit.origin()));
        assert_eq!(by_path.status(), StatusCode::OK);
        assert_eq!(by_path.json::<Value>().await.unwrap()["resource"], *kit.resource);
        // The root document would describe a resource without a path (RFC 9728 section 3.3).
        assert_eq!(by_root.status(), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn rmcp_23_metadata_is_readable_from_any_origin() {
        let kit = Kit::start().await;
        let cross_origin =
            |method| kit.http.request(method, kit.metadata_url()).header("origin", "https://app.example");

        let preflight = cross_origin(Method::OPTIONS)
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "mcp-protocol-version");
        let preflight = preflight.send().await.unwrap();
        let document = cross_origin(Method::GET).send().await.unwrap();

        assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
        assert_eq!(document.status(), StatusCode::OK);
        for response in [preflight, document] {
            assert_eq!(response.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        }
    }
}

mod passing {
    use super::*;

    #[tokio::test]
    async fn rmcp_06_credentials_do_not_reach_the_mcp_server() {
        let seen: Arc<Mutex<Vec<(Method, HeaderMap)>>> = Arc::default();
        let kit = Kit::serving(|resource_server, jenkins| {
            let seen = Arc::clone(&seen);
            let record = move |request: Request<_>| {
                seen.lock().unwrap().push((request.method().clone(), request.headers().clone()));
                request
            };
            let guard = ServiceBuilder::new().layer(resource_server.require_scopes(READ)).map_request(record);
            Router::new().nest_service("/mcp", guard.service(mcp_service(jenkins.into())))
        })
        .await;
        let token = kit.mint(kit.reading());
        let elsewhere = kit.mint(Minting { resource: "https://elsewhere.example/mcp", ..kit.reading() });

        let session = kit.open_session(&token).await;
        kit.post(Some(&session), Some(&token), LIST_JOBS).await.error_for_status().unwrap();
        let stream = kit.request(Method::GET, Some(&session), Some(&token)).send().await.unwrap();
        drop(stream.error_for_status().unwrap());
        let end = kit.request(Method::DELETE, Some(&session), Some(&token)).send().await.unwrap();
        end.error_for_status().unwrap();
        kit.post(None, Some(&elsewhere), INITIALIZE).await.error_for_status().unwrap_err();

        let seen = seen.lock().unwrap();
        let methods: Vec<_> = seen.iter().map(|(method, _)| method.as_str()).collect();
        assert_eq!(methods, ["POST", "POST", "POST", "GET", "DELETE"]);
        for (method, headers) in &*seen {
            assert!(!headers.contains_key(header::AUTHORIZATION), "{method}");
            assert!(!format!("{headers:?}").contains(&token), "{method}");
        }
    }

    #[tokio::test]
    async fn rmcp_10_scope_that_implies_the_required_one_is_accepted() {
        let kit = Kit::start().await;
        let token = kit.mint(Minting { scope: "mcp:write", ..kit.reading() });
        let client = connect(&kit.resource, Some(&token)).await.unwrap();

        let listed = call(&client, list_jobs()).await.unwrap();

        assert!(listed.contains(r#""listed_for":"alice""#), "{listed}");
    }

    #[tokio::test]
    async fn tool_receives_the_token_of_its_own_request() {
        let kit = Kit::start().await;
        let alice = kit.mint(kit.reading());
        let bob = kit.mint(Minting { subject: "bob", scope: "mcp:write", ..kit.reading() });

        // Both users know the session ID. It is not a credential: each request is authorized by its own token.
        let session = kit.open_session(&bob).await;
        let listed = kit.post(Some(&session), Some(&alice), LIST_JOBS).await.text().await.unwrap();
        let refused = kit.post(Some(&session), Some(&alice), TRIGGER_BUILD).await.text().await.unwrap();
        let started = kit.post(Some(&session), Some(&bob), TRIGGER_BUILD).await.text().await.unwrap();

        assert!(listed.contains(r#""listed_for":"alice""#), "{listed}");
        assert!(refused.contains("insufficient_scope") && !refused.contains("build"), "{refused}");
        assert!(started.contains(r#""started_by":"bob""#), "{started}");
        assert_eq!(kit.jenkins_posts(), ["/job/app/build"]);
    }

    #[tokio::test]
    async fn rmcp_08_tool_that_requires_another_scope_is_a_403_with_its_scopes() {
        let kit = Kit::start().await;
        let client = connect(&kit.resource, Some(&kit.mint(kit.reading()))).await.unwrap();

        let build = json!({ "job": "app", "number": 1 });
        let refused = call(&client, trigger_build()).await.unwrap();
        let aborting = call(&client, tool("abort_build", build)).await.unwrap();
        let listed = call(&client, list_jobs()).await.unwrap();

        assert_eq!(refused, format!("403 {}", kit.insufficient_scope("mcp:read mcp:write")));
        assert_eq!(aborting, refused);
        assert!(kit.jenkins_posts().is_empty());
        assert!(listed.contains(r#""listed_for":"alice""#), "{listed}");
    }

    #[tokio::test]
    async fn tool_receives_the_token_without_a_session() {
        let kit = Kit::start().await;
        let token = kit.mint(Minting { subject: "carol", scope: "mcp:write", ..kit.reading() });
        let config = StreamableHttpClientTransportConfig::with_uri(&*kit.resource).auth_header(token);
        let transport = StreamableHttpClientTransport::with_client(kit.http.clone(), config);
        // MCP revision 2026-07-28 has neither a handshake nor sessions.
        let lifecycle =
            ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
        let client = ().serve_with_lifecycle(transport, lifecycle).await.unwrap();

        let listed = call(&client, list_jobs()).await.unwrap();
        let started = call(&client, trigger_build()).await.unwrap();

        assert_eq!(client.peer_info().unwrap().protocol_version, ProtocolVersion::V_2026_07_28);
        assert!(listed.contains(r#""listed_for":"carol""#), "{listed}");
        assert_eq!(started, r#"{"build":1,"job":"app","queue_item":1,"started_by":"carol"}"#);
    }
}

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25",
    "capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
const LIST_JOBS: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"list_jobs"}}"#;
const TRIGGER_BUILD: &str = r#"{"jsonrpc":"2.0","id":3,"method":"tools/call",
    "params":{"name":"trigger_build","arguments":{"job":"app"}}}"#;

/// A running authorization server, a protected MCP server in front of Jenkins, and an HTTP client.
struct Kit {
    authority: AuthorizationServer,
    jenkins: JenkinsImitation,
    resource: String,
    http: reqwest::Client,
}

impl Kit {
    /// Starts the server of the example.
    async fn start() -> Self {
        Self::run(|issuer, resource, jenkins| {
            example::app(&example::resource_server(issuer, resource).unwrap(), jenkins).unwrap()
        })
        .await
    }

    /// Starts the server that `app` returns.
    async fn serving(app: impl FnOnce(&ResourceServer, JenkinsClient) -> Router) -> Self {
        Self::run(|issuer, resource, jenkins| {
            let issuer = tower_bearer::AuthorizationServer::discover(issuer).allow_http_on_loopback();
            let validator = JwtValidator::builder(issuer, resource).build().unwrap();
            let metadata = ProtectedResourceMetadata::new(resource).allow_http_on_loopback();
            app(&ResourceServer::builder(validator).resource_metadata(metadata).build().unwrap(), jenkins)
        })
        .await
    }

    async fn run(app: impl FnOnce(&str, &str, JenkinsClient) -> Router) -> Self {
        let (jenkins, client) = embedded_jenkins().await.unwrap();
        let authority = AuthorizationServer::start().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let resource = format!("http://{}/mcp", listener.local_addr().unwrap());
        authority.add_resource(&resource, TokenFormat::Jwt, &["mcp:read", "mcp:write"]);
        tokio::spawn(axum::serve(listener, app(authority.issuer(), &resource, client)).into_future());
        let http = http_client();
        Self { authority, jenkins, resource, http }
    }

    /// The paths of the `POST` requests that reached Jenkins.
    fn jenkins_posts(&self) -> Vec<String> {
        let received = self.jenkins.received().into_iter();
        received.filter(|request| request.method == Method::POST).map(|request| request.target).collect()
    }

    /// An MCP client with `mcp:write`.
    async fn writer(&self) -> example::walk::Client {
        let token = self.mint(Minting { scope: "mcp:write", ..self.reading() });
        connect(&self.resource, Some(&token)).await.unwrap()
    }

    /// Reads a page of Jenkins as its user.
    async fn as_robot(&self, url: &str) -> String {
        let request = self.http.get(url).basic_auth(USER, Some(API_TOKEN));
        request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap()
    }

    fn reading(&self) -> Minting<'_> {
        Minting { resource: &self.resource, scope: "mcp:read", ..Minting::default() }
    }

    fn mint(&self, minting: Minting<'_>) -> String {
        self.authority.mint(minting)
    }

    fn origin(&self) -> String {
        self.resource.trim_end_matches("/mcp").to_owned()
    }

    fn metadata_url(&self) -> String {
        format!("{}/.well-known/oauth-protected-resource/mcp", self.origin())
    }

    fn no_credentials(&self) -> String {
        format!("Bearer scope=\"mcp:read\", resource_metadata=\"{}\"", self.metadata_url())
    }

    fn invalid_token(&self) -> String {
        format!(
            "Bearer error=\"invalid_token\", error_description=\"The access token is malformed, expired, withdrawn \
             or not for this resource\", scope=\"mcp:read\", resource_metadata=\"{}\"",
            self.metadata_url()
        )
    }

    fn insufficient_scope(&self, scope: &str) -> String {
        format!(
            "Bearer error=\"insufficient_scope\", error_description=\"The access token does not allow this \
             operation\", scope=\"{scope}\", resource_metadata=\"{}\"",
            self.metadata_url()
        )
    }

    fn request(&self, method: Method, session: Option<&str>, token: Option<&str>) -> RequestBuilder {
        let mut request = self.http.request(method, &self.resource);
        request = request.header(header::ACCEPT, "application/json, text/event-stream");
        if let Some(session) = session {
            request = request.header("mcp-session-id", session);
        }
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    fn message(&self, session: Option<&str>, token: Option<&str>, message: &'static str) -> RequestBuilder {
        let request = self.request(Method::POST, session, token);
        request.header(header::CONTENT_TYPE, "application/json").body(message)
    }

    async fn post(&self, session: Option<&str>, token: Option<&str>, message: &'static str) -> Response {
        self.message(session, token, message).send().await.unwrap()
    }

    /// Performs the handshake and returns the session ID.
    async fn open_session(&self, token: &str) -> String {
        let response = self.post(None, Some(token), INITIALIZE).await;
        assert_eq!(response.status(), StatusCode::OK);
        let session = response.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        let response = self.post(Some(&session), Some(token), INITIALIZED).await;
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        session
    }
}

fn challenge_of(response: &Response) -> &str {
    let mut challenges = response.headers().get_all(header::WWW_AUTHENTICATE).iter();
    let challenge = challenges.next().expect("a challenge").to_str().unwrap();
    assert!(challenges.next().is_none(), "more than one challenge");
    challenge
}

/// Returns the error of the HTTP transport of an MCP client that could not connect.
fn transport_error<'a>(error: &'a (dyn Error + 'static)) -> &'a StreamableHttpError<reqwest::Error> {
    match error.downcast_ref() {
        Some(ClientInitializeError::TransportError { error, .. }) => error.error.downcast_ref().unwrap(),
        _ => panic!("{error}"),
    }
}
