//! Shares one call among concurrent callers that need the same result: [`SingleFlight`].

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    hash::{BuildHasher, Hash, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};
use tracing::Instrument as _;

use crate::catch_panic::{Panicked, catch_panic};

/// Shares calls by key. Each call runs in its own task, so it goes on if a caller stops waiting.
pub(crate) struct SingleFlight<K, V, S = RandomState> {
    /// The calls in progress. An entry is removed when its call completes, panics or is dropped.
    flights: Mutex<HashMap<K, InProgress<V>, S>>,
    /// Maximum number of concurrent calls. Further calls are refused.
    limit: usize,
    /// Maximum time for one call. A call that takes longer counts as lost, and the next caller starts a new one. Its
    /// runtime may have stopped, in which case it would never complete.
    deadline: Duration,
}

/// A call in progress.
struct InProgress<V> {
    answer: Answer<V>,
    lost_from: Instant,
}

/// The channel on which callers wait for the answer.
type Answer<V> = watch::Receiver<Option<Result<V, FlightError>>>;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlightError {
    /// The maximum number of concurrent calls is reached.
    Full,
    /// The call panicked.
    Panicked,
    /// The runtime of the call was shut down, or the call passed its deadline.
    Lost,
}

impl<K, V, S> SingleFlight<K, V, S>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Default + Send + 'static,
{
    /// Creates a `SingleFlight` whose calls count as lost after `deadline`. Calls must have a shorter timeout of their
    /// own.
    pub(crate) fn new(limit: usize, deadline: Duration) -> Arc<Self> {
        Arc::new(Self { flights: Mutex::default(), limit, deadline })
    }

    /// Waits for the call in progress for `key`, or starts one.
    pub(crate) async fn run<F>(self: &Arc<Self>, key: K, call: impl FnOnce() -> F) -> Result<V, FlightError>
    where
        F: Future<Output = V> + Send + 'static,
    {
        // `None` means that the call was not admitted, which cannot happen here.
        self.run_if(key, || Some(call())).await.unwrap_or(Err(FlightError::Lost))
    }

    /// Waits for the call in progress for `key`, or starts the one that `admit` returns. Returns `None` if there is no call
    /// in progress and none was admitted.
    pub(crate) async fn run_if<F>(
        self: &Arc<Self>,
        key: K,
        admit: impl FnOnce() -> Option<F>,
    ) -> Option<Result<V, FlightError>>
    where
        F: Future<Output = V> + Send + 'static,
    {
        match self.join_or_start(key, admit)? {
            Ok(call) => Some(call.answer().await),
            Err(error) => Some(Err(error)),
        }
    }

    /// Starts the call that `admit` returns, unless one is in progress. Does not wait for the answer.
    pub(crate) fn start_if<F>(self: &Arc<Self>, key: K, admit: impl FnOnce() -> Option<F>)
    where
        F: Future<Output = V> + Send + 'static,
    {
        let _ = self.join_or_start(key, admit);
    }

