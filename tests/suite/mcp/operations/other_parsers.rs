//! Bodies that MCP servers read differently from this crate.

use rmcp::model::{ClientJsonRpcMessage, ClientRequest};

use super::*;

#[tokio::test]
async fn a63_name_that_differs_by_case_is_refused() {
    let kit = Kit::new();
    let token = kit.token(STRICTEST);
    for body in [
        r#"{"id":1,"method":"tools/list","Method":"tools/call","params":{"name":"delete_all"}}"#,
        r#"{"id":1,"Method":"tools/call","params":{"name":"delete_all"}}"#,
        r#"{"id":1,"result":{},"METHOD":"tools/call","params":{"name":"delete_all"}}"#,
        r#"{"id":1,"method":"tools/call","params":{"name":"read_file"},"Params":{"name":"delete_all"}}"#,
        r#"{"id":1,"method":"tools/call","params":{"name":"read_file"},"paramſ":{"name":"delete_all"}}"#,
        r#"{"id":1,"method":"tools/call","params":{"name":"read_file","Name":"delete_all"}}"#,
        r#"{"id":1,"method":"tools/call","params":{"name":"read_file","\u004eame":"delete_all"}}"#,
        r#"{"id":1,"method":"resources/read","params":{"uri":"files://a","URI":"files://secret"}}"#,
        r#"{"id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"summarise"},"Ref":{}}}"#,
        r#"{"id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"summarise","Name":"x"}}}"#,
        r#"{"id":1,"method":"subscriptions/listen","params":{"notifications":{},"Notifications":{}}}"#,
        r#"{"id":1,"method":"subscriptions/listen","params":{"notifications":{"ResourceSubscriptions":["files://secret"]}}}"#,
        r#"[{"id":1,"method":"tools/list","Method":"tools/call"}]"#,
    ] {
        assert_header_mismatch(&Call::raw(body).to(&kit.reading, Some(&token)).await, None);
    }
}

#[tokio::test]
async fn arguments_and_unread_params_may_have_names_in_any_case() {
    let kit = Kit::new();
    for body in [
        r#"{"id":1,"method":"tools/call","params":{"name":"read_file","arguments":{"name":1,"Name":2,"METHOD":3}}}"#,
        r#"{"id":1,"method":"tools/call","params":{"name":"read_file","title":1,"Title":2}}"#,
    ] {
        assert_requires(&Call::raw(body).to(&kit.reading, None).await, "mcp:read");
    }
    let list = r#"{"id":1,"method":"tools/list","params":{"Name":1,"name":2}}"#;
    Call::raw(list).to(&kit.reading, None).await.assert_pass();
}

#[tokio::test]
async fn a63_filter_as_an_array_requires_everything() {
    let kit = Kit::new();
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":[null,null,null,["files://secret"]]}}"#;

    let answer = Call::raw(body).to(&kit.reading, None).await;

    // rmcp reads the members of an object in the order of their declaration.
    let ClientJsonRpcMessage::Request(request) = serde_json::from_str(body).unwrap() else { panic!() };
    let ClientRequest::SubscriptionsListenRequest(listen) = request.request else { panic!() };
    assert_eq!(listen.params.notifications.resource_subscriptions.unwrap(), ["files://secret"]);
    assert_requires(&answer, STRICTEST);
}

#[tokio::test]
async fn a63_body_in_another_character_set_requires_everything() {
    let kit = Kit::new();
    let with_type = |value: &str| {
        Call::new("tools/call", Some("read_file")).without("content-type").header("content-type", value)
    };
    for value in [
        "application/json; charset=utf-7",
        "application/json;charset=utf-16le",
        "application/json; charset=\"utf-7\"",
        "application/json; CHARSET = cp037",
        "application/json; charset=utf-8; charset=utf-7",
        "application/json; charset*=us-ascii''utf-7",
        "application/json; charset",
    ] {
        assert_requires(&with_type(value).to(&kit.reading, None).await, STRICTEST);
    }
    for value in
        ["application/json; charset=UTF-8", "application/json ;charset=\"utf-8\"", "application/json; x=1"]
    {
        assert_requires(&with_type(value).to(&kit.reading, None).await, "mcp:read");
    }
}

#[tokio::test]
async fn a63_blanks_around_a_uri_weaken_nothing() {
    let kit = Kit::new();
    for uri in ["files://secret ", "files://secret\u{a0}"] {
        let body = json!({ "id": 1, "method": "resources/read", "params": { "uri": uri } }).to_string();

        assert_requires(&Call::raw(&body).to(&kit.reading, None).await, "mcp:admin mcp:read");
    }
    let encoded = r#"{"id":1,"method":"resources/read","params":{"uri":"files://secret%20"}}"#;
    assert_requires(&Call::raw(encoded).to(&kit.reading, None).await, "mcp:read mcp:admin");
}

// MCP 2026-07-28 requires servers to compare `Mcp-Name` for three methods only.
#[tokio::test]
async fn a48_name_of_a_subscription_in_the_header_is_not_trusted() {
    let kit = Kit::new();
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        let call = Call::new(method, Some("files://readme"));

        assert_requires(&call.to(&kit.headers_only, None).await, STRICTEST);
    }
}
