//! Proves how bearer credentials are read and refused (RFC 6750, RFC 9110 sections 5.3 and 11).

use std::time::Duration;

use http::{Request, StatusCode, header::AUTHORIZATION};
use http_body_util::Full;
use proptest::prelude::*;
use tower_bearer::{
    AccessToken, AuthorizationServer, ClaimsSet, ConfigError, ProtectedResourceMetadata, ResourceServer,
    Scope, ScopeRequirement, TokenValidator, ValidatedToken, ValidationError,
    testing::{ParsedChallenge, TestAuthorizationServer, bearer},
};

use crate::support::{
    Answer, App, ISSUER, METADATA_URL, READ, RESOURCE, WRITE, assert_reason, check_metadata, check_server,
    plain, with_authorization, with_authorizations,
};

/// The challenges of a layer that requires `orders:read`.
const UNAUTHORIZED: &str = r#"Bearer scope="orders:read", resource_metadata="https://orders.example.com/.well-known/oauth-protected-resource""#;
const INVALID_REQUEST: &str = r#"Bearer error="invalid_request", error_description="Exactly one authorization header is expected: Bearer, a space and the token", scope="orders:read", resource_metadata="https://orders.example.com/.well-known/oauth-protected-resource""#;
const INVALID_TOKEN: &str = r#"Bearer error="invalid_token", error_description="The access token is malformed, expired, withdrawn or not for this resource", scope="orders:read", resource_metadata="https://orders.example.com/.well-known/oauth-protected-resource""#;
const INSUFFICIENT_SCOPE: &str = r#"Bearer error="insufficient_scope", error_description="The access token does not allow this operation", scope="orders:read", resource_metadata="https://orders.example.com/.well-known/oauth-protected-resource""#;

fn app() -> (TestAuthorizationServer, App) {
    let authority = TestAuthorizationServer::new(ISSUER);
    let app = App::new(authority.resource_server(RESOURCE).require_scopes(READ));
    (authority, app)
}

fn valid_token(authority: &TestAuthorizationServer) -> String {
    authority.token().scope("orders:read").sign()
}

#[track_caller]
fn assert_malformed(answer: &Answer) {
    answer.assert_invalid_request();
    answer.assert_challenge(INVALID_REQUEST);
    assert_reason!(answer, ValidationError::MalformedCredentials);
}

#[track_caller]
fn assert_no_credentials(answer: &Answer) {
    answer.assert_unauthorized();
    answer.assert_challenge(UNAUTHORIZED);
    assert_reason!(answer, ValidationError::NoCredentials);
}

/// Returns one refusal of each kind that has a challenge: C0, IR, IT, IS.
async fn refusals(authority: &TestAuthorizationServer, app: &App) -> [Answer; 4] {
    let token = valid_token(authority);
    [
        app.send(plain()).await,
        app.send(with_authorizations(&[format!("Bearer {token}").as_bytes(); 2])).await,
        app.present(&authority.token().scope("orders:read").signature([0; 64]).sign()).await,
        app.present(&authority.token().scope("orders:list").sign()).await,
    ]
}

#[tokio::test]
async fn r6750_01_bearer_token_in_the_authorization_header_passes() {
    let (authority, app) = app();

    let answer = app.present(&authority.token().scope("orders:read").sign()).await;

    answer.assert_pass();
    assert_eq!(app.last_seen().token.unwrap().subject(), Some("alice"));
}

#[tokio::test]
async fn r6750_02_scheme_is_case_insensitive() {
    let (authority, app) = app();
    let token = valid_token(&authority);

    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        app.send(with_authorization(&format!("{scheme} {token}"))).await.assert_pass();
    }
}

