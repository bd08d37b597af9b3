//! A second opinion: what this crate accepts, jsonwebtoken accepts too, however the token was bent.
//!
//! The other way round does not hold and should not: jsonwebtoken takes what RFC 9068 refuses.

#![allow(clippy::disallowed_methods, reason = "jsonwebtoken is the other side")]

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

/// The algorithms that both know.
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

/// A server, its keys by the algorithm they sign with, and both validators of its tokens.
struct Sides {
    authority: TestAuthorizationServer,
    keys: Vec<SigningKey>,
    strict: JwtValidator,
    relaxed: JwtValidator,
}

impl Sides {
    fn get() -> &'static Self {
        static SIDES: OnceLock<Sides> = OnceLock::new();
        SIDES.get_or_init(Self::new)
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
        // The other side has no clock but the system's.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        authority.clock().set(UnixTime::from_secs(now.as_secs()));
        let jwks = json!({"keys": keys.iter().map(SigningKey::jwk).collect::<Vec<_>>()});
        let server = AuthorizationServer::with_endpoints(ISSUER)
            .http_client(authority.clone())
            .keys(KeySet::from_jwks(&jwks.to_string()).unwrap());
        let builder = || JwtValidator::builder(server.clone(), RESOURCE).clock(authority.clock().clone());
        let strict = builder().build().unwrap();
        let by_audience = AccessTokenRule::audience_is_only_in_access_tokens();
        let relaxed = builder().accept_typ_jwt(by_audience).build().unwrap();
        Self { authority, keys, strict, relaxed }
    }

    fn token(&self, key: &SigningKey) -> TokenBuilder {
        self.authority.token().audience(RESOURCE).key(key)
    }

    /// What this crate says, in the profile that accepts more.
    fn ours(&self, token: &str) -> Result<ValidatedToken, ValidationError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let token = AccessToken::new(token);
        let strict = runtime.block_on(self.strict.validate(&token));
        let relaxed = runtime.block_on(self.relaxed.validate(&token));
        assert!(
            strict.is_err() || relaxed.is_ok(),
            "the relaxed profile refuses what the strict one accepts"
        );
        relaxed
    }

    /// What the other side says, asked by the key and for the algorithm that the token names.
    fn theirs(&self, token: &str) -> Result<Value, String> {
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
        // A second more than ours, for the clock that goes on; it starts with this test.
        validation.leeway = 31 + self.age();
        let decoded = jsonwebtoken::decode::<Value>(token, &key, &validation);
        decoded.map(|decoded| decoded.claims).map_err(|error| error.to_string())
    }

    /// The seconds since the clock was set.
    fn age(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        now - self.authority.clock().now().as_secs()
    }
}

