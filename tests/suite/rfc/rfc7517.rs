//! Proves which keys of a JWK Set (RFC 7517) are used, and how keys can be configured instead.

use std::time::Duration;

use aws_lc_rs::{
    encoding::{AsDer as _, PublicKeyX509Der},
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tower_bearer::{
    Algorithm, AuthorizationServer, JwtValidator, KeySet, ValidationError,
    testing::{SigningKey, TestAuthorizationServer, TokenBuilder},
};

use crate::support::{
    Answer, App, ISSUER, RESOURCE, app_with, assert_invalid, base64url, publish_jwks, rsa_key, server_and_app,
};

/// Returns a server that publishes this key set, and an app that requires its tokens.
fn serving(jwks: &Value) -> (TestAuthorizationServer, App) {
    let authority = TestAuthorizationServer::new(ISSUER);
    publish_jwks(&authority, jwks.to_string());
    let app = app_with(&authority, |validator| validator);
    (authority, app)
}

/// Returns an `ES256` key and its JWK.
fn key(kid: &str) -> (SigningKey, Value) {
    let key = SigningKey::generate(kid, Algorithm::ES256);
    let jwk = key.jwk();
    (key, jwk)
}

fn with(jwk: &Value, member: &str, value: impl Into<Value>) -> Value {
    let mut jwk = jwk.clone();
    jwk[member] = value.into();
    jwk
}

fn without(jwk: &Value, member: &str) -> Value {
    let mut jwk = jwk.clone();
    jwk.as_object_mut().unwrap().remove(member);
    jwk
}

/// Asserts that the set contains the key `usable`, and none with the `kid` of `skipped`.
async fn assert_skipped(jwks: &Value, usable: &SigningKey, skipped: &SigningKey, case: &str) {
    let (authority, app) = serving(jwks);
    app.present(&authority.token().key(usable).sign()).await.assert_pass();
    let answer = app.present(&authority.token().key(skipped).sign()).await;

    assert_invalid!(answer, ValidationError::UnknownKey { kid: Some(_), .. }, "{case}");
}

#[tokio::test]
async fn r7517_01_unknown_and_incomplete_keys_are_skipped_and_others_used() {
    let (usable, usable_jwk) = key("usable");
    let (unusable, jwk) = key("unusable");
    let rsa = rsa_key().with_kid("unusable");
    let rsa_jwk = rsa.jwk();
    let ed25519 = SigningKey::generate("unusable", Algorithm::EdDSA);
    let ed25519_jwk = ed25519.jwk();

    for (case, signer, unusable_jwk) in [
        ("kty unknown", &unusable, with(&jwk, "kty", "AKP")),
        ("kty in lower case", &unusable, with(&jwk, "kty", "ec")),
        ("kty missing", &unusable, without(&jwk, "kty")),
        ("kty not a string", &unusable, with(&jwk, "kty", json!(["EC"]))),
        ("kty an object", &unusable, with(&jwk, "kty", json!({"EC": null}))),
        ("crv unknown", &unusable, with(&jwk, "crv", "secp256k1")),
        ("crv an object", &unusable, with(&jwk, "crv", json!({"P-256": null}))),
        ("crv in lower case", &unusable, with(&jwk, "crv", "p-256")),
        ("crv missing", &unusable, without(&jwk, "crv")),
        ("crv of another type of key", &unusable, with(&jwk, "crv", "Ed25519")),
        ("x missing", &unusable, without(&jwk, "x")),
        ("y missing", &unusable, without(&jwk, "y")),
        ("y null", &unusable, with(&jwk, "y", Value::Null)),
        ("x not base64url", &unusable, with(&jwk, "x", "+".repeat(43))),
        ("kid not a string", &unusable, with(&jwk, "kid", 1)),
        ("alg null", &unusable, with(&jwk, "alg", Value::Null)),
        ("alg not a string", &unusable, with(&jwk, "alg", json!(["ES256"]))),
        ("alg for encryption", &unusable, with(&jwk, "alg", "ECDH-ES")),
        ("alg unknown", &unusable, with(&jwk, "alg", "ES256K")),
        ("n missing", &rsa, without(&rsa_jwk, "n")),
        ("e missing", &rsa, without(&rsa_jwk, "e")),
        ("n not a string", &rsa, with(&rsa_jwk, "n", 3)),
        ("n padded", &rsa, with(&rsa_jwk, "n", format!("{}==", rsa_jwk["n"].as_str().unwrap()))),
        ("OKP crv missing", &ed25519, without(&ed25519_jwk, "crv")),
        ("OKP x missing", &ed25519, without(&ed25519_jwk, "x")),
        ("OKP crv unknown", &ed25519, with(&ed25519_jwk, "crv", "Ed448")),
    ] {
        assert_skipped(&json!({"keys": [unusable_jwk, usable_jwk]}), &usable, signer, case).await;
    }

    // Elements that are not objects are skipped as well.
    let (authority, app) = serving(&json!({"keys": [1, null, "x", [], {}, usable_jwk]}));
    app.present(&authority.token().key(&usable).sign()).await.assert_pass();
}

#[tokio::test]
async fn r7517_01_unused_members_do_not_make_a_key_unusable() {
    let (key, jwk) = key("1");

    for (member, value) in [
        ("x5c", json!(1)),
        ("x5c", json!(["not a certificate"])),
        ("x5t", Value::Null),
        ("x5t#S256", json!(["a"])),
        ("x5u", json!({"url": "https://as.example.com/key"})),
        ("ext", json!(true)),
        ("exp", json!(1_800_000_000.5)),
        ("n", json!("AQAB")),
        ("https://example.com/member", json!({"a": [1, {"b": null}]})),
    ] {
        let (authority, app) = serving(&json!({"keys": [with(&jwk, member, value)]}));

        app.present(&authority.token().key(&key).sign()).await.assert_pass();
    }
}

#[tokio::test]
async fn r7517_02_keys_not_meant_for_verification_are_skipped() {
    let (usable, usable_jwk) = key("usable");
    let (unusable, jwk) = key("unusable");

    for (case, unusable_jwk) in [
        ("use is enc", with(&jwk, "use", "enc")),
        ("use in upper case", with(&jwk, "use", "SIG")),
        ("use not a string", with(&jwk, "use", json!(["sig"]))),
        ("use null", with(&jwk, "use", Value::Null)),
        ("key_ops null", with(&without(&jwk, "use"), "key_ops", Value::Null)),
        ("key_ops with a number", with(&without(&jwk, "use"), "key_ops", json!(["verify", 1]))),
        ("key_ops is encrypt", with(&without(&jwk, "use"), "key_ops", json!(["encrypt"]))),
        ("key_ops is sign", with(&without(&jwk, "use"), "key_ops", json!(["sign"]))),
        ("key_ops empty", with(&without(&jwk, "use"), "key_ops", json!([]))),
        ("key_ops not an array", with(&without(&jwk, "use"), "key_ops", "verify")),
    ] {
        assert_skipped(&json!({"keys": [unusable_jwk, usable_jwk]}), &usable, &unusable, case).await;
    }

    // An encryption key with the same `kid` is not tried.
    let (authority, app) =
        serving(&json!({"keys": [with(&with(&jwk, "use", "enc"), "kid", "usable"), usable_jwk]}));
    app.present(&authority.token().key(&usable).sign()).await.assert_pass();
    let answer = app.present(&authority.token().key(&unusable.with_kid("usable")).sign()).await;
    assert_invalid!(answer, ValidationError::BadSignature);
}

#[tokio::test]
async fn r7517_02_keys_without_use_or_key_ops_are_used() {
    let (key, jwk) = key("1");

    for jwk in [
        without(&jwk, "use"),
        with(&without(&jwk, "use"), "key_ops", json!(["verify"])),
        with(&jwk, "key_ops", json!(["verify"])),
    ] {
        let (authority, app) = serving(&json!({"keys": [jwk]}));

        app.present(&authority.token().key(&key).sign()).await.assert_pass();
    }
}

#[tokio::test]
async fn r7517_03_key_with_contradicting_use_and_key_ops_is_skipped() {
    let (usable, usable_jwk) = key("usable");
    let (unusable, jwk) = key("unusable");

    for (used, operations) in [("sig", json!(["encrypt"])), ("enc", json!(["verify"]))] {
        let unusable_jwk = with(&with(&jwk, "use", used), "key_ops", operations.clone());

        assert_skipped(
            &json!({"keys": [unusable_jwk, usable_jwk]}),
            &usable,
            &unusable,
            &operations.to_string(),
        )
        .await;
    }
}

#[tokio::test]
async fn r7517_04_alg_of_the_key_must_match_the_token() {
    let rsa = rsa_key();
    let (authority, app) = serving(&json!({"keys": [rsa.jwk()]}));

    app.present(&authority.token().key(&rsa).sign()).await.assert_pass();
    for algorithm in [Algorithm::PS256, Algorithm::RS384] {
        let answer = app.present(&authority.token().key(&rsa.with_algorithm(algorithm)).sign()).await;

        assert_invalid!(answer, ValidationError::UnknownKey { kid: Some(_), .. }, "{algorithm}");
    }
}

#[tokio::test]
async fn r7517_04_key_without_alg_is_used_with_each_algorithm_of_its_type() {
    let rsa = rsa_key();
    let (ec, ec_jwk) = key("ec");
    let (authority, app) = serving(&json!({"keys": [without(&rsa.jwk(), "alg"), without(&ec_jwk, "alg")]}));

    for algorithm in [Algorithm::RS256, Algorithm::PS256, Algorithm::RS512] {
        app.present(&authority.token().key(&rsa.with_algorithm(algorithm)).sign()).await.assert_pass();
    }
    app.present(&authority.token().key(&ec).sign()).await.assert_pass();
    for (header, key) in [("ES256", &rsa), ("RS256", &ec), ("EdDSA", &ec), ("ES384", &ec)] {
        let answer = app.present(&authority.token().key(key).header("alg", header).sign()).await;

        assert_invalid!(answer, ValidationError::UnknownKey { kid: Some(_), .. }, "{header}");
    }
}

#[tokio::test]
async fn r7517_05_up_to_four_keys_with_the_same_kid_are_tried() {
    let keys: Vec<_> = (0..5).map(|_| key("same")).collect();
    let other_type = SigningKey::generate("same", Algorithm::EdDSA);
    let mut jwks: Vec<_> = keys.iter().map(|(_, jwk)| jwk.clone()).collect();
    // A key of another type is neither tried nor counted.
    jwks.insert(0, other_type.jwk());
    let (authority, app) = serving(&json!({"keys": jwks}));

    for (key, _) in &keys[..4] {
        app.present(&authority.token().key(key).sign()).await.assert_pass();
    }
    let fifth = app.present(&authority.token().key(&keys[4].0).sign()).await;

    assert_invalid!(fifth, ValidationError::BadSignature);
}

#[tokio::test]
async fn r7517_06_token_without_kid_needs_exactly_one_matching_key() {
    let ((one, one_jwk), (_, other_jwk)) = (key("1"), key("2"));
    let ed25519 = SigningKey::generate("3", Algorithm::EdDSA);
    let present = async |jwks: Value, key: &SigningKey| -> Answer {
        let (authority, app) = serving(&jwks);
        app.present(&authority.token().key(key).without_header("kid").sign()).await
    };

    present(json!({"keys": [one_jwk]}), &one).await.assert_pass();
    present(json!({"keys": [without(&one_jwk, "kid")]}), &one).await.assert_pass();
    // The other key is of another type.
    present(json!({"keys": [ed25519.jwk(), one_jwk]}), &one).await.assert_pass();

    let several = present(json!({"keys": [one_jwk, other_jwk]}), &one).await;
    assert_invalid!(several, ValidationError::AmbiguousKey { candidates: 2, algorithm: "ES256", .. });
    let none = present(json!({"keys": [one_jwk, other_jwk]}), &ed25519).await;
    assert_invalid!(none, ValidationError::UnknownKey { kid: None, algorithm: "EdDSA", .. });
}

#[tokio::test]
async fn r7517_07_symmetric_and_private_keys_are_skipped() {
    let (usable, usable_jwk) = key("usable");
    let (unusable, jwk) = key("unusable");

    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        for value in [json!("AQAB"), json!(null)] {
            let jwks = json!({"keys": [with(&jwk, member, value), usable_jwk]});

            assert_skipped(&jwks, &usable, &unusable, member).await;
        }
    }
    let oct = json!({"kty": "oct", "kid": "unusable", "alg": "HS256", "k": base64url("password")});
    assert_skipped(&json!({"keys": [oct, usable_jwk]}), &usable, &unusable, "oct").await;
    // Such a key cannot be configured either, even with another `kty`.
    for jwk in [oct.clone(), with(&oct, "kty", "EC"), without(&oct, "k"), with(&jwk, "d", "AQAB")] {
        assert!(KeySet::from_jwk(&jwk.to_string()).is_err(), "{jwk}");
        assert!(KeySet::from_jwks(&json!({"keys": [jwk]}).to_string()).is_err(), "{jwk}");
    }
}

