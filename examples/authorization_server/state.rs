//! What the server stores. Everything is in memory; no lock is held across an await.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::rand;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{
    access_token::SigningKey,
    authentication::{Authentication, Sessions},
    authorization_endpoint::{Authorization, AuthorizationRequest},
    consent::PendingDecision,
    endpoints::RequestCounts,
    issued_tokens::IssuedTokens,
    registration::Clients,
    resources::{Resource, Resources, ScopeSet},
};

pub(super) struct ServerState {
    pub(super) issuer: String,
    pub(super) signing_key: SigningKey,
    pub(super) clients: Clients,
    pub(super) resources: Resources,
    pub(super) sessions: Sessions,
    /// Login pages that were shown.
    pub(super) sign_ins: SingleUse<Arc<AuthorizationRequest>>,
    /// Consent pages that were shown.
    pub(super) decisions: SingleUse<PendingDecision>,
    pub(super) codes: SingleUse<Authorization>,
    pub(super) access_tokens: IssuedTokens,
    pub(super) refresh_tokens: SingleUse<Arc<Grant>>,
    pub(super) requests: RequestCounts,
    /// Seconds by which this clock is ahead of the system clock.
    clock_advance: AtomicU64,
}

impl ServerState {
    pub(super) fn new(issuer: String) -> Self {
        Self {
            issuer,
            signing_key: SigningKey::generate(),
            clients: Clients::default(),
            resources: Resources::default(),
            sessions: Sessions::default(),
            sign_ins: SingleUse::default(),
            decisions: SingleUse::default(),
            codes: SingleUse::default(),
            access_tokens: IssuedTokens::default(),
            refresh_tokens: SingleUse::default(),
            requests: RequestCounts::default(),
            clock_advance: AtomicU64::new(0),
        }
    }

    /// Returns the time in seconds since 1970.
    pub(super) fn now(&self) -> u64 {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        since_1970.expect("the clock is past 1970").as_secs() + self.clock_advance.load(Ordering::Relaxed)
    }

    /// Revokes everything that users granted to a client.
    pub(super) fn revoke_grants_of(&self, client_id: &str) {
        let of_client = |grant: &Grant| grant.client_id == client_id;
        self.codes.for_each(|code| {
            if of_client(&code.grant) {
                code.grant.revoke();
            }
        });
        self.refresh_tokens.for_each(|grant| {
            if of_client(grant) {
                grant.revoke();
            }
        });
        self.access_tokens.revoke_grants_of(client_id);
    }

    pub(super) fn advance_clock(&self, by: Duration) {
        self.clock_advance.fetch_add(by.as_secs(), Ordering::Relaxed);
    }
}

/// What a user agreed to (RFC 6749 section 1.3). Revoking it revokes all of its codes and tokens.
pub(super) struct Grant {
    pub(super) client_id: String,
    pub(super) subject: String,
    pub(super) resource: Arc<Resource>,
    pub(super) scope: ScopeSet,
    /// `None` if the token was minted without a sign-in.
    pub(super) authentication: Option<Authentication>,
    revoked: AtomicBool,
}

impl Grant {
    pub(super) fn new(
        client_id: &str,
        subject: &str,
        resource: Arc<Resource>,
        scope: ScopeSet,
        authentication: Option<Authentication>,
    ) -> Arc<Self> {
        let (client_id, subject) = (client_id.to_owned(), subject.to_owned());
        let revoked = AtomicBool::new(false);
        Arc::new(Self { client_id, subject, resource, scope, authentication, revoked })
    }

    pub(super) fn revoke(&self) {
        self.revoked.store(true, Ordering::Release);
    }

    pub(super) fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Acquire)
    }
}

/// Codes, refresh tokens or pages, each of which works once (RFC 6749 section 4.1.2, RFC 9700 section 4.14.2).
///
/// Used ones are kept, because a second use may mean that one was stolen.
pub(super) struct SingleUse<V>(Mutex<HashMap<String, Entry<V>>>);

struct Entry<V> {
    value: V,
    expires_at: u64,
    used: bool,
}

/// The result of using a code or a refresh token.
pub(super) enum Usage<V> {
    First(V),
    Repeated(V),
    /// Never issued, or expired.
    Unknown,
}

impl<V: Clone> SingleUse<V> {
    /// Creates a code or token for `value` that expires at `expires_at`, in seconds since 1970.
    pub(super) fn issue(&self, value: V, expires_at: u64) -> String {
        let text = random_text();
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.insert(text.clone(), Entry { value, expires_at, used: false });
        text
    }

    /// Returns the value of a code or token without using it, even if it was used or has expired.
    pub(super) fn find(&self, presented: &str) -> Option<V> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(presented).map(|entry| entry.value.clone())
    }

    pub(super) fn for_each(&self, mut apply: impl FnMut(&V)) {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.values().for_each(|entry| apply(&entry.value));
    }

    /// Uses a code or token. The lock is held throughout, so only one of two concurrent calls is the first.
    pub(super) fn consume(&self, presented: &str, now: u64) -> Usage<V> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match entries.get_mut(presented) {
            None => Usage::Unknown,
            Some(entry) if entry.used => Usage::Repeated(entry.value.clone()),
            Some(entry) if entry.expires_at <= now => Usage::Unknown,
            Some(entry) => {
                entry.used = true;
                Usage::First(entry.value.clone())
            }
        }
    }
}

impl<V> Default for SingleUse<V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// Returns 256 random bits in base64url. RFC 6749 section 10.10 requires at least 128 for secrets.
pub(super) fn random_text() -> String {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).expect("the operating system provides random bytes");
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The one user of this server: `sub` of all tokens that come from a code.
pub const USER: &str = "alice";

/// How long a login or consent page can be submitted, in seconds.
pub(super) const PAGE_LIFETIME: u64 = 600;
