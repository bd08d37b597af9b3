//! The main job in one command: an authorization server, APIs behind our layer, and a client that finds its way from
//! a URL to an answer, over real sockets on this machine.
//!
//! ```sh
//! cargo run --example quickstart              # tells the story; ends with 1 if a step differs from what it should be
//! cargo run --example quickstart -- --serve   # and leaves everything running, with `curl` lines to try
//! ```
//!
//! To see how a service is protected, read `jenkins`, and `cast` for its validators. The rest is there to watch it:
//!
//! | file | question |
//! |---|---|
//! | `cast` | who takes part? |
//! | `jenkins` | what is protected, and how? |
//! | `client` | what does an OAuth client do? |
//! | `road` | how does one get from a URL to an answer? |
//! | `refusals` | what is refused, and what is the client told? |
//! | `outage` | what works while the authorization server is down? |
//! | `journal` | what happens inside an API, and how long does it take? |
//! | `narrative` | is it as it should be? |
//! | `curl` | how can I try it myself? |
#![allow(unreachable_pub, reason = "`pub` marks what other files need")]

#[path = "../authorization_server/mod.rs"]
mod authorization_server;
pub(crate) mod cast;
mod client;
mod curl;
mod jenkins;
mod journal;
pub(crate) mod narrative;
mod outage;
mod refusals;
mod road;

use std::{
    env,
    error::Error,
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use http::Method;

use self::{
    authorization_server::Minting,
    cast::{CLIENT, Cast, OPERATOR, SERVER},
    narrative::{Story, Verdict, shortened},
    refusals::{Refusal, tell_refusal},
    road::{Arrived, Way, bearer, tell_admission},
};

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let ended = match arguments.as_slice() {
        [] => run(false).await,
        [serve] if serve == "--serve" => run(true).await,
        _ => Err("usage: cargo run --example quickstart [-- --serve]".into()),
    };
    match ended {
        Ok(Verdict::AsItShould) => ExitCode::SUCCESS,
        Ok(Verdict::Otherwise) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody is left to be told if this fails, too.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(serve: bool) -> Result<Verdict, Failure> {
    let cast = Cast::assemble(EACH_TIME).await?;
    let mut out = io::stdout();
    let mut story = Story::new(&mut out);
    let told = tell(&mut story, &cast).await;
    let verdict = story.end(&told)?;
    if serve {
        curl::serve(&mut out, &cast).await?;
    }
    Ok(verdict)
}

/// Tells the whole story: ten steps with a JWT, ten with an opaque token, then all that is refused.
pub(crate) async fn tell(story: &mut Story<'_>, cast: &Cast) -> Result<(), Failure> {
    let Cast { server, jwt, opaque, cached, .. } = cast;
    cast.introduce(story);

    story.chapter("A JWT: from the URL of an API to its answer");
    let with_jwt = road::walk(story, cast, jwt, &Way::VERIFIES_WITH_NEW_KEYS).await?;

    story.chapter("The same JWT again");
    let call = cast.call(jwt, Method::GET, Some(&bearer(&with_jwt.token))).await?;
    tell_admission(story, jwt, "GET, with the same token", &Way::REMEMBERS, &call, 200);

    story.chapter("More scope");
    trigger_a_build(story, cast, &with_jwt).await?;

    story.chapter("An opaque token: the same road, but the API asks the server");
    let with_opaque = road::walk(story, cast, opaque, &Way::FINDS_AND_INTROSPECTS).await?;

    story.chapter("The same opaque token again");
    let call = cast.call(opaque, Method::GET, Some(&bearer(&with_opaque.token))).await?;
    tell_admission(story, opaque, "GET, with the same token", &Way::INTROSPECTS, &call, 200);

    story.chapter("An opaque token, where the server's answers are good for a minute");
    let remembered = server.mint(Minting { resource: &cached.url, scope: "mcp:read", ..Minting::default() });
    let call = cast.call(cached, Method::GET, Some(&bearer(&remembered))).await?;
    tell_admission(story, cached, "GET, with an opaque token", &Way::FINDS_AND_INTROSPECTS, &call, 200);
    let call = cast.call(cached, Method::GET, Some(&bearer(&remembered))).await?;
    tell_admission(story, cached, "GET, with the same token", &Way::REMEMBERS, &call, 200);

    story.chapter("Refused by the JWT API");
    refusals::of_jwts(story, cast).await?;

    story.chapter("Refused by the opaque API");
    refusals::of_opaque_tokens(story, cast).await?;

    story.chapter("Revoked");
    revoke(story, cast, &with_opaque).await?;
    let call = cast.call(opaque, Method::GET, Some(&bearer(&with_opaque.token))).await?;
    tell_refusal(story, opaque, "GET, at once", &Refusal::invalid_token("Inactive"), &call);
    server.revoke(&remembered);
    story.step(OPERATOR, SERVER, "revokes the token that is remembered for a minute");
    let call = cast.call(cached, Method::GET, Some(&bearer(&remembered))).await?;
    tell_admission(story, cached, "GET, within the minute", &Way::REMEMBERS, &call, 200);
    revoke(story, cast, &with_jwt).await?;
    let call = cast.call(jwt, Method::GET, Some(&bearer(&with_jwt.token))).await?;
    tell_admission(story, jwt, "GET: a JWT is good until it expires", &Way::REMEMBERS, &call, 200);

    story.chapter("The authorization server is down");
    outage::tell(story, cast).await
}

/// Asks for the scope that a refusal names, beside the one there is, and uses it.
async fn trigger_a_build(story: &mut Story<'_>, cast: &Cast, arrived: &Arrived) -> Result<(), Failure> {
    let api = &cast.jwt;
    let call = cast.call(api, Method::POST, Some(&bearer(&arrived.token))).await?;
    let refusal =
        Refusal { reason: "InsufficientScope", status: 403, told: "insufficient_scope, scope mcp:write" };
    tell_refusal(story, api, "POST, to trigger a build, with the token for reading", &refusal, &call);
    let more = call.answer.challenge().remove("scope").ok_or("the refusal names no scope")?;

    let scope = format!("mcp:read {more}");
    let token = road::obtain_token(story, cast, api, &arrived.server, &arrived.registration, &scope).await?;
    let call = cast.call(api, Method::POST, Some(&bearer(&token))).await?;
    tell_admission(story, api, "POST, with the new token", &Way::VERIFIES, &call, 202);
    Ok(())
}

/// Lets the client take back its own token (RFC 7009).
async fn revoke(story: &mut Story<'_>, cast: &Cast, arrived: &Arrived) -> Result<(), Failure> {
    let Arrived { server, registration, token } = arrived;
    let answer = cast.client.revoke(server, &registration.client_id, token).await?;
    let what = format!("POST /revoke: the token {} (RFC 7009)", shortened(token));
    story.exchange(CLIENT, SERVER, what, 200, &answer);
    Ok(())
}

/// How long the opaque API may rely on an answer: a revocation counts at once.
pub(crate) const EACH_TIME: Duration = Duration::ZERO;
