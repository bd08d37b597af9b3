//! Protects two tonic services with access tokens, and shows what their client gets.
//!
//! `cargo run --example grpc` starts an authorization server, the services and a client on this machine. It prints the
//! answer to each kind of token, and fails if one is not as expected. A refusal is a gRPC status:
//!
//! | the call has | status | metadata |
//! |---|---|---|
//! | no token, or an invalid one | 16 `UNAUTHENTICATED` | `www-authenticate`: where to get a token |
//! | a token without the required scope | 7 `PERMISSION_DENIED` | `www-authenticate`: the required scope |
//! | a token that cannot be validated now | 14 `UNAVAILABLE` | `grpc-retry-pushback-ms`: when to try again |
//!
//! Use `require_grpc`, or a layer with `.grpc()`, around tonic services. With other layers, refusals are HTTP 401, 403 and 503:
//! gRPC clients map them to the same codes, but do not show the challenge. A layer for gRPC also removes credentials from the
//! trailers of requests, which tonic merges into the metadata: a client could replace a validated `authorization` with another one.

#![allow(clippy::print_stdout, reason = "an example prints")]

#[path = "authorization_server/mod.rs"]
pub(crate) mod authorization_server;
#[path = "grpc/jobs.rs"]
pub(crate) mod jobs;

use std::{error::Error, time::Duration};

use tokio::net::TcpListener;
use tonic::{
    Code, Request, Response, Status,
    transport::{self, Endpoint, Server, server::TcpIncoming},
};
use tower_bearer::{
    ConfigError, GrpcMethods, IntrospectionValidator, JwtValidator, ResourceServer, ResourceServerCredential,
    RoutingValidator, Scope, ScopeHierarchy, ValidatedToken,
};

use self::{
    authorization_server::{AuthorizationServer, Minting, ResourceCredential, TokenFormat},
    jobs::{
        Build, Builds, BuildsServer, DeleteRequest, JenkinsClient, JobList, Jobs, JobsServer, ListRequest,
        StartRequest,
    },
};

const READ: Scope = Scope::from_static("mcp:read");
const WRITE: Scope = Scope::from_static("mcp:write");

/// Validates JWTs locally, and all other tokens by introspection.
pub(crate) fn resource_server(
    issuer: &str,
    credential: &ResourceCredential,
    resource: &str,
) -> Result<ResourceServer, ConfigError> {
    // A real service leaves out `allow_http_on_loopback`, so that only https is accepted.
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

/// What each method requires.
pub(crate) fn methods() -> Result<GrpcMethods, ConfigError> {
    GrpcMethods::builder()
        .method("/jenkins.v1.Jobs/List", READ)
        .method("/jenkins.v1.Jobs/Delete", WRITE)
        .service("jenkins.v1.Builds", WRITE) // all of its methods
        .build()
}

/// Serves both services behind one layer. Methods that are not listed are refused.
pub(crate) async fn serve(
    listener: TcpListener,
    resource_server: ResourceServer,
    methods: GrpcMethods,
) -> Result<(), transport::Error> {
    Server::builder()
        .layer(resource_server.require_grpc(methods))
        .add_service(JobsServer::new(Jenkins))
        .add_service(BuildsServer::new(Jenkins))
        .serve_with_incoming(TcpIncoming::from(listener))
        .await
}

pub(crate) struct Jenkins;

impl Jobs for Jenkins {
    async fn list(&self, request: Request<ListRequest>) -> Result<Response<JobList>, Status> {
        let listed_for = subject(&request)?;
        Ok(Response::new(JobList { jobs: vec!["app".to_owned(), "docs".to_owned()], listed_for }))
    }

    /// Returns the jobs that are left.
    async fn delete(&self, request: Request<DeleteRequest>) -> Result<Response<JobList>, Status> {
        let listed_for = subject(&request)?;
        let mut jobs = vec!["app".to_owned(), "docs".to_owned()];
        jobs.retain(|job| *job != request.get_ref().job);
        Ok(Response::new(JobList { jobs, listed_for }))
    }
}

impl Builds for Jenkins {
    async fn start(&self, request: Request<StartRequest>) -> Result<Response<Build>, Status> {
        let started_by = subject(&request)?;
        Ok(Response::new(Build { job: request.into_inner().job, number: 1, started_by }))
    }
}

/// Returns the subject of the token. The layer adds the token to the extensions of the request.
fn subject<T>(request: &Request<T>) -> Result<String, Status> {
    let token = request.extensions().get::<ValidatedToken>();
    let token = token.ok_or_else(|| Status::internal("the service has no layer that validates tokens"))?;
    Ok(token.subject().unwrap_or_default().to_owned())
}

/// Adds a token to the metadata of a request.
pub(crate) fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().expect("tokens are visible ASCII");
    request.metadata_mut().insert("authorization", value);
    request
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    demonstrate().await
}

