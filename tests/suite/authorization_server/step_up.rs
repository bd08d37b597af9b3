//! What a client may require of the sign-in (RFC 9470), and more scope for a client that has a token.

use super::*;

#[tokio::test]
async fn token_and_introspection_say_how_and_when_the_user_signed_in() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;

    let tokens = kit.tokens(&client_id).await;
    let refreshed = kit.refresh(&client_id, tokens.text("refresh_token"), "").await;

    let (_, claims) = kit.verify(tokens.text("access_token")).await.unwrap();
    assert_eq!(claims["acr"], ACR_PASSWORD);
    assert!(claims["auth_time"].as_u64().unwrap() <= claims["iat"].as_u64().unwrap());
    for token in [&tokens, &refreshed] {
        let answer = kit.introspect(token.text("access_token"), &kit.mcp).await;
        assert_eq!((&answer.body["acr"], &answer.body["auth_time"]), (&claims["acr"], &claims["auth_time"]));
    }
}

#[tokio::test]
async fn requested_acr_makes_the_user_sign_in_with_a_code() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    assert_eq!(claims(&kit, &client_id, &[]).await["acr"], ACR_PASSWORD);

    let stepped_up = claims(&kit, &client_id, &[("acr_values", ACR_PASSWORD_AND_CODE)]).await;
    let afterwards = claims(&kit, &client_id, &[]).await;
    let weaker = claims(&kit, &client_id, &[("acr_values", ACR_PASSWORD)]).await;

    assert_eq!(stepped_up["acr"], ACR_PASSWORD_AND_CODE);
    // The session is as strong as the last sign-in, and also counts as a weaker one.
    assert_eq!(afterwards["acr"], ACR_PASSWORD_AND_CODE);
    assert_eq!(weaker["acr"], ACR_PASSWORD);
}

#[tokio::test]
async fn first_supported_acr_value_is_used() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let values = format!("urn:example:unknown {ACR_PASSWORD_AND_CODE} {ACR_PASSWORD}");

    assert_eq!(claims(&kit, &client_id, &[("acr_values", &values)]).await["acr"], ACR_PASSWORD_AND_CODE);
}

#[tokio::test]
async fn sign_in_without_the_code_does_not_reach_the_requested_acr() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let request = [authorization_request(&client_id), vec![("acr_values", ACR_PASSWORD_AND_CODE)]].concat();
    for code in ["000000", ""] {
        let login = kit.open(&request).await;
        let mut fields = login.fill_in(Decision::Approve);
        fields.iter_mut().find(|(name, _)| name == "code").unwrap().1 = code.to_owned();

        let response = kit.browser.submit(&login, &fields).await.unwrap();

        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{code:?}");
    }
}

#[tokio::test]
async fn unsupported_acr_values_and_malformed_max_age_are_refused() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    for (name, value, error) in [
        ("acr_values", "urn:example:unknown", "unmet_authentication_requirements"),
        ("acr_values", "urn:example:PASSWORD", "unmet_authentication_requirements"),
        ("max_age", "soon", "invalid_request"),
        ("max_age", "-1", "invalid_request"),
        ("max_age", "+1", "invalid_request"),
        ("max_age", "99999999999999999999", "invalid_request"),
    ] {
        let request = [authorization_request(&client_id), vec![(name, value)]].concat();

        let (_, query) = redirect_target(&kit.authorize(&request).await);

        assert_eq!(query["error"], error, "{name}={value}");
    }
}

#[tokio::test]
async fn sign_in_older_than_max_age_is_repeated() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let first = claims(&kit, &client_id, &[]).await["auth_time"].as_u64().unwrap();
    kit.server.advance_clock(Duration::from_secs(600));

    let recent_enough = claims(&kit, &client_id, &[("max_age", "3000")]).await["auth_time"].as_u64().unwrap();
    let repeated = claims(&kit, &client_id, &[("max_age", "300")]).await["auth_time"].as_u64().unwrap();

    assert_eq!(recent_enough, first);
    assert!(repeated >= first + 600, "{first} {repeated}");
}

#[tokio::test]
async fn max_age_zero_always_asks_for_the_password() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    kit.authorize(&authorization_request(&client_id)).await;

    let page = kit.open(&[authorization_request(&client_id), vec![("max_age", "0")]].concat()).await;
    let response = kit.authorize(&[authorization_request(&client_id), vec![("max_age", "0")]].concat()).await;

    assert!(page.html.contains("name=\"password\""), "{}", page.html);
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn client_gets_more_scope_by_asking_again() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let first = kit.tokens_with_scope(&client_id, "mcp:read").await;

    let second = kit.tokens_with_scope(&client_id, "mcp:read mcp:write").await;

    assert_eq!(
        (&first.body["scope"], &second.body["scope"]),
        (&json!("mcp:read"), &json!("mcp:read mcp:write"))
    );
    assert!(kit.is_active(first.text("access_token"), &kit.mcp).await);
    assert!(kit.is_active(second.text("access_token"), &kit.mcp).await);
}

/// The claims of a token that was requested with these parameters in addition.
async fn claims(kit: &Kit, client_id: &str, more: &[(&'static str, &str)]) -> Value {
    let request = [authorization_request(client_id), more.to_vec()].concat();
    let code = redirect_target(&kit.authorize(&request).await).1["code"].clone();
    let tokens = kit.post("/token", &redemption(client_id, &code)).await;
    kit.verify(tokens.text("access_token")).await.unwrap().1
}
