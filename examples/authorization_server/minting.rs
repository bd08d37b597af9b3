//! Access tokens for examples and tests, without a client. No real server has this.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    access_token::{ACCESS_TOKEN_LIFETIME, Validity, claims},
    resources::{Resource, ScopeSet, TokenFormat},
    state::{Grant, ServerState, USER},
};

/// Describes a token. It is signed or stored like any other, whatever it contains.
///
/// ```ignore
/// server.mint(Minting { resource: "http://127.0.0.1:4000/mcp", scope: "mcp:read", ..Minting::default() });
/// ```
#[derive(Debug, Clone)]
pub struct Minting<'a> {
    /// `sub`. Default: [`USER`].
    pub subject: &'a str,
    /// `aud`. It need not have been added.
    pub resource: &'a str,
    /// Separated by spaces. The resource need not have them.
    pub scope: &'a str,
    /// From issue to expiry. Default: one hour.
    pub lifetime: Duration,
    /// Time since the issue. If it is longer than the lifetime, the token has expired.
    pub age: Duration,
    /// Default: the format of the resource, or a JWT if the resource was not added.
    pub format: Option<TokenFormat>,
    /// Claims to add or replace. `Value::Null` removes a claim.
    pub claims: BTreeMap<&'a str, Value>,
}

impl Default for Minting<'_> {
    fn default() -> Self {
        Self {
            subject: USER,
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
    pub(super) fn mint(&self, minting: Minting<'_>) -> String {
        let added = self.resources.find(minting.resource);
        let format = minting.format.or(added.as_ref().map(|resource| resource.format));
        let resource = match added {
            Some(resource) if Some(resource.format) == format => resource,
            _ => {
                let format = format.unwrap_or(TokenFormat::Jwt);
                Arc::new(Resource::new(minting.resource, format, ScopeSet::parse("")))
            }
        };
        let scope = ScopeSet::parse(minting.scope);
        let grant = Grant::new(MINTING_CLIENT, minting.subject, resource, scope.clone(), None);

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

/// `client_id` of minted tokens. No such client is registered.
const MINTING_CLIENT: &str = "minting";
