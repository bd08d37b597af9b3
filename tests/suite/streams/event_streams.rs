//! SSE responses.

use super::*;

#[tokio::test(start_paused = true)]
async fn idle_event_stream_ends_when_the_token_expires() {
    let kit = Kit::new();
    let (feeder, response) = kit.call(EVENT_STREAM).await;
    let mut body = response.into_body();
    feeder.send(data("data: 1\n\n")).unwrap();
    assert_eq!(next(&mut body).await, Some(Ok("data: 1\n\n".to_owned())));

    let (end, ()) = tokio::join!(next(&mut body), kit.expire());

    assert_eq!(end, None);
    assert!(body.is_end_stream());
}

#[test]
fn event_stream_polled_outside_a_runtime_ends_with_the_next_data() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let kit = Kit::new();
    let (feeder, response) = runtime.block_on(kit.call(EVENT_STREAM));
    let mut body = Box::pin(response.into_body());
    let mut cx = Context::from_waker(Waker::noop());
    feeder.send(data("data: 1\n\n")).unwrap();
    assert!(matches!(body.as_mut().poll_frame(&mut cx), Poll::Ready(Some(Ok(_)))));

    assert!(body.as_mut().poll_frame(&mut cx).is_pending());
    kit.clock.advance(LIFETIME);
    feeder.send(data("data: 2\n\n")).unwrap();

    assert!(matches!(body.as_mut().poll_frame(&mut cx), Poll::Ready(None)));
}

#[tokio::test(start_paused = true)]
async fn busy_event_stream_ends_when_the_token_expires() {
    let kit = Kit::new();
    let (feeder, response) = kit.call("Text/Event-Stream").await;
    let mut body = response.into_body();
    for _ in 0..5 {
        feeder.send(data("data: 1\n\n")).unwrap();
    }
    assert!(next(&mut body).await.is_some());

    kit.clock.advance(LIFETIME);

    assert_eq!(next(&mut body).await, None);
}

#[tokio::test(start_paused = true)]
async fn other_responses_are_not_cut() {
    let kit = Kit::new();
    let (feeder, response) = kit.call("application/octet-stream").await;
    let mut body = response.into_body();
    kit.expire().await;

    for text in ["one", "two", "three"] {
        feeder.send(data(text)).unwrap();
        assert_eq!(next(&mut body).await, Some(Ok(text.to_owned())));
    }
}

#[tokio::test(start_paused = true)]
async fn event_stream_of_a_token_without_exp_does_not_end() {
    struct Forever;

    impl TokenValidator for Forever {
        async fn validate(&self, _: &AccessToken) -> Result<ValidatedToken, ValidationError> {
            Ok(ValidatedToken::from_trusted_claims(ClaimsSet::new()))
        }
    }

    let clock = ManualClock::new(UnixTime::from_secs(1_800_000_000));
    let kit = Kit {
        server: ResourceServer::builder(Forever).clock(clock.clone()).build().unwrap(),
        clock,
        token: "opaque".to_owned(),
        open: Arc::default(),
    };
    let (feeder, response) = kit.call(EVENT_STREAM).await;
    let mut body = response.into_body();
    kit.expire().await;

    for _ in 0..3 {
        feeder.send(data("data: 1\n\n")).unwrap();
        assert!(next(&mut body).await.is_some());
    }
}
