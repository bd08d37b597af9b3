use super::*;

#[tokio::test]
async fn revoking_an_access_token_does_not_revoke_its_grant() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let tokens = kit.tokens(&client_id).await;

    let form = [("client_id", client_id.as_str()), ("token", tokens.text("access_token"))];
    let answer = kit.post("/revoke", &form).await;

    assert_eq!(answer.status, StatusCode::OK);
    assert!(!kit.is_active(tokens.text("access_token"), &kit.mcp).await);
    let refreshed = kit.refresh(&client_id, tokens.text("refresh_token"), "").await;
    assert_eq!(refreshed.status, StatusCode::OK);
}

#[tokio::test]
async fn revoked_refresh_token_revokes_the_whole_grant() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let tokens = kit.tokens(&client_id).await;

    let form = [("client_id", client_id.as_str()), ("token", tokens.text("refresh_token"))];
    let answer = kit.post("/revoke", &form).await;

    assert_eq!(answer.status, StatusCode::OK);
    assert!(!kit.is_active(tokens.text("access_token"), &kit.mcp).await);
    let refreshed = kit.refresh(&client_id, tokens.text("refresh_token"), "").await;
    assert_eq!(refreshed.error(), "invalid_grant");
}

#[tokio::test]
async fn token_of_another_client_is_not_revoked() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let another_client = kit.public_client().await;
    let tokens = kit.tokens(&client_id).await;
    for token in ["access_token", "refresh_token"] {
        let form = [("client_id", another_client.as_str()), ("token", tokens.text(token))];

        let answer = kit.post("/revoke", &form).await;

        assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, "invalid_grant"), "{token}");
        assert!(kit.is_active(tokens.text("access_token"), &kit.mcp).await, "{token}");
    }
}

#[tokio::test]
async fn revoking_an_unknown_token_succeeds() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;

    let answer = kit.post("/revoke", &[("client_id", client_id.as_str()), ("token", "guessed")]).await;

    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn unknown_client_cannot_revoke() {
    let kit = Kit::start().await;

    let answer = kit.post("/revoke", &[("client_id", "nobody"), ("token", "guessed")]).await;

    assert_eq!((answer.status, answer.error()), (StatusCode::UNAUTHORIZED, "invalid_client"));
}
