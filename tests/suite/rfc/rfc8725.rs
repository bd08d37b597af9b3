//! Proves the best current practices for JWTs (RFC 8725 and draft-ietf-oauth-rfc8725bis).

use std::net::TcpListener;

use aws_lc_rs::hmac;
use http::HeaderValue;
use serde_json::{Value, json};
use tower_bearer::{
    AccessToken, AccessTokenRule, Algorithm, Audience, AuthorizationServer, JwtValidator,
    JwtValidatorBuilder, KeySet, RoutingValidator, TokenValidator as _, ValidationError,
    testing::{SigningKey, TestAuthorizationServer, TokenBuilder},
};

use crate::support::{
    App, ISSUER, RESOURCE, app_with, assert_invalid, base64url, publish_jwks, rsa_key, server_and_app,
    server_and_app_with,
};

const FIVE_PARTS: &str = "five parts: encrypted tokens are not supported";

/// Returns a token in the form of an encrypted one (RFC 7516 section 7.1), with arbitrary content.
fn encrypted(header: &Value) -> String {
    let parts = [header.to_string().into_bytes(), vec![1; 32], vec![2; 12], vec![3; 64], vec![4; 16]];
    parts.map(base64url).join(".")
}

#[tokio::test]
async fn r8725_01_only_the_configured_algorithms_are_accepted() {
    let rsa = rsa_key();
    let authority = TestAuthorizationServer::new(ISSUER);
    authority.publish_keys(
        [Algorithm::RS256, Algorithm::PS256, Algorithm::RS512]
            .map(|algorithm| rsa.with_algorithm(algorithm).with_kid(algorithm.as_str()))
            .into_iter()
            .chain([SigningKey::generate("ES256", Algorithm::ES256)]),
    );
    let app = app_with(&authority, |validator| validator.algorithms([Algorithm::RS256]));

    app.present(&authority.token().algorithm(Algorithm::RS256).sign()).await.assert_pass();
    for other in [Algorithm::PS256, Algorithm::RS512, Algorithm::ES256] {
        let answer = app.present(&authority.token().algorithm(other).sign()).await;

        assert_invalid!(
            answer,
            ValidationError::AlgorithmNotAccepted { found, accepted, .. }
                if found.to_string() == format!("\"{other}\"") && **accepted == *"RS256",
            "{other}"
        );
    }
}

#[test]
fn r8725_01_empty_algorithm_list_is_a_config_error() {
    let authority = TestAuthorizationServer::new(ISSUER);

    let error = authority.jwt_validator(RESOURCE).algorithms([]).build().unwrap_err();

    assert_eq!(error.to_string(), "algorithms: expected at least one");
}

#[tokio::test]
async fn r8725_02_algorithm_names_are_compared_exactly() {
    let authority = TestAuthorizationServer::new(ISSUER);
    authority.publish_keys([rsa_key()]);
    let app = app_with(&authority, |validator| validator);

    for name in [
        "none",
        "None",
        "NONE",
        "noNE",
        "nOnE",
        "",
        " ",
        "rs256",
        "Rs256",
        "RS256 ",
        " RS256",
        "RS256\0",
        "RS-256",
        "RS25",
        "RS2566",
        "HS256",
        "HS384",
        "HS512",
        "ES256K",
        "RSA1_5",
        "RSA-OAEP",
        "dir",
        "A128GCM",
        "*",
        "RS256,none",
        "ＲＳ２５６",
    ] {
        for signature in [None, Some(vec![]), Some(vec![0])] {
            let token = authority.token().header("alg", name);
            let token = signature.into_iter().fold(token, TokenBuilder::signature);
            let answer = app.present(&token.sign()).await;

            assert_invalid!(answer, ValidationError::AlgorithmNotAccepted { .. }, "{name:?}");
        }
    }
    for (value, message) in [
        (json!(null), "alg is not a string"),
        (json!(256), "alg is not a string"),
        (json!(["RS256"]), "alg is not a string"),
        (json!({"name": "RS256"}), "alg is not a string"),
    ] {
        let answer = app.present(&authority.token().header("alg", &value).sign()).await;
        assert_invalid!(answer, ValidationError::MalformedToken(found) if *found == message, "{value}");
    }
    let answer = app.present(&authority.token().without_header("alg").sign()).await;
    assert_invalid!(answer, ValidationError::MalformedToken("missing alg"));

    assert_eq!(authority.requests().len(), 0, "a refused algorithm caused a request");
}

