//! Tokens whose header differs from a valid one in one thing.

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use tower_bearer::{Algorithm, testing::SigningKey};

use super::{Fixture, Tokens};
use crate::support::base64url;

pub(super) fn tokens(fixture: &Fixture) -> Tokens {
    let mut tokens: Tokens = Vec::new();
    for key in &fixture.keys {
        tokens.push((format!("valid, {}", key.algorithm()), fixture.token().key(key).sign()));
    }
    tokens.extend(parameters().into_iter().map(|(name, value)| {
        (format!("header {name} = {value}"), fixture.token().header(name, value).sign())
    }));
    for name in ["alg", "typ", "kid"] {
        tokens.push((format!("header without {name}"), fixture.token().without_header(name).sign()));
    }
    let eddsa = fixture.token().key(fixture.key(Algorithm::EdDSA));
    for length in [2_000, 8_000] {
        let token = fixture.token().header("unknown", "x".repeat(length));
        tokens.push((format!("header with {length} more bytes"), token.sign()));
    }
    tokens.push(("alg Ed25519 with a key for EdDSA".to_owned(), eddsa.header("alg", "Ed25519").sign()));
    tokens.extend(raw(fixture));
    tokens.extend(confusions(fixture));
    tokens
}

fn parameters() -> Vec<(&'static str, Value)> {
    let typ = [
        json!("JWT"),
        json!("AT+JWT"),
        json!("at+JWT"),
        json!("application/at+jwt"),
        json!("APPLICATION/AT+JWT"),
        json!("application/application/at+jwt"),
        json!("at+jwt;v=1"),
        json!("at+jwt "),
        json!(" at+jwt"),
        json!("at-jwt"),
        json!("dpop+jwt"),
        json!("id_token+jwt"),
        json!("text/at+jwt"),
        json!(""),
        json!(null),
        json!(1),
        json!(["at+jwt"]),
    ];
    let alg = [
        json!("none"),
        json!("None"),
        json!("NONE"),
        json!("es256"),
        json!("ES256 "),
        json!("ES256K"),
        json!("ES384"),
        json!("RS256"),
        json!("HS256"),
        json!("RSA-OAEP"),
        json!(""),
        json!(null),
        json!(256),
        json!(["ES256"]),
    ];
    let kid = [
        json!("unknown"),
        json!("RS256"),
        json!("es256"),
        json!("ES256 "),
        json!("ES256\u{0}"),
        json!(""),
        json!(null),
        json!(256),
        json!(["ES256"]),
        json!({"kid": "ES256"}),
        json!("../../dev/null"),
    ];
    let crit = [
        json!([]),
        json!(["exp"]),
        json!(["alg"]),
        json!(["crit"]),
        json!(["b64"]),
        json!(["unknown"]),
        json!(["", ""]),
        json!([1]),
        json!("b64"),
        json!({}),
        json!(null),
    ];
    let others = [
        ("b64", json!(true)),
        ("b64", json!(false)),
        ("cty", json!("JWT")),
        ("cty", json!("json")),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("jku", json!("https://attacker.example/jwks")),
        ("x5u", json!("https://attacker.example/certificate")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("iss", json!("https://attacker.example")),
        ("nonce", json!("a-nonce")),
        ("unknown", json!({"a": [1, {"b": null}]})),
    ];
    let named = |name, values: Vec<Value>| values.into_iter().map(move |value| (name, value));
    named("typ", typ.into())
        .chain(named("alg", alg.into()))
        .chain(named("kid", kid.into()))
        .chain(named("crit", crit.into()))
        .chain(others)
        .collect()
}

/// Headers that serde_json would not write.
fn raw(fixture: &Fixture) -> Tokens {
    const HEADERS: &[(&str, &[u8])] = &[
        ("alg twice", br#"{"alg":"none","alg":"ES256","kid":"ES256","typ":"at+jwt"}"#),
        ("alg twice, the last one none", br#"{"alg":"ES256","kid":"ES256","typ":"at+jwt","alg":"none"}"#),
        ("alg twice, one escaped", br#"{"\u0061lg":"none","alg":"ES256","kid":"ES256","typ":"at+jwt"}"#),
        ("alg escaped", br#"{"\u0061lg":"ES256","kid":"ES256","typ":"at+jwt"}"#),
        ("kid twice", br#"{"alg":"ES256","kid":"RS256","kid":"ES256","typ":"at+jwt"}"#),
        ("typ twice", br#"{"alg":"ES256","kid":"ES256","typ":"JWT","typ":"at+jwt"}"#),
        ("unknown member twice", br#"{"alg":"ES256","kid":"ES256","typ":"at+jwt","a":1,"a":2}"#),
        ("crit twice", br#"{"alg":"ES256","kid":"ES256","typ":"at+jwt","crit":["x"],"crit":[]}"#),
        ("white space", b" {\n\t\"alg\" : \"ES256\",\r\n\"kid\":\"ES256\",\"typ\":\"at+jwt\" } "),
        ("byte order mark", b"\xef\xbb\xbf{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"at+jwt\"}"),
        ("text after it", br#"{"alg":"ES256","kid":"ES256","typ":"at+jwt"}x"#),
        ("another object after it", br#"{"alg":"ES256","kid":"ES256","typ":"at+jwt"}{}"#),
        ("trailing comma", br#"{"alg":"ES256","kid":"ES256","typ":"at+jwt",}"#),
        ("comment", br#"{/**/"alg":"ES256","kid":"ES256","typ":"at+jwt"}"#),
        ("single quotes", br#"{'alg':'ES256','kid':'ES256','typ':'at+jwt'}"#),
        ("NaN", br#"{"alg":"ES256","kid":"ES256","typ":"at+jwt","a":NaN}"#),
        ("number too large for a float", br#"{"alg":"ES256","kid":"ES256","typ":"at+jwt","a":1e400}"#),
        ("invalid UTF-8", b"{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"at+jwt\",\"a\":\"\xff\"}"),
        ("lone surrogate", br#"{"alg":"ES256","kid":"ES256","typ":"at+jwt","a":"\ud800"}"#),
        ("control character", b"{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"at+jwt\",\"a\":\"\x01\"}"),
        ("prototype", br#"{"alg":"ES256","kid":"ES256","__proto__":{"typ":"at+jwt"}}"#),
        ("array", br#"[{"alg":"ES256","kid":"ES256","typ":"at+jwt"}]"#),
        ("string", br#""ES256""#),
        ("null", b"null"),
        ("empty object", b"{}"),
        ("nothing", b""),
    ];
    let header = |(name, header): &(&str, &[u8])| {
        (format!("header: {name}"), fixture.token().raw_header(*header).sign())
    };
    HEADERS.iter().map(header).collect()
}

/// Tokens that are signed with another key or algorithm than their header says.
fn confusions(fixture: &Fixture) -> Tokens {
    let mut tokens = Vec::new();
    let mut add = |name: &str, token| tokens.push((name.to_owned(), token));
    let (es256, rs256) = (fixture.key(Algorithm::ES256), fixture.key(Algorithm::RS256));

    let other = SigningKey::generate("ES256", Algorithm::ES256);
    add("signed with an unpublished key", fixture.token().key(&other).sign());
    let embedded = fixture.token().key(&other).header("jwk", other.jwk());
    add("signed with the key in its header", embedded.clone().sign());
    add("signed with the key in its header, without kid", embedded.without_header("kid").sign());
    for (algorithm, kid) in
        [(Algorithm::PS256, "RS256"), (Algorithm::RS384, "RS256"), (Algorithm::RS256, "PS256")]
    {
        let token = fixture.token().key(&rs256.with_algorithm(algorithm).with_kid(kid)).sign();
        add(&format!("{algorithm} with a key for {kid}"), token);
    }
    let ps256 = fixture.token().key(&rs256.with_algorithm(Algorithm::PS256).with_kid("PS256"));
    add("PS256 declared as PS384", ps256.header("alg", "PS384").header("kid", "PS384").sign());

    // RFC 8725 section 2.1: a public key used as a shared secret.
    for (name, key) in [("RS256", rs256), ("ES256", es256)] {
        let unsigned = fixture.token().key(key).header("alg", "HS256").signature([0]).sign();
        let (signed, _) = unsigned.rsplit_once('.').unwrap();
        let secret = hmac::Key::new(hmac::HMAC_SHA256, key.jwk().to_string().as_bytes());
        let mac = base64url(hmac::sign(&secret, signed.as_bytes()));
        add(&format!("HS256 with the public key {name} as secret"), format!("{signed}.{mac}"));
    }
    tokens
}
