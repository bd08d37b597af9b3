//! Proves how the claims of a JWT are parsed and checked (RFC 7519).

use std::time::Duration;

use serde_json::{Value, json};
use tower_bearer::{
    AccessToken, Clock as _, TokenValidator as _, UnixTime, ValidationError, testing::TestAuthorizationServer,
};

use crate::support::{
    App, ISSUER, RESOURCE, assert_invalid, claims_with, server_and_app, server_and_app_with,
};

/// Default clock skew.
const CLOCK_SKEW: Duration = Duration::from_secs(30);

const MALFORMED_PAYLOAD: &str = "payload is not an acceptable JSON object, or has a duplicate claim";
const NUMERIC_DATE: &str = "wrong type or range, expected a number of seconds up to the end of the year 9999";
const EXPIRY: &str = "wrong type or range, expected a number of seconds from 0 to the end of the year 9999";

/// Returns the error message for a time claim of the wrong type or range.
fn wrong_time(claim: &str) -> String {
    format!("claim \"{claim}\": {}", if claim == "exp" { EXPIRY } else { NUMERIC_DATE })
}

fn now(authority: &TestAuthorizationServer) -> u64 {
    authority.clock().now().as_secs()
}

/// Presents a token with one claim replaced by this text.
async fn present_with(
    authority: &TestAuthorizationServer,
    app: &App,
    claim: &str,
    json: &str,
) -> crate::support::Answer {
    let token = authority.token();
    let claims = claims_with(&token, claim, json);
    app.present(&token.raw_payload(claims).sign()).await
}

#[tokio::test]
async fn r7519_01_token_is_refused_from_exp_plus_clock_skew() {
    for clock_skew in [Duration::ZERO, CLOCK_SKEW, Duration::from_secs(300)] {
        let (authority, app) = server_and_app_with(|validator| validator.clock_skew(clock_skew)).await;
        let last_refused = now(&authority) - clock_skew.as_secs();

        for exp in [last_refused, last_refused - 1, 1, 0] {
            let answer = app.present(&authority.token().claim("exp", exp).sign()).await;

            assert_invalid!(
                answer,
                ValidationError::Expired { exp: found, now: at, clock_skew: tolerated, .. }
                    if found.as_secs() == exp && *at == authority.clock().now() && *tolerated == clock_skew,
                "exp {exp}"
            );
        }
        app.present(&authority.token().claim("exp", last_refused + 1).sign()).await.assert_pass();
        app.present(&authority.token().claim("exp", last_refused as f64 + 0.5).sign()).await.assert_pass();
    }
}

#[tokio::test]
async fn r7519_01_cached_token_is_refused_once_it_has_expired() {
    let (authority, app) = server_and_app().await;
    let token = authority.token().expires_in(Duration::from_secs(10)).sign();
    app.present(&token).await.assert_pass();

    authority.clock().advance(Duration::from_secs(39));
    app.present(&token).await.assert_pass();
    authority.clock().advance(Duration::from_secs(1));
    let answer = app.present(&token).await;

    assert_invalid!(answer, ValidationError::Expired { clock_skew: CLOCK_SKEW, .. });
}

#[tokio::test]
async fn r7519_01_validator_without_a_layer_checks_exp_too() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.jwt_validator(RESOURCE).build().unwrap();
    let last_refused = now(&authority) - CLOCK_SKEW.as_secs();
    let validate = async |exp: u64| {
        validator.validate(&AccessToken::new(authority.token().claim("exp", exp).sign())).await
    };

    assert!(validate(last_refused + 1).await.is_ok());
    assert!(matches!(validate(last_refused).await, Err(ValidationError::Expired { .. })));
}

#[tokio::test]
async fn r7519_01_token_without_exp_is_refused() {
    let (authority, app) = server_and_app().await;

    let answer = app.present(&authority.token().without_claim("exp").sign()).await;

    assert_invalid!(answer, ValidationError::MissingClaim("exp"));
}

