//! The road from a URL to an answer, in ten steps.
//!
//! Each comparison is one that a client must make. It stops where one fails; the story notes it and goes on while it can,
//! to tell all that differs.

use http::Method;

use super::{
    Failure,
    cast::{CLIENT, Call, Cast, SERVER},
    client::{self, AuthorizationRequest, Registration, ResourceMetadata, ServerMetadata, TokenResponse},
    jenkins::Jenkins,
    journal::Fate,
    narrative::{Story, or_absent, shortened},
};

/// What a client has once it has walked the road.
pub struct Arrived {
    pub server: ServerMetadata,
    pub registration: Registration,
    pub token: String,
}

/// Walks the road, on which the API comes to its verdict in this way.
pub async fn walk(story: &mut Story<'_>, cast: &Cast, api: &Jenkins, way: &Way) -> Result<Arrived, Failure> {
    let (server, scope) = discover(story, cast, api).await?;
    let registration = register(story, cast, &server).await?;
    let token = obtain_token(story, cast, api, &server, &registration, &scope).await?;
    let call = cast.call(api, Method::GET, Some(&bearer(&token))).await?;
    tell_slowly(story, api, &format!("GET, with the token {}", shortened(&token)), way, &call);
    Ok(Arrived { server, registration, token })
}

/// From the URL of the API to the endpoints of the authorization server, and to the scope to ask for.
async fn discover(
    story: &mut Story<'_>,
    cast: &Cast,
    api: &Jenkins,
) -> Result<(ServerMetadata, String), Failure> {
    let Call { answer, visit, .. } = cast.call(api, Method::GET, None).await?;
    let challenge = answer.challenge();
    let parameter = |name| challenge.get(name).map(String::as_str);
    story.exchange(CLIENT, api.name, "GET, without a token", 401, &answer);
    story.check(CLIENT, "error, as nothing was presented", "(absent)", or_absent(parameter("error")));
    story.check(CLIENT, "scope to ask for", "mcp:read", or_absent(parameter("scope")));
    story.note(CLIENT, format_args!("where to read on: {}", or_absent(parameter("resource_metadata"))));
    story.note(api.name, format_args!("refused in {} µs, before the handler", visit.checked_in.as_micros()));
    let scope = parameter("scope").ok_or("the challenge names no scope")?.to_owned();
    let url = parameter("resource_metadata").ok_or("the challenge does not say where to read on")?;

    let answer = cast.client.fetch(url).await?;
    let resource: ResourceMetadata = answer.json()?;
    let issuer =
        resource.authorization_servers.first().ok_or("the resource names no authorization server")?;
    story.exchange(CLIENT, api.name, "GET its metadata (RFC 9728)", 200, &answer);
    story.check(CLIENT, "resource, as it was called", &api.url, &resource.resource);
    story.check(CLIENT, "its authorization server", cast.server.issuer(), issuer);

    let answer = cast.client.fetch(&client::metadata_url(issuer)?).await?;
    let server: ServerMetadata = answer.json()?;
    story.exchange(CLIENT, SERVER, "GET its metadata (RFC 8414)", 200, &answer);
    story.check(CLIENT, "issuer, as the resource says", issuer, &server.issuer);
    story.check(CLIENT, "PKCE", "S256", server.code_challenge_methods_supported.join(" "));
    Ok((server, scope))
}

async fn register(
    story: &mut Story<'_>,
    cast: &Cast,
    server: &ServerMetadata,
) -> Result<Registration, Failure> {
    let answer = cast.client.register(server).await?;
    story.exchange(CLIENT, SERVER, "POST /register: a public client (RFC 7591)", 201, &answer);
    let registration: Registration = answer.json()?;
    story.note(CLIENT, format_args!("is called {} there", shortened(&registration.client_id)));
    Ok(registration)
}

