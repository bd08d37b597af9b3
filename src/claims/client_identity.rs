//! What is left out: the names under which a token tells who the client is.

use super::parse::push_name;
use crate::{ClaimError, strict_json::Members};

/// Tells whether a member names or describes the client. A resource server never learns it.
pub(crate) fn is_client_identifier(name: &str) -> bool {
    CLIENT_IDENTIFIERS.contains(&name)
}

/// Names under which authorization servers tell who the client is.
///
/// `client_id` (RFC 7662, RFC 8693, RFC 9068), `azp` (OpenID Connect), Okta's and SAP's `cid`, Entra's `appid`,
/// `app_displayname`, `appidacr` and `azpacr` (the last two tell how the client authenticated), Keycloak's `clientId`,
/// `clientHost` and `clientAddress`, the
/// metadata of RFC 7591 that some copy into tokens, and `issued_to` of Google's token information.
const CLIENT_IDENTIFIERS: [&str; 13] = [
    "client_id",
    "azp",
    "cid",
    "appid",
    "app_displayname",
    "appidacr",
    "azpacr",
    "clientId",
    "clientHost",
    "clientAddress",
    "client_name",
    "client_uri",
    "issued_to",
];

/// Copies an actor (RFC 8693 sections 4.1 and 4.4) without what identifies a client, at any depth of delegation.
pub(super) fn push_actor(json: &mut String, claim: &'static str, value: &str) -> Result<(), ClaimError> {
    let not_an_object = || ClaimError::wrong_type(claim, "an object (RFC 8693 section 4.1)");
    let members = Members::parse(value.as_bytes()).map_err(|_| not_an_object())?;
    json.push('{');
    for member in members.iter().filter(|member| !is_client_identifier(&member.name)) {
        push_name(json, &member.name);
        match &*member.name {
            // The depth was counted when the outermost object was read.
            "act" | "may_act" => push_actor(json, claim, member.value)?,
            _ => json.push_str(member.value),
        }
    }
    json.push('}');
    Ok(())
}
