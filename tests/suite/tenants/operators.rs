//! What operators see of tenants and of the resolver: events, health, readiness, metrics and the log at start.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use metrics_util::debugging::DebuggingRecorder;
use serde_json::{Value, json};
use tower_bearer::{
    AccessToken, AuthorizationServer, BoxFuture, Event, HttpClient, HttpError, IssuerResolver, JwtValidator,
    Observer, ProtectedResourceMetadata, ResolvingValidator, ResourceServer, Tenant, TokenValidator,
    UnverifiedIssuer, ValidatedToken, ValidationError, integration::metrics::MetricsObserver,
    testing::TestAuthorizationServer,
};

use super::kit::{self, ACME, GLOBEX, Kit};
use crate::support::{App, Log, RESOURCE, settle, soon, until};

const SECOND: Duration = Duration::from_secs(1);

/// Records the events of tenants and resolvers.
#[derive(Default)]
struct Recorded(Mutex<Vec<String>>);

impl Observer for Recorded {
    fn on_event(&self, event: &Event<'_>) {
        let line = match event {
            Event::KeysFetched { issuer, result, .. } => format!("keys of {issuer}: {result:?}"),
            Event::IntrospectionCalled { issuer, result, .. } => {
                format!("introspection at {issuer}: {result:?}")
            }
            Event::SourceStateChanged { issuer, source, working, .. } => {
                format!("{source} of {issuer} working: {working}")
            }
            Event::ResolverCalled { duration, result, .. } => format!("resolver: {result:?} in {duration:?}"),
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

impl Recorded {
    /// Returns the lines since the last call.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

fn observed(kit: &Kit, events: &Arc<Recorded>) -> ResourceServer {
    let builder = ResourceServer::builder(kit.validator.clone()).clock(kit.clock.clone());
    builder.observer(events.clone()).build().unwrap()
}

fn unavailable() -> ValidationError {
    ValidationError::unavailable("postgres://app:hunter2@db.internal/tenants: connection refused")
}

#[tokio::test]
async fn events_of_tenants_resolved_before_and_after_the_observer_was_set_reach_it() {
    let kit = Kit::new();
    let (acme, globex) = (kit.tenant(ACME), kit.server(GLOBEX));
    kit.table.insert(GLOBEX, {
        let globex = globex.clone();
        move || Tenant::introspection(globex.introspection_validator(RESOURCE)).version(1)
    });
    kit.app.present(&acme.token().sign()).await.assert_pass();
    let events = Arc::new(Recorded::default());
    let app = App::new(observed(&kit, &events).require_token());

    globex.go_down();
    app.present(&globex.token().audience(RESOURCE).sign()).await.assert_unavailable();
    assert_eq!(
        events.take(),
        [
            "resolver: Ok(Known) in 0ns".to_owned(),
            format!("introspection at {GLOBEX}: Err(\"no_response\")"),
            format!("introspection of {GLOBEX} working: false"),
        ]
    );

    acme.go_down();
    kit.clock.advance(240 * SECOND + 60 * SECOND);
    app.present(&acme.token().sign()).await.assert_pass();
    settle().await;
    assert_eq!(
        events.take(),
        [
            "resolver: Ok(Known) in 0ns".to_owned(),
            format!("keys of {ACME}: Err(\"no_response\")"),
            format!("keys of {ACME} working: false"),
        ]
    );
}

#[tokio::test]
async fn tenants_do_not_keep_an_observer_and_are_not_kept_by_it() {
    let kit = Kit::new();
    let acme = kit.tenant(ACME);
    let events = Arc::new(Recorded::default());
    // A cached verdict would keep the keys of its tenant until it is evicted.
    let builder = ResourceServer::builder(kit.validator.clone()).clock(kit.clock.clone());
    let server = builder.verdict_cache_bytes(0).observer(events.clone()).build().unwrap();
    App::new(server.require_token()).present(&acme.token().sign()).await.assert_pass();
    assert_eq!(Arc::weak_count(&events), 2, "the resolver and the keys of the tenant");

    kit.validator.invalidate(ACME);
    assert_eq!(Arc::weak_count(&events), 1, "the validator of the tenant was dropped");
    kit.app.present(&acme.token().sign()).await.assert_pass();
    drop(server);

    assert_eq!(Arc::strong_count(&events), 1);
}

#[tokio::test(start_paused = true)]
async fn each_call_of_the_resolver_is_reported_with_its_result() {
    let kit = Kit::new();
    let events = Arc::new(Recorded::default());
    let app = App::new(observed(&kit, &events).require_token());
    let token = kit.tenant(ACME).token().sign();
    type Failure = (fn() -> ValidationError, &'static str);
    let failures: [Failure; 4] = [
        (unavailable, "unavailable"),
        (|| ValidationError::denied("not about the token"), "unavailable"),
        (|| ValidationError::internal("a bug"), "internal"),
        (|| panic!("on purpose"), "panicked"),
    ];

    for (failure, kind) in failures {
        kit.table.fail(Some(failure));
        app.present(&token).await;
        assert_eq!(events.take(), [format!("resolver: Err(\"{kind}\") in 0ns")]);
    }
    kit.table.fail(None);
    kit.table.hold();
    app.present(&token).await.assert_unavailable();
    kit.table.release();
    assert_eq!(events.take(), ["resolver: Err(\"timeout\") in 0ns"]);
    kit.table.insert(ACME, kit::jwt(&kit.server(GLOBEX)));
    app.present(&token).await.assert_internal();
    assert_eq!(events.take(), ["resolver: Err(\"internal\") in 0ns"]);
    kit.table.remove(ACME);
    for _ in 0..2 {
        app.present(&token).await.assert_invalid_token();
    }

    assert_eq!(events.take(), ["resolver: Ok(Unknown) in 0ns"]);
}

#[tokio::test]
async fn call_beyond_the_limit_is_reported_and_does_not_change_the_state_of_the_resolver() {
    let kit = Kit::new();
    let events = Arc::new(Recorded::default());
    let server = observed(&kit, &events);
    let app = App::new(server.require_token());
    let authority = kit.server(ACME);
    let token = |number: usize| {
        authority.token().audience(RESOURCE).claim("iss", format!("https://new-{number}.example")).sign()
    };
    kit.table.hold();
    let waiting: Vec<_> = (0..1_024)
        .map(|number| {
            let (app, token) = (app.clone(), token(number));
            tokio::spawn(async move { app.present(&token).await })
        })
        .collect();
    soon(until(|| kit.table.questions().len() == 1_024)).await;

    app.present(&token(1_024)).await.assert_unavailable();

    assert_eq!(events.take(), ["resolver: Err(\"too_many_calls\") in 0ns"]);
    let tenants = &server.health().tenants[0];
    assert_eq!((tenants.calls_in_progress, tenants.calls_limit), (1_024, 2_048));
    assert_eq!(serde_json::to_value(tenants.state).unwrap(), "not_used_yet");
    kit.table.release();
    for request in waiting {
        request.await.unwrap().assert_invalid_token();
    }
    assert_eq!(server.health().tenants[0].calls_in_progress, 0);
}

fn tenants(server: &ResourceServer) -> Value {
    let health = serde_json::to_value(server.health()).unwrap();
    assert_eq!(health["sources"], json!([]));
    assert_eq!(health["tenants"].as_array().unwrap().len(), 1);
    health["tenants"][0].clone()
}

#[tokio::test]
async fn health_tells_since_when_the_resolver_fails_and_why_without_its_password() {
    let kit = Kit::new();
    let events = Arc::new(Recorded::default());
    let server = observed(&kit, &events);
    let app = App::new(server.require_token());
    let token = kit.tenant(ACME).token().expires_in(10_000 * SECOND).sign();
    let mut expected = json!({
        "resolver": std::any::type_name::<kit::Table>(), "state": "not_used_yet", "failing_seconds": null,
        "last_failure": null, "calls_in_progress": 0, "calls_limit": 2_048, "known": 0, "limit": 20_000,
        "unknown_issuers": 0, "unknown_issuers_limit": 10_000, "failing": 0, "failing_sources": [],
    });
    assert_eq!(tenants(&server), expected);

    kit.table.fail(Some(unavailable));
    app.present(&token).await.assert_unavailable();
    kit.clock.advance(20 * SECOND);
    app.present(&token).await.assert_unavailable();
    kit.clock.advance(3 * SECOND);
    let failing = tenants(&server);
    assert_eq!((&failing["state"], &failing["failing_seconds"]), (&json!("failing"), &json!(23.0)));
    assert_eq!(failing["last_failure"]["age_seconds"], 3.0);
    let reason = failing["last_failure"]["reason"].as_str().unwrap();
    assert!(reason.contains("@db.internal/tenants: connection refused"), "{reason}");
    assert!(!failing.to_string().contains("hunter2"), "{failing}");
    assert!(server.health().ready);

    kit.table.fail(None);
    app.present(&token).await.assert_pass();
    let unknown = kit.server(GLOBEX).token().audience(RESOURCE).sign();
    app.present(&unknown).await.assert_invalid_token();
    expected["state"] = "working".into();
    expected["last_failure"] = failing["last_failure"].clone();
    expected["known"] = 1.into();
    expected["unknown_issuers"] = 1.into();
    assert_eq!(tenants(&server), expected);
}

#[tokio::test]
async fn long_error_of_the_resolver_is_truncated_in_the_health() {
    let kit = Kit::new();
    let server = observed(&kit, &Arc::new(Recorded::default()));
    kit.table.fail(Some(|| ValidationError::unavailable("x".repeat(100_000))));

    let token = kit.tenant(ACME).token().sign();
    App::new(server.require_token()).present(&token).await.assert_unavailable();

    let health = server.health();
    let failure = health.tenants[0].last_failure.as_ref().unwrap();
    assert_eq!(failure.reason.chars().count(), 512);
}

#[tokio::test]
async fn tenant_whose_keys_fail_is_listed_until_they_work_or_it_is_removed() {
    let kit = Kit::new();
    let (acme, globex) = (kit.tenant(ACME), kit.tenant(GLOBEX));
    let server = observed(&kit, &Arc::new(Recorded::default()));
    let app = App::new(server.require_token());
    for tenant in [&acme, &globex] {
        tenant.go_down();
        app.present(&tenant.token().sign()).await.assert_unavailable();
    }
    let listed = || {
        let tenants = server.health().tenants.remove(0);
        let issuers: Vec<_> =
            tenants.failing_sources.iter().map(|source| source.issuer.to_string()).collect();
        (tenants.known, tenants.failing, issuers)
    };

    assert_eq!(listed(), (2, 2, vec![GLOBEX.to_owned(), ACME.to_owned()]));
    acme.come_back();
    kit.clock.advance(10 * SECOND);
    app.present(&acme.token().sign()).await.assert_pass();
    assert_eq!(listed(), (2, 1, vec![GLOBEX.to_owned()]));
    kit.validator.invalidate(GLOBEX);

    assert_eq!(listed(), (1, 0, vec![]));
}

#[tokio::test]
async fn source_that_tenants_share_is_listed_once() {
    let kit = Kit::new();
    let shared = kit.server(ACME);
    let validator = shared.jwt_validator(RESOURCE).build().unwrap();
    kit.table.insert(ACME, {
        let validator = validator.clone();
        move || {
            Tenant::custom(
                tower_bearer::RoutingValidator::new().route(validator.clone()).otherwise(validator.clone()),
            )
        }
    });
    let server = observed(&kit, &Arc::new(Recorded::default()));
    shared.go_down();

    App::new(server.require_token()).present(&shared.token().sign()).await.assert_unavailable();

    let tenants = &server.health().tenants[0];
    assert_eq!((tenants.failing, tenants.failing_sources.len()), (1, 1));
}

/// Answers every request with an error status.
#[derive(Debug)]
struct Broken;

impl HttpClient for Broken {
    fn send(&self, _: Request<Bytes>, _: usize) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        let response = Response::builder().status(503).body(Bytes::new());
        Box::pin(std::future::ready(response.map_err(HttpError::new)))
    }
}

/// Knows every issuer.
struct Everyone;

impl IssuerResolver for Everyone {
    async fn resolve(&self, issuer: &UnverifiedIssuer) -> Result<Option<Tenant>, ValidationError> {
        let server = AuthorizationServer::discover(issuer.expose_for_lookup());
        Ok(Some(Tenant::jwt(JwtValidator::builder(server, RESOURCE)).version(1)))
    }
}

#[tokio::test]
async fn ten_thousand_failing_tenants_have_a_bounded_health_and_a_bounded_number_of_time_series() {
    const TENANTS: usize = 10_000;
    let recorder = DebuggingRecorder::new();
    let _local = metrics::set_default_local_recorder(&recorder);
    let authority = TestAuthorizationServer::new(ACME);
    let validator = ResolvingValidator::builder(Everyone).http_client(Broken).build();
    let metrics = Arc::new(MetricsObserver::new());
    let server = ResourceServer::builder(validator).observer(metrics.clone()).build().unwrap();
    let app = App::new(server.require_token());
    for number in 0..TENANTS {
        let issuer = format!("https://tenant-{number:05}.example");
        let token = authority.token().issuer(&issuer).audience(RESOURCE).sign();
        app.present(&token).await.assert_unavailable();
    }

    let health = server.health();
    metrics.record_health(&health);

    let tenants = &health.tenants[0];
    assert_eq!((tenants.known, tenants.failing, tenants.failing_sources.len()), (TENANTS, TENANTS, 20));
    assert_eq!(&*tenants.failing_sources[19].issuer, "https://tenant-00019.example");
    assert!(health.ready && health.sources.is_empty());
    let size = serde_json::to_string(&health).unwrap().len();
    assert!(size < 16_384, "{size} bytes");
    let series = recorder.snapshotter().snapshot().into_vec();
    let fetches =
        series.iter().filter(|(key, ..)| key.key().name() == "tower_bearer.keys.fetch.duration").count();
    assert_eq!(fetches, 65, "64 issuers and the label `other`");
    assert!(series.len() < 90, "{}", series.len());
    assert!(series.iter().all(|(key, ..)| key.key().name() != "tower_bearer.source.working"));
}

#[tokio::test]
async fn ready_does_not_wait_for_tenants_and_does_not_ask_the_resolver() {
    let kit = Kit::new();
    kit.tenant(ACME).go_down();
    kit.table.fail(Some(unavailable));
    let server = observed(&kit, &Arc::new(Recorded::default()));

    server.ready(SECOND).await.unwrap();

    assert!(server.health().ready);
    assert_eq!(kit.table.questions(), [] as [&str; 0]);
}

#[test]
fn metadata_without_issuers_is_logged_unless_tenants_are_resolved_at_run_time() {
    struct NamesNoIssuer;
    impl TokenValidator for NamesNoIssuer {
        async fn validate(&self, _: &AccessToken) -> Result<ValidatedToken, ValidationError> {
            Err(ValidationError::internal("not called"))
        }
    }
    let build = |builder: tower_bearer::ResourceServerBuilder| {
        let (log, _guard) = Log::record_from(tracing::Level::WARN);
        builder.resource_metadata(ProtectedResourceMetadata::new(RESOURCE)).build().unwrap();
        log.text().contains("metadata without authorization_servers")
    };

    assert!(build(ResourceServer::builder(NamesNoIssuer)));
    assert!(!build(ResourceServer::builder(Kit::new().validator)));
}