#[tokio::test]
async fn r7519_02_token_is_refused_before_nbf_minus_clock_skew() {
    let (authority, app) = server_and_app().await;
    let now = now(&authority);

    for nbf in [0, now - 1, now, now + 1, now + 30] {
        app.present(&authority.token().claim("nbf", nbf).sign()).await.assert_pass();
    }
    for nbf in [now + 31, now + 1_000, 253_402_300_799] {
        let answer = app.present(&authority.token().claim("nbf", nbf).sign()).await;

        assert_invalid!(
            answer,
            ValidationError::NotYetValid { claim: "nbf", from, clock_skew: CLOCK_SKEW, .. }
                if *from == UnixTime::from_secs(nbf),
            "nbf {nbf}"
        );
    }
    let answer = present_with(&authority, &app, "nbf", &format!("{}.5", now + 30)).await;
    assert_invalid!(answer, ValidationError::NotYetValid { claim: "nbf", .. });
}

#[tokio::test]
async fn r7519_02_refused_token_passes_once_nbf_is_reached() {
    let (authority, app) = server_and_app().await;
    let token = authority.token().claim("nbf", now(&authority) + 31).sign();

    assert_invalid!(app.present(&token).await, ValidationError::NotYetValid { claim: "nbf", .. });
    authority.clock().advance(Duration::from_secs(1));
    app.present(&token).await.assert_pass();
}

#[tokio::test]
async fn r7519_03_times_that_are_not_json_numbers_are_refused() {
    let (authority, app) = server_and_app().await;

    for claim in ["exp", "nbf", "iat"] {
        for value in ["\"1800000100\"", "true", "false", "null", "[1800000100]", "{}", "\"\""] {
            let answer = present_with(&authority, &app, claim, value).await;

            assert_invalid!(
                answer,
                ValidationError::Claims(error) if error.to_string() == wrong_time(claim),
                "{claim} {value}"
            );
        }
    }
}

#[tokio::test]
async fn r7519_03_times_with_a_fraction_or_exponent_are_accepted() {
    let (authority, app) = server_and_app().await;

    for (claim, value) in [
        ("exp", "1800000100.25"),
        ("exp", "1.8000001e9"),
        ("exp", "1.8000001E+9"),
        ("exp", "18000001000e-1"),
        ("nbf", "1799999999.999"),
        ("nbf", "0"),
        ("nbf", "0.0"),
        ("nbf", "1e-9"),
        ("iat", "1.8e9"),
    ] {
        let answer = present_with(&authority, &app, claim, value).await;

        assert!(answer.reason.is_none(), "{claim} {value}: {:?}", answer.reason);
        answer.assert_pass();
    }
}

#[tokio::test]
async fn r7519_04_times_out_of_range_are_refused() {
    let (authority, app) = server_and_app().await;

    for claim in ["exp", "nbf", "iat"] {
        for value in [
            "253402300800",
            "253402300800.0",
            "2.534023008e11",
            "1e308",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "18446744075509551616", // 2^64 + 1 800 000 000
            "4294967296000000000000",
        ] {
            let answer = present_with(&authority, &app, claim, value).await;

            assert_invalid!(
                answer,
                ValidationError::Claims(error) if error.to_string() == wrong_time(claim),
                "{claim} {value}"
            );
        }
    }
    // The last second of the year 9999 is accepted, and adding the clock skew does not overflow.
    present_with(&authority, &app, "exp", "253402300799").await.assert_pass();
}

#[tokio::test]
async fn r7519_04_times_beyond_f64_make_the_payload_malformed() {
    let (authority, app) = server_and_app().await;

    for claim in ["exp", "nbf", "iat"] {
        for value in ["1e400", "-1e400", "1e309", "-1e309", &format!("1{}", "0".repeat(400))] {
            let answer = present_with(&authority, &app, claim, value).await;

            assert_invalid!(answer, ValidationError::MalformedToken(MALFORMED_PAYLOAD), "{claim} {value}");
        }
    }
}

#[tokio::test]
async fn r7519_14_nbf_and_iat_before_1970_are_in_the_past() {
    let (authority, app) = server_and_app().await;

    for claim in ["nbf", "iat"] {
        for value in ["-1", "-0", "-0.5", "-1.5e9", "-9223372036854775809", "-253402300801", "-1e308"] {
            let answer = present_with(&authority, &app, claim, value).await;

            assert!(answer.reason.is_none(), "{claim} {value}: {:?}", answer.reason);
            answer.assert_pass();
        }
    }
}