    fn join_or_start<F>(
        self: &Arc<Self>,
        key: K,
        admit: impl FnOnce() -> Option<F>,
    ) -> Option<Result<InProgress<V>, FlightError>>
    where
        F: Future<Output = V> + Send + 'static,
    {
        // A service may be called outside a runtime, where no call can be made or waited for. A later request starts it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return Some(Err(FlightError::Lost));
        };
        let mut flights = self.lock();
        match flights.get(&key) {
            Some(call) if !call.is_lost() => return Some(Ok(call.clone())),
            None if flights.len() >= self.limit => return Some(Err(FlightError::Full)),
            _ => {}
        }
        // Called with the lock held, so that two concurrent callers cannot both start a call.
        let call = admit()?;
        let (sender, answer) = watch::channel(None);
        let lost_from = Instant::now() + self.deadline;
        let in_progress = InProgress { answer, lost_from };
        flights.insert(key.clone(), in_progress.clone());
        drop(flights);
        let flight = Flight { flights: Arc::clone(self), key, answer: in_progress.answer.clone() };
        runtime.spawn(
            async move {
                let value = catch_panic(call).await.map_err(|Panicked| FlightError::Panicked);
                // Removed before the answer is sent, so that later callers start a new call or use the cached result of
                // this one.
                drop(flight);
                sender.send_replace(Some(value));
            }
            .in_current_span(),
        );
        Some(Ok(in_progress))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, InProgress<V>, S>> {
        // The map is consistent after each statement, so a panic elsewhere does no harm.
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Clone> InProgress<V> {
    fn is_lost(&self) -> bool {
        Instant::now() >= self.lost_from
    }

    async fn answer(mut self) -> Result<V, FlightError> {
        let answer = timeout_at(self.lost_from, self.answer.wait_for(Option::is_some)).await;
        let answer = answer.map_err(|_| FlightError::Lost)?;
        answer.map_err(|_| FlightError::Lost)?.clone().unwrap_or(Err(FlightError::Lost))
    }
}

impl<V> Clone for InProgress<V> {
    fn clone(&self) -> Self {
        Self { answer: self.answer.clone(), lost_from: self.lost_from }
    }
}

impl<K, V, S> fmt::Debug for SingleFlight<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleFlight").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// Removes the entry when the call ends: with an answer, by a panic, or because its runtime is shut down.
struct Flight<K, V, S>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Default + Send + 'static,
{
    flights: Arc<SingleFlight<K, V, S>>,
    key: K,
    answer: Answer<V>,
}

impl<K, V, S> Drop for Flight<K, V, S>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Default + Send + 'static,
{
    fn drop(&mut self) {
        // Another call may have replaced this one after its deadline.
        let mut flights = self.flights.lock();
        if flights.get(&self.key).is_some_and(|call| call.answer.same_channel(&self.answer)) {
            flights.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        pin::pin,
        sync::atomic::{AtomicUsize, Ordering},
        task::Poll,
    };

    use tokio::sync::{Notify, oneshot};

    use super::*;

    type Flights = SingleFlight<&'static str, usize>;

    const DEADLINE: Duration = Duration::from_secs(5);

    #[test]
    fn outside_a_runtime_a_call_is_lost_and_not_a_panic() {
        let flights: Arc<Flights> = SingleFlight::new(1, DEADLINE);
        let mut run = std::pin::pin!(flights.run("a", || async { 1 }));

        let polled = run.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));

        assert_eq!(polled, std::task::Poll::Ready(Err(FlightError::Lost)));
        assert!(flights.lock().is_empty());
    }

    #[tokio::test]
    async fn callers_at_the_same_time_share_one_call() {
        let flights: Arc<Flights> = SingleFlight::new(8, DEADLINE);
        let calls = Arc::new(AtomicUsize::new(0));
        let go = Arc::new(Notify::new());
        let call = || {
            let (calls, go) = (Arc::clone(&calls), Arc::clone(&go));
            async move {
                go.notified().await;
                calls.fetch_add(1, Ordering::SeqCst) + 1
            }
        };

        let release = async {
            tokio::task::yield_now().await;
            go.notify_one();
        };
        let (one, other, ()) = tokio::join!(flights.run("a", call), flights.run("a", call), release);

        assert_eq!((one, other), (Ok(1), Ok(1)));
        assert!(flights.lock().is_empty());
    }

    #[tokio::test]
    async fn a_call_goes_on_if_its_caller_stops_waiting() {
        let flights: Arc<Flights> = SingleFlight::new(8, DEADLINE);
        let (release, released) = oneshot::channel::<()>();
        let first = tokio::spawn({
            let flights = Arc::clone(&flights);
            async move {
                flights
                    .run("a", || async {
                        released.await.unwrap();
                        7
                    })
                    .await
            }
        });
        tokio::task::yield_now().await;
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());

        let second = flights.run("a", || async { unreachable!("a call is in progress") });
        let (second, ()) = tokio::join!(second, async { release.send(()).unwrap() });

        assert_eq!(second, Ok(7));
    }