/// Asserts that keys fetched earlier stay in use if the next fetch returns this key set.
async fn assert_old_set_is_kept(jwks: String, newer: &SigningKey, case: &str) {
    let (authority, app) = server_and_app().await;
    publish_jwks(&authority, jwks);

    // An unknown key causes a fetch. Since the fetch fails, the key may still exist: 503, not 401.
    authority.clock().advance(Duration::from_secs(11));
    let answer = app.present(&authority.token().key(newer).sign()).await;
    assert!(
        matches!(answer.reason, Some(ValidationError::KeysUnavailable { .. })),
        "{case}: {:?}",
        answer.reason
    );
    answer.assert_unavailable();

    assert_eq!(authority.key_fetches(), 2, "{case}");
    app.present(&authority.token().sign()).await.assert_pass();
}

/// Returns a set of this many keys: copies of `jwk` with other `kid`s, then `jwk` itself.
fn set_of(keys: usize, jwk: &Value) -> Value {
    let others = (1..keys).map(|number| with(jwk, "kid", number.to_string()));
    json!({"keys": others.chain([jwk.clone()]).collect::<Vec<_>>()})
}

/// Returns a set of exactly this many bytes.
fn set_of_bytes(length: usize, jwk: &Value) -> String {
    let filled = |filler: usize| json!({"keys": [jwk], "filler": "x".repeat(filler)}).to_string();
    let set = filled(length - filled(0).len());
    assert_eq!(set.len(), length);
    set
}

