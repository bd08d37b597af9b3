//! One call for many who want the same answer at the same time.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    hash::{BuildHasher, Hash, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use tracing::Instrument as _;

/// Calls under way, each in a task of its own, so that a caller who leaves cancels nothing.
pub(crate) struct SingleFlight<K, V, S = RandomState> {
    /// The calls under way; an entry leaves with its call, however that ends.
    flights: Mutex<HashMap<K, watch::Receiver<Option<V>>, S>>,
    /// Most calls at once. One more is refused: whoever can start calls cannot start them without end.
    limit: usize,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlightError {
    /// Too many other calls are under way.
    Full,
    /// The call panicked, or its runtime is shutting down.
    Lost,
}

impl<K, V, S> SingleFlight<K, V, S>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Default + Send + 'static,
{
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { flights: Mutex::default(), limit })
    }

    /// Waits for the call under way for `key`, or starts one.
    pub(crate) async fn run<F>(self: &Arc<Self>, key: K, call: impl FnOnce() -> F) -> Result<V, FlightError>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut landed = self.join_or_start(key, call)?;
        let value = landed.wait_for(Option::is_some).await.map_err(|_| FlightError::Lost)?.clone();
        value.ok_or(FlightError::Lost)
    }

    fn join_or_start<F>(
        self: &Arc<Self>,
        key: K,
        call: impl FnOnce() -> F,
    ) -> Result<watch::Receiver<Option<V>>, FlightError>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut flights = self.lock();
        if let Some(under_way) = flights.get(&key) {
            return Ok(under_way.clone());
        }
        if flights.len() >= self.limit {
            return Err(FlightError::Full);
        }
        let (land, landed) = watch::channel(None);
        flights.insert(key.clone(), landed.clone());
        drop(flights);
        let call = call();
        let flight = Flight { flights: Arc::clone(self), key };
        tokio::spawn(
            async move {
                let value = call.await;
                // Removed first: who comes after the answer is out starts anew, or finds what the call left in a cache.
                drop(flight);
                land.send_replace(Some(value));
            }
            .in_current_span(),
        );
        Ok(landed)
    }

    /// Starts a call that nobody waits for, unless one is under way.
    pub(crate) fn start<F>(self: &Arc<Self>, key: K, call: impl FnOnce() -> F)
    where
        F: Future<Output = V> + Send + 'static,
    {
        // A service may be called from outside of any runtime; the next request will do.
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        // Nobody asked for the answer, so nobody misses it.
        let _ = self.join_or_start(key, call);
    }

    /// Tells whether there is a call for `key` to join.
    pub(crate) fn is_under_way(&self, key: &K) -> bool {
        self.lock().contains_key(key)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, watch::Receiver<Option<V>>, S>> {
        // The map is whole after each statement, so a panic elsewhere spoils nothing.
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V, S> fmt::Debug for SingleFlight<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleFlight").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// Removes the entry when the call ends: by its answer, a panic or a runtime that shuts down.
struct Flight<K, V, S>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Default + Send + 'static,
{
    flights: Arc<SingleFlight<K, V, S>>,
    key: K,
}

impl<K, V, S> Drop for Flight<K, V, S>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Default + Send + 'static,
{
    fn drop(&mut self) {
        self.flights.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::{Notify, oneshot};

    use super::*;

    type Flights = SingleFlight<&'static str, usize>;

    #[tokio::test]
    async fn callers_at_the_same_time_share_one_call() {
        let flights: Arc<Flights> = SingleFlight::new(8);
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
    async fn a_caller_who_leaves_cancels_nothing() {
        let flights: Arc<Flights> = SingleFlight::new(8);
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

        let second = flights.run("a", || async { unreachable!("a call is under way") });
        let (second, ()) = tokio::join!(second, async { release.send(()).unwrap() });

        assert_eq!(second, Ok(7));
    }

    #[tokio::test]
    async fn a_call_too_many_is_refused_and_others_go_on() {
        let flights: Arc<Flights> = SingleFlight::new(1);
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
    async fn a_panic_is_an_answer_and_the_next_caller_flies_again() {
        let flights: Arc<Flights> = SingleFlight::new(1);

        assert_eq!(flights.run("a", || async { panic!("on purpose") }).await, Err(FlightError::Lost));
        assert_eq!(flights.run("a", || async { 3 }).await, Ok(3));
    }
}
