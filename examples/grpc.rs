//! How does a tonic service check access tokens, and what does its client see of it?
//!
//! `cargo run --example grpc` starts an authorization server, two guarded services and a client on this machine. It
//! shows the answer to each kind of token, and fails when one is not as expected. A refusal is a gRPC status:
//!
//! | the call has | status | metadata |
//! |---|---|---|
//! | no token, or one that is not good | 16 `UNAUTHENTICATED` | `www-authenticate`: what to get |
//! | a token with too little scope | 7 `PERMISSION_DENIED` | `www-authenticate`: which scopes |
//! | a token that cannot be checked now | 14 `UNAVAILABLE` | `grpc-retry-pushback-ms`: when to try again |
//!
//! Use a layer with `.grpc()` around tonic services. Without it, refusals are HTTP 401, 403 and 503: gRPC clients map them to
//! the same codes, but do not show the challenge. It also removes credentials from the trailers of requests, which tonic merges
//! into the metadata: a client could replace a validated `authorization` with another one.

#![allow(clippy::print_stdout, reason = "a demonstration prints what happens")]

#[path = "authorization_server/mod.rs"]
pub(crate) mod authorization_server;
#[path = "grpc/jobs.rs"]
pub(crate) mod jobs;

use std::{error::Error, time::Duration};

use tokio::net::TcpListener;
use tonic::{
    Code, Request, Response, Status,
    service::LayerExt as _,
    transport::{self, Endpoint, Server, server::TcpIncoming},
};
use tower_bearer::{
    ConfigError, IntrospectionValidator, JwtValidator, ResourceServer, ResourceServerCredential,
    RoutingValidator, Scope, ScopeHierarchy, ValidatedToken,
};

use self::{
    authorization_server::{AuthorizationServer, Minting, ResourceCredential, SigningAlgorithm, TokenFormat},
    jobs::{
        Build, Builds, BuildsServer, JenkinsClient, JobList, Jobs, JobsServer, ListRequest, StartRequest,
    },
};

const READ: Scope = Scope::from_static("mcp:read");
const WRITE: Scope = Scope::from_static("mcp:write");

/// Says which tokens are good: JWTs are verified here, of any other token the authorization server is asked.
pub(crate) fn resource_server(
    issuer: &str,
    credential: &ResourceCredential,
    resource: &str,
) -> Result<ResourceServer, ConfigError> {
    // Outside of a demonstration it is `discover`, which accepts `https` only.
    let issuer = tower_bearer::AuthorizationServer::discover(issuer).allow_http_on_loopback();
    let credential = ResourceServerCredential::secret_basic(&*credential.id, credential.secret.expose());
    let validator = RoutingValidator::new()
        .route(JwtValidator::builder(issuer.clone(), resource).build()?)
        .otherwise(IntrospectionValidator::builder(issuer, credential, resource).build()?);
    ResourceServer::builder(validator)
        .realm("jenkins")
        .scope_hierarchy(ScopeHierarchy::default().implies(WRITE, [READ]))
        .build()
}

/// Serves `Jobs` to those who may read, and `Builds` to those who may write.
pub(crate) async fn serve(
    listener: TcpListener,
    resource_server: ResourceServer,
) -> Result<(), transport::Error> {
    Server::builder()
        .add_service(resource_server.require_scopes(READ).grpc().named_layer(JobsServer::new(Jenkins)))
        .add_service(resource_server.require_scopes(WRITE).grpc().named_layer(BuildsServer::new(Jenkins)))
        .serve_with_incoming(TcpIncoming::from(listener))
        .await
}

pub(crate) struct Jenkins;

impl Jobs for Jenkins {
    async fn list(&self, request: Request<ListRequest>) -> Result<Response<JobList>, Status> {
        let listed_for = subject(&request)?;
        Ok(Response::new(JobList { jobs: vec!["app".to_owned(), "docs".to_owned()], listed_for }))
    }
}

impl Builds for Jenkins {
    async fn start(&self, request: Request<StartRequest>) -> Result<Response<Build>, Status> {
        let started_by = subject(&request)?;
        Ok(Response::new(Build { job: request.into_inner().job, number: 1, started_by }))
    }
}

