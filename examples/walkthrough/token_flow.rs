//! The ten steps from the URL of an API to its answer.
//!
//! The checks are those that a client must make. A real client stops when one fails; this one reports it and goes on
//! where it can, to report everything that is wrong.

use http::Method;

use super::{
    Failure,
    client::{self, AuthorizationRequest, Registration, ResourceMetadata, ServerMetadata, TokenResponse},
    jenkins::Jenkins,
    participants::{CLIENT, Call, NO_REQUESTS, Participants, SERVER},
    recorder::Outcome,
    report::{Report, or_absent, shortened},
};

/// What a client has after the ten steps.
pub struct Session {
    pub server: ServerMetadata,
    pub registration: Registration,
    pub token: String,
}

/// Steps 1 to 7: from the URL of the API to a token for it.
pub async fn get_token(
    report: &mut Report<'_>,
    participants: &Participants,
    api: &Jenkins,
) -> Result<Session, Failure> {
    let (server, scope) = discover(report, participants, api).await?;
    let registration = register(report, participants, &server).await?;
    let token = authorize(report, participants, api, &server, &registration, &scope).await?;
    Ok(Session { server, registration, token })
}

/// Steps 1 to 3: finds the endpoints of the authorization server, and the scope to ask for.
pub async fn discover(
    report: &mut Report<'_>,
    participants: &Participants,
    api: &Jenkins,
) -> Result<(ServerMetadata, String), Failure> {
    let Call { answer, record, .. } = participants.call(api, Method::GET, None).await?;
    let challenge = answer.challenge();
    let parameter = |name| challenge.get(name).map(String::as_str);
    report.exchange(CLIENT, api.name, "GET, without a token", 401, &answer);
    report.check(CLIENT, "error (no token was sent)", "(absent)", or_absent(parameter("error")));
    report.check(CLIENT, "scope to ask for", "mcp:read", or_absent(parameter("scope")));
    report.note(CLIENT, format_args!("metadata is at {}", or_absent(parameter("resource_metadata"))));
    report.note(
        api.name,
        format_args!("refused after {} µs, handler not called", record.layer_took.as_micros()),
    );
    let scope = parameter("scope").ok_or("the challenge names no scope")?.to_owned();
    let url = parameter("resource_metadata").ok_or("the challenge does not say where the metadata is")?;

    let answer = participants.client.fetch(url).await?;
    let resource: ResourceMetadata = answer.json()?;
    let issuer =
        resource.authorization_servers.first().ok_or("the metadata names no authorization server")?;
    report.exchange(CLIENT, api.name, "GET the API's metadata (RFC 9728)", 200, &answer);
    report.check(CLIENT, "resource is the URL that was called", &api.url, &resource.resource);
    report.check(CLIENT, "authorization server", participants.server.issuer(), issuer);

    let answer = participants.client.fetch(&client::metadata_url(issuer)?).await?;
    let server: ServerMetadata = answer.json()?;
    report.exchange(CLIENT, SERVER, "GET the server's metadata (RFC 8414)", 200, &answer);
    report.check(CLIENT, "issuer is the one in the API's metadata", issuer, &server.issuer);
    report.check(CLIENT, "PKCE methods", "S256", server.code_challenge_methods_supported.join(" "));
    Ok((server, scope))
}

/// Step 4: registers the client.
pub async fn register(
    report: &mut Report<'_>,
    participants: &Participants,
    server: &ServerMetadata,
) -> Result<Registration, Failure> {
    let answer = participants.client.register(server).await?;
    report.exchange(CLIENT, SERVER, "POST /register, as a public client (RFC 7591)", 201, &answer);
    let registration: Registration = answer.json()?;
    report.note(CLIENT, format_args!("client_id is {}", shortened(&registration.client_id)));
    Ok(registration)
}

