//! Proves which algorithms, keys and signatures are accepted (RFC 7518, and RFC 8037 and RFC 9864 for Ed25519).

use aws_lc_rs::digest;
use serde_json::{Value, json};
use tower_bearer::{
    Algorithm, KeySet, ValidationError,
    testing::{SigningKey, TestAuthorizationServer},
};

use crate::support::{
    App, ISSUER, app_with, assert_invalid, base64url, from_base64url, publish_jwks, rsa_key,
};

/// Returns a server that publishes `jwk` next to a valid key, and an app that requires its tokens.
async fn serving(jwk: &Value) -> (TestAuthorizationServer, App) {
    let authority = TestAuthorizationServer::new(ISSUER);
    publish_jwks(&authority, json!({"keys": [jwk, authority.keys()[0].jwk()]}).to_string());
    let app = app_with(&authority, |validator| validator);
    app.present(&authority.token().sign()).await.assert_pass();
    (authority, app)
}

/// Asserts that a key is refused with this reason if it is configured, and skipped if it is fetched. `signer` signs a
/// token with the key's `kid`.
async fn assert_unusable(jwk: &Value, signer: &SigningKey, reason: &str) {
    let error = KeySet::from_jwk(&jwk.to_string()).unwrap_err();
    assert_eq!(error.to_string(), format!("key: {reason}"), "{jwk}");

    let (authority, app) = serving(jwk).await;
    let answer = app.present(&authority.token().key(signer).header("kid", &jwk["kid"]).sign()).await;
    assert_invalid!(answer, ValidationError::UnknownKey { kid: Some(_), .. }, "{reason}");
}

fn rsa_jwk(modulus: &[u8], exponent: &[u8]) -> Value {
    json!({"kty": "RSA", "kid": "unusable", "n": base64url(modulus), "e": base64url(exponent)})
}

/// Returns an odd number of exactly this many bits.
fn modulus_of(bits: usize) -> Vec<u8> {
    let mut modulus = vec![0xa5; bits.div_ceil(8)];
    let highest_bit = 1 << ((bits - 1) % 8);
    modulus[0] = highest_bit | modulus[0] & (highest_bit - 1);
    modulus
}

const AQAB: [u8; 3] = [1, 0, 1];

#[tokio::test]
async fn tokens_of_all_ten_algorithms_pass() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let generate = |algorithm: &Algorithm| match *algorithm {
        Algorithm::ES256 | Algorithm::ES384 | Algorithm::ES512 | Algorithm::EdDSA => {
            SigningKey::generate(algorithm.as_str(), *algorithm)
        }
        _ => rsa_key().with_algorithm(*algorithm).with_kid(algorithm.as_str()),
    };
    let keys: Vec<_> = Algorithm::ALL.iter().map(generate).collect();
    authority.publish_keys(keys.clone());
    let app = app_with(&authority, |validator| validator);

    for key in &keys {
        let token = authority.token().key(key);
        app.present(&token.clone().sign()).await.assert_pass();

        // A signature made with one algorithm is refused under the name of any other.
        for other in keys.iter().filter(|other| other.algorithm() != key.algorithm()) {
            let confused =
                authority.token().key(other).header("kid", key.kid()).header("alg", key.algorithm().as_str());
            let answer = app.present(&confused.sign()).await;
            assert_invalid!(answer, ValidationError::BadSignature, "{} for {}", other.kid(), key.kid());
        }
        let answer = app.present(&authority.token().key(key).signature([0; 64]).sign()).await;
        assert_invalid!(answer, ValidationError::BadSignature, "{}", key.kid());
    }
}

