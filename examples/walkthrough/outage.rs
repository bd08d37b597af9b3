//! What still works while the authorization server is down, and after?

use http::Method;

use super::{
    Failure,
    authorization_server::Minting,
    cast::{CLIENT, Cast, OPERATOR, SERVER},
    narrative::{Story, or_absent},
    refusals::{NO_CHALLENGE, Refusal, tell_refusal},
    road::{Way, bearer, tell_admission},
};

pub async fn tell(story: &mut Story<'_>, cast: &Cast) -> Result<(), Failure> {
    let mint =
        |resource: &str| cast.server.mint(Minting { resource, scope: "mcp:read", ..Minting::default() });
    let (jwt, opaque, cached) = (mint(&cast.jwt.url), mint(&cast.opaque.url), mint(&cast.cached.url));
    let call = cast.call(&cast.cached, Method::GET, Some(&bearer(&cached))).await?;
    tell_admission(story, &cast.cached, "GET, with another opaque token", &Way::INTROSPECTS, &call, 200);

    cast.server.stop().await;
    story.step(OPERATOR, SERVER, "stops it: port closed, connections cut");

    let call = cast.call(&cast.jwt, Method::GET, Some(&bearer(&jwt))).await?;
    tell_admission(story, &cast.jwt, "GET, with a JWT never seen before", &Way::VERIFIES, &call, 200);
    let call = cast.call(&cast.cached, Method::GET, Some(&bearer(&cached))).await?;
    tell_admission(story, &cast.cached, "GET, with the same token", &Way::REMEMBERS, &call, 200);

    // 401 would make the client throw away a token that is good.
    let unavailable = Refusal { reason: "IntrospectionUnavailable", status: 503, told: NO_CHALLENGE };
    let call = cast.call(&cast.opaque, Method::GET, Some(&bearer(&opaque))).await?;
    tell_refusal(story, &cast.opaque, "GET, with an opaque token", &unavailable, &call);
    let retry_after = call.answer.header("retry-after");
    let seconds = retry_after.and_then(|seconds| seconds.parse::<u32>().ok());
    let when = if seconds.is_some_and(|seconds| seconds > 0) { "soon" } else { "(not said)" };
    story.check(CLIENT, "may come again", "soon", when);
    story.note(CLIENT, format_args!("Retry-After: {}", or_absent(retry_after)));

    cast.server.start_again().await?;
    story.step(OPERATOR, SERVER, "starts it again");
    let call = cast.call(&cast.opaque, Method::GET, Some(&bearer(&opaque))).await?;
    tell_admission(story, &cast.opaque, "GET, with the token that got 503", &Way::INTROSPECTS, &call, 200);
    Ok(())
}
