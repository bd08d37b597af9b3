//! One corpus of tokens, judged by this crate and by npm's jose and oauth4webapi.
//!
//! We may refuse a token that they accept, never the reverse. Each difference is listed with its reason in
//! [`differences`]; one that is not listed fails the test, and so does a listed one that does not occur.

mod claims;
mod differences;
mod form;
mod headers;
mod signatures;

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
};

use http::{HeaderValue, Request, Response, StatusCode, header::AUTHORIZATION};
use serde_json::{Value, json};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_bearer::{
    Algorithm, AuthorizationServer, Clock as _, JwtValidator, KeySet, RejectionReason, ResourceServer,
    UnixTime,
    testing::{ManualClock, SigningKey, TestAuthorizationServer, TokenBuilder},
};

use self::differences::{LAXER, STRICTER};
use crate::support::{Script, Tools};

const ISSUER: &str = "https://as.example.com";
const RESOURCE: &str = "https://orders.example.com";

/// The issuer, the keys and the time that the tokens are made with.
struct Fixture {
    authority: TestAuthorizationServer,
    /// One key per algorithm; its `kid` is the algorithm.
    keys: Vec<SigningKey>,
    now: u64,
}

/// Tokens by name.
type Tokens = Vec<(String, String)>;

impl Fixture {
    fn new() -> Self {
        let clock = ManualClock::starting_now();
        let now = clock.now().as_secs();
        clock.set(UnixTime::from_secs(now)); // whole seconds, as for the others
        let rsa = SigningKey::generate("rsa", Algorithm::RS256);
        let keys = Algorithm::ALL.iter().map(|algorithm| match algorithm {
            Algorithm::ES256 | Algorithm::ES384 | Algorithm::ES512 | Algorithm::EdDSA => {
                SigningKey::generate(algorithm.as_str(), *algorithm)
            }
            _ => rsa.with_algorithm(*algorithm).with_kid(algorithm.as_str()),
        });
        let keys = keys.collect();
        Self { authority: TestAuthorizationServer::new(ISSUER).with_clock(clock), keys, now }
    }

    fn key(&self, algorithm: Algorithm) -> &SigningKey {
        self.keys.iter().find(|key| key.algorithm() == algorithm).unwrap()
    }

    /// Returns a token that all accept. oauth4webapi requires `client_id`.
    fn token(&self) -> TokenBuilder {
        let token =
            self.authority.token().audience(RESOURCE).scope("orders:read").claim("client_id", "web-shop");
        token.key(self.key(Algorithm::ES256))
    }

    fn jwks(&self) -> Value {
        json!({"keys": self.keys.iter().map(SigningKey::jwk).collect::<Vec<_>>()})
    }

    fn corpus(&self) -> Tokens {
        [headers::tokens(self), claims::tokens(self), signatures::tokens(self), form::tokens(self)].concat()
    }

    async fn our_verdicts(&self, tokens: &Tokens) -> BTreeMap<String, Option<String>> {
        let server = AuthorizationServer::with_endpoints(ISSUER)
            .http_client(self.authority.clone())
            .keys(KeySet::from_jwks(&self.jwks().to_string()).unwrap());
        let validator =
            JwtValidator::builder(server, RESOURCE).clock(self.authority.clock().clone()).build().unwrap();
        let resource_server =
            ResourceServer::builder(validator).clock(self.authority.clock().clone()).build().unwrap();
        let layer = resource_server.require_token();
        let service = layer.layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(()))));
        let mut verdicts = BTreeMap::new();
        for (name, token) in tokens {
            let refusal = match HeaderValue::try_from(format!("Bearer {token}")) {
                Err(error) => Some(error.to_string()),
                Ok(credentials) => {
                    let request = Request::get("/").header(AUTHORIZATION, credentials).body(()).unwrap();
                    let response = service.clone().oneshot(request).await.unwrap();
                    let reason = response.extensions().get::<RejectionReason>();
                    assert_eq!(reason.is_none(), response.status() == StatusCode::OK, "{name}");
                    reason.map(|reason| reason.error().to_string())
                }
            };
            assert!(verdicts.insert(name.clone(), refusal).is_none(), "two tokens are named {name:?}");
        }
        verdicts
    }

    async fn their_verdicts(&self, tools: &Tools, tokens: &Tokens) -> BTreeMap<String, Value> {
        let mut judge = Script::start(tools, "judge_tokens.mjs", &[]);
        let input = json!({
            "issuer": ISSUER,
            "audience": RESOURCE,
            "clockSkew": 30, // our default
            "now": self.now,
            "jwks": self.jwks(),
            "tokens": tokens,
        });
        judge.send(&input.to_string()).await;
        serde_json::from_str(&judge.line().await).unwrap()
    }
}

#[tokio::test]
async fn verdicts_differ_from_those_of_jose_and_oauth4webapi_only_as_listed() {
    let Some(tools) = Tools::find() else { return };
    let fixture = Fixture::new();
    let tokens = fixture.corpus();

    let ours = fixture.our_verdicts(&tokens).await;
    let theirs = fixture.their_verdicts(&tools, &tokens).await;

    let (mut stricter, mut laxer) = (BTreeSet::new(), BTreeSet::new());
    let mut unlisted = Vec::new();
    for (name, our_refusal) in &ours {
        for library in ["jose", "oauth4webapi"] {
            let their_refusal = theirs[name][library].as_str();
            let (found, listed) = match (our_refusal, their_refusal) {
                (None, Some(_)) => (&mut laxer, LAXER),
                (Some(_), None) => (&mut stricter, STRICTER),
                _ => continue,
            };
            found.insert((name.as_str(), library));
            if !listed
                .iter()
                .any(|(tokens, libraries, _)| tokens.contains(&name.as_str()) && libraries.contains(&library))
            {
                unlisted.push(format!(
                    "{name:?}: ours is {our_refusal:?}, that of {library} is {their_refusal:?}"
                ));
            }
        }
    }
    assert!(unlisted.is_empty(), "differences that are not listed:\n{}", unlisted.join("\n"));
    for (found, listed) in [(&stricter, STRICTER), (&laxer, LAXER)] {
        for (tokens, libraries, reason) in listed {
            for pair in
                tokens.iter().flat_map(|token| libraries.iter().map(move |library| (*token, *library)))
            {
                assert!(found.contains(&pair), "listed, but no difference: {pair:?}, {reason}");
            }
        }
    }
    let accepted = ours.values().filter(|refusal| refusal.is_none()).count();
    assert!(tokens.len() >= 480 && accepted >= 30, "{} tokens, {accepted} accepted", tokens.len());
}
