use super::*;

#[tokio::test]
async fn refreshing_returns_new_tokens() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let tokens = kit.tokens(&client_id).await;

    let answer = kit.refresh(&client_id, tokens.text("refresh_token"), "").await;

    assert_eq!(answer.status, StatusCode::OK);
    assert_ne!(answer.text("access_token"), tokens.text("access_token"));
    assert_ne!(answer.text("refresh_token"), tokens.text("refresh_token"));
    assert!(kit.is_active(answer.text("access_token"), &kit.mcp).await);
}

#[tokio::test]
async fn reused_refresh_token_revokes_the_whole_grant() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let tokens = kit.tokens(&client_id).await;
    let refreshed = kit.refresh(&client_id, tokens.text("refresh_token"), "").await;

    let answer = kit.refresh(&client_id, tokens.text("refresh_token"), "").await;

    assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, "invalid_grant"));
    assert!(!kit.is_active(refreshed.text("access_token"), &kit.mcp).await);
    let successor = kit.refresh(&client_id, refreshed.text("refresh_token"), "").await;
    assert_eq!(successor.error(), "invalid_grant");
}

#[tokio::test]
async fn scope_can_be_narrowed_for_one_token() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let tokens = kit.tokens_with_scope(&client_id, "mcp:read mcp:write").await;

    let narrowed = kit.refresh(&client_id, tokens.text("refresh_token"), "mcp:read").await;
    let full = kit.refresh(&client_id, narrowed.text("refresh_token"), "").await;

    assert_eq!(narrowed.body["scope"], "mcp:read");
    assert_eq!(full.body["scope"], "mcp:read mcp:write");
}

#[tokio::test]
async fn refresh_with_more_scope_is_refused_and_the_refresh_token_stays_valid() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let tokens = kit.tokens(&client_id).await;

    let answer = kit.refresh(&client_id, tokens.text("refresh_token"), "mcp:read mcp:write").await;

    assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, "invalid_scope"));
    let retry = kit.refresh(&client_id, tokens.text("refresh_token"), "mcp:read").await;
    assert_eq!(retry.status, StatusCode::OK);
}

#[tokio::test]
async fn refresh_token_of_another_client_is_refused() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let another_client = kit.public_client().await;
    let tokens = kit.tokens(&client_id).await;

    let answer = kit.refresh(&another_client, tokens.text("refresh_token"), "").await;

    assert_eq!(answer.error(), "invalid_grant");
}

#[tokio::test]
async fn refresh_token_is_refused_after_a_day() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let tokens = kit.tokens(&client_id).await;
    kit.server.advance_clock(Duration::from_secs(24 * 3_600));

    let answer = kit.refresh(&client_id, tokens.text("refresh_token"), "").await;

    assert_eq!(answer.error(), "invalid_grant");
}

#[tokio::test]
async fn client_without_the_refresh_grant_type_gets_no_refresh_token() {
    let kit = Kit::start().await;
    let mut metadata = public_client();
    metadata["grant_types"] = json!(["authorization_code"]);
    let client_id = kit.register(&metadata).await.text("client_id").to_owned();

    let tokens = kit.tokens(&client_id).await;

    assert!(tokens.body.get("refresh_token").is_none());
}
