//! The seven invariants for clients whose identifier is the URL of a metadata document, one test each.
//!
//! The document host and the redirect URI are on loopback, so these tests allow client identifiers there.

use std::net::IpAddr;

use super::*;

#[tokio::test]
async fn invariant_1_client_id_is_an_https_url_or_http_on_loopback() {
    let (kit, host) = start().await;
    let valid = host.publish("/client.json");
    let on_port = |url: &str| url.replace("PORT", &host.port.to_string());

    for client_id in [
        "http://client.example/client.json",
        "http://10.0.0.1/client.json",
        "http://127.0.0.1.client.example:PORT/client.json",
        "https:client.example/client.json",
        "http://127.0.0.1:PORT",
        "http://127.0.0.1:PORT/x/../client.json",
        "http://127.0.0.1:PORT/x/%2e%2e/client.json",
        "http://127.0.0.1:PORT/./client.json",
        "HTTP://127.0.0.1:PORT/client.json",
        "http://LOCALHOST:PORT/client.json",
        "http://2130706433:PORT/client.json",
        "http://0x7f.1:PORT/client.json",
        "http:\\\\127.0.0.1:PORT\\client.json",
        " http://127.0.0.1:PORT/client.json",
        "http://127.0.0.1:PORT/cli\tent.json",
        "ftp://127.0.0.1:PORT/client.json",
        "file:///etc/passwd",
    ] {
        let client_id = on_port(client_id);
        let page = kit.assert_refused(&client_id).await;
        assert!(page.contains("client_id is not"), "{client_id}: {page}");
        assert_eq!(host.connections(), 0, "{client_id}");
    }
    for client_id in [
        "http://127.0.0.1:PORT/client.json#fragment",
        "http://user@127.0.0.1:PORT/client.json",
        "http://user:password@127.0.0.1:PORT/client.json",
    ] {
        let page = kit.assert_refused(&on_port(client_id)).await;
        assert!(page.contains("client_id has a fragment"), "{client_id}: {page}");
    }
    // A URL of this server would make it send requests to itself.
    kit.assert_refused(&kit.url("/jwks")).await;
    assert_eq!(kit.server.requests("/jwks"), 0);

    let over_tls = on_port("https://127.0.0.1:PORT/client.json");
    let handshake = kit.open_raw(&over_tls);
    tokio::select! {
        _ = handshake => panic!("the host does not answer TLS"),
        () = host.arrival() => {}
    }
    // The first bytes of a TLS handshake, and no request in clear text.
    assert_eq!(host.received()[0][..2], [0x16, 0x03]);

    assert!(kit.tokens(&valid).await.body["access_token"].is_string());
}

#[tokio::test]
async fn invariant_2_document_is_fetched_with_deadline_and_size_limit() {
    let (kit, host) = start().await;
    let padded = |path: &str, len: usize| {
        let url = host.url(path);
        let document = document_host::document(&url).to_string();
        let body = format!("{document}{}", " ".repeat(len - document.len()));
        host.respond(path, "200 OK\r\nContent-Type: application/json", &body);
        url
    };
    let longest = padded("/longest.json", 5 * 1024);
    let too_long = padded("/too-long.json", 5 * 1024 + 1);
    let chunk = format!("400\r\n{}\r\n", " ".repeat(1024));
    let endless = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        chunk.repeat(10_000)
    );
    host.respond_raw("/endless.json", endless.into_bytes());

    assert!(kit.tokens(&longest).await.body["access_token"].is_string());
    kit.assert_refused(&too_long).await;
    kit.assert_refused(&host.url("/endless.json")).await;

    // The host never answers for this URL. Paused time jumps to the next deadline as soon as all tasks wait.
    let silent = host.url("/silent.json");
    tokio::time::pause();
    let start = tokio::time::Instant::now();
    kit.assert_refused(&silent).await;
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn invariant_3_internal_addresses_are_never_connected_to() {
    let kit = Kit::start().await;
    let host = DocumentHost::start().await;
    host.publish("/client.json");
    // Loopback was not allowed. A name is checked as well, when it is resolved for the connection.
    for authority in ["127.0.0.1", "localhost", "[::ffff:7f00:1]", "[::1]"] {
        kit.assert_refused(&format!("https://{authority}:{}/client.json", host.port)).await;
        kit.assert_refused(&format!("http://{authority}:{}/client.json", host.port)).await;
    }
    assert_eq!(host.connections(), 0);

    kit.server.allow_client_ids_on_loopback();
    for (status, fields) in [("302 Found", ""), ("307 Temporary Redirect", ""), ("200 OK", "\r\nRefresh: 0")]
    {
        let target = host.url("/client.json");
        host.respond("/moved.json", &format!("{status}{fields}\r\nLocation: {target}"), "");
        let before = host.connections();
        kit.assert_refused(&host.url("/moved.json")).await;
        assert_eq!(host.connections(), before + 1, "{status}: a redirect was followed");
    }

    // Allowing loopback allows nothing else.
    for address in ["10.0.0.1", "169.254.169.254", "[fd00::1]", "[fe80::1]", "0.0.0.0", "[::]", "[::a00:1]"] {
        kit.assert_refused(&format!("https://{address}/client.json")).await;
    }
    for (address, special) in [
        ("0.0.0.0", true),
        ("10.255.255.255", true),
        ("100.63.255.255", false),
        ("100.64.0.0", true),
        ("100.127.255.255", true),
        ("100.128.0.0", false),
        ("127.0.0.1", true),
        ("169.254.169.254", true),
        ("172.15.255.255", false),
        ("172.16.0.0", true),
        ("172.31.255.255", true),
        ("172.32.0.0", false),
        ("192.0.0.8", true),
        ("192.0.2.1", true),
        ("192.88.99.1", true),
        ("192.168.0.1", true),
        ("192.169.0.1", false),
        ("198.17.255.255", false),
        ("198.19.255.255", true),
        ("198.51.100.1", true),
        ("203.0.113.1", true),
        ("224.0.0.1", true),
        ("255.255.255.255", true),
        ("8.8.8.8", false),
        ("::", true),
        ("::1", true),
        ("::ffff:10.0.0.1", true),
        ("::ffff:8.8.8.8", false),
        ("64:ff9b::a00:1", true),
        ("100::1", true),
        ("2001::1", true),
        ("2001:db8::1", true),
        ("2002:a00:1::", true),
        ("3fff::1", true),
        ("fc00::1", true),
        ("fe80::1", true),
        ("ff02::1", true),
        ("2606:4700:4700::1111", false),
        ("2001:4860:4860::8888", false),
    ] {
        assert_eq!(is_special_use(address.parse::<IpAddr>().unwrap()), special, "{address}");
    }
}

