//! Proves how custom validators work: their caching, shared calls, errors, logs and configuration checks.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tower_bearer::{
    AccessToken, ClaimsSet, ConfigError, Issuer, JwtValidator, ProtectedResourceMetadata, ResourceServer,
    RoutingValidator, TokenValidator, ValidatedToken, ValidationError, testing::TestAuthorizationServer,
};

use crate::support::{App, ISSUER, Log, RESOURCE, assert_invalid, settle};

const SECOND: Duration = Duration::from_secs(1);

/// Wraps a validator, refuses the tokens on a denylist, and counts its calls.
struct Denylist<V> {
    inner: V,
    /// Time for which its verdicts may be reused, if any.
    reuse: Option<Duration>,
    state: Arc<DenylistState>,
}

#[derive(Default)]
struct DenylistState {
    calls: AtomicUsize,
    denied: Mutex<HashSet<String>>,
}

impl DenylistState {
    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Adds the token with this `jti` to the denylist.
    fn deny(&self, token_id: &str) {
        self.denied.lock().unwrap().insert(token_id.to_owned());
    }
}

impl<V: TokenValidator> TokenValidator for Denylist<V> {
    async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        self.state.calls.fetch_add(1, Ordering::SeqCst);
        let validated = self.inner.validate(token).await?;
        if validated.token_id().is_some_and(|id| self.state.denied.lock().unwrap().contains(id)) {
            return Err(ValidationError::Inactive);
        }
        Ok(match self.reuse {
            Some(span) => validated.reusable_for(span),
            None => validated,
        })
    }

    fn issuers(&self) -> Vec<Issuer> {
        self.inner.issuers()
    }
}

fn denylist<V: TokenValidator>(inner: V) -> (Denylist<V>, Arc<DenylistState>) {
    let state = Arc::default();
    (Denylist { inner, reuse: None, state: Arc::clone(&state) }, state)
}

fn app(authority: &TestAuthorizationServer, validator: impl TokenValidator) -> App {
    App::new(authority.resource_server_with(validator).build().unwrap().require_token())
}

mod reuse {
    use super::*;

    /// Asserts that the wrapper is called on every request, so that its refusal takes effect immediately.
    async fn assert_called_each_time(app: &App, token: &str, state: &DenylistState) {
        for calls in 1..=3 {
            app.present(token).await.assert_pass();
            assert_eq!(state.calls(), calls);
        }

        state.deny("7");

        assert_invalid!(app.present(token).await, ValidationError::Inactive);
        assert_eq!(state.calls(), 4);
    }

    #[tokio::test]
    async fn wrapper_around_a_jwt_validator_is_called_on_every_request() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let token = authority.token().audience(RESOURCE).claim("jti", "7").sign();
        let jwt = || authority.jwt_validator(RESOURCE).build().unwrap();

