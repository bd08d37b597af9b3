//! Requests that must be refused: the reason that the API records, and what the client gets to know.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::Method;
use tower_bearer::ValidationError;

use super::{
    Failure,
    authorization_server::{Minting, TokenFormat},
    client::Answer,
    jenkins::Jenkins,
    participants::{CLIENT, Call, Participants, SERVER, ServerRequests},
    recorder::Outcome,
    report::Report,
    token_flow::bearer,
};

/// The expected refusal of a request.
pub struct ExpectedRefusal {
    /// The variant of [`ValidationError`].
    pub reason: &'static str,
    pub status: u16,
    /// The error and the scope of the challenge.
    pub challenge: &'static str,
}

impl ExpectedRefusal {
    pub const fn invalid_token(reason: &'static str) -> Self {
        Self { reason, status: 401, challenge: "invalid_token, scope mcp:read" }
    }
}

/// Sends requests to the JWT API that it must refuse.
pub async fn by_jwt_api(report: &mut Report<'_>, participants: &Participants) -> Result<(), Failure> {
    let Participants { server, jwt: api, opaque, .. } = participants;
    let good = Minting { resource: &api.url, scope: "mcp:read", ..Minting::default() };
    let valid = server.mint(good.clone());
    let expired = server.mint(Minting { age: 2 * HOUR, lifetime: HOUR, ..good.clone() });
    let for_another = server.mint(Minting { resource: &opaque.url, format: JWT, ..good.clone() });
    let without_scope = server.mint(Minting { scope: "profile", ..good });

    let no_token = ExpectedRefusal { reason: "NoCredentials", status: 401, challenge: "scope mcp:read" };
    let malformed = ExpectedRefusal {
        reason: "MalformedCredentials",
        status: 400,
        challenge: "invalid_request, scope mcp:read",
    };
    let insufficient = ExpectedRefusal {
        reason: "InsufficientScope",
        status: 403,
        challenge: "insufficient_scope, scope mcp:read",
    };
    let invalid = ExpectedRefusal::invalid_token;
    let before = ServerRequests::count(server);
    for (what, authorization, refusal) in [
        ("no token", None, no_token),
        ("malformed header: \"Bearer a b\"", Some("Bearer a b".to_owned()), malformed),
        (
            "not a JWT: \"Bearer not-a-token\"",
            Some("Bearer not-a-token".to_owned()),
            invalid("MalformedToken"),
        ),
        ("expired an hour ago", Some(bearer(&expired)), invalid("Expired")),
        ("signature changed", Some(bearer(&with_other_signature(&valid)?)), invalid("BadSignature")),
        ("mcp:write added to the payload", Some(bearer(&with_more_scope(&valid)?)), invalid("BadSignature")),
        ("for another audience", Some(bearer(&for_another)), invalid("AudienceMismatch")),
        ("without the scope", Some(bearer(&without_scope)), insufficient),
    ] {
        let call = participants.call(api, Method::GET, authorization.as_deref()).await?;
        report_refusal(report, api, &format!("GET, {what}"), &refusal, &call);
    }
    // A wrong signature can mean that the key was replaced. The API fetches the keys once to find out, then waits before
    // it does so again.
    let sent = ServerRequests::count(server).since(before);
    report.check(SERVER, "requests received for all of these", "1 × keys", sent);
    Ok(())
}

/// Sends requests to the opaque API that it must refuse. The server only says that these tokens are not active.
pub async fn by_opaque_api(report: &mut Report<'_>, participants: &Participants) -> Result<(), Failure> {
    let Participants { server, opaque: api, cached, .. } = participants;
    let good = Minting { resource: &api.url, scope: "mcp:read", ..Minting::default() };
    let expired = server.mint(Minting { age: 2 * HOUR, lifetime: HOUR, ..good.clone() });
    let for_another = server.mint(Minting { resource: &cached.url, ..good });
    for (what, token) in [
        ("a token that was never issued", "not-a-token"),
        ("expired an hour ago", &expired),
        ("for another audience", &for_another),
    ] {
        let call = participants.call(api, Method::GET, Some(&bearer(token))).await?;
        let refusal = ExpectedRefusal::invalid_token("Inactive");
        report_refusal(report, api, &format!("GET, {what}"), &refusal, &call);
        report.check(SERVER, "requests received", "1 × introspection", call.server_requests);
    }
    Ok(())
}

/// Reports a call that is refused, as one step.
pub fn report_refusal(
    report: &mut Report<'_>,
    api: &Jenkins,
    what: &str,
    expected: &ExpectedRefusal,
    call: &Call,
) {
    let Call { answer, record, .. } = call;
    report.exchange(CLIENT, api.name, what, expected.status, answer);
    match &record.outcome {
        Outcome::Refused(reason) => {
            let (error, micros) = (reason.error(), record.layer_took.as_micros());
            report.check(api.name, "reason", expected.reason, variant_name(error));
            report.note(api.name, format_args!("layer took {micros} µs: {error}"));
        }
        Outcome::Admitted(view) => {
            report.check(api.name, "reason", expected.reason, format_args!("admitted, handler sees {view}"));
        }
    }
    report.check(CLIENT, "challenge", expected.challenge, challenge_summary(answer));
}

/// The error and the scope of the challenge, if there is one.
fn challenge_summary(answer: &Answer) -> String {
    if answer.header("www-authenticate").is_none() {
        return NO_CHALLENGE.to_owned();
    }
    let challenge = answer.challenge();
    let error = challenge.get("error").cloned();
    let scope = challenge.get("scope").map(|scope| format!("scope {scope}"));
    error.into_iter().chain(scope).collect::<Vec<_>>().join(", ")
}

/// Without a challenge, a client keeps its token.
pub const NO_CHALLENGE: &str = "none";

fn variant_name(error: &ValidationError) -> String {
    let text = format!("{error:?}");
    text.chars().take_while(|character| character.is_alphanumeric()).collect()
}

/// Changes the first character of the signature. The last one also encodes bits that are not part of it.
fn with_other_signature(jwt: &str) -> Result<String, Failure> {
    let (signed, signature) = jwt.rsplit_once('.').ok_or("the token is not a JWT")?;
    let (first, rest) = signature.split_at_checked(1).ok_or("the JWT has no signature")?;
    Ok(format!("{signed}.{}{rest}", if first == "A" { "B" } else { "A" }))
}

/// Adds a scope to the payload and leaves the signature unchanged.
fn with_more_scope(jwt: &str) -> Result<String, Failure> {
    let [header, payload, signature] = jwt.split('.').collect::<Vec<_>>()[..] else {
        return Err("the token is not a JWT".into());
    };
    let payload = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(payload)?)?;
    let payload = BASE64_URL_SAFE_NO_PAD.encode(payload.replace("mcp:read", "mcp:read mcp:write"));
    Ok(format!("{header}.{payload}.{signature}"))
}

const HOUR: Duration = Duration::from_secs(3_600);
const JWT: Option<TokenFormat> = Some(TokenFormat::Jwt);
