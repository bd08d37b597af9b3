use super::*;

#[tokio::test]
async fn response_has_code_state_and_issuer() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;

    let response = kit.authorize(&authorization_request(&client_id)).await;

    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    let (target, query) = redirect_target(&response);
    assert_eq!(target, REDIRECT_URI);
    assert_eq!(query["state"], "a state & more");
    assert_eq!(query["iss"], kit.server.issuer());
    assert!(query["code"].len() >= 43);
}

#[tokio::test]
async fn error_is_redirected_with_state_and_issuer() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    for (name, value, error) in [
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "too-short", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("response_type", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("scope", "mcp:read orders:read", "invalid_scope"),
        ("resource", "", "invalid_target"),
        ("resource", "http://127.0.0.1:4000/mcp/", "invalid_target"),
    ] {
        let request = replace(&authorization_request(&client_id), name, value);

        let response = kit.authorize(&request).await;

        let (target, query) = redirect_target(&response);
        assert_eq!(target, REDIRECT_URI, "{name}={value}");
        assert_eq!(query["error"], error, "{name}={value}");
        assert_eq!(query["state"], "a state & more", "{name}={value}");
        assert_eq!(query["iss"], kit.server.issuer(), "{name}={value}");
        assert!(!query.contains_key("code"), "{name}={value}");
    }
}

#[tokio::test]
async fn repeated_parameter_is_refused() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let mut request = authorization_request(&client_id);
    request.push(("state", "another state"));

    let response = kit.authorize(&request).await;

    let (_, query) = redirect_target(&response);
    assert_eq!(query["error"], "invalid_request");
    assert!(!query.contains_key("state"));
}

#[tokio::test]
async fn unregistered_redirect_uri_gets_no_redirect() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    for (name, value) in [
        ("redirect_uri", "https://attacker.example/callback"),
        ("redirect_uri", "http://127.0.0.1:7777/callback/"),
        ("redirect_uri", "http://127.0.0.1:7777/callback?more=1"),
        ("redirect_uri", "http://localhost:7777/callback"),
        ("redirect_uri", "HTTP://127.0.0.1:7777/callback"),
        ("redirect_uri", ""),
        ("client_id", "nobody"),
        ("client_id", ""),
    ] {
        let request = replace(&authorization_request(&client_id), name, value);

        let response = kit.authorize(&request).await;

        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{name}={value}");
        assert!(!response.headers().contains_key(header::LOCATION), "{name}={value}");
    }
}

#[tokio::test]
async fn repeated_redirect_uri_gets_no_redirect() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let mut request = authorization_request(&client_id);
    request.push(("redirect_uri", REDIRECT_URI));

    let response = kit.authorize(&request).await;

    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn query_of_the_redirect_uri_is_kept() {
    let kit = Kit::start().await;
    let mut metadata = public_client();
    metadata["redirect_uris"] = json!(["http://127.0.0.1:7777/callback?tenant=a"]);
    let client_id = kit.register(&metadata).await.text("client_id").to_owned();
    let request = replace(
        &authorization_request(&client_id),
        "redirect_uri",
        "http://127.0.0.1:7777/callback?tenant=a",
    );

    let response = kit.authorize(&request).await;

    let (_, query) = redirect_target(&response);
    assert_eq!(query["tenant"], "a");
    assert!(query.contains_key("code"));
}
