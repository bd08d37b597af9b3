//! Proves that the memory of cached tokens, counted in the allocator, stays within the configured limit.

use std::{
    convert::Infallible,
    fmt::Write as _,
    future::{Future, Ready, ready},
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer as _, Service, service_fn};
use tower_bearer::{
    AccessToken, ClaimsSet, ResourceServer, TokenValidator, ValidatedToken, ValidationError,
    testing::ManualClock,
};

/// Returns claims of one kind. The number makes each token different.
type Shape = fn(number: usize) -> String;

const SHAPES: [(&str, Shape); 10] = [
    ("small", |number| format!(r#"{{"sub":"alice","jti":"{number}"}}"#)),
    ("no string claims", |number| format!(r#"{{"number":{number}}}"#)),
    ("ordinary", ordinary),
    ("20 audiences", |number| with("aud", &list(20, |index| format!("a{index}")), number)),
    ("300 audiences", |number| with("aud", &list(300, |index| format!("a{index}")), number)),
    ("100 scopes", |number| {
        let scopes: Vec<_> = (0..100).map(|index| format!("service-{index}:read")).collect();
        with("scope", &format!("{:?}", scopes.join(" ")), number)
    }),
    ("nested claims", |number| {
        let roles = list(40, |index| format!("role-{index}"));
        let access: Vec<_> = (0..8).map(|index| format!(r#""s{index}":{{"roles":{roles}}}"#)).collect();
        with("resource_access", &format!("{{{}}}", access.join(",")), number)
    }),
    ("actors", |number| {
        let act = r#"{"sub":"proxy","client_id":"dropped","act":{"sub":"robot","client_id":"dropped"}}"#;
        with("act", act, number)
    }),
    ("2 KiB about the client", |number| with("client_name", &format!("{:?}", "x".repeat(2_048)), number)),
    ("12 KiB", |number| with("filler", &format!("{:?}", "x".repeat(12 * 1_024)), number)),
];

fn ordinary(number: usize) -> String {
    format!(
        r#"{{"iss":"https://as.example.com","sub":"5ba552d67","aud":"https://orders.example.com",
        "exp":4000000000,"iat":1700000000,"auth_time":1700000000,"jti":"08a5019c-17e1-4977-8f42-{number:012}",
        "scope":"openid profile orders:read orders:write","acr":"urn:example:silver","tenant":"north",
        "roles":["buyer","approver"],"locale":"de-AT","sid":"08a5019c-17e1-4977-8f42-65a12843ea02"}}"#
    )
}

fn with(name: &str, value: &str, number: usize) -> String {
    format!(r#"{{"iss":"https://as.example.com","sub":"5ba552d67","jti":"{number}","{name}":{value}}}"#)
}

fn list(count: usize, element: impl Fn(usize) -> String) -> String {
    let mut list = String::from("[");
    for index in 0..count {
        write!(list, "{}{:?}", if index == 0 { "" } else { "," }, element(index)).unwrap();
    }
    list + "]"
}

/// A validator whose tokens are numbers. It returns the claims of a shape for that number.
struct Shaped(Shape);

impl TokenValidator for Shaped {
    async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        let claims = ClaimsSet::parse((self.0)(token.expose().parse().unwrap()).as_bytes())?;
        Ok(ValidatedToken::from_trusted_claims(claims).reusable_for(Duration::from_secs(3_600)))
    }
}

/// Heap usage in bytes, with 16 bytes of overhead per allocation: 8 for the header, 8 for rounding up.
struct Heap {
    full: u64,
    peak: u64,
}

/// Inserts more tokens than the cache can hold, and returns the final and the maximum heap usage.
fn fill(shape: Shape, bound: u64) -> Heap {
    fn inner(_: Request<()>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
        ready(Ok(Response::new(Full::default())))
    }

    let claims = serde_json::to_string(&ClaimsSet::parse(shape(0).as_bytes()).unwrap()).unwrap();
    let least = u64::try_from(claims.len().max(300)).unwrap();
    let clock = ManualClock::default();
    let mut resource_server = None;
    let counted = allocation_counter::measure(|| {
        let server = ResourceServer::builder(Shaped(shape)).clock(clock).verdict_cache_bytes(bound);
        let server = resource_server.insert(server.build().unwrap());
        let mut service = server.require_token().layer(service_fn(inner));
        let context = &mut Context::from_waker(Waker::noop());
        for number in 0..2 * bound / least {
            let request = Request::get("/").header("authorization", format!("Bearer {number}"));
            assert!(service.poll_ready(context).is_ready());
            let mut answer = pin!(service.call(request.body(()).unwrap()));
            let Poll::Ready(Ok(response)) = answer.as_mut().poll(context) else {
                panic!("the request is pending")
            };
            assert_eq!(response.status(), StatusCode::OK);
        }
    });
    let full = counted.bytes_current + 16 * counted.count_current;
    Heap { full: full.try_into().unwrap(), peak: counted.bytes_max + 16 * counted.count_max }
}

#[test]
fn a59_cache_stays_within_its_memory_limit_for_tokens_of_every_shape() {
    let mut report = String::new();
    let mut all_within_bounds = true;
    for bound in [512 * 1024, 3 * 512 * 1024] {
        for (name, shape) in SHAPES {
            let heap = fill(shape, bound);

            let (full, peak) = (100 * heap.full / bound, 100 * heap.peak / bound);
            writeln!(report, "{name}: full {full} % of {bound} bytes, at most {peak} %").unwrap();
            // Far below the limit, the cache would hold fewer tokens than it should.
            all_within_bounds &= (60..=110).contains(&full) && peak <= 110;
        }
    }
    assert!(all_within_bounds, "\n{report}");
}
