//! Proves that `serde_json/arbitrary_precision`, enabled by another crate, changes neither verdicts nor claims.
//!
//! With this feature, serde_json deserializes a number as a map with a reserved key.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header::CONTENT_TYPE};
use serde::Deserialize;
use serde_json::{Value, json};
use tower::{ServiceExt as _, service_fn};
use tower_bearer::{
    ClaimsSet, KeySet, ProtectedResourceMetadata, ResourceServer, UnixTime, ValidatedToken,
    testing::{SigningKey, TestAuthorizationServer},
};

const AUDIENCE: &str = "https://orders.example.com";

/// Claims with numbers in every notation next to strings with escapes.
const CUSTOM_CLAIMS: &str = r#"
    "limits": {"\u0061": 0.5, "b": [1, -1, 1e3, 1.5E-2, -0, -0.0, {"c": 2.50, "d": "\u0041\n"}]},
    "big": {"name": "\ud83d\ude00", "n": 18446744073709551616, "m": -9223372036854775809},
    "digits": [12345678901234567890123456789012345678901234567890, 0.1234567890123456789, "\u0042"],
    "ratio": 0.25, "debt": -5, "count": 18446744073709551615, "exponent": 1e3, "name": "\u0041lice"
"#;

/// Shows that the feature is enabled. Otherwise the other tests in this file would pass for no reason.
#[test]
fn feature_is_enabled() {
    let number: Value = serde_json::from_str("0.1234567890123456789").unwrap();

    assert_eq!(number.to_string(), "0.1234567890123456789");
}

#[tokio::test]
async fn r7519_13_jwt_with_numbers_next_to_escapes_is_accepted() {
    let kit = Kit::new();

    let claims = kit.jwt_claims(CUSTOM_CLAIMS).await.expect("accepted");

    assert_custom_claims(&claims);
}

