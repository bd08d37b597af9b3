//! Applies changes of a document while serving: [`ConfigWatch`].

use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    task::{JoinError, JoinHandle, spawn_blocking},
    time::{Instant, MissedTickBehavior},
};

use super::{
    ConfigSource,
    files::{Files, Fingerprint, Fingerprints},
    source::{Effective, Loaded},
};
use crate::{ConfigError, ResourceServer, config_error::Problem};

/// A resource server whose settings follow a document. Created by [`ConfigSource::watch`].
///
/// A task reads the document and the files that it names (secrets, keys, certificates) every few seconds and compares their
/// content, so replacing a symbolic link works too, as Kubernetes does. A change takes effect for all layers from the next request
/// on, and no verdict under the old settings is used afterwards: see [`ResourceServer::reconfigure`].
///
/// A change takes effect when two reads in a row have found the same content, so a file that is still being written is not used.
///
/// If the new settings have a problem, nothing changes. All problems are logged at `error`, once for each change.
///
/// If only comments or whitespace change, the cache is kept. Environment variables are not read again.
///
/// Dropping this value ends the task. The resource server then keeps its settings.
#[must_use = "dropping it ends the watching"]
pub struct ConfigWatch {
    watched: Arc<Watched>,
    task: JoinHandle<()>,
}

/// What a reload did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// The new settings are in effect.
    Changed,
    /// The settings and all files are the same as before.
    Unchanged,
}

struct Watched {
    source: ConfigSource,
    resource_server: ResourceServer,
    state: Mutex<State>,
}

struct State {
    /// The files at the last attempt, whether it succeeded or not.
    files: Files,
    /// The settings that are in effect, and the files that they name.
    settings: serde_json::Value,
    named: Fingerprints,
}

const MIN_POLL_INTERVAL: Duration = Duration::from_millis(10);
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

impl ConfigWatch {
    pub(super) fn start(source: ConfigSource) -> Result<Self, ConfigError> {
        let interval = source.poll_interval;
        let Loaded { outcome, files } = source.load_all();
        if !(MIN_POLL_INTERVAL..=MAX_POLL_INTERVAL).contains(&interval) {
            let mut problems = outcome.map_or_else(ConfigError::into_problems, |_| Vec::new());
            let expected = "expected from 10 milliseconds to 1 day";
            problems.push(Problem::new("poll_interval", format!("{interval:?}"), expected));
            return Err(ConfigError::of(problems));
        }
        let Effective { resource_server, settings } = outcome?;
        let state = State { named: files.named.clone(), files, settings };
        let watched = Arc::new(Watched { source, resource_server, state: Mutex::new(state) });
        let task = tokio::spawn(Arc::clone(&watched).poll(interval));
        Ok(Self { watched, task })
    }

    /// Returns the resource server. Clones of it and its layers follow the document too.
    pub fn resource_server(&self) -> &ResourceServer {
        &self.watched.resource_server
    }

    /// Reads everything again now, for example after a `SIGHUP`.
    ///
    /// # Errors
    /// As for [`ConfigSource::load`], and if a setting has changed that cannot change while serving: the path of the metadata,
    /// whether there is metadata, or the kind of the policy (`paths`, `grpc` or `mcp`). Then nothing changes. The problems are
    /// returned and not logged.
    pub async fn reload(&self) -> Result<Reloaded, ConfigError> {
        let mut state = self.watched.state.lock().await;
        self.watched.apply(self.watched.load().await?, &mut state)
    }
}

impl Watched {
    async fn poll(self: Arc<Self>, interval: Duration) {
        let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What the last read found, if it was a change.
        let mut candidate: Option<Loaded> = None;
        loop {
            ticks.tick().await;
            let mut state = self.state.lock().await;
            // An error means that the runtime is shutting down.
            let Ok(is_changed) = has_changed(&state.files).await else { return };
            if !is_changed {
                candidate = None;
                continue;
            }
            let unchanged_since = match candidate.take() {
                Some(loaded) => {
                    has_changed(&loaded.files).await.map(|is_changed| (!is_changed).then_some(loaded))
                }
                None => Ok(None),
            };
            let Ok(unchanged_since) = unchanged_since else { return };
            let outcome = match unchanged_since {
                Some(loaded) => self.apply(loaded, &mut state),
                // A program may still be writing the files.
                None => match self.load().await {
                    Ok(loaded) => {
                        candidate = Some(loaded);
                        continue;
                    }
                    Err(error) => Err(error),
                },
            };
            match outcome {
                Ok(Reloaded::Changed) => tracing::info!("configuration changed"),
                Ok(Reloaded::Unchanged) => {}
                Err(problems) => {
                    tracing::error!(%problems, "configuration has changed and is invalid, the previous one stays in effect");
                }
            }
        }
    }

    async fn load(&self) -> Result<Loaded, ConfigError> {
        let source = self.source.clone();
        let loaded = spawn_blocking(move || source.load_all()).await;
        loaded.map_err(|error| {
            let expected = format!("expected a document that can be loaded ({error})");
            Problem::without_value("document", expected).into()
        })
    }

    fn apply(&self, loaded: Loaded, state: &mut State) -> Result<Reloaded, ConfigError> {
        let Loaded { outcome, files } = loaded;
        state.files.clone_from(&files);
        let Effective { resource_server, settings } = outcome?;
        // A change of the document that changes no setting, such as a comment, does not count.
        if settings == state.settings && files.named == state.named {
            return Ok(Reloaded::Unchanged);
        }
        check_policy_kind(&state.settings, &settings)?;
        self.resource_server.reconfigure(&resource_server)?;
        state.settings = settings;
        state.named = files.named;
        Ok(Reloaded::Changed)
    }
}

/// Returns whether the content of a file has changed since it was read.
async fn has_changed(files: &Files) -> Result<bool, JoinError> {
    let Files { document, named, .. } = files.clone();
    spawn_blocking(move || {
        let mut files = document.iter().chain(&named);
        files.any(|(path, seen)| Fingerprint::now(path) != *seen)
    })
    .await
}

/// Layers were created for one kind of policy.
fn check_policy_kind(current: &serde_json::Value, next: &serde_json::Value) -> Result<(), ConfigError> {
    let mut problems = Vec::new();
    for kind in ["paths", "grpc", "mcp"] {
        let expected = match (current.get(kind), next.get(kind)) {
            (None, Some(_)) => {
                "expected none, because there was none at the start; restart the service to add it"
            }
            (Some(_), None) => "expected a value, because layers use it; restart the service to remove it",
            _ => continue,
        };
        problems.push(Problem::without_value(kind, expected));
    }
    ConfigError::unless_none(problems, ())
}

impl Drop for ConfigWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for ConfigWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigWatch").field("source", &self.watched.source).finish_non_exhaustive()
    }
}