/// Something done to a token before it is signed: the signature stays good.
#[derive(Clone, Debug)]
enum Bend {
    Claim(&'static str, Value),
    WithoutClaim(&'static str),
    Header(&'static str, Value),
    WithoutHeader(&'static str),
    /// Signed by the key of another algorithm than the header names.
    SignedBy(Index),
}

/// Something done to the text: no signature is good any more.
#[derive(Clone, Debug)]
enum Break {
    FlipBit { part: usize, at: Index, bit: u8 },
    DropByte { part: usize, at: Index },
    ReplaceCharacter { at: Index, by: char },
    InsertCharacter { at: Index, character: char },
    SwapParts(usize, usize),
    Cut(Index),
    Append(&'static str),
}

fn any_value() -> impl Strategy<Value = Value> {
    let now = Sides::get().authority.clock().now().as_secs();
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
            .prop_filter("JSON has no others", |number| number.is_finite())
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

fn any_bend() -> impl Strategy<Value = Bend> {
    const CLAIMS: &[&str] = &["iss", "aud", "exp", "nbf", "iat", "sub", "jti", "scope", "cnf", "foo"];
    const PARAMETERS: &[&str] = &["typ", "alg", "kid", "cty", "crit", "b64", "foo"];
    prop_oneof![
        4 => (proptest::sample::select(CLAIMS), any_value()).prop_map(|(name, value)| Bend::Claim(name, value)),
        1 => proptest::sample::select(CLAIMS).prop_map(Bend::WithoutClaim),
        2 => (proptest::sample::select(PARAMETERS), any_header_value())
            .prop_map(|(name, value)| Bend::Header(name, value)),
        1 => proptest::sample::select(PARAMETERS).prop_map(Bend::WithoutHeader),
        1 => any::<Index>().prop_map(Bend::SignedBy),
    ]
}

fn any_break() -> impl Strategy<Value = Break> {
    let characters =
        proptest::sample::select(&['A', 'B', 'a', '0', '-', '_', '.', '=', '+', '/', ' ', 'é'][..]);
    prop_oneof![
        (0..3_usize, any::<Index>(), 0..8_u8).prop_map(|(part, at, bit)| Break::FlipBit { part, at, bit }),
        (0..3_usize, any::<Index>()).prop_map(|(part, at)| Break::DropByte { part, at }),
        (any::<Index>(), characters.clone()).prop_map(|(at, by)| Break::ReplaceCharacter { at, by }),
        (any::<Index>(), characters).prop_map(|(at, character)| Break::InsertCharacter { at, character }),
        (0..3_usize, 0..3_usize).prop_map(|(one, other)| Break::SwapParts(one, other)),
        any::<Index>().prop_map(Break::Cut),
        proptest::sample::select(&[".", "=", "==", "A", ".A", "\n", "\0", ".."][..]).prop_map(Break::Append),
    ]
}

fn bent(key: &SigningKey, bends: &[Bend]) -> String {
    let sides = Sides::get();
    let token = bends.iter().fold(sides.token(key), |token, bend| match bend.clone() {
        Bend::Claim(name, value) => token.claim(name, value),
        Bend::WithoutClaim(name) => token.without_claim(name),
        Bend::Header(name, value) => token.header(name, value),
        Bend::WithoutHeader(name) => token.without_header(name),
        Bend::SignedBy(_) => token,
    });
    let signer = bends.iter().find_map(|bend| match bend {
        Bend::SignedBy(index) => Some(index.get(&sides.keys)),
        _ => None,
    });
    let Some(signer) = signer else { return token.sign() };
    let unsigned = token.signature([0]).sign();
    let (signing_input, _) = unsigned.rsplit_once('.').unwrap();
    format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(signer.sign(signing_input.as_bytes())))
}

fn broken(token: &str, how: &Break) -> String {
    let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    let change = |part: &mut String, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = URL_SAFE_NO_PAD.decode(&*part).unwrap();
        change(&mut bytes);
        *part = URL_SAFE_NO_PAD.encode(bytes);
    };
    let characters: Vec<_> = token.chars().collect();
    match how {
        Break::FlipBit { part, at, bit } => change(&mut parts[*part], &|bytes| {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }),
        Break::DropByte { part, at } => change(&mut parts[*part], &|bytes| {
            bytes.remove(at.index(bytes.len()));
        }),
        Break::SwapParts(one, other) => parts.swap(*one, *other),
        Break::ReplaceCharacter { at, by } => {
            let mut characters = characters;
            let at = at.index(characters.len());
            characters[at] = *by;
            return characters.into_iter().collect();
        }
        Break::InsertCharacter { at, character } => {
            let mut characters = characters;
            characters.insert(at.index(characters.len() + 1), *character);
            return characters.into_iter().collect();
        }
        Break::Cut(at) => return characters[..at.index(characters.len())].iter().collect(),
        Break::Append(end) => return format!("{token}{end}"),
    }
    parts.join(".")
}

fn any_key() -> impl Strategy<Value = &'static SigningKey> {
    proptest::sample::select(&Sides::get().keys[..])
        .prop_map(|key| Sides::get().keys.iter().find(|own| own.kid() == key.kid()).unwrap())
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() })
}

#[test]
fn jsonwebtoken_accepts_our_good_token_of_each_algorithm() {
    let sides = Sides::get();

    for key in &sides.keys {
        let token = sides.token(key).sign();

        let ours = sides.ours(&token).unwrap();
        let theirs = sides.theirs(&token).unwrap();
        assert_eq!(theirs["sub"], ours.subject().unwrap());
        assert_eq!(theirs["jti"], ours.token_id().unwrap());
    }
}

#[test]
fn jsonwebtoken_accepts_every_altered_token_that_we_accept() {
    let sides = Sides::get();
    let (accepted, refused) = (Cell::new(0), Cell::new(0));

    let strategy = (any_key(), prop::collection::vec(any_bend(), 1..4));
    let outcome = runner(4_000).run(&strategy, |(key, bends)| {
        let token = bent(key, &bends);
        match sides.ours(&token) {
            Ok(token_of_ours) => {
                accepted.set(accepted.get() + 1);
                let theirs = sides.theirs(&token);
                // RFC 7519 section 2 allows times before 1970; jsonwebtoken reads `nbf` as an unsigned number.
                if token_of_ours.not_before() == Some(UnixTime::from_secs(0))
                    && theirs == Err("Invalid format for claim: nbf".to_owned())
                {
                    return Ok(());
                }
                prop_assert!(theirs.is_ok(), "we accept, they say {theirs:?}: {token}");
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
fn only_the_exact_signed_text_is_accepted() {
    let sides = Sides::get();

    let strategy = (any_key(), prop::collection::vec(any_break(), 1..3));
    let outcome = runner(3_000).run(&strategy, |(key, breaks)| {
        let good = sides.token(key).sign();
        // A break may undo the one before it, or leave nothing for the next one to be done to.
        let text = breaks.iter().fold(good.clone(), |text, how| match how {
            Break::FlipBit { .. } | Break::DropByte { .. } | Break::SwapParts(..) if text != good => text,
            Break::Cut(_) | Break::ReplaceCharacter { .. } if text.is_empty() => text,
            how => broken(&text, how),
        });
        prop_assume!(text != good);

        let ours = sides.ours(&text);
        prop_assert!(ours.is_err(), "{text} for {good}");
        Ok(())
    });

    outcome.unwrap();
}
