//! Proves that a `RoutingValidator` passes each token to exactly one validator.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use tower_bearer::{
    AccessToken, Algorithm, AuthorizationServer, ClaimsSet, Clock as _, Issuer, JwtValidator, KeySet,
    ProtectedResourceMetadata, ResourceServer, RoutingValidator, TokenValidator, UnixTime, ValidatedToken,
    ValidationError,
    testing::{SigningKey, TestAuthorizationServer, TokenBuilder},
};

use crate::support::{Answer, App, READ, RESOURCE, assert_reason};

const ONE: &str = "https://one.example";
const OTHER: &str = "https://other.example";
const OPAQUE: &str = "https://opaque.example";

/// The audience of the second issuer's tokens.
const ALIAS: &str = "https://partner.example/orders";

/// Three authorization servers: two issue JWTs, each with its own algorithm and audience. The third introspects all
/// other tokens.
struct Servers {
    one: TestAuthorizationServer,
    other: TestAuthorizationServer,
    opaque: TestAuthorizationServer,
}

impl Servers {
    fn new() -> Self {
        let server = |issuer, algorithm| TestAuthorizationServer::new(issuer).with_algorithms([algorithm]);
        Self {
            one: server(ONE, Algorithm::ES256),
            other: server(OTHER, Algorithm::EdDSA),
            opaque: TestAuthorizationServer::new(OPAQUE),
        }
    }

    fn jwt_only(&self) -> RoutingValidator {
        let one = self.one.jwt_validator(RESOURCE).algorithms([Algorithm::ES256]).build().unwrap();
        let other = self.other.jwt_validator(ALIAS).algorithms([Algorithm::EdDSA]).build().unwrap();
        RoutingValidator::new().route(one).route(other)
    }

    fn all(&self) -> RoutingValidator {
        self.jwt_only().otherwise(self.opaque.introspection_validator(RESOURCE).build().unwrap())
    }

    fn app(&self) -> App {
        App::new(self.one.resource_server_with(self.all()).build().unwrap().require_token())
    }

    /// Returns the key fetches of both JWT issuers and the introspections of the third server.
    fn requests(&self) -> [usize; 3] {
        [self.one.key_fetches(), self.other.key_fetches(), self.opaque.introspections()]
    }
}

fn subject(app: &App) -> String {
    app.last_seen().token.unwrap().subject().unwrap().to_owned()
}

mod by_issuer {
    use super::*;

    #[tokio::test]
    async fn each_jwt_is_validated_with_the_keys_and_audience_of_its_issuer() {
        let servers = Servers::new();
        let app = servers.app();

        app.present(&servers.one.token().subject("one").sign()).await.assert_pass();
        assert_eq!((subject(&app), servers.requests()), ("one".to_owned(), [1, 0, 0]));
        app.present(&servers.other.token().subject("other").sign()).await.assert_pass();

        assert_eq!((subject(&app), servers.requests()), ("other".to_owned(), [1, 1, 0]));
    }

    #[tokio::test]
    async fn r8725_12_audience_of_one_issuer_is_refused_for_the_other() {
        let servers = Servers::new();
        let app = servers.app();

        for token in [servers.one.token().audience(ALIAS), servers.other.token().audience(RESOURCE)] {
            let answer = app.present(&token.sign()).await;

            answer.assert_invalid_token();
            assert_reason!(answer, ValidationError::AudienceMismatch { .. });
        }
    }

    #[tokio::test]
    async fn r8725_20_each_issuer_has_its_own_algorithms() {
        let servers = Servers::new();
        let app = servers.app();
        // The issuer publishes a key for an algorithm that is accepted only from the other issuer.
        let key = SigningKey::generate("extra", Algorithm::EdDSA);
        servers.one.publish_keys([servers.one.keys()[0].clone(), key.clone()]);

        let answer = app.present(&servers.one.token().key(&key).sign()).await;

        answer.assert_invalid_token();
        assert_reason!(answer, ValidationError::AlgorithmNotAccepted { .. });
        app.present(&servers.other.token().sign()).await.assert_pass();
    }

