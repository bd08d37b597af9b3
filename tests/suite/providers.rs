//! Proves that tokens in the formats of common providers work with the settings from the README.
//!
//! The formats are taken from the providers' documentation, not from live servers.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use serde_json::{Value, json};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_bearer::{
    AccessTokenRule, Algorithm, Audience, AuthorizationServer, IntrospectionValidator, JwtValidator,
    ResourceServerCredential, Scope, TokenValidator,
    testing::{SigningKey, TestAuthorizationServer, TokenBuilder},
};

const API: &str = "https://orders.example.com";
const CLIENT: &str = "0oa1b2c3";

/// Presents a token to a route that requires a scope, and returns the status.
async fn present(
    authority: &TestAuthorizationServer,
    validator: impl TokenValidator,
    scope: &str,
    token: &str,
) -> StatusCode {
    let resource_server = authority.resource_server_with(validator).build().unwrap();
    let inner =
        service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
    let request = Request::get("/").header("authorization", format!("Bearer {token}")).body(()).unwrap();
    resource_server
        .require_scopes(Scope::new(scope).unwrap())
        .layer(inner)
        .oneshot(request)
        .await
        .unwrap()
        .status()
}

fn validator(
    authority: &TestAuthorizationServer,
    audience: impl Into<Audience>,
    rule: AccessTokenRule,
) -> JwtValidator {
    JwtValidator::builder(authority.authorization_server(), audience)
        .clock(authority.clock().clone())
        .accept_typ_jwt(rule)
        .build()
        .unwrap()
}

/// Returns a token with the provider's `typ` and `aud`.
fn token(authority: &TestAuthorizationServer, typ: Option<&str>, audience: impl Into<Value>) -> TokenBuilder {
    let token = authority.token().claim("aud", audience.into());
    match typ {
        Some(typ) => token.header("typ", typ),
        None => token.without_header("typ"),
    }
}

mod keycloak {
    use super::*;

    fn setup() -> (TestAuthorizationServer, JwtValidator) {
        let authority = TestAuthorizationServer::new("https://sso.example.com/realms/main");
        let validator = validator(&authority, API, AccessTokenRule::claim_is("typ", "Bearer"));
        (authority, validator)
    }

    fn claims(token: TokenBuilder) -> TokenBuilder {
        token
            .scope("orders:read profile email")
            .claim("azp", CLIENT)
            .claim("sid", "7f1c")
            .claim("realm_access", json!({"roles": ["offline_access", "uma_authorization"]}))
            .claim("allowed-origins", ["https://app.example.com"])
    }

    #[tokio::test]
    async fn access_token_passes() {
        let (authority, validator) = setup();
        let token = claims(token(&authority, Some("JWT"), json!([API, "account"]))).claim("typ", "Bearer");

        let status = present(&authority, validator, "orders:read", &token.sign()).await;

        assert_eq!(status, StatusCode::OK);
    }

    #[tokio::test]
    async fn r9068_11_realm_roles_can_be_required_like_scopes() {
        let (authority, _) = setup();
        let validator = JwtValidator::builder(authority.authorization_server(), API)
            .clock(authority.clock().clone())
            .accept_typ_jwt(AccessTokenRule::claim_is("typ", "Bearer"))
            .scopes_from(["scope", "/realm_access/roles"])
            .build()
            .unwrap();
        let token = claims(token(&authority, Some("JWT"), API)).claim("typ", "Bearer");
        let with_roles = |roles: Value| token.clone().claim("realm_access", json!({"roles": roles})).sign();
        let dispatcher = with_roles(json!(["offline_access", "dispatcher"]));

        for (required, token, expected) in [
            ("dispatcher", &dispatcher, StatusCode::OK),
            ("orders:read", &dispatcher, StatusCode::OK),
            ("dispatcher", &with_roles(json!(["driver"])), StatusCode::FORBIDDEN),
            ("dispatcher", &with_roles(json!(["driver dispatcher"])), StatusCode::FORBIDDEN),
            ("dispatcher", &with_roles(json!([])), StatusCode::FORBIDDEN),
            ("dispatcher", &token.clone().without_claim("realm_access").sign(), StatusCode::FORBIDDEN),
            ("dispatcher", &with_roles(json!({"dispatcher": true})), StatusCode::UNAUTHORIZED),
            (
                "dispatcher",
                &token.clone().claim("realm_access", "dispatcher").sign(),
                StatusCode::UNAUTHORIZED,
            ),
        ] {
            let status = present(&authority, validator.clone(), required, token).await;

            assert_eq!(status, expected, "{required}");
        }
    }

