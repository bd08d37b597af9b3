//! Proves what an observer is told about requests, key fetches and introspection calls.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::Request;
use tower::{Layer as _, Service as _, ServiceExt as _};
use tower_bearer::{
    AccessToken, Authorizer, Dependency, Event, IssuerResolver, JwtValidator, Observer, RequestHead,
    ResolvingValidator, ResourceServer, Tenant, TokenValidator, UnverifiedIssuer, ValidatedToken,
    ValidationError, testing::TestAuthorizationServer,
};

use crate::support::{App, ISSUER, READ, RESOURCE, WRITE, plain, until};

const SECOND: Duration = Duration::from_secs(1);

/// Records each event as a line.
#[derive(Default)]
struct Recorded(Mutex<Vec<String>>);

impl Observer for Recorded {
    fn on_event(&self, event: &Event<'_>) {
        let line = match event {
            Event::RequestDecided { outcome, duration, is_inner: false, .. } => {
                format!("decided {outcome:?} in {duration:?}")
            }
            Event::RequestDecided { outcome, .. } => format!("inner layer decided {outcome:?}"),
            Event::RequestRefused { status, error_code, error, .. } => {
                format!("refused {status} {error_code:?} {error}")
            }
            Event::VerdictLookup { hit, .. } => format!("lookup {hit}"),
            Event::ValidatorCalled { duration, result, .. } => {
                format!("validated {result:?} in {duration:?}")
            }
            Event::KeysFetched { issuer, duration, result, .. } => {
                format!("keys of {issuer} {result:?} in {duration:?}")
            }
            Event::IntrospectionCalled { issuer, duration, result, .. } => {
                format!("introspection at {issuer} {result:?} in {duration:?}")
            }
            Event::SourceStateChanged { issuer, source, working, .. } => {
                format!("{source} of {issuer} working {working}")
            }
            other => format!("{other:?}"),
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

/// A server whose keys are fetched, a resource server, and the lines of its observer.
async fn observed() -> (TestAuthorizationServer, ResourceServer, Arc<Recorded>) {
    let authority = TestAuthorizationServer::new(ISSUER);
    let events = Arc::new(Recorded::default());
    let validator = authority.jwt_validator(RESOURCE).build();
    let server = authority.resource_server_with(validator).observer(events.clone()).build().unwrap();
    server.ready(SECOND).await.unwrap();
    events.take();
    (authority, server, events)
}

const ADMITTED: &str = "decided Admitted in 0ns";

#[tokio::test]
async fn each_request_is_reported_with_lookup_validation_and_decision() {
    let (authority, server, events) = observed().await;
    let app = App::new(server.require_scopes(READ));
    let token = authority.token().scope("orders:read").sign();

    app.present(&token).await.assert_pass();
    assert_eq!(events.take(), ["lookup false", "validated Ok(()) in 0ns", ADMITTED]);
    app.present(&token).await.assert_pass();
    assert_eq!(events.take(), ["lookup true", ADMITTED]);
    app.send(plain()).await.assert_unauthorized();
    assert_eq!(
        events.take(),
        [
            "decided Refused { status: 401, error: \"no_credentials\" } in 0ns",
            "refused 401 Unauthorized None no_credentials",
        ]
    );
    app.present(&authority.token().sign()).await.assert_insufficient_scope("orders:read");
    assert_eq!(
        events.take()[2..],
        [
            "decided Refused { status: 403, error: \"insufficient_scope\" } in 0ns",
            "refused 403 Forbidden Some(\"insufficient_scope\") insufficient_scope",
        ]
    );
    app.present(&authority.token().expires_in(SECOND).sign()).await.assert_insufficient_scope("orders:read");
    events.take();
    App::new(server.allow_anonymous()).send(plain()).await.assert_pass();
    assert_eq!(events.take(), ["decided Anonymous in 0ns"]);
}

#[tokio::test]
async fn the_refusal_of_a_handler_is_reported_once_it_is_a_response() {
    let (authority, server, events) = observed().await;
    let app = App::new(server.require_scopes(READ));
    app.present(&authority.token().scope("orders:read").sign()).await.assert_pass();
    let token = app.last_seen().token.unwrap();
    events.take();

    let refusal = token.require(WRITE).unwrap_err();
    assert!(events.take().is_empty());
    let _ = refusal.into_http();

    assert_eq!(events.take(), ["refused 403 Forbidden Some(\"insufficient_scope\") insufficient_scope"]);
}

#[tokio::test]
async fn durations_include_the_wait_for_keys() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let events = Arc::new(Recorded::default());
    let validator = authority.jwt_validator(RESOURCE).build();
    let server = authority.resource_server_with(validator).observer(events.clone()).build().unwrap();
    let app = App::new(server.require_token());
    let token = authority.token().sign();
    authority.hold(&authority.jwks_uri());

    let release = async {
        until(|| authority.key_fetches() == 1).await;
        authority.clock().advance(2 * SECOND);
        authority.release(&authority.jwks_uri());
    };
    let (answer, ()) = tokio::join!(app.present(&token), release);

    answer.assert_pass();
    assert_eq!(
        events.take(),
        [
            "lookup false",
            "keys of https://as.example.com Ok(()) in 2s",
            "validated Ok(()) in 2s",
            "decided Admitted in 2s",
        ]
    );
}

#[tokio::test]
async fn an_outage_of_the_keys_is_reported_when_it_begins_and_ends() {
    let (authority, server, events) = observed().await;
    let app = App::new(server.require_token());
    let token = authority.token().expires_in(10_000 * SECOND).sign();
    app.present(&token).await.assert_pass();
    events.take();
    let fetch = async |seconds: u32| {
        authority.clock().advance(seconds * SECOND);
        app.present(&token).await.assert_pass();
        authority.settle().await;
        let mut lines = events.take();
        lines.retain(|line| line.starts_with("keys"));
        lines
    };

    authority.go_down();
    assert_eq!(
        fetch(300).await,
        [
            "keys of https://as.example.com Err(\"no_response\") in 0ns",
            "keys of https://as.example.com working false",
        ]
    );
    assert_eq!(fetch(60).await, ["keys of https://as.example.com Err(\"no_response\") in 0ns"]);
    authority.come_back();
    assert_eq!(
        fetch(60).await,
        ["keys of https://as.example.com Ok(()) in 0ns", "keys of https://as.example.com working true"]
    );
}

#[tokio::test]
async fn introspection_calls_and_outages_are_reported() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let events = Arc::new(Recorded::default());
    let validator = authority.introspection_validator(RESOURCE).cache_ttl(Duration::ZERO).build();
    let server = authority.resource_server_with(validator).observer(events.clone()).build().unwrap();
    let app = App::new(server.require_token());
    let token = authority.token().opaque();
    let calls = || {
        let mut lines = events.take();
        lines.retain(|line| line.starts_with("introspection"));
        lines
    };

    app.present(&token).await.assert_pass();
    assert_eq!(calls(), ["introspection at https://as.example.com Ok(()) in 0ns"]);
    app.present("unknown").await.assert_invalid_token();
    assert_eq!(calls(), ["introspection at https://as.example.com Ok(()) in 0ns"]);
    authority.go_down();
    app.present(&token).await.assert_unavailable();
    assert_eq!(
        calls(),
        [
            "introspection at https://as.example.com Err(\"no_response\") in 0ns",
            "introspection of https://as.example.com working false",
        ]
    );
    authority.come_back();
    app.present(&token).await.assert_pass();
    assert_eq!(
        calls(),
        [
            "introspection at https://as.example.com Ok(()) in 0ns",
            "introspection of https://as.example.com working true",
        ]
    );
}

#[tokio::test]
async fn a_layer_inside_another_says_so() {
    let (authority, server, events) = observed().await;
    let inner = server.require_scopes(READ);
    let service = tower::service_fn(|_: Request<()>| async {
        Ok::<_, std::convert::Infallible>(
            http::Response::new(http_body_util::Full::<bytes::Bytes>::default()),
        )
    });
    let mut nested = server.require_token().layer(inner.layer(service));
    let token = authority.token().scope("orders:read").sign();
    let request = Request::get("/").header("authorization", format!("Bearer {token}")).body(()).unwrap();

    nested.ready().await.unwrap().call(request).await.unwrap();

    assert_eq!(events.take()[2..], [ADMITTED, "inner layer decided Admitted"]);
}

#[tokio::test]
async fn the_decision_of_an_authorizer_is_part_of_the_outcome() {
    let (authority, server, events) = observed().await;
    struct Denies;
    impl Authorizer for Denies {
        async fn authorize(&self, _: &ValidatedToken, _: &RequestHead<'_>) -> Result<(), ValidationError> {
            Err(ValidationError::denied("on purpose"))
        }
    }
    let layer = server.require_token().authorizer(Denies);

    let answer = App::new(layer).present(&authority.token().sign()).await;

    assert_eq!(answer.status, http::StatusCode::FORBIDDEN);
    assert_eq!(
        events.take()[2..],
        ["decided Refused { status: 403, error: \"denied\" } in 0ns", "refused 403 Forbidden None denied"]
    );
}

#[tokio::test]
async fn a_request_survives_an_observer_that_panics() {
    struct Panics;
    impl Observer for Panics {
        fn on_event(&self, _: &Event<'_>) {
            panic!("on purpose");
        }
    }
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.jwt_validator(RESOURCE).build();
    let server = authority.resource_server_with(validator).observer(Arc::new(Panics)).build().unwrap();
    let app = App::new(server.require_scopes(READ));

    app.present(&authority.token().scope("orders:read").sign()).await.assert_pass();
    app.present(&authority.token().sign()).await.assert_insufficient_scope("orders:read");
    assert!(server.health().ready);
}

/// Wraps a validator and forwards its dependencies, or not.
struct Wrapper {
    inner: JwtValidator,
    forwards: bool,
}

impl TokenValidator for Wrapper {
    async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        self.inner.validate(token).await
    }

