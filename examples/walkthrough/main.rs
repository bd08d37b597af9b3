//! Shows the crate at work: an authorization server, three APIs behind our layer, and a client that knows only the URL
//! of an API. They talk over real sockets on this machine.
//!
//! ```sh
//! cargo run --example quickstart                # one line per step; exits with 1 if a check fails
//! cargo run --example quickstart -- --verbose   # also prints every check, and how long everything took
//! cargo run --example quickstart -- --serve     # also serves a page that does the same in a browser, until Ctrl-C
//! ```
//!
//! To see how a service is protected, read `jenkins`, and `participants` for its validators:
//!
//! | file | contents |
//! |---|---|
//! | `participants` | the client, the authorization server, the APIs and their validators |
//! | `jenkins` | a protected API |
//! | `client` | an OAuth client |
//! | `token_flow` | the steps from the URL of an API to its answer |
//! | `refusals` | requests that must be refused |
//! | `outage` | what works while the authorization server is down |
//! | `recorder` | what happens inside an API, and how long it takes |
//! | `report` | prints steps and checks |
//! | `page` | `--serve`: the page, and what it needs of the APIs |
//! | `curl` | `--serve`: commands to try |
#![allow(unreachable_pub, reason = "`pub` marks what other files need")]

#[path = "../authorization_server/mod.rs"]
pub(crate) mod authorization_server;
mod client;
mod curl;
mod jenkins;
mod outage;
pub(crate) mod page;
pub(crate) mod participants;
mod recorder;
mod refusals;
pub(crate) mod report;
mod token_flow;

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
    page::Page,
    participants::{CLIENT, OPERATOR, Participants, SERVER},
    refusals::{ExpectedRefusal, report_refusal},
    report::{Detail, Report, Verdict, shortened},
    token_flow::{ExpectedValidation, Session, bearer, report_admission},
};

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match run(env::args().skip(1)).await {
        Ok(Verdict::AsExpected) => ExitCode::SUCCESS,
        Ok(Verdict::NotAsExpected) => ExitCode::FAILURE,
        Err(error) => {
            // If standard error is closed too, the exit code still reports the failure.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: impl Iterator<Item = String>) -> Result<Verdict, Failure> {
    let Options { detail, port } = Options::parse(arguments)?;
    let participants = Participants::start(NO_CACHE).await?;
    let mut out = io::stdout();
    let mut report = Report::new(&mut out, detail);
    let result = walk_through(&mut report, &participants).await;
    let verdict = report.finish(&result)?;
    if let Some(port) = port {
        let page = Page::start(port).await?;
        curl::print(&mut out, &page.participants).await?;
        writeln!(out, "\nOpen {} to do all of this in a browser. Press Ctrl-C to stop.", page.url)?;
        tokio::signal::ctrl_c().await?;
    }
    Ok(verdict)
}

pub(crate) struct Options {
    detail: Detail,
    /// The port of the page, with `--serve`. 0 is any free port.
    pub(crate) port: Option<u16>,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let (mut detail, mut serve, mut port) = (Detail::Brief, false, None);
        while let Some(argument) = arguments.next() {
            match &*argument {
                "--verbose" => detail = Detail::Verbose,
                "--serve" => serve = true,
                "--port" => port = Some(arguments.next().and_then(|port| port.parse().ok()).ok_or(USAGE)?),
                _ => return Err(USAGE.into()),
            }
        }
        if port.is_some() && !serve {
            return Err(USAGE.into());
        }
        Ok(Self { detail, port: serve.then(|| port.unwrap_or(0)) })
    }
}

/// Runs all chapters.
pub(crate) async fn walk_through(
    report: &mut Report<'_>,
    participants: &Participants,
) -> Result<(), Failure> {
    participants.introduce(report);

    report.chapter("Get a JWT and call the API");
    let jwt = get_jwt(report, participants).await?;

    report.chapter("Use the same JWT again, then get more scope");
    use_jwt_again(report, participants, &jwt).await?;

    report.chapter("Opaque tokens: the API asks the server");
    let opaque = get_opaque_token(report, participants).await?;
    let cached = use_cached_api(report, participants).await?;

    report.chapter("Refused requests");
    refusals::by_jwt_api(report, participants).await?;
    refusals::by_opaque_api(report, participants).await?;

    report.chapter("Revoked tokens");
    revoke_tokens(report, participants, &jwt, &opaque, &cached).await?;

    report.chapter("The authorization server is down");
    outage::run(report, participants).await
}

async fn get_jwt(report: &mut Report<'_>, participants: &Participants) -> Result<Session, Failure> {
    let api = &participants.jwt;
    let session = token_flow::get_token(report, participants, api).await?;
    let expected = &ExpectedValidation::FIRST_JWT;
    token_flow::call_with_token(report, participants, api, &session.token, expected).await?;
    Ok(session)
}