#[tokio::test]
async fn r7518_01_rsa_key_of_other_than_2048_to_8192_bits_is_skipped() {
    const REASON: &str = "RSA modulus does not have 2048 to 8192 bits";

    for bits in [512, 1024, 2040, 2047, 8193, 16_384] {
        assert_unusable(&rsa_jwk(&modulus_of(bits), &AQAB), &rsa_key(), REASON).await;
    }
    // Leading zeros do not count.
    let padded = [vec![0; 128], modulus_of(1024)].concat();
    assert_unusable(&rsa_jwk(&padded, &AQAB), &rsa_key(), REASON).await;
    for nothing in [vec![], vec![0], vec![0; 256]] {
        assert_unusable(&rsa_jwk(&nothing, &AQAB), &rsa_key(), REASON).await;
    }
    for bits in [2048, 3072, 4096, 8192] {
        let jwk = rsa_jwk(&modulus_of(bits), &AQAB);
        assert!(KeySet::from_jwk(&jwk.to_string()).is_ok(), "{bits}");
    }
}

#[tokio::test]
async fn rsa_key_with_a_leading_zero_in_its_modulus_is_used() {
    let key = rsa_key();
    let mut jwk = key.jwk();
    jwk["n"] = base64url([&[0], from_base64url(jwk["n"].as_str().unwrap()).as_slice()].concat()).into();
    let (authority, app) = serving(&jwk).await;

    app.present(&authority.token().key(&key).sign()).await.assert_pass();
}

#[tokio::test]
async fn rsa_key_with_a_weak_modulus_or_exponent_is_skipped() {
    const EXPONENT: &str = "RSA exponent is below 3, even, or longer than 33 bits";
    let modulus = from_base64url(rsa_key().jwk()["n"].as_str().unwrap());
    let mut even = modulus.clone();
    *even.last_mut().unwrap() &= 0xfe;

    for (modulus, exponent, reason) in [
        (&even, &AQAB[..], "RSA modulus is even"),
        (&modulus, &[], EXPONENT),
        (&modulus, &[0], EXPONENT),
        (&modulus, &[1], EXPONENT),
        (&modulus, &[0, 0, 1], EXPONENT),
        (&modulus, &[2], EXPONENT),
        (&modulus, &[1, 0, 0], EXPONENT),
        (&modulus, &[2, 0, 0, 0, 1], EXPONENT),
        (&modulus, &[1, 0, 0, 0, 0, 0, 0, 0, 1], "RSA exponent is too large"),
    ] {
        assert_unusable(&rsa_jwk(modulus, exponent), &rsa_key(), reason).await;
    }
    for exponent in [&[3][..], &[0, 3], &AQAB, &[1, 0xff, 0xff, 0xff, 0xff]] {
        let jwk = rsa_jwk(&modulus, exponent);
        assert!(KeySet::from_jwk(&jwk.to_string()).is_ok(), "{exponent:?}");
    }
}

#[tokio::test]
async fn rsa_key_with_exponent_1_does_not_accept_an_unsigned_message() {
    let modulus = from_base64url(rsa_key().jwk()["n"].as_str().unwrap());
    let jwk = rsa_jwk(&modulus, &[1]);
    let (authority, app) = serving(&jwk).await;
    let token = authority.token().key(&rsa_key()).header("kid", "unusable");
    let unsigned = token.clone().signature([0]).sign();
    let (signing_input, _) = unsigned.rsplit_once('.').unwrap();

    // The encoded message of RFC 8017 section 9.2. With exponent 1 it would be its own signature.
    const SHA256_INFO: [u8; 19] =
        [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
    let hash = digest::digest(&digest::SHA256, signing_input.as_bytes());
    let padding = vec![0xff; modulus.len() - 3 - SHA256_INFO.len() - 32];
    let forged = [&[0, 1], padding.as_slice(), &[0], &SHA256_INFO, hash.as_ref()].concat();

    let answer = app.present(&token.signature(forged).sign()).await;

    assert_invalid!(answer, ValidationError::UnknownKey { kid: Some(_), algorithm: "RS256", .. });
}

/// The ECDSA algorithms, with coordinate length and group order (SEC 2 sections 2.4, 2.5 and 2.6).
fn ecdsa() -> [(Algorithm, usize, Vec<u8>); 3] {
    let hex = |text: &str| -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    };
    [
        (Algorithm::ES256, 32, hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")),
        (
            Algorithm::ES384,
            48,
            hex(
                "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
            ),
        ),
        (
            Algorithm::ES512,
            66,
            hex(
                "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
            ),
        ),
    ]
}

/// Encodes a fixed-length signature in DER, as X.509 does.
fn der(fixed: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let bytes = &bytes[zeros..];
        let sign = if bytes[0] >= 0x80 { &[0][..] } else { &[] };
        [&[2, u8::try_from(sign.len() + bytes.len()).unwrap()], sign, bytes].concat()
    };
    let (r, s) = fixed.split_at(fixed.len() / 2);
    let content = [integer(r), integer(s)].concat();
    let length = u8::try_from(content.len()).unwrap();
    let head = if length < 0x80 { vec![0x30, length] } else { vec![0x30, 0x81, length] };
    [head, content].concat()
}