    #[tokio::test]
    async fn realm_roles_of_an_introspected_token_can_be_required_like_scopes() {
        let (authority, _) = setup();
        let validator = || {
            IntrospectionValidator::builder(
                authority.authorization_server(),
                ResourceServerCredential::secret_basic("resource-server", "resource-server-secret"),
                API,
            )
            .clock(authority.clock().clone())
            .scopes_from(["/realm_access/roles"])
            .accept_scope_array()
            .build()
            .unwrap()
        };
        let token = claims(authority.token().claim("aud", API));
        let with_roles = |roles: Value| token.clone().claim("realm_access", json!({"roles": roles})).opaque();

        for (required, token, expected) in [
            ("dispatcher", with_roles(json!(["dispatcher"])), StatusCode::OK),
            ("dispatcher", with_roles(json!(null)), StatusCode::FORBIDDEN),
            ("orders:read", with_roles(json!(["dispatcher"])), StatusCode::FORBIDDEN),
            ("dispatcher", with_roles(json!(1)), StatusCode::BAD_GATEWAY),
        ] {
            let status = present(&authority, validator(), required, &token).await;

            assert_eq!(status, expected, "{required}");
        }
    }

    #[tokio::test]
    async fn id_and_refresh_tokens_are_refused_even_with_our_audience() {
        let (authority, validator) = setup();
        for kind in ["ID", "Refresh", "Offline", "Logout"] {
            let token = claims(token(&authority, Some("JWT"), json!([CLIENT, API]))).claim("typ", kind);

            let status = present(&authority, validator.clone(), "orders:read", &token.sign()).await;

            assert_eq!(status, StatusCode::UNAUTHORIZED, "{kind}");
        }
    }

    #[tokio::test]
    async fn token_is_refused_without_an_audience_mapper() {
        let (authority, validator) = setup();
        let token = claims(token(&authority, Some("JWT"), "account")).claim("typ", "Bearer");

        for token in [token.clone(), token.without_claim("aud")] {
            let status = present(&authority, validator.clone(), "orders:read", &token.sign()).await;

            assert_eq!(status, StatusCode::UNAUTHORIZED);
        }
    }
}

mod auth0 {
    use super::*;

    const ISSUER: &str = "https://tenant.eu.auth0.com/";

    #[tokio::test]
    async fn access_token_of_the_default_profile_passes() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let validator = validator(&authority, API, AccessTokenRule::has_claim("scope"));
        let audience = json!([API, format!("{ISSUER}userinfo")]);
        let token = token(&authority, Some("JWT"), audience)
            .scope("openid orders:read")
            .claim("azp", CLIENT)
            .without_claim("jti");

        let status = present(&authority, validator, "orders:read", &token.sign()).await;

        assert_eq!(status, StatusCode::OK);
    }

    #[tokio::test]
    async fn r9068_11_permissions_can_be_required_like_scopes() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let validator = authority.jwt_validator(API).scopes_from(["scope", "permissions"]).build().unwrap();
        let token = authority.token().scope("openid").claim("permissions", ["orders:read", "orders:list"]);

        for (token, expected) in
            [(token.clone(), StatusCode::OK), (token.without_claim("permissions"), StatusCode::FORBIDDEN)]
        {
            let status = present(&authority, validator.clone(), "orders:read", &token.sign()).await;

            assert_eq!(status, expected);
        }
    }

    #[tokio::test]
    async fn access_token_of_the_rfc_9068_profile_passes_the_strict_profile() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let validator = authority.jwt_validator(API).build().unwrap();
        let token = authority.token().scope("orders:read").claim("client_id", CLIENT);

        let status = present(&authority, validator, "orders:read", &token.sign()).await;

        assert_eq!(status, StatusCode::OK);
    }

    #[tokio::test]
    async fn id_token_is_refused() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let validator = validator(&authority, API, AccessTokenRule::has_claim("scope"));
        let token = token(&authority, Some("JWT"), CLIENT).claim("nonce", "n-0S6").claim("at_hash", "77Qm");

        let status = present(&authority, validator, "orders:read", &token.sign()).await;

        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
}

