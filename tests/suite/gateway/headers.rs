//! Heads of requests and responses.

use serde_json::json;

use super::*;

#[tokio::test]
async fn a44_backend_gets_the_claims_and_not_the_token() {
    let kit = Kit::start().await;

    let (head, response) = kit.through(&kit.get("/job/app/?x=%2F", "Connection: close\r\n")).await;

    assert!(response.starts_with("HTTP/1.1 200 ") && response.ends_with("\r\nok"), "{response}");
    assert!(head.starts_with("GET /job/app/?x=%2F HTTP/1.1\r\n"), "{head}");
    assert!(!head.contains(&kit.token), "{head}");
    assert!(values(&head, "authorization").is_empty(), "{head}");
    assert_eq!(values(&head, "x-forwarded-user"), ["alice"]);
    assert_eq!(values(&head, "x-forwarded-scope"), ["mcp:write"]);
}

#[tokio::test]
async fn reserved_headers_are_replaced() {
    let kit = Kit::start().await;
    let own = kit.url.trim_start_matches("http://");
    for name in [
        "X-Forwarded-User",
        "x_forwarded_user",
        "X-Forwarded_User",
        "X.Forwarded.User",
        "X-Forwarded-Groups",
        "X-Forwarded-For",
        "X_Forwarded_For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Prefix",
        "Forwarded",
        "X-Real-IP",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
        "X_HTTP_Method_Override",
        "Client-Cert",
        "DPoP",
        "Proxy-Authorization",
        "Proxy",
    ] {
        for connection in ["close", &format!("close, {name}")] {
            let forged = format!("{name}: forged\r\n{name}: forged-too\r\nConnection: {connection}\r\n");

            let (head, _) = kit.through(&kit.get("/", &forged)).await;

            assert!(!head.contains("forged"), "{name}: {head}");
            assert_eq!(values(&head, "x-forwarded-user"), ["alice"], "{name}");
            assert_eq!(values(&head, "x-forwarded-for"), ["127.0.0.1"], "{name}");
            assert_eq!(values(&head, "x-forwarded-host"), [own], "{name}");
            assert_eq!(values(&head, "x-forwarded-proto"), ["http"], "{name}");
            let forwarded = format!("for=127.0.0.1;host=\"{own}\";proto=http");
            assert_eq!(values(&head, "forwarded"), [forwarded], "{name}");
        }
    }
}

#[tokio::test]
async fn connection_option_does_not_hide_the_token_from_the_layer() {
    let kit = Kit::start().await;

    let (head, response) = kit.through(&kit.get("/", "Connection: close, authorization, host\r\n")).await;
    let refused = "GET / HTTP/1.1\r\nHost: gateway\r\nConnection: close, authorization\r\n\r\n";
    let refused = kit.exchange(refused).await;

    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    assert!(values(&head, "authorization").is_empty(), "{head}");
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
}

#[tokio::test]
async fn hop_by_hop_headers_of_a_request_are_not_forwarded() {
    let kit = Kit::start().await;
    let more = "Connection: close, X-Hop , TE\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n\
        TE: trailers, deflate\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nX-End: 1\r\nVia: 1.0 first\r\n";

    let (head, _) = kit.through(&kit.get("/", more)).await;

    for name in ["x-hop", "keep-alive", "proxy-connection", "upgrade"] {
        assert!(values(&head, name).is_empty(), "{name}: {head}");
    }
    // RFC 9110 section 10.1.4: only `trailers` is forwarded, and named in `Connection`.
    assert_eq!(values(&head, "te"), ["trailers"]);
    assert_eq!(values(&head, "connection"), ["te"]);
    assert_eq!(values(&head, "x-end"), ["1"]);
    assert_eq!(values(&head, "via"), ["1.0 first", "1.1 gateway"]);
}

#[tokio::test]
async fn hop_by_hop_headers_of_a_response_are_not_forwarded() {
    let kit = Kit::start().await;
    let mut client = kit.connect(&kit.get("/", "Connection: close\r\n")).await;
    let (mut backend, _) = kit.accept().await;
    let head = "HTTP/1.1 200 OK\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
        Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nX-End: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n";

    write(&mut backend, head).await;

    let response = read_to_end(&mut client).await;
    for name in ["x-hop", "keep-alive", "proxy-authenticate", "upgrade"] {
        assert!(values(&response, name).is_empty(), "{name}: {response}");
    }
    assert_eq!(values(&response, "connection"), ["close"]);
    assert_eq!(values(&response, "x-end"), ["1"]);
    assert_eq!(values(&response, "set-cookie"), ["a=1", "b=2"]);
    assert_eq!(values(&response, "via"), ["1.1 gateway"]);
}

#[tokio::test]
async fn backend_gets_the_path_of_an_absolute_target_and_its_own_host() {
    let kit = Kit::start().await;
    let own = kit.backend.local_addr().unwrap().to_string();
    for (target, host) in [
        ("/a?b", "evil.example"),
        ("http://evil.example/a?b", "other.example"),
        ("http://evil.example:81/a?b", "evil.example:81"),
        ("/a?b", "user@evil.example"),
    ] {
        let request = kit.get(target, "Connection: close\r\n").replacen("gateway", host, 1);

        let (head, _) = kit.through(&request).await;

        assert!(head.starts_with("GET /a?b HTTP/1.1\r\n"), "{target}: {head}");
        assert_eq!(values(&head, "host"), [&*own], "{target}");
        assert!(!head.contains("evil") && !head.contains("other"), "{target}: {head}");
    }
}

