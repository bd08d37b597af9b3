//! Proves that `build()` reports all configuration problems at once and reveals no secrets.

use std::time::Duration;

use tower_bearer::{
    AccessToken, AuthorizationServer, ConfigError, IntrospectionValidator, Issuer, JwtValidator,
    ProtectedResourceMetadata, ResourceServer, ResourceServerCredential, RoutingValidator, Scope,
    TokenValidator, ValidatedToken, ValidationError, testing::TestAuthorizationServer,
};

use crate::support::{App, ISSUER, RESOURCE};

const TOO_LONG: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Asserts that the error lists problems of exactly these settings, in this order.
#[track_caller]
fn assert_settings(error: &ConfigError, expected: &[&str]) {
    let problems: Vec<_> = error.problems().collect();
    let settings: Vec<_> = problems.iter().map(|problem| problem.split([' ', ':']).next().unwrap()).collect();
    assert_eq!(settings, expected, "{error}");
    assert_eq!(error.to_string(), problems.join("; "));
}

fn broken_server() -> AuthorizationServer {
    AuthorizationServer::with_endpoints("http://as.example.com")
        .jwks_uri("ftp://as.example.com/jwks")
        .introspection_endpoint("as.example.com/introspect")
}

#[test]
fn jwt_validator_lists_its_own_problems_and_those_of_the_authorization_server() {
    let error = JwtValidator::builder(broken_server(), "not a uri")
        .algorithms([])
        .clock_skew(TOO_LONG)
        .build()
        .unwrap_err();

    let mut settings: Vec<_> =
        error.problems().map(|problem| problem.split([' ', ':']).next().unwrap().to_owned()).collect();
    settings.sort();
    assert_eq!(
        settings,
        ["algorithms", "audience", "clock_skew", "introspection_endpoint", "issuer", "jwks_uri"],
        "{error}"
    );
}

#[test]
fn introspection_validator_lists_its_own_problems_and_those_of_the_authorization_server() {
    let credential = ResourceServerCredential::bearer("s3cret\n");

    let error = IntrospectionValidator::builder(broken_server(), credential, "not a uri")
        .cache_ttl(TOO_LONG)
        .inactive_ttl(TOO_LONG)
        .clock_skew(TOO_LONG)
        .timeout(Duration::ZERO)
        .build()
        .unwrap_err();

    assert_settings(
        &error,
        &[
            "audience",
            "cache_ttl",
            "inactive_ttl",
            "clock_skew",
            "timeout",
            "resource",
            "jwks_uri",
            "introspection_endpoint",
            "issuer",
        ],
    );
    assert!(
        error.to_string().contains("resource server credential") && !error.to_string().contains("s3cret")
    );
}

#[test]
fn resource_server_lists_its_own_problems_and_those_of_the_metadata() {
    let validator = TestAuthorizationServer::new(ISSUER).jwt_validator(RESOURCE).build().unwrap();
    let metadata = ProtectedResourceMetadata::new("http://orders.example.com")
        .resource_documentation("docs")
        .resource_policy_uri("http://orders.example.com/policy");

    let error = ResourceServer::builder(validator)
        .realm("a\u{e9}")
        .error_uri("a uri")
        .baseline_scopes([Scope::from_static("offline_access")])
        .resource_metadata(metadata)
        .build()
        .unwrap_err();

    assert_settings(
        &error,
        &[
            "realm",
            "error_uri",
            "baseline_scopes",
            "resource_documentation",
            "resource_policy_uri",
            "resource",
        ],
    );
}

#[test]
fn resource_server_lists_the_problems_of_an_invalid_validator() {
    let validator = JwtValidator::builder(AuthorizationServer::discover("as"), RESOURCE).build();

    let error = ResourceServer::builder(validator)
        .resource_metadata(ProtectedResourceMetadata::new("http://orders.example.com"))
        .build()
        .unwrap_err();

    assert_settings(&error, &["issuer", "resource"]);
}

#[test]
fn resource_server_lists_the_problems_of_every_invalid_validator_behind_a_router() {
    let broken = |issuer: &str| JwtValidator::builder(AuthorizationServer::discover(issuer), RESOURCE);
    let validator = RoutingValidator::new()
        .route(broken("as").build())
        .route(TestAuthorizationServer::new(ISSUER).jwt_validator(RESOURCE).build())
        .otherwise(broken(ISSUER).algorithms([]).build());

    let error = ResourceServer::builder(validator).build().unwrap_err();

    assert_settings(&error, &["issuer", "algorithms"]);
}