mod okta {
    use super::*;

    #[tokio::test]
    async fn access_token_of_a_custom_server_passes_with_a_scope_array() {
        let authority = TestAuthorizationServer::new("https://dev-1.okta.com/oauth2/default");
        let validator = validator(&authority, "api://default", AccessTokenRule::has_claim("scp"));
        let access = token(&authority, None, "api://default")
            .claim("scp", ["openid", "orders:read"])
            .claim("cid", CLIENT)
            .claim("uid", "00u1")
            .claim("ver", 1);
        let id = token(&authority, None, CLIENT).claim("ver", 1).claim("at_hash", "77Qm");

        let passed = present(&authority, validator.clone(), "orders:read", &access.sign()).await;
        let refused = present(&authority, validator, "orders:read", &id.sign()).await;

        assert_eq!((passed, refused), (StatusCode::OK, StatusCode::UNAUTHORIZED));
    }
}

mod entra_id {
    use super::*;

    const API_ID: &str = "6f1c2a4e-0b7d-4a52-9a30-0d7d5f1f3c11";

    /// Publishes the key as Entra ID does: without `alg`.
    fn publish_without_alg(authority: &TestAuthorizationServer) {
        let mut jwks = authority.jwks();
        jwks["keys"][0].as_object_mut().unwrap().remove("alg");
        let jwks = Bytes::from(jwks.to_string());
        authority.answer(&authority.jwks_uri(), move |_| {
            let mut response = Response::new(jwks.clone());
            response.headers_mut().insert(CONTENT_TYPE, "application/json".parse().unwrap());
            response
        });
    }

    fn setup(issuer: &str) -> TestAuthorizationServer {
        let authority = TestAuthorizationServer::new(issuer).with_algorithms([Algorithm::RS256]);
        publish_without_alg(&authority);
        authority
    }

    fn validator(authority: &TestAuthorizationServer, server: AuthorizationServer) -> JwtValidator {
        JwtValidator::builder(server, Audience::opaque(API_ID).or("api://orders"))
            .clock(authority.clock().clone())
            .accept_typ_jwt(AccessTokenRule::has_one_of(["scp", "roles"]))
            .algorithms([Algorithm::RS256])
            .build()
            .unwrap()
    }

    fn claims(token: TokenBuilder) -> TokenBuilder {
        token.without_claim("jti").claim("uti", "x").claim("oid", "y").claim("tid", "z")
    }

    #[tokio::test]
    async fn v2_token_of_a_user_passes_and_an_id_token_is_refused() {
        let authority = setup("https://login.microsoftonline.com/9b6e/v2.0");
        let access = claims(token(&authority, Some("JWT"), API_ID)).claim("scp", "orders.read openid");
        let id = claims(token(&authority, Some("JWT"), API_ID)).claim("nonce", "n");
        let validator = validator(&authority, authority.authorization_server());

        let passed = present(&authority, validator.clone(), "orders.read", &access.sign()).await;
        let refused = present(&authority, validator, "orders.read", &id.sign()).await;

        assert_eq!((passed, refused), (StatusCode::OK, StatusCode::UNAUTHORIZED));
    }

