//! Proves upper bounds on the allocations of a request. Raising a bound needs a reason.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::pin,
    task::{Context, Poll, Waker},
};

#[path = "allocations/cache_memory.rs"]
mod cache_memory;
#[path = "allocations/tenant_memory.rs"]
mod tenant_memory;

use allocation_counter::AllocationInfo;
use bytes::Bytes;
use http::{Method, Request, Response, Uri};
use http_body_util::Full;
use tower::{Layer as _, Service, service_fn};
use tower_bearer::{
    GrpcMethods, PathRules, RequestHead, RequirementPolicy, ResourceServer, RoutingValidator, Scope,
    testing::TestAuthorizationServer,
};

const RESOURCE: &str = "https://orders.example.com";
const READ: Scope = Scope::from_static("orders:read");
const WRITE: Scope = Scope::from_static("orders:write");

fn inner(_: Request<()>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    ready(Ok(Response::new(Full::default())))
}

/// Returns a request whose URI is cloned without an allocation, as in hyper, where it shares the connection's buffer.
fn request(token: &str) -> Request<()> {
    Request::get(Uri::from_static("/orders"))
        .header("authorization", format!("Bearer {token}"))
        .body(())
        .unwrap()
}

/// Counts the allocations of a request that completes on its first poll.
fn allocations(resource_server: &ResourceServer, request: Request<()>) -> u64 {
    measure(resource_server, request).count_total
}

fn measure(resource_server: &ResourceServer, request: Request<()>) -> AllocationInfo {
    let mut service = resource_server.require_scopes(READ).layer(service_fn(inner));
    let context = &mut Context::from_waker(Waker::noop());
    let mut request = Some(request);
    allocation_counter::measure(|| {
        assert!(service.poll_ready(context).is_ready());
        let mut answer = pin!(service.call(request.take().unwrap()));
        assert!(matches!(answer.as_mut().poll(context), Poll::Ready(Ok(_))));
    })
}

async fn with_keys(authority: &TestAuthorizationServer) -> ResourceServer {
    let resource_server = authority.resource_server(RESOURCE);
    let mut service = resource_server.require_scopes(READ).layer(service_fn(inner));
    service.call(request(&authority.token().sign())).await.unwrap();
    resource_server
}

#[tokio::test]
async fn cached_token_allocates_at_most_three_times() {
    let authority = TestAuthorizationServer::new("https://as.example.com");
    let resource_server = with_keys(&authority).await;
    let token = authority.token().scope("orders:read").sign();
    allocations(&resource_server, request(&token));

    let fewest = (0..10).map(|_| allocations(&resource_server, request(&token))).min().unwrap();

    // The extensions map, its table, and the token in it.
    assert!(fewest <= 3, "{fewest}");
}

#[tokio::test]
async fn new_token_allocates_at_most_40_times() {
    let authority = TestAuthorizationServer::new("https://as.example.com");
    let resource_server = with_keys(&authority).await;
    let tokens: Vec<_> = (0..10).map(|_| authority.token().scope("orders:read").sign()).collect();

    let fewest = tokens.iter().map(|token| allocations(&resource_server, request(token))).min().unwrap();

    assert!(fewest <= 40, "{fewest}");
}

#[tokio::test]
async fn new_token_behind_a_router_is_decoded_and_parsed_once() {
    let authority = TestAuthorizationServer::new("https://as.example.com");
    let jwt = authority.jwt_validator(RESOURCE).build().unwrap();
    let routed = authority.resource_server_with(RoutingValidator::new().route(jwt.clone())).build().unwrap();
    let direct = authority.resource_server_with(jwt).build().unwrap();
    let mut service = direct.require_token().layer(service_fn(inner));
    service.call(request(&authority.token().audience(RESOURCE).sign())).await.unwrap();
    let new_token = || {
        authority.token().audience(RESOURCE).scope("orders:read").claim("filler", "x".repeat(6_000)).sign()
    };
    let fewest = |server| {
        let measured: Vec<_> = (0..40).map(|_| measure(server, request(&new_token()))).collect();
        let count = measured.iter().map(|info| info.count_total).min().unwrap();
        (count, measured.iter().map(|info| info.bytes_total).min().unwrap())
    };

    let (direct, routed) = (fewest(&direct), fewest(&routed));

    // Routing takes six allocations: the parsed token, the future of the route, and two each for the members of header
    // and payload. The cache sometimes adds two to either count. Decoding and parsing the token again would add five
    // allocations and the 6,000 bytes of the payload.
    assert!(routed.0 <= direct.0 + 8, "{routed:?} behind a router, {direct:?} without");
    assert!(routed.1 <= direct.1 + 4_000, "{routed:?} behind a router, {direct:?} without");
}

