//! A third-party authorization server, which a script starts.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderMap;
use serde_json::Value;
use tower_bearer::{AuthorizationServer, IntrospectionValidator, ResourceServerCredential};
use url::Url;

use super::{Browser, Script, Tools, base64url, http_client, parameter, soon};

const REDIRECT_URI: &str = "https://shop.example.com/callback";
const CODE_VERIFIER: &str = "a-code-verifier-of-at-least-forty-three-characters";

/// A running authorization server.
pub(crate) struct ThirdParty {
    pub(crate) script: Script,
    pub(crate) issuer: String,
    paths: Paths,
    client: reqwest::Client,
}

/// The paths of the endpoints, below the issuer.
#[derive(Clone, Copy)]
pub(crate) struct Paths {
    pub(crate) authorization: &'static str,
    pub(crate) token: &'static str,
    pub(crate) revocation: &'static str,
}

impl ThirdParty {
    /// Runs a script that prints the issuer.
    pub(crate) async fn start(tools: &Tools, script: &str, paths: Paths) -> Self {
        let mut script = Script::start(tools, script, &[]);
        let issuer = script.line().await;
        Self { script, issuer, paths, client: http_client() }
    }

    pub(crate) fn discover(&self) -> AuthorizationServer {
        AuthorizationServer::discover(&self.issuer).allow_http_on_loopback()
    }

    /// Returns a validator that reuses no result.
    pub(crate) fn introspection_validator(
        &self,
        credential: ResourceServerCredential,
        resource: String,
    ) -> IntrospectionValidator {
        let builder = IntrospectionValidator::builder(self.discover(), credential, resource);
        builder.cache_ttl(Duration::ZERO).build().unwrap()
    }

    /// Returns a token by the client credentials grant.
    pub(crate) async fn token(&self, form: &[(&str, &str)]) -> String {
        let form = [&[("grant_type", "client_credentials")], form].concat();
        text(&self.request_token("service", &form).await, "access_token")
    }

    /// Returns the tokens of a user who approves everything (authorization code grant with PKCE).
    pub(crate) async fn sign_in(
        &self,
        mut browser: Browser,
        resource: &str,
        query: &[(&str, &str)],
    ) -> Value {
        let challenge = base64url(digest(&SHA256, CODE_VERIFIER.as_bytes()));
        let common = [
            ("client_id", "web-shop"),
            ("redirect_uri", REDIRECT_URI),
            ("response_type", "code"),
            ("resource", resource),
            ("state", "a-state"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let endpoint = format!("{}{}", self.issuer, self.paths.authorization);
        let url = Url::parse_with_params(&endpoint, common.iter().chain(query)).unwrap();
        let callback = browser.open(url.as_str(), REDIRECT_URI).await;
        let code = parameter(&callback, "code");
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", CODE_VERIFIER),
            ("resource", resource),
        ];
        self.request_token("web-shop", &form).await
    }

    /// Returns new tokens for the refresh token in `tokens`.
    pub(crate) async fn refresh(&self, tokens: &Value, resource: &str) -> Value {
        let refresh_token = text(tokens, "refresh_token");
        let form =
            [("grant_type", "refresh_token"), ("refresh_token", &*refresh_token), ("resource", resource)];
        self.request_token("web-shop", &form).await
    }

    pub(crate) async fn revoke(&self, token: &str) {
        self.post(self.paths.revocation, "service", &[("token", token)], HeaderMap::new()).await;
    }

    /// Sends a token request with additional headers.
    pub(crate) async fn request_token_with(
        &self,
        client: &str,
        form: &[(&str, &str)],
        headers: HeaderMap,
    ) -> Value {
        self.post(self.paths.token, client, form, headers).await
    }

    async fn request_token(&self, client: &str, form: &[(&str, &str)]) -> Value {
        self.request_token_with(client, form, HeaderMap::new()).await
    }

    async fn post(&self, path: &str, client: &str, form: &[(&str, &str)], headers: HeaderMap) -> Value {
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

/// Returns a text of a JSON response.
#[track_caller]
pub(crate) fn text(response: &Value, name: &str) -> String {
    response[name].as_str().unwrap_or_else(|| panic!("{response}")).to_owned()
}
