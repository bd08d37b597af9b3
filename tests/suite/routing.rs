//! Several validators behind one layer: which of them gets a token, and that no other one does.

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

/// Three authorization servers: two for JWTs, each with an algorithm and an audience of its own, and one that is asked
/// about everything else.
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

    /// How many keys were fetched from each issuer of JWTs, and how many tokens the third was asked about.
    fn asked(&self) -> [usize; 3] {
        [self.one.key_fetches(), self.other.key_fetches(), self.opaque.introspections()]
    }
}

fn subject(app: &App) -> String {
    app.last_seen().token.unwrap().subject().unwrap().to_owned()
}

mod by_issuer {
    use super::*;

    #[tokio::test]
    async fn each_jwt_is_validated_with_the_keys_and_the_audience_of_its_issuer() {
        let servers = Servers::new();
        let app = servers.app();

        app.present(&servers.one.token().subject("one").sign()).await.assert_pass();
        assert_eq!((subject(&app), servers.asked()), ("one".to_owned(), [1, 0, 0]));
        app.present(&servers.other.token().subject("other").sign()).await.assert_pass();

        assert_eq!((subject(&app), servers.asked()), ("other".to_owned(), [1, 1, 0]));
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
        // The key is published, and the other issuer's algorithm is fine over there.
        let key = SigningKey::generate("extra", Algorithm::EdDSA);
        servers.one.publish_keys([servers.one.keys()[0].clone(), key.clone()]);

        let answer = app.present(&servers.one.token().key(&key).sign()).await;

        answer.assert_invalid_token();
        assert_reason!(answer, ValidationError::AlgorithmNotAccepted { .. });
        app.present(&servers.other.token().sign()).await.assert_pass();
    }

    #[tokio::test]
    async fn r8725_10_key_of_one_issuer_does_not_sign_for_another() {
        let servers = Servers::new();
        let app =
            App::new(ResourceServer::builder(same_algorithm(&servers)).build().unwrap().require_token());
        let key = servers.one.keys()[0].clone();
        app.present(&servers.one.token().sign()).await.assert_pass();

        // Signed by the one, in the name of the other.
        let answer = app.present(&servers.other.token().audience(RESOURCE).key(&key).sign()).await;

        answer.assert_invalid_token();
        assert_reason!(answer, ValidationError::BadSignature);
    }

    /// Two issuers with the same algorithm, and with one `kid` for two keys.
    fn same_algorithm(servers: &Servers) -> RoutingValidator {
        let clock = servers.one.clock().clone();
        servers.other.publish_keys([SigningKey::generate("key-2", Algorithm::ES256)]);
        assert_eq!(servers.one.keys()[0].kid(), servers.other.keys()[0].kid());
        RoutingValidator::new()
            .route(servers.one.jwt_validator(RESOURCE).clock(clock.clone()).build().unwrap())
            .route(servers.other.jwt_validator(RESOURCE).clock(clock).build().unwrap())
    }

