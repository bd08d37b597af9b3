//! Proves what `ready` waits for, and what `health` says before, during and after an outage.

use std::time::Duration;

use serde_json::{Value, json};
use tower_bearer::{
    AuthorizationServer, JwtValidator, KeySet, ResourceServer, RoutingValidator, TokenValidator,
    testing::TestAuthorizationServer,
};

use crate::support::{App, ISSUER, RESOURCE, until};

const SECOND: Duration = Duration::from_secs(1);

fn resource_server(authority: &TestAuthorizationServer, validator: impl TokenValidator) -> ResourceServer {
    authority.resource_server_with(validator).build().unwrap()
}

fn source(server: &ResourceServer) -> Value {
    let health = serde_json::to_value(server.health()).unwrap();
    assert_eq!(health["sources"].as_array().unwrap().len(), 1);
    health["sources"][0].clone()
}

#[tokio::test]
async fn keys_are_reported_before_during_and_after_an_outage() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let server = authority.resource_server(RESOURCE);
    let app = App::new(server.require_token());
    let token = authority.token().expires_in(10_000 * SECOND).sign();

    let mut expected = json!({
        "issuer": ISSUER, "kind": "keys", "state": "not_used_yet", "ready": false, "keys": null,
        "age_seconds": null, "last_failure": null, "next_attempt_seconds": null,
        "calls_in_progress": null, "inactive_cache": null,
    });
    assert_eq!(source(&server), expected);
    assert!(!server.health().ready);

    app.present(&token).await.assert_pass();
    authority.clock().advance(10 * SECOND);
    expected["state"] = "working".into();
    expected["ready"] = true.into();
    expected["keys"] = 1.into();
    expected["age_seconds"] = 10.0.into();
    expected["next_attempt_seconds"] = 290.0.into();
    assert_eq!(source(&server), expected);

    authority.go_down();
    authority.clock().advance(290 * SECOND);
    app.present(&token).await.assert_pass();
    authority.settle().await;
    let outage = source(&server);
    assert!(server.health().ready, "it still has keys");
    assert_eq!(outage["state"], "failing");
    assert_eq!(outage["age_seconds"], 300.0);
    assert_eq!(outage["next_attempt_seconds"], 1.0);
    assert_eq!(outage["last_failure"]["age_seconds"], 0.0);
    assert!(outage["last_failure"]["reason"].as_str().unwrap().starts_with("GET https://as.example.com/"));

    authority.come_back();
    authority.clock().advance(5 * SECOND);
    app.present(&token).await.assert_pass();
    authority.settle().await;
    let after = source(&server);
    assert_eq!((&after["state"], &after["age_seconds"]), (&json!("working"), &json!(0.0)));
    assert_eq!(after["last_failure"]["age_seconds"], 5.0, "the last failure is kept");
}

#[tokio::test]
async fn introspection_is_reported_before_during_and_after_an_outage() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.introspection_validator(RESOURCE).cache_ttl(SECOND).build();
    let server = resource_server(&authority, validator);
    let app = App::new(server.require_token());

    let before = source(&server);
    assert_eq!((&before["state"], &before["ready"]), (&json!("not_used_yet"), &json!(false)));
    app.present(&authority.token().opaque()).await.assert_pass();
    app.present("unknown").await.assert_invalid_token();
    authority.clock().advance(SECOND);
    let working = source(&server);
    assert_eq!((&working["state"], &working["ready"]), (&json!("working"), &json!(true)));
    assert_eq!(working["age_seconds"], 1.0);
    assert_eq!(working["calls_in_progress"], 0);
    assert_eq!(working["inactive_cache"], json!({"entries": 1, "limit": 10_000}));

    authority.go_down();
    app.present(&authority.token().opaque()).await.assert_unavailable();
    let outage = source(&server);
    assert_eq!((&outage["state"], &outage["ready"]), (&json!("failing"), &json!(true)));
    let reason = outage["last_failure"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("POST https://as.example.com/introspect"), "{reason}");
}