    fn dependencies(&self) -> Vec<Dependency> {
        if self.forwards { self.inner.dependencies() } else { Vec::new() }
    }
}

#[tokio::test]
async fn a_wrapped_validator_reports_if_its_dependencies_are_forwarded() {
    for forwards in [true, false] {
        let authority = TestAuthorizationServer::new(ISSUER);
        let events = Arc::new(Recorded::default());
        let validator = Wrapper { inner: authority.jwt_validator(RESOURCE).build().unwrap(), forwards };
        let server = authority.resource_server_with(validator).observer(events.clone()).build().unwrap();

        App::new(server.require_token()).present(&authority.token().sign()).await.assert_pass();

        assert_eq!(events.take().iter().any(|line| line.starts_with("keys")), forwards);
        assert_eq!(server.health().sources.len(), usize::from(forwards));
    }
}

#[tokio::test]
async fn a_fetch_of_a_shared_validator_is_reported_to_each_observer_once() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.jwt_validator(RESOURCE).build().unwrap();
    let (shared, own) = (Arc::new(Recorded::default()), Arc::new(Recorded::default()));
    let build = |events: &Arc<Recorded>| {
        authority.resource_server_with(validator.clone()).observer(events.clone()).build().unwrap()
    };
    let servers = [build(&shared), build(&shared), build(&own)];

    servers[0].ready(SECOND).await.unwrap();

    let fetched = ["keys of https://as.example.com Ok(()) in 0ns"];
    assert_eq!(
        (shared.take(), own.take()),
        (fetched.map(str::to_owned).into(), fetched.map(str::to_owned).into())
    );
}