/// Prints the answer to each kind of token.
///
/// # Errors
/// If one is not as expected.
pub(crate) async fn demonstrate() -> Result<(), Box<dyn Error>> {
    let authority = AuthorizationServer::start().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let resource = format!("http://{}", listener.local_addr()?);
    let credential = authority.add_resource(&resource, TokenFormat::Jwt, &["mcp:read", "mcp:write"]);
    let resource_server = resource_server(authority.issuer(), &credential, &resource)?;
    tokio::spawn(serve(listener, resource_server, methods()?));
    let jenkins = JenkinsClient::new(Endpoint::from_shared(resource.clone())?.connect().await?);
    println!("authorization server: {}\nservices: {resource}\n", authority.issuer());

    let reading = Minting { resource: &resource, scope: "mcp:read", ..Minting::default() };
    let reader = authority.mint(reading.clone());
    let writer = authority.mint(Minting { scope: "mcp:write", ..reading.clone() });
    let expired = authority.mint(Minting { age: Duration::from_secs(7_200), ..reading.clone() });
    let new = authority.mint(reading.clone());
    let opaque = authority.mint(Minting { format: Some(TokenFormat::Opaque), ..reading });
    let start = || StartRequest { job: "app".to_owned() };

    let answer = jenkins.list(with_token(ListRequest {}, &reader)).await;
    expect("List, token with mcp:read", &answer, Code::Ok)?;
    let answer = jenkins.list(Request::new(ListRequest {})).await;
    expect("List, no token", &answer, Code::Unauthenticated)?;
    let answer = jenkins.list(with_token(ListRequest {}, &expired)).await;
    expect("List, expired token", &answer, Code::Unauthenticated)?;
    let delete = || DeleteRequest { job: "docs".to_owned() };
    let answer = jenkins.delete(with_token(delete(), &reader)).await;
    expect(
        "Delete, another method of the same service, token with mcp:read",
        &answer,
        Code::PermissionDenied,
    )?;
    let answer = jenkins.delete(with_token(delete(), &writer)).await;
    expect("Delete, token with mcp:write", &answer, Code::Ok)?;
    let answer = jenkins.start(with_token(start(), &reader)).await;
    expect("Start, token with mcp:read", &answer, Code::PermissionDenied)?;
    let answer = jenkins.start(with_token(start(), &writer)).await;
    expect("Start, token with mcp:write", &answer, Code::Ok)?;
    let answer = jenkins.list(with_token(ListRequest {}, &writer)).await;
    expect("List, token with mcp:write, which implies mcp:read", &answer, Code::Ok)?;

    println!("The authorization server stops\n");
    authority.stop().await;
    let answer = jenkins.list(with_token(ListRequest {}, &new)).await;
    expect("List, new JWT, signed with a cached key", &answer, Code::Ok)?;
    let answer = jenkins.list(with_token(ListRequest {}, &opaque)).await;
    expect("List, opaque token, which needs introspection", &answer, Code::Unavailable)?;

    println!("The authorization server is back\n");
    authority.start_again().await?;
    let answer = jenkins.list(with_token(ListRequest {}, &opaque)).await;
    expect("List, the same opaque token", &answer, Code::Ok)
}

/// Prints an answer and checks its status.
fn expect<T: std::fmt::Debug>(
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
