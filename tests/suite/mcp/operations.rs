//! Proves which requirement applies to which request, with and without the body.

mod configuration;
mod credentials;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use tower_bearer::{
    Algorithm, ProtectedResourceMetadata, RequestHead, Requirement, ResourceServer, Scope, ScopeHierarchy,
    ScopeRequirement,
    mcp::{McpOperations, McpOperationsBuilder, json_rpc_body},
    testing::TestAuthorizationServer,
};

use crate::support::{Answer, App, ISSUER, Log, RESOURCE};

const READ: Scope = Scope::from_static("mcp:read");
const WRITE: Scope = Scope::from_static("mcp:write");
const ADMIN: Scope = Scope::from_static("mcp:admin");

/// What is required if nothing can be told about a request.
const STRICTEST: &str = "mcp:read mcp:write mcp:admin";

const OLD: &str = "2025-11-25";
const NEW: &str = "2026-07-28";

fn builder() -> McpOperationsBuilder {
    McpOperations::builder()
        .connecting(Requirement::public())
        .tool("read_file", READ)
        .tool("delete_all", [READ, WRITE])
        .prompt("summarise", READ)
        .resource("files://secret", ADMIN)
        .resource_template("files://{name}", READ)
        .resource_template("tree://{+path}", WRITE)
        .otherwise(ADMIN)
}

/// Two apps with the same operations: one reads bodies, the other only headers.
struct Kit {
    authority: TestAuthorizationServer,
    reading: App,
    headers_only: App,
}

impl Kit {
    fn new() -> Self {
        Self::with(builder())
    }

    fn with(builder: McpOperationsBuilder) -> Self {
        let authority = TestAuthorizationServer::new(ISSUER);
        let server = authority.resource_server(RESOURCE);
        let operations = builder.build().unwrap();
        let reading = App::new(server.require_mcp(operations.clone()));
        let headers_only = App::new(server.require_by(operations));
        Self { authority, reading, headers_only }
    }

    fn token(&self, scope: &str) -> String {
        self.authority.token().scope(scope).sign()
    }
}

/// A request of an MCP client.
#[derive(Clone)]
struct Call {
    http: Method,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Call {
    /// A request of the revision 2026-07-28, with the headers that it requires.
    fn new(method: &str, name: Option<&str>) -> Self {
        let call = Self::old(method, name).header("mcp-protocol-version", NEW).header("mcp-method", method);
        match name {
            Some(name) => call.header("mcp-name", name),
            None => call,
        }
    }

    /// A request of an older revision.
    fn old(method: &str, name: Option<&str>) -> Self {
        let member = if method.starts_with("resources/") { "uri" } else { "name" };
        let params = name.map_or(json!({}), |name| json!({ member: name }));
        Self::raw(&json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string())
    }

    fn raw(body: &str) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { http: Method::POST, headers, body: body.to_owned() }
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(header, _)| *header != name);
        self
    }

    fn body(mut self, body: &str) -> Self {
        self.body = body.to_owned();
        self
    }

    async fn to(&self, app: &App, token: Option<&str>) -> Answer {
        let mut request = Request::builder().method(&self.http).uri("/mcp");
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        app.send(request.body(Full::from(Bytes::from(self.body.clone()))).unwrap()).await
    }
}

/// Asserts a 401 with exactly these scopes.
#[track_caller]
fn assert_requires(answer: &Answer, scopes: &str) {
    answer.assert_unauthorized();
    assert_eq!(answer.challenges[0].param("scope").unwrap_or_default(), scopes);
}

/// Asserts a 400 with the JSON-RPC error -32020.
#[track_caller]
fn assert_header_mismatch(answer: &Answer, id: Option<Value>) {
    assert_eq!((answer.status, answer.calls), (StatusCode::BAD_REQUEST, 0), "{:?}", answer.reason);
    assert!(answer.challenges.is_empty());
    assert_eq!(answer.headers["content-type"], "application/json");
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["jsonrpc"], "2.0");
    assert_eq!(body["error"]["code"], -32020);
    assert!(body["error"]["message"].as_str().unwrap().starts_with("Header mismatch: "), "{body}");
    assert_eq!(body.get("id").cloned(), id);
}

/// Asserts a 403 without a challenge.
#[track_caller]
fn assert_denied(answer: &Answer) {
    assert_eq!((answer.status, answer.calls), (StatusCode::FORBIDDEN, 0), "{:?}", answer.reason);
    assert!(answer.challenges.is_empty());
}

