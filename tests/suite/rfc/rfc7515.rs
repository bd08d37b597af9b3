//! Proves how a JWS in compact form is parsed and verified (RFC 7515, RFC 7797 section 7).

use std::net::TcpListener;

use http::StatusCode;
use serde_json::json;
use tower_bearer::{
    Algorithm, ValidationError,
    testing::{SigningKey, TestAuthorizationServer, TokenBuilder},
};

use crate::support::{App, assert_invalid, base64url, from_base64url, server_and_app};

const HEADER_NOT_BASE64URL: &str = "header not in base64url, or too long";
const PAYLOAD_NOT_BASE64URL: &str = "payload not in base64url, or too long";
const SIGNATURE_NOT_BASE64URL: &str = "signature not in base64url";
const HEADER_NOT_OBJECT: &str = "header is not a JSON object, or has a duplicate member";
const CRITICAL: &str = "crit is present, and no critical parameter is supported";
const B64: &str = "b64 is not allowed in a JWT";

/// Presents a token and asserts that it is refused as malformed with this message.
async fn assert_malformed(app: &App, token: &str, message: &str) {
    let answer = app.present(token).await;

    assert_invalid!(answer, ValidationError::MalformedToken(found) if *found == message, "{token:.80}");
}

fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().unwrap()
}

/// Returns the token's header as JSON text.
fn header_json(token: &TokenBuilder) -> String {
    serde_json::Value::from(token.header_parameters().clone()).to_string()
}

/// Returns the token's header as JSON text, with these members appended.
fn header_and(token: &TokenBuilder, members: &str) -> String {
    format!("{},{members}}}", header_json(token).strip_suffix('}').unwrap())
}

#[tokio::test]
async fn r7515_01_token_without_exactly_three_parts_is_refused() {
    let (authority, app) = server_and_app().await;
    let token = authority.token().sign();
    let [header, payload, signature] = parts(&token);

    for (token, message) in [
        (header.to_owned(), "does not have three parts"),
        (format!("{header}.{payload}"), "does not have three parts"),
        (format!("{token}.{signature}"), "does not have three parts"),
        (format!("{token}."), "does not have three parts"),
        (format!(".{token}"), "does not have three parts"),
        (format!("{token}.{payload}.{signature}"), "five parts: encrypted tokens are not supported"),
        (format!("{token}.a.b.c"), "does not have three parts"),
        (format!(".{payload}.{signature}"), HEADER_NOT_OBJECT),
        ("..".to_owned(), HEADER_NOT_OBJECT),
        (".".repeat(16_000), "does not have three parts"),
    ] {
        assert_malformed(&app, &token, message).await;
    }
}

#[tokio::test]
async fn r7515_01_standard_alphabet_or_padding_is_refused() {
    let (authority, app) = server_and_app().await;
    // At any alignment, a run of `?` encodes to `_` in base64url and to `/` in standard base64.
    let builder = authority.token().header("foo", "?????").claim("foo", "?????");
    let token = loop {
        let token = builder.clone().sign();
        if parts(&token).iter().all(|part| part.contains('_')) {
            break token;
        }
    };
    app.present(&token).await.assert_pass();
    let [header, payload, signature] = parts(&token);
    let other_alphabet = |part: &str| part.replace('_', "/").replace('-', "+");

    for (token, message) in [
        (format!("{}.{payload}.{signature}", other_alphabet(header)), HEADER_NOT_BASE64URL),
        (format!("{header}.{}.{signature}", other_alphabet(payload)), PAYLOAD_NOT_BASE64URL),
        (format!("{header}.{payload}.{}", other_alphabet(signature)), SIGNATURE_NOT_BASE64URL),
        (format!("{token}=="), SIGNATURE_NOT_BASE64URL),
        (format!("{token}="), SIGNATURE_NOT_BASE64URL),
    ] {
        assert_malformed(&app, &token, message).await;
    }
    // With padding in the middle it is not even token68, so the request is malformed (R6750-03).
    app.present(&format!("{header}=.{payload}.{signature}")).await.assert_invalid_request();
}

