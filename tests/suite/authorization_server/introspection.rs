use super::*;

#[tokio::test]
async fn active_token_is_returned_with_its_claims() {
    let kit = Kit::start().await;
    let token = kit.server.mint(Minting { resource: ORDERS, scope: "orders:read", ..Minting::default() });

    let answer = kit.introspect(&token, &kit.orders).await;

    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.cache_control, "no-store");
    assert_eq!(answer.body["active"], true);
    assert_eq!(answer.body["token_type"], "Bearer");
    assert_eq!(answer.body["iss"], kit.server.issuer());
    assert_eq!(answer.body["sub"], USER);
    assert_eq!(answer.body["aud"], ORDERS);
    assert_eq!(answer.body["scope"], "orders:read");
    assert_eq!(answer.body["exp"].as_u64().unwrap() - answer.body["iat"].as_u64().unwrap(), 3_600);
}

#[tokio::test]
async fn introspection_without_a_valid_resource_server_credential_is_refused() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let token = kit.server.mint(Minting { resource: ORDERS, ..Minting::default() });
    let (id, secret) = (kit.orders.id.as_str(), kit.orders.secret.expose());
    let request = || kit.http.post(kit.url("/introspect")).form(&[("token", token.as_str())]);
    for (case, request) in [
        ("no credential", request()),
        ("wrong secret", request().basic_auth(id, Some("guess"))),
        ("empty secret", request().basic_auth(id, Some(""))),
        ("secret of another resource server", request().basic_auth(&kit.mcp.id, Some(secret))),
        ("a client", request().basic_auth(&client_id, Some(""))),
        ("another scheme", request().bearer_auth(secret)),
        ("not base64", request().header(header::AUTHORIZATION, "Basic ???")),
    ] {
        let answer = Answer::of(request.send().await.unwrap()).await;

        assert_eq!((answer.status, answer.error()), (StatusCode::UNAUTHORIZED, "invalid_client"), "{case}");
        assert_eq!(answer.challenge, r#"Basic realm="authorization server""#, "{case}");
    }
}

#[tokio::test]
async fn token_that_is_not_valid_for_the_resource_is_inactive() {
    let kit = Kit::start().await;
    let hour = Duration::from_secs(3_600);
    let mint = |minting| kit.server.mint(minting);
    let revoked = mint(Minting { resource: ORDERS, ..Minting::default() });
    kit.server.revoke(&revoked);
    for (case, token) in [
        ("for another resource", mint(Minting { resource: MCP, ..Minting::default() })),
        ("expired", mint(Minting { resource: ORDERS, lifetime: hour, age: hour, ..Minting::default() })),
        ("revoked", revoked),
        ("unknown", "guessed".to_owned()),
    ] {
        let answer = kit.introspect(&token, &kit.orders).await;

        assert_eq!((answer.status, answer.body), (StatusCode::OK, json!({ "active": false })), "{case}");
    }
}

#[tokio::test]
async fn request_without_token_is_refused() {
    let kit = Kit::start().await;

    let answer = kit.introspect("", &kit.orders).await;

    assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, "invalid_request"));
}

#[tokio::test]
async fn credential_is_replaced_when_the_resource_is_added_again() {
    let kit = Kit::start().await;
    let token = kit.server.mint(Minting { resource: ORDERS, ..Minting::default() });

    let credential = kit.server.add_resource(ORDERS, TokenFormat::Opaque, &["orders:read"]);

    assert_eq!(kit.introspect(&token, &kit.orders).await.status, StatusCode::UNAUTHORIZED);
    assert!(kit.is_active(&token, &credential).await);
}
