//! Valid tokens in another form than the compact one, or with other base64.

use super::{Fixture, Tokens};
use crate::support::base64url;

pub(super) fn tokens(fixture: &Fixture) -> Tokens {
    let valid = fixture.token().sign();
    let parts: Vec<_> = valid.split('.').map(str::to_owned).collect();
    let [header, payload, signature] = &parts[..] else { unreachable!("a JWT has three parts") };
    let mut tokens: Tokens = vec![
        ("two parts".to_owned(), format!("{header}.{payload}")),
        ("two parts and a dot".to_owned(), format!("{header}.{payload}.")),
        ("four parts".to_owned(), format!("{valid}.{signature}")),
        ("four parts, the last one empty".to_owned(), format!("{valid}.")),
        ("five parts".to_owned(), format!("{header}.{payload}.{payload}.{payload}.{signature}")),
        ("dot in front".to_owned(), format!(".{valid}")),
        ("empty payload".to_owned(), format!("{header}..{signature}")),
        ("empty header".to_owned(), format!(".{payload}.{signature}")),
        ("nothing".to_owned(), String::new()),
        ("only dots".to_owned(), "..".to_owned()),
        ("parts in another order".to_owned(), format!("{payload}.{header}.{signature}")),
        ("token in a token".to_owned(), nested(fixture, &valid)),
        ("JSON serialization".to_owned(), {
            format!(r#"{{"protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#)
        }),
        ("percent-encoded dot".to_owned(), valid.replace('.', "%2E")),
        ("scheme inside".to_owned(), format!("Bearer {valid}")),
        ("200 KiB of nothing".to_owned(), format!("{header}.{}.{signature}", "A".repeat(200 * 1024))),
    ];
    for (name, text) in [
        ("space", " "),
        ("line feed", "\n"),
        ("tab", "\t"),
        ("null byte", "\0"),
        ("letter", "é"),
        ("comma", ","),
    ] {
        tokens.push((format!("{name} in front"), format!("{text}{valid}")));
        tokens.push((format!("{name} at the end"), format!("{valid}{text}")));
        let middle = payload.len() / 2;
        let (one, other) = payload.split_at(middle);
        tokens.push((format!("{name} in the payload"), format!("{header}.{one}{text}{other}.{signature}")));
    }
    for (index, name) in ["header", "payload", "signature"].iter().enumerate() {
        let replaced = |part: String| {
            let mut parts = parts.clone();
            parts[index] = part;
            parts.join(".")
        };
        let part = &parts[index];
        tokens.push((format!("{name} with one ="), replaced(format!("{part}="))));
        tokens.push((format!("{name} with two =="), replaced(format!("{part}=="))));
        tokens.push((format!("{name} with one more character"), replaced(format!("{part}A"))));
        tokens.push((
            format!("{name} without its last character"),
            replaced(part[..part.len() - 1].to_owned()),
        ));
    }
    tokens.extend(signed_forms(fixture));
    // The last character of 64 bytes carries 4 unused bits.
    let last = signature.chars().last().unwrap();
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let index = ALPHABET.find(last).unwrap();
    let same_bits = &ALPHABET[index + 1..=index + 1];
    let cut = &valid[..valid.len() - 1];
    tokens.push(("signature with unused bits set".to_owned(), format!("{cut}{same_bits}")));
    tokens
}

/// Tokens whose parts were signed in the form that they are sent in.
fn signed_forms(fixture: &Fixture) -> Tokens {
    let key = fixture.key(tower_bearer::Algorithm::ES256);
    let sign = |header: &str, payload: &str| {
        let signed = format!("{header}.{payload}");
        let signature = base64url(key.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    };
    // Made of bytes that give `-` or `_`, and of a length that leaves unused bits.
    let token = fixture.token().claim("a", "~~~???>>>ÿÿÿ").sign();
    let [header, payload] = [0, 1].map(|index| token.split('.').nth(index).unwrap());
    assert!(payload.contains(['-', '_']), "nothing to replace in {payload}");
    let standard = payload.replace('-', "+").replace('_', "/");
    let padding = "=".repeat((4 - payload.len() % 4) % 4);
    vec![
        ("signed with the standard alphabet".to_owned(), sign(header, &standard)),
        ("signed with padding".to_owned(), sign(header, &format!("{payload}{padding}="))),
        ("signed with a line feed".to_owned(), sign(header, &format!("{payload}\n"))),
        ("signed with a line feed in the header".to_owned(), sign(&format!("{header}\n"), payload)),
        ("signed without base64".to_owned(), sign(header, r#"{"iss":"https://as.example.com"}"#)),
        ("signed with another encoding of the header".to_owned(), sign(&format!("{header}="), payload)),
    ]
}

fn nested(fixture: &Fixture, valid: &str) -> String {
    fixture.token().header("cty", "JWT").raw_payload(valid).sign()
}
