//! Proves the strict profile of JWT access tokens (RFC 9068) and the lenient profile with its rules.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use tower_bearer::{
    AccessTokenRule, Algorithm, JwtValidatorBuilder, ValidationError,
    testing::{SigningKey, TestAuthorizationServer},
};

use crate::support::{
    App, ISSUER, READ, RESOURCE, app_with, assert_invalid, base64url, rsa_key, server_and_app,
    server_and_app_with, with_authorization,
};

#[tokio::test]
async fn r9068_01_typ_must_be_at_jwt() {
    let (authority, app) = server_and_app().await;

    for typ in ["at+jwt", "application/at+jwt", "AT+JWT", "at+JWT"] {
        app.present(&authority.token().header("typ", typ).sign()).await.assert_pass();
    }
    for typ in ["JWT", "jwt", "application/jwt", "Bearer", "access_token", "at", "jwt+at", "id+jwt"] {
        let answer = app.present(&authority.token().header("typ", typ).sign()).await;

        assert_invalid!(
            answer,
            ValidationError::TypeNotAccepted { found: Some(found), expected: "at+jwt", .. }
                if found.to_string() == format!("{typ:?}"),
            "{typ}"
        );
    }
    let answer = app.present(&authority.token().without_header("typ").sign()).await;
    assert_invalid!(answer, ValidationError::TypeNotAccepted { found: None, expected: "at+jwt", .. });
}

#[tokio::test]
async fn r9068_02_typ_jwt_is_refused_without_an_access_token_rule() {
    // The only setting that accepts `typ: JWT` takes a rule.
    let accept: fn(JwtValidatorBuilder, AccessTokenRule) -> JwtValidatorBuilder =
        JwtValidatorBuilder::accept_typ_jwt;
    let (strict_server, strict) = server_and_app().await;
    let (server, with_rule) = server_and_app_with(|validator| {
        accept(validator, AccessTokenRule::audience_is_only_in_access_tokens())
    })
    .await;

    let answer = strict.present(&strict_server.token().header("typ", "JWT").sign()).await;
    assert_invalid!(answer, ValidationError::TypeNotAccepted { found: Some(_), expected: "at+jwt", .. });
    with_rule.present(&server.token().header("typ", "JWT").sign()).await.assert_pass();
}

#[tokio::test]
async fn r9068_02_lenient_profile_accepts_only_at_jwt_jwt_and_a_missing_typ() {
    let (authority, app) = server_and_app_with(|validator| {
        validator.accept_typ_jwt(AccessTokenRule::audience_is_only_in_access_tokens())
    })
    .await;

    for typ in ["at+jwt", "JWT", "jwt", "application/jwt"] {
        app.present(&authority.token().header("typ", typ).sign()).await.assert_pass();
    }
    app.present(&authority.token().without_header("typ").sign()).await.assert_pass();
    for typ in ["logout+jwt", "dpop+jwt", "token-introspection+jwt", "Bearer", ""] {
        let answer = app.present(&authority.token().header("typ", typ).sign()).await;

        assert_invalid!(
            answer,
            ValidationError::TypeNotAccepted { found: Some(_), expected: "at+jwt, JWT or no typ", .. },
            "{typ}"
        );
    }
}