#[tokio::test]
async fn invariant_4_document_must_name_its_own_url() {
    let (kit, host) = start().await;
    let valid = host.publish("/client.json");
    assert!(kit.tokens(&valid).await.body["access_token"].is_string());

    for (case, named) in [
        ("another client", json!(valid)),
        ("another port", json!("http://127.0.0.1/other.json")),
        ("another name of the host", json!(host.url("/other.json").replace("127.0.0.1", "localhost"))),
        ("another path", json!(host.url("/other.json/"))),
        ("a query", json!(host.url("/other.json?"))),
        ("another spelling", json!(host.url("/other%2Ejson"))),
        ("upper case", json!(host.url("/OTHER.json"))),
        ("an array", json!([host.url("/other.json")])),
        ("nothing", Value::Null),
    ] {
        let url = host.publish_with("/other.json", "", |document| document["client_id"] = named);
        println!("{case}");
        kit.assert_refused(&url).await;
    }

    let url = host.publish_with("/other.json", "", |_| {});
    assert!(kit.tokens(&url).await.body["access_token"].is_string());
}

#[tokio::test]
async fn invariant_5_redirect_uri_is_matched_exactly() {
    let (kit, host) = start().await;
    let url = host.publish_with("/client.json", "", |document| {
        document["redirect_uris"] =
            json!(["https://client.example/callback", "http://127.0.0.1/callback", "javascript:alert(1)"]);
    });

    for (redirect_uri, expected) in [
        ("https://client.example/callback", StatusCode::SEE_OTHER),
        ("http://127.0.0.1/callback", StatusCode::SEE_OTHER),
        // RFC 8252 section 7.3.
        ("http://127.0.0.1:51004/callback", StatusCode::SEE_OTHER),
        ("https://client.example/callback/", StatusCode::BAD_REQUEST),
        ("https://client.example/callback?a=b", StatusCode::BAD_REQUEST),
        ("https://client.example/callback#", StatusCode::BAD_REQUEST),
        ("https://client.example:443/callback", StatusCode::BAD_REQUEST),
        ("https://client.example/Callback", StatusCode::BAD_REQUEST),
        ("https://CLIENT.example/callback", StatusCode::BAD_REQUEST),
        ("https://client.example/x/../callback", StatusCode::BAD_REQUEST),
        ("https://sub.client.example/callback", StatusCode::BAD_REQUEST),
        ("https://client.example@attacker.example/callback", StatusCode::BAD_REQUEST),
        ("http://127.0.0.1:51004@attacker.example/callback", StatusCode::BAD_REQUEST),
        ("http://localhost:51004/callback", StatusCode::BAD_REQUEST),
        ("https://127.0.0.1:51004/callback", StatusCode::BAD_REQUEST),
        // Listed, but not usable.
        ("javascript:alert(1)", StatusCode::BAD_REQUEST),
        // The URL of the document is not a redirect URI.
        (url.as_str(), StatusCode::BAD_REQUEST),
    ] {
        let request = replace(&authorization_request(&url), "redirect_uri", redirect_uri);

        let response = kit.authorize(&request).await;

        assert_eq!(response.status(), expected, "{redirect_uri}");
        let location = response.headers().get(header::LOCATION).map(|value| value.to_str().unwrap());
        assert_eq!(
            location.is_some_and(|location| location.starts_with(redirect_uri)),
            expected.is_redirection()
        );
    }
}

