//! Which redirect URIs a request may use (RFC 9700 section 2.1, RFC 8252 section 7.3).

use super::*;

#[tokio::test]
async fn port_of_a_loopback_redirect_uri_may_differ() {
    let kit = Kit::start().await;
    for (registered, requested) in [
        ("http://127.0.0.1/callback", "http://127.0.0.1:51004/callback"),
        ("http://127.0.0.1:7777/callback", "http://127.0.0.1:51004/callback"),
        ("http://127.0.0.1:7777/callback", "http://127.0.0.1/callback"),
        ("http://127.0.0.1/callback?tenant=a", "http://127.0.0.1:51004/callback?tenant=a"),
        ("http://[::1]/callback", "http://[::1]:51004/callback"),
        ("http://localhost/callback", "http://localhost:51004/callback"),
        ("http://127.0.0.1", "http://127.0.0.1:51004"),
    ] {
        let response = request_with(&kit, registered, requested).await;

        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{registered} {requested}");
        let location = response.headers()[header::LOCATION].to_str().unwrap();
        assert!(location.starts_with(requested), "{requested}: {location}");
    }
}

#[tokio::test]
async fn everything_else_in_a_redirect_uri_is_compared_exactly() {
    let kit = Kit::start().await;
    for (registered, requested) in [
        ("http://127.0.0.1/callback", "http://127.0.0.1:51004/"),
        ("http://127.0.0.1/callback", "http://127.0.0.1:51004/callback/"),
        ("http://127.0.0.1/callback", "http://127.0.0.1:51004/callback?more=1"),
        ("http://127.0.0.1/callback", "http://127.0.0.1:51004/Callback"),
        ("http://127.0.0.1/callback", "http://127.0.0.1:51004/x/../callback"),
        ("http://127.0.0.1/callback", "https://127.0.0.1:51004/callback"),
        ("http://127.0.0.1/callback", "http://localhost:51004/callback"),
        ("http://127.0.0.1/callback", "http://127.0.0.2:51004/callback"),
        ("http://127.0.0.1/callback", "http://[::1]:51004/callback"),
        ("http://127.0.0.1/callback", "http://127.0.0.1:99999/callback"),
        ("http://127.0.0.1/callback", "http://127.0.0.1:/callback"),
        ("http://127.0.0.1/callback", "http://127.0.0.1:80@attacker.example/callback"),
        ("http://127.0.0.1@localhost/callback", "http://127.0.0.1:80@localhost/callback"),
        ("http://127.0.0.1/callback", "http://user@127.0.0.1:51004/callback"),
        ("http://127.0.0.1/callback", "http://127.0.0.1.attacker.example/callback"),
        ("http://127.0.0.1/callback", "http://127.0.0.1:51004\\@attacker.example/callback"),
        ("http://localhost/callback", "http://localhost.attacker.example:51004/callback"),
        ("https://client.example/callback", "https://client.example:8443/callback"),
        ("https://client.example/callback", "https://client.example:443/callback"),
        ("https://client.example/callback", "https://CLIENT.example/callback"),
    ] {
        let response = request_with(&kit, registered, requested).await;

        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{registered} {requested}");
        assert!(!response.headers().contains_key(header::LOCATION), "{registered} {requested}");
    }
}

#[tokio::test]
async fn token_request_must_repeat_the_port_of_the_authorization_request() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let used = "http://127.0.0.1:51004/callback";
    let request = replace(&authorization_request(&client_id), "redirect_uri", used);
    let code = redirect_target(&kit.authorize(&request).await).1["code"].clone();

    let answer = kit.post("/token", &redemption(&client_id, &code)).await;

    assert_eq!(answer.error(), "invalid_grant");
}

async fn request_with(kit: &Kit, registered: &str, requested: &str) -> reqwest::Response {
    let mut metadata = public_client();
    metadata["redirect_uris"] = json!([registered]);
    let client_id = kit.register(&metadata).await.text("client_id").to_owned();
    kit.authorize(&replace(&authorization_request(&client_id), "redirect_uri", requested)).await
}