#[tokio::test]
async fn r8725_03_rsa_key_without_alg_is_pinned_to_the_configured_algorithm() {
    let rsa = rsa_key();
    let mut jwk = rsa.jwk();
    jwk.as_object_mut().unwrap().remove("alg");
    let authority = TestAuthorizationServer::new(ISSUER);
    publish_jwks(&authority, json!({"keys": [jwk]}).to_string());
    let app = app_with(&authority, |validator| validator.algorithms([Algorithm::RS256]));

    app.present(&authority.token().key(&rsa).sign()).await.assert_pass();
    for other in [Algorithm::PS512, Algorithm::PS256, Algorithm::RS384] {
        let answer = app.present(&authority.token().key(&rsa.with_algorithm(other)).sign()).await;

        assert_invalid!(answer, ValidationError::AlgorithmNotAccepted { .. }, "{other}");
    }
}

#[tokio::test]
async fn r8725_03_key_with_alg_is_used_only_with_that_algorithm() {
    let rsa = rsa_key();
    let authority = TestAuthorizationServer::new(ISSUER);
    authority.publish_keys([rsa.clone()]);
    let app = app_with(&authority, |validator| validator);

    app.present(&authority.token().key(&rsa).sign()).await.assert_pass();
    for other in [Algorithm::PS256, Algorithm::PS512, Algorithm::RS512] {
        let token = authority.token().key(&rsa.with_algorithm(other));

        // The signature itself would verify. Try with and without `kid`.
        let answer = app.present(&token.clone().sign()).await;
        assert_invalid!(answer, ValidationError::UnknownKey { kid: Some(_), .. }, "{other}");
        let answer = app.present(&token.without_header("kid").sign()).await;
        assert_invalid!(answer, ValidationError::UnknownKey { kid: None, .. }, "{other}");
    }
}

#[tokio::test]
async fn r8725_04_token_with_a_bad_signature_is_refused() {
    let (authority, app) = server_and_app().await;
    let kid = authority.keys()[0].kid().to_owned();
    let other = SigningKey::generate(&kid, Algorithm::ES256);
    let signature_of_another_token = {
        let token = authority.token().scope("orders:write").sign();
        let (_, signature) = token.rsplit_once('.').unwrap();
        crate::support::from_base64url(signature)
    };

    for token in [
        authority.token().key(&other),
        authority.token().signature([0; 64]),
        authority.token().signature([7]),
        authority.token().signature(signature_of_another_token),
    ] {
        let answer = app.present(&token.sign()).await;

        assert_invalid!(answer, ValidationError::BadSignature);
    }
}

#[tokio::test]
async fn r8725_04_signature_is_verified_before_any_claim_is_checked() {
    let (authority, app) = server_and_app().await;

    // Each of these claims is invalid as well, but the bad signature must be reported first.
    for token in [
        authority.token().claim("exp", 1),
        authority.token().audience("https://other.example.com"),
        authority.token().issuer("https://other.example.com"),
        authority.token().raw_payload("not JSON"),
        authority.token().claim("cnf", json!({})),
    ] {
        let answer = app.present(&token.signature([1; 64]).sign()).await;

        assert_invalid!(answer, ValidationError::BadSignature);
    }
}