    #[tokio::test]
    async fn same_kid_at_two_issuers_means_two_keys() {
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
    async fn token_that_names_two_issuers_goes_to_neither() {
        let servers = Servers::new();
        let app =
            App::new(servers.one.resource_server_with(servers.jwt_only()).build().unwrap().require_token());
        let claims = serde_json::to_string(servers.one.token().claims()).unwrap();

        for twice in [
            claims.replacen('{', &format!(r#"{{"iss":"{OTHER}","#), 1),
            claims.replacen('{', &format!(r#"{{"\u0069ss":"{OTHER}","#), 1),
        ] {
            let answer = app.present(&servers.one.token().raw_payload(twice).sign()).await;

            answer.assert_invalid_token();
            assert_reason!(answer, ValidationError::UnknownIssuer { found: None, .. });
        }
        assert_eq!(servers.asked(), [0, 0, 0]);
    }

    #[tokio::test]
    async fn lookalike_issuer_is_not_the_configured_issuer() {
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
        assert_eq!(servers.asked(), [0, 0, 0]);
    }

    #[tokio::test]
    async fn first_of_two_routes_for_an_issuer_gets_its_tokens() {
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
    async fn outage_of_one_issuer_does_not_touch_the_other() {
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

        assert_eq!((subject(&app), servers.asked()), ("opaque".to_owned(), [0, 0, 1]));
    }

    #[tokio::test]
    async fn jwt_of_an_issuer_without_a_route_is_introspected() {
        let servers = Servers::new();
        let app = servers.app();

        let answer = app.present(&servers.opaque.token().sign()).await;

        answer.assert_invalid_token();
        assert_reason!(answer, ValidationError::Inactive);
        assert_eq!(servers.asked(), [0, 0, 1]);
    }

    /// What looks like a JWT of the first issuer, and is none whose issuer can be read.
    fn nearly_jwts(server: &TestAuthorizationServer) -> Vec<(&'static str, String)> {
        let good = server.token().audience(RESOURCE).sign();
        let parts: Vec<_> = good.split('.').collect();
        let [header, payload, signature] = parts[..] else { unreachable!("three parts") };
        let base64 = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let long = server.token().audience(RESOURCE).claim("filler", "x".repeat(14 * 1024));
        let long = base64(&serde_json::to_string(long.claims()).unwrap());
        vec![
            ("two parts", format!("{header}.{payload}")),
            ("four parts", format!("{good}.x")),
            ("five parts", format!("{good}.x.y")),
            ("no part", ".".repeat(2)),
            ("a header that is not JSON", format!("{}.{payload}.{signature}", base64("header"))),
            ("a header that is no object", format!("{}.{payload}.{signature}", base64("[]"))),
            ("a header without alg", format!("{}.{payload}.{signature}", base64("{}"))),
            ("a header with alg twice", {
                format!("{}.{payload}.{signature}", base64(r#"{"alg":"ES256","alg":"none"}"#))
            }),
            (
                "a header in padded base64",
                format!("{}=.{payload}.{signature}", base64(r#"{"alg":"ES256" }"#)),
            ),
            ("claims that are no JSON", format!("{header}.{}.{signature}", base64("claims"))),
            ("claims that are an array", format!("{header}.{}.{signature}", base64("[]"))),
            ("claims without issuer", format!("{header}.{}.{signature}", base64("{}"))),
            ("claims with an issuer that is no text", {
                format!("{header}.{}.{signature}", base64(&json!({"iss": [ONE]}).to_string()))
            }),
            ("claims with an issuer twice", {
                format!("{header}.{}.{signature}", base64(&format!(r#"{{"iss":"{ONE}","iss":"{ONE}"}}"#)))
            }),
            ("claims that are too long", format!("{header}.{long}.x")),
        ]
        .into_iter()
        .filter(|(_, token)| token.len() <= 16 * 1024)
        .collect()
    }

    #[tokio::test]
    async fn token_that_only_looks_like_a_jwt_is_introspected() {
        let count = nearly_jwts(&Servers::new().one).len();
        for index in 0..count {
            let servers = Servers::new();
            let (what, token) = nearly_jwts(&servers.one).swap_remove(index);
            let app = servers.app();
            if token.contains("=.") {
                // No token68 at all: refused before anybody is asked.
                app.present(&token).await.assert_invalid_request();
                continue;
            }

            let answer = app.present(&token).await;

            assert_eq!((answer.status.as_u16(), servers.asked()), (401, [0, 0, 1]), "{what}");
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
        assert_eq!(servers.asked(), [0, 0, 0]);
    }

    #[tokio::test]
    async fn without_any_route_every_token_is_refused() {
        let server = TestAuthorizationServer::new(ONE);
        let app =
            App::new(server.resource_server_with(RoutingValidator::new()).build().unwrap().require_token());

        app.present(&server.token().audience(RESOURCE).sign()).await.assert_invalid_token();
    }
}

mod a_choice_is_no_fallback {
    use super::*;

    /// Says no, or that it does not know, and remembers whom it was asked about.
    #[derive(Clone)]
    struct Refusing {
        issuer: Option<&'static str>,
        error: ValidationError,
        asked: Arc<Mutex<usize>>,
    }

    impl TokenValidator for Refusing {
        async fn validate(&self, _: &AccessToken) -> Result<ValidatedToken, ValidationError> {
            *self.asked.lock().unwrap() += 1;
            Err(self.error.clone())
        }

        fn issuers(&self) -> Vec<Issuer> {
            self.issuer.iter().map(|issuer| Issuer::new(issuer).unwrap()).collect()
        }
    }

    /// Finds every token good.
    #[derive(Clone, Default)]
    struct Lenient {
        asked: Arc<Mutex<usize>>,
    }

    impl TokenValidator for Lenient {
        async fn validate(&self, _: &AccessToken) -> Result<ValidatedToken, ValidationError> {
            *self.asked.lock().unwrap() += 1;
            Ok(ValidatedToken::from_trusted_claims(ClaimsSet::new()))
        }
    }

    async fn present(error: ValidationError) -> (Answer, usize, usize) {
        let server = TestAuthorizationServer::new(ONE);
        let refusing = Refusing { issuer: Some(ONE), error, asked: Arc::default() };
        let lenient = Lenient::default();
        let validator = RoutingValidator::new().route(refusing.clone()).otherwise(lenient.clone());
        let app = App::new(server.resource_server_with(validator).build().unwrap().require_token());
        let answer = app.present(&server.token().audience(RESOURCE).sign()).await;
        let asked = *refusing.asked.lock().unwrap();
        let others = *lenient.asked.lock().unwrap();
        (answer, asked, others)
    }

    #[tokio::test]
    async fn token_refused_by_the_chosen_validator_goes_to_no_other() {
        for error in [
            ValidationError::BadSignature,
            ValidationError::Inactive,
            ValidationError::MalformedToken("on purpose"),
            ValidationError::MissingClaim("exp"),
            ValidationError::refused("on purpose"),
        ] {
            let (answer, asked, others) = present(error).await;

            answer.assert_invalid_token();
            assert_eq!((asked, others), (1, 0));
        }
    }

    #[tokio::test]
    async fn outage_of_the_chosen_validator_is_an_outage() {
        let (answer, asked, others) = present(ValidationError::unavailable("on purpose")).await;

        answer.assert_unavailable();
        assert_eq!((asked, others), (1, 0));
    }

    #[tokio::test]
    async fn forged_jwt_is_not_introspected() {
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
    async fn inactive_token_is_introspected_once_and_goes_to_no_other() {
        let servers = Servers::new();
        let app = servers.app();

        app.present("opaque-and-unknown").await.assert_invalid_token();

        assert_eq!(servers.asked(), [0, 0, 1]);
    }
}

mod a_token_table {
    use super::*;

    /// Random strings, stored hashed, as a service may have that issues its own tokens.
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

    /// JWTs of one issuer, and the table for everything else.
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
    async fn token_table_works_beside_jwts() {
        let (server, _, app) = app();

        app.present("s3cret").await.assert_pass();
        assert_eq!(subject(&app), "bob");
        app.present(&server.token().scope("orders:read").sign()).await.assert_pass();

        assert_eq!(subject(&app), "alice");
    }

    #[tokio::test]
    async fn token_table_refuses_a_token_just_withdrawn() {
        let (_server, table, app) = app();
        app.present("s3cret").await.assert_pass();

        table.rows.lock().unwrap().clear();

        app.present("s3cret").await.assert_invalid_token();
    }

    #[tokio::test]
    async fn token_table_rows_expire() {
        let (server, _, app) = app();
        app.present("s3cret").await.assert_pass();

        server.clock().advance(std::time::Duration::from_secs(60));

        let answer = app.present("s3cret").await;
        answer.assert_invalid_token();
        assert_reason!(answer, ValidationError::Expired { .. });
    }

    #[tokio::test]
    async fn token_table_scopes_are_checked() {
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
        struct Nobody;

        impl TokenValidator for Nobody {
            async fn validate(&self, _: &AccessToken) -> Result<ValidatedToken, ValidationError> {
                Err(ValidationError::Inactive)
            }
        }

        let resource_server = ResourceServer::builder(RoutingValidator::new().otherwise(Nobody))
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
async fn given_keys_verify_for_their_issuer_only() {
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

    assert_eq!(servers.asked(), [0, 0, 0]);
}
