//! The layers that a resource server has created: [`Layers`].

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::validate_token::Guard;

/// Dropped layers are only removed above this number. A service normally has fewer.
const MIN_KEPT: usize = 64;

/// The guards of all layers, without keeping them alive.
///
/// A service may create a layer for each request. Such layers are removed again, so that at most twice as many are kept as
/// exist, or [`MIN_KEPT`].
#[derive(Default)]
pub(crate) struct Layers(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    guards: Vec<Weak<Guard>>,
    /// Those that were dropped are removed at this length.
    full_at: usize,
}

impl Layers {
    pub(crate) fn add(&self, guard: &Arc<Guard>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.guards.len() >= kept.full_at {
            kept.guards.retain(|guard| guard.strong_count() > 0);
            kept.full_at = (2 * kept.guards.len()).max(MIN_KEPT);
        }
        kept.guards.push(Arc::downgrade(guard));
    }

    /// Returns the guards that exist, in the order in which their layers were created.
    pub(crate) fn existing(&self) -> Vec<Arc<Guard>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.guards.iter().filter_map(Weak::upgrade).collect()
    }

    #[cfg(all(test, feature = "testing"))]
    fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).guards.len()
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::TestAuthorizationServer;

    #[test]
    fn layers_that_were_dropped_do_not_occupy_memory() {
        let authority = TestAuthorizationServer::new("https://as.example.com");
        let resource_server = authority.resource_server("https://orders.example.com");
        let kept: Vec<_> = (0..10).map(|_| resource_server.require_token()).collect();

        for _ in 0..10_000 {
            let _ = resource_server.require_token();
        }

        assert!(resource_server.0.layers.len() <= MIN_KEPT, "{}", resource_server.0.layers.len());
        assert_eq!(resource_server.layers().len(), kept.len());
    }
}
