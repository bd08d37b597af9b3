use super::*;

#[tokio::test]
async fn unknown_client_is_refused() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let code = kit.code(&client_id).await;
    for client in ["nobody", ""] {
        let form = replace(&redemption(&client_id, &code), "client_id", client);

        let answer = kit.post("/token", &form).await;

        assert_eq!((answer.status, answer.error()), (StatusCode::UNAUTHORIZED, "invalid_client"));
        assert_eq!(answer.challenge, r#"Basic realm="authorization server""#);
    }
}

#[tokio::test]
async fn unknown_grant_type_is_refused() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let code = kit.code(&client_id).await;
    for (grant_type, error) in [
        ("client_credentials", "unsupported_grant_type"),
        ("password", "unsupported_grant_type"),
        ("", "invalid_request"),
    ] {
        let form = replace(&redemption(&client_id, &code), "grant_type", grant_type);

        let answer = kit.post("/token", &form).await;

        assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, error), "{grant_type:?}");
    }
}
