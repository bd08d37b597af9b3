//! The log of a test, apart from those of the tests beside it.

use std::{
    io,
    sync::{Arc, Mutex, OnceLock},
};

use tracing::{
    Dispatch, Level,
    subscriber::{DefaultGuard, set_default},
};

/// What this thread logs.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Records every level until the guard is dropped.
    pub(crate) fn record() -> (Self, DefaultGuard) {
        Self::record_from(Level::TRACE)
    }

    /// Records this level and those above it until the guard is dropped.
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

/// Keeps a subscriber that wants everything for as long as the process runs.
///
/// A callsite remembers whether anybody wants its events. While there is only one subscriber, tracing-core asks the current
/// thread alone, so a test on another thread without a subscriber would turn the callsite off for the test that records.
fn keep_every_callsite_enabled() {
    static EVERYTHING: OnceLock<Dispatch> = OnceLock::new();
    EVERYTHING.get_or_init(|| {
        Dispatch::new(tracing_subscriber::fmt().with_max_level(Level::TRACE).with_writer(io::sink).finish())
    });
}
