//! WebSockets: upgrade, tunnel, and tokens of browsers.

use super::*;

const HANDSHAKE: &str = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

#[tokio::test]
async fn websocket_is_passed_on_in_both_directions() {
    let kit = Kit::start().await;
    let mut client = kit.connect(&kit.get("/ws", HANDSHAKE)).await;

    let (mut backend, head) = kit.accept().await;
    write(&mut backend, &format!("{ACCEPTED}\r\nfirst")).await;
    let answer = read_until(&mut client, "\r\n\r\n").await;

    assert_eq!(values(&head, "connection"), ["Upgrade"]);
    assert_eq!(values(&head, "upgrade"), ["websocket"]);
    assert_eq!(values(&head, "sec-websocket-key"), ["dGhlIHNhbXBsZSBub25jZQ=="]);
    assert_eq!(values(&head, "x-forwarded-user"), ["alice"]);
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert_eq!(values(&answer, "sec-websocket-accept"), ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]);
    read_until(&mut client, "first").await;
    write(&mut client, "ping").await;
    read_until(&mut backend, "ping").await;
    write(&mut backend, "pong").await;
    read_until(&mut client, "pong").await;
    drop(client);
    assert_eq!(soon(backend.read(&mut [0; 1])).await.unwrap(), 0);
}

#[tokio::test]
async fn websocket_without_a_token_is_refused() {
    let kit = Kit::start().await;

    let refused = kit
        .exchange(&format!(
            "GET /ws HTTP/1.1\r\nHost: gateway\r\n{}\r\n",
            HANDSHAKE.replacen("keep-alive", "close", 1)
        ))
        .await;

    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    kit.assert_backend_was_not_called();
}

#[tokio::test]
async fn websocket_ends_with_its_token() {
    let kit = Kit::start().await;
    let mut client = kit.connect(&kit.get("/ws", HANDSHAKE)).await;
    let (mut backend, _) = kit.accept().await;
    write(&mut backend, &format!("{ACCEPTED}\r\nfirst")).await;
    read_until(&mut client, "first").await;

    tokio::time::pause();
    // The token is valid for an hour, and the gateway tolerates 30 seconds.
    tokio::time::advance(Duration::from_secs(3_600)).await;
    tokio::time::resume();
    write(&mut client, "ping").await;
    read_until(&mut backend, "ping").await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    tokio::time::resume();

    assert_eq!(read_to_end(&mut client).await, "");
    assert_eq!(soon(backend.read(&mut [0; 1])).await.unwrap(), 0);
}

#[tokio::test]
async fn token_of_a_browser_is_moved_out_of_the_subprotocols() {
    let kit = Kit::start().await;
    for (offered, expected) in [
        (format!("chat, bearer.{}", kit.token), vec!["chat"]),
        (format!("bearer.{}, chat, v2.chat", kit.token), vec!["chat, v2.chat"]),
        (format!("bearer.{}", kit.token), vec![]),
        (format!("chat\r\nSec-WebSocket-Protocol: bearer.{}", kit.token), vec!["chat"]),
    ] {
        let mut client = kit.connect(&browser(&offered)).await;

        let (mut backend, head) = kit.accept().await;
        let selected = if expected.is_empty() { "" } else { "Sec-WebSocket-Protocol: chat\r\n" };
        write(&mut backend, &format!("{ACCEPTED}{selected}\r\nfirst")).await;
        let answer = read_until(&mut client, "first").await;

        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        assert!(!head.contains(&kit.token), "{head}");
        assert_eq!(values(&head, "sec-websocket-protocol"), expected);
        assert_eq!(values(&head, "x-forwarded-user"), ["alice"]);
    }
}

#[tokio::test]
async fn token_of_a_browser_is_validated_like_any_other() {
    let kit = Kit::start().await;
    let token = &kit.token;
    for (offered, status) in [
        ("chat, bearer.forged".to_owned(), 401),
        ("chat, bearer.".to_owned(), 400),
        (format!("bearer.{token}, bearer.{token}"), 400),
        (format!("Bearer.{token}"), 401),
        (format!("chat\r\nAuthorization: Bearer {token}\r\nSec-WebSocket-Protocol: bearer.{token}"), 400),
    ] {
        let request = browser(&offered).replacen("keep-alive", "close", 1);

        let refused = kit.exchange(&request).await;

        assert!(refused.starts_with(&format!("HTTP/1.1 {status} ")), "{offered}: {refused}");
        kit.assert_backend_was_not_called();
    }
}

#[tokio::test]
async fn subprotocol_is_not_a_credential_for_other_requests() {
    let kit = Kit::start().await;
    let token = &kit.token;
    let valid = browser(&format!("bearer.{token}")).replacen("keep-alive", "close", 1);
    for request in [
        valid.replacen("Upgrade: websocket", "Upgrade: h2c", 1),
        valid.replacen("close, Upgrade", "close", 1),
        valid.replacen("GET", "POST", 1),
    ] {
        let refused = kit.exchange(&request).await;

        assert!(refused.starts_with("HTTP/1.1 401 "), "{request}: {refused}");
        kit.assert_backend_was_not_called();
    }
}

#[tokio::test]
async fn answer_that_selects_another_subprotocol_is_502() {
    let kit = Kit::start().await;
    for selected in [
        format!("Sec-WebSocket-Protocol: bearer.{}\r\n", kit.token),
        "Sec-WebSocket-Protocol: other\r\n".to_owned(),
        "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat\r\n".to_owned(),
    ] {
        let request = browser(&format!("chat, bearer.{}", kit.token)).replacen("keep-alive", "close", 1);
        let mut client = kit.connect(&request).await;

        let (mut backend, _) = kit.accept().await;
        write(&mut backend, &format!("{ACCEPTED}{selected}\r\n")).await;

        let answer = read_to_end(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "{selected}: {answer}");
        assert!(!answer.contains(&kit.token));
    }
}

#[tokio::test]
async fn unrequested_switch_of_protocols_is_502() {
    let kit = Kit::start().await;
    let mut client = kit.connect(&kit.get("/", "Connection: close\r\n")).await;

    let (mut backend, _) = kit.accept().await;
    write(&mut backend, &format!("{ACCEPTED}\r\n")).await;

    assert!(read_to_end(&mut client).await.starts_with("HTTP/1.1 502 "));
}

#[tokio::test]
async fn backend_can_refuse_a_websocket() {
    let kit = Kit::start().await;
    let request = kit.get("/ws", HANDSHAKE).replacen("keep-alive", "close", 1);
    let mut client = kit.connect(&request).await;

    let (mut backend, _) = kit.accept().await;
    write(&mut backend, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno").await;

    let answer = read_to_end(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.ends_with("\r\n\r\nno"), "{answer}");
}

/// A handshake with these subprotocols and without `Authorization`, as browsers send it.
fn browser(offered: &str) -> String {
    format!("GET /ws HTTP/1.1\r\nHost: gateway\r\n{HANDSHAKE}Sec-WebSocket-Protocol: {offered}\r\n\r\n")
}