#[tokio::test]
async fn rmcp_03_challenge_names_the_scopes_of_the_operation() {
    let kit = Kit::new();
    for (method, name, scopes) in [
        ("tools/call", Some("read_file"), "mcp:read"),
        ("tools/call", Some("delete_all"), "mcp:read mcp:write"),
        ("prompts/get", Some("summarise"), "mcp:read"),
        ("resources/read", Some("files://secret"), "mcp:admin"),
        ("resources/read", Some("files://readme"), "mcp:read"),
        ("resources/read", Some("tree://a/b"), "mcp:write"),
    ] {
        let new = Call::new(method, name);
        for answer in [
            new.to(&kit.reading, None).await,
            new.to(&kit.headers_only, None).await,
            Call::old(method, name).to(&kit.reading, None).await,
        ] {
            assert_requires(&answer, scopes);
        }
    }
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        for call in [Call::new(method, Some("files://readme")), Call::old(method, Some("files://readme"))] {
            assert_requires(&call.to(&kit.reading, None).await, "mcp:read");
        }
    }
}

#[tokio::test]
async fn connecting_and_listing_are_public_where_configured() {
    let kit = Kit::new();
    for method in ["initialize", "server/discover", "ping", "tools/list", "prompts/list", "logging/setLevel"]
    {
        let call = Call::new(method, None);
        call.to(&kit.reading, None).await.assert_pass();
        call.to(&kit.headers_only, None).await.assert_pass();
        Call::old(method, None).to(&kit.reading, None).await.assert_pass();
    }
    let notification = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    Call::raw(notification).to(&kit.reading, None).await.assert_pass();
    let response = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    Call::raw(response).to(&kit.reading, None).await.assert_pass();
    for http in [Method::GET, Method::DELETE] {
        let call = Call { http, headers: Vec::new(), body: String::new() };
        call.to(&kit.reading, None).await.assert_pass();
    }
}

#[tokio::test]
async fn rmcp_04_every_request_needs_a_token_by_default() {
    let kit = Kit::with(McpOperations::builder().tool("read_file", READ));
    let session = |call: Call| call.header("mcp-session-id", "known");
    for call in [
        Call::old("initialize", None),
        session(Call::old("tools/list", None)),
        session(Call::raw(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)),
        session(Call { http: Method::GET, headers: Vec::new(), body: String::new() }),
        session(Call { http: Method::DELETE, headers: Vec::new(), body: String::new() }),
    ] {
        assert_requires(&call.to(&kit.reading, None).await, "");
        call.to(&kit.reading, Some(&kit.token(""))).await.assert_pass();
    }
}

#[tokio::test]
async fn rmcp_08_rmcp_09_missing_scope_is_403_with_all_scopes_of_the_operation() {
    let kit = Kit::new();
    let call = Call::new("tools/call", Some("delete_all"));
    for scope in ["", "mcp:read", "mcp:write", "mcp:admin"] {
        let token = kit.token(scope);
        call.to(&kit.reading, Some(&token)).await.assert_insufficient_scope("mcp:read mcp:write");
        call.to(&kit.headers_only, Some(&token)).await.assert_insufficient_scope("mcp:read mcp:write");
    }
    let token = kit.token("mcp:write mcp:read");
    call.to(&kit.reading, Some(&token)).await.assert_pass();
    call.to(&kit.headers_only, Some(&token)).await.assert_pass();
}

#[tokio::test]
async fn rmcp_10_hierarchy_applies_to_operations() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let server = authority
        .resource_server_with(authority.jwt_validator(RESOURCE).build().unwrap())
        .scope_hierarchy(ScopeHierarchy::default().implies(WRITE, [READ]))
        .build()
        .unwrap();
    let app = App::new(server.require_mcp(builder().build().unwrap()));
    let token = authority.token().scope("mcp:write").sign();

    Call::new("tools/call", Some("delete_all")).to(&app, Some(&token)).await.assert_pass();
}

