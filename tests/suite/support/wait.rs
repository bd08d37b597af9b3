//! Waits for other tasks without sleeping.

use std::{future::Future, panic::Location, pin::Pin, task::Poll, time::Duration};

/// Maximum time before a test counts as deadlocked. A passing test never waits this long.
pub(crate) const DEADLOCK: Duration = Duration::from_secs(20);

/// Fails the test if the future does not complete within [`DEADLOCK`].
#[track_caller]
pub(crate) fn soon<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = Location::caller();
    async move {
        match tokio::time::timeout(DEADLOCK, future).await {
            Ok(output) => output,
            Err(_) => panic!("deadlock at {caller}"),
        }
    }
}

/// Polls a future once.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

/// Lets other tasks run until the condition is true. Fails the test if it stays false.
#[track_caller]
pub(crate) fn until(condition: impl Fn() -> bool) -> impl Future<Output = ()> {
    const TURNS: usize = 100_000;
    let caller = Location::caller();
    async move {
        for _ in 0..TURNS {
            if condition() {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("condition never became true at {caller}");
    }
}

/// Lets all other tasks run until they wait for a clock or a socket.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