#[tokio::test]
async fn r8725_05_key_that_is_not_on_its_curve_is_skipped() {
    const REASON: &str = "key: not a valid public key";
    /// The field prime of P-256 (SEC 2 section 2.4.2).
    const PRIME: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    ];
    for algorithm in [Algorithm::ES256, Algorithm::ES384, Algorithm::ES512] {
        let key = SigningKey::generate("bad", algorithm);
        let jwk = key.jwk();
        let length = crate::support::from_base64url(jwk["x"].as_str().unwrap()).len();
        let flipped = |member: &str| {
            let mut bytes = crate::support::from_base64url(jwk[member].as_str().unwrap());
            *bytes.last_mut().unwrap() ^= 1;
            base64url(bytes)
        };
        let mut cases = vec![
            ("one bit of x flipped", "x", flipped("x")),
            ("one bit of y flipped", "y", flipped("y")),
            ("x zero", "x", base64url(vec![0; length])),
            ("x above the prime", "x", base64url(vec![0xff; length])),
            ("y above the prime", "y", base64url(vec![0xff; length])),
        ];
        if algorithm == Algorithm::ES256 {
            cases.push(("x equal to the prime", "x", base64url(PRIME)));
            cases.push(("y equal to the prime", "y", base64url(PRIME)));
        }
        for (case, member, value) in cases {
            let mut bad = jwk.clone();
            bad[member] = value.into();
            assert_eq!(
                KeySet::from_jwk(&bad.to_string()).unwrap_err().to_string(),
                REASON,
                "{algorithm} {case}"
            );

            let authority = TestAuthorizationServer::new(ISSUER);
            publish_jwks(&authority, json!({"keys": [bad, authority.keys()[0].jwk()]}).to_string());
            let app = app_with(&authority, |validator| validator);
            app.present(&authority.token().sign()).await.assert_pass();
            let answer = app.present(&authority.token().key(&key).sign()).await;
            assert_invalid!(answer, ValidationError::UnknownKey { kid: Some(_), .. }, "{algorithm} {case}");
        }
        // The point (0, 0) is not on any of the curves.
        let mut zeros = jwk.clone();
        (zeros["x"], zeros["y"]) = (base64url(vec![0; length]).into(), base64url(vec![0; length]).into());
        assert_eq!(KeySet::from_jwk(&zeros.to_string()).unwrap_err().to_string(), REASON);
    }
}

fn hs256(authority: &TestAuthorizationServer, kid: &str, secret: &[u8]) -> String {
    let unsigned = authority.token().header("alg", "HS256").header("kid", kid).signature([0]).sign();
    let (signing_input, _) = unsigned.rsplit_once('.').unwrap();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signing_input.as_bytes());
    format!("{signing_input}.{}", base64url(tag))
}

#[tokio::test]
async fn r8725_06_symmetric_keys_are_never_used() {
    let rsa = rsa_key();
    let oct = json!({"kty": "oct", "kid": "oct", "alg": "HS256", "use": "sig", "k": base64url("password")});
    let authority = TestAuthorizationServer::new(ISSUER);
    publish_jwks(&authority, json!({"keys": [oct, rsa.jwk()]}).to_string());
    let app = app_with(&authority, |validator| validator);
    app.present(&authority.token().key(&rsa).sign()).await.assert_pass();

    // Sign with the published secret, and with the public key as the secret in each form it is published in.
    let modulus = crate::support::from_base64url(rsa.jwk()["n"].as_str().unwrap());
    let text = rsa.jwk().to_string();
    for (kid, secret) in [
        ("oct", &b"password"[..]),
        ("oct", base64url("password").as_bytes()),
        ("oct", b""),
        ("rsa", &modulus),
        ("rsa", base64url(&modulus).as_bytes()),
        ("rsa", text.as_bytes()),
        ("rsa", b""),
    ] {
        let answer = app.present(&hs256(&authority, kid, secret)).await;

        assert_invalid!(
            answer,
            ValidationError::AlgorithmNotAccepted { found, .. } if found.to_string() == "\"HS256\""
        );
    }
}

#[tokio::test]
async fn r8725_07_compressed_token_is_refused_without_decompression() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let app = app_with(&authority, |validator| validator);
    let header = json!({"typ": "at+jwt", "alg": "RSA-OAEP-256", "enc": "A256GCM", "zip": "DEF"});

    let answer = app.present(&encrypted(&header)).await;

    assert_invalid!(answer, ValidationError::MalformedToken(message) if *message == FIVE_PARTS);
    assert_eq!(authority.requests().len(), 0);

    // JWS has no compression, so `zip` is ignored like any unknown parameter.
    app.present(&authority.token().header("zip", "DEF").sign()).await.assert_pass();
}