#[tokio::test]
async fn r7515_02_non_canonical_base64url_is_refused() {
    /// Changes an unused bit in the last character, so that the decoded bytes stay the same.
    fn with_trailing_bit(part: &str) -> String {
        const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        assert_ne!(part.len() % 4, 0, "the last character has no unused bits");
        let (rest, last) = part.split_at(part.len() - 1);
        let value = ALPHABET.find(last).unwrap();
        format!("{rest}{}", &ALPHABET[value + 1..value + 2])
    }
    let (authority, app) = server_and_app().await;
    let with_spare_bits = |name: &str| {
        let fits = |filler: &String| {
            let token = match name {
                "header" => authority.token().header("foo", filler),
                _ => authority.token().claim("foo", filler),
            };
            let token = token.sign();
            let [header, payload, _] = parts(&token);
            let part = if name == "header" { header } else { payload };
            (part.len() % 4 != 0).then_some(token.clone())
        };
        ["", "a", "aa"].into_iter().map(str::to_owned).find_map(|filler| fits(&filler)).unwrap()
    };

    let token = with_spare_bits("header");
    app.present(&token).await.assert_pass();
    let [header, payload, signature] = parts(&token);
    let changed = format!("{}.{payload}.{signature}", with_trailing_bit(header));
    assert_malformed(&app, &changed, HEADER_NOT_BASE64URL).await;

    let token = with_spare_bits("payload");
    app.present(&token).await.assert_pass();
    let [header, payload, signature] = parts(&token);
    let changed = format!("{header}.{}.{signature}", with_trailing_bit(payload));
    assert_malformed(&app, &changed, PAYLOAD_NOT_BASE64URL).await;
    let changed = format!("{header}.{payload}.{}", with_trailing_bit(signature));
    assert_malformed(&app, &changed, SIGNATURE_NOT_BASE64URL).await;
}