        let (bare, state) = denylist(jwt());
        assert_called_each_time(&app(&authority, bare), &token, &state).await;
        let (around_an_arc, state) = denylist(Arc::new(jwt()));
        assert_called_each_time(&app(&authority, around_an_arc), &token, &state).await;
        let (in_an_arc, state) = denylist(jwt());
        assert_called_each_time(&app(&authority, Arc::new(in_an_arc)), &token, &state).await;
        let (around_a_router, state) = denylist(RoutingValidator::new().route(jwt()));
        assert_called_each_time(&app(&authority, around_a_router), &token, &state).await;
        let (in_a_route, state) = denylist(jwt());
        let router = RoutingValidator::new().route(in_a_route);
        assert_called_each_time(&app(&authority, router), &token, &state).await;
        let (otherwise, state) = denylist(jwt());
        let router = Arc::new(RoutingValidator::new().otherwise(otherwise));
        assert_called_each_time(&app(&authority, router), &token, &state).await;
    }

    #[tokio::test]
    async fn wrapper_around_an_introspection_validator_is_called_on_every_request() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let token = authority.token().audience(RESOURCE).claim("jti", "7").opaque();

        let (wrapper, state) = denylist(authority.introspection_validator(RESOURCE).build().unwrap());

        assert_called_each_time(&app(&authority, wrapper), &token, &state).await;
    }

    #[tokio::test]
    async fn wrapper_that_allows_reuse_is_called_again_after_that_time() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let token = authority.token().audience(RESOURCE).claim("jti", "7").sign();
        let (wrapper, state) = denylist(authority.jwt_validator(RESOURCE).build().unwrap());
        let app = app(&authority, Denylist { reuse: Some(10 * SECOND), ..wrapper });

        app.present(&token).await.assert_pass();
        authority.clock().advance(9 * SECOND);
        app.present(&token).await.assert_pass();
        assert_eq!(state.calls(), 1);

        authority.clock().advance(SECOND);
        app.present(&token).await.assert_pass();
        assert_eq!(state.calls(), 2);
    }

    #[tokio::test]
    async fn wrapper_that_keeps_the_reuse_of_a_jwt_is_called_once() {
        /// Counts the calls and adds no check.
        struct Counting(JwtValidator, Arc<AtomicUsize>);

        impl TokenValidator for Counting {
            async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
                self.1.fetch_add(1, Ordering::SeqCst);
                Ok(self.0.validate(token).await?.keep_reuse())
            }
        }

        let authority = TestAuthorizationServer::new(ISSUER);
        let calls = Arc::default();
        let counting = Counting(authority.jwt_validator(RESOURCE).build().unwrap(), Arc::clone(&calls));
        let app = app(&authority, counting);
        let token = authority.token().sign();

        for _ in 0..3 {
            app.present(&token).await.assert_pass();
        }

        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn introspection_result_is_reused_through_arc_and_router() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let token = authority.token().audience(RESOURCE).opaque();
        let introspection = Arc::new(authority.introspection_validator(RESOURCE).build().unwrap());
        let validator = Arc::new(RoutingValidator::new().otherwise(introspection));
        let app = app(&authority, validator);

        for _ in 0..3 {
            app.present(&token).await.assert_pass();
        }

        assert_eq!(authority.introspections(), 1);
    }
}

mod shared_calls {
    use super::*;

    /// Sends ten concurrent requests with one token, and returns the number of introspection calls.
    async fn calls_for_one_token(ttl: Duration) -> usize {
        let authority = TestAuthorizationServer::new(ISSUER);
        let introspection = authority.introspection_validator(RESOURCE).cache_ttl(ttl).build().unwrap();
        let router = RoutingValidator::new()
            .route(authority.jwt_validator(RESOURCE).build().unwrap())
            .otherwise(introspection);
        let app = app(&authority, router);
        app.present(&authority.token().opaque()).await.assert_pass();
        let before = authority.introspections();
        let token = authority.token().opaque();
        authority.hold(&authority.introspection_endpoint());
        let waiting: Vec<_> = (0..10)
            .map(|_| {
                let (app, token) = (app.clone(), token.clone());
                tokio::spawn(async move { app.present(&token).await.status })
            })
            .collect();
        settle().await;

        authority.release(&authority.introspection_endpoint());
        for answer in waiting {
            assert_eq!(answer.await.unwrap(), 200);
        }

        authority.introspections() - before
    }

    #[tokio::test]
    async fn concurrent_requests_share_one_call_through_a_router() {
        assert_eq!(calls_for_one_token(30 * SECOND).await, 1);
    }

    #[tokio::test]
    async fn concurrent_requests_share_no_call_through_a_router_if_the_ttl_is_zero() {
        assert_eq!(calls_for_one_token(Duration::ZERO).await, 10);
    }
}

type Verdict = dyn Fn() -> Result<ClaimsSet, ValidationError> + Send;

/// A validator with a configurable verdict, with or without [`ISSUER`] as its issuer.
#[derive(Clone)]
struct Table {
    verdict: Arc<Mutex<Box<Verdict>>>,
    has_issuer: bool,
}

impl Table {
    fn new(verdict: impl Fn() -> Result<ClaimsSet, ValidationError> + Send + 'static) -> Self {
        Self { verdict: Arc::new(Mutex::new(Box::new(verdict))), has_issuer: false }
    }

