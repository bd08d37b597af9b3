//! npm's oidc-provider as authorization server.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use tower_bearer::{
    Algorithm, Clock as _, IntrospectionValidator, JwtValidator, ResourceServerCredential,
    testing::{ManualClock, SigningKey},
};

use crate::support::{Api, Browser, Paths, ThirdParty, Tools, base64url, jwt_header, soon, text};

const ALGORITHMS: [&str; 4] = ["RS256", "PS256", "ES256", "EdDSA"];

async fn start(tools: &Tools) -> ThirdParty {
    let paths = Paths { authorization: "/auth", token: "/token", revocation: "/token/revocation" };
    ThirdParty::start(tools, "oidc_provider.mjs", paths).await
}

fn jwt_validator(server: &ThirdParty, resource: &str) -> JwtValidator {
    JwtValidator::builder(server.discover(), resource).build().unwrap()
}

fn introspection_validator(server: &ThirdParty, resource: &str) -> IntrospectionValidator {
    let credential = ResourceServerCredential::secret_basic("orders-api", "orders-api-secret");
    server.introspection_validator(credential, resource.to_owned())
}

async fn new_token(server: &ThirdParty, resource: &str, scope: &str) -> String {
    server.token(&[("resource", resource), ("scope", scope)]).await
}

#[tokio::test]
async fn jwt_access_tokens_in_four_algorithms_are_accepted_for_their_resource_and_scope() {
    let Some(tools) = Tools::find() else { return };
    let server = start(&tools).await;
    let mut api = Api::bind().await;
    let resources = ALGORITHMS.map(|algorithm| api.resource(algorithm));
    for (algorithm, resource) in ALGORITHMS.iter().zip(&resources) {
        api = api.with(algorithm, jwt_validator(&server, resource));
    }
    let api = api.serve();

    for (algorithm, resource) in ALGORITHMS.iter().zip(&resources) {
        let token = new_token(&server, resource, "orders:read").await;
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

        let token = new_token(&server, resource, "orders:read orders:write").await;
        api.write(algorithm, &token).await.assert_orders_of("service");
    }
}

#[tokio::test]
async fn opaque_tokens_are_introspected_and_refused_after_revocation() {
    let Some(tools) = Tools::find() else { return };
    let server = start(&tools).await;
    let api = Api::bind().await;
    let resource = api.resource("opaque");
    let other = api.resource("other/opaque");
    let api = api.with("opaque", introspection_validator(&server, &resource)).serve();

    let token = new_token(&server, &resource, "orders:read").await;
    assert!(!token.contains('.'), "an opaque token is not a JWT");
    let another = new_token(&server, &resource, "orders:read").await;
    // The client has no user, and this server's introspection response names none.
    api.read("opaque", &token).await.assert_orders_of("a service");
    api.write("opaque", &token).await.assert_insufficient_scope("orders:write");
    api.read("opaque", &new_token(&server, &other, "orders:read").await).await.assert_invalid_token();
    api.read("opaque", "never-issued").await.assert_invalid_token();

    server.revoke(&token).await;

    api.read("opaque", &token).await.assert_invalid_token();
    api.read("opaque", &another).await.assert_orders_of("a service");
}

#[tokio::test]
async fn token_signed_with_a_new_key_is_accepted_at_once_and_one_of_a_retired_key_is_refused() {
    let Some(tools) = Tools::find() else { return };
    let mut server = start(&tools).await;
    let clock = ManualClock::starting_now();
    let mut api = Api::bind().await;
    let resources = ALGORITHMS.map(|algorithm| api.resource(algorithm));
    for (algorithm, resource) in ALGORITHMS.iter().zip(&resources) {
        let builder = JwtValidator::builder(server.discover(), resource.clone());
        api = api.with(algorithm, builder.clock(clock.clone()).build().unwrap());
    }
    let api = api.serve();

    let mut old = Vec::new();
    for (algorithm, resource) in ALGORITHMS.iter().zip(&resources) {
        let token = new_token(&server, resource, "orders:read").await;
        api.read(algorithm, &token).await.assert_orders_of("service");
        old.push(token);
    }

    server.script.command("rotate").await;

    let mut new = Vec::new();
    for ((algorithm, resource), old) in ALGORITHMS.iter().zip(&resources).zip(&old) {
        let token = new_token(&server, resource, "orders:read").await;
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
    let server = start(&tools).await;
    let api = Api::bind().await;
    let resource = api.resource("ES256");
    let api = api.with("ES256", jwt_validator(&server, &resource)).serve();

    let browser = Browser::new(&[("login", "alice"), ("password", "secret")]);
    let query = [("scope", "openid offline_access orders:read"), ("prompt", "consent")];
    let tokens = server.sign_in(browser, &resource, &query).await;
    api.read("ES256", &text(&tokens, "access_token")).await.assert_orders_of("alice");
    api.write("ES256", &text(&tokens, "access_token")).await.assert_insufficient_scope("orders:write");
    api.read("ES256", &text(&tokens, "id_token")).await.assert_invalid_token();
    api.read("ES256", &text(&tokens, "refresh_token")).await.assert_invalid_token();

    let refreshed = server.refresh(&tokens, &resource).await;
    assert_ne!(tokens["access_token"], refreshed["access_token"]);
    api.read("ES256", &text(&refreshed, "access_token")).await.assert_orders_of("alice");
}

#[tokio::test]
async fn token_bound_to_a_key_is_refused_as_a_bearer_token() {
    let Some(tools) = Tools::find() else { return };
    let server = start(&tools).await;
    let api = Api::bind().await;
    let jwt = api.resource("ES256");
    let opaque = api.resource("opaque");
    let api = api
        .with("ES256", jwt_validator(&server, &jwt))
        .with("opaque", introspection_validator(&server, &opaque))
        .serve();
    let key = SigningKey::generate("proof", Algorithm::ES256);

    for (name, resource) in [("ES256", &jwt), ("opaque", &opaque)] {
        let form = [("grant_type", "client_credentials"), ("resource", resource), ("scope", "orders:read")];
        let mut headers = http::HeaderMap::new();
        headers.insert("dpop", dpop_proof(&key, name, &format!("{}/token", server.issuer)).parse().unwrap());
        let response = server.request_token_with("bound-service", &form, headers).await;
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