    #[tokio::test]
    async fn r9068_11_roles_of_services_and_users_can_be_required_like_scopes() {
        let authority = setup("https://login.microsoftonline.com/9b6e/v2.0");
        let validator = JwtValidator::builder(authority.authorization_server(), Audience::opaque(API_ID))
            .clock(authority.clock().clone())
            .accept_typ_jwt(AccessTokenRule::has_one_of(["scp", "roles"]))
            .algorithms([Algorithm::RS256])
            .scopes_from(["scp", "roles"])
            .build()
            .unwrap();
        let token = claims(token(&authority, Some("JWT"), API_ID));
        let service = token.clone().claim("roles", ["Orders.Read.All"]).claim("azp", CLIENT);
        let user = token.clone().claim("scp", "orders.read openid");
        let user_with_role = user.clone().claim("roles", ["Orders.Approve"]);

        for (required, token, expected) in [
            ("Orders.Read.All", &service, StatusCode::OK),
            ("orders.read", &service, StatusCode::FORBIDDEN),
            ("orders.read", &user, StatusCode::OK),
            ("Orders.Approve", &user, StatusCode::FORBIDDEN),
            ("orders.read", &user_with_role, StatusCode::OK),
            ("Orders.Approve", &user_with_role, StatusCode::OK),
        ] {
            let status = present(&authority, validator.clone(), required, &token.clone().sign()).await;

            assert_eq!(status, expected, "{required}");
        }
    }

    #[tokio::test]
    async fn service_token_has_no_scopes_by_default() {
        let authority = setup("https://login.microsoftonline.com/9b6e/v2.0");
        let access = claims(token(&authority, Some("JWT"), API_ID)).claim("roles", ["Orders.Read.All"]);
        let validator = validator(&authority, authority.authorization_server());

        let status = present(&authority, validator, "orders.read", &access.sign()).await;

        assert_eq!(status, StatusCode::FORBIDDEN);
    }

    #[tokio::test]
    async fn v1_keys_are_fetched_from_the_configured_url() {
        let authority = setup("https://sts.windows.net/9b6e/");
        let server = AuthorizationServer::with_endpoints("https://sts.windows.net/9b6e/");
        let server = server.jwks_uri(authority.jwks_uri()).http_client(authority.clone());
        let access = claims(token(&authority, Some("JWT"), "api://orders")).claim("scp", "orders.read");
        let validator = validator(&authority, server);

        let status = present(&authority, validator, "orders.read", &access.sign()).await;

        assert_eq!(status, StatusCode::OK);
        assert!(authority.requests_to(&authority.metadata_url()).is_empty());
    }
}

mod cognito {
    use super::*;

    #[tokio::test]
    async fn access_token_passes_only_with_a_resource_binding() {
        let authority = TestAuthorizationServer::new("https://cognito-idp.eu-central-1.amazonaws.com/pool");
        let validator = validator(&authority, API, AccessTokenRule::claim_is("token_use", "access"));
        let claims = |token: TokenBuilder| {
            token.scope("orders:read openid").claim("client_id", CLIENT).claim("username", "alice")
        };
        let bound = claims(token(&authority, None, API)).claim("token_use", "access");
        let unbound = bound.clone().without_claim("aud");
        let id = claims(token(&authority, None, API)).claim("token_use", "id");

        for (token, expected) in
            [(bound, StatusCode::OK), (unbound, StatusCode::UNAUTHORIZED), (id, StatusCode::UNAUTHORIZED)]
        {
            assert_eq!(present(&authority, validator.clone(), "orders:read", &token.sign()).await, expected);
        }
    }
}

mod zitadel {
    use super::*;

    #[tokio::test]
    async fn introspected_token_passes() {
        let authority = TestAuthorizationServer::new("https://orders-1.zitadel.cloud");
        let project = "259254317079330819";
        let validator = IntrospectionValidator::builder(
            authority.authorization_server(),
            ResourceServerCredential::secret_basic("resource-server", "resource-server-secret"),
            Audience::opaque(project),
        );
        let validator = validator.clock(authority.clock().clone()).build().unwrap();
        let token = authority
            .token()
            .claim("aud", [CLIENT, project])
            .scope("openid orders:read")
            .claim("client_id", CLIENT)
            .claim("username", "alice@orders")
            .claim("token_type", "Bearer");

        let status = present(&authority, validator, "orders:read", &token.opaque()).await;

        assert_eq!(status, StatusCode::OK);
    }
}

mod ory_hydra {
    use super::*;

    const ISSUER: &str = "https://hydra.example.com/";