#[tokio::test]
async fn the_cache_is_reported_with_its_hit_rate() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let server = authority.resource_server(RESOURCE);
    let app = App::new(server.require_token());
    assert_eq!(server.health().verdict_cache.hit_rate, None);
    let token = authority.token().sign();

    for _ in 0..4 {
        app.present(&token).await.assert_pass();
    }

    let cache = server.health().verdict_cache;
    assert_eq!((cache.entries, cache.hits, cache.misses, cache.hit_rate), (1, 3, 1, Some(0.75)));
    assert_eq!(cache.limit_bytes, 32 * 1024 * 1024);
    assert!((100..10_000).contains(&cache.bytes), "{}", cache.bytes);
}

#[tokio::test]
async fn a_disabled_cache_has_no_lookups() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.jwt_validator(RESOURCE).build();
    let server = authority.resource_server_with(validator).verdict_cache_bytes(0).build().unwrap();

    App::new(server.require_token()).present(&authority.token().sign()).await.assert_pass();

    let cache = server.health().verdict_cache;
    assert_eq!((cache.limit_bytes, cache.entries, cache.hits, cache.misses), (0, 0, 0, 0));
}

#[tokio::test]
async fn configured_keys_are_ready_without_a_fetch() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let keys = KeySet::from_jwks(&authority.jwks().to_string()).unwrap();
    let configured = AuthorizationServer::with_endpoints(ISSUER).keys(keys);
    let validator = JwtValidator::builder(configured, RESOURCE).build();
    let server = resource_server(&authority, validator);

    server.ready(SECOND).await.unwrap();

    let source = source(&server);
    assert_eq!((&source["kind"], &source["keys"]), (&json!("configured_keys"), &json!(1)));
    assert_eq!(authority.requests().len(), 0);
}

#[tokio::test]
async fn a_validator_of_two_routes_is_listed_once() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let jwt = authority.jwt_validator(RESOURCE).build().unwrap();
    let introspection = authority.introspection_validator(RESOURCE).build().unwrap();
    let validator = RoutingValidator::new().route(jwt.clone()).route(jwt).otherwise(introspection);
    let server = resource_server(&authority, validator);

    server.ready(SECOND).await.unwrap();

    let kinds: Vec<_> = server.health().sources.iter().map(|source| source.kind.as_str()).collect();
    assert_eq!(kinds, ["keys", "introspection"]);
    assert!(server.health().ready);
    assert_eq!(authority.introspections(), 0);
}

#[tokio::test(start_paused = true)]
async fn ready_tries_again_until_the_authorization_server_is_back() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let jwt = authority.jwt_validator(RESOURCE).build().unwrap();
    let introspection = authority.introspection_validator(RESOURCE).build().unwrap();
    let server = resource_server(&authority, RoutingValidator::new().route(jwt).otherwise(introspection));
    authority.go_down();

    let back = async {
        until(|| authority.requests().len() >= 2).await;
        authority.come_back();
        authority.clock().advance(4 * SECOND);
    };
    let (ready, ()) = tokio::join!(server.ready(60 * SECOND), back);

    ready.unwrap();
    assert!(server.health().ready);
}

#[tokio::test(start_paused = true)]
async fn ready_ends_after_the_limit_and_names_each_issuer_and_the_reason() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let jwt = authority.jwt_validator(RESOURCE).build().unwrap();
    let introspection = authority.introspection_validator(RESOURCE).build().unwrap();
    let server = resource_server(&authority, RoutingValidator::new().route(jwt).otherwise(introspection));
    authority.go_down();

    let began = tokio::time::Instant::now();
    let error = server.ready(7 * SECOND).await.unwrap_err();

    assert_eq!(began.elapsed(), 7 * SECOND);
    let sources: Vec<_> =
        error.sources().iter().map(|source| (&*source.issuer, source.kind.as_str())).collect();
    assert_eq!(sources, [(ISSUER, "keys"), (ISSUER, "introspection")]);
    let text = error.to_string();
    assert!(
        text.starts_with("not ready within 7s: keys of \"https://as.example.com\": GET https://"),
        "{text}"
    );
    assert!(text.contains("; introspection of \"https://as.example.com\": GET https://"), "{text}");
}
