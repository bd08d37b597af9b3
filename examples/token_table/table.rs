//! Issues, validates and revokes tokens: [`TokenTable`].

use std::sync::Arc;

use tokio::task::JoinSet;
use tower_bearer::{AccessToken, ClaimsSet, TokenValidator, UnixTime, ValidatedToken, ValidationError};

use super::{
    database::{Database, Hash, Kind},
    notifications,
    recent::RecentTokens,
    token_format,
};

/// The tokens of this service.
#[derive(Debug)]
pub(crate) struct TokenTable {
    database: Arc<Database>,
    recent: Arc<RecentTokens>,
    /// Receives notifications until the table is dropped. Empty for SQLite.
    _listener: JoinSet<()>,
}

/// A token that was just issued.
#[derive(Debug)]
pub(crate) struct Issued {
    /// Exists nowhere else.
    pub(crate) token: AccessToken,
    pub(crate) expires_at: UnixTime,
}

/// What to revoke.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Revocation<'a> {
    Token(&'a AccessToken),
    AllOf { subject: &'a str },
}

impl TokenTable {
    /// Connects to a database and creates the table if there is none.
    pub(crate) async fn open(url: &str) -> sqlx::Result<Self> {
        let database = Arc::new(Database::open(url).await?);
        let recent = Arc::new(RecentTokens::new());
        let mut listener = JoinSet::new();
        // A lookup in SQLite is a read from this machine, so nothing is reused.
        if database.kind() == Kind::Postgres {
            let (database, recent) = (Arc::clone(&database), Arc::clone(&recent));
            listener.spawn(notifications::listen(url.to_owned(), database, recent));
        }
        Ok(Self { database, recent, _listener: listener })
    }

    /// Issues a token that is valid for one hour.
    pub(crate) async fn issue(&self, subject: &str, scope: &str) -> Result<Issued, ValidationError> {
        let token = token_format::generate().map_err(|_| ValidationError::internal("no random numbers"))?;
        let inserted = self.database.insert(&token.sha256(), subject, scope).await;
        Ok(Issued { token, expires_at: inserted.map_err(ValidationError::unavailable)? })
    }

    /// Revokes tokens. Returns how many were not revoked before. This instance refuses them from now on, and other instances
    /// when the notification arrives.
    pub(crate) async fn revoke(&self, revocation: Revocation<'_>) -> Result<usize, ValidationError> {
        let revoked = match revocation {
            Revocation::Token(token) => self.database.revoke(&token.sha256()).await,
            Revocation::AllOf { subject } => self.database.revoke_all_of(subject).await,
        };
        let revoked = revoked.map_err(|error| {
            // The database may have committed it, even if its answer was lost.
            self.recent.forget_all();
            ValidationError::unavailable(error)
        })?;
        revoked.iter().for_each(|hash| self.recent.forget(hash));
        Ok(revoked.len())
    }

    /// Returns how many tokens were looked up in the database.
    pub(crate) fn look_ups(&self) -> u64 {
        self.database.look_ups()
    }

    async fn look_up(&self, hash: &Hash) -> Result<ValidatedToken, ValidationError> {
        let row = self.database.find(hash).await.map_err(ValidationError::unavailable)?;
        let row = row.ok_or_else(|| ValidationError::refused("token not in the table"))?;
        if row.revoked {
            return Err(ValidationError::refused("token revoked"));
        }
        // The layer checks the expiry on every request, also if the verdict is reused.
        let claims =
            ClaimsSet::new().with_subject(row.subject).with_scopes(&row.scope).with_expiry(row.expires_at);
        Ok(ValidatedToken::from_trusted_claims(claims))
    }
}

impl TokenValidator for TokenTable {
    async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        if !token_format::is_well_formed(token.expose()) {
            return Err(ValidationError::refused("not a token of this service"));
        }
        let hash = token.sha256();
        if let Some(token) = self.recent.find(&hash) {
            return Ok(token);
        }
        let ticket = self.recent.ticket();
        let token = self.look_up(&hash).await?;
        if let Some(ticket) = ticket {
            self.recent.insert(ticket, hash, &token);
        }
        Ok(token)
    }
}
