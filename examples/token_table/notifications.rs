//! Receives the notifications of PostgreSQL about changed tokens (LISTEN), so that verdicts can be reused.
//!
//! Notifications are not stored: what is sent while the connection is down is lost. A connection can also be dead without an
//! error, for example behind a firewall, and LISTEN does nothing behind a pooler in transaction mode. So this instance sends
//! itself a notification every second, over another connection. PostgreSQL delivers notifications in the order of their
//! commits. If the one of this instance arrives, all earlier ones have arrived too, and verdicts may be reused for [`LEASE`]
//! from the time it was sent.

use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::postgres::{PgListener, PgPoolOptions};

use super::{
    database::{Database, Hash},
    recent::RecentTokens,
};

/// The channel that the triggers in schema/postgres.sql notify.
const CHANGED: &str = "tokens_changed";

/// How long verdicts are reused after the last proof that notifications arrive. While the connection is dead without an error,
/// a revoked token is accepted for at most this long.
pub(crate) const LEASE: Duration = Duration::from_secs(3);

/// Time between two proofs.
const PROOF_INTERVAL: Duration = Duration::from_secs(1);

/// Pause before a new connection.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// Keeps a connection that listens, and tells `recent` what changes. Never ends.
pub(crate) async fn listen(url: String, database: Arc<Database>, recent: Arc<RecentTokens>) {
    let mut is_lost = false;
    loop {
        let Err(error) = listen_once(&url, &database, &recent, &mut is_lost).await;
        recent.stop_reuse();
        if !std::mem::replace(&mut is_lost, true) {
            tracing::warn!(%error, "no notifications from PostgreSQL, verdicts are not reused");
        }
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

/// Listens until the connection is lost.
async fn listen_once(
    url: &str,
    database: &Database,
    recent: &RecentTokens,
    is_lost: &mut bool,
) -> Result<Infallible, Lost> {
    let alive = own_channel()?;
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(LEASE).connect(url).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen_all([CHANGED, &alive]).await?;
    let start = Instant::now();
    let receive = async {
        loop {
            let next = tokio::time::timeout(LEASE, listener.try_recv()).await;
            let notification = next.map_err(|_| Lost::Silence)??.ok_or(Lost::Connection)?;
            let payload = notification.payload();
            if notification.channel() == CHANGED {
                match hash(payload) {
                    Some(hash) => recent.forget(&hash),
                    None => recent.forget_all(),
                }
            } else if let Ok(sent) = payload.parse() {
                recent.allow_until(start + Duration::from_millis(sent) + LEASE);
                if std::mem::take(is_lost) {
                    tracing::info!("notifications from PostgreSQL arrive again");
                }
            }
        }
    };
    let prove = async {
        loop {
            // If it fails, the lease ends.
            let sent = start.elapsed().as_millis().to_string();
            let _ = database.notify(&alive, &sent).await;
            tokio::time::sleep(PROOF_INTERVAL).await;
        }
    };
    tokio::select! {
        lost = receive => lost,
        never = prove => never,
    }
}

/// Returns the name of a channel that only this connection listens to.
fn own_channel() -> Result<String, Lost> {
    let mut name = [0; 8];
    aws_lc_rs::rand::fill(&mut name).map_err(|_| Lost::NoRandomNumbers)?;
    Ok(format!("tokens_alive_{:016x}", u64::from_ne_bytes(name)))
}

/// Parses a hash in hexadecimal.
fn hash(payload: &str) -> Option<Hash> {
    if payload.len() != 64 || !payload.is_ascii() {
        return None;
    }
    let mut hash = Hash::default();
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&payload[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(hash)
}

/// Why notifications no longer arrive.
#[derive(Debug)]
enum Lost {
    Connection,
    Silence,
    NoRandomNumbers,
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Lost {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection => f.write_str("connection closed"),
            Self::Silence => write!(f, "no notification within {LEASE:?}"),
            Self::NoRandomNumbers => f.write_str("no random numbers"),
            Self::Database(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_parsed_and_anything_else_is_not() {
        assert_eq!(hash(&"0f".repeat(32)), Some([15; 32]));
        for payload in ["", "all", &"0f".repeat(31), &"0g".repeat(32), &"é".repeat(32)] {
            assert_eq!(hash(payload), None, "{payload}");
        }
    }
}
