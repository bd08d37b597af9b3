//! How does a demonstration get any token it wants to show? By the back door, which no real server has.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    access_token::{ACCESS_TOKEN_LIFETIME, Validity, claims},
    grant::Grant,
    resources::{Resource, TokenFormat},
    scope::ScopeSet,
    secret::Secret,
    state::{DEMONSTRATION_USER, ServerState},
};

/// Describes a token to be minted: whatever it says, it is properly signed or stored.
///
/// ```ignore
/// server.mint(Minting { resource: "http://127.0.0.1:4000/mcp", scope: "mcp:read", ..Minting::default() });
/// ```
#[derive(Debug, Clone)]
pub struct Minting<'a> {
    /// `sub`; by default the demonstration user.
    pub subject: &'a str,
    /// `aud`; also one that was never added.
    pub resource: &'a str,
    /// Separated by spaces; also scopes that the resource does not have.
    pub scope: &'a str,
    /// From issue to expiry; by default one hour.
    pub lifetime: Duration,
    /// Time that has passed since the issue. With an age above the lifetime, the token has expired.
    pub age: Duration,
    /// `None` stands for the format of the resource, and for a JWT if the resource was never added.
    pub format: Option<TokenFormat>,
    /// Claims to be added or changed; `Value::Null` leaves one out.
    pub claims: BTreeMap<&'a str, Value>,
}

impl Default for Minting<'_> {
    fn default() -> Self {
        Self {
            subject: DEMONSTRATION_USER,
            resource: "",
            scope: "",
            lifetime: Duration::from_secs(ACCESS_TOKEN_LIFETIME),
            age: Duration::ZERO,
            format: None,
            claims: BTreeMap::new(),
        }
    }
}

impl ServerState {
    pub(super) fn mint(&self, minting: Minting<'_>) -> Secret {
        let registered = self.resources.find(minting.resource);
        let format = minting.format.or(registered.as_ref().map(|resource| resource.format));
        let resource = match registered {
            Some(resource) if Some(resource.format) == format => resource,
            _ => Arc::new(Resource::unregistered(minting.resource, format.unwrap_or(TokenFormat::Jwt))),
        };
        let scope = ScopeSet::parse(minting.scope);
        let grant = Grant::new(MINTING_CLIENT, minting.subject, resource, scope.clone());

        let issued_at = self.now().saturating_sub(minting.age.as_secs());
        let validity =
            Validity { issued_at, expires_at: issued_at.saturating_add(minting.lifetime.as_secs()) };
        let mut claims = claims(&self.issuer, &grant, &scope, &validity);
        for (name, value) in minting.claims {
            match value {
                Value::Null => claims.remove(name),
                value => claims.insert(name.to_owned(), value),
            };
        }
        self.write_access_token(grant, claims)
    }
}

/// `client_id` of minted tokens; no such client is registered.
const MINTING_CLIENT: &str = "back-door";
