//! Proves how a layer guards an MCP server, over loopback with an MCP client and with a plain HTTP client.

#[path = "../../examples/mcp_jenkins/main.rs"]
#[allow(dead_code, reason = "`main` is used only by the example")]
mod example;

mod bodies;
mod operations;
mod rmcp_server;
mod scope_challenges;

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

mod refusals {
    use super::*;

    #[tokio::test]
    async fn rmcp_04_every_request_of_a_session_needs_a_token() {
        let kit = Kit::start().await;
        let reader = kit.mint(kit.reading());
        let session = kit.open_session(&reader).await;
        let expired = kit.mint(Minting { age: Duration::from_secs(7_200), ..kit.reading() });

        for (token, challenge) in [(None, kit.no_credentials()), (Some(&expired), kit.invalid_token())] {
            let token = token.map(String::as_str);
            for request in [
                kit.message(Some(&session), token, LIST_JOBS),
                kit.message(Some(&session), token, INITIALIZED),
                kit.request(Method::GET, Some(&session), token),
                kit.request(Method::DELETE, Some(&session), token),
            ] {
                let response = request.send().await.unwrap();

                assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
                assert_eq!(challenge_of(&response), challenge);
            }
        }

        // The refused requests did not reach the session, so it still exists.
        let answer = kit.post(Some(&session), Some(&reader), LIST_JOBS).await.text().await.unwrap();
        assert!(answer.contains(r#""listed_for":"alice""#), "{answer}");
    }

    #[tokio::test]
    async fn rmcp_05_token_for_another_audience_is_refused() {
        let kit = Kit::start().await;
        for audience in [
            json!("https://elsewhere.example/mcp"),
            json!(["https://elsewhere.example/mcp", kit.authority.issuer()]),
            json!(kit.origin()),
            json!(format!("{}/more", kit.resource)),
            json!([]),
            Value::Null,
        ] {
            let token = kit.mint(Minting { claims: [("aud", audience.clone())].into(), ..kit.reading() });

            let response = kit.post(None, Some(&token), INITIALIZE).await;

            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{audience}");
            assert_eq!(challenge_of(&response), kit.invalid_token(), "{audience}");
        }
        let audience = json!(["https://elsewhere.example/mcp", kit.resource]);
        let token = kit.mint(Minting { claims: [("aud", audience)].into(), ..kit.reading() });

        let response = kit.post(None, Some(&token), INITIALIZE).await;

        assert_eq!(response.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn rmcp_07_invalid_token_is_refused() {
        let kit = Kit::start().await;
        let valid = kit.mint(kit.reading());
        let (head, signature) = valid.rsplit_once('.').unwrap();
        let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
        let other_server = AuthorizationServer::start().await.unwrap();
        for token in [
            kit.mint(Minting { age: Duration::from_secs(7_200), ..kit.reading() }),
            other_server.mint(kit.reading()),
            other_server
                .mint(Minting { claims: [("iss", json!(kit.authority.issuer()))].into(), ..kit.reading() }),
            forged,
            "neither-jwt-nor-known".to_owned(),
        ] {
            let response = kit.post(None, Some(&token), INITIALIZE).await;

            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{token}");
            assert_eq!(challenge_of(&response), kit.invalid_token(), "{token}");
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store", "{token}");
        }
    }

    #[tokio::test]
    async fn rmcp_08_missing_scope_is_forbidden() {
        let kit = Kit::start().await;
        let token = kit.mint(Minting { scope: "profile mcp:reader", ..kit.reading() });

        let response = kit.post(None, Some(&token), INITIALIZE).await;

        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert_eq!(challenge_of(&response), kit.insufficient_scope("mcp:read"));
    }

    #[tokio::test]
    async fn rmcp_08_client_finds_the_required_scope_in_the_challenge() {
        let kit = Kit::start().await;
        let token = kit.mint(Minting { scope: "profile", ..kit.reading() });

        let error = connect(&kit.resource, Some(&token)).await.unwrap_err();

        match transport_error(&*error) {
            StreamableHttpError::InsufficientScope(error) => {
                assert_eq!(error.get_required_scope(), Some("mcp:read"));
            }
            other => panic!("{other}"),
        }
    }

    #[tokio::test]
    async fn rmcp_09_challenge_names_all_required_scopes() {
        let kit = Kit::serving(|resource_server, jenkins| {
            let guard = ServiceBuilder::new().layer(resource_server.require_scopes([READ, WRITE]));
            Router::new().nest_service("/mcp", guard.service(mcp_service(jenkins.into())))
        })
        .await;
        for scope in ["", "mcp:read", "mcp:write"] {
            let token = kit.mint(Minting { scope, ..kit.reading() });

            let response = kit.post(None, Some(&token), INITIALIZE).await;

            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{scope:?}");
            assert_eq!(challenge_of(&response), kit.insufficient_scope("mcp:read mcp:write"), "{scope:?}");
        }
    }

    #[tokio::test]
    async fn rmcp_12_malformed_authorization_is_400() {
        let kit = Kit::start().await;
        let token = kit.mint(kit.reading());
        let valid = format!("Bearer {token}");
        for fields in [
            vec!["Bearer"],
            vec!["Bearer two words"],
            vec!["Bearer \"quoted\""],
            vec![&*valid, "Bearer other"],
            vec![&*valid, &*valid],
        ] {
            let mut request = kit.message(None, None, INITIALIZE);
            for field in &fields {
                request = request.header(header::AUTHORIZATION, *field);
            }

            let response = request.send().await.unwrap();

            assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{fields:?}");
            assert_eq!(
                challenge_of(&response),
                format!(
                    "Bearer error=\"invalid_request\", error_description=\"Exactly one authorization header is \
                     expected: Bearer, a space and the token\", scope=\"mcp:read\", resource_metadata=\"{}\"",
                    kit.metadata_url()
                ),
                "{fields:?}"
            );
        }
    }

    #[tokio::test]
    async fn rmcp_13_token_in_the_query_is_not_a_credential() {
        let kit = Kit::start().await;
        let token = kit.mint(kit.reading());

        let request = kit.message(None, None, INITIALIZE).query(&[("access_token", &token)]);
        let response = request.send().await.unwrap();

        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(challenge_of(&response), kit.no_credentials());
    }

    #[tokio::test]
    async fn outage_is_503_without_a_challenge() {
        let kit = Kit::start().await;
        let token = kit.mint(kit.reading());
        kit.authority.stop().await;

        let error = connect(&kit.resource, Some(&token)).await.unwrap_err();
        let response = kit.post(None, Some(&token), INITIALIZE).await;

        // The client keeps its token and gets the time to retry.
        match transport_error(&*error) {
            StreamableHttpError::HttpStatus(error) => {
                assert_eq!(error.status, 503);
                assert!(error.retry_after.as_ref().unwrap().parse::<u32>().unwrap() >= 1);
            }
            other => panic!("{other}"),
        }
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(!response.headers().contains_key(header::WWW_AUTHENTICATE));
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

/// The tools, and what Jenkins gets from them.
mod tools {
    use super::*;

    #[tokio::test]
    async fn a44_token_of_the_caller_does_not_reach_jenkins() {
        let kit = Kit::start().await;
        let token = kit.mint(Minting { scope: "mcp:write", ..kit.reading() });
        let client = connect(&kit.resource, Some(&token)).await.unwrap();

        call(&client, list_jobs()).await.unwrap();
        call(&client, trigger_build()).await.unwrap();
        call(&client, tool("show_build", json!({ "job": "app" }))).await.unwrap();
        call(&client, tool("abort_build", json!({ "job": "app", "number": 1 }))).await.unwrap();

        let received = kit.jenkins.received();
        assert!(received.len() >= 7, "{received:?}");
        let signature = token.rsplit('.').next().unwrap();
        for request in received {
            assert!(!format!("{request:?}").contains(signature), "{request:?}");
            let authorization = request.headers[header::AUTHORIZATION].to_str().unwrap();
            assert!(authorization.starts_with("Basic "), "{authorization}");
        }
    }

    #[tokio::test]
    async fn refused_crumb_is_replaced_once() {
        let kit = Kit::start().await;
        let client = kit.writer().await;
        call(&client, trigger_build()).await.unwrap();

        kit.jenkins.end_sessions();
        let started = call(&client, trigger_build()).await.unwrap();

        assert!(started.starts_with(r#"{"build":2,"#), "{started}");
        assert_eq!(kit.jenkins_posts(), ["/job/app/build"; 3]);
    }

    #[tokio::test]
    async fn job_in_a_folder_is_built() {
        let kit = Kit::start().await;
        let client = kit.writer().await;

        let listed = call(&client, tool("list_jobs", json!({ "folder": "team/web" }))).await.unwrap();
        let started = call(&client, tool("trigger_build", json!({ "job": "team/web/site" }))).await.unwrap();

        assert!(listed.starts_with(r#"{"jobs":[{"color":"notbuilt","name":"site"}]"#), "{listed}");
        assert!(started.starts_with(r#"{"build":1,"job":"team/web/site""#), "{started}");
    }

    #[tokio::test]
    async fn name_that_leads_to_another_path_is_refused() {
        let kit = Kit::start().await;
        let client = kit.writer().await;
        for job in ["", "..", "app/../..", "app/", "/app", "a//b", ".", "app?x", "app#x", "%2e%2e", "a\\b"] {
            let before = kit.jenkins.received().len();

            let refused = call(&client, tool("trigger_build", json!({ "job": job }))).await.unwrap();

            assert!(refused.starts_with("-32602 the name of a job"), "{job}: {refused}");
            assert_eq!(kit.jenkins.received().len(), before, "{job}");
        }
        let missing = call(&client, tool("show_build", json!({ "job": "no such job" }))).await.unwrap();
        assert!(missing.starts_with("-32602 Jenkins has no such job"), "{missing}");
    }

    #[tokio::test]
    async fn log_is_read_in_bounded_parts() {
        let kit = Kit::start().await;
        let client = kit.writer().await;
        call(&client, tool("trigger_build", json!({ "job": "soak-test" }))).await.unwrap();
        // Each read adds a line.
        let build = format!("{}/job/soak-test/1/consoleText", kit.jenkins.url());
        let mut whole = String::new();
        while whole.len() < 40_000 {
            whole = kit.as_robot(&build).await;
        }

        let mut read = String::new();
        let (mut offset, mut calls) = (0, 0);
        while read.len() < whole.len() {
            let arguments = json!({ "job": "soak-test", "number": 1, "log_offset": offset });
            let part = call(&client, tool("show_build", arguments)).await.unwrap();
            let part: Value = serde_json::from_str(&part).unwrap();
            let log = part["log"].as_str().unwrap();
            assert!(log.len() <= 16 << 10);
            assert_eq!(part["more"], true);
            read.push_str(log);
            offset = part["next_offset"].as_u64().unwrap();
            calls += 1;
        }

        assert!(read.starts_with(&whole));
        assert_eq!(calls, 3);
    }

    #[tokio::test]
    async fn jenkins_that_cannot_be_reached_is_an_error_without_details() {
        let kit = Kit::run(|issuer, resource, _| {
            let nowhere = JenkinsClient::new("http://127.0.0.1:1", "robot", "a-secret").unwrap();
            assert!(!format!("{nowhere:?}").contains("a-secret"));
            example::app(&example::resource_server(issuer, resource).unwrap(), nowhere).unwrap()
        })
        .await;
        let client = kit.writer().await;

        let failed = call(&client, list_jobs()).await.unwrap();

        assert_eq!(failed, "-32603 Jenkins could not be reached null");
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
