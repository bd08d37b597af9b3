//! Tokens whose payload differs from a valid one in one thing.

use serde_json::{Value, json};

use super::{Fixture, ISSUER, RESOURCE, Tokens};

pub(super) fn tokens(fixture: &Fixture) -> Tokens {
    let mut tokens: Tokens = Vec::new();
    for (name, value) in values() {
        tokens.push((format!("{name} = {value}"), fixture.token().claim(name, value).sign()));
    }
    for name in ["iss", "aud", "exp", "iat", "sub", "jti", "scope", "client_id"] {
        tokens.push((format!("without {name}"), fixture.token().without_claim(name).sign()));
    }
    let long = ["https://other.example"; 100].map(str::to_owned).into_iter().chain([RESOURCE.to_owned()]);
    let long = fixture.token().claim("aud", long.collect::<Vec<_>>());
    tokens.push(("aud of 101 resources".to_owned(), long.sign()));
    tokens.extend(times(fixture));
    tokens.extend(numbers(fixture));
    tokens.extend(raw(fixture));
    tokens
}

fn values() -> Vec<(&'static str, Value)> {
    let iss = [
        json!("https://other.example"),
        json!(format!("{ISSUER}/")),
        json!("https://AS.example.com"),
        json!(format!(" {ISSUER}")),
        json!(format!("{ISSUER}\u{0}")),
        json!([ISSUER]),
        json!({"iss": ISSUER}),
        json!(""),
        json!(null),
        json!(1),
    ];
    let aud = [
        json!([RESOURCE]),
        json!([RESOURCE, "https://other.example"]),
        json!([RESOURCE, RESOURCE]),
        json!([RESOURCE, 1]),
        json!([1, RESOURCE]),
        json!([RESOURCE, null]),
        json!([[RESOURCE]]),
        json!([]),
        json!([""]),
        json!({ RESOURCE: true }),
        json!("https://other.example"),
        json!(["https://other.example"]),
        json!(format!("{RESOURCE}/")),
        json!(format!("{RESOURCE}/path")),
        json!(format!("{RESOURCE} https://other.example")),
        json!("https://ORDERS.example.com"),
        json!("https://orders.example.com.attacker.example"),
        json!("orders"),
        json!(""),
        json!(null),
        json!(true),
    ];
    let text = || [json!(""), json!(null), json!(1), json!(true), json!(["a"]), json!({})];
    let scope = [
        json!(""),
        json!(null),
        json!(1),
        json!(["orders:read"]),
        json!("orders:read  orders:write"),
        json!("ö"),
    ];
    let cnf = [
        json!({}),
        json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
        json!({"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}),
        json!({"kid": "a"}),
        json!(null),
        json!("a"),
        json!([]),
    ];
    let others = [
        ("unknown", json!({"a": [null, {"b": "c"}]})),
        ("act", json!({"sub": "a-service"})),
        ("auth_time", json!("yesterday")),
        ("acr", json!(1)),
        ("nonce", json!("a-nonce")),
        ("at_hash", json!("77QmUPtjPfzWtF2AnpK9RQ")),
        ("events", json!({"http://schemas.openid.net/event/backchannel-logout": {}})),
        ("azp", json!("web-shop")),
        ("__proto__", json!({"admin": true})),
    ];
    let named = |name, values: Vec<Value>| values.into_iter().map(move |value| (name, value));
    named("iss", iss.into())
        .chain(named("aud", aud.into()))
        .chain(named("sub", text().into()))
        .chain(named("jti", text().into()))
        .chain(named("client_id", text().into()))
        .chain(named("scope", scope.into()))
        .chain(named("cnf", cnf.into()))
        .chain(others)
        .collect()
}

/// Times around their limits: the clock skew is 30 seconds.
fn times(fixture: &Fixture) -> Tokens {
    let mut tokens = Vec::new();
    for (name, offsets) in [
        ("exp", &[-3_600_i64, -31, -30, -29, -1, 0, 1, 3_600, 1_000_000_000][..]),
        ("nbf", &[-3_600, 0, 29, 30, 31, 3_600]),
        ("iat", &[-1_000_000_000, -3_600, 29, 30, 31, 3_600]),
    ] {
        for offset in offsets {
            let time = fixture.now.cast_signed() + offset;
            tokens.push((format!("{name} {offset:+} s from now"), fixture.token().claim(name, time).sign()));
        }
    }
    for (name, fraction) in [("exp", -30.5), ("exp", -29.5), ("nbf", 29.5), ("nbf", 30.5), ("iat", -0.5)] {
        let time = fixture.now as f64 + fraction;
        tokens.push((format!("{name} {fraction:+} s from now"), fixture.token().claim(name, time).sign()));
    }
    tokens
}

/// JSON numbers and other values in the place of a time, as text.
fn numbers(fixture: &Fixture) -> Tokens {
    const TEXTS: &[&str] = &[
        "0",
        "-0",
        "-1",
        "1e10",
        "1E10",
        "1.0e10",
        "10000000000.0",
        "9007199254740993",
        "9223372036854775808",
        "18446744073709551616",
        "1e308",
        "1e400",
        "-1e400",
        "1e-400",
        "99999999999999999999999999999999",
        "01",
        "+1",
        ".5",
        "1.",
        "0x7fffffff",
        "NaN",
        "Infinity",
        "null",
        "true",
        "\"9999999999\"",
        "[9999999999]",
        "{}",
    ];
    let mut tokens = Vec::new();
    for name in ["exp", "nbf", "iat"] {
        for text in TEXTS {
            tokens.push((
                format!("{name}: {text}"),
                fixture.token().raw_payload(with_text(fixture, name, text)).sign(),
            ));
        }
    }
    tokens
}

/// Payloads that serde_json would not write.
fn raw(fixture: &Fixture) -> Tokens {
    let valid = Value::from(fixture.token().claims().clone()).to_string();
    let open = valid.strip_suffix('}').unwrap();
    let nested = |depth: usize| format!("{open},\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let payloads: Vec<(&str, Vec<u8>)> = vec![
        ("iss twice", format!("{open},\"iss\":\"{ISSUER}\"}}").into()),
        ("aud twice, the first one ours", format!("{open},\"aud\":\"https://other.example\"}}").into()),
        ("exp twice", format!("{open},\"exp\":9999999999}}").into()),
        ("exp twice, one escaped", format!("{open},\"\\u0065xp\":9999999999}}").into()),
        ("unknown member twice", format!("{open},\"a\":1,\"a\":2}}").into()),
        ("member twice in an object", format!("{open},\"a\":{{\"b\":1,\"b\":2}}}}").into()),
        ("member twice in cnf", format!("{open},\"cnf\":{{\"jkt\":\"a\",\"jkt\":\"b\"}}}}").into()),
        ("white space", format!("\n\t {valid}\r\n ").into()),
        ("byte order mark", format!("\u{feff}{valid}").into()),
        ("text after it", format!("{valid}x").into()),
        ("null byte after it", format!("{valid}\u{0}").into()),
        ("trailing comma", format!("{open},}}").into()),
        ("comment", format!("{open}/**/}}").into()),
        ("invalid UTF-8", [open.as_bytes(), b",\"a\":\"\xff\"}"].concat()),
        ("overlong UTF-8", [open.as_bytes(), b",\"a\":\"\xc0\xaf\"}"].concat()),
        ("UTF-16", valid.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("lone surrogate", format!("{open},\"a\":\"\\ud800\"}}").into()),
        ("surrogate pair", format!("{open},\"a\":\"\\ud83d\\ude00\"}}").into()),
        ("control character", format!("{open},\"a\":\"\u{1}\"}}").into()),
        ("NaN", format!("{open},\"a\":NaN}}").into()),
        ("number too large for a float", format!("{open},\"a\":1e400}}").into()),
        ("nested 20 deep", nested(20).into()),
        ("nested 200 deep", nested(200).into()),
        ("nested 4000 deep", nested(4_000).into()),
        ("array", format!("[{valid}]").into()),
        ("string", b"\"claims\"".to_vec()),
        ("null", b"null".to_vec()),
        ("empty object", b"{}".to_vec()),
        ("nothing", Vec::new()),
        ("8 KiB", format!("{open},\"a\":\"{}\"}}", "x".repeat(8 * 1024)).into()),
        ("64 KiB", format!("{open},\"a\":\"{}\"}}", "x".repeat(64 * 1024)).into()),
    ];
    let token = |(name, payload)| (format!("payload: {name}"), fixture.token().raw_payload(payload).sign());
    payloads.into_iter().map(token).collect()
}

fn with_text(fixture: &Fixture, name: &str, text: &str) -> String {
    let mut claims = fixture.token().claims().clone();
    claims.remove(name);
    let others = Value::from(claims).to_string();
    format!("{},\"{name}\":{text}}}", others.strip_suffix('}').unwrap())
}
