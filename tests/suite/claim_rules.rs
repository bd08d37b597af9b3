//! Proves when custom claim rules are checked: once by a validator, and on every request by a resource server.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_bearer::{
    AccessToken, ClaimRule, ClaimsSet, IntrospectionValidator, Rejection, RequestHead, RequestRule,
    ResourceServer, ResourceServerCredential, TokenValidator, ValidatedToken, ValidationError,
    testing::{TestAuthorizationServer, TokenBuilder},
};

use crate::support::{
    Answer, App, ISSUER, READ, RESOURCE, assert_invalid, assert_reason, plain, with_authorization,
};

/// A claim value that no refusal may reveal.
const CANARY: &str = "canary-tenant";

fn request(method: Method, path: &str, token: &str) -> Request<Full<Bytes>> {
    let request =
        Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
    request.body(Full::default()).unwrap()
}

/// Asserts a 403 without a challenge, whose reason names the rule but not the claim's value.
#[track_caller]
fn assert_forbidden(answer: &Answer, expected: &str) {
    assert_eq!((answer.status, answer.calls), (StatusCode::FORBIDDEN, 0), "{:?}", answer.reason);
    assert!(!answer.headers.contains_key("www-authenticate"), "{:?}", answer.headers);
    assert_reason!(
        answer,
        ValidationError::ClaimRule { rule, rejection: Rejection::Forbidden, .. } if **rule == *expected
    );
    assert_eq!(answer.reason.as_ref().unwrap().kind(), "claim_rule");
    assert!(!format!("{answer:?} {}", answer.reason.as_ref().unwrap()).contains(CANARY), "{answer:?}");
}

fn counting(name: &str, calls: &Arc<AtomicUsize>) -> ClaimRule {
    let calls = Arc::clone(calls);
    ClaimRule::new(name, move |_| {
        calls.fetch_add(1, Ordering::Relaxed);
        true
    })
}

/// Returns a server and an app whose JWT validator has this rule.
fn jwt_app(rule: ClaimRule) -> (TestAuthorizationServer, App) {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.jwt_validator(RESOURCE).claim_rule(rule).build().unwrap();
    let app = App::new(authority.resource_server_with(validator).build().unwrap().require_token());
    (authority, app)
}

fn with_tenant(token: TokenBuilder, tenant: &str) -> TokenBuilder {
    token.claim("tenant", tenant)
}

#[tokio::test]
async fn r9068_15_jwt_that_violates_a_rule_is_refused_with_401() {
    let (authority, app) = jwt_app(ClaimRule::equals("tenant", "acme"));

    app.present(&with_tenant(authority.token(), "acme").sign()).await.assert_pass();
    for token in
        [with_tenant(authority.token(), CANARY), authority.token(), authority.token().claim("tenant", 1)]
    {
        let answer = app.present(&token.sign()).await;

        assert_invalid!(
            answer,
            ValidationError::ClaimRule { rule, rejection: Rejection::InvalidToken, .. }
                if **rule == *"claim \"tenant\" equals \"acme\""
        );
        assert!(!format!("{answer:?}").contains(CANARY), "{answer:?}");
    }
}

#[tokio::test]
async fn r9068_15_jwt_that_violates_a_forbidden_rule_is_refused_with_403_without_a_challenge() {
    let rule = || ClaimRule::one_of("tenant", ["acme", "north"]).forbidden();
    let (authority, app) = jwt_app(rule());

    app.present(&with_tenant(authority.token(), "north").sign()).await.assert_pass();
    let answer = app.present(&with_tenant(authority.token(), CANARY).sign()).await;

    assert_forbidden(&answer, r#"claim "tenant" is one of ["acme", "north"]"#);
}

#[tokio::test]
async fn r9068_15_introspected_token_that_violates_a_rule_is_refused() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let app = |rule: ClaimRule| {
        let credential = ResourceServerCredential::secret_basic("resource-server", "resource-server-secret");
        let validator =
            IntrospectionValidator::builder(authority.authorization_server(), credential, RESOURCE)
                .clock(authority.clock().clone())
                .claim_rule(ClaimRule::present("sub"))
                .claim_rule(rule)
                .build()
                .unwrap();
        App::new(authority.resource_server_with(validator).build().unwrap().require_token())
    };
    let valid = with_tenant(authority.token(), "acme").audience(RESOURCE).opaque();
    let invalid = with_tenant(authority.token(), CANARY).audience(RESOURCE).opaque();

    for rule in [ClaimRule::equals("tenant", "acme"), ClaimRule::equals("tenant", "acme").forbidden()] {
        app(rule).present(&valid).await.assert_pass();
    }
    assert_invalid!(
        app(ClaimRule::equals("tenant", "acme")).present(&invalid).await,
        ValidationError::ClaimRule { .. }
    );
    let answer = app(ClaimRule::equals("tenant", "acme").forbidden()).present(&invalid).await;
    assert_forbidden(&answer, "claim \"tenant\" equals \"acme\"");
}