/// Three steps: the user agrees, a code comes back, a token is given for it.
pub async fn obtain_token(
    story: &mut Story<'_>,
    cast: &Cast,
    api: &Jenkins,
    server: &ServerMetadata,
    registration: &Registration,
    scope: &str,
) -> Result<String, Failure> {
    let request = AuthorizationRequest::new(server, registration, &api.url, scope)?;
    let answer = cast.client.fetch(request.url.as_str()).await?;
    let what = format_args!("GET /authorize: {scope}, with PKCE (RFC 7636)");
    story.exchange(CLIENT, SERVER, what, 303, &answer);
    story.note(SERVER, format_args!("alice agrees; for the resource {} (RFC 8707)", api.url));

    let back = answer.redirection()?;
    let parameter = |name| back.get(name).map(String::as_str);
    let code = parameter("code").ok_or_else(|| format!("no code: {}", or_absent(parameter("error"))))?;
    story.step(SERVER, CLIENT, format_args!("redirection with the code {}", shortened(code)));
    let whose = if parameter("state") == Some(&request.state) { "its own" } else { "another" };
    story.check(CLIENT, "state", "its own", whose);
    story.check(CLIENT, "iss, who answers (RFC 9207)", &server.issuer, or_absent(parameter("iss")));

    let answer = cast.client.exchange(server, &request, code).await?;
    story.exchange(CLIENT, SERVER, "POST /token: the code and the code verifier", 200, &answer);
    let response: TokenResponse = answer.json()?;
    story.check(CLIENT, "token type", "Bearer", response.token_type);
    story.check(CLIENT, "scope", scope, response.scope);
    Ok(response.access_token)
}

/// How an API comes to its verdict: what the server is asked for, and what is checked.
pub struct Way {
    asks: &'static str,
    checks: &'static str,
}

impl Way {
    /// The first JWT of all: where are the keys?
    pub const VERIFIES_WITH_NEW_KEYS: Self = Self { asks: "1 × metadata, 1 × keys", ..Self::VERIFIES };
    /// A JWT not seen before.
    pub const VERIFIES: Self =
        Self { asks: NOTHING, checks: "form, header, key, signature, issuer, type, times, audience; scope" };
    /// The first opaque token of all: where is the endpoint?
    pub const FINDS_AND_INTROSPECTS: Self =
        Self { asks: "1 × metadata, 1 × introspection", ..Self::INTROSPECTS };
    /// An opaque token that nothing is remembered of.
    pub const INTROSPECTS: Self = Self {
        asks: "1 × introspection",
        checks: "form; what the server says: active, issuer, times, audience; scope",
    };
    /// A token whose verdict is remembered.
    pub const REMEMBERS: Self =
        Self { asks: NOTHING, checks: "form; the verdict is remembered: expiry; scope" };
}

/// Three steps: the call, what the API does before its handler is called, the answer.
fn tell_slowly(story: &mut Story<'_>, api: &Jenkins, what: &str, way: &Way, call: &Call) {
    story.step(CLIENT, api.name, what);
    let asked_whom = if way.asks == NOTHING { api.name } else { SERVER };
    story.step(api.name, asked_whom, "validates the token");
    tell_verdict(story, api, way, call);
    if let Fate::Admitted(seen) = &call.visit.fate {
        story.note("handler", format_args!("all claims there are: {}", seen.claims()));
    }
    story.exchange(api.name, CLIENT, &call.answer.body, 200, &call.answer);
}

/// The same in one step.
pub fn tell_admission(story: &mut Story<'_>, api: &Jenkins, what: &str, way: &Way, call: &Call, status: u16) {
    story.exchange(CLIENT, api.name, what, status, &call.answer);
    tell_verdict(story, api, way, call);
}

fn tell_verdict(story: &mut Story<'_>, api: &Jenkins, way: &Way, call: &Call) {
    let Call { visit, asked, .. } = call;
    story.check(SERVER, "is asked for", way.asks, asked);
    match &visit.fate {
        Fate::Admitted(seen) => {
            let micros = visit.checked_in.as_micros();
            story.note(api.name, format_args!("checked in {micros} µs: {}", way.checks));
            story.check("handler", "gets", "alice, no Authorization header, no client_id", seen);
        }
        Fate::Refused(reason) => story.check(api.name, "verdict", "admitted", reason.error()),
    }
}

pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// What a server is asked for that has nothing to do.
pub const NOTHING: &str = "nothing";