#[tokio::test]
async fn new_settings_report_to_their_own_observer() {
    let (authority, server, old) = observed().await;
    let app = App::new(server.require_token());
    let new = Arc::new(Recorded::default());
    let validator = authority.jwt_validator(RESOURCE).build();
    let next = authority.resource_server_with(validator).observer(new.clone()).build().unwrap();

    server.reconfigure(&next).unwrap();
    app.present(&authority.token().sign()).await.assert_pass();

    assert!(old.take().is_empty());
    assert_eq!(new.take().len(), 4, "look-up, keys, validation, decision");
}

#[tokio::test]
async fn fetches_for_a_tenant_known_at_run_time_are_reported_and_do_not_change_readiness() {
    struct OneTenant(TestAuthorizationServer);
    impl IssuerResolver for OneTenant {
        async fn resolve(&self, _: &UnverifiedIssuer) -> Result<Option<Tenant>, ValidationError> {
            Ok(Some(Tenant::jwt(self.0.jwt_validator(RESOURCE))))
        }
    }
    let authority = TestAuthorizationServer::new(ISSUER);
    let events = Arc::new(Recorded::default());
    let validator = ResolvingValidator::builder(OneTenant(authority.clone())).build();
    let server = authority.resource_server_with(validator).observer(events.clone()).build().unwrap();
    let app = App::new(server.require_token());

    app.present(&authority.token().audience(RESOURCE).sign()).await.assert_pass();

    assert!(events.take().contains(&"keys of https://as.example.com Ok(()) in 0ns".to_owned()));
    let health = server.health();
    assert!(health.ready && health.sources.is_empty());
    assert_eq!(health.tenants[0].known, 1);
}