#[tokio::test]
async fn r7517_08_set_within_the_limits_is_accepted() {
    let (key, jwk) = key("key");

    for set in [set_of(64, &jwk).to_string(), set_of_bytes(256 * 1024, &jwk)] {
        let authority = TestAuthorizationServer::new(ISSUER);
        publish_jwks(&authority, set);
        let app = app_with(&authority, |validator| validator);

        app.present(&authority.token().key(&key).sign()).await.assert_pass();
    }
}

#[tokio::test]
async fn r7517_08_set_above_the_limits_is_refused_and_the_old_one_kept() {
    let (key, jwk) = key("key");

    assert_old_set_is_kept(set_of(65, &jwk).to_string(), &key, "65 keys").await;
    assert_old_set_is_kept(set_of_bytes(256 * 1024 + 1, &jwk), &key, "256 KiB and one byte").await;
    // Keys that would be skipped count as well, because the limit bounds the work.
    let many = vec![json!({}); 64].into_iter().chain([jwk]).collect::<Vec<_>>();
    assert_old_set_is_kept(json!({"keys": many}).to_string(), &key, "64 empty keys and a usable one").await;
}

#[tokio::test]
async fn r7517_08_set_that_misses_the_deadline_is_503() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let app = app_with(&authority, |validator| validator.key_fetch_timeout(Duration::from_millis(100)));
    authority.hold(&authority.jwks_uri());

    let answer = app.present(&authority.token().sign()).await;

    assert!(matches!(answer.reason, Some(ValidationError::KeysUnavailable { .. })), "{:?}", answer.reason);
    answer.assert_unavailable();
}

