//! Waiting for other tasks without a clock.

use std::{future::Future, panic::Location, pin::Pin, task::Poll, time::Duration};

/// The longest a test may take before it counts as a deadlock. No test that passes waits for it.
pub(crate) const DEADLOCK: Duration = Duration::from_secs(20);

/// Fails a test that would hang.
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

/// Lets other tasks run until `is_so` returns true. Fails the test if it never does.
#[track_caller]
pub(crate) fn until(is_so: impl Fn() -> bool) -> impl Future<Output = ()> {
    const TURNS: usize = 100_000;
    let caller = Location::caller();
    async move {
        for _ in 0..TURNS {
            if is_so() {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("waited in vain at {caller}");
    }
}

/// Lets every other task run as far as it can without a clock or a socket.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
