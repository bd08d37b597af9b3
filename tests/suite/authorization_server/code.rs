use super::*;

#[tokio::test]
async fn code_with_its_verifier_is_exchanged_for_a_signed_token() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let code = kit.code(&client_id).await;

    let answer = kit.post("/token", &redemption(&client_id, &code)).await;

    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.cache_control, "no-store");
    assert_eq!(answer.body["token_type"], "Bearer");
    assert_eq!(answer.body["expires_in"], 3_600);
    assert_eq!(answer.body["scope"], "mcp:read");
    let (token_type, claims) = kit.verify(answer.text("access_token")).await.unwrap();
    assert_eq!(token_type.as_deref(), Some("at+jwt"));
    assert_eq!(claims["iss"], kit.server.issuer());
    assert_eq!(claims["sub"], USER);
    assert_eq!(claims["aud"], MCP);
    assert_eq!(claims["scope"], "mcp:read");
    assert_eq!(claims["client_id"], client_id);
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3_600);
    assert!(claims["jti"].is_string());
}

#[tokio::test]
async fn request_without_scope_gets_all_scopes_of_the_resource() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let request = replace(&authorization_request(&client_id), "scope", "");
    let code = redirect_target(&kit.authorize(&request).await).1["code"].clone();

    let answer = kit.post("/token", &redemption(&client_id, &code)).await;

    assert_eq!(answer.body["scope"], "mcp:read mcp:write");
}

#[tokio::test]
async fn redemption_that_differs_from_the_request_is_refused() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let another_client = kit.public_client().await;
    let another_verifier = VERIFIER.replace('d', "e");
    for (name, value, error) in [
        ("code_verifier", another_verifier.as_str(), "invalid_grant"),
        ("code_verifier", "too-short", "invalid_grant"),
        ("code_verifier", "", "invalid_request"),
        ("redirect_uri", "http://127.0.0.1:7777/", "invalid_grant"),
        ("redirect_uri", "", "invalid_request"),
        ("resource", ORDERS, "invalid_target"),
        ("client_id", another_client.as_str(), "invalid_grant"),
        ("code", "guessed", "invalid_grant"),
        ("code", "", "invalid_request"),
    ] {
        let code = kit.code(&client_id).await;
        let form = replace(&redemption(&client_id, &code), name, value);

        let answer = kit.post("/token", &form).await;

        assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, error), "{name}={value}");
        assert_eq!(answer.cache_control, "no-store");
    }
}

#[tokio::test]
async fn reused_code_is_refused_and_its_tokens_are_revoked() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let code = kit.code(&client_id).await;
    let tokens = kit.post("/token", &redemption(&client_id, &code)).await;
    assert!(kit.is_active(tokens.text("access_token"), &kit.mcp).await);

    let answer = kit.post("/token", &redemption(&client_id, &code)).await;

    assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, "invalid_grant"));
    assert!(!kit.is_active(tokens.text("access_token"), &kit.mcp).await);
    let refreshing = kit.refresh(&client_id, tokens.text("refresh_token"), "").await;
    assert_eq!(refreshing.error(), "invalid_grant");
}

#[tokio::test]
async fn wrong_verifier_invalidates_the_code() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let code = kit.code(&client_id).await;
    let form = redemption(&client_id, &code);
    kit.post("/token", &replace(&form, "code_verifier", &VERIFIER.replace('d', "e"))).await;

    let answer = kit.post("/token", &form).await;

    assert_eq!(answer.error(), "invalid_grant");
}

#[tokio::test]
async fn code_is_refused_after_a_minute() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let code = kit.code(&client_id).await;
    kit.server.advance_clock(Duration::from_secs(60));

    let answer = kit.post("/token", &redemption(&client_id, &code)).await;

    assert_eq!(answer.error(), "invalid_grant");
}