    /// Returns a validator with a configured endpoint, because Hydra's metadata does not contain it.
    fn introspecting(authority: &TestAuthorizationServer) -> IntrospectionValidator {
        let server = AuthorizationServer::with_endpoints(ISSUER);
        let server = server.introspection_endpoint(authority.introspection_endpoint());
        IntrospectionValidator::builder(
            server.http_client(authority.clone()),
            ResourceServerCredential::secret_basic("resource-server", "resource-server-secret"),
            API,
        )
        .clock(authority.clock().clone())
        .build()
        .unwrap()
    }

    #[tokio::test]
    async fn opaque_access_token_passes_and_a_refresh_token_is_refused() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let answer = |token_use: &str| {
            authority
                .token()
                .claim("aud", [API])
                .scope("orders:read")
                .claim("client_id", CLIENT)
                .claim("token_type", "Bearer")
                .claim("token_use", token_use)
                .claim("ext", json!({}))
                .opaque()
        };

        for (token_use, expected) in
            [("access_token", StatusCode::OK), ("refresh_token", StatusCode::UNAUTHORIZED)]
        {
            let status =
                present(&authority, introspecting(&authority), "orders:read", &answer(token_use)).await;
            assert_eq!(status, expected, "{token_use}");
        }
    }

    #[tokio::test]
    async fn jwt_passes_with_a_scope_array_and_an_audience() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let validator = validator(&authority, API, AccessTokenRule::has_one_of(["scp", "scope"]));
        let claims = |audience: Value| {
            token(&authority, Some("JWT"), audience)
                .claim("scp", ["orders:read"])
                .claim("client_id", CLIENT)
                .claim("ext", json!({}))
        };

        for (audience, expected) in [(json!([API]), StatusCode::OK), (json!([]), StatusCode::UNAUTHORIZED)] {
            let token = claims(audience).sign();
            assert_eq!(present(&authority, validator.clone(), "orders:read", &token).await, expected);
        }
    }
}

mod authentik {
    use super::*;

    #[tokio::test]
    async fn access_token_passes_and_an_id_token_with_the_same_audience_is_refused() {
        let authority = TestAuthorizationServer::new("https://auth.example.com/application/o/orders/");
        let validator = validator(&authority, Audience::opaque(CLIENT), AccessTokenRule::has_claim("uid"));
        let id = token(&authority, Some("JWT"), CLIENT)
            .without_claim("jti")
            .claim("acr", "goauthentik.io/providers/oauth2/default");
        let access = id.clone().scope("openid orders:read").claim("azp", CLIENT).claim("uid", "8JpQ");

        let passed = present(&authority, validator.clone(), "orders:read", &access.sign()).await;
        let refused = present(&authority, validator, "orders:read", &id.sign()).await;

        assert_eq!((passed, refused), (StatusCode::OK, StatusCode::UNAUTHORIZED));
    }
}

mod authelia {
    use super::*;

    #[tokio::test]
    async fn jwt_passes_with_a_scope_array_and_without_it_is_refused() {
        let authority = TestAuthorizationServer::new("https://auth.example.com");
        let validator = authority.jwt_validator(API).build().unwrap();
        let token = token(&authority, Some("at+jwt"), json!([API])).claim("scp", ["openid", "orders:read"]);
        let unscoped = token.clone().claim("scp", ["openid"]).claim("client_id", CLIENT);

        let passed = present(&authority, validator.clone(), "orders:read", &token.sign()).await;
        let refused = present(&authority, validator, "orders:read", &unscoped.sign()).await;

        assert_eq!((passed, refused), (StatusCode::OK, StatusCode::FORBIDDEN));
    }
}

mod duende {
    use super::*;

    fn validator(authority: &TestAuthorizationServer, rule: Option<AccessTokenRule>) -> JwtValidator {
        let builder = authority.jwt_validator(API).scopes_from(["scope"]);
        match rule {
            Some(rule) => builder.accept_typ_jwt(rule),
            None => builder,
        }
        .build()
        .unwrap()
    }