#[tokio::test]
async fn rmcp_21_unlisted_operation_requires_the_default_and_is_never_open() {
    let kit = Kit::new();
    let strict = Kit::with(McpOperations::builder().tool("read_file", READ));
    for (method, name) in [
        ("tools/call", Some("new_tool")),
        ("tools/call", Some("READ_FILE")),
        ("tools/call", Some("")),
        ("prompts/get", Some("read_file")),
        ("resources/read", Some("other://x")),
        ("tasks/get", None),
        ("custom/method", None),
    ] {
        for call in [Call::new(method, name), Call::old(method, name)] {
            assert_requires(&call.to(&kit.reading, None).await, "mcp:admin");
            let all = strict.token(STRICTEST);
            assert_denied(&call.to(&strict.reading, Some(&all)).await);
        }
    }
}

#[tokio::test]
async fn method_adds_its_requirement_to_that_of_the_tool() {
    let kit = Kit::with(builder().method("tools/call", WRITE).method("tools/list", READ));

    let tool = Call::new("tools/call", Some("read_file")).to(&kit.reading, None).await;
    let unlisted = Call::new("tools/call", Some("new_tool")).to(&kit.reading, None).await;
    let list = Call::new("tools/list", None).to(&kit.reading, None).await;

    assert_requires(&tool, "mcp:write mcp:read");
    assert_requires(&unlisted, "mcp:write mcp:admin");
    assert_requires(&list, "mcp:read");
}

#[tokio::test]
async fn completion_requires_what_the_prompt_or_template_requires() {
    let kit = Kit::new();
    for (reference, scopes) in [
        (json!({ "type": "ref/prompt", "name": "summarise" }), "mcp:read"),
        (json!({ "type": "ref/prompt", "name": "other" }), "mcp:admin"),
        (json!({ "type": "ref/resource", "uri": "files://{name}" }), "mcp:read"),
        (json!({ "type": "ref/resource", "uri": "tree://{+path}" }), "mcp:write"),
        (json!({ "type": "ref/resource", "uri": "files://secret" }), "mcp:admin"),
        (json!({ "type": "ref/other", "uri": "files://readme" }), STRICTEST),
        (json!(null), STRICTEST),
    ] {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "completion/complete", "params": { "ref": reference } });

        let answer = Call::raw(&body.to_string()).to(&kit.reading, None).await;

        assert_requires(&answer, scopes);
    }
}

#[tokio::test]
async fn subscription_requires_what_its_resources_require() {
    let kit = Kit::new();
    let call = |uris: Value| {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen",
            "params": { "notifications": { "toolsListChanged": true, "resourceSubscriptions": uris } } });
        Call::new("subscriptions/listen", None).body(&body.to_string())
    };

    let without = Call::old("subscriptions/listen", None).body(r#"{"id":1,"method":"subscriptions/listen"}"#);

    call(json!([])).to(&kit.reading, None).await.assert_pass();
    assert_requires(&without.to(&kit.reading, None).await, STRICTEST);
    assert_requires(
        &call(json!(["files://a", "tree://b"])).to(&kit.reading, None).await,
        "mcp:read mcp:write",
    );
    assert_requires(&call(json!("files://a")).to(&kit.reading, None).await, STRICTEST);
    assert_requires(&call(json!([])).to(&kit.headers_only, None).await, STRICTEST);
}

#[tokio::test]
async fn resource_must_be_allowed_as_sent_and_decoded() {
    let kit = Kit::new();
    for (uri, scopes) in [
        ("files://a%20b", "mcp:read"),
        ("files://%73ecret", "mcp:read mcp:admin"),
        ("files://a%2Fb", "mcp:read mcp:admin"),
        ("files://a%2F..%2Fsecret", "mcp:read mcp:admin"),
        ("files://a/b", "mcp:admin"),
        ("files://..", "mcp:admin"),
        ("files://%2e%2e", "mcp:read mcp:admin"),
        ("files://%zz", "mcp:read mcp:admin"),
        ("files://%ff", "mcp:read mcp:admin"),
        ("FILES://readme", "mcp:admin mcp:read"),
        ("tree://a/../b", "mcp:admin mcp:write"),
        ("tree://a/..%2fb", "mcp:write mcp:admin"),
    ] {
        let call = Call::new("resources/read", Some(uri));

        assert_requires(&call.to(&kit.reading, None).await, scopes);
        assert_requires(&call.to(&kit.headers_only, None).await, scopes);
    }
}

