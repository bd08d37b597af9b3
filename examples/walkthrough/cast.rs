//! Who takes part? An authorization server, three APIs that differ in how they check tokens, and a client.

use std::{fmt, time::Duration};

use http::Method;
use tower_bearer::{IntrospectionValidator, JwtValidator, ResourceServerCredential};

use super::{
    Failure,
    authorization_server::{AuthorizationServer, TokenFormat, endpoints},
    client::{Answer, Client},
    jenkins::{Jenkins, Site},
    journal::Visit,
    narrative::Story,
    road::NOTHING,
};

/// What the story calls them.
pub const CLIENT: &str = "client";
pub const SERVER: &str = "server";
pub const OPERATOR: &str = "operator";

pub struct Cast {
    pub client: Client,
    pub server: AuthorizationServer,
    /// Its tokens are JWTs, which it verifies itself.
    pub jwt: Jenkins,
    /// Its tokens are opaque, and it asks the server for each request.
    pub opaque: Jenkins,
    /// Its tokens are opaque, and what the server said of one is good for a minute.
    pub cached: Jenkins,
}

impl Cast {
    /// Starts everyone, each at a port of its own.
    ///
    /// `opaque_ttl` is how long the opaque API may rely on an answer of the server; the story wants zero.
    pub async fn assemble(opaque_ttl: Duration) -> Result<Self, Failure> {
        let server = AuthorizationServer::start().await?;
        // All that the APIs are told of it; where its keys and endpoints are, they find out.
        let issuing = tower_bearer::AuthorizationServer::discover(server.issuer()).allow_http_on_loopback();

        let jwt = verifying(&server, issuing.clone()).await?;
        let opaque = introspecting("opaque API", &server, issuing.clone(), opaque_ttl).await?;
        let cached = introspecting("cached API", &server, issuing, A_MINUTE).await?;
        Ok(Self { client: Client::new()?, server, jwt, opaque, cached })
    }

    /// Introduces everyone.
    pub fn introduce(&self, story: &mut Story<'_>) {
        for (name, place, what) in [
            (CLIENT, "", "an OAuth client, also in the place of the user's browser"),
            (SERVER, self.server.issuer(), "the authorization server; its user is alice"),
            (self.jwt.name, &self.jwt.url, "Jenkins behind our layer: tokens are JWTs, verified on the spot"),
            (
                self.opaque.name,
                &self.opaque.url,
                "the same: tokens are opaque, the server is asked each time",
            ),
            (self.cached.name, &self.cached.url, "the same: what the server says is good for a minute"),
        ] {
            story.line(format_args!("{name:<12}{place:<30}{what}"));
        }
        story.line(LEGEND);
        if cfg!(debug_assertions) {
            story.line(DEBUG_BUILD);
        }
    }

    /// Lets the client call an API, and watches what that causes.
    pub async fn call(
        &self,
        api: &Jenkins,
        method: Method,
        authorization: Option<&str>,
    ) -> Result<Call, Failure> {
        let before = Requests::so_far(&self.server);
        let answer = self.client.call(method, &api.url, authorization).await?;
        Ok(Call { answer, visit: api.journal.last()?, asked: Requests::so_far(&self.server).since(before) })
    }
}

/// Opens an API that verifies JWTs itself: it takes an issuer and who it is.
async fn verifying(
    server: &AuthorizationServer,
    issuing: tower_bearer::AuthorizationServer,
) -> Result<Jenkins, Failure> {
    let site = Site::take().await?;
    server.add_resource(&site.url, TokenFormat::Jwt, &SCOPES);
    let validator = JwtValidator::builder(issuing, &site.url).build()?;
    Jenkins::open("JWT API", site, validator)
}

/// Opens an API that asks the server: it takes a credential of its own as well.
async fn introspecting(
    name: &'static str,
    server: &AuthorizationServer,
    issuing: tower_bearer::AuthorizationServer,
    ttl: Duration,
) -> Result<Jenkins, Failure> {
    let site = Site::take().await?;
    let ours = server.add_resource(&site.url, TokenFormat::Opaque, &SCOPES);
    let credential = ResourceServerCredential::secret_basic(ours.id, ours.secret.expose());
    let validator = IntrospectionValidator::builder(issuing, credential, &site.url).cache_ttl(ttl).build()?;
    Jenkins::open(name, site, validator)
}

/// One call of an API, seen from three sides.
pub struct Call {
    /// By the client.
    pub answer: Answer,
    /// By the API.
    pub visit: Visit,
    /// By the authorization server.
    pub asked: Requests,
}

/// How often an API turned to the server. Nothing at all is what one hopes for.
#[derive(Clone, Copy)]
pub struct Requests {
    metadata: usize,
    keys: usize,
    introspection: usize,
}

impl Requests {
    pub fn so_far(server: &AuthorizationServer) -> Self {
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

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [("metadata", self.metadata), ("keys", self.keys), ("introspection", self.introspection)];
        let asked: Vec<_> = all
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(what, count)| format!("{count} × {what}"))
            .collect();
        f.write_str(if asked.is_empty() { NOTHING } else { "" })?;
        f.write_str(&asked.join(", "))
    }
}

const LEGEND: &str = r#"
✓ compared with what it should be; so is each status      · told, and compared with nothing
At the right: the status, and the round trip as the client sees it. "Checked in": what our layer takes, measured inside
the API from just outside of the layer to just inside of it. "Is asked for": counted by the server."#;

const DEBUG_BUILD: &str = "This is a debug build: all of it is faster with --release.";

/// What an API relies on an answer for by default.
const A_MINUTE: Duration = Duration::from_secs(60);

const SCOPES: [&str; 2] = ["mcp:read", "mcp:write"];