#[tokio::test]
async fn r9068_02_access_token_rule_decides_in_the_lenient_profile() {
    let has_scope = || AccessTokenRule::has_claim("scope");
    let scp_or_roles = || AccessTokenRule::has_one_of(["scp", "roles"]);
    let bearer = || AccessTokenRule::claim_is("typ", "Bearer");

    for (rule, met, not_met) in [
        (
            has_scope(),
            vec![("scope", json!("orders:read")), ("scope", json!(""))],
            vec![("scp", json!("orders:read")), ("Scope", json!("a")), ("nonce", json!("a"))],
        ),
        (
            scp_or_roles(),
            vec![("scp", json!(["orders:read"])), ("roles", json!(["admin"])), ("scp", json!("a"))],
            vec![("scope", json!("orders:read")), ("roles", json!(null)), ("role", json!(["admin"]))],
        ),
        (
            bearer(),
            vec![("typ", json!("Bearer"))],
            vec![
                ("typ", json!("ID")),
                ("typ", json!("bearer")),
                ("typ", json!("Refresh")),
                ("typ", json!(["Bearer"])),
                ("typ", json!(null)),
                ("token_use", json!("access")),
            ],
        ),
    ] {
        let authority = TestAuthorizationServer::new(ISSUER);
        let app = app_with(&authority, |validator| validator.accept_typ_jwt(rule.clone()));
        for (name, value) in met {
            let token = authority.token().header("typ", "JWT").claim(name, &value);

            app.present(&token.clone().sign()).await.assert_pass();
            // A nonce does not make it an ID token, and the claims that the strict profile requires are optional here.
            let token =
                token.claim("nonce", "n-0S6").without_claim("sub").without_claim("jti").without_claim("iat");
            app.present(&token.sign()).await.assert_pass();
        }
        for (name, value) in not_met {
            for typ in ["JWT", "at+jwt"] {
                let answer =
                    app.present(&authority.token().header("typ", typ).claim(name, &value).sign()).await;

                assert_invalid!(answer, ValidationError::NotAnAccessToken { .. }, "{rule:?}: {name} {value}");
            }
        }
        let answer = app.present(&authority.token().header("typ", "JWT").sign()).await;
        assert_invalid!(answer, ValidationError::NotAnAccessToken { .. }, "{rule:?}: no claim");
    }
}

#[tokio::test]
async fn r9068_03_iss_must_equal_the_configured_issuer() {
    let (authority, app) = server_and_app().await;

    for issuer in [
        "https://as.example.com/",
        "https://AS.example.com",
        "HTTPS://as.example.com",
        "http://as.example.com",
        "https://as.example.com:443",
        "https://as.example.com/tenant",
        "https://as.example.co",
        "https://as.example.com.evil.example",
        "https://as@evil.example",
        "https://xn--as-.example.com",
        " https://as.example.com",
        "as.example.com",
        "",
    ] {
        let answer = app.present(&authority.token().issuer(issuer).sign()).await;

        assert_invalid!(
            answer,
            ValidationError::IssuerMismatch { expected, found, .. }
                if **expected == *ISSUER && found.to_string() == format!("{issuer:?}"),
            "{issuer}"
        );
    }
    for issuer in [json!([ISSUER]), json!(null), json!(1), json!({"iss": ISSUER})] {
        let answer = app.present(&authority.token().claim("iss", &issuer).sign()).await;

        assert_invalid!(
            answer,
            ValidationError::Claims(error)
                if error.to_string() == "claim \"iss\": wrong type or range, expected a string",
            "{issuer}"
        );
    }
    let answer = app.present(&authority.token().without_claim("iss").sign()).await;
    assert_invalid!(answer, ValidationError::MissingClaim("iss"));
}

#[tokio::test]
async fn r9068_03_token_of_another_issuer_causes_no_fetch() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let app = app_with(&authority, |validator| validator);

    let answer = app.present(&authority.token().issuer("https://evil.example").sign()).await;

    assert_invalid!(answer, ValidationError::IssuerMismatch { .. });
    assert_eq!(authority.requests().len(), 0);
}

