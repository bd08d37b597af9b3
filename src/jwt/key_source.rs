//! Where the keys of a validator come from: [`KeySource`].

use std::sync::Arc;

use super::remote_keys::RemoteKeys;
use crate::{
    BoxFuture, Dependency, Issuer, KeySet, Observer,
    health::{Source, SourceHealth, SourceState},
    observer::SourceKind,
};

/// Where the keys come from.
#[derive(Clone, Debug)]
pub(super) enum KeySource {
    Given(Arc<KeySet>),
    Remote(Arc<RemoteKeys>),
}

impl KeySource {
    pub(super) fn dependency(&self, issuer: &Issuer) -> Dependency {
        match self {
            Self::Given(keys) => {
                Dependency::new(Arc::new(GivenKeys { issuer: issuer.clone(), keys: Arc::clone(keys) }))
            }
            Self::Remote(remote) => Dependency::new(Arc::<RemoteKeys>::clone(remote)),
        }
    }
}

/// Keys that were configured, for health reports.
struct GivenKeys {
    issuer: Issuer,
    keys: Arc<KeySet>,
}

impl Source for GivenKeys {
    fn observe(&self, _: &Arc<dyn Observer>) {}

    fn ready(self: Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }

    fn health(&self) -> Option<SourceHealth> {
        let health =
            SourceHealth::new(self.issuer.as_str(), SourceKind::ConfiguredKeys, SourceState::Working, true);
        Some(SourceHealth { keys: Some(self.keys.len()), ..health })
    }
}