#[tokio::test]
async fn r8725_08_password_based_encryption_is_refused_without_computation() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let app = app_with(&authority, |validator| validator);

    for alg in ["PBES2-HS256+A128KW", "PBES2-HS512+A256KW"] {
        let header =
            json!({"typ": "at+jwt", "alg": alg, "enc": "A256GCM", "p2c": 2_147_483_648_u32, "p2s": "AAAA"});
        let answer = app.present(&encrypted(&header)).await;
        assert_invalid!(answer, ValidationError::MalformedToken(message) if *message == FIVE_PARTS, "{alg}");

        let token =
            authority.token().header("alg", alg).header("p2c", 2_147_483_648_u32).header("p2s", "AAAA");
        let answer = app.present(&token.sign()).await;
        assert_invalid!(answer, ValidationError::AlgorithmNotAccepted { .. }, "{alg}");
    }
    assert_eq!(authority.requests().len(), 0);
}

#[tokio::test]
async fn r8725_09_json_not_encoded_in_utf_8_is_refused() {
    let (authority, app) = server_and_app().await;
    let token = authority.token();
    let header = Value::from(token.header_parameters().clone()).to_string();
    let claims = Value::from(token.claims().clone()).to_string();
    let utf16 =
        |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<_>>();
    let utf32 = |text: &str| text.chars().flat_map(|character| u32::from(character).to_le_bytes()).collect();
    let with_mark = |text: Vec<u8>| [&[0xff, 0xfe], text.as_slice()].concat();

    for encode in [
        &(|text: &str| utf16(text, u16::to_le_bytes)) as &dyn Fn(&str) -> Vec<u8>,
        &|text| utf16(text, u16::to_be_bytes),
        &|text| with_mark(utf16(text, u16::to_le_bytes)),
        &utf32,
    ] {
        let answer = app.present(&authority.token().raw_header(encode(&header)).sign()).await;
        assert_invalid!(
            answer,
            ValidationError::MalformedToken("header is not a JSON object, or has a duplicate member")
        );
        let answer = app.present(&authority.token().raw_payload(encode(&claims)).sign()).await;
        assert_invalid!(
            answer,
            ValidationError::MalformedToken(
                "payload is not an acceptable JSON object, or has a duplicate claim"
            )
        );
    }
}

/// An app that accepts tokens of two authorization servers: `a` signs with RSA, `b` with ECDSA.
struct TwoIssuers {
    a: TestAuthorizationServer,
    b: TestAuthorizationServer,
    app: App,
}

impl TwoIssuers {
    fn new() -> Self {
        let (a, b) = (
            TestAuthorizationServer::new("https://a.example.com"),
            TestAuthorizationServer::new("https://b.example.com"),
        );
        a.publish_keys([rsa_key().with_kid("shared")]);
        b.publish_keys([SigningKey::generate("shared", Algorithm::ES256)]);
        let validator = RoutingValidator::new()
            .route(a.jwt_validator(RESOURCE).algorithms([Algorithm::RS256]).build().unwrap())
            .route(b.jwt_validator(RESOURCE).algorithms([Algorithm::ES256]).build().unwrap());
        let app = App::new(a.resource_server_with(validator).build().unwrap().require_token());
        Self { a, b, app }
    }
}

