//! What a client ID metadata document may contain, how it must be served, and how long it is used.

use super::*;

#[tokio::test]
async fn metadata_announces_support() {
    let kit = Kit::start().await;

    let document = kit.get_json("/.well-known/oauth-authorization-server").await;

    assert_eq!(document["client_id_metadata_document_supported"], true);
}

#[tokio::test]
async fn client_with_a_document_gets_tokens_without_registration() {
    let (kit, host) = start().await;
    let url = host.publish("/client.json");

    let tokens = kit.tokens(&url).await;
    let refreshed = kit.refresh(&url, tokens.text("refresh_token"), "").await;

    let (_, claims) = kit.verify(tokens.text("access_token")).await.unwrap();
    assert_eq!(claims["client_id"], url);
    assert_eq!(refreshed.status, StatusCode::OK);
    assert_eq!(kit.server.requests("/register"), 0);
}

#[tokio::test]
async fn document_with_a_secret_or_unusable_members_is_refused() {
    let (kit, host) = start().await;
    for (member, value) in [
        ("client_secret", json!("secret")),
        ("client_secret_expires_at", json!(0)),
        ("token_endpoint_auth_method", json!("client_secret_basic")),
        ("token_endpoint_auth_method", json!("client_secret_post")),
        ("token_endpoint_auth_method", json!("client_secret_jwt")),
        ("token_endpoint_auth_method", json!("private_key_jwt")),
        ("token_endpoint_auth_method", json!("None")),
        ("redirect_uris", json!([])),
        ("redirect_uris", json!("http://127.0.0.1:7777/callback")),
        ("redirect_uris", json!(["javascript:alert(1)", "http://client.example/"])),
        ("redirect_uris", Value::Null),
        ("grant_types", json!(["refresh_token"])),
        ("client_name", json!({ "en": "Build monitor" })),
    ] {
        let url = host.publish_with("/client.json", "", |document| document[member] = value.clone());
        println!("{member}: {value}");
        kit.assert_refused(&url).await;
    }
}

#[tokio::test]
async fn document_without_optional_members_is_accepted() {
    let (kit, host) = start().await;
    let url = host.publish_with("/client.json", "", |document| {
        *document = json!({ "client_id": document["client_id"], "redirect_uris": [REDIRECT_URI] });
    });

    let tokens = kit.tokens(&url).await;

    assert!(tokens.body["access_token"].is_string());
    assert!(tokens.body.get("refresh_token").is_none());
}

#[tokio::test]
async fn response_that_is_not_a_document_is_refused() {
    let (kit, host) = start().await;
    let url = host.url("/client.json");
    let valid = document_host::document(&url).to_string();
    let repeated = valid.replacen('{', &format!("{{\"client_id\":\"{url}\","), 1);
    for (head, body) in [
        ("200 OK\r\nContent-Type: text/html", valid.as_str()),
        ("200 OK\r\nContent-Type: application/jsonp", &valid),
        ("200 OK", &valid),
        ("201 Created\r\nContent-Type: application/json", &valid),
        ("203 Non-Authoritative Information\r\nContent-Type: application/json", &valid),
        ("404 Not Found\r\nContent-Type: application/json", &valid),
        ("500 Internal Server Error\r\nContent-Type: application/json", &valid),
        ("200 OK\r\nContent-Type: application/json", ""),
        ("200 OK\r\nContent-Type: application/json", "[]"),
        ("200 OK\r\nContent-Type: application/json", &valid[1..]),
        ("200 OK\r\nContent-Type: application/json", &format!("{valid}{valid}")),
        ("200 OK\r\nContent-Type: application/json", &repeated),
    ] {
        host.respond("/client.json", head, body);
        println!("{head}: {body}");
        kit.assert_refused(&url).await;
    }

    // None of them was cached.
    for media_type in
        ["application/json; charset=utf-8", "application/client-metadata+json", "Application/JSON"]
    {
        kit.server.drop_client(&url);
        host.respond("/client.json", &format!("200 OK\r\nContent-Type: {media_type}"), &valid);
        assert!(kit.tokens(&url).await.body["access_token"].is_string(), "{media_type}");
    }
}