/// Steps 5 to 7: the user agrees, the client receives a code and exchanges it for a token.
pub async fn authorize(
    report: &mut Report<'_>,
    participants: &Participants,
    api: &Jenkins,
    server: &ServerMetadata,
    registration: &Registration,
    scope: &str,
) -> Result<String, Failure> {
    let request = AuthorizationRequest::new(server, registration, &api.url, scope)?;
    let answer = participants.client.authorize(&request).await?;
    let what = format_args!("GET /authorize, {scope}, with PKCE (RFC 7636)");
    report.exchange(CLIENT, SERVER, what, 303, &answer);
    report.note(SERVER, format_args!("alice is signed in and approves, for {} (RFC 8707)", api.url));

    let redirection = answer.redirection()?;
    let parameter = |name| redirection.get(name).map(String::as_str);
    let code = parameter("code").ok_or_else(|| format!("no code: {}", or_absent(parameter("error"))))?;
    report.step(SERVER, CLIENT, format_args!("redirect with the code {}", shortened(code)));
    let state = if parameter("state") == Some(&request.state) { "as sent" } else { "another one" };
    report.check(CLIENT, "state", "as sent", state);
    report.check(CLIENT, "iss (RFC 9207)", &server.issuer, or_absent(parameter("iss")));

    let answer = participants.client.exchange(server, &request, code).await?;
    report.exchange(CLIENT, SERVER, "POST /token, with the code and the code verifier", 200, &answer);
    let response: TokenResponse = answer.json()?;
    report.check(CLIENT, "token type", "Bearer", response.token_type);
    report.check(CLIENT, "scope", scope, response.scope);
    Ok(response.access_token)
}

/// Steps 8 to 10: the call, what the API does before its handler runs, the answer.
pub async fn call_with_token(
    report: &mut Report<'_>,
    participants: &Participants,
    api: &Jenkins,
    token: &str,
    expected: &ExpectedValidation,
) -> Result<(), Failure> {
    let call = participants.call(api, Method::GET, Some(&bearer(token))).await?;
    report.step(CLIENT, api.name, format_args!("GET, with the token {}", shortened(token)));
    report.step(api.name, SERVER, format_args!("requests to validate the token: {}", call.server_requests));
    check_validation(report, api, expected, &call);
    if let Outcome::Admitted(view) = &call.record.outcome {
        report.note("handler", format_args!("all claims: {}", view.claims()));
    }
    report.exchange(api.name, CLIENT, &call.answer.body, 200, &call.answer);
    Ok(())
}

/// Reports a call that is admitted, as one step.
pub fn report_admission(
    report: &mut Report<'_>,
    api: &Jenkins,
    what: &str,
    expected: &ExpectedValidation,
    call: &Call,
    status: u16,
) {
    report.exchange(CLIENT, api.name, what, status, &call.answer);
    check_validation(report, api, expected, call);
}

fn check_validation(report: &mut Report<'_>, api: &Jenkins, expected: &ExpectedValidation, call: &Call) {
    let Call { record, server_requests, .. } = call;
    report.check(SERVER, "requests received", expected.server_requests, server_requests);
    match &record.outcome {
        Outcome::Admitted(view) => {
            let micros = record.layer_took.as_micros();
            report.note(api.name, format_args!("layer took {micros} µs, checked: {}", expected.checks));
            report.check("handler", "sees", "alice, no Authorization header, no client_id", view);
        }
        Outcome::Refused(reason) => report.check(api.name, "verdict", "admitted", reason.error()),
    }
}

/// How an API is expected to validate a token: its requests to the authorization server, and its checks.
pub struct ExpectedValidation {
    server_requests: &'static str,
    checks: &'static str,
}

impl ExpectedValidation {
    /// The first JWT: the API has to fetch the keys.
    pub const FIRST_JWT: Self = Self { server_requests: "1 × metadata, 1 × keys", ..Self::NEW_JWT };
    /// A JWT that is not cached.
    pub const NEW_JWT: Self = Self {
        server_requests: NO_REQUESTS,
        checks: "format, header, key, signature, issuer, type, times, audience, scope",
    };
    /// The first opaque token: the API has to find the introspection endpoint.
    pub const FIRST_OPAQUE: Self =
        Self { server_requests: "1 × metadata, 1 × introspection", ..Self::INTROSPECTED };
    /// An opaque token that is not cached.
    pub const INTROSPECTED: Self = Self {
        server_requests: "1 × introspection",
        checks: "format; active, issuer, times, audience in the server's answer; scope",
    };
    /// A token whose verdict is cached.
    pub const CACHED: Self =
        Self { server_requests: NO_REQUESTS, checks: "format, expiry of the cached verdict, scope" };
}

pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}
