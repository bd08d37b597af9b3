//! What does the server remember? All in memory, each table behind its own lock, none held across an await.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{
    access_token::AccessTokens, authorization_endpoint::Authorization, clients::Clients,
    endpoints::RequestCounts, grant::Grant, resources::Resources, signing_keys::SigningKeys,
    single_use::SingleUse,
};

pub(super) struct ServerState {
    pub(super) issuer: String,
    pub(super) keys: SigningKeys,
    pub(super) clients: Clients,
    pub(super) resources: Resources,
    pub(super) codes: SingleUse<Authorization>,
    pub(super) access_tokens: AccessTokens,
    pub(super) refresh_tokens: SingleUse<Arc<Grant>>,
    pub(super) requests: RequestCounts,
    /// Seconds by which our clock is ahead of the machine's.
    clock_advance: AtomicU64,
}

impl ServerState {
    pub(super) fn new(issuer: String, keys: SigningKeys) -> Self {
        Self {
            issuer,
            keys,
            clients: Clients::default(),
            resources: Resources::default(),
            codes: SingleUse::new(MAX_CODES),
            access_tokens: AccessTokens::new(),
            refresh_tokens: SingleUse::new(MAX_REFRESH_TOKENS),
            requests: RequestCounts::default(),
            clock_advance: AtomicU64::new(0),
        }
    }

    /// Tells the time in seconds since 1970.
    pub(super) fn now(&self) -> u64 {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        since_1970.expect("the clock is past 1970").as_secs() + self.clock_advance.load(Ordering::Relaxed)
    }

    pub(super) fn advance_clock(&self, by: Duration) {
        self.clock_advance.fetch_add(by.as_secs(), Ordering::Relaxed);
    }
}

/// Who is signed in, always: `sub` of the tokens that come from a code.
pub const DEMONSTRATION_USER: &str = "alice";

/// Codes remembered. They live for a minute; used ones are kept to notice a second use.
const MAX_CODES: usize = 1_024;

/// Refresh tokens remembered, used ones included.
const MAX_REFRESH_TOKENS: usize = 4_096;