#[tokio::test]
async fn result_of_build_can_be_used_as_a_validator_and_its_tokens_are_cached() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let resource_server =
        authority.resource_server_with(authority.introspection_validator(RESOURCE).build()).build().unwrap();
    let app = App::new(resource_server.require_token());
    let token = authority.token().opaque();

    app.present(&token).await.assert_pass();
    app.present(&token).await.assert_pass();

    assert_eq!(authority.introspections(), 1);
}

#[tokio::test]
async fn custom_validator_that_wraps_an_invalid_one_is_500() {
    struct Wrapper<V>(V);
    impl<V: TokenValidator> TokenValidator for Wrapper<V> {
        async fn validate(&self, token: &AccessToken) -> Result<ValidatedToken, ValidationError> {
            self.0.validate(token).await
        }
    }
    let invalid = JwtValidator::builder(AuthorizationServer::discover("as"), RESOURCE).build();
    let resource_server = ResourceServer::builder(Wrapper(invalid)).build().unwrap();

    let answer = App::new(resource_server.require_token()).present("token").await;

    answer.assert_internal();
}

/// URLs with a user name and a password in different spellings.
const WITH_PASSWORD: [&str; 12] = [
    "https://joe:s3cret@h.example",
    "http://joe:s3cret@h.example",
    "http://joe:s3cret@127.0.0.1",
    "https:/joe:s3cret@h.example",
    "https:///joe:s3cret@h.example",
    "https:joe:s3cret@h.example",
    "//joe:s3cret@h.example",
    "joe:s3cret@h.example",
    "ftp://joe:s3cret@h.example",
    "https://joe:s3cret@h.example/#fragment",
    "https://joe:s3cret/@h.example",
    "https://joe:s3cret @h.example",
];

#[track_caller]
fn assert_hidden(shown: impl std::fmt::Debug + std::fmt::Display) {
    assert_debug_hidden(&shown);
    let shown = shown.to_string();
    assert!(!shown.contains("s3cret") && !shown.contains("joe"), "{shown}");
}

#[track_caller]
fn assert_debug_hidden(shown: &impl std::fmt::Debug) {
    let shown = format!("{shown:?} {shown:#?}");
    assert!(!shown.contains("s3cret") && !shown.contains("joe"), "{shown}");
}

#[test]
fn a61_password_in_a_url_is_refused_and_never_shown() {
    let validator = TestAuthorizationServer::new(ISSUER).jwt_validator(RESOURCE).build().unwrap();
    for url in WITH_PASSWORD {
        assert_hidden(Issuer::new(url).unwrap_err());
        assert_hidden(Issuer::new_on_loopback(url).unwrap_err());

        let servers = [
            AuthorizationServer::discover(url).allow_http_on_loopback(),
            AuthorizationServer::with_endpoints(ISSUER).jwks_uri(url),
            AuthorizationServer::discover(ISSUER).introspection_endpoint(url),
        ];
        for server in servers {
            assert_debug_hidden(&server);
            let builder = JwtValidator::builder(server.clone(), RESOURCE);
            assert_debug_hidden(&builder);
            assert_hidden(builder.build().unwrap_err());
            let credential = ResourceServerCredential::secret_basic("id", "secret");
            let builder = IntrospectionValidator::builder(server, credential, RESOURCE);
            assert_debug_hidden(&builder);
            assert_hidden(builder.build().unwrap_err());
        }

        let metadata = [
            ProtectedResourceMetadata::new(url).allow_http_on_loopback(),
            ProtectedResourceMetadata::new(RESOURCE).resource_documentation(url),
            ProtectedResourceMetadata::new(RESOURCE).resource_policy_uri(url),
            ProtectedResourceMetadata::new(RESOURCE).resource_tos_uri(url),
        ];
        for metadata in metadata {
            assert_debug_hidden(&metadata);
            let builder = ResourceServer::builder(validator.clone()).resource_metadata(metadata);
            assert_hidden(builder.build().unwrap_err());
        }
    }
}

#[test]
fn a61_empty_user_name_in_a_url_is_refused() {
    for url in ["https://@h.example", "https://:@h.example", "https:/@h.example"] {
        assert!(Issuer::new(url).is_err(), "{url}");
    }
}