/// Returns a server that signs with `algorithm`, an app that requires its tokens, and the signature of a valid token.
async fn signed(algorithm: Algorithm) -> (TestAuthorizationServer, App, Vec<u8>) {
    let authority = TestAuthorizationServer::new(ISSUER).with_algorithms([algorithm]);
    let app = app_with(&authority, |validator| validator);
    let token = authority.token().claim("jti", "1").sign();
    app.present(&token).await.assert_pass();
    let signature = from_base64url(token.rsplit_once('.').unwrap().1);
    (authority, app, signature)
}

#[tokio::test]
async fn r7518_02_ecdsa_signature_of_another_length_is_refused() {
    for (algorithm, coordinate_len, _) in ecdsa() {
        let (authority, app, valid) = signed(algorithm).await;
        assert_eq!(valid.len(), 2 * coordinate_len);
        let (r, s) = valid.split_at(coordinate_len);

        for (case, signature) in [
            ("DER", der(&valid)),
            ("last byte missing", valid[..valid.len() - 1].to_vec()),
            ("first byte missing", valid[1..].to_vec()),
            ("byte appended", [valid.as_slice(), &[0]].concat()),
            ("byte prepended", [&[0], valid.as_slice()].concat()),
            ("byte prepended to r and s", [&[0], r, &[0], s].concat()),
            ("r alone", r.to_vec()),
            ("repeated", [valid.as_slice(), &valid].concat()),
            ("1 byte", vec![0]),
            ("8 KiB", vec![1; 8 * 1024]),
        ] {
            let answer = app.present(&authority.token().claim("jti", "1").signature(signature).sign()).await;

            assert_invalid!(answer, ValidationError::BadSignature, "{algorithm}: {case}");
        }
        // The unchanged signature is accepted.
        app.present(&authority.token().claim("jti", "1").signature(valid).sign()).await.assert_pass();
    }
}

#[tokio::test]
async fn r7518_03_ecdsa_signature_with_r_or_s_out_of_range_is_refused() {
    for (algorithm, coordinate_len, order) in ecdsa() {
        let (authority, app, valid) = signed(algorithm).await;
        let (r, s) = valid.split_at(coordinate_len);
        let zero = vec![0; coordinate_len];
        let one = [&zero[1..], &[1]].concat();
        let mut above_n = order.clone();
        *above_n.last_mut().unwrap() += 1;
        let max = vec![0xff; coordinate_len];

        for (case, r, s) in [
            ("r = s = 0", zero.as_slice(), zero.as_slice()),
            ("r = 0", &zero, s),
            ("s = 0", r, &zero),
            ("r = s = n", &order, &order),
            ("r = n", &order, s),
            ("s = n", r, &order),
            ("r = n + 1", &above_n, s),
            ("s = n + 1", r, &above_n),
            ("all bits set", &max, &max),
            ("r = s = 1", &one, &one),
            ("r and s swapped", s, r),
        ] {
            let signature = [r, s].concat();
            let answer = app.present(&authority.token().claim("jti", "1").signature(signature).sign()).await;

            assert_invalid!(answer, ValidationError::BadSignature, "{algorithm}: {case}");
        }
    }
}