#[tokio::test]
async fn invariant_6_document_is_cached_and_the_client_can_be_revoked() {
    let (kit, host) = start().await;
    let url = host.publish_with("/client.json", "\r\nCache-Control: max-age=600", |_| {});
    let first = kit.tokens(&url).await;
    kit.tokens(&url).await;
    assert_eq!(host.connections(), 1, "it was not cached");
    // Half of the lifetime, because the real clock moves too.
    kit.server.advance_clock(Duration::from_secs(300));
    kit.tokens(&url).await;
    assert_eq!(host.connections(), 1, "it was not cached for as long as it is fresh");
    kit.server.advance_clock(Duration::from_secs(300));
    kit.tokens(&url).await;
    assert_eq!(host.connections(), 2, "it was cached for too long");

    // A code that was not redeemed, and a page that was not answered.
    let code = kit.code(&url).await;
    let pending = kit.open(&authorization_request(&url)).await;
    kit.server.block_client(&url);

    assert!(!kit.is_active(first.text("access_token"), &kit.mcp).await);
    for (path, form) in [
        ("/token", redemption(&url, &code)),
        (
            "/token",
            vec![
                ("grant_type", "refresh_token"),
                ("client_id", &url),
                ("refresh_token", first.text("refresh_token")),
            ],
        ),
        ("/revoke", vec![("client_id", &url), ("token", "guessed")]),
    ] {
        assert_eq!(kit.post(path, &form).await.error(), "invalid_client", "{path}");
    }
    let late = kit.browser.submit(&pending, &pending.fill_in(Decision::Approve)).await.unwrap();
    assert_eq!(late.status(), StatusCode::BAD_REQUEST);
    kit.assert_refused(&url).await;
    assert_eq!(host.connections(), 2, "the document of a blocked client was fetched");

    kit.server.unblock_client(&url);
    assert_eq!(kit.post("/token", &redemption(&url, &code)).await.error(), "invalid_grant");
    let second = kit.tokens(&url).await;
    assert!(kit.is_active(second.text("access_token"), &kit.mcp).await);
    assert!(!kit.is_active(first.text("access_token"), &kit.mcp).await);
    assert_eq!(host.connections(), 3, "the document was not fetched again");

    kit.server.drop_client(&url);
    assert!(!kit.is_active(second.text("access_token"), &kit.mcp).await);
    assert_eq!(kit.refresh(&url, second.text("refresh_token"), "").await.error(), "invalid_grant");
    kit.tokens(&url).await;
    assert_eq!(host.connections(), 4, "the document was not fetched again");
}

#[tokio::test]
async fn invariant_7_consent_is_the_last_step_before_a_code() {
    let (kit, host) = start().await;
    let url = host.publish_with("/client.json", "\r\nCache-Control: no-store", |_| {});
    let request = authorization_request(&url);

    // A request alone never gives a code, even if the user is signed in or has approved before.
    for _ in 0..2 {
        let unanswered = kit.browser.open(&kit.authorization_url(&request)).await.unwrap();
        assert_eq!(unanswered.status(), StatusCode::OK);
        kit.tokens(&url).await;
    }
    let consent = kit.open(&request).await;
    let shown = format!("<strong>127.0.0.1:{}</strong>", host.port);
    assert!(consent.html.contains(&shown) && consent.html.contains("Build monitor"), "{}", consent.html);

    // After the decision, the server sends no more requests. It redirects at once.
    let before = host.connections();
    let response = kit.browser.submit(&consent, &consent.fill_in(Decision::Approve)).await.unwrap();
    let (target, query) = redirect_target(&response);
    assert_eq!((target.as_str(), query.contains_key("code")), (REDIRECT_URI, true));
    assert_eq!(host.connections(), before);

    let (_, query) = redirect_target(&kit.decide(&request, Decision::Deny).await);
    assert_eq!((query["error"].as_str(), query.contains_key("code")), ("access_denied", false));
    // Neither button was pressed.
    let consent = kit.open(&request).await;
    let mut fields = consent.fill_in(Decision::Approve);
    fields.retain(|(name, _)| name != "decision");
    let (_, query) = redirect_target(&kit.browser.submit(&consent, &fields).await.unwrap());
    assert_eq!(query["error"], "access_denied");
}