#[tokio::test]
async fn cache_control_is_respected_within_limits() {
    let (kit, host) = start().await;
    for (fields, seconds) in [
        ("", 300),
        ("\r\nCache-Control: max-age=100", 100),
        ("\r\nCache-Control: public, MAX-AGE=100", 100),
        ("\r\nCache-Control: max-age=100\r\nCache-Control: max-age=200", 100),
        ("\r\nCache-Control: max-age=300\r\nAge: 200", 100),
        ("\r\nCache-Control: max-age=86400", 3_600),
        ("\r\nCache-Control: max-age=86400\r\nAge: 7200", 3_600),
        ("\r\nCache-Control: max-age=86400\r\nAge: 86400", 0),
        ("\r\nCache-Control: max-age=soon", 0),
        ("\r\nCache-Control: max-age=0", 0),
        ("\r\nCache-Control: no-store", 0),
        ("\r\nCache-Control: no-cache, max-age=100", 0),
    ] {
        let url = host.publish_with("/client.json", fields, |_| {});
        let request = authorization_request(&url);
        // The real clock moves too, so there is nothing to see right before the end.
        let half = Duration::from_secs(seconds / 2);
        let before = host.connections();
        kit.open(&request).await;
        if seconds > 0 {
            kit.server.advance_clock(half);
            kit.open(&request).await;
            assert_eq!(host.connections(), before + 1, "{fields:?}");
            kit.server.advance_clock(half);
        }
        kit.open(&request).await;
        assert_eq!(host.connections(), before + 2, "{fields:?}");
        kit.server.drop_client(&url);
    }
}

#[tokio::test]
async fn cache_of_documents_is_bounded() {
    let (kit, host) = start().await;
    let urls: Vec<_> = (0..65).map(|number| host.publish(&format!("/{number}.json"))).collect();
    for url in &urls {
        kit.open(&authorization_request(url)).await;
    }
    assert_eq!(host.connections(), 65);

    for url in &urls {
        kit.open(&authorization_request(url)).await;
    }

    assert!(host.connections() > 65);
}

#[tokio::test]
async fn token_and_revocation_endpoints_fetch_nothing() {
    let (kit, host) = start().await;
    let url = host.publish("/client.json");

    let token = kit.post("/token", &redemption(&url, "guessed")).await;
    let revocation = kit.post("/revoke", &[("client_id", &url), ("token", "guessed")]).await;

    assert_eq!((token.error(), revocation.status), ("invalid_grant", StatusCode::OK));
    assert_eq!(host.connections(), 0);
}

#[tokio::test]
async fn nothing_in_a_document_is_fetched() {
    let (kit, host) = start().await;
    let url = host.publish_with("/client.json", "", |document| {
        for member in ["logo_uri", "client_uri", "policy_uri", "tos_uri", "jwks_uri", "sector_identifier_uri"]
        {
            document[member] = json!(host.url("/other"));
        }
    });

    kit.tokens(&url).await;

    assert_eq!(host.connections(), 1);
}

#[tokio::test]
async fn registered_client_can_be_blocked_and_dropped() {
    let kit = Kit::start().await;
    for drop in [false, true] {
        let client_id = kit.public_client().await;
        let tokens = kit.tokens(&client_id).await;

        if drop {
            kit.server.drop_client(&client_id);
        } else {
            kit.server.block_client(&client_id);
        }

        assert!(!kit.is_active(tokens.text("access_token"), &kit.mcp).await);
        let refreshed = kit.refresh(&client_id, tokens.text("refresh_token"), "").await;
        assert_eq!((refreshed.status, refreshed.error()), (StatusCode::UNAUTHORIZED, "invalid_client"));
        kit.assert_refused(&client_id).await;
    }
}
