//! The participants: a client, an authorization server, and three APIs that validate tokens in different ways.

use std::{fmt, time::Duration};

use http::Method;
use tower_bearer::{IntrospectionValidator, JwtValidator, ResourceServerCredential};

use super::{
    Failure,
    authorization_server::{AuthorizationServer, TokenFormat, endpoints},
    client::{Answer, Client},
    jenkins::{Address, Jenkins},
    page::{ObservedClient, Observer},
    recorder::RecordedRequest,
    report::Report,
};

/// Names in the report.
pub const CLIENT: &str = "client";
pub const SERVER: &str = "server";
pub const OPERATOR: &str = "operator";

pub struct Participants {
    pub client: Client,
    pub server: AuthorizationServer,
    /// Validates JWTs locally.
    pub jwt: Jenkins,
    /// Calls the introspection endpoint for each request.
    pub opaque: Jenkins,
    /// Calls the introspection endpoint, and caches its answers for a minute.
    pub cached: Jenkins,
}

impl Participants {
    /// Starts the server and the APIs, each on a port of its own.
    ///
    /// `opaque_ttl` is how long the opaque API caches introspection answers. The walkthrough expects zero.
    pub async fn start(opaque_ttl: Duration) -> Result<Self, Failure> {
        Self::start_with(opaque_ttl, None).await
    }

    /// Starts them so that the page can call the APIs and draw what happens inside.
    pub async fn start_for_page(opaque_ttl: Duration, observer: &Observer) -> Result<Self, Failure> {
        Self::start_with(opaque_ttl, Some(observer)).await
    }

    async fn start_with(opaque_ttl: Duration, observer: Option<&Observer>) -> Result<Self, Failure> {
        let server = AuthorizationServer::start().await?;
        // Lets a client on this machine use the URL of its metadata document as its identifier.
        server.allow_client_ids_on_loopback();
        let jwt = start_with_jwts(&server, observer).await?;
        let opaque = start_with_introspection("opaque API", &server, opaque_ttl, observer).await?;
        let cached = start_with_introspection("cached API", &server, ONE_MINUTE, observer).await?;
        Ok(Self { client: Client::new()?, server, jwt, opaque, cached })
    }

    /// Prints the participants.
    pub fn introduce(&self, report: &mut Report<'_>) {
        if !report.is_verbose() {
            return report.line(INTRODUCTION);
        }
        for (name, url, what) in [
            (CLIENT, "", "an OAuth client that also acts as the user's browser"),
            (SERVER, self.server.issuer(), "the authorization server; its user is alice"),
            (self.jwt.name, &self.jwt.url, "protected by tower-bearer, validates JWTs locally"),
            (self.opaque.name, &self.opaque.url, "asks the server about each token, on each request"),
            (self.cached.name, &self.cached.url, "the same, but caches the answers for a minute"),
        ] {
            report.line(format_args!("{name:<12}{url:<30}{what}"));
        }
        report.line(LEGEND);
        if cfg!(debug_assertions) {
            report.line(DEBUG_BUILD);
        }
    }

    /// Calls an API as the client, and collects what the API and the authorization server saw.
    pub async fn call(
        &self,
        api: &Jenkins,
        method: Method,
        authorization: Option<&str>,
    ) -> Result<Call, Failure> {
        let before = ServerRequests::count(&self.server);
        let answer = self.client.call(method, &api.url, authorization).await?;
        let record = api.recorder.take()?;
        Ok(Call { answer, record, server_requests: ServerRequests::count(&self.server).since(before) })
    }
}

/// Starts an API that validates JWTs locally. It needs the issuer and its own URL.
async fn start_with_jwts(
    server: &AuthorizationServer,
    observer: Option<&Observer>,
) -> Result<Jenkins, Failure> {
    let (name, address) = ("JWT API", Address::bind().await?);
    server.add_resource(&address.url, TokenFormat::Jwt, &SCOPES);
    let validator = JwtValidator::builder(issuer(name, server, observer)?, &address.url).build()?;
    Jenkins::start(name, address, validator, observer)
}

/// Starts an API that uses introspection. It also needs a credential of its own.
async fn start_with_introspection(
    name: &'static str,
    server: &AuthorizationServer,
    ttl: Duration,
    observer: Option<&Observer>,
) -> Result<Jenkins, Failure> {
    let address = Address::bind().await?;
    let ours = server.add_resource(&address.url, TokenFormat::Opaque, &SCOPES);
    let credential = ResourceServerCredential::secret_basic(ours.id, ours.secret.expose());
    let issuer = issuer(name, server, observer)?;
    let validator =
        IntrospectionValidator::builder(issuer, credential, &address.url).cache_ttl(ttl).build()?;
    Jenkins::start(name, address, validator, observer)
}

/// The APIs get only the issuer. They discover its keys and endpoints.
fn issuer(
    api: &'static str,
    server: &AuthorizationServer,
    observer: Option<&Observer>,
) -> Result<tower_bearer::AuthorizationServer, Failure> {
    let issuer = tower_bearer::AuthorizationServer::discover(server.issuer()).allow_http_on_loopback();
    Ok(match observer {
        Some(observer) => issuer.http_client(ObservedClient::new(api, observer.feed.clone())?),
        None => issuer,
    })
}

/// One call of an API, as each participant saw it.
pub struct Call {
    /// The client's view.
    pub answer: Answer,
    /// The API's view.
    pub record: RecordedRequest,
    /// The authorization server's view.
    pub server_requests: ServerRequests,
}

/// How many requests the APIs sent to the authorization server.
#[derive(Clone, Copy)]
pub struct ServerRequests {
    metadata: usize,
    keys: usize,
    introspection: usize,
}

impl ServerRequests {
    pub fn count(server: &AuthorizationServer) -> Self {
        Self {
            metadata: server.requests(endpoints::METADATA),
            keys: server.requests(endpoints::JWKS),
            introspection: server.requests(endpoints::INTROSPECT),
        }
    }

    pub fn since(self, before: Self) -> Self {
        Self {
            metadata: self.metadata - before.metadata,
            keys: self.keys - before.keys,
            introspection: self.introspection - before.introspection,
        }
    }
}

impl fmt::Display for ServerRequests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts =
            [("metadata", self.metadata), ("keys", self.keys), ("introspection", self.introspection)];
        let sent: Vec<_> = counts
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(what, count)| format!("{count} × {what}"))
            .collect();
        f.write_str(if sent.is_empty() { NO_REQUESTS } else { "" })?;
        f.write_str(&sent.join(", "))
    }
}

pub const NO_REQUESTS: &str = "none";

const INTRODUCTION: &str = "\
A client, an authorization server (\"server\", its user is alice) and three APIs protected by tower-bearer, on this machine.
The JWT API validates tokens locally; the opaque API asks the server each time; the cached API keeps answers for a minute.";

const LEGEND: &str = r#"
✓ a check that passed; the status of each step is checked too      · a value that is not checked
On the right: the status, and the round trip as the client measures it. "Layer took" is measured inside the API, from the
arrival at the layer to the call of the handler. "Requests received" is counted by the server."#;

const DEBUG_BUILD: &str = "This is a debug build. With --release, everything is faster.";

/// The default cache time of introspection answers.
const ONE_MINUTE: Duration = Duration::from_secs(60);

const SCOPES: [&str; 2] = ["mcp:read", "mcp:write"];