#[tokio::test]
async fn r8725_10_key_must_belong_to_the_issuer_of_the_token() {
    let (a, b) = (
        TestAuthorizationServer::new("https://a.example.com"),
        TestAuthorizationServer::new("https://b.example.com"),
    );
    let keys = |authority: &TestAuthorizationServer, kid: &str| {
        authority.publish_keys([SigningKey::generate(kid, Algorithm::ES256)]);
    };
    for (kid_a, kid_b) in [("a", "b"), ("same", "same")] {
        keys(&a, kid_a);
        keys(&b, kid_b);
        let validator = RoutingValidator::new()
            .route(a.jwt_validator(RESOURCE).build().unwrap())
            .route(b.jwt_validator(RESOURCE).build().unwrap());
        let app = App::new(a.resource_server_with(validator).build().unwrap().require_token());

        for (signs, named) in [(&a, &b), (&b, &a)] {
            app.present(&signs.token().sign()).await.assert_pass();
            let answer = app.present(&signs.token().issuer(named.issuer()).sign()).await;
            if kid_a == kid_b {
                assert_invalid!(answer, ValidationError::BadSignature);
            } else {
                assert_invalid!(answer, ValidationError::UnknownKey { kid: Some(_), .. });
            }
            // A token of the first issuer, signed with the other server's key under its own `kid`.
            let key = &named.keys()[0];
            let answer = app.present(&signs.token().key(key).sign()).await;
            answer.assert_invalid_token();
        }
    }
}

#[tokio::test]
async fn r8725_10_issuer_without_a_validator_is_refused_without_a_fetch() {
    let issuers = TwoIssuers::new();

    for issuer in [
        json!("https://c.example.com"),
        json!("https://a.example.com/"),
        json!("https://A.example.com"),
        json!("https://a.example.com@evil.example"),
        json!("https://a.example.com.evil.example"),
        json!("http://a.example.com"),
        json!(""),
        json!(null),
        json!(["https://a.example.com"]),
    ] {
        let answer = issuers.app.present(&issuers.a.token().claim("iss", &issuer).sign()).await;

        assert_invalid!(
            answer,
            ValidationError::UnknownIssuer { found, .. } if found.is_some() == issuer.is_string(),
            "{issuer}"
        );
    }
    let answer = issuers.app.present(&issuers.a.token().without_claim("iss").sign()).await;
    assert_invalid!(answer, ValidationError::UnknownIssuer { found: None, .. });
    assert_eq!(issuers.a.requests().len() + issuers.b.requests().len(), 0);
}

#[tokio::test]
async fn r8725_11_subject_is_available_with_its_issuer_and_may_have_any_value() {
    let issuers = TwoIssuers::new();

    for (authority, issuer) in [(&issuers.a, "https://a.example.com"), (&issuers.b, "https://b.example.com")]
    {
        // A subject may equal a client identifier, an audience or an issuer.
        for subject in ["alice", "client-1", RESOURCE, issuer] {
            let token =
                authority.token().subject(subject).claim("client_id", "client-1").claim("azp", subject);
            issuers.app.present(&token.sign()).await.assert_pass();

            let seen = issuers.app.last_seen().token.unwrap();
            assert_eq!((seen.issuer(), seen.subject()), (Some(issuer), Some(subject)));
        }
    }
}

#[tokio::test]
async fn r8725_12_token_with_another_audience_or_without_one_is_refused() {
    let (authority, app) = server_and_app().await;

    let answer = app.present(&authority.token().audience("https://other.example.com").sign()).await;
    assert_invalid!(
        answer,
        ValidationError::AudienceMismatch { expected, found: 1, .. }
            if expected.iter().any(|expected| **expected == *RESOURCE)
    );
    let answer = app.present(&authority.token().without_claim("aud").sign()).await;
    assert_invalid!(answer, ValidationError::AudienceMismatch { found: 0, .. });
}