#[tokio::test]
async fn r9068_15_validator_rules_are_checked_once_after_all_other_checks() {
    let calls = Arc::new(AtomicUsize::new(0));
    let rule = counting("counts", &calls);
    let (authority, app) = jwt_app(rule);
    let token = authority.token().sign();

    assert_invalid!(
        app.present(&authority.token().audience("https://other.example.com").sign()).await,
        ValidationError::AudienceMismatch { .. }
    );
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    for _ in 0..3 {
        app.present(&token).await.assert_pass();
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn r9068_15_resource_server_rules_are_checked_on_every_request_before_scopes() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.jwt_validator(RESOURCE).build().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let own_tenant =
        RequestRule::new("tenant of the path", |claims: &ClaimsSet, request: &RequestHead<'_>| {
            let tenant = request.uri().path().split('/').nth(1).unwrap_or_default();
            claims.claim::<String>("tenant").unwrap().as_deref() == Some(tenant)
        });
    let server = authority
        .resource_server_with(validator)
        .claim_rule(counting("counts", &calls))
        .claim_rule(own_tenant)
        .build()
        .unwrap();
    let app = App::new(server.require_scopes(READ));
    let token = with_tenant(authority.token(), CANARY).scope(READ.as_str()).sign();
    let without_scope = with_tenant(authority.token(), CANARY).scope("other").sign();

    for count in 1..=3 {
        app.send(request(Method::GET, &format!("/{CANARY}/orders"), &token)).await.assert_pass();
        assert_eq!(calls.load(Ordering::Relaxed), 2 * count - 1);
        let answer = app.send(request(Method::GET, "/north/orders", &token)).await;
        assert_forbidden(&answer, "tenant of the path");
    }
    // An uncached token without the scope: the rule is checked first.
    assert_forbidden(
        &app.send(request(Method::GET, "/north/orders", &without_scope)).await,
        "tenant of the path",
    );
    let answer = app.send(request(Method::GET, &format!("/{CANARY}/orders"), &without_scope)).await;
    assert_reason!(answer, ValidationError::InsufficientScope { .. });
}

#[tokio::test]
async fn resource_server_rules_can_use_the_request_and_the_time() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.jwt_validator(RESOURCE).build().unwrap();
    let fresh_for_writes =
        RequestRule::new("writes need a fresh token", |claims: &ClaimsSet, request: &RequestHead<'_>| {
            let age = claims.issued_at().map(|iat| request.now().saturating_duration_since(iat));
            let is_confirmed =
                request.headers().contains_key("x-confirmed") || request.extensions().get::<()>().is_some();
            request.method() == Method::GET
                || is_confirmed
                || age.is_some_and(|age| age < Duration::from_secs(60))
        });
    let server = authority.resource_server_with(validator);
    let server = server.claim_rule(fresh_for_writes.invalid_token()).build().unwrap();
    let app = App::new(server.require_token());
    let token = authority.token().sign();

    app.send(request(Method::POST, "/", &token)).await.assert_pass();
    authority.clock().advance(Duration::from_secs(60));
    let answer = app.send(request(Method::POST, "/", &token)).await;

    assert_invalid!(
        answer,
        ValidationError::ClaimRule { rule, .. } if **rule == *"writes need a fresh token"
    );
    app.send(request(Method::GET, "/", &token)).await.assert_pass();
    let mut confirmed = request(Method::POST, "/", &token);
    confirmed.headers_mut().insert("x-confirmed", "1".parse().unwrap());
    app.send(confirmed).await.assert_pass();
    let mut confirmed = request(Method::POST, "/", &token);
    confirmed.extensions_mut().insert(());
    app.send(confirmed).await.assert_pass();
}