#[tokio::test]
async fn r7519_14_token_with_iat_before_1970_exceeds_the_maximum_age() {
    let (authority, app) =
        server_and_app_with(|validator| validator.max_age(Duration::from_secs(60 * 60))).await;

    let answer = present_with(&authority, &app, "iat", "-1").await;

    assert_invalid!(answer, ValidationError::TooOld { iat, .. } if *iat == UnixTime::from_secs(0));
}

#[tokio::test]
async fn r7519_14_negative_exp_is_out_of_range() {
    let (authority, app) = server_and_app().await;

    for value in ["-1", "-0", "-0.5", "-1.5e9", "-1e308"] {
        let answer = present_with(&authority, &app, "exp", value).await;

        assert_invalid!(
            answer,
            ValidationError::Claims(error) if error.to_string() == wrong_time("exp"),
            "{value}"
        );
    }
}

#[tokio::test]
async fn r7519_04_invalid_json_number_makes_the_payload_malformed() {
    let (authority, app) = server_and_app().await;

    for value in [
        "NaN",
        "Infinity",
        "inf",
        "+1800000100",
        "01800000100",
        "0x6b49d200",
        "1_800_000_100",
        "1.",
        ".5",
        "",
    ] {
        let answer = present_with(&authority, &app, "exp", value).await;

        assert_invalid!(
            answer,
            ValidationError::MalformedToken(message) if *message == MALFORMED_PAYLOAD,
            "{value}"
        );
    }
}

#[tokio::test]
async fn r7519_05_aud_must_be_a_string_or_an_array_of_strings() {
    let (authority, app) = server_and_app().await;

    for value in [
        json!(1),
        json!(true),
        json!(null),
        json!({}),
        json!({"0": RESOURCE}),
        json!([RESOURCE, 1]),
        json!([RESOURCE, null]),
        json!([[RESOURCE]]),
        json!([{"aud": RESOURCE}]),
    ] {
        let answer = app.present(&authority.token().claim("aud", &value).sign()).await;

        assert_invalid!(
            answer,
            ValidationError::Claims(error)
                if error.to_string()
                    == "claim \"aud\": wrong type or range, expected a string or an array of strings",
            "{value}"
        );
    }
}

#[tokio::test]
async fn r7519_05_aud_is_case_sensitive() {
    let (authority, app) = server_and_app().await;

    for value in [json!(RESOURCE), json!([RESOURCE]), json!(["https://other.example.com", RESOURCE])] {
        app.present(&authority.token().claim("aud", value).sign()).await.assert_pass();
    }
    for value in ["HTTPS://orders.example.com", "https://Orders.example.com"] {
        let answer = app.present(&authority.token().audience(value).sign()).await;

        assert_invalid!(answer, ValidationError::AudienceMismatch { found: 1, .. }, "{value}");
    }
}

