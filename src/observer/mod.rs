//! Reports events for metrics and alerts: [`Observer`].
//!
//! A resource server has no observer unless one is [set](crate::ResourceServerBuilder::observer). Without one, no event is
//! created and no clock is read. With the feature `metrics`, `integration::metrics` has an observer for the `metrics` facade.
//!
//! ```
//! use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
//! use tower_bearer::{ConfigError, Event, Observer, ResourceServer, TokenValidator};
//!
//! /// Counts the refusals with a 5xx status.
//! #[derive(Default)]
//! struct Outages(AtomicU64);
//!
//! impl Observer for Outages {
//!     fn on_event(&self, event: &Event<'_>) {
//!         match event {
//!             Event::RequestRefused { status, .. } if status.is_server_error() => {
//!                 self.0.fetch_add(1, Ordering::Relaxed);
//!             }
//!             _ => {}
//!         }
//!     }
//! }
//!
//! # fn build(validator: impl TokenValidator) -> Result<(), ConfigError> {
//! let outages = Arc::new(Outages::default());
//! let resource_server = ResourceServer::builder(validator).observer(outages.clone()).build()?;
//! # Ok(())
//! # }
//! ```

mod event;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, PoisonError, RwLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

pub use self::event::{Event, Outcome, ResolvedIssuer, SourceKind};

/// Receives [`Event`]s from a resource server, its layers and its validators.
///
/// Set it once, with [`ResourceServerBuilder::observer`](crate::ResourceServerBuilder::observer). The validators of this crate
/// report to the observers of all resource servers that use them.
///
/// No event contains a token, a claim of a token, or anything else that the client sent.
pub trait Observer: Send + Sync + 'static {
    /// Receives an event.
    ///
    /// Called on the task of the request, sometimes several times per request, so it must return quickly and must not
    /// block. A panic is caught and logged, once per process, and does not affect the request.
    fn on_event(&self, event: &Event<'_>);
}

/// The observer of a resource server, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Observation(Option<Arc<dyn Observer>>);

impl Observation {
    pub(crate) fn by(observer: Arc<dyn Observer>) -> Self {
        Self(Some(observer))
    }

    /// Returns whether there is an observer. Otherwise the time need not be measured.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn notify(&self, event: &Event<'_>) {
        if let Some(observer) = &self.0 {
            notify(&**observer, event);
        }
    }

    pub(crate) fn observer(&self) -> Option<&Arc<dyn Observer>> {
        self.0.as_ref()
    }
}

impl fmt::Debug for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Observation({})", self.is_on())
    }
}

/// The observers of a key set or an endpoint that several resource servers may use.
///
/// The resource servers own them, so an observer is removed with the last resource server that has it.
#[derive(Default)]
pub(crate) struct Observers(RwLock<Vec<Weak<dyn Observer>>>);

impl Observers {
    /// Adds an observer, unless it is already one.
    pub(crate) fn add(&self, observer: &Arc<dyn Observer>) {
        let mut observers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        observers.retain(|known| known.strong_count() > 0);
        let observer = Arc::downgrade(observer);
        if !observers.iter().any(|known| known.ptr_eq(&observer)) {
            observers.push(observer);
        }
    }

    pub(crate) fn notify(&self, event: &Event<'_>) {
        for observer in self.all() {
            notify(&*observer, event);
        }
    }

    /// Returns the observers whose resource server still exists.
    pub(crate) fn all(&self) -> Vec<Arc<dyn Observer>> {
        // Each change is one statement, so the list is consistent even after a panic. Not locked while observers run.
        let observers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        observers.iter().filter_map(Weak::upgrade).collect()
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Observers({})", self.all().len())
    }
}

/// Calls an observer. A panic must not reach the request.
fn notify(observer: &dyn Observer, event: &Event<'_>) {
    static HAS_LOGGED: AtomicBool = AtomicBool::new(false);
    let observed = catch_unwind(AssertUnwindSafe(|| observer.on_event(event)));
    if observed.is_err() && !HAS_LOGGED.swap(true, Ordering::Relaxed) {
        tracing::error!("observer panicked; further panics of observers are not logged");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Observer for Count {
        fn on_event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    const HIT: Event<'_> = Event::VerdictLookup { hit: true };

    #[test]
    fn an_observer_that_two_resource_servers_share_is_notified_once() {
        let (one, other) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let observers = Observers::default();
        for observer in [&one, &one, &other] {
            let observer: Arc<dyn Observer> = Arc::<Count>::clone(observer);
            observers.add(&observer);
        }

        observers.notify(&HIT);

        assert_eq!((one.0.load(Ordering::SeqCst), other.0.load(Ordering::SeqCst)), (1, 1));
    }

    #[test]
    fn an_observer_whose_resource_server_is_gone_is_not_notified() {
        let count = Arc::new(Count::default());
        let observer: Arc<dyn Observer> = Arc::<Count>::clone(&count);
        let observers = Observers::default();
        observers.add(&(Arc::new(Count::default()) as Arc<dyn Observer>));
        observers.add(&observer);
        assert_eq!(observers.0.read().unwrap().len(), 1, "dropped observers are removed");

        drop((observer, count));
        observers.notify(&HIT);

        assert!(observers.all().is_empty());
    }

    #[test]
    fn a_panic_of_an_observer_is_caught() {
        struct Panics;
        impl Observer for Panics {
            fn on_event(&self, _: &Event<'_>) {
                panic!("on purpose");
            }
        }

        Observation::by(Arc::new(Panics)).notify(&HIT);
    }
}
