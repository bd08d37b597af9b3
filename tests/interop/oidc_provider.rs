//! npm's oidc-provider as authorization server.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use http::StatusCode;
use serde_json::{Value, json};
use tower_bearer::{
    Algorithm, AuthorizationServer, Clock as _, IntrospectionValidator, JwtValidator,
    ResourceServerCredential,
    testing::{ManualClock, SigningKey},
};
use url::Url;

use crate::support::{Api, Browser, Script, Tools, base64url, http_client, jwt_header, parameter, soon};

const ALGORITHMS: [&str; 4] = ["RS256", "PS256", "ES256", "EdDSA"];
const REDIRECT_URI: &str = "https://shop.example.com/callback";

/// A running authorization server.
struct OidcProvider {
    script: Script,
    issuer: String,
    client: reqwest::Client,
}

impl OidcProvider {
    async fn start(tools: &Tools) -> Self {
        let mut script = Script::start(tools, "oidc_provider.mjs", &[]);
        let issuer = script.line().await;
        Self { script, issuer, client: http_client() }
    }

    fn authorization_server(&self) -> AuthorizationServer {
        AuthorizationServer::discover(&self.issuer).allow_http_on_loopback()
    }

    fn jwt_validator(&self, resource: String) -> JwtValidator {
        JwtValidator::builder(self.authorization_server(), resource).build().unwrap()
    }

    fn introspection_validator(&self, resource: String) -> IntrospectionValidator {
        let credential = ResourceServerCredential::secret_basic("orders-api", "orders-api-secret");
        IntrospectionValidator::builder(self.authorization_server(), credential, resource)
            .cache_ttl(Duration::ZERO)
            .build()
            .unwrap()
    }

    /// Returns a token by the client credentials grant.
    async fn token(&self, resource: &str, scope: &str) -> String {
        let form = [("grant_type", "client_credentials"), ("resource", resource), ("scope", scope)];
        let response = self.post("/token", "service", &form).await;
        response["access_token"].as_str().unwrap_or_else(|| panic!("{response}")).to_owned()
    }

    async fn post(&self, path: &str, client: &str, form: &[(&str, &str)]) -> Value {
        self.post_with_headers(path, client, form, http::HeaderMap::new()).await
    }

    async fn post_with_headers(
        &self,
        path: &str,
        client: &str,
        form: &[(&str, &str)],
        headers: http::HeaderMap,
    ) -> Value {
        let request = self
            .client
            .post(format!("{}{path}", self.issuer))
            .basic_auth(client, Some(format!("{client}-secret")))
            .headers(headers)
            .form(form);
        let text = soon(soon(request.send()).await.unwrap().text()).await.unwrap();
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }
}

#[tokio::test]
async fn jwt_access_tokens_in_four_algorithms_are_accepted_for_their_resource_and_scope() {
    let Some(tools) = Tools::find() else { return };
    let server = OidcProvider::start(&tools).await;
    let mut api = Api::bind().await;
    let resources = ALGORITHMS.map(|algorithm| api.resource(algorithm));
    for (algorithm, resource) in ALGORITHMS.iter().zip(&resources) {
        api = api.with(algorithm, server.jwt_validator(resource.clone()));
    }
    let api = api.serve();

    for (algorithm, resource) in ALGORITHMS.iter().zip(&resources) {
        let token = server.token(resource, "orders:read").await;
        let header = jwt_header(&token);
        assert_eq!((&header["alg"], &header["typ"]), (&json!(algorithm), &json!("at+jwt")));

        api.read(algorithm, &token).await.assert_orders_of("service");
        api.write(algorithm, &token).await.assert_insufficient_scope("orders:write");

        for other in ALGORITHMS.iter().filter(|other| *other != algorithm) {
            api.read(other, &token).await.assert_invalid_token();
        }
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let reversed: String = signature.chars().rev().collect();
        api.read(algorithm, &format!("{signed}.{reversed}")).await.assert_invalid_token();

        let token = server.token(resource, "orders:read orders:write").await;
        api.write(algorithm, &token).await.assert_orders_of("service");
    }
}

#[tokio::test]
async fn opaque_tokens_are_introspected_and_refused_after_revocation() {
    let Some(tools) = Tools::find() else { return };
    let server = OidcProvider::start(&tools).await;
    let api = Api::bind().await;
    let resource = api.resource("opaque");
    let other = api.resource("other/opaque");
    let api = api.with("opaque", server.introspection_validator(resource.clone())).serve();

    let token = server.token(&resource, "orders:read").await;
    assert!(!token.contains('.'), "an opaque token is not a JWT");
    let another = server.token(&resource, "orders:read").await;
    // The client has no user, and this server's introspection response names none.
    api.read("opaque", &token).await.assert_orders_of("a service");
    api.write("opaque", &token).await.assert_insufficient_scope("orders:write");
    api.read("opaque", &server.token(&other, "orders:read").await).await.assert_invalid_token();
    api.read("opaque", "never-issued").await.assert_invalid_token();

    server.post("/token/revocation", "service", &[("token", &token)]).await;

    api.read("opaque", &token).await.assert_invalid_token();
    api.read("opaque", &another).await.assert_orders_of("a service");
}

