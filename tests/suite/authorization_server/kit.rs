//! A running server with two resources, and valid requests to change.

use std::collections::BTreeMap;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use reqwest::{Response, StatusCode, header, redirect};
use serde_json::{Value, json};
use url::Url;

use super::{
    document_host::DocumentHost,
    example::{AuthorizationServer, Browser, Decision, Page, ResourceCredential, TokenFormat},
};

/// A resource with JWTs. No server listens on this URL.
pub(super) const MCP: &str = "http://127.0.0.1:4000/mcp";
/// A resource with opaque tokens. No server listens on this URL.
pub(super) const ORDERS: &str = "http://127.0.0.1:4000/orders";
/// No server listens on this URL, because redirects are not followed.
pub(super) const REDIRECT_URI: &str = "http://127.0.0.1:7777/callback";
// RFC 7636 appendix B.
pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(super) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(super) fn public_client() -> Value {
    json!({
        "redirect_uris": [REDIRECT_URI],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "software_id": "a member that the server ignores",
    })
}

pub(super) fn authorization_request(client_id: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", REDIRECT_URI),
        ("scope", "mcp:read"),
        ("state", "a state & more"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("resource", MCP),
    ]
}

pub(super) fn redemption<'a>(client_id: &'a str, code: &'a str) -> Vec<(&'static str, &'a str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("client_id", client_id),
        ("code", code),
        ("code_verifier", VERIFIER),
        ("redirect_uri", REDIRECT_URI),
        ("resource", MCP),
    ]
}

/// Replaces one parameter of a valid request. An empty value removes it.
pub(super) fn replace<'a>(
    valid: &[(&'static str, &'a str)],
    name: &str,
    value: &'a str,
) -> Vec<(&'static str, &'a str)> {
    assert!(valid.iter().any(|(known, _)| *known == name), "{name} is not a parameter of the valid request");
    let replaced = valid.iter().map(|&(known, old)| (known, if known == name { value } else { old }));
    replaced.filter(|(_, value)| !value.is_empty()).collect()
}

/// Splits the target of a redirect into the URL and its query parameters.
pub(super) fn redirect_target(response: &Response) -> (String, BTreeMap<String, String>) {
    let location = response.headers()[header::LOCATION].to_str().unwrap();
    let mut target = Url::parse(location).unwrap();
    let query = target.query_pairs().into_owned().collect();
    target.set_query(None);
    (target.into(), query)
}

/// A running server with two resources, an HTTP client that does not follow redirects, and a user.
pub(super) struct Kit {
    pub(super) server: AuthorizationServer,
    pub(super) mcp: ResourceCredential,
    pub(super) orders: ResourceCredential,
    pub(super) http: reqwest::Client,
    pub(super) browser: Browser,
}