#[tokio::test]
async fn rmcp_21_uri_that_a_server_may_read_as_a_listed_resource_requires_what_that_requires() {
    let builder = McpOperations::builder()
        .resource("files://secret", ADMIN)
        .resource("files://docs?page=1", READ)
        .resource("https://h.example/a%20b", ADMIN)
        .resource_template("files://{+path}", READ)
        .resource_template("files://logs/{name}", WRITE)
        .resource_template("https://{+rest}", READ);
    let kit = Kit::with(builder);
    for (uri, scopes) in [
        ("files://secret", "mcp:admin"),
        ("files://secret?", "mcp:read mcp:admin"),
        ("files://secret?x", "mcp:read mcp:admin"),
        ("files://secret#x", "mcp:read mcp:admin"),
        ("files://secret?x#y", "mcp:read mcp:admin"),
        ("files://secret%3Fx", "mcp:read mcp:admin"),
        ("files://secret/", "mcp:read mcp:admin"),
        ("files://Secret?x", "mcp:read mcp:admin"),
        ("files://docs?page=1", "mcp:read"),
        ("files://docs?page=2", "mcp:read"),
        ("files://public?x", "mcp:read"),
        ("files://logs/app?x", "mcp:read mcp:write"),
        ("https://h.example:443/a b", "mcp:read mcp:admin"),
        ("https://H.EXAMPLE/a%20b?x", "mcp:read mcp:admin"),
    ] {
        let call = Call::new("resources/read", Some(uri));

        assert_requires(&call.to(&kit.reading, None).await, scopes);
        assert_requires(&call.to(&kit.headers_only, None).await, scopes);
    }
}

#[tokio::test]
async fn requirement_can_depend_on_the_uri_of_a_template() {
    let kit = Kit::with(McpOperations::builder().method("resources/read", READ).resource_template_by(
        "tenants://{tenant}/report",
        |uri| {
            let tenant = uri.split('/').nth(2).unwrap_or_default();
            Scope::new(&format!("reports:{tenant}"))
                .map_or_else(|_| Requirement::deny("not a tenant"), Requirement::scopes)
        },
    ));
    let call = |uri| Call::new("resources/read", Some(uri));

    let acme = call("tenants://acme/report").to(&kit.reading, None).await;
    let encoded = call("tenants://%61cme/report").to(&kit.reading, None).await;
    let invalid = call("tenants://a%20b/report").to(&kit.reading, None).await;

    assert_requires(&acme, "mcp:read reports:acme");
    assert_requires(&encoded, "mcp:read reports:%61cme reports:acme");
    assert_denied(&invalid);
}

mod other_parsers;

mod headers_and_body {
    use super::*;

    #[tokio::test]
    async fn a48_rmcp_18_header_that_contradicts_the_body_is_refused() {
        let kit = Kit::new();
        let token = kit.token(STRICTEST);
        let call = Call::new("tools/call", Some("read_file"));
        let delete = Call::old("tools/call", Some("delete_all")).body;
        for call in [
            call.clone().body(&delete),
            call.clone().without("mcp-name").header("mcp-name", "READ_FILE"),
            call.clone().without("mcp-name").header("mcp-name", "=?base64?ZGVsZXRlX2FsbA==?="),
            call.clone().without("mcp-name"),
            call.clone().without("mcp-method"),
            call.clone().without("mcp-method").header("mcp-method", "tools/list"),
            call.clone().without("mcp-method").header("mcp-method", "Tools/Call"),
        ] {
            assert_header_mismatch(&call.to(&kit.reading, Some(&token)).await, Some(json!(7)));
            assert_header_mismatch(&call.to(&kit.reading, None).await, Some(json!(7)));
        }
        call.to(&kit.reading, Some(&token)).await.assert_pass();
    }

    #[tokio::test]
    async fn a48_header_that_appears_twice_or_is_malformed_is_refused() {
        let kit = Kit::new();
        let token = kit.token(STRICTEST);
        let call = Call::new("tools/call", Some("read_file"));
        for call in [
            call.clone().header("mcp-name", "read_file"),
            call.clone().header("mcp-method", "tools/call"),
            call.clone().header("mcp-protocol-version", NEW),
            call.clone().header("mcp-protocol-version", OLD),
            call.clone().without("mcp-name").header("mcp-name", "=?base64?!?="),
        ] {
            assert_header_mismatch(&call.to(&kit.reading, Some(&token)).await, None);
            let answer = call.to(&kit.headers_only, Some(&token)).await;
            assert_eq!((answer.status, answer.calls), (StatusCode::BAD_REQUEST, 0));
            assert!(answer.challenges.is_empty());
        }
    }