#[tokio::test]
async fn r7518_04_curve_must_match_the_algorithm() {
    for (algorithm, ..) in ecdsa() {
        let key = SigningKey::generate("unusable", algorithm);
        let mut jwk = key.jwk();
        jwk.as_object_mut().unwrap().remove("alg");
        let (authority, app) = serving(&jwk).await;
        app.present(&authority.token().key(&key).sign()).await.assert_pass();

        for (other, ..) in ecdsa().into_iter().filter(|(other, ..)| *other != algorithm) {
            // `alg` of the token does not match the curve.
            let answer = app.present(&authority.token().key(&key).header("alg", other.as_str()).sign()).await;
            assert_invalid!(
                answer,
                ValidationError::UnknownKey { kid: Some(_), .. },
                "{algorithm} as {other}"
            );
            // `alg` of the key does not match the curve.
            jwk["alg"] = other.as_str().into();
            assert_unusable(&jwk, &key, "alg does not fit the key's type").await;
        }
    }
}

// Other salt lengths are covered by test vectors in the unit tests, because the testing kit cannot sign with them.
#[tokio::test]
async fn r7518_05_pss_signature_with_another_hash_is_refused() {
    let rsa = rsa_key();
    let mut jwk = rsa.jwk();
    jwk.as_object_mut().unwrap().remove("alg");
    let (authority, app) = serving(&jwk).await;
    let all = [Algorithm::PS256, Algorithm::PS384, Algorithm::PS512, Algorithm::RS256];

    for claimed in all {
        let key = rsa.with_algorithm(claimed);
        app.present(&authority.token().key(&key).sign()).await.assert_pass();
        for used in all.into_iter().filter(|used| *used != claimed) {
            let token = authority.token().key(&rsa.with_algorithm(used)).header("alg", claimed.as_str());
            let answer = app.present(&token.sign()).await;

            assert_invalid!(answer, ValidationError::BadSignature, "{used} as {claimed}");
        }
    }
}

#[test]
fn r7518_06_symmetric_algorithms_and_none_do_not_exist() {
    let names: Vec<_> = Algorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect();

    assert_eq!(
        names,
        ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
    );
    // If this list grows, check that the new algorithm is asymmetric.
    for name in ["HS256", "HS384", "HS512", "none"] {
        for jwk in [json!({"kty": "oct", "k": "AQAB", "alg": name}), json!({"kty": "oct", "alg": name}), {
            let mut jwk = SigningKey::generate("ec", Algorithm::ES256).jwk();
            jwk["alg"] = name.into();
            jwk
        }] {
            assert!(KeySet::from_jwk(&jwk.to_string()).is_err(), "{jwk}");
        }
    }
}

#[tokio::test]
async fn r7518_07_eddsa_and_ed25519_are_the_same_algorithm() {
    let key = SigningKey::generate("ed", Algorithm::EdDSA);

    for in_key in [Some("EdDSA"), Some("Ed25519"), None] {
        let mut jwk = key.jwk();
        match in_key {
            Some(name) => jwk["alg"] = name.into(),
            None => drop(jwk.as_object_mut().unwrap().remove("alg")),
        }
        let (authority, app) = serving(&jwk).await;
        for in_token in ["EdDSA", "Ed25519"] {
            app.present(&authority.token().key(&key).header("alg", in_token).sign()).await.assert_pass();
        }
        for in_token in ["Ed448", "eddsa", "ED25519"] {
            let answer = app.present(&authority.token().key(&key).header("alg", in_token).sign()).await;
            assert_invalid!(answer, ValidationError::AlgorithmNotAccepted { .. }, "{in_token}");
        }
    }
}