/// Reads the token that the layer has put into the request.
fn subject<T>(request: &Request<T>) -> Result<String, Status> {
    let token = request.extensions().get::<ValidatedToken>();
    let token = token.ok_or_else(|| Status::internal("no layer is in front of this service"))?;
    Ok(token.subject().unwrap_or_default().to_owned())
}

/// Puts a token where gRPC has it: into the metadata `authorization`.
pub(crate) fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().expect("a token is visible ASCII");
    request.metadata_mut().insert("authorization", value);
    request
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    demonstrate().await
}

/// Shows the answer to each kind of token.
///
/// # Errors
/// When one is not as expected.
pub(crate) async fn demonstrate() -> Result<(), Box<dyn Error>> {
    let authority = AuthorizationServer::start_signing_with(SigningAlgorithm::Es256).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let resource = format!("http://{}", listener.local_addr()?);
    let credential = authority.add_resource(&resource, TokenFormat::Jwt, &["mcp:read", "mcp:write"]);
    tokio::spawn(serve(listener, resource_server(authority.issuer(), &credential, &resource)?));
    let jenkins = JenkinsClient::new(Endpoint::from_shared(resource.clone())?.connect().await?);
    println!("tokens come from {}, jobs from {resource}\n", authority.issuer());

    let reading = Minting { resource: &resource, scope: "mcp:read", ..Minting::default() };
    let reader = authority.mint(reading.clone());
    let writer = authority.mint(Minting { scope: "mcp:write", ..reading.clone() });
    let expired = authority.mint(Minting { age: Duration::from_secs(7_200), ..reading.clone() });
    let unseen = authority.mint(reading.clone());
    let opaque = authority.mint(Minting { format: Some(TokenFormat::Opaque), ..reading });
    let build = || StartRequest { job: "app".to_owned() };

    let answer = jenkins.list(with_token(ListRequest {}, &reader)).await;
    show("List, a token with mcp:read", &answer, Code::Ok)?;
    let answer = jenkins.list(Request::new(ListRequest {})).await;
    show("List, no token", &answer, Code::Unauthenticated)?;
    let answer = jenkins.list(with_token(ListRequest {}, &expired)).await;
    show("List, an expired token", &answer, Code::Unauthenticated)?;
    let answer = jenkins.start(with_token(build(), &reader)).await;
    show("Start, a token with mcp:read", &answer, Code::PermissionDenied)?;
    let answer = jenkins.start(with_token(build(), &writer)).await;
    show("Start, a token with mcp:write", &answer, Code::Ok)?;
    let answer = jenkins.list(with_token(ListRequest {}, &writer)).await;
    show("List, a token with mcp:write, which contains mcp:read", &answer, Code::Ok)?;

    println!("the authorization server goes down\n");
    authority.stop().await;
    let answer = jenkins.list(with_token(ListRequest {}, &unseen)).await;
    show("List, a new token of a known key", &answer, Code::Ok)?;
    let answer = jenkins.list(with_token(ListRequest {}, &opaque)).await;
    show("List, an opaque token, to be asked about", &answer, Code::Unavailable)?;

    println!("the authorization server is back\n");
    authority.start_again().await?;
    let answer = jenkins.list(with_token(ListRequest {}, &opaque)).await;
    show("List, the opaque token again", &answer, Code::Ok)
}

/// Prints an answer, and compares its status with the expected one.
fn show<T: std::fmt::Debug>(
    call: &str,
    answer: &Result<Response<T>, Status>,
    expected: Code,
) -> Result<(), Box<dyn Error>> {
    println!("{call}");
    let code = match answer {
        Ok(response) => {
            println!("    0 Ok: {:?}", response.get_ref());
            Code::Ok
        }
        Err(status) => {
            println!("    {} {:?}: {}", status.code() as i32, status.code(), status.message());
            for name in ["www-authenticate", "grpc-retry-pushback-ms"] {
                if let Some(value) = status.metadata().get(name) {
                    println!("    {name}: {}", value.to_str()?);
                }
            }
            status.code()
        }
    };
    println!();
    if code == expected { Ok(()) } else { Err(format!("{call}: {code:?}, expected {expected:?}").into()) }
}