#[tokio::test]
async fn jwt_with_fractional_times_is_accepted() {
    let kit = Kit::new();
    let exp = format!("{}.75", kit.now() + 60);

    let claims = kit.jwt_claims(&format!(r#""exp": {exp}, "iat": 1.7e9, "nbf": 0"#)).await.expect("accepted");

    assert_eq!(claims.expires_at().unwrap().as_secs(), kit.now() + 60);
    assert_eq!(claims.issued_at(), Some(UnixTime::from_secs(1_700_000_000)));
}

#[tokio::test]
async fn invalid_claims_are_refused_as_without_the_feature() {
    let kit = Kit::new();
    for claims in [
        r#""a": "\ud800""#,
        r#""a": {"b": [0.5, "\udc00"]}"#,
        r#""a": {"\ud800": 0.5}"#,
        r#""$serde_json::private::Number": "1""#,
        r#""a": {"$serde_json::private::Number": "1"}"#,
        r#""a": [0.5, {"\u0024serde_json::private::Number": "1"}]"#,
        r#""exp": {"$serde_json::private::Number": "99999999999"}"#,
        r#""exp": "99999999999""#,
        r#""exp": 1e400"#,
        r#""exp": -1"#,
        r#""exp": 253402300800"#,
        r#""sub": 1.5"#,
        r#""aud": [1.5]"#,
        r#""aud": {"$serde_json::private::Number": "1"}"#,
        r#""scope": 1e3"#,
        r#""a": 1e400"#,
        r#""a": [{"b": -1e400}]"#,
        r#""a": 01"#,
        r#""a": 1."#,
        r#""a": .5"#,
        r#""a": NaN"#,
    ] {
        assert_eq!(kit.jwt_claims(claims).await.err(), Some(StatusCode::UNAUTHORIZED), "{claims}");
    }
}

#[tokio::test]
async fn expired_jwt_with_a_fractional_time_is_refused() {
    let kit = Kit::new();
    let exp = format!("{}.5", kit.now() - 60);

    let answer = kit.jwt_claims(&format!(r#""exp": {exp}"#)).await;

    assert_eq!(answer.err(), Some(StatusCode::UNAUTHORIZED));
}

#[tokio::test]
async fn r7519_13_introspection_response_with_numbers_next_to_escapes_is_accepted() {
    let kit = Kit::new();

    let claims = kit.introspected_claims(&kit.answer(CUSTOM_CLAIMS)).await.expect("accepted");

    assert_custom_claims(&claims);
}

#[tokio::test]
async fn introspection_response_that_is_inactive_expired_or_malformed_is_refused() {
    let kit = Kit::new();
    let expired = format!(r#""exp": {}.5, "a": {{"b": 0.5, "c": "\u0041"}}"#, kit.now() - 60);
    for (answer, status) in [
        (r#"{"active": false, "a": {"b": 0.5, "c": "\u0041"}}"#.to_owned(), StatusCode::UNAUTHORIZED),
        (kit.answer(&expired), StatusCode::UNAUTHORIZED),
        (r#"{"active": 1.0}"#.to_owned(), StatusCode::BAD_GATEWAY),
        (r#"{"active": {"$serde_json::private::Number": "1"}}"#.to_owned(), StatusCode::BAD_GATEWAY),
    ] {
        assert_eq!(kit.introspected_claims(&answer).await.err(), Some(status), "{answer}");
    }
}

#[tokio::test]
async fn metadata_with_numbers_next_to_escapes_is_used() {
    let kit = Kit::new();
    let document = format!(
        r#"{{"issuer": "{}", "jwks_uri": "{}", "x": {{"a": 0.5, "b": "\u0041"}}, "y": [1e3, "\u0042"]}}"#,
        kit.authority.issuer(),
        kit.authority.jwks_uri(),
    );
    kit.authority.answer(&kit.authority.metadata_url(), move |_| json_response(document.clone()));

    assert!(kit.jwt_claims(CUSTOM_CLAIMS).await.is_ok());
}

#[tokio::test]
async fn key_set_with_numbers_next_to_escapes_is_used() {
    let kit = Kit::new();
    let key = kit.authority.jwks()["keys"][0].to_string();
    let (key, _) = key.rsplit_once('}').unwrap();
    let document = format!(
        r#"{{"keys": [{key}, "iat": 1.5, "ext": {{"a": 0.5, "b": "\u0041"}}}}], "y": [1e3, "\u0042"]}}"#
    );
    kit.authority.answer(&kit.authority.jwks_uri(), move |_| json_response(document.clone()));

    assert!(kit.jwt_claims(CUSTOM_CLAIMS).await.is_ok());
}

#[test]
fn configured_key_with_numbers_next_to_escapes_is_read() {
    let key = SigningKey::generate("key", tower_bearer::Algorithm::ES256).jwk().to_string();
    let (key, _) = key.rsplit_once('}').unwrap();

    assert!(KeySet::from_jwk(&format!(r#"{key}, "ext": {{"a": 0.5, "b": "\u0041"}}}}"#)).is_ok());
}

#[tokio::test]
async fn token_of_the_testing_kit_keeps_fractions() {
    let kit = Kit::new();
    let token = kit.authority.token().claim("ratio", 0.25).claim("nested", json!({"a": 1.5, "b": "é"}));

    let claims = admitted(&kit.jwt, &token.sign()).await.expect("accepted");

    assert_eq!(claims.claim::<f64>("ratio").unwrap(), Some(0.25));
    assert_eq!(claims.claim::<Value>("nested").unwrap(), Some(json!({"a": 1.5, "b": "é"})));
}

#[test]
fn custom_validator_can_set_claims_with_fractions() {
    let claims = ClaimsSet::new()
        .with_claim("ratio", &0.25)
        .and_then(|claims| claims.with_claim("limits", &json!({"a": 0.5, "b": "é\u{1}"})))
        .and_then(|claims| claims.with_claim("count", &u64::MAX))
        .unwrap();

    assert_eq!(claims.claim::<f64>("ratio").unwrap(), Some(0.25));
    assert_eq!(claims.claim::<Value>("limits").unwrap().unwrap()["a"], json!(0.5));
    assert_eq!(claims.claim::<u64>("count").unwrap(), Some(u64::MAX));
}

#[test]
fn metadata_members_keep_fractions() {
    let metadata = ProtectedResourceMetadata::new(AUDIENCE).member("x_limits", json!({"a": 0.5}));
    let authority = TestAuthorizationServer::new("https://as.example.com");
    let validator = authority.jwt_validator(AUDIENCE).build().unwrap();

    let resource_server =
        authority.resource_server_with(validator).resource_metadata(metadata).build().unwrap();

    assert_eq!(resource_server.metadata().unwrap()["x_limits"].to_string(), r#"{"a":0.5}"#);
}

/// Reads the claims with every accessor and asserts their values.
fn assert_custom_claims(claims: &ClaimsSet) {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Custom {
        ratio: f64,
        debt: i64,
        count: u64,
        exponent: f64,
        name: String,
        limits: Limits,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    struct Limits {
        a: f64,
        b: Vec<Value>,
    }

    let custom: Custom = claims.deserialize().unwrap();
    assert_eq!(
        (custom.ratio, custom.debt, custom.count, custom.exponent, &*custom.name, custom.limits.a),
        (0.25, -5, u64::MAX, 1e3, "Alice", 0.5)
    );
    assert_eq!(custom.limits.b.len(), 7);
    assert_eq!(claims.claim::<f64>("ratio").unwrap(), Some(0.25));
    assert_eq!(claims.claim::<i64>("debt").unwrap(), Some(-5));
    assert_eq!(claims.claim::<u64>("count").unwrap(), Some(u64::MAX));
    assert_eq!(claims.claim::<String>("name").unwrap().as_deref(), Some("Alice"));
    assert!(claims.claim::<u64>("ratio").is_err());

    let written = serde_json::to_string(claims).unwrap();
    let read: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(read, serde_json::to_value(claims).unwrap());
    assert_eq!(read["limits"]["b"][6]["d"], "A\n");
    assert_eq!(read["ratio"].as_f64(), Some(0.25));
    assert_eq!(read["count"].as_u64(), Some(u64::MAX));
    assert_eq!(read["digits"].as_array().map(Vec::len), Some(3));
    assert_eq!(read["big"]["n"].as_f64(), Some(18_446_744_073_709_551_616.0));
    assert!(!written.contains("$serde_json"), "{written}");
}

struct Kit {
    authority: TestAuthorizationServer,
    jwt: ResourceServer,
}

impl Kit {
    fn new() -> Self {
        let authority = TestAuthorizationServer::new("https://as.example.com");
        let jwt = authority.resource_server(AUDIENCE);
        Self { authority, jwt }
    }

    fn now(&self) -> u64 {
        use tower_bearer::Clock as _;

        self.authority.clock().now().as_secs()
    }

    /// Presents a valid token in which these members replace those of the same name, and returns its claims.
    async fn jwt_claims(&self, members: &str) -> Result<ClaimsSet, StatusCode> {
        let mut token = self.authority.token();
        for name in ["exp", "iat", "nbf", "sub", "aud", "scope"] {
            if members.contains(&format!("\"{name}\"")) {
                token = token.without_claim(name);
            }
        }
        if !members.contains("\"aud\"") {
            token = token.audience(AUDIENCE);
        }
        let payload = Value::Object(token.claims().clone()).to_string();
        let payload = format!("{}, {members}}}", payload.strip_suffix('}').unwrap());
        admitted(&self.jwt, &token.raw_payload(payload).sign()).await
    }

    /// Returns an active introspection response with these additional members.
    fn answer(&self, members: &str) -> String {
        let exp = if members.contains("\"exp\"") {
            String::new()
        } else {
            format!(r#""exp": {}, "#, self.now() + 60)
        };
        format!(r#"{{"active": true, "aud": "{AUDIENCE}", {exp}{members}}}"#)
    }

    async fn introspected_claims(&self, answer: &str) -> Result<ClaimsSet, StatusCode> {
        let validator = self.authority.introspection_validator(AUDIENCE).build().unwrap();
        let resource_server = self.authority.resource_server_with(validator).build().unwrap();
        let answer = answer.to_owned();
        self.authority
            .answer(&self.authority.introspection_endpoint(), move |_| json_response(answer.clone()));
        admitted(&resource_server, "opaque").await
    }
}

/// Sends a token through the layer and returns its claims, or the status of the refusal.
async fn admitted(resource_server: &ResourceServer, token: &str) -> Result<ClaimsSet, StatusCode> {
    let service = tower::Layer::layer(
        &resource_server.require_token(),
        service_fn(|request: Request<()>| async move {
            let token = request.extensions().get::<ValidatedToken>().cloned().unwrap();
            let mut response = Response::new(());
            response.extensions_mut().insert(token);
            Ok::<_, Infallible>(response)
        }),
    );
    let request = Request::get("/").header("authorization", format!("Bearer {token}")).body(()).unwrap();
    let response = service.oneshot(request).await.unwrap();
    match response.extensions().get::<ValidatedToken>() {
        Some(token) => Ok(token.claims().clone()),
        None => Err(response.status()),
    }
}

fn json_response(body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, "application/json".parse().unwrap());
    response
}