    fn set(&self, verdict: impl Fn() -> Result<ClaimsSet, ValidationError> + Send + 'static) {
        *self.verdict.lock().unwrap() = Box::new(verdict);
    }
}

impl TokenValidator for Table {
    async fn validate(&self, _: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        let claims = self.verdict.lock().unwrap()()?;
        Ok(ValidatedToken::from_trusted_claims(claims))
    }

    fn issuers(&self) -> Vec<Issuer> {
        if self.has_issuer { vec![Issuer::new(ISSUER).unwrap()] } else { Vec::new() }
    }
}

fn accept() -> Result<ClaimsSet, ValidationError> {
    Ok(ClaimsSet::new())
}

fn table_app(table: &Table) -> App {
    App::new(ResourceServer::builder(table.clone()).build().unwrap().require_token())
}

mod errors {
    use super::*;

    #[tokio::test]
    async fn custom_refusal_is_invalid_token_and_its_reason_is_not_in_the_response() {
        let table =
            Table::new(|| Err(ValidationError::refused(std::io::Error::other("key of a former tenant"))));

        let answer = table_app(&table).present("key").await;

        answer.assert_invalid_token();
        assert!(!format!("{:?} {:?}", answer.headers, answer.body).contains("former"));
        let reason = answer.reason.unwrap();
        assert_eq!(
            (reason.kind(), &*reason.to_string()),
            ("refused", "token refused: key of a former tenant")
        );
        assert_eq!(std::error::Error::source(&reason).unwrap().to_string(), "key of a former tenant");
        let ValidationError::Refused { source, .. } = reason else { unreachable!("see its kind") };
        assert!(source.is::<std::io::Error>());
    }

    #[tokio::test]
    async fn claim_that_cannot_be_set_is_500_and_is_named_in_the_reason() {
        for (name, reason) in
            [("exp", "claim \"exp\": wrong type or range"), ("tenant", "claim \"tenant\": ")]
        {
            let table = Table::new(move || match name {
                "exp" => Ok(ClaimsSet::new().with_claim(name, &"tomorrow")?),
                _ => Ok(ClaimsSet::new().with_claim(name, &std::collections::BTreeMap::from([((1, 2), 3)]))?),
            });

            let answer = table_app(&table).present("key").await;

            answer.assert_internal();
            let found = answer.reason.unwrap().to_string();
            assert!(found.starts_with(&format!("token cannot be validated: {reason}")), "{found}");
        }
    }

    #[tokio::test]
    async fn claim_that_cannot_be_read_is_invalid_token() {
        let table = Table::new(|| {
            let claims = ClaimsSet::new().with_claim("tenant", &7)?;
            claims.claim::<String>("tenant")?;
            Ok(claims)
        });

        assert_invalid!(table_app(&table).present("key").await, ValidationError::Claims(_));
    }

    #[tokio::test]
    async fn retry_after_can_be_set() {
        let table = Table::new(|| Err(ValidationError::unavailable("restart").with_retry_after(60 * SECOND)));

        let answer = table_app(&table).present("key").await;

        answer.assert_unavailable();
        let seconds: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((60..=63).contains(&seconds), "{seconds}");
    }
}

mod outages {
    use super::*;

    fn refuse() -> Result<ClaimsSet, ValidationError> {
        Err(ValidationError::unavailable("connection to the table lost"))
    }

    /// Counts the log lines of this level about a validator.
    fn lines(log: &Log, level: &str) -> usize {
        log.text().lines().filter(|line| line.contains(level) && line.contains("validator=")).count()
    }

