//! Proves how much memory 10,000 tenants use, with the keys of each.

use std::{convert::Infallible, future::ready};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_bearer::{
    Algorithm, AuthorizationServer, BoxFuture, HttpClient, HttpError, IssuerResolver, JwtValidator,
    RejectionReason, ResolvingValidator, ResourceServer, Tenant, UnverifiedIssuer, ValidationError,
    testing::{ManualClock, TestAuthorizationServer},
};

const RESOURCE: &str = "https://orders.example.com";
const TENANTS: usize = 10_000;

/// Serves the metadata and keys of every tenant. Each has an RSA key and an elliptic one.
#[derive(Clone, Debug)]
struct AllServers(Bytes);

impl HttpClient for AllServers {
    fn send(&self, request: Request<Bytes>, _: usize) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        let issuer = format!("https://{}", request.uri().host().unwrap());
        let body = match request.uri().path() {
            "/jwks" => self.0.clone(),
            _ => format!(r#"{{"issuer":"{issuer}","jwks_uri":"{issuer}/jwks"}}"#).into(),
        };
        let response = Response::builder().header("content-type", "application/json").body(body);
        Box::pin(ready(response.map_err(HttpError::new)))
    }
}

/// Knows every issuer.
struct Everyone(ManualClock);

impl IssuerResolver for Everyone {
    async fn resolve(&self, issuer: &UnverifiedIssuer) -> Result<Option<Tenant>, ValidationError> {
        let server = AuthorizationServer::discover(issuer.expose_for_lookup());
        Ok(Some(Tenant::jwt(JwtValidator::builder(server, RESOURCE).clock(self.0.clone())).version(1)))
    }
}

#[test]
fn ten_thousand_tenants_with_keys_use_at_most_7_kilobytes_each() {
    let authority = TestAuthorizationServer::new("https://as.example.com")
        .with_algorithms([Algorithm::ES256, Algorithm::RS256]);
    let client = AllServers(authority.jwks().to_string().into());
    let clock = authority.clock().clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tokens: Vec<_> = (0..TENANTS)
        .map(|number| {
            let issuer = format!("https://tenant-{number}.example");
            authority.token().issuer(&issuer).audience(RESOURCE).sign()
        })
        .collect();
    let before = resident();
    let mut kept = None;

    let counted = allocation_counter::measure(|| {
        let validator = ResolvingValidator::builder(Everyone(clock.clone()));
        let validator = validator.http_client(client.clone()).clock(clock.clone()).build().unwrap();
        // Without cached verdicts, which have a limit of their own.
        let server =
            ResourceServer::builder(validator.clone()).clock(clock.clone()).verdict_cache_bytes(0).build();
        let (_, server) = kept.insert((validator, server.unwrap()));
        let layer = server.require_token();
        runtime.block_on(async {
            for token in &tokens {
                let request = Request::get("/").header("authorization", format!("Bearer {token}"));
                let inner = service_fn(|_: Request<()>| {
                    ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
                });
                let answer = layer.layer(inner).oneshot(request.body(()).unwrap()).await.unwrap();
                let reason = answer.extensions().get::<RejectionReason>();
                assert_eq!(answer.status(), StatusCode::OK, "{reason:?}");
            }
        });
    });

    let (validator, _) = kept.unwrap();
    assert!(format!("{validator:?}").contains("known_tenants: 10000,"), "{validator:?}");
    let heap = counted.bytes_current + 16 * counted.count_current;
    let heap = usize::try_from(heap).unwrap() / TENANTS;
    let resident = resident().saturating_sub(before) / TENANTS;
    assert!(heap <= 7_000, "{heap} bytes of heap per tenant, {resident} resident");
}

/// Returns the resident memory of the process in bytes. It includes parsed keys, which are not allocated by Rust. Zero
/// on systems without procfs.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    4_096 * statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or_default()
}

/// Presents `tokens` one after the other, 11 seconds apart, so that each of them may cause a fetch.
fn present_all(server: &ResourceServer, clock: &ManualClock, tokens: &[String]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let layer = server.require_token();
    runtime.block_on(async {
        for token in tokens {
            clock.advance(std::time::Duration::from_secs(11));
            let request = Request::get("/").header("authorization", format!("Bearer {token}"));
            let inner = service_fn(|_: Request<()>| {
                ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
            });
            let answer = layer.layer(inner).oneshot(request.body(()).unwrap()).await.unwrap();
            let reason = answer.extensions().get::<RejectionReason>().unwrap();
            assert_eq!(reason.error().kind(), "unknown_key");
        }
    });
}

#[test]
fn unknown_keys_add_at_most_2500_bytes_to_a_tenant_however_long_their_names_are() {
    const ISSUER: &str = "https://tenant.example";
    let authority = TestAuthorizationServer::new("https://as.example.com");
    let client = AllServers(authority.jwks().to_string().into());
    let clock = authority.clock().clone();
    let validator = ResolvingValidator::builder(Everyone(clock.clone()));
    let validator = validator.http_client(client).clock(clock.clone()).build().unwrap();
    let server =
        ResourceServer::builder(validator).clock(clock.clone()).verdict_cache_bytes(0).build().unwrap();
    let unknown = |from: usize, count: usize| -> Vec<_> {
        let kids = (from..from + count).map(|number| format!("{number}-{}", "x".repeat(4_000)));
        let token = |kid: String| {
            let token = authority.token().issuer(ISSUER).audience(RESOURCE);
            token.expires_in(std::time::Duration::from_secs(100_000)).header("kid", kid).sign()
        };
        kids.map(token).collect()
    };
    let (first, more) = (unknown(0, 1), unknown(1, 2_000));
    present_all(&server, &clock, &first);

    let counted = allocation_counter::measure(|| present_all(&server, &clock, &more));

    let heap = counted.bytes_current + 16 * counted.count_current;
    assert!((1..=2_500).contains(&heap), "{heap} bytes of heap for 2,000 unknown keys");
}
