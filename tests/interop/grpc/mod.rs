//! Python's grpcio and buf's `curl` as clients of a tonic service behind a layer with `.grpc()`.

mod echo;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tonic::{
    service::LayerExt as _,
    transport::{Server, server::TcpIncoming},
};

use tower_bearer::{JwtValidator, ProtectedResourceMetadata, testing::TestAuthorizationServer};

use self::echo::Echo;
use crate::support::{READ, Script, Tools, run};

const ISSUER: &str = "https://as.example.com";
const RESOURCE: &str = "https://echo.example.com";
const CHALLENGE: &str = "Bearer scope=\"orders:read\", \
    resource_metadata=\"https://echo.example.com/.well-known/oauth-protected-resource\"";

/// A running service that requires `orders:read`.
struct Service {
    authority: TestAuthorizationServer,
    target: String,
}

impl Service {
    async fn start() -> Self {
        let authority = TestAuthorizationServer::new(ISSUER);
        let validator: JwtValidator =
            authority.jwt_validator(RESOURCE).clock_skew(Duration::ZERO).build().unwrap();
        let resource_server = authority
            .resource_server_with(validator)
            .resource_metadata(ProtectedResourceMetadata::new(RESOURCE))
            .build()
            .unwrap();
        let echo = resource_server.require_scopes(READ).grpc().named_layer(Echo);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap().to_string();
        tokio::spawn(Server::builder().add_service(echo).serve_with_incoming(TcpIncoming::from(listener)));
        Self { authority, target }
    }

    fn token(&self) -> String {
        self.authority.token().audience(RESOURCE).scope("orders:read").sign()
    }

    fn call(&self, kind: &str, messages: &[&str], authorization: Option<&str>) -> String {
        let method = format!("{}{}", kind[..1].to_uppercase(), &kind[1..]);
        let metadata: Vec<_> = authorization.iter().map(|value| ["authorization", value]).collect();
        json!({
            "target": self.target,
            "method": format!("/interop.v1.Echo/{method}"),
            "kind": kind,
            "messages": messages,
            "metadata": metadata,
        })
        .to_string()
    }
}

/// Returns a metadata value that grpcio received.
fn metadata<'a>(result: &'a Value, place: &str, name: &str) -> Option<&'a str> {
    let pairs = result[place].as_array().unwrap();
    pairs.iter().find(|pair| pair[0] == name).and_then(|pair| pair[1].as_str())
}

async fn answer(client: &mut Script, call: &str) -> Value {
    client.send(call).await;
    serde_json::from_str(&client.line().await).unwrap()
}

#[tokio::test]
async fn grpcio_gets_the_answers_of_all_kinds_of_methods() {
    let Some(tools) = Tools::find() else { return };
    let service = Service::start().await;
    let mut client = Script::start(&tools, "grpc_client.py", &[]);
    let token = format!("Bearer {}", service.token());

    for (kind, sent, received) in [
        ("unary", &["hello"][..], json!(["alice: hello"])),
        ("server", &["a b c"], json!(["alice: a", "alice: b", "alice: c"])),
        ("client", &["a", "b"], json!(["alice: a b"])),
    ] {
        let result = answer(&mut client, &service.call(kind, sent, Some(&token))).await;

        assert_eq!((&result["code"], &result["received"]), (&json!(0), &received), "{result}");
    }
}