#[tokio::test]
async fn r8725_13_received_kid_is_used_only_to_look_up_a_key() {
    let (authority, app) = server_and_app().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/key", listener.local_addr().unwrap());

    for kid in [
        "../../../../dev/null",
        "/dev/null",
        "file:///dev/null",
        url.as_str(),
        "' OR '1'='1",
        "1; DROP TABLE keys",
        "key-1\0",
        "key-1 ",
        "KEY-1",
        "",
        "\n\u{1b}[31m\"",
        "${jndi:ldap://127.0.0.1/a}",
        "|/usr/bin/id",
        &"k".repeat(3_000),
    ] {
        let token = authority.token().header("kid", kid).header("jku", &url).header("x5u", &url);
        let answer = app.present(&token.sign()).await;

        assert_invalid!(answer, ValidationError::UnknownKey { kid: Some(_), .. }, "{kid:?}");
        let text = answer.reason.unwrap().to_string();
        assert!(text.len() < 1_000 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text}");
    }
    for kid in [json!(1), json!(null), json!(["key-1"]), json!({"key-1": 1}), json!(true)] {
        let answer = app.present(&authority.token().header("kid", &kid).sign()).await;

        assert_invalid!(answer, ValidationError::MalformedToken("kid is not a string"), "{kid}");
    }
    let longer = authority.token().header("kid", "k".repeat(4 * 1024)).sign();
    assert_invalid!(
        app.present(&longer).await,
        ValidationError::MalformedToken("header not in base64url, or too long")
    );

    assert_eq!(
        listener.accept().unwrap_err().kind(),
        std::io::ErrorKind::WouldBlock,
        "the URL in the token was fetched"
    );
    let urls = [authority.metadata_url(), authority.jwks_uri()];
    assert!(authority.requests().iter().all(|request| urls.contains(&request.uri().to_string())));
    assert_eq!(authority.key_fetches(), 1 + 3, "expected the first fetch and the burst for unknown keys");
}

/// Values of `typ` that other kinds of JWT use.
const FOREIGN_TYPES: [&str; 14] = [
    "id_token+jwt",
    "logout+jwt",
    "dpop+jwt",
    "secevent+jwt",
    "token-introspection+jwt",
    "statuslist+jwt",
    "client-authentication+jwt",
    "oauth-authz-req+jwt",
    "entity-statement+jwt",
    "kb+jwt",
    "vc+sd-jwt",
    "rt+jwt",
    "at",
    "JWS",
];

#[tokio::test]
async fn r8725_14_token_of_another_explicit_type_is_refused() {
    let rule = AccessTokenRule::audience_is_only_in_access_tokens();
    let strict = server_and_app().await;
    let lenient = server_and_app_with(|validator| validator.accept_typ_jwt(rule)).await;

    for (authority, app, accepted) in
        [(&strict.0, &strict.1, "at+jwt"), (&lenient.0, &lenient.1, "at+jwt, JWT or no typ")]
    {
        for typ in FOREIGN_TYPES {
            let answer = app.present(&authority.token().header("typ", typ).sign()).await;

            assert_invalid!(
                answer,
                ValidationError::TypeNotAccepted { found: Some(found), expected, .. }
                    if found.to_string() == format!("{typ:?}") && *expected == accepted,
                "{typ}"
            );
        }
    }
    // `JWT` and a missing `typ` are not explicit types. They are accepted only if configured.
    for token in [strict.0.token().header("typ", "JWT"), strict.0.token().without_header("typ")] {
        assert_invalid!(strict.1.present(&token.sign()).await, ValidationError::TypeNotAccepted { .. });
    }
    for token in [lenient.0.token().header("typ", "JWT"), lenient.0.token().without_header("typ")] {
        lenient.1.present(&token.sign()).await.assert_pass();
    }
}