#[tokio::test]
async fn r6750_03_credentials_that_are_not_token68_are_a_malformed_request() {
    let (authority, app) = app();
    let token = valid_token(&authority);

    for credentials in [
        format!("{token} {token}"),
        format!("{token},{token}"),
        format!("\"{token}\""),
        format!("{token}\u{e9}"),
        format!("token=\"{token}\""),
        format!("{token}=a"),
        "=".to_owned(),
        "{\"payload\":\"e30\"}".to_owned(),
    ] {
        let answer = app.send(with_authorizations(&[format!("Bearer {credentials}").as_bytes()])).await;
        assert_malformed(&answer);
    }
    // The same character in Latin-1, which is not UTF-8.
    assert_malformed(&app.send(with_authorizations(&[b"Bearer tok\xe9"])).await);
    assert!(authority.requests().is_empty(), "malformed credentials caused a request");
}

#[tokio::test]
async fn r6750_04_several_spaces_and_surrounding_whitespace_are_accepted() {
    let (authority, app) = app();
    let token = valid_token(&authority);

    for field in [format!("Bearer  {token}"), format!("Bearer     {token}"), format!(" \tBearer {token}\t ")]
    {
        app.send(with_authorization(&field)).await.assert_pass();
    }
}

#[tokio::test]
async fn r6750_04_only_spaces_may_separate_scheme_and_token() {
    let (authority, app) = app();
    let token = valid_token(&authority);

    for field in [
        format!("Bearer\t{token}"),
        format!("Bearer \t{token}"),
        format!("Bearer:{token}"),
        format!("Bearer\u{a0}{token}"),
    ] {
        assert_malformed(&app.send(with_authorizations(&[field.as_bytes()])).await);
    }
    assert_no_credentials(&app.send(with_authorization(&format!("Bearer{token}"))).await);
}

#[tokio::test]
async fn r6750_05_scheme_without_a_token_is_a_malformed_request() {
    let (_authority, app) = app();

    for field in ["Bearer", "Bearer ", "bearer", " Bearer  "] {
        assert_malformed(&app.send(with_authorization(field)).await);
    }
}

#[tokio::test]
async fn r6750_07_two_authorization_headers_are_refused() {
    let (authority, app) = app();
    let bearer = format!("Bearer {}", valid_token(&authority));

    for (fields, found) in [
        (&[&*bearer, &*bearer][..], 2),
        (&[&*bearer, "Basic YTpi"], 2),
        (&["Basic YTpi", &*bearer], 2),
        (&[&*bearer, ""], 2),
        (&[&*bearer, &*bearer, &*bearer], 3),
    ] {
        let fields: Vec<_> = fields.iter().map(|field| field.as_bytes()).collect();
        let answer = app.send(with_authorizations(&fields)).await;

        answer.assert_invalid_request();
        answer.assert_challenge(INVALID_REQUEST);
        assert_reason!(answer, ValidationError::MultipleAuthorizationHeaders { found: count, .. } if *count == found);
    }
}

#[tokio::test]
async fn r6750_07_credentials_joined_with_a_comma_are_refused() {
    let (authority, app) = app();
    let bearer = format!("Bearer {}", valid_token(&authority));

    for field in
        [format!("{bearer}, {bearer}"), format!("{bearer},{bearer}"), format!("{bearer}, Basic YTpi")]
    {
        assert_malformed(&app.send(with_authorization(&field)).await);
    }
}

#[tokio::test]
async fn r6750_08_token_in_the_query_is_never_read() {
    let (authority, app) = app();
    let token = valid_token(&authority);
    let request = Request::get(format!("/orders?access_token={token}")).body(Full::default()).unwrap();

    assert_no_credentials(&app.send(request).await);
    assert!(authority.requests().is_empty());
}

#[tokio::test]
async fn r6750_08_token_in_a_form_is_never_read() {
    let (authority, app) = app();
    let request = Request::post("/orders")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::from(format!("access_token={}", valid_token(&authority))))
        .unwrap();

    assert_no_credentials(&app.send(request).await);
    assert!(authority.requests().is_empty());
}

