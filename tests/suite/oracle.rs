//! Proves with random changes that jsonwebtoken accepts every token that this crate accepts.
//!
//! The reverse is not tested, because jsonwebtoken also accepts tokens that RFC 9068 refuses.

#![allow(clippy::disallowed_methods, reason = "jsonwebtoken is the reference")]

use std::{
    cell::Cell,
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, Validation};
use proptest::{prelude::*, sample::Index, test_runner::TestRunner};
use serde_json::{Value, json};
use tower_bearer::{
    AccessToken, AccessTokenRule, Algorithm, AuthorizationServer, Clock as _, JwtValidator, KeySet,
    TokenValidator as _, UnixTime, ValidatedToken, ValidationError,
    testing::{SigningKey, TestAuthorizationServer, TokenBuilder},
};

const ISSUER: &str = "https://as.example.com";
const RESOURCE: &str = "https://orders.example.com";

/// The algorithms that both crates support.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// An authorization server, one key per algorithm, and a strict and a lenient validator.
struct Fixture {
    authority: TestAuthorizationServer,
    keys: Vec<SigningKey>,
    strict: JwtValidator,
    lenient: JwtValidator,
}

impl Fixture {
    fn get() -> &'static Self {
        static FIXTURE: OnceLock<Fixture> = OnceLock::new();
        FIXTURE.get_or_init(Self::new)
    }

    fn new() -> Self {
        let rsa = SigningKey::generate("rsa", Algorithm::RS256);
        let keys: Vec<_> = ALGORITHMS
            .into_iter()
            .map(|algorithm| match algorithm {
                Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA => {
                    SigningKey::generate(algorithm.as_str(), algorithm)
                }
                _ => rsa.with_algorithm(algorithm).with_kid(algorithm.as_str()),
            })
            .collect();
        let authority = TestAuthorizationServer::new(ISSUER);
        // jsonwebtoken always uses the system clock.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        authority.clock().set(UnixTime::from_secs(now.as_secs()));
        let jwks = json!({"keys": keys.iter().map(SigningKey::jwk).collect::<Vec<_>>()});
        let server = AuthorizationServer::with_endpoints(ISSUER)
            .http_client(authority.clone())
            .keys(KeySet::from_jwks(&jwks.to_string()).unwrap());
        let builder = || JwtValidator::builder(server.clone(), RESOURCE).clock(authority.clock().clone());
        let strict = builder().build().unwrap();
        let by_audience = AccessTokenRule::audience_is_only_in_access_tokens();
        let lenient = builder().accept_typ_jwt(by_audience).build().unwrap();
        Self { authority, keys, strict, lenient }
    }

    fn token(&self, key: &SigningKey) -> TokenBuilder {
        self.authority.token().audience(RESOURCE).key(key)
    }

    /// Validates a token with this crate in the lenient profile.
    fn validate(&self, token: &str) -> Result<ValidatedToken, ValidationError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let token = AccessToken::new(token);
        let strict = runtime.block_on(self.strict.validate(&token));
        let lenient = runtime.block_on(self.lenient.validate(&token));
        assert!(
            strict.is_err() || lenient.is_ok(),
            "the lenient profile refuses a token that the strict one accepts"
        );
        lenient
    }

    /// Validates a token with jsonwebtoken, with the key and algorithm from the token's header.
    fn validate_with_jsonwebtoken(&self, token: &str) -> Result<Value, String> {
        let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
        let kid = header.kid.clone();
        let key = self.keys.iter().find(|key| match &kid {
            Some(kid) => key.kid() == kid,
            None => key.algorithm().as_str() == format!("{:?}", header.alg),
        });
        let jwk = key.ok_or("no such key")?.jwk();
        let key = DecodingKey::from_jwk(&serde_json::from_value(jwk).unwrap()).unwrap();
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[RESOURCE, "https://orders.example.com/"]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.validate_nbf = true;
        // One second more than our clock skew, plus the time since our clock was set.
        validation.leeway = 31 + self.age();
        let decoded = jsonwebtoken::decode::<Value>(token, &key, &validation);
        decoded.map(|decoded| decoded.claims).map_err(|error| error.to_string())
    }

    /// Returns the seconds since the clock was set.
    fn age(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        now - self.authority.clock().now().as_secs()
    }
}

