//! What works while the authorization server is down, and after it is back.

use http::Method;

use super::{
    Failure,
    authorization_server::Minting,
    participants::{CLIENT, OPERATOR, Participants, SERVER},
    refusals::{ExpectedRefusal, NO_CHALLENGE, report_refusal},
    report::{Report, or_absent},
    token_flow::{ExpectedValidation, bearer, report_admission},
};

pub async fn run(report: &mut Report<'_>, participants: &Participants) -> Result<(), Failure> {
    let Participants { server, jwt, opaque, cached, .. } = participants;
    let mint = |resource: &str| server.mint(Minting { resource, scope: "mcp:read", ..Minting::default() });
    let (new_jwt, opaque_token, cached_token) = (mint(&jwt.url), mint(&opaque.url), mint(&cached.url));
    let call = participants.call(cached, Method::GET, Some(&bearer(&cached_token))).await?;
    let introspected = &ExpectedValidation::INTROSPECTED;
    report_admission(report, cached, "GET, with another opaque token", introspected, &call, 200);

    server.stop().await;
    report.step(OPERATOR, SERVER, "stops it: port closed, connections cut");

    let call = participants.call(jwt, Method::GET, Some(&bearer(&new_jwt))).await?;
    report_admission(
        report,
        jwt,
        "GET, with a JWT that is not cached",
        &ExpectedValidation::NEW_JWT,
        &call,
        200,
    );
    let call = participants.call(cached, Method::GET, Some(&bearer(&cached_token))).await?;
    report_admission(report, cached, "GET, with the cached token", &ExpectedValidation::CACHED, &call, 200);

    // Not 401: the token is good, and a 401 would make the client discard it.
    let unavailable =
        ExpectedRefusal { reason: "IntrospectionUnavailable", status: 503, challenge: NO_CHALLENGE };
    let call = participants.call(opaque, Method::GET, Some(&bearer(&opaque_token))).await?;
    report_refusal(report, opaque, "GET, with an opaque token", &unavailable, &call);
    let retry_after = call.answer.header("retry-after");
    let seconds = retry_after.and_then(|seconds| seconds.parse::<u32>().ok()).filter(|seconds| *seconds > 0);
    let found = seconds.map_or("(absent)", |_| "a number of seconds");
    report.check(CLIENT, "Retry-After", "a number of seconds", found);
    report.note(CLIENT, format_args!("Retry-After: {}", or_absent(retry_after)));

    server.start_again().await?;
    report.step(OPERATOR, SERVER, "starts it again");
    let call = participants.call(opaque, Method::GET, Some(&bearer(&opaque_token))).await?;
    report_admission(report, opaque, "GET, with the token that got 503", introspected, &call, 200);
    Ok(())
}