#[tokio::test]
async fn r6750_11_challenge_always_has_a_parameter() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = || authority.jwt_validator(RESOURCE).build().unwrap();
    let metadata = ProtectedResourceMetadata::new(RESOURCE);
    let bare = authority.resource_server_with(validator()).build().unwrap();
    let with_metadata =
        authority.resource_server_with(validator()).resource_metadata(metadata).build().unwrap();
    let with_realm = authority.resource_server_with(validator()).realm("orders").build().unwrap();
    let with_baseline = authority.resource_server_with(validator()).baseline_scopes([READ]).build().unwrap();

    for (layer, challenge) in [
        (bare.require_token(), "Bearer realm=\"api\"".to_owned()),
        (bare.require_scopes(READ), "Bearer scope=\"orders:read\"".to_owned()),
        (with_metadata.require_token(), format!("Bearer resource_metadata=\"{METADATA_URL}\"")),
        (with_realm.require_token(), "Bearer realm=\"orders\"".to_owned()),
        (with_baseline.require_token(), "Bearer scope=\"orders:read\"".to_owned()),
    ] {
        let answer = App::new(layer).send(plain()).await;

        answer.assert_unauthorized();
        answer.assert_challenge(&challenge);
    }
}

#[tokio::test]
async fn r6750_12_challenge_for_missing_credentials_has_no_error() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.jwt_validator(RESOURCE).build().unwrap();
    let server = authority.resource_server_with(validator);
    let server = server.realm("orders").error_uri("https://orders.example.com/errors").build().unwrap();

    let answer = App::new(server.require_scopes(READ)).send(plain()).await;

    answer.assert_unauthorized();
    answer.assert_challenge("Bearer realm=\"orders\", scope=\"orders:read\"");
    assert_reason!(answer, ValidationError::NoCredentials);
}

#[tokio::test]
async fn r6750_13_another_scheme_is_not_a_bearer_credential() {
    let (authority, app) = app();
    let token = valid_token(&authority);

    for field in [
        "Basic YTpi".to_owned(),
        "Negotiate".to_owned(),
        "Digest username=\"alice\"".to_owned(),
        format!("DPoP {token}"),
        format!("Token {token}"),
        format!("Bearer-Token {token}"),
        token,
        String::new(),
    ] {
        assert_no_credentials(&app.send(with_authorization(&field)).await);
    }
}

#[tokio::test]
async fn r6750_14_expired_token_is_an_invalid_token() {
    let (authority, app) = app();
    let token = valid_token(&authority);
    app.present(&token).await.assert_pass();
    authority.clock().advance(Duration::from_secs(11 * 60));

    let answer = app.present(&token).await;

    answer.assert_invalid_token();
    answer.assert_challenge(INVALID_TOKEN);
    assert_reason!(answer, ValidationError::Expired { .. });
}

#[tokio::test]
async fn r6750_14_revoked_token_is_an_invalid_token() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.introspection_validator(RESOURCE).build().unwrap();
    let server = authority.resource_server_with(validator);
    let server = server.resource_metadata(ProtectedResourceMetadata::new(RESOURCE)).build().unwrap();
    let app = App::new(server.require_scopes(READ));
    let token = authority.token().scope("orders:read").opaque();
    authority.revoke(&token);

    let answer = app.present(&token).await;

    answer.assert_invalid_token();
    answer.assert_challenge(INVALID_TOKEN);
    assert_reason!(answer, ValidationError::Inactive);
}

#[tokio::test]
async fn r6750_14_token68_that_is_not_a_token_is_an_invalid_token() {
    let (authority, app) = app();
    let token = valid_token(&authority);
    let (_, unsigned) = token.rsplit_once('.').map(|(signed, signature)| (signature, signed)).unwrap();

    for text in ["null", "undefined", "abc", "a.b", "a.b.c", "..", unsigned, &format!("{token}=")] {
        let answer = app.present(text).await;

        answer.assert_invalid_token();
        answer.assert_challenge(INVALID_TOKEN);
        assert_reason!(answer, ValidationError::MalformedToken(_));
    }
}

#[tokio::test]
async fn r6750_15_token_without_the_scope_is_forbidden() {
    let (authority, app) = app();

    for token in [authority.token().scope("orders:list").sign(), authority.token().sign()] {
        let answer = app.present(&token).await;

        answer.assert_insufficient_scope("orders:read");
        answer.assert_challenge(INSUFFICIENT_SCOPE);
        assert_reason!(answer, ValidationError::InsufficientScope { required, .. } if *required == READ.into());
    }
}