#[tokio::test]
async fn r9068_16_token_without_iss_is_refused_unless_the_setting_allows_it() {
    let (strict_server, strict) = server_and_app().await;
    let authority = TestAuthorizationServer::new(ISSUER);
    let relaxed = app_with(&authority, JwtValidatorBuilder::dangerously_allow_missing_issuer);

    let answer = strict.present(&strict_server.token().without_claim("iss").sign()).await;
    assert_invalid!(answer, ValidationError::MissingClaim("iss"));

    // The first token, so it causes the first fetch.
    relaxed.present(&authority.token().without_claim("iss").sign()).await.assert_pass();
    relaxed.present(&authority.token().sign()).await.assert_pass();
    authority.rotate_keys();
    relaxed.present(&authority.token().without_claim("iss").sign()).await.assert_pass();

    let answer = relaxed.present(&authority.token().issuer("https://evil.example").sign()).await;
    assert_invalid!(answer, ValidationError::IssuerMismatch { .. });
    let answer = relaxed.present(&authority.token().claim("iss", 1).sign()).await;
    assert_invalid!(answer, ValidationError::Claims(_));
    let answer = relaxed.present(&authority.token().without_claim("iss").forged().sign()).await;
    assert_invalid!(answer, ValidationError::BadSignature);
    let answer = relaxed.present(&authority.token().without_claim("iss").for_another_resource().sign()).await;
    assert_invalid!(answer, ValidationError::AudienceMismatch { .. });
}

#[tokio::test]
async fn r9068_04_aud_must_contain_an_accepted_identifier() {
    let (authority, app) = server_and_app().await;

    for aud in
        [json!(RESOURCE), json!([RESOURCE]), json!(["https://a.example", RESOURCE, "https://b.example"])]
    {
        app.present(&authority.token().claim("aud", aud).sign()).await.assert_pass();
    }
    for aud in [json!("https://a.example"), json!(["https://a.example", "https://b.example"]), json!([])] {
        let answer = app.present(&authority.token().claim("aud", &aud).sign()).await;

        assert_invalid!(answer, ValidationError::AudienceMismatch { .. }, "{aud}");
    }
    let answer = app.present(&authority.token().without_claim("aud").sign()).await;
    assert_invalid!(answer, ValidationError::AudienceMismatch { found: 0, .. });
}

#[tokio::test]
async fn r9068_05_signature_must_verify_with_the_authorization_servers_keys() {
    let (authority, app) = server_and_app().await;
    let impostor = TestAuthorizationServer::new(ISSUER);

    // The impostor uses the same issuer and `kid`, but its own key.
    let answer = app.present(&impostor.token().audience(RESOURCE).sign()).await;
    assert_invalid!(answer, ValidationError::BadSignature);
    let answer = app.present(&authority.token().header("alg", "none").signature([]).sign()).await;
    assert_invalid!(answer, ValidationError::AlgorithmNotAccepted { .. });
}

#[tokio::test]
async fn r9068_06_exp_must_be_present_and_in_the_future() {
    let (authority, app) = server_and_app().await;

    let answer = app.present(&authority.token().without_claim("exp").sign()).await;
    assert_invalid!(answer, ValidationError::MissingClaim("exp"));
    let answer = app.present(&authority.token().claim("exp", 1_799_999_970).sign()).await;
    assert_invalid!(answer, ValidationError::Expired { exp, .. } if exp.as_secs() == 1_799_999_970);

    let authority = TestAuthorizationServer::new(ISSUER);
    for (clock_skew, is_accepted) in [(0, true), (300, true), (301, false), (3_600, false)] {
        let built = authority.jwt_validator(RESOURCE).clock_skew(Duration::from_secs(clock_skew)).build();
        assert_eq!(built.is_ok(), is_accepted, "{clock_skew}");
    }
    let error = authority.jwt_validator(RESOURCE).clock_skew(Duration::from_secs(3_600)).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "clock_skew \"3600s\": expected at most 5 minutes (RFC 7519 section 4.1.4)"
    );
}

#[tokio::test]
async fn r9068_07_iat_sub_and_jti_are_required_in_the_strict_profile() {
    let (authority, app) = server_and_app().await;

    for claim in ["iat", "sub", "jti"] {
        let answer = app.present(&authority.token().without_claim(claim).sign()).await;

        assert_invalid!(answer, ValidationError::MissingClaim(missing) if *missing == claim, "{claim}");
        for value in [json!(null), json!(["1"]), json!({})] {
            let answer = app.present(&authority.token().claim(claim, &value).sign()).await;

            assert_invalid!(
                answer,
                ValidationError::Claims(error) if error.to_string().starts_with(&format!("claim \"{claim}\": ")),
                "{claim} {value}"
            );
        }
    }
}