    #[tokio::test]
    async fn a_call_above_the_limit_is_refused_and_others_go_on() {
        let flights: Arc<Flights> = SingleFlight::new(1, DEADLINE);
        let (release, released) = oneshot::channel::<()>();

        let first = flights.run("a", || async {
            released.await.unwrap();
            1
        });
        let second = async {
            let refused = flights.run("b", || async { 2 }).await;
            release.send(()).unwrap();
            refused
        };
        let (first, second) = tokio::join!(first, second);

        assert_eq!((first, second), (Ok(1), Err(FlightError::Full)));
        assert_eq!(flights.run("b", || async { 2 }).await, Ok(2));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_next_caller_starts_a_new_call() {
        let flights: Arc<Flights> = SingleFlight::new(1, DEADLINE);

        assert_eq!(flights.run("a", || async { panic!("on purpose") }).await, Err(FlightError::Panicked));
        assert_eq!(flights.run("a", || async { 3 }).await, Ok(3));
    }

    #[tokio::test]
    async fn a_call_that_is_not_admitted_is_not_started() {
        let flights: Arc<Flights> = SingleFlight::new(1, DEADLINE);

        assert_eq!(flights.run_if("a", || None::<std::future::Ready<usize>>).await, None);
        assert!(flights.lock().is_empty());
    }

    #[tokio::test]
    async fn a_call_in_progress_is_joined_and_no_other_is_admitted() {
        let flights: Arc<Flights> = SingleFlight::new(1, DEADLINE);
        let (release, released) = oneshot::channel::<()>();

        let first = flights.run("a", || async {
            released.await.unwrap();
            1
        });
        let other = async {
            let admit = || -> Option<std::future::Ready<usize>> { unreachable!("a call is in progress") };
            let (joined, ()) = tokio::join!(flights.run_if("a", admit), async { release.send(()).unwrap() });
            joined
        };
        let (first, other) = tokio::join!(first, other);

        assert_eq!((first, other), (Ok(1), Some(Ok(1))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_passed_its_deadline_is_lost_and_replaced() {
        let flights: Arc<Flights> = SingleFlight::new(1, DEADLINE);
        let (release, released) = oneshot::channel::<()>();
        let replaced = flights.run("a", || async {
            released.await.unwrap();
            1
        });
        let began = Instant::now();

        assert_eq!(replaced.await, Err(FlightError::Lost));
        assert_eq!(Instant::now() - began, DEADLINE);
        let (go, gone) = oneshot::channel::<()>();
        let replacing = flights.run("a", || async {
            gone.await.unwrap();
            2
        });
        let late = async {
            // The end of the first call must not remove the second one.
            release.send(()).unwrap();
            tokio::task::yield_now().await;
            assert!(flights.lock().contains_key("a"));
            go.send(()).unwrap();
        };
        let (replacing, ()) = tokio::join!(replacing, late);

        assert_eq!(replacing, Ok(2));
        assert!(flights.lock().is_empty());
    }

    #[test]
    fn a_call_whose_runtime_is_shut_down_is_lost() {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (first, second) = (runtime(), runtime());
        let flights: Arc<Flights> = SingleFlight::new(1, DEADLINE);
        first.block_on(async { flights.start_if("a", || Some(std::future::pending())) });
        let mut joined = pin!(flights.run("a", || async { unreachable!("a call is in progress") }));
        second.block_on(poll_fn(|cx| {
            assert!(joined.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        }));

        drop(first);

        assert_eq!(second.block_on(joined), Err(FlightError::Lost));
        assert_eq!(second.block_on(flights.run("a", || async { 3 })), Ok(3));
    }
}
