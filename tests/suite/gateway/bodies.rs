//! Bodies, trailers, `Expect: 100-continue` and events.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::support::settle;

use super::*;

#[tokio::test]
async fn body_of_a_request_is_streamed() {
    let kit = Kit::start().await;
    let mut client = kit.connect(&kit.post("Transfer-Encoding: chunked\r\nConnection: close\r\n")).await;
    let (mut backend, _) = kit.accept().await;

    for part in ["1\r\na\r\n", "1\r\nb\r\n"] {
        write(&mut client, part).await;
        assert_eq!(read_until(&mut backend, part).await, part);
    }
    write(&mut client, "0\r\n\r\n").await;
    read_until(&mut backend, "0\r\n\r\n").await;
    write(&mut backend, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;

    assert!(read_to_end(&mut client).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn length_of_a_body_is_kept() {
    let kit = Kit::start().await;
    let request = kit.post("Content-Length: 5\r\nConnection: close\r\n") + "hello";
    let mut client = kit.connect(&request).await;

    let (mut backend, head) = kit.accept().await;
    let body = read_until(&mut backend, "hello").await;
    write(&mut backend, "HTTP/1.1 204 No Content\r\n\r\n").await;
    read_to_end(&mut client).await;

    assert_eq!(values(&head, "content-length"), ["5"]);
    assert!(values(&head, "transfer-encoding").is_empty(), "{head}");
    assert_eq!(body, "hello");
}

#[tokio::test]
async fn events_arrive_one_by_one() {
    let kit = Kit::start().await;
    let mut client = kit.connect(&kit.get("/events", "Accept: text/event-stream\r\n")).await;
    let (mut backend, head) = kit.accept().await;
    assert_eq!(values(&head, "accept"), ["text/event-stream"]);
    write(
        &mut backend,
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    )
    .await;

    let head = read_until(&mut client, "\r\n\r\n").await;
    assert_eq!(values(&head, "content-type"), ["text/event-stream"]);
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        write(&mut backend, &format!("{:x}\r\n{event}\r\n", event.len())).await;
        assert_eq!(
            read_until(&mut client, &format!("{event}\r\n")).await,
            format!("{:x}\r\n{event}\r\n", event.len())
        );
    }
}

#[tokio::test]
async fn backend_that_does_not_read_slows_the_client_down() {
    const BODY: usize = 64 << 20;
    const PART: usize = 64 << 10;
    let kit = Kit::start().await;
    let mut client = kit.connect(&kit.post(&format!("Content-Length: {BODY}\r\n"))).await;
    let (mut backend, _) = kit.accept().await;
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let writing = tokio::spawn(async move {
        while counter.load(Ordering::Relaxed) < BODY {
            client.write_all(&[b'x'; PART]).await.unwrap();
            counter.fetch_add(PART, Ordering::Relaxed);
        }
        // A client that closes its side has left.
        client
    });

    // The buffers of the system take a few MiB. Then the client must wait.
    let mut stalled = 0;
    while stalled < 100 {
        let before = sent.load(Ordering::Relaxed);
        settle().await;
        stalled = if sent.load(Ordering::Relaxed) == before { stalled + 1 } else { 0 };
    }
    assert!(sent.load(Ordering::Relaxed) < BODY / 2, "{}", sent.load(Ordering::Relaxed));

    // It continues when the backend reads.
    let mut received = 0;
    let mut buffer = vec![0; 1 << 20];
    while received < BODY {
        let read = soon(backend.read(&mut buffer)).await.unwrap();
        assert_ne!(read, 0, "the body ended after {received} bytes");
        received += read;
    }
    drop(soon(writing).await.unwrap());
}

#[tokio::test]
async fn trailers_of_a_response_are_forwarded() {
    let kit = Kit::start().await;
    let mut client = kit.connect(&kit.get("/", "TE: trailers\r\nConnection: close, te\r\n")).await;
    let (mut backend, _) = kit.accept().await;

    let response = "HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-sum: 1\r\n\r\n";
    write(&mut backend, response).await;

    let response = read_to_end(&mut client).await;
    assert_eq!(values(&response, "trailer"), ["x-sum"]);
    assert!(response.ends_with("1\r\na\r\n0\r\nx-sum: 1\r\n\r\n"), "{response}");
}

#[tokio::test]
async fn a57_trailers_of_a_request_are_forwarded_without_reserved_fields() {
    let kit = Kit::start().await;
    let names = "x-sum, authorization, x-forwarded-user, x_forwarded_user, host, content-length";
    let request =
        kit.post(&format!("Trailer: {names}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"));
    let trailers = "x-sum: 1\r\nauthorization: Bearer x\r\nx-forwarded-user: forged\r\nx_forwarded_user: forged\r\nhost: forged\r\n";
    let mut client = kit.connect(&format!("{request}1\r\na\r\n0\r\n{trailers}\r\n")).await;

    let (mut backend, _) = kit.accept().await;
    let body = read_until(&mut backend, "\r\n\r\n").await;
    write(&mut backend, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    read_to_end(&mut client).await;

    assert_eq!(body, "1\r\na\r\n0\r\nx-sum: 1\r\n\r\n");
}

#[tokio::test]
async fn permission_to_send_the_body_comes_from_the_backend() {
    let kit = Kit::start().await;
    let request = kit.post("Expect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n");
    let mut client = kit.connect(&request).await;

    let (mut backend, head) = kit.accept().await;
    settle().await;
    assert!(client.try_read(&mut [0; 1]).is_err(), "the client got an answer before the backend gave one");
    write(&mut backend, "HTTP/1.1 100 Continue\r\n\r\n").await;
    let permission = read_until(&mut client, "\r\n\r\n").await;
    write(&mut client, "hello").await;
    let body = read_until(&mut backend, "hello").await;
    write(&mut backend, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let response = read_to_end(&mut client).await;

    assert_eq!(values(&head, "expect"), ["100-continue"]);
    assert_eq!(permission, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(body, "hello");
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
}

#[tokio::test]
async fn backend_can_refuse_a_body_before_it_is_sent() {
    let kit = Kit::start().await;
    let request = kit.post("Expect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n");
    let mut client = kit.connect(&request).await;

    let (mut backend, _) = kit.accept().await;
    write(&mut backend, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno").await;
    let response = read_to_end(&mut client).await;

    assert!(response.starts_with("HTTP/1.1 417 ") && response.ends_with("\r\n\r\nno"), "{response}");
    // The connection cannot be used for another request, since the body is missing.
    assert_eq!(soon(backend.read(&mut [0; 1])).await.unwrap(), 0);
}

#[tokio::test]
async fn refused_request_gets_no_permission_to_send_its_body() {
    let kit = Kit::start().await;
    let head = "POST / HTTP/1.1\r\nHost: gateway\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";

    let response = kit.exchange(head).await;

    assert!(response.starts_with("HTTP/1.1 401 "), "{response}");
    kit.assert_backend_was_not_called();
}