#[tokio::test]
async fn r7518_07_okp_keys_on_other_curves_are_skipped() {
    let key = SigningKey::generate("unusable", Algorithm::EdDSA);

    for (curve, x, alg) in [
        ("Ed448", vec![1; 57], Some("EdDSA")),
        ("Ed448", vec![1; 57], None),
        ("X25519", from_base64url(key.jwk()["x"].as_str().unwrap()), Some("EdDSA")),
        ("X25519", from_base64url(key.jwk()["x"].as_str().unwrap()), None),
        ("X448", vec![1; 56], None),
        ("ed25519", from_base64url(key.jwk()["x"].as_str().unwrap()), None),
    ] {
        let mut jwk = json!({"kty": "OKP", "crv": curve, "kid": "unusable", "x": base64url(x)});
        if let Some(alg) = alg {
            jwk["alg"] = alg.into();
        }

        assert_unusable(&jwk, &key, "crv is not Ed25519").await;
    }
    for length in [0, 31, 33, 64] {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "unusable", "x": base64url(vec![7; length])});
        assert_unusable(&jwk, &key, "Ed25519 key does not have 32 bytes").await;
    }
}

/// Returns the 14 encodings of points whose order divides 8. The values of y are 0, 1, two of order 8, and -1, then the
/// non-canonical p and p + 1 (equal to 0 and 1). Each appears with both signs of x.
fn small_order_points() -> [[u8; 32]; 14] {
    let below_p = |lowest: u8| {
        let mut y = [0xff; 32];
        (y[0], y[31]) = (lowest, 0x7f);
        y
    };
    let mut one = [0; 32];
    one[0] = 1;
    let of_order_eight = |x: &str| <[u8; 32]>::try_from(from_base64url(x)).unwrap();
    let positive = [
        [0; 32],
        one,
        of_order_eight("JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU"),
        of_order_eight("xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o"),
        below_p(0xec),
        below_p(0xed),
        below_p(0xee),
    ];
    let mut all = [[0; 32]; 14];
    for (index, point) in positive.into_iter().enumerate() {
        (all[index], all[index + 7]) = (point, point);
        all[index + 7][31] |= 0x80;
    }
    all
}

#[tokio::test]
async fn r7518_07_ed25519_keys_of_small_order_are_skipped() {
    let key = SigningKey::generate("unusable", Algorithm::EdDSA);

    for point in small_order_points() {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "unusable", "x": base64url(point)});
        assert_unusable(&jwk, &key, "Ed25519 key has small order").await;

        // With the neutral element as the key, R = 1 and S = 0 would verify for every message.
        let (authority, app) = serving(&jwk).await;
        let mut forged = [0; 64];
        forged[0] = 1;
        let answer = app.present(&authority.token().key(&key).signature(forged).sign()).await;
        assert_invalid!(answer, ValidationError::UnknownKey { kid: Some(_), algorithm: "EdDSA", .. });
    }
}

#[tokio::test]
async fn r7518_08_coordinates_must_have_full_length() {
    const REASON: &str = "a coordinate does not have the full length of the curve";

    for (algorithm, ..) in ecdsa() {
        // Find a key whose x starts with a zero byte, which some servers omit: 1 in 256 keys, or 1 in 2 for P-521.
        let (key, x) = loop {
            let key = SigningKey::generate("unusable", algorithm);
            let x = from_base64url(key.jwk()["x"].as_str().unwrap());
            if x[0] == 0 {
                break (key, x);
            }
        };
        let (authority, app) = serving(&key.jwk()).await;
        app.present(&authority.token().key(&key).sign()).await.assert_pass();

        for (member, value) in [
            ("x", x[1..].to_vec()),
            ("x", [&[0], x.as_slice()].concat()),
            ("x", Vec::new()),
            ("y", Vec::new()),
            ("y", vec![0; 200]),
        ] {
            let mut jwk = key.jwk();
            jwk[member] = base64url(value).into();

            assert_unusable(&jwk, &key, REASON).await;
        }
    }
}
