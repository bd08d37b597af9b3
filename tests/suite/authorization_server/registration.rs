use super::*;

#[tokio::test]
async fn every_client_is_registered_as_public() {
    let kit = Kit::start().await;
    for requested in [json!("none"), json!("client_secret_basic"), json!("private_key_jwt"), Value::Null] {
        let mut metadata = public_client();
        metadata["token_endpoint_auth_method"] = requested;

        let answer = kit.register(&metadata).await;

        assert_eq!(answer.status, StatusCode::CREATED, "{metadata}");
        assert_eq!(answer.body["token_endpoint_auth_method"], "none", "{metadata}");
        assert!(answer.body.get("client_secret").is_none(), "{metadata}");
        assert_eq!(answer.cache_control, "no-store");
    }
}

#[tokio::test]
async fn registered_metadata_is_returned() {
    let kit = Kit::start().await;

    let answer = kit.register(&json!({ "redirect_uris": [REDIRECT_URI] })).await;

    assert_eq!(answer.body["redirect_uris"], json!([REDIRECT_URI]));
    assert_eq!(answer.body["grant_types"], json!(["authorization_code"]));
    assert_eq!(answer.body["response_types"], json!(["code"]));
}

#[tokio::test]
async fn unusable_metadata_is_refused() {
    let kit = Kit::start().await;
    for (member, value, error) in [
        ("redirect_uris", json!([]), "invalid_redirect_uri"),
        ("redirect_uris", json!(["/callback"]), "invalid_redirect_uri"),
        ("redirect_uris", json!(["https://client.example/#fragment"]), "invalid_redirect_uri"),
        ("redirect_uris", json!(["http://client.example/"]), "invalid_redirect_uri"),
        ("redirect_uris", json!(["javascript:alert(1)"]), "invalid_redirect_uri"),
        ("redirect_uris", json!("https://client.example/"), "invalid_client_metadata"),
        ("grant_types", json!(["password"]), "invalid_client_metadata"),
        ("grant_types", json!(["client_credentials"]), "invalid_client_metadata"),
        ("grant_types", json!(["refresh_token"]), "invalid_client_metadata"),
    ] {
        let mut metadata = public_client();
        metadata[member] = value;

        let answer = kit.register(&metadata).await;

        assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, error), "{metadata}");
    }
}