    #[tokio::test]
    async fn a48_rmcp_19_encoded_name_is_decoded_before_it_is_compared() {
        let kit = Kit::with(builder().tool("größe", WRITE));
        let encoded = "=?base64?Z3LDtsOfZQ==?=";
        let call = Call::new("tools/call", Some("größe")).without("mcp-name").header("mcp-name", encoded);

        assert_requires(&call.to(&kit.reading, None).await, "mcp:write");
        assert_requires(&call.to(&kit.headers_only, None).await, "mcp:write");
    }

    #[tokio::test]
    async fn a48_name_with_escapes_in_the_body_is_the_same_name() {
        let kit = Kit::new();
        let body = r#"{"jsonrpc":"2.0","id":7,"\u006dethod":"tools\/call","params":{"n\u0061me":"\u0064elete_all"}}"#;

        let new = Call::new("tools/call", Some("delete_all")).body(body).to(&kit.reading, None).await;
        let old = Call::raw(body).to(&kit.reading, None).await;
        let lying = Call::new("tools/call", Some("read_file")).body(body).to(&kit.reading, None).await;

        assert_requires(&new, "mcp:read mcp:write");
        assert_requires(&old, "mcp:read mcp:write");
        assert_header_mismatch(&lying, Some(json!(7)));
    }

