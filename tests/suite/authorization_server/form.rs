use super::*;

#[tokio::test]
async fn get_is_not_allowed() {
    let kit = Kit::start().await;
    for path in ["/token", "/introspect", "/revoke", "/register"] {
        let response = kit.http.get(kit.url(path)).send().await.unwrap();

        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
}

#[tokio::test]
async fn body_that_is_not_a_form_is_refused() {
    let kit = Kit::start().await;
    for path in ["/token", "/introspect", "/revoke"] {
        let request = kit.http.post(kit.url(path)).json(&json!({ "token": "a" }));
        let answer = Answer::of(request.send().await.unwrap()).await;

        assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, "invalid_request"), "{path}");
    }
}

#[tokio::test]
async fn repeated_parameter_is_refused() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let code = kit.code(&client_id).await;
    let mut form = redemption(&client_id, &code);
    form.push(("grant_type", "authorization_code"));

    let answer = kit.post("/token", &form).await;

    assert_eq!(answer.error(), "invalid_request");
}

#[tokio::test]
async fn body_longer_than_the_limit_is_refused() {
    let kit = Kit::start().await;
    let long = "a".repeat(16 * 1024);

    let answer = kit.post("/token", &[("grant_type", &long)]).await;

    assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, "invalid_request"));
}