/// Uses the cached JWT, is refused for lack of scope, gets a token with that scope, and uses it.
async fn use_jwt_again(
    report: &mut Report<'_>,
    participants: &Participants,
    session: &Session,
) -> Result<(), Failure> {
    let (api, Session { server, registration, token }) = (&participants.jwt, session);
    let call = participants.call(api, Method::GET, Some(&bearer(token))).await?;
    report_admission(report, api, "GET, with the same token", &ExpectedValidation::CACHED, &call, 200);

    let call = participants.call(api, Method::POST, Some(&bearer(token))).await?;
    let refusal = ExpectedRefusal {
        reason: "InsufficientScope",
        status: 403,
        challenge: "insufficient_scope, scope mcp:write",
    };
    report_refusal(report, api, "POST, to trigger a build; the token lacks a scope", &refusal, &call);
    let missing = call.answer.challenge().remove("scope").ok_or("the refusal names no scope")?;

    let scope = format!("mcp:read {missing}");
    let token = token_flow::authorize(report, participants, api, server, registration, &scope).await?;
    let call = participants.call(api, Method::POST, Some(&bearer(&token))).await?;
    report_admission(report, api, "POST, with the new token", &ExpectedValidation::NEW_JWT, &call, 202);
    Ok(())
}

async fn get_opaque_token(report: &mut Report<'_>, participants: &Participants) -> Result<Session, Failure> {
    let api = &participants.opaque;
    report.fold_steps();
    let session = token_flow::get_token(report, participants, api).await?;
    report.unfold_steps(CLIENT, SERVER, "gets an opaque token as in steps 1 to 7");

    let expected = &ExpectedValidation::FIRST_OPAQUE;
    token_flow::call_with_token(report, participants, api, &session.token, expected).await?;
    let call = participants.call(api, Method::GET, Some(&bearer(&session.token))).await?;
    report_admission(report, api, "GET, with the same token", &ExpectedValidation::INTROSPECTED, &call, 200);
    Ok(session)
}

/// Returns a token that the cached API has in its cache.
async fn use_cached_api(report: &mut Report<'_>, participants: &Participants) -> Result<String, Failure> {
    let api = &participants.cached;
    let minting = Minting { resource: &api.url, scope: "mcp:read", ..Minting::default() };
    let token = participants.server.mint(minting);
    let call = participants.call(api, Method::GET, Some(&bearer(&token))).await?;
    report_admission(report, api, "GET, with an opaque token", &ExpectedValidation::FIRST_OPAQUE, &call, 200);
    let call = participants.call(api, Method::GET, Some(&bearer(&token))).await?;
    report_admission(report, api, "GET, with the same token", &ExpectedValidation::CACHED, &call, 200);
    Ok(token)
}

async fn revoke_tokens(
    report: &mut Report<'_>,
    participants: &Participants,
    jwt_session: &Session,
    opaque_session: &Session,
    cached_token: &str,
) -> Result<(), Failure> {
    let Participants { server, jwt, opaque, cached, .. } = participants;
    revoke(report, participants, opaque_session).await?;
    let call = participants.call(opaque, Method::GET, Some(&bearer(&opaque_session.token))).await?;
    report_refusal(
        report,
        opaque,
        "GET, right after that",
        &ExpectedRefusal::invalid_token("Inactive"),
        &call,
    );

    server.revoke(cached_token);
    report.step(OPERATOR, SERVER, "revokes the token that the cached API has cached");
    let call = participants.call(cached, Method::GET, Some(&bearer(cached_token))).await?;
    let what = "GET; still accepted, for up to a minute";
    report_admission(report, cached, what, &ExpectedValidation::CACHED, &call, 200);

    revoke(report, participants, jwt_session).await?;
    let call = participants.call(jwt, Method::GET, Some(&bearer(&jwt_session.token))).await?;
    let what = "GET; a JWT is accepted until it expires";
    report_admission(report, jwt, what, &ExpectedValidation::CACHED, &call, 200);
    Ok(())
}

/// The client revokes its own token (RFC 7009).
async fn revoke(
    report: &mut Report<'_>,
    participants: &Participants,
    session: &Session,
) -> Result<(), Failure> {
    let Session { server, registration, token } = session;
    let answer = participants.client.revoke(server, &registration.client_id, token).await?;
    let what = format!("POST /revoke, the token {} (RFC 7009)", shortened(token));
    report.exchange(CLIENT, SERVER, what, 200, &answer);
    Ok(())
}

/// How long the opaque API caches introspection answers: not at all, so that a revocation takes effect at once.
pub(crate) const NO_CACHE: Duration = Duration::ZERO;

const USAGE: &str = "usage: cargo run --example quickstart [-- --verbose --serve [--port PORT]]";