#[tokio::test]
async fn token_signed_with_a_new_key_is_accepted_at_once_and_one_of_a_retired_key_is_refused() {
    let Some(tools) = Tools::find() else { return };
    let mut server = OidcProvider::start(&tools).await;
    let clock = ManualClock::starting_now();
    let mut api = Api::bind().await;
    let resources = ALGORITHMS.map(|algorithm| api.resource(algorithm));
    for (algorithm, resource) in ALGORITHMS.iter().zip(&resources) {
        let builder = JwtValidator::builder(server.authorization_server(), resource.clone());
        api = api.with(algorithm, builder.clock(clock.clone()).build().unwrap());
    }
    let api = api.serve();

    let mut old = Vec::new();
    for (algorithm, resource) in ALGORITHMS.iter().zip(&resources) {
        let token = server.token(resource, "orders:read").await;
        api.read(algorithm, &token).await.assert_orders_of("service");
        old.push(token);
    }

    server.script.command("rotate").await;

    let mut new = Vec::new();
    for ((algorithm, resource), old) in ALGORITHMS.iter().zip(&resources).zip(&old) {
        let token = server.token(resource, "orders:read").await;
        assert_ne!(jwt_header(&token)["kid"], jwt_header(old)["kid"]);
        api.read(algorithm, &token).await.assert_orders_of("service");
        api.read(algorithm, old).await.assert_orders_of("service");
        new.push(token);
    }

    server.script.command("retire").await;
    clock.advance(Duration::from_secs(6 * 60)); // the keys are refreshed after 5 minutes, tokens are valid for 10

    for ((algorithm, old), new) in ALGORITHMS.iter().zip(&old).zip(&new) {
        // The refresh runs in the background.
        soon(async {
            while api.read(algorithm, old).await.status == StatusCode::OK {
                tokio::task::yield_now().await;
            }
        })
        .await;
        api.read(algorithm, old).await.assert_invalid_token();
        api.read(algorithm, new).await.assert_orders_of("service");
    }
}

#[tokio::test]
async fn code_flow_gives_an_access_token_that_is_accepted_and_an_id_token_that_is_refused() {
    let Some(tools) = Tools::find() else { return };
    let server = OidcProvider::start(&tools).await;
    let api = Api::bind().await;
    let resource = api.resource("ES256");
    let api = api.with("ES256", server.jwt_validator(resource.clone())).serve();

    let verifier = "a-code-verifier-of-at-least-forty-three-characters";
    let challenge = base64url(digest(&SHA256, verifier.as_bytes()));
    let query = [
        ("client_id", "web-shop"),
        ("redirect_uri", REDIRECT_URI),
        ("response_type", "code"),
        ("scope", "openid offline_access orders:read"),
        ("prompt", "consent"),
        ("resource", &resource),
        ("state", "a-state"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let url = Url::parse_with_params(&format!("{}/auth", server.issuer), query).unwrap();
    let mut browser = Browser::new(&[("login", "alice"), ("password", "secret")]);

    let callback = browser.open(url.as_str(), REDIRECT_URI).await;

    let code = parameter(&callback, "code");
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", verifier),
        ("resource", &resource),
    ];
    let tokens = server.post("/token", "web-shop", &form).await;
    let token =
        |tokens: &Value, name: &str| tokens[name].as_str().unwrap_or_else(|| panic!("{tokens}")).to_owned();
    api.read("ES256", &token(&tokens, "access_token")).await.assert_orders_of("alice");
    api.write("ES256", &token(&tokens, "access_token")).await.assert_insufficient_scope("orders:write");
    api.read("ES256", &token(&tokens, "id_token")).await.assert_invalid_token();
    api.read("ES256", &token(&tokens, "refresh_token")).await.assert_invalid_token();

    let refresh_token = token(&tokens, "refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", &refresh_token), ("resource", &resource)];
    let refreshed = server.post("/token", "web-shop", &form).await;
    assert_ne!(tokens["access_token"], refreshed["access_token"]);
    api.read("ES256", &token(&refreshed, "access_token")).await.assert_orders_of("alice");
}

#[tokio::test]
async fn token_bound_to_a_key_is_refused_as_a_bearer_token() {
    let Some(tools) = Tools::find() else { return };
    let server = OidcProvider::start(&tools).await;
    let api = Api::bind().await;
    let jwt = api.resource("ES256");
    let opaque = api.resource("opaque");
    let api = api
        .with("ES256", server.jwt_validator(jwt.clone()))
        .with("opaque", server.introspection_validator(opaque.clone()))
        .serve();
    let key = SigningKey::generate("proof", Algorithm::ES256);

    for (name, resource) in [("ES256", &jwt), ("opaque", &opaque)] {
        let form = [("grant_type", "client_credentials"), ("resource", resource), ("scope", "orders:read")];
        let mut headers = http::HeaderMap::new();
        headers.insert("dpop", dpop_proof(&key, name, &format!("{}/token", server.issuer)).parse().unwrap());
        let response = server.post_with_headers("/token", "bound-service", &form, headers).await;
        assert_eq!(response["token_type"], "DPoP", "{response}");

        let answer = api.read(name, response["access_token"].as_str().unwrap()).await;

        answer.assert_invalid_token();
    }
}

/// Returns a proof of possession for one token request (RFC 9449 section 4.2).
fn dpop_proof(key: &SigningKey, id: &str, url: &str) -> String {
    let mut jwk = key.jwk();
    let public = jwk.as_object_mut().unwrap();
    public.retain(|name, _| ["kty", "crv", "x", "y"].contains(&name.as_str()));
    let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk});
    let now = ManualClock::starting_now().now().as_secs();
    let claims = json!({"jti": id, "htm": "POST", "htu": url, "iat": now});
    let signed = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
    let signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", base64url(signature))
}
