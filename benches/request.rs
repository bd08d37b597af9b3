//! Measures the cost of a request: a whole tower call with `poll_ready`, `call`, polling and dropping. The inner
//! service and the signature alone are measured for comparison.
//!
//! `cargo bench --features testing`. Compare rows of the same run only, because absolute times vary between runs.

#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::{
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
    task::{Context, Poll, Waker},
};

use aws_lc_rs::signature::ParsedPublicKey;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer as _, Service, service_fn};
use tower_bearer::{
    Algorithm, ResourceServer, Scope,
    testing::{TestAuthorizationServer, TokenBuilder},
};

const RESOURCE: &str = "https://orders.example.com";
const READ: Scope = Scope::from_static("orders:read");
const DISTINCT: usize = 10_000;

type Inner = Ready<Result<Response<Full<Bytes>>, Infallible>>;

fn inner(request: Request<()>) -> Inner {
    black_box(request);
    ready(Ok(Response::new(Full::default())))
}

/// A typical token with twelve claims.
fn token(authority: &TestAuthorizationServer) -> TokenBuilder {
    authority
        .token()
        .scope("openid profile orders:read orders:write")
        .claim("auth_time", 1_799_999_000)
        .claim("acr", "urn:example:silver")
        .claim("tenant", "north")
        .claim("roles", ["buyer", "approver"])
        .claim("locale", "de-AT")
        .claim("sid", "08a5019c-17e1-4977-8f42-65a12843ea02")
}

fn request(token: &str) -> Request<()> {
    Request::get("/orders").header("authorization", format!("Bearer {token}")).body(()).unwrap()
}

/// Calls a service and polls it once, because nothing here is ever pending.
fn call<S, R>(service: &mut S, request: Request<()>) -> StatusCode
where
    S: Service<Request<()>, Response = Response<R>, Error = Infallible>,
{
    let context = &mut Context::from_waker(Waker::noop());
    assert!(matches!(service.poll_ready(context), Poll::Ready(Ok(()))));
    let mut answer = std::pin::pin!(service.call(request));
    let Poll::Ready(response) = answer.as_mut().poll(context) else {
        panic!("the call is pending");
    };
    let Ok(response) = black_box(response);
    response.status()
}

fn bench_calls<S, R>(
    criterion: &mut Criterion,
    name: &str,
    service: &mut S,
    tokens: &[String],
    expected: StatusCode,
) where
    S: Service<Request<()>, Response = Response<R>, Error = Infallible>,
{
    for token in tokens {
        assert_eq!(call(service, request(token)), expected, "{name}");
    }
    let mut next = tokens.iter().cycle();
    criterion.bench_function(name, |bencher| {
        bencher.iter_batched(
            || request(next.next().unwrap()),
            |request| call(service, request),
            BatchSize::SmallInput,
        );
    });
}

/// Creates a resource server that has already fetched its keys.
fn resource_server(authority: &TestAuthorizationServer, cache_bytes: u64) -> ResourceServer {
    let validator = authority.jwt_validator(RESOURCE).build().unwrap();
    let server = authority.resource_server_with(validator).verdict_cache_bytes(cache_bytes).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = authority.token().sign();
    runtime.block_on(async {
        let mut service = server.require_token().layer(service_fn(inner));
        service.call(request(&first)).await.unwrap();
    });
    server
}

fn requests(criterion: &mut Criterion) {
    const OK: StatusCode = StatusCode::OK;
    const REFUSED: StatusCode = StatusCode::UNAUTHORIZED;

    bench_calls(criterion, "inner service alone", &mut service_fn(inner), &["x".repeat(700)], OK);
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let authority = TestAuthorizationServer::new("https://as.example.com").with_algorithms([algorithm]);
        let cached = resource_server(&authority, 64 * 1024 * 1024);
        let uncached = resource_server(&authority, 0);
        let valid = token(&authority).sign();
        let expired = token(&authority).claim("iat", 1_600_000_000).claim("exp", 1_700_000_000).sign();
        let forged = valid[..valid.len() - 8].to_owned() + "AAAAAAAA";
        let valid = [valid];

        bench_signature(criterion, &authority, &valid[0]);
        let mut service = cached.require_scopes(READ).layer(service_fn(inner));
        bench_calls(criterion, &format!("{algorithm} cached"), &mut service, &valid, OK);
        let mut service = uncached.require_scopes(READ).layer(service_fn(inner));
        bench_calls(criterion, &format!("{algorithm} not cached"), &mut service, &valid, OK);
        bench_calls(criterion, &format!("{algorithm} expired"), &mut service, &[expired], REFUSED);
        bench_calls(criterion, &format!("{algorithm} forged"), &mut service, &[forged], REFUSED);
        if algorithm == Algorithm::EdDSA {
            let mut service = cached.require_scopes(READ).layer(service_fn(inner));
            bench_calls(criterion, "garbage of 900 bytes", &mut service, &["x".repeat(900)], REFUSED);
            let tokens: Vec<_> = (0..DISTINCT).map(|_| token(&authority).sign()).collect();
            bench_calls(criterion, "10,000 cached tokens", &mut service, &tokens, OK);
        }
    }
}

/// Measures the signature alone, with a key that is parsed once.
fn bench_signature(criterion: &mut Criterion, authority: &TestAuthorizationServer, token: &str) {
    use aws_lc_rs::signature as s;

    let key = &authority.keys()[0];
    let jwk = key.jwk();
    let number = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let prepared = match key.algorithm() {
        Algorithm::RS256 => s::RsaPublicKeyComponents { n: number("n"), e: number("e") }
            .to_parsed_public_key(&s::RSA_PKCS1_2048_8192_SHA256)
            .unwrap(),
        Algorithm::ES256 => {
            ParsedPublicKey::new(&s::ECDSA_P256_SHA256_FIXED, [vec![4], number("x"), number("y")].concat())
                .unwrap()
        }
        _ => ParsedPublicKey::new(&s::ED25519, number("x")).unwrap(),
    };
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    criterion.bench_function(&format!("{} signature alone", key.algorithm()), |bencher| {
        bencher.iter(|| prepared.verify_sig(black_box(message.as_bytes()), black_box(&signature)).unwrap());
    });
}

criterion_group!(benches, requests);
criterion_main!(benches);