/// A change made before the token is signed, so that the signature stays valid.
#[derive(Clone, Debug)]
enum Change {
    Claim(&'static str, Value),
    WithoutClaim(&'static str),
    Header(&'static str, Value),
    WithoutHeader(&'static str),
    /// Signs with another key than the header names.
    SignedBy(Index),
}

/// A change to the signed text, so that the signature is no longer valid.
#[derive(Clone, Debug)]
enum Damage {
    FlipBit { part: usize, at: Index, bit: u8 },
    DropByte { part: usize, at: Index },
    ReplaceCharacter { at: Index, by: char },
    InsertCharacter { at: Index, character: char },
    SwapParts(usize, usize),
    Cut(Index),
    Append(&'static str),
}

fn any_value() -> impl Strategy<Value = Value> {
    let now = Fixture::get().authority.clock().now().as_secs();
    prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!(ISSUER)),
        Just(json!([ISSUER])),
        Just(json!(RESOURCE)),
        Just(json!([RESOURCE])),
        Just(json!([RESOURCE, "https://other.example.com"])),
        Just(json!(["https://other.example.com"])),
        Just(json!([RESOURCE, 1])),
        Just(json!(format!("{RESOURCE}/"))),
        "[a-z:/.]{0,12}".prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-100_i64..100).prop_map(move |offset| json!(now.cast_signed() + offset)),
        (-100.0_f64..100.0).prop_map(move |offset| json!(now as f64 + offset)),
        any::<f64>()
            .prop_filter("JSON numbers are finite", |number| number.is_finite())
            .prop_map(|number| json!(number)),
    ]
}

fn any_header_value() -> impl Strategy<Value = Value> {
    const NAMES: &[&str] = &[
        "at+jwt",
        "JWT",
        "AT+JWT",
        "application/at+jwt",
        "dpop+jwt",
        "none",
        "HS256",
        "RS256",
        "ES256",
        "EdDSA",
    ];
    prop_oneof![
        proptest::sample::select(NAMES).prop_map(Value::from),
        proptest::sample::select(&ALGORITHMS[..]).prop_map(|algorithm| json!(algorithm.as_str())),
        any_value(),
    ]
}

fn any_change() -> impl Strategy<Value = Change> {
    const CLAIMS: &[&str] = &["iss", "aud", "exp", "nbf", "iat", "sub", "jti", "scope", "cnf", "foo"];
    const PARAMETERS: &[&str] = &["typ", "alg", "kid", "cty", "crit", "b64", "foo"];
    prop_oneof![
        4 => (proptest::sample::select(CLAIMS), any_value()).prop_map(|(name, value)| Change::Claim(name, value)),
        1 => proptest::sample::select(CLAIMS).prop_map(Change::WithoutClaim),
        2 => (proptest::sample::select(PARAMETERS), any_header_value())
            .prop_map(|(name, value)| Change::Header(name, value)),
        1 => proptest::sample::select(PARAMETERS).prop_map(Change::WithoutHeader),
        1 => any::<Index>().prop_map(Change::SignedBy),
    ]
}

fn any_damage() -> impl Strategy<Value = Damage> {
    let characters =
        proptest::sample::select(&['A', 'B', 'a', '0', '-', '_', '.', '=', '+', '/', ' ', 'é'][..]);
    prop_oneof![
        (0..3_usize, any::<Index>(), 0..8_u8).prop_map(|(part, at, bit)| Damage::FlipBit { part, at, bit }),
        (0..3_usize, any::<Index>()).prop_map(|(part, at)| Damage::DropByte { part, at }),
        (any::<Index>(), characters.clone()).prop_map(|(at, by)| Damage::ReplaceCharacter { at, by }),
        (any::<Index>(), characters).prop_map(|(at, character)| Damage::InsertCharacter { at, character }),
        (0..3_usize, 0..3_usize).prop_map(|(one, other)| Damage::SwapParts(one, other)),
        any::<Index>().prop_map(Damage::Cut),
        proptest::sample::select(&[".", "=", "==", "A", ".A", "\n", "\0", ".."][..]).prop_map(Damage::Append),
    ]
}

fn signed_after(key: &SigningKey, changes: &[Change]) -> String {
    let fixture = Fixture::get();
    let token = changes.iter().fold(fixture.token(key), |token, bend| match bend.clone() {
        Change::Claim(name, value) => token.claim(name, value),
        Change::WithoutClaim(name) => token.without_claim(name),
        Change::Header(name, value) => token.header(name, value),
        Change::WithoutHeader(name) => token.without_header(name),
        Change::SignedBy(_) => token,
    });
    let signer = changes.iter().find_map(|bend| match bend {
        Change::SignedBy(index) => Some(index.get(&fixture.keys)),
        _ => None,
    });
    let Some(signer) = signer else { return token.sign() };
    let unsigned = token.signature([0]).sign();
    let (signing_input, _) = unsigned.rsplit_once('.').unwrap();
    format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(signer.sign(signing_input.as_bytes())))
}

fn damaged(token: &str, how: &Damage) -> String {
    let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    let change = |part: &mut String, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = URL_SAFE_NO_PAD.decode(&*part).unwrap();
        change(&mut bytes);
        *part = URL_SAFE_NO_PAD.encode(bytes);
    };
    let characters: Vec<_> = token.chars().collect();
    match how {
        Damage::FlipBit { part, at, bit } => change(&mut parts[*part], &|bytes| {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }),
        Damage::DropByte { part, at } => change(&mut parts[*part], &|bytes| {
            bytes.remove(at.index(bytes.len()));
        }),
        Damage::SwapParts(one, other) => parts.swap(*one, *other),
        Damage::ReplaceCharacter { at, by } => {
            let mut characters = characters;
            let at = at.index(characters.len());
            characters[at] = *by;
            return characters.into_iter().collect();
        }
        Damage::InsertCharacter { at, character } => {
            let mut characters = characters;
            characters.insert(at.index(characters.len() + 1), *character);
            return characters.into_iter().collect();
        }
        Damage::Cut(at) => return characters[..at.index(characters.len())].iter().collect(),
        Damage::Append(end) => return format!("{token}{end}"),
    }
    parts.join(".")
}