#[tokio::test]
async fn r9068_07_iat_sub_and_jti_are_optional_in_the_lenient_profile() {
    let rule = AccessTokenRule::audience_is_only_in_access_tokens();
    let (authority, app) = server_and_app_with(|validator| validator.accept_typ_jwt(rule)).await;

    for claim in ["iat", "sub", "jti"] {
        app.present(&authority.token().without_claim(claim).sign()).await.assert_pass();
        // If present, they must still have the right type.
        let answer = app.present(&authority.token().claim(claim, json!([])).sign()).await;
        assert_invalid!(answer, ValidationError::Claims(_), "{claim}");
    }
}

#[tokio::test]
async fn r9068_08_client_id_is_neither_required_nor_kept() {
    let (authority, app) = server_and_app().await;
    app.present(&authority.token().without_claim("client_id").sign()).await.assert_pass();

    for value in [json!("app-4711"), json!(null), json!(4711), json!(["app-4711"])] {
        app.present(&authority.token().claim("client_id", &value).claim("tenant", "north").sign())
            .await
            .assert_pass();

        let token = app.last_seen().token.unwrap();
        assert_eq!(token.claim::<serde_json::Value>("client_id").unwrap(), None);
        let all: serde_json::Value = token.deserialize().unwrap();
        assert_eq!((all.get("client_id"), &all["tenant"]), (None, &json!("north")));
    }
}

#[tokio::test]
async fn r9068_09_encrypted_token_is_refused() {
    let (_, app) = server_and_app().await;
    let header = json!({"typ": "at+jwt", "alg": "RSA-OAEP", "enc": "A256GCM", "cty": "JWT"}).to_string();
    let token = [header.as_bytes(), &[1; 256], &[2; 12], &[3; 400], &[4; 16]].map(base64url).join(".");

    let answer = app.present(&token).await;

    assert_invalid!(
        answer,
        ValidationError::MalformedToken("five parts: encrypted tokens are not supported")
    );
}

#[tokio::test]
async fn r9068_10_every_failed_check_gets_the_same_response() {
    let (authority, app) = server_and_app().await;
    let other = SigningKey::generate("other", Algorithm::ES256);
    let token = || authority.token();

    let refused = [
        token().header("typ", "JWT"),
        token().issuer("https://evil.example"),
        token().audience("https://a.example"),
        token().key(&other),
        token().signature([0; 64]),
        token().claim("exp", 1),
        token().claim("nbf", 1_900_000_000),
        token().without_claim("sub"),
    ];
    let mut answers = Vec::new();
    for token in refused {
        let answer = app.present(&token.sign()).await;
        answer.assert_invalid_token();
        answers.push((answer.status, answer.headers, answer.body));
    }

    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "the response reveals which check failed");
}

// Only the scheme Bearer is supported. A token under another scheme is not read.
#[tokio::test]
async fn r9068_10_token_under_another_scheme_is_not_a_credential() {
    let (authority, app) = server_and_app().await;

    for token in [authority.token(), authority.token().claim("exp", 1)] {
        let answer = app.send(with_authorization(&format!("DPoP {}", token.sign()))).await;

        assert!(matches!(answer.reason, Some(ValidationError::NoCredentials)), "{:?}", answer.reason);
        answer.assert_unauthorized();
    }
}