#[tokio::test]
async fn r6750_15_invalid_token_without_the_scope_is_401() {
    let (authority, app) = app();
    let without_scope = authority.token().scope("orders:list");

    for token in [
        without_scope.clone().claim("exp", 1_000).sign(),
        without_scope.clone().signature([0; 64]).sign(),
        without_scope.audience("https://other.example.com").sign(),
    ] {
        app.present(&token).await.assert_invalid_token();
    }
}

#[tokio::test]
async fn r6750_16_403_names_each_required_scope_once_in_order() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let server = authority.resource_server(RESOURCE);

    for (requirement, named) in [
        (ScopeRequirement::from([READ, WRITE]), "orders:read orders:write"),
        (ScopeRequirement::from([WRITE, READ, WRITE]), "orders:write orders:read"),
        (ScopeRequirement::any([WRITE, Scope::from_static("admin")]), "orders:write"),
        (ScopeRequirement::from(WRITE).and([READ, WRITE]), "orders:write orders:read"),
    ] {
        let app = App::new(server.require_scopes(requirement));
        // Scopes that the token already has are named as well.
        for granted in ["", "orders:read", "orders:read"] {
            app.present(&authority.token().scope(granted).sign()).await.assert_insufficient_scope(named);
        }
        assert_eq!(app.send(plain()).await.challenges, [bearer().scope(named)]);
    }
}

#[tokio::test]
async fn r6750_17_no_parameter_appears_twice() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.jwt_validator(RESOURCE).build().unwrap();
    let server = authority
        .resource_server_with(validator)
        .resource_metadata(ProtectedResourceMetadata::new(RESOURCE))
        .realm("orders")
        .error_uri("https://orders.example.com/errors")
        .baseline_scopes([READ])
        .build()
        .unwrap();

    let refusals = refusals(&authority, &App::new(server.require_scopes(READ))).await;

    // The parser asserts that no parameter appears twice.
    let with_error = ["error", "error_description", "error_uri", "realm", "resource_metadata", "scope"];
    for (answer, names) in refusals.iter().zip([
        &["realm", "resource_metadata", "scope"][..],
        &with_error,
        &with_error,
        &with_error,
    ]) {
        assert_eq!(answer.challenges.len(), 1);
        assert_eq!(answer.challenges[0].names().collect::<Vec<_>>(), names);
    }
}

#[tokio::test]
async fn r6750_18_error_and_description_contain_only_allowed_characters() {
    let (authority, app) = app();
    let is_allowed = |byte| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);

    for (answer, status) in refusals(&authority, &app).await.iter().zip([401, 400, 401, 403]) {
        assert_eq!(answer.status, status);
        for name in ["error", "error_description"] {
            let value = answer.challenges[0].param(name);
            assert_eq!(value.is_some(), !matches!(answer.reason, Some(ValidationError::NoCredentials)));
            assert!(value.unwrap_or_default().bytes().all(is_allowed), "{name}: {value:?}");
        }
    }
}

#[tokio::test]
async fn r6750_18_challenge_contains_nothing_from_the_token() {
    let (authority, app) = app();
    let valid = authority.token().scope("orders:read");
    let canary = "canary\"\\\r\n\u{e9}";

    for token in [
        valid.clone().header("kid", canary).sign(),
        valid.clone().header("typ", canary).sign(),
        valid.clone().header("alg", canary).sign(),
        valid.clone().claim("iss", canary).sign(),
        valid.claim("aud", canary).sign(),
    ] {
        let answer = app.present(&token).await;

        answer.assert_invalid_token();
        answer.assert_challenge(INVALID_TOKEN);
    }
    let answer = app.present(&authority.token().scope(canary).sign()).await;
    answer.assert_challenge(INSUFFICIENT_SCOPE);
}

