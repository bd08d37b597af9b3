//! Origins, session identifiers, and refusals as JSON-RPC errors.

use super::*;

#[tokio::test]
async fn a49_rmcp_17_origin_that_is_not_listed_is_403_without_a_challenge() {
    let kit = Kit::with(builder().allowed_origins(["https://app.example.com", "http://localhost:3000"]));
    let token = kit.token(STRICTEST);
    let call = Call::new("tools/call", Some("read_file"));
    let get = Call { http: Method::GET, ..call.clone() };
    for origin in [
        "https://evil.example",
        "null",
        "https://app.example.com:443",
        "https://app.example.com.evil.example",
        "HTTPS://APP.EXAMPLE.COM",
        "https://app.example.com/",
        "http://localhost",
        "",
    ] {
        for call in [&call, &get] {
            let call = call.clone().header("origin", origin);
            assert_denied(&call.to(&kit.reading, Some(&token)).await);
            assert_denied(&call.to(&kit.headers_only, Some(&token)).await);
            assert_denied(&call.to(&kit.reading, None).await);
        }
    }
    let twice =
        call.clone().header("origin", "https://app.example.com").header("origin", "https://evil.example");
    assert_denied(&twice.to(&kit.reading, Some(&token)).await);
    for origin in ["https://app.example.com", "http://localhost:3000"] {
        call.clone().header("origin", origin).to(&kit.reading, Some(&token)).await.assert_pass();
    }
    call.to(&kit.reading, Some(&token)).await.assert_pass();
}

#[tokio::test]
async fn a49_session_id_is_not_a_credential() {
    let kit = Kit::new();
    let call = Call::old("tools/call", Some("read_file")).header("mcp-session-id", "known");

    assert_requires(&call.to(&kit.reading, None).await, "mcp:read");
}

#[tokio::test]
async fn rmcp_17_rmcp_22_refusal_can_be_a_json_rpc_error_without_id() {
    let app = |authority: &TestAuthorizationServer| {
        let server = authority.resource_server_with(authority.jwt_validator(RESOURCE).build().unwrap());
        let server = server.rejection_body(json_rpc_body).build().unwrap();
        let operations = builder().allowed_origins(["https://a.example"]).build().unwrap();
        App::new(server.require_mcp(operations))
    };
    let (authority, unreachable) =
        (TestAuthorizationServer::new(ISSUER), TestAuthorizationServer::new(ISSUER));
    let (app, app_without_keys) = (app(&authority), app(&unreachable));
    unreachable.go_down();
    let call = Call::new("tools/call", Some("read_file"));
    let foreign = call.clone().header("origin", "https://evil.example");
    let token = authority.token().scope("other").sign();

    for (answer, status, error) in [
        (
            call.to(&app, None).await,
            401,
            json!({ "code": -32600, "message": "An access token is required", "data": { "scope": "mcp:read" } }),
        ),
        (
            call.to(&app, Some(&token)).await,
            403,
            json!({
                "code": -32600,
                "message": "The access token does not allow this operation",
                "data": { "error": "insufficient_scope", "scope": "mcp:read" },
            }),
        ),
        (
            foreign.to(&app, None).await,
            403,
            json!({ "code": -32600, "message": "This operation is not allowed" }),
        ),
        (
            call.to(&app_without_keys, Some(&token)).await,
            503,
            json!({ "code": -32603, "message": "Access tokens cannot be checked at the moment" }),
        ),
    ] {
        assert_eq!(answer.status, status);
        assert_eq!(answer.headers["content-type"], "application/json");
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body, json!({ "jsonrpc": "2.0", "error": error }));
    }
}