#[tokio::test]
async fn r8725_15_other_kinds_of_jwt_are_refused_in_both_profiles() {
    let rule = || AccessTokenRule::has_one_of(["scope", "scp"]);
    let strict = server_and_app().await;
    let authority = TestAuthorizationServer::new(ISSUER);
    let lenient = app_with(&authority, |validator| validator.accept_typ_jwt(rule()));
    lenient.present(&authority.token().header("typ", "JWT").scope("orders:read").sign()).await.assert_pass();

    // Each has our issuer, keys and audience, and a `typ` that real servers send.
    let kinds: [(&str, Option<&str>, Value); 4] = [
        ("ID token", Some("JWT"), json!({"nonce": "n-0S6", "at_hash": "77Qm", "auth_time": 1_800_000_000})),
        ("ID token without typ", None, json!({"nonce": "n-0S6", "azp": "app", "email": "alice@example.com"})),
        (
            "logout token",
            Some("JWT"),
            json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
        ),
        ("client assertion", None, json!({"sub": "app", "jti": "1"})),
    ];
    for (kind, typ, claims) in &kinds {
        let token = |authority: &TestAuthorizationServer| {
            let token = match typ {
                Some(typ) => authority.token().header("typ", typ),
                None => authority.token().without_header("typ"),
            };
            claims
                .as_object()
                .unwrap()
                .iter()
                .fold(token, |token, (name, value)| token.claim(name, value))
                .sign()
        };

        assert_invalid!(
            strict.1.present(&token(&strict.0)).await,
            ValidationError::TypeNotAccepted { .. },
            "{kind}"
        );
        assert_invalid!(
            lenient.present(&token(&authority)).await,
            ValidationError::NotAnAccessToken { expected, .. } if **expected == *r#"one of the claims ["scope", "scp"]"#,
            "{kind}"
        );
    }
}

#[tokio::test]
async fn r8725_16_encrypted_token_is_recognized_by_its_five_parts_and_refused() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let app = app_with(&authority, |validator| validator);
    let token = authority.token().sign();
    let parts: Vec<_> = token.split('.').collect();

    for token in [
        encrypted(&json!({"typ": "at+jwt", "alg": "RSA-OAEP", "enc": "A128GCM"})),
        encrypted(&json!({"typ": "at+jwt", "alg": "dir", "enc": "A128GCM"})),
        encrypted(&json!({"typ": "at+jwt", "alg": "ES256", "kid": "key-1"})),
        // The header and the parts of a valid signed token.
        format!("{}.{}.{}.{}.{}", parts[0], parts[1], parts[2], parts[1], parts[2]),
        format!("{token}.."),
    ] {
        let answer = app.present(&token).await;

        assert_invalid!(answer, ValidationError::MalformedToken(message) if *message == FIVE_PARTS, "{token:.60}");
    }
    assert_eq!(authority.requests().len(), 0);

    // A token with three parts is a signed token, even with an encryption parameter in its header.
    app.present(&authority.token().header("enc", "A128GCM").sign()).await.assert_pass();
}

#[tokio::test]
async fn r8725_17_characters_outside_base64url_and_dot_are_refused() {
    let (authority, app) = server_and_app().await;
    let token = authority.token().sign();

    for position in [0, 1, token.find('.').unwrap() + 5, token.len() - 3, token.len()] {
        let with = |character: &str| format!("{}{character}{}", &token[..position], &token[position..]);

        // Valid token68, but not a JWT.
        for character in ["+", "/", "~", "-", "A"] {
            app.present(&with(character)).await.assert_invalid_token();
        }
        for character in ["+", "/", "~"] {
            let answer = app.present(&with(character)).await;
            assert_invalid!(answer, ValidationError::MalformedToken(_), "{character} at {position}");
        }
        // Not token68, so a malformed request. A space at either end is part of the field, not of the token.
        for character in [" ", "{", "\"", "%", ",", ";", "\t", "\\", "*", "é"] {
            let at_the_edge = position == 0 || position == token.len();
            if at_the_edge && [" ", "\t"].contains(&character) {
                continue;
            }
            let answer = app.present(&with(character)).await;
            assert!(
                matches!(answer.reason, Some(ValidationError::MalformedCredentials)),
                "{:?}",
                answer.reason
            );
            answer.assert_invalid_request();
        }
        // Some characters cannot be in a header field. A validator that is called directly refuses them as well.
        let validator = authority.jwt_validator(RESOURCE).build().unwrap();
        for character in ["\n", "\r\n", "\0", " ", "=", "é"] {
            if !["é", " ", "="].contains(&character) {
                assert!(HeaderValue::from_bytes(with(character).as_bytes()).is_err());
            }
            let error = validator.validate(&AccessToken::new(with(character))).await.unwrap_err();
            assert!(
                matches!(error, ValidationError::MalformedToken(_)),
                "{character:?} at {position}: {error}"
            );
        }
    }
    let padded = app.present(&format!("{token}=")).await;
    assert_invalid!(padded, ValidationError::MalformedToken("signature not in base64url"));
}

