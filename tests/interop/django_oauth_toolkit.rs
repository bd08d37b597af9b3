//! PyPI's django-oauth-toolkit as authorization server.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;
use tower_bearer::{AuthorizationServer, IntrospectionValidator, ResourceServerCredential};
use url::Url;

use crate::support::{Api, Browser, Script, Tools, base64url, http_client, parameter, soon};

const REDIRECT_URI: &str = "https://shop.example.com/callback";

/// A running authorization server.
struct Django {
    _script: Script,
    issuer: String,
    client: reqwest::Client,
}

impl Django {
    async fn start(tools: &Tools) -> Self {
        let mut script = Script::start(tools, "django_oauth_toolkit.py", &[]);
        let issuer = script.line().await;
        Self { _script: script, issuer, client: http_client() }
    }

    /// Returns a validator that finds the introspection endpoint in the metadata.
    fn validator(&self, credential: ResourceServerCredential, resource: String) -> IntrospectionValidator {
        let server = AuthorizationServer::discover(&self.issuer).allow_http_on_loopback();
        let builder = IntrospectionValidator::builder(server, credential, resource);
        builder.cache_ttl(Duration::ZERO).build().unwrap()
    }

    async fn token(&self, form: &[(&str, &str)]) -> String {
        let form = [&[("grant_type", "client_credentials")], form].concat();
        let response = self.post("token/", "service", &form).await;
        response["access_token"].as_str().unwrap_or_else(|| panic!("{response}")).to_owned()
    }

    async fn post(&self, path: &str, client: &str, form: &[(&str, &str)]) -> Value {
        let request = self
            .client
            .post(format!("{}/o/{path}", self.issuer))
            .basic_auth(client, Some(format!("{client}-secret")))
            .form(form);
        let text = soon(soon(request.send()).await.unwrap().text()).await.unwrap();
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }
}

fn basic() -> ResourceServerCredential {
    ResourceServerCredential::secret_basic("orders-api", "orders-api-secret")
}

#[tokio::test]
async fn opaque_tokens_are_accepted_for_their_resource_and_scope_and_refused_after_revocation() {
    let Some(tools) = Tools::find() else { return };
    let server = Django::start(&tools).await;
    let api = Api::bind().await;
    let resource = api.resource("orders");
    let other = api.resource("other");
    let api = api.with("orders", server.validator(basic(), resource.clone())).serve();

    let token = server.token(&[("resource", &resource), ("scope", "orders:read")]).await;
    let another = server.token(&[("resource", &resource), ("scope", "orders:read orders:write")]).await;
    api.read("orders", &token).await.assert_orders_of("a service");
    api.write("orders", &token).await.assert_insufficient_scope("orders:write");
    api.write("orders", &another).await.assert_orders_of("a service");
    api.read("orders", "never-issued").await.assert_invalid_token();

    // A token for another resource, and one for no particular resource, whose introspection response has no `aud`.
    api.read("orders", &server.token(&[("resource", &other)]).await).await.assert_invalid_token();
    api.read("orders", &server.token(&[]).await).await.assert_invalid_token();

    server.post("revoke_token/", "service", &[("token", &token)]).await;

    api.read("orders", &token).await.assert_invalid_token();
    api.read("orders", &another).await.assert_orders_of("a service");
}

#[tokio::test]
async fn introspection_credential_can_be_a_bearer_token_and_a_wrong_one_is_a_server_error() {
    let Some(tools) = Tools::find() else { return };
    let server = Django::start(&tools).await;
    let credential = server.token(&[("scope", "introspection")]).await;
    let wrong = server.token(&[("scope", "orders:read")]).await;
    let api = Api::bind().await;
    let (right, broken) = (api.resource("right"), api.resource("broken"));
    let api = api
        .with("right", server.validator(ResourceServerCredential::bearer(credential), right.clone()))
        .with("broken", server.validator(ResourceServerCredential::bearer(wrong), broken.clone()))
        .serve();

    api.read("right", &server.token(&[("resource", &right)]).await).await.assert_orders_of("a service");

    let answer = api.read("broken", &server.token(&[("resource", &broken)]).await).await;
    assert!(answer.status.is_server_error() && answer.challenge.is_none(), "{answer:?}");
}

#[tokio::test]
async fn code_flow_gives_a_token_that_is_accepted_until_it_is_refreshed() {
    let Some(tools) = Tools::find() else { return };
    let server = Django::start(&tools).await;
    let api = Api::bind().await;
    let resource = api.resource("orders");
    let api = api.with("orders", server.validator(basic(), resource.clone())).serve();

    let verifier = "a-code-verifier-of-at-least-forty-three-characters";
    let challenge = base64url(digest(&SHA256, verifier.as_bytes()));
    let query = [
        ("client_id", "web-shop"),
        ("redirect_uri", REDIRECT_URI),
        ("response_type", "code"),
        ("scope", "orders:read"),
        ("resource", &resource),
        ("state", "a-state"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let url = Url::parse_with_params(&format!("{}/o/authorize/", server.issuer), query).unwrap();
    let mut browser = Browser::new(&[("username", "alice"), ("password", "secret"), ("allow", "Authorize")]);

    let callback = browser.open(url.as_str(), REDIRECT_URI).await;

    let code = parameter(&callback, "code");
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", verifier),
    ];
    let tokens = server.post("token/", "web-shop", &form).await;
    let token =
        |tokens: &Value, name: &str| tokens[name].as_str().unwrap_or_else(|| panic!("{tokens}")).to_owned();
    let first = token(&tokens, "access_token");
    // This server names the user in `username` only, never in `sub`.
    api.read("orders", &first).await.assert_orders_of("a service");
    api.write("orders", &first).await.assert_insufficient_scope("orders:write");

    let refresh_token = token(&tokens, "refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", &refresh_token)];
    let second = token(&server.post("token/", "web-shop", &form).await, "access_token");

    // This server revokes the old access token when it is refreshed.
    api.read("orders", &first).await.assert_invalid_token();
    api.read("orders", &second).await.assert_orders_of("a service");
}
