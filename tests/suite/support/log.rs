//! Records the log of one test, separately from tests that run in parallel.

use std::{
    io,
    sync::{Arc, Mutex, OnceLock},
};

use tracing::{
    Dispatch, Level,
    subscriber::{DefaultGuard, set_default},
};

/// The log of the current thread.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Records every level until the guard is dropped.
    pub(crate) fn record() -> (Self, DefaultGuard) {
        Self::record_from(Level::TRACE)
    }

    /// Records this level and more severe ones until the guard is dropped.
    pub(crate) fn record_from(level: Level) -> (Self, DefaultGuard) {
        keep_every_callsite_enabled();
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Registers a subscriber for all levels until the process ends.
///
/// A callsite caches whether any subscriber is interested in it. While there is only one subscriber, tracing-core
/// checks only the current thread, so a thread without a subscriber would disable the callsite for the test that
/// records.
fn keep_every_callsite_enabled() {
    static EVERYTHING: OnceLock<Dispatch> = OnceLock::new();
    EVERYTHING.get_or_init(|| {
        Dispatch::new(tracing_subscriber::fmt().with_max_level(Level::TRACE).with_writer(io::sink).finish())
    });
}
