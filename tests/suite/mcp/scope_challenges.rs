//! Runs the scenario for scope challenges of the MCP conformance suite (SEP-2350) against the example that serves its fixture.

#[path = "../../../examples/mcp_scope_challenges.rs"]
#[allow(dead_code, reason = "`main` is used only by the example")]
mod example;

use serde_json::Value;
use tower_bearer::testing::challenges;

use self::example::{OPERATIONS, send, start};
use crate::support::http_client;

#[tokio::test]
async fn rmcp_26_underscoped_token_gets_one_challenge_with_both_scopes() {
    let resource = start().await.unwrap();
    for (method, name, scopes, _) in OPERATIONS {
        let response = send(&resource, "mcp-conformance-scope-low", method, name).await.unwrap();

        assert_eq!(response.status(), 403, "{name}");
        let challenges = challenges(&http::Response::<reqwest::Body>::from(response));
        let [challenge] = &challenges[..] else { panic!("{name}: {challenges:?}") };
        assert_eq!(challenge.scheme(), "Bearer", "{name}");
        assert_eq!(challenge.param("error"), Some("insufficient_scope"), "{name}");
        assert_eq!(challenge.param("scope"), Some(&*scopes.join(" ")), "{name}");
        let metadata = challenge.param("resource_metadata").unwrap();
        let document: Value = http_client().get(metadata).send().await.unwrap().json().await.unwrap();
        assert_eq!(document["resource"], *resource, "{name}");
    }
}

#[tokio::test]
async fn rmcp_26_same_operation_succeeds_with_the_full_token() {
    let resource = start().await.unwrap();
    for (method, name, _, result) in OPERATIONS {
        let response = send(&resource, "mcp-conformance-scope-full", method, name).await.unwrap();

        assert_eq!(response.status(), 200, "{name}");
        let body: Value = response.json().await.unwrap();
        assert!(body.get("error").is_none(), "{body}");
        let text = body["result"].pointer(result).and_then(Value::as_str).unwrap();
        assert!(name != "test://template/123/data" || text.contains("123"), "{text}");
    }
}

#[tokio::test]
async fn rmcp_26_other_operations_are_refused_even_with_the_full_token() {
    let resource = start().await.unwrap();
    for (method, name, status) in [
        ("resources/read", "test://template/124/data", 403),
        ("resources/read", "test://template/12%33/data", 403),
        ("resources/read", "test://template/1/2/data", 403),
        ("tools/call", "other", 403),
        ("tools/call", "test_simple_text ", 400),
    ] {
        let response = send(&resource, "mcp-conformance-scope-full", method, name).await.unwrap();

        assert_eq!(response.status(), status, "{name}");
    }
}