    #[tokio::test]
    async fn r8725_10_key_of_one_issuer_does_not_verify_tokens_of_another() {
        let servers = Servers::new();
        let app =
            App::new(ResourceServer::builder(same_algorithm(&servers)).build().unwrap().require_token());
        let key = servers.one.keys()[0].clone();
        app.present(&servers.one.token().sign()).await.assert_pass();

        // Names the second issuer, but is signed with the first issuer's key.
        let answer = app.present(&servers.other.token().audience(RESOURCE).key(&key).sign()).await;

        answer.assert_invalid_token();
        assert_reason!(answer, ValidationError::BadSignature);
    }

    /// Routes to two issuers with the same algorithm and with different keys under the same `kid`.
    fn same_algorithm(servers: &Servers) -> RoutingValidator {
        let clock = servers.one.clock().clone();
        servers.other.publish_keys([SigningKey::generate("key-2", Algorithm::ES256)]);
        assert_eq!(servers.one.keys()[0].kid(), servers.other.keys()[0].kid());
        RoutingValidator::new()
            .route(servers.one.jwt_validator(RESOURCE).clock(clock.clone()).build().unwrap())
            .route(servers.other.jwt_validator(RESOURCE).clock(clock).build().unwrap())
    }

    #[tokio::test]
    async fn same_kid_at_two_issuers_is_two_different_keys() {
        let servers = Servers::new();
        let app =
            App::new(ResourceServer::builder(same_algorithm(&servers)).build().unwrap().require_token());
        let (one, other) = (servers.one.token(), servers.other.token().audience(RESOURCE));
        app.present(&one.clone().sign()).await.assert_pass();
        app.present(&other.clone().sign()).await.assert_pass();

        let forged =
            [one.key(&servers.other.keys()[0]), other.key(&servers.one.keys()[0])].map(TokenBuilder::sign);

        for token in forged {
            let answer = app.present(&token).await;
            answer.assert_invalid_token();
            assert_reason!(answer, ValidationError::BadSignature);
        }
    }

