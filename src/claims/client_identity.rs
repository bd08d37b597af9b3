//! Claims that identify the client: they are dropped while a token is parsed.
//!
//! Kept on purpose: `sub`, also inside `act` and `may_act`, because access decisions need the subject and the actor (RFC 8693
//! section 4.1), even if a server puts a client's identifier there. Nothing in this crate compares it or shows it.

use super::parse::push_name;
use crate::{
    ClaimError,
    strict_json::{self, Members},
};

/// Returns whether a claim with this name identifies or describes the client.
pub(crate) fn is_client_identifier(name: &str) -> bool {
    name.starts_with(CLIENT_PREFIX) || CLIENT_IDENTIFIERS.contains(&name)
}

/// Returns whether a claim identifies or describes the client, by its name or value.
pub(super) fn identifies_client(name: &str, value: &str) -> bool {
    is_client_identifier(name) || is_service_account(name, value)
}

/// Beginning of `client_id` (RFC 7662, RFC 8693, RFC 9068), of client metadata that some servers copy into tokens
/// (`client_name`, `client_uri` of RFC 7591), of `client_auth_method`, and of the claims that Duende IdentityServer takes from
/// the configuration of a client.
const CLIENT_PREFIX: &str = "client_";

/// Other names under which authorization servers say who the client is.
///
/// `azp` (OpenID Connect), Okta's and SAP's `cid`, Entra's `appid`, `app_displayname`, `appidacr` and `azpacr` (the last two
/// tell how the client authenticated), FusionAuth's `applicationId`, Keycloak's `clientId`, `clientHost` and `clientAddress`,
/// and `issued_to` of Google's token information.
const CLIENT_IDENTIFIERS: [&str; 11] = [
    "azp",
    "cid",
    "appid",
    "applicationId",
    "app_displayname",
    "appidacr",
    "azpacr",
    "clientId",
    "clientHost",
    "clientAddress",
    "issued_to",
];

/// Keycloak names the user of a client's service account `service-account-` and the client's identifier. Old versions use that
/// name in the user's e-mail address too.
fn is_service_account(name: &str, value: &str) -> bool {
    matches!(name, "preferred_username" | "email")
        && strict_json::string(value).is_some_and(|text| text.starts_with("service-account-"))
}

/// Copies an actor (RFC 8693 sections 4.1 and 4.4) without what identifies a client, at any depth of delegation.
pub(super) fn push_actor(json: &mut String, claim: &'static str, value: &str) -> Result<(), ClaimError> {
    let not_an_object = || ClaimError::wrong_type(claim, "an object (RFC 8693 section 4.1)");
    let members = Members::parse(value.as_bytes()).map_err(|_| not_an_object())?;
    json.push('{');
    for member in members.iter().filter(|member| !identifies_client(&member.name, member.value)) {
        push_name(json, &member.name);
        match &*member.name {
            // The depth was checked when the outermost object was read.
            "act" | "may_act" => push_actor(json, claim, member.value)?,
            _ => json.push_str(member.value),
        }
    }
    json.push('}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::ClaimsSet;

    fn kept(json: &str) -> String {
        serde_json::to_string(&ClaimsSet::parse(json.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn claims_that_begin_with_client_are_dropped() {
        let json = r#"{"client_id":"c","client_auth_method":"c","client_":{},"clients":"kept","my_client_id":"kept"}"#;

        assert_eq!(kept(json), r#"{"clients":"kept","my_client_id":"kept"}"#);
    }

    #[test]
    fn the_name_of_a_service_account_is_dropped_and_that_of_a_person_is_kept() {
        let account = r#"{"sub":"7","preferred_username":"service-account-c","email":"service-account-c@placeholder.org"}"#;
        let escaped = r#"{"act":{"sub":"7","preferred_\u0075sername":"\u0073ervice-account-c"}}"#;
        let person =
            r#"{"preferred_username":"alice","email":"alice@example.com","name":"service-account-c"}"#;

        assert_eq!(kept(account), r#"{"sub":"7"}"#);
        assert_eq!(kept(escaped), r#"{"act":{"sub":"7"}}"#);
        assert_eq!(kept(person), person);
        assert_eq!(
            kept(r#"{"preferred_username":["service-account-c"]}"#),
            r#"{"preferred_username":["service-account-c"]}"#
        );
    }
}