    #[tokio::test]
    async fn token_passes_with_a_scope_array() {
        let authority = TestAuthorizationServer::new("https://identity.example.com");
        let token = token(&authority, Some("at+jwt"), API).claim("scope", ["openid", "orders:read"]);
        let token = token.claim("client_id", CLIENT).claim("idp", "local").sign();

        let status = present(&authority, validator(&authority, None), "orders:read", &token).await;

        assert_eq!(status, StatusCode::OK);
    }

    #[tokio::test]
    async fn token_of_a_service_without_sub_needs_a_rule() {
        let authority = TestAuthorizationServer::new("https://identity.example.com");
        let token =
            token(&authority, Some("at+jwt"), API).claim("scope", ["orders:read"]).without_claim("sub");

        for (rule, expected) in
            [(None, StatusCode::UNAUTHORIZED), (Some(AccessTokenRule::has_claim("scope")), StatusCode::OK)]
        {
            let validator = validator(&authority, rule);
            let status = present(&authority, validator, "orders:read", &token.clone().sign()).await;

            assert_eq!(status, expected);
        }
    }
}

mod spring_authorization_server {
    use super::*;

    #[tokio::test]
    async fn token_passes_with_a_scope_array_and_a_customized_audience() {
        let authority = TestAuthorizationServer::new("https://auth.example.com");
        let strict = authority.jwt_validator(API).scopes_from(["scope"]).build().unwrap();
        let lenient = authority.jwt_validator(API).scopes_from(["scope"]);
        let lenient = lenient.accept_typ_jwt(AccessTokenRule::has_claim("scope")).build().unwrap();
        let claims = |token: TokenBuilder| token.claim("scope", ["orders:read"]);
        let typed = claims(token(&authority, Some("at+jwt"), json!([API])));
        let untyped = claims(token(&authority, None, json!([API])));
        let by_default = claims(token(&authority, None, json!([CLIENT])));

        for (validator, token, expected) in [
            (&strict, typed, StatusCode::OK),
            (&strict, untyped.clone(), StatusCode::UNAUTHORIZED),
            (&lenient, untyped, StatusCode::OK),
            (&lenient, by_default, StatusCode::UNAUTHORIZED),
        ] {
            let status = present(&authority, validator.clone(), "orders:read", &token.sign()).await;

            assert_eq!(status, expected);
        }
    }
}

#[test]
fn scopes_from_a_client_claim_is_a_config_error() {
    let authority = TestAuthorizationServer::new("https://as.example.com");
    for (source, expected) in [
        ("azp", "scopes_from \"azp\": expected a claim that does not identify the client: those are dropped"),
        (
            "/act/client_id",
            "scopes_from \"/act/client_id\": expected a claim that does not identify the client",
        ),
        ("", "scopes_from \"\": expected a claim name or a JSON pointer without empty names"),
    ] {
        let error =
            authority.jwt_validator(API).scopes_from(["scp", source]).build().unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");

        let credential = ResourceServerCredential::secret_basic("resource-server", "resource-server-secret");
        let builder = IntrospectionValidator::builder(authority.authorization_server(), credential, API);
        let error = builder.scopes_from([source]).build().unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let error = authority.jwt_validator(API).scopes_from(Vec::<String>::new()).build().unwrap_err();
    assert_eq!(error.to_string(), "scopes_from: expected at least one claim name or JSON pointer");
}

#[tokio::test]
async fn encryption_key_in_the_set_is_skipped() {
    let authority = TestAuthorizationServer::new("https://sso.example.com/realms/main");
    let mut encryption = SigningKey::generate("enc", Algorithm::ES256).jwk();
    encryption["use"] = "enc".into();
    encryption["alg"] = "RSA-OAEP".into();
    let mut jwks = authority.jwks();
    jwks["keys"].as_array_mut().unwrap().insert(0, encryption);
    authority.answer(&authority.jwks_uri(), move |_| Response::new(Bytes::from(jwks.to_string())));
    let validator = authority.jwt_validator(API).build().unwrap();

    let status =
        present(&authority, validator, "orders:read", &authority.token().scope("orders:read").sign()).await;

    assert_eq!(status, StatusCode::OK);
}