impl Kit {
    pub(super) async fn start() -> Self {
        let server = AuthorizationServer::start().await.unwrap();
        let mcp = server.add_resource(MCP, TokenFormat::Jwt, &["mcp:read", "mcp:write"]);
        let orders = server.add_resource(ORDERS, TokenFormat::Opaque, &["orders:read"]);
        let http = reqwest::Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap();
        Self { server, mcp, orders, http, browser: Browser::new().unwrap() }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.issuer())
    }

    pub(super) async fn get_json(&self, path: &str) -> Value {
        self.http.get(self.url(path)).send().await.unwrap().json().await.unwrap()
    }

    pub(super) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        Answer::of(self.http.post(self.url(path)).form(form).send().await.unwrap()).await
    }

    pub(super) async fn register(&self, metadata: &Value) -> Answer {
        Answer::of(self.http.post(self.url("/register")).json(metadata).send().await.unwrap()).await
    }

    pub(super) async fn public_client(&self) -> String {
        self.register(&public_client()).await.text("client_id").to_owned()
    }

    pub(super) fn authorization_url(&self, request: &[(&str, &str)]) -> String {
        Url::parse_with_params(&self.url("/authorize"), request).unwrap().into()
    }

    /// Sends an authorization request. If the server asks the user, the user signs in and approves.
    pub(super) async fn authorize(&self, request: &[(&str, &str)]) -> Response {
        self.decide(request, Decision::Approve).await
    }

    pub(super) async fn decide(&self, request: &[(&str, &str)], decision: Decision<'_>) -> Response {
        self.browser.authorize(&self.authorization_url(request), decision).await.unwrap()
    }

    /// Opens an authorization request in the user's browser, and returns the page that it shows.
    pub(super) async fn open(&self, request: &[(&str, &str)]) -> Page {
        page(self.browser.open(&self.authorization_url(request)).await.unwrap()).await
    }

    /// Opens a valid request of this client.
    pub(super) async fn open_raw(&self, client_id: &str) -> Response {
        let url = self.authorization_url(&authorization_request(client_id));
        self.browser.open(&url).await.unwrap()
    }

    /// Checks that the server shows an error to the user, and does not redirect. Returns the page.
    pub(super) async fn assert_refused(&self, client_id: &str) -> String {
        let response = self.open_raw(client_id).await;

        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{client_id}");
        assert!(!response.headers().contains_key(header::LOCATION), "{client_id}");
        response.text().await.unwrap()
    }

    /// Opens an authorization request of a user who is signed in, and returns the consent page.
    pub(super) async fn consent_page(&self, request: &[(&str, &str)]) -> Page {
        let login = self.open(request).await;
        page(self.browser.submit(&login, &login.fill_in(Decision::Approve)).await.unwrap()).await
    }

    pub(super) async fn code(&self, client_id: &str) -> String {
        redirect_target(&self.authorize(&authorization_request(client_id)).await).1["code"].clone()
    }

    pub(super) async fn tokens(&self, client_id: &str) -> Answer {
        self.tokens_with_scope(client_id, "mcp:read").await
    }

    pub(super) async fn tokens_with_scope(&self, client_id: &str, scope: &str) -> Answer {
        let request = replace(&authorization_request(client_id), "scope", scope);
        let code = redirect_target(&self.authorize(&request).await).1["code"].clone();
        self.post("/token", &redemption(client_id, &code)).await
    }

    pub(super) async fn refresh(&self, client_id: &str, refresh_token: &str, scope: &str) -> Answer {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", client_id),
            ("refresh_token", refresh_token),
            ("scope", scope),
        ];
        self.post("/token", &form).await
    }

    pub(super) async fn introspect(&self, token: &str, credential: &ResourceCredential) -> Answer {
        let request = self.http.post(self.url("/introspect"));
        let request = request.basic_auth(&credential.id, Some(credential.secret.expose()));
        Answer::of(request.form(&[("token", token)]).send().await.unwrap()).await
    }

    pub(super) async fn is_active(&self, token: &str, credential: &ResourceCredential) -> bool {
        self.introspect(token, credential).await.body["active"].as_bool().unwrap()
    }

    /// Verifies a JWT with the published keys, and returns its type and its claims.
    pub(super) async fn verify(&self, token: &str) -> Result<(Option<String>, Value), String> {
        let keys: JwkSet = serde_json::from_value(self.get_json("/jwks").await).unwrap();
        let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
        let key = keys.find(header.kid.as_deref().unwrap_or_default()).ok_or("key not published")?;
        let key = DecodingKey::from_jwk(key).map_err(|error| error.to_string())?;
        let mut validation = Validation::new(Algorithm::ES256);
        validation.validate_aud = false;
        let verified = jsonwebtoken::decode(token, &key, &validation).map_err(|error| error.to_string())?;
        Ok((header.typ, verified.claims))
    }
}

pub(super) async fn page(response: Response) -> Page {
    assert_eq!(response.status(), StatusCode::OK);
    Page { url: response.url().clone(), html: response.text().await.unwrap() }
}

/// The parts of a response that the tests check.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) cache_control: String,
    pub(super) challenge: String,
    pub(super) body: Value,
}

impl Answer {
    pub(super) async fn of(response: Response) -> Self {
        let header = |name| {
            let value =
                response.headers().get(name).map(|value: &header::HeaderValue| value.to_str().unwrap());
            value.unwrap_or_default().to_owned()
        };
        Self {
            status: response.status(),
            cache_control: header(header::CACHE_CONTROL),
            challenge: header(header::WWW_AUTHENTICATE),
            body: serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default(),
        }
    }

    pub(super) fn text(&self, member: &str) -> &str {
        self.body[member].as_str().unwrap_or_else(|| panic!("no {member} in {}: {}", self.status, self.body))
    }

    pub(super) fn error(&self) -> &str {
        self.text("error")
    }
}

/// A server that accepts client identifiers on loopback, and a host for them.
pub(super) async fn start() -> (Kit, DocumentHost) {
    let kit = Kit::start().await;
    kit.server.allow_client_ids_on_loopback();
    (kit, DocumentHost::start().await)
}