    #[tokio::test]
    async fn token_with_two_issuers_is_passed_to_no_validator() {
        let servers = Servers::new();
        let app =
            App::new(servers.one.resource_server_with(servers.jwt_only()).build().unwrap().require_token());
        let claims = serde_json::to_string(servers.one.token().claims()).unwrap();

        for duplicate in [
            claims.replacen('{', &format!(r#"{{"iss":"{OTHER}","#), 1),
            claims.replacen('{', &format!(r#"{{"\u0069ss":"{OTHER}","#), 1),
        ] {
            let answer = app.present(&servers.one.token().raw_payload(duplicate).sign()).await;

            answer.assert_invalid_token();
            assert_reason!(answer, ValidationError::UnknownIssuer { found: None, .. });
        }
        assert_eq!(servers.requests(), [0, 0, 0]);
    }

    #[tokio::test]
    async fn similar_issuer_is_not_the_configured_issuer() {
        let servers = Servers::new();
        let app =
            App::new(servers.one.resource_server_with(servers.jwt_only()).build().unwrap().require_token());

        for issuer in [
            json!("https://one.example/"),
            json!("https://ONE.example"),
            json!("https://one.example.evil.example"),
            json!("https://one.exampl"),
            json!("https://one.example@evil.example"),
            json!(["https://one.example"]),
            json!(null),
        ] {
            let answer = app.present(&servers.one.token().claim("iss", &issuer).sign()).await;

            answer.assert_invalid_token();
            assert_reason!(answer, ValidationError::UnknownIssuer { .. });
        }
        assert_eq!(servers.requests(), [0, 0, 0]);
    }

    #[tokio::test]
    async fn first_of_two_routes_for_an_issuer_is_used() {
        let server = TestAuthorizationServer::new(ONE);
        let validator = RoutingValidator::new()
            .route(server.jwt_validator(RESOURCE).build().unwrap())
            .route(server.jwt_validator(ALIAS).build().unwrap());
        let app = App::new(server.resource_server_with(validator).build().unwrap().require_token());

        app.present(&server.token().audience(RESOURCE).sign()).await.assert_pass();
        let answer = app.present(&server.token().audience(ALIAS).sign()).await;

        assert_reason!(answer, ValidationError::AudienceMismatch { .. });
    }

    #[tokio::test]
    async fn outage_of_one_issuer_does_not_affect_the_others() {
        let servers = Servers::new();
        let app = servers.app();
        servers.one.go_down();

        app.present(&servers.one.token().sign()).await.assert_unavailable();
        app.present(&servers.other.token().sign()).await.assert_pass();
        app.present(&servers.opaque.token().opaque()).await.assert_pass();
    }
}

mod otherwise {
    use super::*;

    #[tokio::test]
    async fn opaque_tokens_are_introspected() {
        let servers = Servers::new();
        let app = servers.app();

        app.present(&servers.opaque.token().subject("opaque").opaque()).await.assert_pass();

        assert_eq!((subject(&app), servers.requests()), ("opaque".to_owned(), [0, 0, 1]));
    }

    #[tokio::test]
    async fn jwt_of_an_issuer_without_a_route_is_introspected() {
        let servers = Servers::new();
        let app = servers.app();

        let answer = app.present(&servers.opaque.token().sign()).await;

        answer.assert_invalid_token();
        assert_reason!(answer, ValidationError::Inactive);
        assert_eq!(servers.requests(), [0, 0, 1]);
    }

    /// Returns tokens that resemble JWTs of the first issuer, but whose issuer cannot be read.
    fn malformed_jwts(server: &TestAuthorizationServer) -> Vec<(&'static str, String)> {
        let valid = server.token().audience(RESOURCE).sign();
        let parts: Vec<_> = valid.split('.').collect();
        let [header, payload, signature] = parts[..] else { unreachable!("three parts") };
        let base64 = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let long = server.token().audience(RESOURCE).claim("filler", "x".repeat(14 * 1024));
        let long = base64(&serde_json::to_string(long.claims()).unwrap());
        vec![
            ("two parts", format!("{header}.{payload}")),
            ("four parts", format!("{valid}.x")),
            ("five parts", format!("{valid}.x.y")),
            ("empty parts", ".".repeat(2)),
            ("header not JSON", format!("{}.{payload}.{signature}", base64("header"))),
            ("header not an object", format!("{}.{payload}.{signature}", base64("[]"))),
            ("header without alg", format!("{}.{payload}.{signature}", base64("{}"))),
            ("header with duplicate alg", {
                format!("{}.{payload}.{signature}", base64(r#"{"alg":"ES256","alg":"none"}"#))
            }),
            ("header in padded base64", format!("{}=.{payload}.{signature}", base64(r#"{"alg":"ES256" }"#))),
            ("claims not JSON", format!("{header}.{}.{signature}", base64("claims"))),
            ("claims an array", format!("{header}.{}.{signature}", base64("[]"))),
            ("claims without iss", format!("{header}.{}.{signature}", base64("{}"))),
            ("claims with iss not a string", {
                format!("{header}.{}.{signature}", base64(&json!({"iss": [ONE]}).to_string()))
            }),
            ("claims with duplicate iss", {
                format!("{header}.{}.{signature}", base64(&format!(r#"{{"iss":"{ONE}","iss":"{ONE}"}}"#)))
            }),
            ("claims too long", format!("{header}.{long}.x")),
        ]
        .into_iter()
        .filter(|(_, token)| token.len() <= 16 * 1024)
        .collect()
    }

    #[tokio::test]
    async fn malformed_jwt_is_introspected() {
        let count = malformed_jwts(&Servers::new().one).len();
        for index in 0..count {
            let servers = Servers::new();
            let (what, token) = malformed_jwts(&servers.one).swap_remove(index);
            let app = servers.app();
            if token.contains("=.") {
                // Not even token68, so the request is refused before any validator is called.
                app.present(&token).await.assert_invalid_request();
                continue;
            }

            let answer = app.present(&token).await;

            assert_eq!((answer.status.as_u16(), servers.requests()), (401, [0, 0, 1]), "{what}");
        }
    }

    #[tokio::test]
    async fn unknown_token_without_a_fallback_validator_is_refused_without_a_request() {
        let servers = Servers::new();
        let app =
            App::new(servers.one.resource_server_with(servers.jwt_only()).build().unwrap().require_token());
        let unknown = [
            servers.opaque.token().audience(RESOURCE).opaque(),
            servers.opaque.token().audience(RESOURCE).sign(),
            "x.y.z".to_owned(),
        ];

        for token in unknown {
            let answer = app.present(&token).await;

            answer.assert_invalid_token();
            assert_reason!(answer, ValidationError::UnknownIssuer { .. });
        }
        assert_eq!(servers.requests(), [0, 0, 0]);
    }

    #[tokio::test]
    async fn router_without_routes_refuses_every_token() {
        let server = TestAuthorizationServer::new(ONE);
        let app =
            App::new(server.resource_server_with(RoutingValidator::new()).build().unwrap().require_token());

        app.present(&server.token().audience(RESOURCE).sign()).await.assert_invalid_token();
    }
}

mod no_fallback {
    use super::*;

    /// A validator that fails with this error and counts its calls.
    #[derive(Clone)]
    struct Refusing {
        issuer: Option<&'static str>,
        error: ValidationError,
        calls: Arc<Mutex<usize>>,
    }

    impl TokenValidator for Refusing {
        async fn validate(&self, _: &AccessToken) -> Result<ValidatedToken, ValidationError> {
            *self.calls.lock().unwrap() += 1;
            Err(self.error.clone())
        }

        fn issuers(&self) -> Vec<Issuer> {
            self.issuer.iter().map(|issuer| Issuer::new(issuer).unwrap()).collect()
        }
    }

    /// Accepts every token and counts its calls.
    #[derive(Clone, Default)]
    struct Accepting {
        calls: Arc<Mutex<usize>>,
    }

    impl TokenValidator for Accepting {
        async fn validate(&self, _: &AccessToken) -> Result<ValidatedToken, ValidationError> {
            *self.calls.lock().unwrap() += 1;
            Ok(ValidatedToken::from_trusted_claims(ClaimsSet::new()))
        }
    }

    async fn present(error: ValidationError) -> (Answer, usize, usize) {
        let server = TestAuthorizationServer::new(ONE);
        let refusing = Refusing { issuer: Some(ONE), error, calls: Arc::default() };
        let accepting = Accepting::default();
        let validator = RoutingValidator::new().route(refusing.clone()).otherwise(accepting.clone());
        let app = App::new(server.resource_server_with(validator).build().unwrap().require_token());
        let answer = app.present(&server.token().audience(RESOURCE).sign()).await;
        let calls = *refusing.calls.lock().unwrap();
        let fallback_calls = *accepting.calls.lock().unwrap();
        (answer, calls, fallback_calls)
    }

    #[tokio::test]
    async fn token_refused_by_its_validator_is_passed_to_no_other() {
        for error in [
            ValidationError::BadSignature,
            ValidationError::Inactive,
            ValidationError::MalformedToken("simulated"),
            ValidationError::MissingClaim("exp"),
            ValidationError::refused("simulated"),
        ] {
            let (answer, calls, fallback_calls) = present(error).await;

            answer.assert_invalid_token();
            assert_eq!((calls, fallback_calls), (1, 0));
        }
    }

    #[tokio::test]
    async fn outage_of_the_chosen_validator_is_503_without_a_fallback() {
        let (answer, calls, fallback_calls) = present(ValidationError::unavailable("simulated")).await;

        answer.assert_unavailable();
        assert_eq!((calls, fallback_calls), (1, 0));
    }

    #[tokio::test]
    async fn invalid_jwt_is_not_introspected() {
        let servers = Servers::new();
        let app = servers.app();

        for token in [
            servers.one.token().audience(RESOURCE).signature([0x55; 64]),
            servers.one.token().audience(RESOURCE).claim("exp", 1),
            servers.one.token().audience(RESOURCE).header("typ", "JWT"),
            servers.one.token().audience(RESOURCE).header("alg", "none"),
            servers.one.token().audience(RESOURCE).header("kid", "unknown"),
        ] {
            app.present(&token.sign()).await.assert_invalid_token();
        }

        assert_eq!(servers.opaque.introspections(), 0);
    }

    #[tokio::test]
    async fn inactive_token_is_introspected_once_and_passed_to_no_other_validator() {
        let servers = Servers::new();
        let app = servers.app();

        app.present("opaque-and-unknown").await.assert_invalid_token();

        assert_eq!(servers.requests(), [0, 0, 1]);
    }
}

mod token_table {
    use super::*;

    /// A table of hashed opaque tokens, as in a service that issues its own tokens.
    struct TokenTable {
        rows: Mutex<HashMap<[u8; 32], Row>>,
        is_locked: Mutex<bool>,
    }

    #[derive(Clone)]
    struct Row {
        user: &'static str,
        scopes: &'static str,
        expires_at: UnixTime,
    }

    impl TokenTable {
        fn insert(&self, token: &str, row: Row) {
            self.rows.lock().unwrap().insert(AccessToken::new(token).sha256(), row);
        }
    }

    #[derive(Clone)]
    struct Shared(Arc<TokenTable>);

    impl TokenValidator for Shared {
        async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
            if *self.0.is_locked.lock().unwrap() {
                return Err(ValidationError::unavailable("the table is locked"));
            }
            let row = self.0.rows.lock().unwrap().get(&token.sha256()).cloned();
            let row = row.ok_or(ValidationError::Inactive)?;
            Ok(ValidatedToken::from_trusted_claims(
                ClaimsSet::new().with_subject(row.user).with_scopes(row.scopes).with_expiry(row.expires_at),
            ))
        }
    }

    /// Returns an app that accepts JWTs of one issuer, and looks up all other tokens in the table.
    fn app() -> (TestAuthorizationServer, Arc<TokenTable>, App) {
        let server = TestAuthorizationServer::new(ONE);
        let table = Arc::new(TokenTable { rows: Mutex::default(), is_locked: Mutex::default() });
        let expires_at = server.clock().now().saturating_add(std::time::Duration::from_secs(60));
        table.insert("s3cret", Row { user: "bob", scopes: "orders:read", expires_at });
        let validator = RoutingValidator::new()
            .route(server.jwt_validator(RESOURCE).build().unwrap())
            .otherwise(Shared(Arc::clone(&table)));
        let app = App::new(server.resource_server_with(validator).build().unwrap().require_scopes(READ));
        (server, table, app)
    }

    #[tokio::test]
    async fn token_table_works_next_to_jwts() {
        let (server, _, app) = app();

        app.present("s3cret").await.assert_pass();
        assert_eq!(subject(&app), "bob");
        app.present(&server.token().scope("orders:read").sign()).await.assert_pass();

        assert_eq!(subject(&app), "alice");
    }

    #[tokio::test]
    async fn token_removed_from_the_table_is_refused() {
        let (_server, table, app) = app();
        app.present("s3cret").await.assert_pass();

        table.rows.lock().unwrap().clear();

        app.present("s3cret").await.assert_invalid_token();
    }

    #[tokio::test]
    async fn token_in_the_table_expires() {
        let (server, _, app) = app();
        app.present("s3cret").await.assert_pass();

        server.clock().advance(std::time::Duration::from_secs(60));

        let answer = app.present("s3cret").await;
        answer.assert_invalid_token();
        assert_reason!(answer, ValidationError::Expired { .. });
    }

    #[tokio::test]
    async fn scopes_from_the_table_are_checked() {
        let (server, table, app) = app();
        let expires_at = server.clock().now().saturating_add(std::time::Duration::from_secs(60));
        table.insert("limited", Row { user: "carol", scopes: "orders:write", expires_at });

        app.present("limited").await.assert_insufficient_scope("orders:read");
    }

    #[tokio::test]
    async fn unreadable_token_table_is_503() {
        let (_server, table, app) = app();
        *table.is_locked.lock().unwrap() = true;

        app.present("s3cret").await.assert_unavailable();
        *table.is_locked.lock().unwrap() = false;

        app.present("s3cret").await.assert_pass();
    }
}

mod metadata {
    use super::*;

    #[tokio::test]
    async fn metadata_names_every_issuer_once_in_route_order() {
        let servers = Servers::new();
        let again = servers.one.jwt_validator(RESOURCE).build().unwrap();
        let resource_server = ResourceServer::builder(servers.all().route(again))
            .resource_metadata(ProtectedResourceMetadata::new(RESOURCE))
            .build()
            .unwrap();

        let document = resource_server.metadata().unwrap();

        assert_eq!(document["authorization_servers"], json!([ONE, OTHER, OPAQUE]));
    }

    #[tokio::test]
    async fn metadata_names_no_issuer_for_a_validator_without_one() {
        struct WithoutIssuers;

        impl TokenValidator for WithoutIssuers {
            async fn validate(&self, _: &AccessToken) -> Result<ValidatedToken, ValidationError> {
                Err(ValidationError::Inactive)
            }
        }

        let resource_server = ResourceServer::builder(RoutingValidator::new().otherwise(WithoutIssuers))
            .resource_metadata(ProtectedResourceMetadata::new(RESOURCE))
            .build()
            .unwrap();

        assert_eq!(resource_server.metadata().unwrap().get("authorization_servers"), None);
    }

    #[tokio::test]
    async fn metadata_names_issuers_of_nested_routes() {
        let servers = Servers::new();
        let validator = RoutingValidator::new().route(servers.jwt_only());

        assert_eq!(validator.issuers(), [ONE, OTHER].map(|issuer| Issuer::new(issuer).unwrap()));
        let app = App::new(servers.one.resource_server_with(validator).build().unwrap().require_token());
        app.present(&servers.other.token().sign()).await.assert_pass();
    }
}

#[tokio::test]
async fn configured_keys_verify_only_tokens_of_their_issuer() {
    let servers = Servers::new();
    let server = |authority: &TestAuthorizationServer| {
        let keys = KeySet::from_jwks(&authority.jwks().to_string()).unwrap();
        let server = AuthorizationServer::with_endpoints(authority.issuer()).keys(keys);
        JwtValidator::builder(server, RESOURCE).clock(servers.one.clock().clone()).build().unwrap()
    };
    let validator = RoutingValidator::new().route(server(&servers.one)).route(server(&servers.other));
    let app = App::new(servers.one.resource_server_with(validator).build().unwrap().require_token());

    app.present(&servers.one.token().audience(RESOURCE).sign()).await.assert_pass();
    app.present(&servers.other.token().audience(RESOURCE).sign()).await.assert_pass();
    let forged = servers.other.token().audience(RESOURCE).key(&servers.one.keys()[0]).sign();
    app.present(&forged).await.assert_invalid_token();

    assert_eq!(servers.requests(), [0, 0, 0]);
}