    #[tokio::test]
    async fn a48_duplicate_member_is_refused() {
        let kit = Kit::new();
        let token = kit.token(STRICTEST);
        for body in [
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"delete_all"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","\u006dethod":"tools/call"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_file","name":"delete_all"}}"#,
            r#"{"id":1,"method":"tools/call","params":{"name":"read_file"},"params":{"name":"delete_all"}}"#,
            r#"[{"id":1,"method":"tools/list","method":"tools/call"}]"#,
        ] {
            assert_header_mismatch(&Call::raw(body).to(&kit.reading, Some(&token)).await, None);
        }
    }

    #[tokio::test]
    async fn a48_private_member_of_serde_json_is_refused() {
        let kit = Kit::new();
        let token = kit.token(STRICTEST);
        let hidden = r#"{\"name\":\"delete_all\"}"#;
        for body in [
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"$serde_json::private::RawValue":"{hidden}"}}}}"#
            ),
            format!(r#"{{"$serde_json::private::RawValue":"{hidden}"}}"#),
        ] {
            assert_header_mismatch(&Call::raw(&body).to(&kit.reading, Some(&token)).await, None);
        }
    }

    #[tokio::test]
    async fn a48_protocol_version_in_the_body_must_match_the_header() {
        let kit = Kit::new();
        let token = kit.token(STRICTEST);
        let body = |version: &str| {
            json!({ "jsonrpc": "2.0", "id": "a", "method": "tools/call", "params": { "name": "read_file",
                "_meta": { "io.modelcontextprotocol/protocolVersion": version } } })
            .to_string()
        };
        let call = Call::new("tools/call", Some("read_file"));

        call.clone().body(&body(NEW)).to(&kit.reading, Some(&token)).await.assert_pass();
        for call in [
            call.clone().body(&body(OLD)),
            call.clone().body(&body("2027-01-01")),
            call.clone().without("mcp-protocol-version").body(&body(NEW)),
            call.without("mcp-protocol-version").header("mcp-protocol-version", OLD).body(&body(NEW)),
        ] {
            assert_header_mismatch(&call.to(&kit.reading, Some(&token)).await, Some(json!("a")));
        }
    }

    #[tokio::test]
    async fn a48_rmcp_20_lying_header_of_an_older_revision_requires_everything() {
        let kit = Kit::new();
        let delete = Call::old("tools/call", Some("delete_all"));
        for version in [None, Some(OLD), Some("DRAFT-2026-v1"), Some("")] {
            let versioned = |call: Call| match version {
                Some(version) => call.header("mcp-protocol-version", version),
                None => call,
            };
            let lying =
                versioned(delete.clone().header("mcp-method", "tools/call").header("mcp-name", "read_file"));
            let honest =
                versioned(delete.clone().header("mcp-method", "tools/call").header("mcp-name", "delete_all"));
            let silent = versioned(delete.clone());

            assert_requires(&lying.to(&kit.reading, None).await, STRICTEST);
            assert_requires(&honest.to(&kit.reading, None).await, "mcp:read mcp:write");
            assert_requires(&silent.to(&kit.reading, None).await, "mcp:read mcp:write");
            for call in [lying, honest, silent] {
                assert_requires(&call.to(&kit.headers_only, None).await, STRICTEST);
            }
        }
    }

    #[tokio::test]
    async fn a48_rmcp_20_missing_headers_require_everything_without_the_body() {
        let kit = Kit::new();
        let call = Call::new("tools/call", Some("read_file"));

        assert_requires(&call.clone().without("mcp-name").to(&kit.headers_only, None).await, STRICTEST);
        assert_requires(&call.without("mcp-method").to(&kit.headers_only, None).await, STRICTEST);
    }

    #[tokio::test]
    async fn a48_batch_requires_what_all_members_require() {
        let kit = Kit::new();
        let member = |name: &str| Call::old("tools/call", Some(name)).body;
        let ping = Call::old("ping", None).body;
        let answer = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
        for (body, scopes) in [
            (format!("[{ping},{}]", member("read_file")), Some("mcp:read")),
            (
                format!(" [{},{answer},{}]", member("read_file"), member("delete_all")),
                Some("mcp:read mcp:write"),
            ),
            (format!("[{},{}]", member("delete_all"), member("new_tool")), Some(STRICTEST)),
            ("[]".to_owned(), Some(STRICTEST)),
            ("[{]".to_owned(), Some(STRICTEST)),
            (format!("[{}]", vec![ping.clone(); 33].join(",")), Some(STRICTEST)),
            (format!("[{},1]", member("read_file")), None),
            (format!("[[{}]]", member("read_file")), None),
        ] {
            let old = Call::raw(&body).to(&kit.reading, None).await;
            match scopes {
                Some(scopes) => assert_requires(&old, scopes),
                None => assert_header_mismatch(&old, None),
            }
            // Since revision 2026-07-28, a body is one message.
            let new = Call::new("ping", None).body(&body).to(&kit.reading, None).await;
            assert_header_mismatch(&new, None);
        }
        Call::raw(&format!("[{ping},{answer}]")).to(&kit.reading, None).await.assert_pass();
    }

    #[tokio::test]
    async fn rmcp_20_unreadable_body_requires_everything() {
        let kit = Kit::new();
        let call = Call::new("tools/list", None);
        let large = Call::new("tools/list", None).body(&format!("{}{}", " ".repeat(1 << 20), call.body));
        for call in [
            large,
            call.clone().body(""),
            call.clone().body("tools/list"),
            call.clone().body(r#"{"method":"tools/list""#),
            call.clone().body("{\"method\":\"tools/list\u{0}\"}"),
            call.clone().body(r#"{"jsonrpc":"2.0","id":1}"#),
            call.clone().body(r#"{"jsonrpc":"2.0","id":1,"method":1}"#),
            call.clone().without("content-type"),
            call.clone().without("content-type").header("content-type", "text/plain"),
            call.clone().without("content-type").header("content-type", "application/jsonp"),
            call.clone().header("content-type", "application/json"),
            call.clone().header("content-encoding", "gzip"),
        ] {
            assert_requires(&call.to(&kit.reading, None).await, STRICTEST);
            call.to(&kit.reading, Some(&kit.token(STRICTEST))).await.assert_pass();
        }
        for media_type in ["application/json; charset=utf-8", "Application/JSON"] {
            let call = call.clone().without("content-type").header("content-type", media_type);
            call.to(&kit.reading, None).await.assert_pass();
        }
    }

    #[tokio::test]
    async fn other_http_methods_require_everything() {
        let kit = Kit::new();
        for http in [Method::PUT, Method::PATCH, Method::OPTIONS] {
            let call = Call { http, ..Call::new("tools/list", None) };

            assert_requires(&call.to(&kit.reading, None).await, STRICTEST);
            assert_requires(&call.to(&kit.headers_only, None).await, STRICTEST);
        }
    }

    #[tokio::test]
    async fn deeply_nested_arguments_are_accepted() {
        let kit = Kit::new();
        let nested = format!("{}{}", "[".repeat(100), "]".repeat(100));
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"read_file","arguments":{{"a":{nested}}}}}}}"#
        );

        assert_requires(&Call::raw(&body).to(&kit.reading, None).await, "mcp:read");
    }
}