#[tokio::test]
async fn malformed_token_allocates_at_most_24_times() {
    let authority = TestAuthorizationServer::new("https://as.example.com");
    let resource_server = with_keys(&authority).await;

    let fewest = (0..10).map(|_| allocations(&resource_server, request(&"x".repeat(900)))).min().unwrap();

    assert!(fewest <= 24, "{fewest}");
}

/// Counts the allocations of the decision about one request.
fn decision(policy: &impl RequirementPolicy, method: Method, uri: Uri) -> u64 {
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    let measured = allocation_counter::measure(|| {
        let _ = std::hint::black_box(policy.requirement(&RequestHead::from(&request)));
    });
    measured.count_total
}

#[test]
fn decision_by_path_does_not_allocate() {
    let rules = PathRules::builder()
        .rule([Method::GET], "/", READ)
        .rule([Method::GET], "/job/{name}/lastBuild/consoleText", [READ, WRITE])
        .any_method("/job/{folder}/job/{name}/{*rest}", READ)
        .any_method("/{a}/{b}/{c}/{d}/{e}/{f}", READ)
        .build()
        .unwrap();

    for path in [
        "/",
        "/job/nightly/lastBuild/consoleText",
        "/job/Nightly/lastBuild/consoleText",
        "/job/a/job/b/api/json?x=y",
        "/a/b/c/d/e/f",
        "/job/nightly%20build/last%42uild/consoleText",
        "/job/nightly%2Fbuild",
        "/job/b%C3%BCro/x",
        "/unknown",
        "/JOB/x",
        "/job/../x",
        "/job;x",
        "*",
    ] {
        assert_eq!(decision(&rules, Method::GET, path.parse().unwrap()), 0, "{path}");
    }
    assert_eq!(decision(&rules, Method::PUT, Uri::from_static("/")), 0);
    let long = "N".repeat(1_000);
    assert_eq!(
        decision(&rules, Method::GET, format!("/job/{long}/lastBuild/consoleText").parse().unwrap()),
        0
    );
    let escape = "%20".repeat(70);
    assert_eq!(decision(&rules, Method::GET, format!("/job/x{escape}y/lastBuild").parse().unwrap()), 0);
}

#[test]
fn decision_by_grpc_method_does_not_allocate() {
    let methods = GrpcMethods::builder()
        .service("orders.v1.Orders", READ)
        .method("/orders.v1.Orders/Cancel", [READ, WRITE])
        .build()
        .unwrap();

    for path in ["/orders.v1.Orders/Cancel", "/orders.v1.Orders/List", "/orders.v1.Unknown/List", "/"] {
        assert_eq!(decision(&methods, Method::POST, path.parse().unwrap()), 0, "{path}");
    }
}

#[cfg(feature = "mcp")]
#[test]
fn decision_by_mcp_headers_does_not_allocate() {
    let operations = tower_bearer::mcp::McpOperations::builder()
        .tool("list_jobs", READ)
        .resource("jobs://all", READ)
        .build()
        .unwrap();
    for (method, name) in [
        ("tools/call", Some("list_jobs")),
        ("tools/call", Some("unknown")),
        ("resources/read", Some("jobs://all")),
        ("tools/list", None),
    ] {
        let mut request = Request::post("/mcp").header("mcp-protocol-version", "2026-07-28");
        request = request.header("mcp-method", method);
        if let Some(name) = name {
            request = request.header("mcp-name", name);
        }
        let request = request.body(()).unwrap();

        let measured = allocation_counter::measure(|| {
            let _ = std::hint::black_box(operations.requirement(&RequestHead::from(&request)));
        });

        assert_eq!(measured.count_total, 0, "{method} {name:?}");
    }
}