#[tokio::test]
async fn r8725_18_none_and_rsa1_5_are_not_supported() {
    let (authority, app) = server_and_app().await;

    for alg in ["none", "RSA1_5"] {
        for signature in [vec![], vec![1; 256]] {
            let token = authority.token().header("alg", alg).signature(signature).sign();

            assert_invalid!(app.present(&token).await, ValidationError::AlgorithmNotAccepted { .. }, "{alg}");
        }
    }
    let answer = app.present(&encrypted(&json!({"alg": "RSA1_5", "enc": "A128CBC-HS256"}))).await;
    assert_invalid!(answer, ValidationError::MalformedToken(message) if *message == FIVE_PARTS);
}

#[tokio::test]
async fn r8725_19_typ_and_cty_are_compared_as_media_types() {
    let (authority, app) = server_and_app().await;

    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "application/AT+jwt", "APPLICATION/at+JWT"] {
        app.present(&authority.token().header("typ", typ).sign()).await.assert_pass();
    }
    for typ in [
        "text/at+jwt",
        "/at+jwt",
        "application/",
        "application//at+jwt",
        "application/application/at+jwt",
        "at+jwt;charset=utf-8",
        " at+jwt",
        "at+jwt ",
        "at jwt",
        "at%2Bjwt",
        "a\u{442}+jwt",
        "at+\u{4a}wt\u{0}",
        "AT+JW\u{54}\u{301}",
        "",
    ] {
        let answer = app.present(&authority.token().header("typ", typ).sign()).await;

        assert_invalid!(answer, ValidationError::TypeNotAccepted { found: Some(_), .. }, "{typ:?}");
    }
    for typ in [json!(null), json!(["at+jwt"]), json!(1), json!({})] {
        let answer = app.present(&authority.token().header("typ", &typ).sign()).await;

        assert_invalid!(answer, ValidationError::MalformedToken("typ is not a string"), "{typ}");
    }
    for cty in ["application/JWT", "jWt"] {
        let answer = app.present(&authority.token().header("cty", cty).sign()).await;

        assert_invalid!(answer, ValidationError::MalformedToken("nested JWTs are not supported"), "{cty}");
    }
    for cty in ["text/jwt", "json"] {
        app.present(&authority.token().header("cty", cty).sign()).await.assert_pass();
    }
}

#[tokio::test]
async fn r8725_20_algorithms_are_a_property_of_each_issuer() {
    let issuers = TwoIssuers::new();
    issuers.app.present(&issuers.a.token().sign()).await.assert_pass();
    issuers.app.present(&issuers.b.token().sign()).await.assert_pass();

    // Server A also publishes a key for the other algorithm and signs with it.
    let es256 = SigningKey::generate("es256", Algorithm::ES256);
    issuers.a.publish_keys(issuers.a.keys().into_iter().chain([es256.clone()]));
    let answer = issuers.app.present(&issuers.a.token().key(&es256).sign()).await;
    assert_invalid!(
        answer,
        ValidationError::AlgorithmNotAccepted { accepted, .. } if **accepted == *"RS256"
    );
    let answer = issuers.app.present(&issuers.b.token().key(&rsa_key()).sign()).await;
    assert_invalid!(
        answer,
        ValidationError::AlgorithmNotAccepted { accepted, .. } if **accepted == *"ES256"
    );
}

#[test]
fn validator_without_an_audience_is_refused_at_build() {
    // The signature requires an audience, but a list of audiences can still be empty.
    let builder: fn(AuthorizationServer, Audience) -> JwtValidatorBuilder = JwtValidator::builder;
    let authority = TestAuthorizationServer::new(ISSUER);

    let error = builder(authority.authorization_server(), Audience::from([""; 0])).build().unwrap_err();

    assert!(error.to_string().contains("audience: expected at least one identifier"), "{error}");
}