#[tokio::test]
async fn r7517_09_key_with_a_duplicate_member_is_skipped() {
    let (usable, usable_jwk) = key("usable");
    let (unusable, jwk) = key("unusable");
    let rsa = rsa_key().with_kid("unusable");

    for (signer, jwk, member) in [
        (&rsa, rsa.jwk(), format!("\"n\":{}", rsa.jwk()["n"])),
        (&rsa, rsa.jwk(), r#""e":"AQ""#.to_owned()),
        (&unusable, jwk.clone(), r#""kid":"unusable""#.to_owned()),
        (&unusable, jwk.clone(), r#""\u0078":"AQ""#.to_owned()),
        (&unusable, jwk.clone(), r#""foo":1,"foo":1"#.to_owned()),
    ] {
        let twice = format!("{},{member}}}", jwk.to_string().strip_suffix('}').unwrap());
        let authority = TestAuthorizationServer::new(ISSUER);
        publish_jwks(&authority, format!(r#"{{"keys":[{twice},{usable_jwk}]}}"#));
        let app = app_with(&authority, |validator| validator);

        app.present(&authority.token().key(&usable).sign()).await.assert_pass();
        let answer = app.present(&authority.token().key(signer).sign()).await;
        assert_invalid!(answer, ValidationError::UnknownKey { kid: Some(_), .. }, "{member}");
    }
}

#[tokio::test]
async fn r7517_09_malformed_set_is_refused_and_the_old_one_kept() {
    let (key, jwk) = key("key");

    for set in [
        format!(r#"{{"keys":[{jwk}],"keys":[{jwk}]}}"#),
        format!(r#"{{"keys":[],"k\u0065ys":[{jwk}]}}"#),
        format!(r#"{{"foo":1,"foo":1,"keys":[{jwk}]}}"#),
        r#"{"keys":[]}"#.to_owned(),
        format!(r#"{{"keys":{jwk}}}"#),
        format!("[{jwk}]"),
        jwk.to_string(),
        "{}".to_owned(),
        String::new(),
        "<!doctype html>".to_owned(),
        format!(r#"{{"keys":[{jwk}]}}{{}}"#),
        format!("\u{feff}{{\"keys\":[{jwk}]}}"),
        json!({"keys": [{"kty": "oct", "k": "AQAB", "kid": "key"}]}).to_string(),
    ] {
        assert_old_set_is_kept(set.clone(), &key, &set).await;
    }
}

#[tokio::test]
async fn r7517_10_unknown_members_of_keys_and_sets_are_ignored() {
    let (key, mut jwk) = key("key");
    jwk["x-foo"] = json!({"a": [1]});
    jwk["exp"] = json!(1);
    jwk["x5c"] = json!(["not a certificate"]);
    jwk["x5t"] = json!("AQAB");
    let (authority, app) = serving(&json!({"issuer": "x", "exp": 1, "keys": [jwk]}));

    app.present(&authority.token().key(&key).sign()).await.assert_pass();
}

/// Returns a server that signs tokens, and an app that has the keys configured and fetches nothing.
fn app_with_keys(keys: KeySet) -> (TestAuthorizationServer, App) {
    let authority = TestAuthorizationServer::new(ISSUER);
    let server = AuthorizationServer::with_endpoints(ISSUER).http_client(authority.clone()).keys(keys);
    let validator = JwtValidator::builder(server, RESOURCE).clock(authority.clock().clone()).build().unwrap();
    let app = App::new(authority.resource_server_with(validator).build().unwrap().require_token());
    (authority, app)
}

/// Returns a token with the audience that the app of [`app_with_keys`] requires.
fn token(authority: &TestAuthorizationServer, key: &SigningKey) -> TokenBuilder {
    authority.token().audience(RESOURCE).key(key)
}

#[tokio::test]
async fn configured_jwk_verifies_without_a_fetch() {
    for key in [rsa_key(), key("ec").0, SigningKey::generate("ed", Algorithm::EdDSA)] {
        let named = KeySet::from_jwk(&key.jwk().to_string()).unwrap();
        let (authority, app) = app_with_keys(named);
        app.present(&token(&authority, &key).sign()).await.assert_pass();
        app.present(&token(&authority, &key).without_header("kid").sign()).await.assert_pass();
        let answer = app.present(&token(&authority, &key.with_kid("other")).sign()).await;
        assert_invalid!(answer, ValidationError::UnknownKey { kid: Some(_), .. });

        // A configured key without `kid` matches every `kid`.
        let unnamed = KeySet::from_jwk(&without(&key.jwk(), "kid").to_string()).unwrap();
        let (authority, app) = app_with_keys(unnamed);
        app.present(&token(&authority, &key.with_kid("any")).sign()).await.assert_pass();

        assert_eq!(authority.requests().len(), 0);
    }
}

#[tokio::test]
async fn configured_key_sets_are_combined() {
    let ((one, one_jwk), (other, other_jwk)) = (key("1"), key("2"));
    let set = KeySet::from_jwk(&one_jwk.to_string())
        .unwrap()
        .and(KeySet::from_jwks(&json!({"keys": [other_jwk]}).to_string()).unwrap());
    let (authority, app) = app_with_keys(set);

    app.present(&token(&authority, &one).sign()).await.assert_pass();
    app.present(&token(&authority, &other).sign()).await.assert_pass();
}

#[test]
fn unusable_configured_jwk_is_a_config_error() {
    let jwk = key("1").1;

    for (text, reason) in [
        ("".to_owned(), "key: expected a JWK (RFC 7517 section 4)"),
        ("[]".to_owned(), "key: expected a JWK (RFC 7517 section 4)"),
        (json!({"keys": [jwk]}).to_string(), "key: missing kty"),
        (with(&jwk, "use", "enc").to_string(), "key: use is not sig"),
        (with(&jwk, "alg", "ES384").to_string(), "key: alg does not fit the key's type"),
        (with(&jwk, "y", jwk["x"].clone()).to_string(), "key: not a valid public key"),
    ] {
        assert_eq!(KeySet::from_jwk(&text).unwrap_err().to_string(), reason, "{text}");
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let lines: Vec<_> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// Returns a generated `SubjectPublicKeyInfo` in PEM, and its key pair.
fn ecdsa_pem(signing: &'static signature::EcdsaSigningAlgorithm) -> (String, EcdsaKeyPair) {
    let pair = EcdsaKeyPair::generate(signing).unwrap();
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    (pem("PUBLIC KEY", der.as_ref()), pair)
}

/// Signs a token with a key that is not a `SigningKey`.
fn token_signed_by(
    authority: &TestAuthorizationServer,
    alg: &str,
    sign: impl Fn(&[u8]) -> Vec<u8>,
) -> String {
    let unsigned = authority.token().audience(RESOURCE).header("alg", alg).sign();
    let (signing_input, _) = unsigned.rsplit_once('.').unwrap();
    format!("{signing_input}.{}", base64url(sign(signing_input.as_bytes())))
}

#[tokio::test]
async fn configured_ec_pem_verifies_for_its_curve() {
    let random = aws_lc_rs::rand::SystemRandom::new();

    for (algorithm, signing) in [
        (Algorithm::ES256, &signature::ECDSA_P256_SHA256_FIXED_SIGNING),
        (Algorithm::ES384, &signature::ECDSA_P384_SHA384_FIXED_SIGNING),
        (Algorithm::ES512, &signature::ECDSA_P521_SHA512_FIXED_SIGNING),
    ] {
        let (pem, pair) = ecdsa_pem(signing);
        let (authority, app) = app_with_keys(KeySet::from_pem(&pem, algorithm).unwrap());
        let sign = |message: &[u8]| pair.sign(&random, message).unwrap().as_ref().to_vec();

        app.present(&token_signed_by(&authority, algorithm.as_str(), sign)).await.assert_pass();
        let answer = app.present(&authority.token().audience(RESOURCE).sign()).await;
        if algorithm == Algorithm::ES256 {
            assert_invalid!(answer, ValidationError::BadSignature);
        } else {
            assert_invalid!(answer, ValidationError::UnknownKey { algorithm: "ES256", .. });
        }
        for other in Algorithm::ALL.iter().copied().filter(|other| *other != algorithm) {
            assert!(KeySet::from_pem(&pem, other).is_err(), "{algorithm} key for {other}");
        }
    }
}

#[tokio::test]
async fn configured_ed25519_pem_verifies() {
    let pair = Ed25519KeyPair::generate().unwrap();
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let pem = pem("PUBLIC KEY", der.as_ref());
    let (authority, app) = app_with_keys(KeySet::from_pem(&pem, Algorithm::EdDSA).unwrap());

    for name in ["EdDSA", "Ed25519"] {
        let token = token_signed_by(&authority, name, |message| pair.sign(message).as_ref().to_vec());
        app.present(&token).await.assert_pass();
    }
    for other in Algorithm::ALL.iter().copied().filter(|other| *other != Algorithm::EdDSA) {
        assert!(KeySet::from_pem(&pem, other).is_err(), "{other}");
    }
}

#[tokio::test]
async fn configured_rsa_pem_verifies_for_one_algorithm() {
    let rsa = rsa_key();
    let der = spki_of(&rsa);
    let pem = pem("PUBLIC KEY", &der);
    let (authority, app) = app_with_keys(KeySet::from_pem(&pem, Algorithm::PS256).unwrap());

    app.present(&token(&authority, &rsa.with_algorithm(Algorithm::PS256)).sign()).await.assert_pass();
    let answer = app.present(&token(&authority, &rsa).sign()).await;
    assert_invalid!(answer, ValidationError::UnknownKey { algorithm: "RS256", .. });
    for other in [Algorithm::ES256, Algorithm::ES384, Algorithm::ES512, Algorithm::EdDSA] {
        assert!(KeySet::from_pem(&pem, other).is_err(), "{other}");
    }
}

/// Encodes the `SubjectPublicKeyInfo` of an RSA key (RFC 8017 appendix A.1).
fn spki_of(key: &SigningKey) -> Vec<u8> {
    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82], length.as_slice(), content].concat()
    }
    let jwk = key.jwk();
    let integer = |name: &str| {
        let bytes = crate::support::from_base64url(jwk[name].as_str().unwrap());
        let sign = if bytes[0] >= 0x80 { &[0][..] } else { &[] };
        let content = [sign, &bytes].concat();
        match content.len() {
            short @ 0..0x80 => [&[0x02, u8::try_from(short).unwrap()], content.as_slice()].concat(),
            _ => element(0x02, &content),
        }
    };
    let rsa_encryption =
        [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0];
    let key = element(0x30, &[integer("n"), integer("e")].concat());
    let bits = element(0x03, &[&[0], key.as_slice()].concat());
    element(0x30, &[rsa_encryption.as_slice(), &bits].concat())
}

#[test]
fn unusable_configured_pem_is_a_config_error() {
    const EXPECTED: &str = "key: expected one PEM block BEGIN PUBLIC KEY; to extract the key of a certificate: \
                            openssl x509 -pubkey -noout";
    let (public, pair) = ecdsa_pem(&signature::ECDSA_P256_SHA256_FIXED_SIGNING);
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let der = der.as_ref().to_vec();
    let cut = der[..der.len() - 1].to_vec();
    let mut off_curve = der.clone();
    *off_curve.last_mut().unwrap() ^= 1;

    for (text, reason) in [
        (String::new(), EXPECTED),
        ("key".to_owned(), EXPECTED),
        (pem("PRIVATE KEY", &der), EXPECTED),
        (pem("CERTIFICATE", &der), EXPECTED),
        (pem("RSA PUBLIC KEY", &der), EXPECTED),
        (public.replace("-----END PUBLIC KEY-----", ""), EXPECTED),
        (format!("{public}{public}"), "key: more than one PEM block"),
        (format!("{}{public}", pem("PRIVATE KEY", &der)), "key: more than one PEM block"),
        (format!("{public}{}", pem("CERTIFICATE", &der)), "key: more than one PEM block"),
        (public.replace('M', "*"), "key: PEM block is not base64"),
        (pem("PUBLIC KEY", &cut), "key: not a valid public key"),
        (pem("PUBLIC KEY", &off_curve), "key: not a valid public key"),
        (pem("PUBLIC KEY", b""), "key: not a valid public key"),
    ] {
        assert_eq!(KeySet::from_pem(&text, Algorithm::ES256).unwrap_err().to_string(), reason, "{text}");
    }
    assert_eq!(
        KeySet::from_pem(&public, Algorithm::RS256).unwrap_err().to_string(),
        "key: expected an RSA public key for this algorithm"
    );
    assert_eq!(
        KeySet::from_pem(&public, Algorithm::EdDSA).unwrap_err().to_string(),
        "key: expected an Ed25519 public key for this algorithm"
    );
    assert!(KeySet::from_pem(&public, Algorithm::ES384).is_err(), "a key of another curve");
    // RFC 7468 section 2: text around the block is ignored.
    assert!(KeySet::from_pem(&format!("the key of 2026\n{public}as published\n"), Algorithm::ES256).is_ok());
}