#[tokio::test]
async fn head_that_can_be_read_in_two_ways_is_400() {
    let kit = Kit::start().await;
    let valid = kit.get("/", "Connection: close\r\n");
    for request in [
        valid.replacen("Host: gateway", "Host: gateway\r\nHost: other", 1),
        valid.replacen("Host: gateway", "Host: gateway\r\nHost: gateway", 1),
        valid.replacen("Host: gateway\r\n", "", 1),
        kit.post("Transfer-Encoding: gzip, chunked\r\nConnection: close\r\n") + "0\r\n\r\n",
        kit.post("Transfer-Encoding: identity\r\nConnection: close\r\n"),
        kit.post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n")
            + "0\r\n\r\n",
        kit.post("Transfer-Encoding: chunked, identity\r\nConnection: close\r\n") + "0\r\n\r\n",
        kit.post("Content-Length: 1\r\nContent-Length: 2\r\nConnection: close\r\n") + "ab",
        kit.post("Content-Length: +1\r\nConnection: close\r\n") + "a",
        kit.post("Transfer-Encoding: chunked\r\n").replacen("HTTP/1.1", "HTTP/1.0", 1) + "0\r\n\r\n",
        valid.replacen("GET /", "OPTIONS *", 1),
        valid.replacen("Host: gateway", "Host : gateway", 1),
        valid.replacen("Host: gateway", "Host: gateway\r\n folded", 1),
    ] {
        let response = kit.exchange(&request).await;

        assert!(
            response.starts_with("HTTP/1.1 400 ") || response.starts_with("HTTP/1.0 400 "),
            "{request}: {response}"
        );
        kit.assert_backend_was_not_called();
    }
}

#[tokio::test]
async fn chunked_body_with_a_length_is_forwarded_as_chunked_only() {
    let kit = Kit::start().await;
    let request = kit.post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n");
    let mut client = kit.connect(&(request + "2\r\nab\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n")).await;

    let (mut backend, head) = kit.accept().await;
    let body = read_until(&mut backend, "0\r\n\r\n").await;
    write(&mut backend, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    read_to_end(&mut client).await;

    assert!(values(&head, "content-length").is_empty(), "{head}");
    assert_eq!(values(&head, "transfer-encoding"), ["chunked"]);
    assert_eq!(body, "2\r\nab\r\n0\r\n\r\n");
    // Nothing follows on this connection, nor on another one.
    let mut rest = [0; 1];
    assert!(matches!(backend.try_read(&mut rest), Ok(0) | Err(_)));
    kit.assert_backend_was_not_called();
}

#[tokio::test]
async fn http2_client_is_served_and_its_cookies_are_joined() {
    let kit = Kit::start().await;
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let request = client.get(format!("{}/a", kit.url)).bearer_auth(&kit.token).header("te", "trailers");
    let request = request.header("cookie", "a=1").header("cookie", "b=2");
    let sending = tokio::spawn(request.send());

    let (mut backend, head) = kit.accept().await;
    write(
        &mut backend,
        "HTTP/1.1 200 OK\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nContent-Length: 2\r\n\r\nok",
    )
    .await;
    let response = soon(sending).await.unwrap().unwrap();

    assert!(head.starts_with("GET /a HTTP/1.1\r\n"), "{head}");
    assert_eq!(values(&head, "cookie"), ["a=1; b=2"]);
    assert_eq!(values(&head, "via"), ["2.0 gateway"]);
    assert_eq!(response.version(), http::Version::HTTP_2);
    assert!(!response.headers().contains_key("x-hop"));
    assert_eq!(soon(response.text()).await.unwrap(), "ok");
}

#[tokio::test]
async fn connect_and_trace_are_refused() {
    let kit = Kit::start().await;
    let valid = kit.get("/", "Connection: close\r\n");
    for (request, status) in [
        (valid.replacen("GET", "TRACE", 1), 405),
        // It has no path, so no rule can allow it.
        (valid.replacen("GET /", "CONNECT other:443", 1), 400),
    ] {
        let response = kit.exchange(&request).await;

        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {response}");
        kit.assert_backend_was_not_called();
    }
}

#[tokio::test]
async fn claim_that_cannot_be_a_header_is_403() {
    let kit = Kit::start().await;
    for subject in [json!("a\r\nX-Admin: 1"), json!("ålice"), json!(" alice"), json!(""), json!("a\u{7f}")] {
        let token = kit.mint(&[("sub", subject.clone())]);
        let request = kit.get("/", "Connection: close\r\n").replace(&kit.token, &token);

        let response = kit.exchange(&request).await;

        // An empty subject is refused by the validator.
        assert!(response.starts_with("HTTP/1.1 403 ") || subject == "", "{subject}: {response}");
        assert!(!response.starts_with("HTTP/1.1 2"), "{subject}: {response}");
        kit.assert_backend_was_not_called();
    }
}
