//! What cached verdicts take, counted in the allocator, against the configured bound.

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

/// Claims of one kind; the number makes each token a different one.
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

/// Takes a number for a token and gives it the claims of a shape.
struct Shaped(Shape);

impl TokenValidator for Shaped {
    async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        let claims = ClaimsSet::parse((self.0)(token.expose().parse().unwrap()).as_bytes())?;
        Ok(ValidatedToken::from_trusted_claims(claims).reusable_for(Duration::from_secs(3_600)))
    }
}

/// Bytes of heap, with what an allocator adds to each allocation: 8 for its header, and as many for rounding up to 16.
struct Heap {
    full: u64,
    most: u64,
}

/// Fills the cache several times over and counts what stays allocated, and the most that was.
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
            let Poll::Ready(Ok(response)) = answer.as_mut().poll(context) else { panic!("no answer") };
            assert_eq!(response.status(), StatusCode::OK);
        }
    });
    let full = counted.bytes_current + 16 * counted.count_current;
    Heap { full: full.try_into().unwrap(), most: counted.bytes_max + 16 * counted.count_max }
}

#[test]
fn a59_the_bound_of_the_cache_holds_for_every_shape_of_token() {
    let mut report = String::new();
    let mut all_good = true;
    for bound in [512 * 1024, 3 * 512 * 1024] {
        for (name, shape) in SHAPES {
            let heap = fill(shape, bound);

            let (full, most) = (100 * heap.full / bound, 100 * heap.most / bound);
            writeln!(report, "{name}: full {full} % of {bound} bytes, at most {most} %").unwrap();
            // Far below the bound, the cache would keep fewer tokens than it has room for.
            all_good &= (60..=110).contains(&full) && most <= 110;
        }
    }
    assert!(all_good, "\n{report}");
}