#[tokio::test]
async fn each_layer_checks_the_rules_except_for_anonymous_requests() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.jwt_validator(RESOURCE).build().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let server = authority.resource_server_with(validator);
    let server = server.claim_rule(counting("counts", &calls)).build().unwrap();
    let anonymous = App::new(server.allow_anonymous());
    let inner = service_fn(async |_: Request<Full<Bytes>>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let nested = server.require_token().layer(server.require_scopes(READ).layer(inner));
    let token = authority.token().scope(READ.as_str()).sign();

    anonymous.send(plain()).await.assert_pass();
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    anonymous.present(&token).await.assert_pass();
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    let answer = nested.oneshot(with_authorization(&format!("Bearer {token}"))).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn rules_are_checked_after_a_custom_validator() {
    /// Accepts every token, with the token itself as its tenant.
    struct AcceptAll;

    impl TokenValidator for AcceptAll {
        async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
            let claims = ClaimsSet::new().with_claim("tenant", &token.expose())?;
            Ok(ValidatedToken::from_trusted_claims(claims))
        }
    }
    let rule = ClaimRule::equals("tenant", "acme");
    let app = |rule: ClaimRule| {
        App::new(ResourceServer::builder(AcceptAll).claim_rule(rule).build().unwrap().require_token())
    };

    app(rule.clone()).present("acme").await.assert_pass();
    assert_invalid!(app(rule.clone()).present(CANARY).await, ValidationError::ClaimRule { .. });
    assert_forbidden(&app(rule.forbidden()).present(CANARY).await, "claim \"tenant\" equals \"acme\"");
}

#[tokio::test]
async fn grpc_call_that_violates_a_forbidden_rule_is_permission_denied() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.jwt_validator(RESOURCE).build().unwrap();
    let rule = ClaimRule::present("tenant").forbidden();
    let server = authority.resource_server_with(validator).claim_rule(rule).build().unwrap();
    let mut call = request(Method::POST, "/orders.Orders/List", &authority.token().sign());
    call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());

    let answer = App::grpc(server.require_token()).send(call).await;

    assert_eq!((answer.status, answer.calls), (StatusCode::OK, 0));
    assert_eq!(answer.headers["grpc-status"], "7");
    assert!(!answer.headers.contains_key("www-authenticate"));
}

#[test]
fn rules_that_no_token_can_satisfy_are_config_errors() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let rules = || [ClaimRule::present("azp"), ClaimRule::one_of("tenant", Vec::<String>::new())];
    let expected = "claim_rule \"claim \\\"azp\\\" is present\": expected a claim that does not identify the client: those are \
                    dropped; claim_rule \"claim \\\"tenant\\\" is one of []\": expected at least one value";

    let [one, two] = rules();
    let jwt = authority.jwt_validator(RESOURCE).claim_rule(one).claim_rule(two).build();
    assert_eq!(jwt.unwrap_err().to_string(), expected);
    let [one, two] = rules();
    let credential = ResourceServerCredential::secret_basic("resource-server", "resource-server-secret");
    let builder = IntrospectionValidator::builder(authority.authorization_server(), credential, RESOURCE);
    assert_eq!(builder.claim_rule(one).claim_rule(two).build().unwrap_err().to_string(), expected);
    let [one, two] = rules();
    let validator = authority.jwt_validator(RESOURCE).build().unwrap();
    let server = authority.resource_server_with(validator).claim_rule(one).claim_rule(two).build();
    assert_eq!(server.unwrap_err().to_string(), expected);
}
