//! What is refused, why, and what does the client get to know of it?

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::Method;
use tower_bearer::ValidationError;

use super::{
    Failure,
    authorization_server::{Minting, TokenFormat},
    cast::{CLIENT, Call, Cast, Requests, SERVER},
    client::Answer,
    jenkins::Jenkins,
    journal::Fate,
    narrative::Story,
    road::{NOTHING, bearer},
};

/// A refusal as it should be: the API knows the reason, the client is told how to get on.
pub struct Refusal {
    /// The variant of [`ValidationError`].
    pub reason: &'static str,
    pub status: u16,
    /// The error and the scope of the challenge.
    pub told: &'static str,
}

impl Refusal {
    pub const fn invalid_token(reason: &'static str) -> Self {
        Self { reason, status: 401, told: "invalid_token, scope mcp:read" }
    }
}

/// Presents to the JWT API one thing after another that it must refuse.
pub async fn of_jwts(story: &mut Story<'_>, cast: &Cast) -> Result<(), Failure> {
    let api = &cast.jwt;
    let good = Minting { resource: &api.url, scope: "mcp:read", ..Minting::default() };
    let valid = cast.server.mint(good.clone());
    let expired = cast.server.mint(Minting { age: 2 * HOUR, lifetime: HOUR, ..good.clone() });
    let for_another = cast.server.mint(Minting { resource: &cast.opaque.url, format: JWT, ..good.clone() });
    let without_scope = cast.server.mint(Minting { scope: "profile", ..good });

    let no_token = Refusal { reason: "NoCredentials", status: 401, told: "scope mcp:read" };
    let malformed =
        Refusal { reason: "MalformedCredentials", status: 400, told: "invalid_request, scope mcp:read" };
    let too_little =
        Refusal { reason: "InsufficientScope", status: 403, told: "insufficient_scope, scope mcp:read" };
    let token = Refusal::invalid_token;
    let before = Requests::so_far(&cast.server);
    for (what, authorization, refusal) in [
        ("no token", None, no_token),
        ("malformed: \"Bearer a b\"", Some("Bearer a b".to_owned()), malformed),
        ("no JWT: \"Bearer not-a-token\"", Some("Bearer not-a-token".to_owned()), token("MalformedToken")),
        ("expired an hour ago", Some(bearer(&expired)), token("Expired")),
        ("tampered: another signature", Some(bearer(&with_other_signature(&valid)?)), token("BadSignature")),
        ("tampered: mcp:write written in", Some(bearer(&with_more_scope(&valid)?)), token("BadSignature")),
        ("for another audience", Some(bearer(&for_another)), token("AudienceMismatch")),
        ("too little scope", Some(bearer(&without_scope)), too_little),
    ] {
        let call = cast.call(api, Method::GET, authorization.as_deref()).await?;
        tell_refusal(story, api, &format!("GET, {what}"), &refusal, &call);
    }
    // The keys were fetched once, for the first token of all.
    let asked = Requests::so_far(&cast.server).since(before);
    story.check(SERVER, "is asked, for all of these together, for", NOTHING, asked);
    Ok(())
}

/// The same for the opaque API, where it is the server that knows; it says no more than "not active".
pub async fn of_opaque_tokens(story: &mut Story<'_>, cast: &Cast) -> Result<(), Failure> {
    let api = &cast.opaque;
    let good = Minting { resource: &api.url, scope: "mcp:read", ..Minting::default() };
    let expired = cast.server.mint(Minting { age: 2 * HOUR, lifetime: HOUR, ..good.clone() });
    let for_another = cast.server.mint(Minting { resource: &cast.cached.url, ..good });
    for (what, token) in [
        ("a token that nobody issued", "not-a-token"),
        ("expired an hour ago", &expired),
        ("for another audience", &for_another),
    ] {
        let call = cast.call(api, Method::GET, Some(&bearer(token))).await?;
        tell_refusal(story, api, &format!("GET, {what}"), &Refusal::invalid_token("Inactive"), &call);
        story.check(SERVER, "is asked for", "1 × introspection", call.asked);
    }
    Ok(())
}

/// One step: the call, the reason that the API noted, the answer that the client got.
pub fn tell_refusal(story: &mut Story<'_>, api: &Jenkins, what: &str, refusal: &Refusal, call: &Call) {
    let Call { answer, visit, .. } = call;
    story.exchange(CLIENT, api.name, what, refusal.status, answer);
    match &visit.fate {
        Fate::Refused(reason) => {
            story.check(api.name, "reason", refusal.reason, name_of(reason.error()));
            story.note(
                api.name,
                format_args!("checked in {} µs: {}", visit.checked_in.as_micros(), reason.error()),
            );
        }
        Fate::Admitted(seen) => story.check(api.name, "reason", refusal.reason, seen),
    }
    story.check(CLIENT, "is told", refusal.told, told(answer));
}

/// What a challenge says of the reason, and of what to do.
fn told(answer: &Answer) -> String {
    if answer.header("www-authenticate").is_none() {
        return NO_CHALLENGE.to_owned();
    }
    let challenge = answer.challenge();
    let error = challenge.get("error").cloned();
    let scope = challenge.get("scope").map(|scope| format!("scope {scope}"));
    error.into_iter().chain(scope).collect::<Vec<_>>().join(", ")
}

/// What a client is told that may keep its token.
pub const NO_CHALLENGE: &str = "no challenge";

/// The name of the variant, with which `Debug` begins.
fn name_of(error: &ValidationError) -> String {
    let text = format!("{error:?}");
    text.chars().take_while(|character| character.is_alphanumeric()).collect()
}

/// Changes the first character of the signature; the last one has bits that do not count.
fn with_other_signature(jwt: &str) -> Result<String, Failure> {
    let (signed, signature) = jwt.rsplit_once('.').ok_or("no JWT was minted")?;
    let (first, rest) = signature.split_at_checked(1).ok_or("the JWT has no signature")?;
    Ok(format!("{signed}.{}{rest}", if first == "A" { "B" } else { "A" }))
}

/// Writes a scope into the payload that was not granted, and leaves the signature as it is.
fn with_more_scope(jwt: &str) -> Result<String, Failure> {
    let [header, payload, signature] = jwt.split('.').collect::<Vec<_>>()[..] else {
        return Err("no JWT was minted".into());
    };
    let payload = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(payload)?)?;
    let payload = BASE64_URL_SAFE_NO_PAD.encode(payload.replace("mcp:read", "mcp:read mcp:write"));
    Ok(format!("{header}.{payload}.{signature}"))
}

const HOUR: Duration = Duration::from_secs(3_600);
const JWT: Option<TokenFormat> = Some(TokenFormat::Jwt);