#[tokio::test]
async fn r7515_03_header_that_is_not_one_json_object_is_refused() {
    let (authority, app) = server_and_app().await;
    let header = header_json(&authority.token());
    let utf16: Vec<u8> = header.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut latin1 = header_and(&authority.token(), r#""foo":"?""#).into_bytes();
    let last = latin1.len() - 3;
    latin1[last] = 0xe9;

    for (case, text) in [
        ("array", format!("[{header}]").into_bytes()),
        ("byte order mark", format!("\u{feff}{header}").into_bytes()),
        ("trailing word", format!("{header}x").into_bytes()),
        ("trailing object", format!("{header}{{}}").into_bytes()),
        ("trailing NUL", format!("{header}\0").into_bytes()),
        ("string", serde_json::to_vec(&header).unwrap()),
        ("null", b"null".to_vec()),
        ("empty", Vec::new()),
        ("truncated", header.as_bytes()[..header.len() - 1].to_vec()),
        ("UTF-16", utf16),
        ("Latin-1", latin1),
        ("lone surrogate", header_and(&authority.token(), r#""foo":"\ud800""#).into_bytes()),
    ] {
        let answer = app.present(&authority.token().raw_header(text).sign()).await;

        assert_invalid!(answer, ValidationError::MalformedToken(message) if *message == HEADER_NOT_OBJECT, "{case}");
    }
    // Whitespace around the object is valid JSON.
    app.present(&authority.token().raw_header(format!(" {header}\r\n")).sign()).await.assert_pass();
}

#[tokio::test]
async fn r7515_04_duplicate_header_member_is_refused() {
    let (authority, app) = server_and_app().await;

    for member in [
        r#""alg":"ES256""#,
        r#""\u0061lg":"ES256""#,
        r#""al\u0067":"none""#,
        r#""typ":"at+jwt""#,
        r#""kid":"key-1""#,
        r#""foo":1,"foo":1"#,
    ] {
        let header = header_and(&authority.token(), member);
        let answer = app.present(&authority.token().raw_header(header).sign()).await;

        assert_invalid!(answer, ValidationError::MalformedToken(message) if *message == HEADER_NOT_OBJECT, "{member}");
    }
    // An escaped name that appears once is the same parameter.
    let header = header_json(&authority.token()).replace("\"alg\"", r#""\u0061lg""#);
    app.present(&authority.token().raw_header(header).sign()).await.assert_pass();
}

#[tokio::test]
async fn r7515_05_any_crit_is_refused() {
    let (authority, app) = server_and_app().await;

    for (case, members) in [
        ("unknown name", r#""crit":["foo"],"foo":1"#),
        ("empty list", r#""crit":[]"#),
        ("not an array", r#""crit":"foo","foo":1"#),
        ("name not in the header", r#""crit":["foo"]"#),
        ("name of a standard parameter", r#""crit":["alg"]"#),
        ("name of a claim", r#""crit":["exp"],"exp":1"#),
        ("duplicate name", r#""crit":["foo","foo"],"foo":1"#),
        ("null", r#""crit":null"#),
    ] {
        let header = header_and(&authority.token(), members);
        let answer = app.present(&authority.token().raw_header(header).sign()).await;

        assert_invalid!(answer, ValidationError::MalformedToken(message) if *message == CRITICAL, "{case}");
    }
}

#[tokio::test]
async fn r7515_06_b64_is_refused_with_and_without_crit() {
    let (authority, app) = server_and_app().await;

    for (members, expected) in [
        (r#""crit":["b64"],"b64":false"#, CRITICAL),
        (r#""b64":false"#, B64),
        (r#""b64":true"#, B64),
        (r#""b\u00364":false"#, B64),
    ] {
        let header = header_and(&authority.token(), members);
        let answer = app.present(&authority.token().raw_header(header).sign()).await;

        assert_invalid!(answer, ValidationError::MalformedToken(message) if *message == expected, "{members}");
    }
}

#[tokio::test]
async fn r7515_07_token_with_any_flipped_bit_is_refused() {
    let (authority, app) = server_and_app().await;
    let token = authority.token().header("foo", "a").sign();
    app.present(&token).await.assert_pass();
    let decoded: Vec<_> = parts(&token).into_iter().map(from_base64url).collect();
    let with = |part: usize, change: &dyn Fn(&mut Vec<u8>)| {
        let mut changed = decoded.clone();
        change(&mut changed[part]);
        changed.iter().map(base64url).collect::<Vec<_>>().join(".")
    };

    // Header and payload stay valid here, so that only the signature check can fail.
    let position = |part: usize, text: &str| {
        String::from_utf8(decoded[part].clone()).unwrap().find(text).unwrap() + text.len()
    };
    let in_header = position(0, r#""foo":""#);
    let in_payload = position(1, r#""sub":""#);
    for token in [
        with(0, &|bytes| bytes[in_header] ^= 2),
        with(1, &|bytes| bytes[in_payload] ^= 2),
        with(2, &|bytes| bytes[0] ^= 1),
        with(2, &|bytes| bytes[63] ^= 0x80),
        with(2, &|bytes| bytes.rotate_left(32)),
    ] {
        assert_invalid!(app.present(&token).await, ValidationError::BadSignature);
    }

    for (part, bytes) in decoded.iter().enumerate() {
        for index in 0..bytes.len() {
            let answer = app.present(&with(part, &|bytes| bytes[index] ^= 1 << (index % 8))).await;

            answer.assert_invalid_token();
        }
    }
}

#[tokio::test]
async fn r7515_08_keys_in_the_header_are_ignored() {
    let (authority, app) = server_and_app().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    let attacker = SigningKey::generate("attacker", Algorithm::ES256);
    let parameters = [
        ("jwk", attacker.jwk()),
        ("jku", json!(url)),
        ("x5u", json!(url)),
        ("x5c", json!([base64url("certificate")])),
        ("x5t", json!(base64url([7; 20]))),
        ("x5t#S256", json!(base64url([7; 32]))),
    ];

    for (name, value) in &parameters {
        // Signed with the attacker's key, under its own `kid`, the server's `kid`, and no `kid`.
        let answer = app.present(&authority.token().key(&attacker).header(name, value).sign()).await;
        assert_invalid!(
            answer,
            ValidationError::UnknownKey { kid: Some(_), algorithm: "ES256", .. },
            "{name}"
        );
        let renamed = attacker.with_kid(authority.keys()[0].kid());
        let answer = app.present(&authority.token().key(&renamed).header(name, value).sign()).await;
        assert_invalid!(answer, ValidationError::BadSignature, "{name}");
        let answer = app
            .present(&authority.token().key(&attacker).without_header("kid").header(name, value).sign())
            .await;
        assert_invalid!(answer, ValidationError::BadSignature, "{name}");

        // With a valid signature the parameter is ignored. Entra sends some of them.
        app.present(&authority.token().header(name, value).sign()).await.assert_pass();
    }

    let all = parameters.iter().fold(authority.token(), |token, (name, value)| token.header(name, value));
    app.present(&all.sign()).await.assert_pass();
    assert_eq!(
        listener.accept().unwrap_err().kind(),
        std::io::ErrorKind::WouldBlock,
        "the URL in the token was fetched"
    );
    let urls = [authority.metadata_url(), authority.jwks_uri()];
    assert!(authority.requests().iter().all(|request| urls.contains(&request.uri().to_string())));
}

#[tokio::test]
async fn r7515_09_empty_signature_is_refused() {
    let (authority, app) = server_and_app().await;

    assert_malformed(&app, &authority.token().signature([]).sign(), "empty signature").await;
}

#[tokio::test]
async fn r7515_10_unknown_header_parameters_are_ignored() {
    let (authority, app) = server_and_app().await;

    for value in [json!(1), json!(null), json!({"a": [{"b": "c"}]}), json!("none")] {
        let token = authority.token().header("foo", &value).header("http://example.com/alg", "none").sign();

        app.present(&token).await.assert_pass();
    }
}

#[tokio::test]
async fn jws_in_json_serialization_is_a_malformed_request() {
    let (authority, app) = server_and_app().await;
    let token = authority.token().sign();
    let [header, payload, signature] = parts(&token);

    for text in [
        json!({"protected": header, "payload": payload, "signature": signature}),
        json!({"payload": payload, "signatures": [{"protected": header, "signature": signature}]}),
    ] {
        let answer = app.present(&text.to_string()).await;

        assert!(matches!(answer.reason, Some(ValidationError::MalformedCredentials)), "{:?}", answer.reason);
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn malformed_tokens_cause_no_request() {
    let authority = TestAuthorizationServer::new("https://as.example.com");
    let app = App::new(authority.resource_server("https://orders.example.com").require_token());

    for token in [
        authority.token().header("alg", "none").sign(),
        authority.token().header("alg", "none").signature([]).sign(),
        authority.token().signature([]).sign(),
        authority.token().raw_header("[]").sign(),
        authority.token().header("crit", json!([])).sign(),
        authority.token().header("typ", "JWT").sign(),
        authority.token().header("kid", json!([])).sign(),
    ] {
        app.present(&token).await.assert_invalid_token();
    }

    assert_eq!(authority.requests().len(), 0);
}

#[tokio::test]
async fn header_with_more_than_32_parameters_is_refused() {
    let (authority, app) = server_and_app().await;
    let wide = |count: usize| {
        (0..count).fold(authority.token(), |token, index| token.header(&format!("x{index}"), 0))
    };

    // Plus `typ`, `alg` and `kid`.
    app.present(&wide(29).sign()).await.assert_pass();
    assert_invalid!(app.present(&wide(30).sign()).await, ValidationError::MalformedToken(_));
}
