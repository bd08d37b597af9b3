//! The table of tokens in SQLite or PostgreSQL: [`Database`].
//!
//! Both databases get the same queries, and a schema each. Every query has a deadline, so that a database that does not answer
//! becomes an error.

use std::{
    str::FromStr as _,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use sqlx::{
    AnyConnection, AnyPool, ConnectOptions as _, Executor as _, Row as _,
    any::{AnyConnectOptions, AnyPoolOptions, AnyRow},
};
use tower_bearer::UnixTime;

/// SHA-256 of a token.
pub(crate) type Hash = [u8; 32];

/// A pool of connections.
#[derive(Debug)]
pub(crate) struct Database {
    pool: AnyPool,
    kind: Kind,
    look_ups: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

/// A token's row.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) subject: String,
    pub(crate) scope: String,
    pub(crate) expires_at: UnixTime,
    pub(crate) revoked: bool,
}

/// Maximum number of connections.
const MAX_CONNECTIONS: u32 = 10;

/// Maximum time to wait for a connection. A request waits for this long while the database is down.
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// Maximum time for a query, with the wait for a connection.
const QUERY_DEADLINE: Duration = Duration::from_secs(2);

impl Database {
    /// Connects and creates the table if there is none.
    pub(crate) async fn open(url: &str) -> sqlx::Result<Self> {
        sqlx::any::install_default_drivers();
        let pool = AnyPoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .acquire_timeout(CONNECT_DEADLINE)
            .after_connect(|connection, _| Box::pin(set_deadlines(connection)))
            .connect_with(AnyConnectOptions::from_str(url)?.disable_statement_logging())
            .await?;
        let kind = kind(&*pool.acquire().await?);
        let schema = match kind {
            Kind::Sqlite => include_str!("schema/sqlite.sql"),
            Kind::Postgres => include_str!("schema/postgres.sql"),
        };
        sqlx::raw_sql(schema).execute(&pool).await?;
        Ok(Self { pool, kind, look_ups: AtomicU64::new(0) })
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Finds the row of a token.
    pub(crate) async fn find(&self, hash: &Hash) -> sqlx::Result<Option<Row>> {
        self.look_ups.fetch_add(1, Ordering::Relaxed);
        // `Any` has no BOOLEAN that both databases share.
        let query = "SELECT subject, scope, expires_at, CASE WHEN revoked THEN 1 ELSE 0 END AS revoked
                     FROM tokens WHERE hash = $1";
        let row = in_time(sqlx::query(query).bind(&hash[..]).fetch_optional(&self.pool)).await?;
        row.map(|row| {
            Ok(Row {
                subject: row.try_get("subject")?,
                scope: row.try_get("scope")?,
                expires_at: expires_at(&row)?,
                revoked: row.try_get::<i64, _>("revoked")? != 0,
            })
        })
        .transpose()
    }

    /// Adds a token. The database decides when it expires, and deletes rows that have expired.
    pub(crate) async fn insert(&self, hash: &Hash, subject: &str, scope: &str) -> sqlx::Result<UnixTime> {
        let query = "INSERT INTO tokens (hash, subject, scope) VALUES ($1, $2, $3) RETURNING expires_at";
        let query = sqlx::query(query).bind(&hash[..]).bind(subject).bind(scope);
        expires_at(&in_time(query.fetch_one(&self.pool)).await?)
    }

    /// Revokes one token. Returns the tokens that were not revoked before.
    pub(crate) async fn revoke(&self, hash: &Hash) -> sqlx::Result<Vec<Hash>> {
        let query = "UPDATE tokens SET revoked = TRUE WHERE hash = $1 AND NOT revoked RETURNING hash";
        hashes(&in_time(sqlx::query(query).bind(&hash[..]).fetch_all(&self.pool)).await?)
    }

    /// Revokes all tokens of a subject. Returns the tokens that were not revoked before.
    pub(crate) async fn revoke_all_of(&self, subject: &str) -> sqlx::Result<Vec<Hash>> {
        let query = "UPDATE tokens SET revoked = TRUE WHERE subject = $1 AND NOT revoked RETURNING hash";
        hashes(&in_time(sqlx::query(query).bind(subject).fetch_all(&self.pool)).await?)
    }

    /// Sends a notification to everybody who listens to a channel of PostgreSQL.
    pub(crate) async fn notify(&self, channel: &str, payload: &str) -> sqlx::Result<()> {
        let query = sqlx::query("SELECT pg_notify($1, $2)").bind(channel).bind(payload);
        in_time(query.execute(&self.pool)).await.map(drop)
    }

    /// Returns how many tokens were looked up.
    pub(crate) fn look_ups(&self) -> u64 {
        self.look_ups.load(Ordering::Relaxed)
    }
}

pub(crate) fn kind(connection: &AnyConnection) -> Kind {
    if connection.backend_name() == "SQLite" { Kind::Sqlite } else { Kind::Postgres }
}

/// Sets a deadline in the database too, so that an abandoned query does not occupy a connection.
async fn set_deadlines(connection: &mut AnyConnection) -> sqlx::Result<()> {
    let setting = match kind(connection) {
        Kind::Sqlite => "PRAGMA busy_timeout = 1500",
        Kind::Postgres => "SET statement_timeout = 1500", // milliseconds
    };
    connection.execute(setting).await.map(drop)
}

async fn in_time<T>(query: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    tokio::time::timeout(QUERY_DEADLINE, query).await.map_err(|_| sqlx::Error::PoolTimedOut)?
}

fn expires_at(row: &AnyRow) -> sqlx::Result<UnixTime> {
    let seconds: i64 = row.try_get("expires_at")?;
    u64::try_from(seconds).map(UnixTime::from_secs).map_err(|error| sqlx::Error::Decode(error.into()))
}

fn hashes(rows: &[AnyRow]) -> sqlx::Result<Vec<Hash>> {
    let hash = |row: &AnyRow| {
        let bytes: &[u8] = row.try_get("hash")?;
        Hash::try_from(bytes).map_err(|error| sqlx::Error::Decode(error.into()))
    };
    rows.iter().map(hash).collect()
}