    #[tokio::test(start_paused = true)]
    async fn outage_is_logged_as_a_warning_and_its_end_as_info() {
        let (log, _recording) = Log::record();
        let table = Table::new(accept);
        let app = table_app(&table);
        app.present("key").await.assert_pass();
        assert_eq!((lines(&log, "WARN"), lines(&log, "INFO")), (0, 0));

        table.set(refuse);
        for _ in 0..5 {
            app.present("key").await.assert_unavailable();
        }
        assert_eq!((lines(&log, "WARN"), lines(&log, "INFO")), (1, 0), "{}", log.text());
        assert!(log.text().contains("connection to the table lost") && log.text().contains("Table"));

        table.set(accept);
        app.present("key").await.assert_pass();
        assert_eq!((lines(&log, "WARN"), lines(&log, "INFO")), (1, 0));
        tokio::time::advance(10 * SECOND).await;
        for _ in 0..5 {
            app.present("key").await.assert_pass();
        }
        assert_eq!((lines(&log, "WARN"), lines(&log, "INFO")), (1, 1));

        table.set(refuse);
        app.present("key").await.assert_unavailable();
        assert_eq!((lines(&log, "WARN"), lines(&log, "INFO")), (2, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn outage_for_some_tokens_is_logged_once() {
        let (log, _recording) = Log::record();
        let table = Table::new(accept);
        let app = table_app(&table);

        for _ in 0..20 {
            table.set(refuse);
            app.present("one").await.assert_unavailable();
            tokio::time::advance(SECOND).await;
            table.set(accept);
            app.present("other").await.assert_pass();
        }

        assert_eq!((lines(&log, "WARN"), lines(&log, "INFO")), (1, 0), "{}", log.text());
    }

    #[tokio::test(start_paused = true)]
    async fn outage_of_one_route_does_not_end_when_another_route_works() {
        let (log, _recording) = Log::record();
        let authority = TestAuthorizationServer::new(ISSUER);
        let router = RoutingValidator::new()
            .route(authority.jwt_validator(RESOURCE).build().unwrap())
            .otherwise(Table::new(refuse));
        let app = app(&authority, router);

        for _ in 0..3 {
            app.present("key").await.assert_unavailable();
            tokio::time::advance(20 * SECOND).await;
            app.present(&authority.token().sign()).await.assert_pass();
        }

        assert_eq!((lines(&log, "WARN"), lines(&log, "INFO")), (1, 0), "{}", log.text());
    }
}

mod build {
    use super::*;

    fn build(validator: impl TokenValidator) -> Result<ResourceServer, ConfigError> {
        let metadata = ProtectedResourceMetadata::new(RESOURCE);
        ResourceServer::builder(validator).resource_metadata(metadata).build()
    }

    #[test]
    fn rmcp_01_metadata_without_issuers_is_logged_as_a_warning() {
        let (log, _recording) = Log::record();
        let table = Table::new(accept);

        build(Table { has_issuer: true, ..table.clone() }).unwrap();
        ResourceServer::builder(table.clone()).build().unwrap();
        assert!(!log.text().contains("WARN"), "{}", log.text());

        build(table).unwrap();
        assert!(
            log.text().contains("WARN") && log.text().contains("TokenValidator::issuers"),
            "{}",
            log.text()
        );
    }

    #[test]
    fn route_without_issuers_is_a_config_error() {
        let table = || Table::new(accept);
        let with_issuer = || Table { has_issuer: true, ..table() };

        for router in [
            RoutingValidator::new().route(table()),
            RoutingValidator::new().route(with_issuer()).route(table()).otherwise(table()),
            RoutingValidator::new().route(Arc::new(table())),
            RoutingValidator::new().otherwise(RoutingValidator::new().route(table())),
        ] {
            let error = build(Arc::new(router)).unwrap_err().to_string();

            assert!(error.contains("Table") && error.contains("names its issuers"), "{error}");
            assert_eq!(error.matches("expected").count(), 1, "{error}");
        }
        build(RoutingValidator::new().route(with_issuer()).otherwise(table())).unwrap();
    }

    #[test]
    fn config_error_lists_all_problems() {
        let router = RoutingValidator::new().route(Table::new(accept)).route(RoutingValidator::new());

        let error = ResourceServer::builder(router).realm("\n").build().unwrap_err().to_string();

        assert!(
            error.contains("Table\":") && error.contains("RoutingValidator\":") && error.contains("realm"),
            "{error}"
        );
    }
}