fn any_key() -> impl Strategy<Value = &'static SigningKey> {
    proptest::sample::select(&Fixture::get().keys[..])
        .prop_map(|key| Fixture::get().keys.iter().find(|own| own.kid() == key.kid()).unwrap())
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() })
}

#[test]
fn jsonwebtoken_accepts_a_valid_token_of_each_algorithm() {
    let fixture = Fixture::get();

    for key in &fixture.keys {
        let token = fixture.token(key).sign();

        let validated = fixture.validate(&token).unwrap();
        let reference = fixture.validate_with_jsonwebtoken(&token).unwrap();
        assert_eq!(reference["sub"], validated.subject().unwrap());
        assert_eq!(reference["jti"], validated.token_id().unwrap());
    }
}

#[test]
fn jsonwebtoken_accepts_every_changed_token_that_we_accept() {
    let fixture = Fixture::get();
    let (accepted, refused) = (Cell::new(0), Cell::new(0));

    let strategy = (any_key(), prop::collection::vec(any_change(), 1..4));
    let outcome = runner(4_000).run(&strategy, |(key, changes)| {
        let token = signed_after(key, &changes);
        match fixture.validate(&token) {
            Ok(validated) => {
                accepted.set(accepted.get() + 1);
                let reference = fixture.validate_with_jsonwebtoken(&token);
                // RFC 7519 section 2 allows times before 1970; jsonwebtoken reads `nbf` as an unsigned number.
                if validated.not_before() == Some(UnixTime::from_secs(0))
                    && reference == Err("Invalid format for claim: nbf".to_owned())
                {
                    return Ok(());
                }
                prop_assert!(reference.is_ok(), "we accept, jsonwebtoken says {reference:?}: {token}");
            }
            Err(_) => refused.set(refused.get() + 1),
        }
        Ok(())
    });

    outcome.unwrap();
    assert!(
        accepted.get() > 200 && refused.get() > 1_000,
        "{} accepted, {} refused",
        accepted.get(),
        refused.get()
    );
}

#[test]
fn token_changed_after_signing_is_refused() {
    let fixture = Fixture::get();

    let strategy = (any_key(), prop::collection::vec(any_damage(), 1..3));
    let outcome = runner(3_000).run(&strategy, |(key, damages)| {
        let valid = fixture.token(key).sign();
        // Skip a change that cannot be applied to the text any more. A second change may also undo the first.
        let text = damages.iter().fold(valid.clone(), |text, how| match how {
            Damage::FlipBit { .. } | Damage::DropByte { .. } | Damage::SwapParts(..) if text != valid => text,
            Damage::Cut(_) | Damage::ReplaceCharacter { .. } if text.is_empty() => text,
            how => damaged(&text, how),
        });
        prop_assume!(text != valid);

        let validated = fixture.validate(&text);
        prop_assert!(validated.is_err(), "accepted {text}, signed was {valid}");
        Ok(())
    });

    outcome.unwrap();
}
