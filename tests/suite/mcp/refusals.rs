//! Requests that do not reach the MCP server.

use super::*;

#[tokio::test]
async fn rmcp_04_every_request_of_a_session_needs_a_token() {
    let kit = Kit::start().await;
    let reader = kit.mint(kit.reading());
    let session = kit.open_session(&reader).await;
    let expired = kit.mint(Minting { age: Duration::from_secs(7_200), ..kit.reading() });

    for (token, challenge) in [(None, kit.no_credentials()), (Some(&expired), kit.invalid_token())] {
        let token = token.map(String::as_str);
        for request in [
            kit.message(Some(&session), token, LIST_JOBS),
            kit.message(Some(&session), token, INITIALIZED),
            kit.request(Method::GET, Some(&session), token),
            kit.request(Method::DELETE, Some(&session), token),
        ] {
            let response = request.send().await.unwrap();

            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            assert_eq!(challenge_of(&response), challenge);
        }
    }

    // The refused requests did not reach the session, so it still exists.
    let answer = kit.post(Some(&session), Some(&reader), LIST_JOBS).await.text().await.unwrap();
    assert!(answer.contains(r#""listed_for":"alice""#), "{answer}");
}

#[tokio::test]
async fn rmcp_05_token_for_another_audience_is_refused() {
    let kit = Kit::start().await;
    for audience in [
        json!("https://elsewhere.example/mcp"),
        json!(["https://elsewhere.example/mcp", kit.authority.issuer()]),
        json!(kit.origin()),
        json!(format!("{}/more", kit.resource)),
        json!([]),
        Value::Null,
    ] {
        let token = kit.mint(Minting { claims: [("aud", audience.clone())].into(), ..kit.reading() });

        let response = kit.post(None, Some(&token), INITIALIZE).await;

        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{audience}");
        assert_eq!(challenge_of(&response), kit.invalid_token(), "{audience}");
    }
    let audience = json!(["https://elsewhere.example/mcp", kit.resource]);
    let token = kit.mint(Minting { claims: [("aud", audience)].into(), ..kit.reading() });

    let response = kit.post(None, Some(&token), INITIALIZE).await;

    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn rmcp_07_invalid_token_is_refused() {
    let kit = Kit::start().await;
    let valid = kit.mint(kit.reading());
    let (head, signature) = valid.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    let other_server = AuthorizationServer::start().await.unwrap();
    for token in [
        kit.mint(Minting { age: Duration::from_secs(7_200), ..kit.reading() }),
        other_server.mint(kit.reading()),
        other_server
            .mint(Minting { claims: [("iss", json!(kit.authority.issuer()))].into(), ..kit.reading() }),
        forged,
        "neither-jwt-nor-known".to_owned(),
    ] {
        let response = kit.post(None, Some(&token), INITIALIZE).await;

        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{token}");
        assert_eq!(challenge_of(&response), kit.invalid_token(), "{token}");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store", "{token}");
    }
}

#[tokio::test]
async fn rmcp_08_missing_scope_is_forbidden() {
    let kit = Kit::start().await;
    let token = kit.mint(Minting { scope: "profile mcp:reader", ..kit.reading() });

    let response = kit.post(None, Some(&token), INITIALIZE).await;

    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(challenge_of(&response), kit.insufficient_scope("mcp:read"));
}

#[tokio::test]
async fn rmcp_08_client_finds_the_required_scope_in_the_challenge() {
    let kit = Kit::start().await;
    let token = kit.mint(Minting { scope: "profile", ..kit.reading() });

    let error = connect(&kit.resource, Some(&token)).await.unwrap_err();

    match transport_error(&*error) {
        StreamableHttpError::InsufficientScope(error) => {
            assert_eq!(error.get_required_scope(), Some("mcp:read"));
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn rmcp_09_challenge_names_all_required_scopes() {
    let kit = Kit::serving(|resource_server, jenkins| {
        let guard = ServiceBuilder::new().layer(resource_server.require_scopes([READ, WRITE]));
        Router::new().nest_service("/mcp", guard.service(mcp_service(jenkins.into())))
    })
    .await;
    for scope in ["", "mcp:read", "mcp:write"] {
        let token = kit.mint(Minting { scope, ..kit.reading() });

        let response = kit.post(None, Some(&token), INITIALIZE).await;

        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{scope:?}");
        assert_eq!(challenge_of(&response), kit.insufficient_scope("mcp:read mcp:write"), "{scope:?}");
    }
}

#[tokio::test]
async fn rmcp_12_malformed_authorization_is_400() {
    let kit = Kit::start().await;
    let token = kit.mint(kit.reading());
    let valid = format!("Bearer {token}");
    for fields in [
        vec!["Bearer"],
        vec!["Bearer two words"],
        vec!["Bearer \"quoted\""],
        vec![&*valid, "Bearer other"],
        vec![&*valid, &*valid],
    ] {
        let mut request = kit.message(None, None, INITIALIZE);
        for field in &fields {
            request = request.header(header::AUTHORIZATION, *field);
        }

        let response = request.send().await.unwrap();

        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{fields:?}");
        assert_eq!(
            challenge_of(&response),
            format!(
                "Bearer error=\"invalid_request\", error_description=\"Exactly one authorization header is \
                 expected: Bearer, a space and the token\", scope=\"mcp:read\", resource_metadata=\"{}\"",
                kit.metadata_url()
            ),
            "{fields:?}"
        );
    }
}

#[tokio::test]
async fn rmcp_13_token_in_the_query_is_not_a_credential() {
    let kit = Kit::start().await;
    let token = kit.mint(kit.reading());

    let request = kit.message(None, None, INITIALIZE).query(&[("access_token", &token)]);
    let response = request.send().await.unwrap();

    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(challenge_of(&response), kit.no_credentials());
}

#[tokio::test]
async fn outage_is_503_without_a_challenge() {
    let kit = Kit::start().await;
    let token = kit.mint(kit.reading());
    kit.authority.stop().await;

    let error = connect(&kit.resource, Some(&token)).await.unwrap_err();
    let response = kit.post(None, Some(&token), INITIALIZE).await;

    // The client keeps its token and gets the time to retry.
    match transport_error(&*error) {
        StreamableHttpError::HttpStatus(error) => {
            assert_eq!(error.status, 503);
            assert!(error.retry_after.as_ref().unwrap().parse::<u32>().unwrap() >= 1);
        }
        other => panic!("{other}"),
    }
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!response.headers().contains_key(header::WWW_AUTHENTICATE));
}
