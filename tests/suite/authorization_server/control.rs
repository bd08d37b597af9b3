use super::*;

#[tokio::test]
async fn minted_token_has_the_requested_claims() {
    let kit = Kit::start().await;

    let token = kit.server.mint(Minting {
        subject: "bob",
        resource: "https://elsewhere.example",
        scope: "anything",
        claims: BTreeMap::from([("cnf", json!({ "jkt": "a thumbprint" })), ("jti", Value::Null)]),
        ..Minting::default()
    });

    let (_, claims) = kit.verify(&token).await.unwrap();
    assert_eq!(claims["sub"], "bob");
    assert_eq!(claims["aud"], "https://elsewhere.example");
    assert_eq!(claims["scope"], "anything");
    assert_eq!(claims["cnf"]["jkt"], "a thumbprint");
    assert!(claims.get("jti").is_none());
}

#[tokio::test]
async fn stopped_server_is_unreachable_and_keeps_its_state() {
    let kit = Kit::start().await;
    let token = kit.server.mint(Minting { resource: ORDERS, ..Minting::default() });
    // This leaves a connection in the client's pool, which the outage must close as well.
    assert!(kit.is_active(&token, &kit.orders).await);

    kit.server.stop().await;
    let outage = kit.http.get(kit.url("/jwks")).send().await;
    kit.server.start_again().await.unwrap();

    assert!(outage.unwrap_err().is_connect());
    assert!(kit.is_active(&token, &kit.orders).await);
}

#[tokio::test]
async fn running_server_cannot_be_started_again() {
    let kit = Kit::start().await;

    assert!(kit.server.start_again().await.is_err());

    assert!(kit.get_json("/jwks").await.is_object());
}

#[tokio::test]
async fn requests_are_counted_by_endpoint() {
    let kit = Kit::start().await;
    kit.introspect("guessed", &kit.orders).await;
    kit.introspect("guessed", &kit.orders).await;
    kit.get_json("/jwks").await;
    kit.http.get(kit.url("/nowhere")).send().await.unwrap();

    let counts = ["/introspect", "/jwks", "/token", "/nowhere"].map(|path| kit.server.requests(path));

    assert_eq!(counts, [2, 1, 0, 0]);
}

#[tokio::test]
async fn secret_is_not_in_debug() {
    let kit = Kit::start().await;

    let shown = format!("{:?} {:?}", kit.orders, kit.server);

    assert!(shown.contains("[redacted]"));
    assert!(!shown.contains(kit.orders.secret.expose()));
}