#[test]
fn r6750_19_scope_with_invalid_characters_is_refused() {
    for text in
        ["", "orders read", " orders", "orders\"read", "orders\\read", "orders\tread", "ordres:lire\u{e9}"]
    {
        assert!(Scope::new(text).is_err(), "{text:?}");
        assert!(text.parse::<Scope>().is_err(), "{text:?}");
    }
    assert!(std::panic::catch_unwind(|| Scope::from_static("orders read")).is_err());
}

#[tokio::test]
async fn r6750_20_realm_appears_once_and_in_quotes() {
    let authority = TestAuthorizationServer::new(ISSUER);

    for (realm, written) in [
        ("orders", r#""orders""#),
        ("orders, of \"all\" kinds", r#""orders, of \"all\" kinds""#),
        ("C:\\orders", r#""C:\\orders""#),
        ("", r#""""#),
    ] {
        let validator = authority.jwt_validator(RESOURCE).build().unwrap();
        let server = authority.resource_server_with(validator).realm(realm).build().unwrap();

        let answer = App::new(server.require_token()).send(plain()).await;

        answer.assert_challenge(&format!("Bearer realm={written}"));
        assert_eq!(answer.challenges[0].param("realm"), Some(realm));
    }
}

#[test]
fn r6750_20_realm_with_invalid_header_characters_is_refused() {
    for realm in ["orders\r\n", "orders\t", "bestellungen\u{e4}", "\u{0}", "\u{7f}"] {
        let error = ResourceServer::builder(AnyToken).realm(realm).build().unwrap_err();

        assert!(error.to_string().starts_with("realm "), "{error}");
    }
}

#[tokio::test]
async fn r6750_21_malformed_request_is_400_with_the_full_challenge() {
    let (authority, app) = app();
    let bearer = format!("Bearer {}", valid_token(&authority));

    for fields in
        [&["Bearer a b".as_bytes()][..], &[b"Bearer"], &[b"Bearer "], &[bearer.as_bytes(), bearer.as_bytes()]]
    {
        let answer = app.send(with_authorizations(fields)).await;

        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        answer.assert_challenge(INVALID_REQUEST);
    }
    // Every token68 gets 401.
    assert_eq!(app.present("-").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn r6750_23_credentials_do_not_reach_the_inner_service() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let server = authority.resource_server(RESOURCE);
    let token = valid_token(&authority);

    for layer in [server.require_scopes(READ), server.require_token(), server.allow_anonymous()] {
        let app = App::new(layer);
        // The first token is validated, the second is found in the cache.
        for _ in 0..2 {
            let mut request = with_authorization(&format!("Bearer {token}"));
            request.headers_mut().insert("dpop", "a.b.c".parse().unwrap());

            app.send(request).await.assert_pass();

            let seen = app.last_seen();
            assert!(!seen.headers.contains_key(AUTHORIZATION) && !seen.headers.contains_key("dpop"));
            assert!(seen.headers.values().all(|value| !value.as_bytes().ends_with(token.as_bytes())));
        }
    }
}

#[tokio::test]
async fn r6750_23_credentials_are_forwarded_if_configured() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.jwt_validator(RESOURCE).build().unwrap();
    let app = App::new(
        authority
            .resource_server_with(validator)
            .dangerously_forward_credential()
            .build()
            .unwrap()
            .require_scopes(READ),
    );
    let token = valid_token(&authority);

    for _ in 0..2 {
        app.present(&token).await.assert_pass();

        let value = app.last_seen().headers[AUTHORIZATION].clone();
        assert_eq!(value, format!("Bearer {token}"));
        assert!(value.is_sensitive());
    }
}

#[tokio::test]
async fn r6750_24_token_longer_than_16_kib_is_refused_unparsed() {
    let (authority, app) = app();
    // A token that is valid except for its length.
    let padded = authority.token().scope("orders:read").claim("x", "a".repeat(16 * 1024 * 3 / 4)).sign();

    for token in [padded, "a".repeat(16_385), "a".repeat(1 << 20)] {
        let answer = app.present(&token).await;

        answer.assert_invalid_token();
        answer.assert_challenge(INVALID_TOKEN);
        assert_reason!(
            answer,
            ValidationError::TokenTooLong { length, limit: 16_384, .. } if *length == token.len()
        );
    }
    assert!(authority.requests().is_empty(), "keys were fetched for a token that is too long");
    // A token of exactly 16 KiB is parsed.
    assert_reason!(app.present(&"a".repeat(16_384)).await, ValidationError::MalformedToken(_));
}

#[test]
fn r6750_25_resource_without_https_is_refused() {
    for resource in ["http://api", "http://api.example.com/orders", "http://127.0.0.1.example.com"] {
        for refused in [
            ProtectedResourceMetadata::new(resource),
            ProtectedResourceMetadata::new(resource).allow_http_on_loopback(),
        ] {
            assert_names("resource", check_metadata(refused));
        }
    }
    let loopback = "http://127.0.0.1:3000";
    let error = assert_names("resource", check_metadata(ProtectedResourceMetadata::new(loopback)));
    assert!(error.to_string().contains("allow_http_on_loopback()"), "the setting is not named: {error}");
    assert!(check_metadata(ProtectedResourceMetadata::new(loopback).allow_http_on_loopback()).is_ok());
}

#[test]
fn r6750_25_authorization_server_urls_without_https_are_refused() {
    let server = AuthorizationServer::with_endpoints(ISSUER);

    assert_names("issuer", check_server(AuthorizationServer::discover("http://as.example.com")));
    assert_names("jwks_uri", check_server(server.clone().jwks_uri("http://as.example.com/jwks")));
    assert_names(
        "introspection_endpoint",
        check_server(server.introspection_endpoint("http://as.example.com/introspect")),
    );
}

#[track_caller]
fn assert_names<T: std::fmt::Debug>(setting: &str, refused: Result<T, ConfigError>) -> ConfigError {
    let error = refused.unwrap_err();
    assert!(error.to_string().starts_with(setting), "{error}");
    error
}

#[tokio::test]
async fn r6750_26_proxy_authorization_and_cookies_are_never_read() {
    let (authority, app) = app();
    let token = valid_token(&authority);

    for (name, value) in [
        ("proxy-authorization", format!("Bearer {token}")),
        ("cookie", format!("access_token={token}")),
        ("cookie", format!("authorization=Bearer {token}")),
        ("x-forwarded-access-token", token.clone()),
        ("x-authorization", format!("Bearer {token}")),
        ("authorization-bin", format!("Bearer {token}")),
    ] {
        let mut request = plain();
        request.headers_mut().insert(name, value.parse().unwrap());

        assert_no_credentials(&app.send(request).await);
    }
    assert!(authority.requests().is_empty());
}

#[tokio::test]
async fn r6750_27_error_uri_is_in_every_challenge_with_an_error() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let uri = "https://orders.example.com/errors?lang=en#401";
    let validator = authority.jwt_validator(RESOURCE).build().unwrap();
    let server = authority.resource_server_with(validator).error_uri(uri).build().unwrap();

    let refusals = refusals(&authority, &App::new(server.require_scopes(READ))).await;

    let found: Vec<_> = refusals.iter().map(|answer| answer.challenges[0].param("error_uri")).collect();
    assert_eq!(found, [None, Some(uri), Some(uri), Some(uri)]);
}

#[test]
fn r6750_27_error_uri_with_invalid_characters_is_refused() {
    for uri in ["", "https://h/a b", "https://h/\"", "https://h/\\", "https://h/\u{e9}", "https://h/\r\n"] {
        let error = ResourceServer::builder(AnyToken).error_uri(uri).build().unwrap_err();

        assert!(error.to_string().starts_with("error_uri "), "{error}");
    }
}

#[tokio::test]
async fn r6750_28_400_and_403_have_a_challenge() {
    let (authority, app) = app();

    let [_, malformed, _, forbidden] = refusals(&authority, &app).await;

    for (answer, status, error) in
        [(malformed, 400, "invalid_request"), (forbidden, 403, "insufficient_scope")]
    {
        assert_eq!(answer.status, status);
        let expected = bearer().error(error).scope("orders:read").param("resource_metadata", METADATA_URL);
        assert_eq!(answer.challenges, [expected]);
    }
}

/// Accepts every token, without scopes.
#[derive(Debug)]
struct AnyToken;

impl TokenValidator for AnyToken {
    async fn validate(&self, _: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        Ok(ValidatedToken::from_trusted_claims(ClaimsSet::new().with_subject("alice")))
    }
}

proptest! {
    #[test]
    fn r6750_20_challenge_parses_to_the_configured_values(
        realm in proptest::option::of("[ -~]{0,40}"),
        scopes in prop::collection::vec("[!#-\\[\\]-~]{1,12}", 0..6),
        error_uri in proptest::option::of("[!#-\\[\\]-~]{1,40}"),
        path in "[A-Za-z0-9_~-]{0,12}",
    ) {
        let mut server = ResourceServer::builder(AnyToken);
        if let Some(realm) = &realm {
            server = server.realm(realm.as_str());
        }
        if let Some(uri) = &error_uri {
            server = server.error_uri(uri.as_str());
        }
        let metadata = ProtectedResourceMetadata::new(format!("https://orders.example.com/{path}"));
        let server = server.resource_metadata(metadata).build().unwrap();
        let requirement = ScopeRequirement::all_of(scopes.iter().map(|scope| Scope::new(scope).unwrap()));
        let mut named: Vec<&str> = Vec::new();
        for scope in &scopes {
            if !named.contains(&scope.as_str()) {
                named.push(scope);
            }
        }
        let app = App::new(match requirement {
            Ok(requirement) => server.require_scopes(requirement),
            Err(_) => server.require_token(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();

        let mut answers = runtime.block_on(async {
            vec![app.send(plain()).await, app.send(with_authorization("Bearer")).await]
        });
        if !named.is_empty() {
            answers.push(runtime.block_on(app.present("token")));
        }

        for (index, answer) in answers.iter().enumerate() {
            let [challenge]: &[ParsedChallenge; 1] = answer.challenges[..].try_into().unwrap();
            prop_assert_eq!(challenge.scheme(), "Bearer");
            prop_assert_eq!(challenge.param("realm"), realm.as_deref());
            prop_assert_eq!(challenge.param("scope").unwrap_or_default(), named.join(" "));
            prop_assert_eq!(challenge.param("error_uri"), error_uri.as_deref().filter(|_| index > 0));
            let separator = if path.is_empty() { "" } else { "/" };
            prop_assert_eq!(challenge.param("resource_metadata").unwrap(), format!("{METADATA_URL}{separator}{path}"));
        }
    }
}

#[tokio::test]
async fn r6750_13_dpop_credentials_are_refused_even_if_anonymous_requests_pass() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let app = App::new(authority.resource_server(RESOURCE).allow_anonymous());
    let token = valid_token(&authority);

    for field in [format!("DPoP {token}"), format!("dpop {token}"), "DPOP junk".to_owned(), "DPoP".to_owned()]
    {
        let answer = app.send(with_authorization(&field)).await;

        answer.assert_unauthorized();
        assert_reason!(answer, ValidationError::NoCredentials);
    }
    app.send(with_authorization(&format!("Basic YTpi, DPoP {token}"))).await.assert_invalid_request();
    for field in ["Basic YTpi", "Negotiate", "DPoPX abc"] {
        app.send(with_authorization(field)).await.assert_pass();
        assert!(app.last_seen().token.is_none(), "{field}");
    }
}

#[tokio::test]
async fn r6750_07_bearer_credentials_after_a_comma_are_refused_even_if_optional() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let server = authority.resource_server(RESOURCE);
    let token = valid_token(&authority);

    for layer in [server.require_scopes(READ), server.allow_anonymous()] {
        let app = App::new(layer);
        for value in [format!("Basic YTpi, Bearer {token}"), format!(", bearer {token}")] {
            app.send(with_authorization(&value)).await.assert_invalid_request();
        }
    }
}