#[tokio::test]
async fn r7519_06_duplicate_claim_is_refused() {
    let (authority, app) = server_and_app().await;

    for (claim, duplicate) in [
        ("aud", format!("\"aud\":\"{RESOURCE}\"")),
        ("aud", format!(r#""\u0061ud":"{RESOURCE}""#)),
        ("aud", format!(r#""au\u0064":"{RESOURCE}""#)),
        ("exp", "\"exp\":1900000000".to_owned()),
        ("iss", format!("\"iss\":\"{ISSUER}\"")),
        ("sub", r#""\u0073\u0075\u0062":"mallory""#.to_owned()),
        ("foo", r#""foo":1,"foo":1"#.to_owned()),
        ("azp", r#""azp":"a","azp":"a""#.to_owned()),
        ("", r#""":1,"":1"#.to_owned()),
    ] {
        let token = authority.token();
        let claims = serde_json::Value::from(token.claims().clone()).to_string();
        let claims = format!("{},{duplicate}}}", claims.strip_suffix('}').unwrap());
        let answer = app.present(&token.raw_payload(claims).sign()).await;

        assert_invalid!(
            answer,
            ValidationError::MalformedToken(message) if *message == MALFORMED_PAYLOAD,
            "{claim}"
        );
    }
    // An escaped name that appears once is the same claim.
    let token = authority.token();
    let claims =
        serde_json::Value::from(token.claims().clone()).to_string().replace("\"aud\"", r#""\u0061ud""#);
    app.present(&token.raw_payload(claims).sign()).await.assert_pass();
}

#[tokio::test]
async fn payload_that_is_not_one_json_object_is_refused() {
    let (authority, app) = server_and_app().await;
    let claims = serde_json::Value::from(authority.token().claims().clone()).to_string();
    let utf16: Vec<u8> = claims.encode_utf16().flat_map(u16::to_be_bytes).collect();

    for (case, payload) in [
        ("array", format!("[{claims}]").into_bytes()),
        ("string", serde_json::to_vec(&claims).unwrap()),
        ("null", b"null".to_vec()),
        ("nothing", Vec::new()),
        ("byte order mark", format!("\u{feff}{claims}").into_bytes()),
        ("trailing object", format!("{claims}{{}}").into_bytes()),
        ("trailing NUL", format!("{claims}\0").into_bytes()),
        ("comment", format!("{claims}// a").into_bytes()),
        ("trailing comma", claims.replace('}', ",}").into_bytes()),
        ("single quotes", claims.replace('"', "'").into_bytes()),
        ("UTF-16", utf16),
        ("Latin-1", [claims.strip_suffix('}').unwrap().as_bytes(), b",\"foo\":\"\xe9\"}"].concat()),
        (
            "overlong UTF-8",
            [claims.strip_suffix('}').unwrap().as_bytes(), b",\"foo\":\"\xc0\xaf\"}"].concat(),
        ),
        (
            "encoded surrogate",
            [claims.strip_suffix('}').unwrap().as_bytes(), b",\"foo\":\"\xed\xa0\x80\"}"].concat(),
        ),
        ("lone surrogate", claims_with(&authority.token(), "foo", r#""\ud800""#).into_bytes()),
        ("lone surrogate below", claims_with(&authority.token(), "foo", r#"{"a":["\udc00"]}"#).into_bytes()),
        ("257 members", {
            let members: Vec<_> = (0..251).map(|number| format!("\"{number}\":0")).collect();
            let claims = format!("{},{}}}", claims.strip_suffix('}').unwrap(), members.join(","));
            assert_eq!(serde_json::from_str::<Value>(&claims).unwrap().as_object().unwrap().len(), 257);
            claims.into_bytes()
        }),
    ] {
        let answer = app.present(&authority.token().raw_payload(payload).sign()).await;

        assert_invalid!(
            answer,
            ValidationError::MalformedToken(message) if *message == MALFORMED_PAYLOAD,
            "{case}"
        );
    }
}

#[tokio::test]
async fn r7519_07_json_nested_deeper_than_16_levels_is_refused() {
    let (authority, app) = server_and_app().await;
    let arrays = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let objects = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));

    for value in [arrays(15), objects(15)] {
        present_with(&authority, &app, "foo", &value).await.assert_pass();
    }
    for (claim, value) in [
        ("foo", arrays(16)),
        ("foo", objects(16)),
        ("foo", arrays(5_000)),
        ("foo", "[".repeat(9_000)),
        ("act", objects(16)),
        ("aud", arrays(5_000)),
    ] {
        let answer = present_with(&authority, &app, claim, &value).await;

        assert_invalid!(
            answer,
            ValidationError::MalformedToken(message) if *message == MALFORMED_PAYLOAD,
            "{claim} {value:.40}"
        );
    }
}

#[tokio::test]
async fn r7519_07_payload_beyond_12_kib_or_header_beyond_4_kib_is_refused() {
    let (authority, app) = server_and_app().await;
    let filled = |length: usize| authority.token().claim("foo", "x".repeat(length)).sign();

    // A payload of 12 KiB alone takes 16 KiB in base64url, so the limit for the whole token applies first.
    app.present(&filled(11_800)).await.assert_pass();
    let answer = app.present(&filled(12 * 1024)).await;
    assert_invalid!(answer, ValidationError::TokenTooLong { limit: 16_384, .. });

    let header = |length: usize| authority.token().header("foo", "x".repeat(length)).sign();
    app.present(&header(4 * 1024 - 100)).await.assert_pass();
    let answer = app.present(&header(4 * 1024)).await;
    assert_invalid!(
        answer,
        ValidationError::MalformedToken(message) if *message == "header not in base64url, or too long"
    );
}

#[tokio::test]
async fn r7519_08_nested_jwt_is_refused() {
    let (authority, app) = server_and_app().await;

    for cty in ["JWT", "jwt", "Jwt", "application/jwt", "APPLICATION/JWT"] {
        let answer = app.present(&authority.token().header("cty", cty).sign()).await;

        assert_invalid!(
            answer,
            ValidationError::MalformedToken(message) if *message == "nested JWTs are not supported",
            "{cty}"
        );
    }
    // Without `cty`, a nested token is refused because the payload is not a JSON object.
    let inner = authority.token().sign();
    let answer = app.present(&authority.token().raw_payload(inner).sign()).await;
    assert_invalid!(answer, ValidationError::MalformedToken(message) if *message == MALFORMED_PAYLOAD);

    app.present(&authority.token().header("cty", "application/json").sign()).await.assert_pass();
}

#[tokio::test]
async fn r7519_09_iat_in_the_future_is_refused() {
    let (authority, app) = server_and_app().await;
    let now = now(&authority);

    for iat in [0, now, now + 30] {
        app.present(&authority.token().claim("iat", iat).sign()).await.assert_pass();
    }
    for iat in [now + 31, now + 500] {
        let answer = app.present(&authority.token().claim("iat", iat).sign()).await;

        assert_invalid!(
            answer,
            ValidationError::NotYetValid { claim: "iat", from, .. } if *from == UnixTime::from_secs(iat),
            "iat {iat}"
        );
    }
}

#[tokio::test]
async fn r7519_09_token_older_than_the_maximum_age_is_refused() {
    const MAX_AGE: Duration = Duration::from_secs(60);
    let (authority, app) = server_and_app_with(|validator| validator.max_age(MAX_AGE)).await;
    let now = now(&authority);

    app.present(&authority.token().claim("iat", now - 89).sign()).await.assert_pass();
    let answer = app.present(&authority.token().claim("iat", now - 90).sign()).await;
    assert_invalid!(answer, ValidationError::TooOld { iat, max_age: MAX_AGE, .. } if iat.as_secs() == now - 90);

    // A cached token is refused once it is too old.
    let token = authority.token().sign();
    app.present(&token).await.assert_pass();
    authority.clock().advance(Duration::from_secs(89));
    app.present(&token).await.assert_pass();
    authority.clock().advance(Duration::from_secs(1));
    assert_invalid!(app.present(&token).await, ValidationError::TooOld { max_age: MAX_AGE, .. });
}

#[tokio::test]
async fn r7519_10_token_may_be_presented_repeatedly() {
    let authority = TestAuthorizationServer::new(ISSUER);

    for cache_bytes in [0, 1024 * 1024] {
        let validator = authority.jwt_validator(RESOURCE).build().unwrap();
        let server =
            authority.resource_server_with(validator).verdict_cache_bytes(cache_bytes).build().unwrap();
        let app = App::new(server.require_token());
        let token = authority.token().claim("jti", "once").sign();
        let same_jti = authority.token().claim("jti", "once").subject("bob").sign();

        for token in [&token, &token, &same_jti] {
            app.present(token).await.assert_pass();
        }
    }
}

#[tokio::test]
async fn r7519_11_unknown_claims_are_ignored() {
    let (authority, app) = server_and_app().await;

    for (name, value) in [
        ("foo", json!({"exp": 1, "aud": "https://other.example.com"})),
        ("http://example.com/is_root", json!(true)),
        ("EXP", json!(1)),
        ("Aud", json!("https://other.example.com")),
        ("active", json!(false)),
        ("crit", json!(["foo"])),
        ("alg", json!("none")),
        ("", json!(null)),
    ] {
        app.present(&authority.token().claim(name, value).sign()).await.assert_pass();
    }
}