#[tokio::test]
async fn r9068_11_scope_is_a_string_and_other_entitlements_grant_no_scope() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let app = App::new(authority.resource_server(RESOURCE).require_scopes(READ));

    for scope in ["orders:read", "profile orders:read email", " orders:read  "] {
        app.present(&authority.token().scope(scope).sign()).await.assert_pass();
    }
    for scope in ["", "orders", "orders:read:all", "Orders:Read", "orders:read,email"] {
        let answer = app.present(&authority.token().scope(scope).sign()).await;

        assert!(
            matches!(&answer.reason, Some(ValidationError::InsufficientScope { granted, .. }) if granted.to_string() == scope),
            "{:?}",
            answer.reason
        );
        answer.assert_insufficient_scope("orders:read");
    }
    for scope in [json!(["orders:read"]), json!(null), json!(1), json!({"orders:read": true})] {
        let answer = app.present(&authority.token().claim("scope", &scope).sign()).await;

        assert_invalid!(
            answer,
            ValidationError::Claims(error)
                if error.to_string()
                    == "claim \"scope\": wrong type or range, expected a string (RFC 9068 section 2.2.3)",
            "{scope}"
        );
    }

    // These claims grant no scope, but handlers can read them.
    for name in ["groups", "roles", "entitlements"] {
        let token = authority.token().claim(name, json!(["orders:read"]));
        assert_eq!(app.present(&token.clone().sign()).await.status, StatusCode::FORBIDDEN, "{name}");

        app.present(&token.scope("orders:read").sign()).await.assert_pass();
        let seen = app.last_seen().token.unwrap();
        assert_eq!(seen.claim::<Vec<String>>(name).unwrap().unwrap(), ["orders:read"]);
    }
}

// There is no guard for step-up authentication, but handlers can read the claims for their own checks.
#[tokio::test]
async fn r9068_12_authentication_claims_can_be_read_with_their_types() {
    let (authority, app) = server_and_app().await;
    let token = authority
        .token()
        .claim("auth_time", 1_799_999_000)
        .claim("acr", "urn:mace:incommon:iap:silver")
        .claim("amr", json!(["pwd", "otp"]));

    app.present(&token.sign()).await.assert_pass();

    let seen = app.last_seen().token.unwrap();
    assert_eq!(seen.claim::<u64>("auth_time").unwrap(), Some(1_799_999_000));
    assert_eq!(seen.claim::<String>("acr").unwrap().as_deref(), Some("urn:mace:incommon:iap:silver"));
    assert_eq!(seen.claim::<Vec<String>>("amr").unwrap().unwrap(), ["pwd", "otp"]);
    assert_eq!(
        seen.claim::<u64>("acr").unwrap_err().to_string(),
        "claim \"acr\": does not match the expected type"
    );
}

#[tokio::test]
async fn r9068_13_keys_come_from_the_jwks_uri_in_the_metadata() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let moved = "https://keys.example.com/set";
    let metadata = json!({"issuer": ISSUER, "jwks_uri": moved}).to_string();
    authority.answer(&authority.metadata_url(), move |_| {
        http::Response::builder()
            .header("content-type", "application/json")
            .body(metadata.clone().into())
            .unwrap()
    });
    let moved_key = SigningKey::generate("moved_key", Algorithm::ES256);
    let jwks = json!({"keys": [moved_key.jwk()]}).to_string();
    authority.answer(moved, move |_| http::Response::new(jwks.clone().into()));
    let app = app_with(&authority, |validator| validator);

    app.present(&authority.token().key(&moved_key).sign()).await.assert_pass();
    let answer = app.present(&authority.token().sign()).await;

    assert_invalid!(answer, ValidationError::UnknownKey { kid: Some(_), .. });
    assert_eq!(authority.key_fetches(), 0, "keys were fetched from the default jwks_uri");
}

#[tokio::test]
async fn r9068_14_rs256_is_accepted_by_default() {
    let authority = TestAuthorizationServer::new(ISSUER);
    authority.publish_keys([rsa_key()]);
    let app = App::new(authority.resource_server(RESOURCE).require_token());

    app.present(&authority.token().sign()).await.assert_pass();
}

#[test]
fn access_token_rule_on_a_client_claim_is_refused() {
    let authority = TestAuthorizationServer::new(ISSUER);
    for rule in [
        AccessTokenRule::has_claim("client_id"),
        AccessTokenRule::has_one_of(["scope", "cid"]),
        AccessTokenRule::claim_is("azp", "x"),
    ] {
        let error = authority.jwt_validator(RESOURCE).accept_typ_jwt(rule).build().unwrap_err().to_string();

        assert!(error.contains("does not identify the client"), "{error}");
    }
}