#[tokio::test]
async fn rgrpc_02_grpcio_reads_status_and_challenge_of_refusals_for_all_kinds_of_methods() {
    let Some(tools) = Tools::find() else { return };
    let service = Service::start().await;
    let mut client = Script::start(&tools, "grpc_client.py", &[]);
    let token = service.authority.token().audience(RESOURCE);
    let bearer = |token: String| format!("Bearer {token}");
    let expired = bearer(token.clone().scope("orders:read").expired().sign());
    let without_scope = bearer(token.scope("profile").sign());

    for kind in ["unary", "server", "client", "bidi"] {
        for (authorization, code, error) in [
            (None, 16, None),
            (Some("Bearer not-a-token"), 16, Some("invalid_token")),
            (Some("bearer"), 16, Some("invalid_request")),
            (Some(&*expired), 16, Some("invalid_token")),
            (Some(&*without_scope), 7, Some("insufficient_scope")),
        ] {
            let result = answer(&mut client, &service.call(kind, &["hello"], authorization)).await;

            assert_eq!((&result["code"], &result["received"]), (&json!(code), &json!([])), "{result}");
            assert!(!result["message"].as_str().unwrap().is_empty(), "{result}");
            let challenge = metadata(&result, "trailing", "www-authenticate").unwrap();
            match error {
                None => assert_eq!(challenge, CHALLENGE),
                Some(error) => assert!(challenge.contains(&format!("error=\"{error}\"")), "{challenge}"),
            }
            assert!(challenge.contains("scope=\"orders:read\""), "{challenge}");
        }
    }
}

#[tokio::test]
async fn rgrpc_04_grpcio_reads_unavailable_with_a_pushback_while_the_authorization_server_is_down() {
    let Some(tools) = Tools::find() else { return };
    let service = Service::start().await;
    let mut client = Script::start(&tools, "grpc_client.py", &[]);
    let token = format!("Bearer {}", service.token());
    service.authority.go_down();

    let result = answer(&mut client, &service.call("unary", &["hello"], Some(&token))).await;

    assert_eq!(result["code"], 14, "{result}");
    assert_eq!(metadata(&result, "trailing", "www-authenticate"), None, "{result}");
    let pushback = metadata(&result, "trailing", "grpc-retry-pushback-ms").unwrap();
    assert!(pushback.parse::<u64>().unwrap() >= 1_000, "{result}");
}

#[tokio::test]
async fn rgrpc_06_stream_of_grpcio_ends_with_unauthenticated_when_its_token_expires() {
    let Some(tools) = Tools::find() else { return };
    let service = Service::start().await;
    let mut client = Script::start(&tools, "grpc_client.py", &[]);
    let token = service.authority.token().audience(RESOURCE).scope("orders:read");
    let token = format!("Bearer {}", token.expires_in(Duration::from_secs(1)).sign());

    client.send(&service.call("bidi", &["hello"], Some(&token))).await;
    assert_eq!(client.line().await, "open");
    service.authority.clock().advance(Duration::from_secs(1));

    let result: Value = serde_json::from_str(&client.line().await).unwrap();
    assert_eq!((&result["code"], &result["received"]), (&json!(16), &json!(["alice: hello"])), "{result}");
    let challenge = metadata(&result, "trailing", "www-authenticate").unwrap();
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
}

#[tokio::test]
async fn buf_curl_gets_the_answer_with_a_token_and_the_status_without() {
    let Some(tools) = Tools::find() else { return };
    let service = Service::start().await;
    let node = tools.node();
    let buf = tools.path("node_modules/@bufbuild/buf/bin/buf");
    let authorization = format!("Authorization: Bearer {}", service.token());
    let url = format!("http://{}/interop.v1.Echo/Server", service.target);
    let schema = tools.path("echo.proto");
    let schema = schema.to_str().unwrap();
    let common =
        [buf.to_str().unwrap(), "curl", "--protocol", "grpc", "--http2-prior-knowledge", "--schema", schema];

    let arguments = [&common[..], &["-H", &authorization, "-d", r#"{"text":"a b"}"#, &url]].concat();
    let (succeeded, output) = run(&node, &arguments).await;
    assert!(succeeded, "{output}");
    assert!(output.contains("alice: a") && output.contains("alice: b"), "{output}");

    let arguments = [&common[..], &["-d", r#"{"text":"a b"}"#, &url]].concat();
    let (succeeded, output) = run(&node, &arguments).await;
    assert!(!succeeded && output.contains("unauthenticated"), "{output}");
    assert!(output.contains("An access token is required"), "{output}");
}
