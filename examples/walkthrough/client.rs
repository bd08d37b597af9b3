//! A public OAuth client with PKCE (RFC 6749, RFC 7636). At the start it knows only the URL of an API.
//!
//! The program also acts as the user's browser: it fills in the login page and the consent page, and the client reads the
//! redirect.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use aws_lc_rs::{digest, rand};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, Method, header};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use url::Url;

use super::{
    Failure,
    authorization_server::{Browser, Decision},
};

pub struct Client {
    http: reqwest::Client,
    browser: Browser,
}

/// A response with its whole body.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
    /// From sending the first request to receiving the whole body.
    pub took: Duration,
}

/// The members of protected resource metadata that this client uses (RFC 9728 section 2).
#[derive(Deserialize)]
pub struct ResourceMetadata {
    pub resource: String,
    pub authorization_servers: Vec<String>,
}

/// The members of authorization server metadata that this client uses (RFC 8414 section 2).
#[derive(Clone, Deserialize)]
pub struct ServerMetadata {
    pub issuer: String,
    pub registration_endpoint: String,
    pub authorization_endpoint: String,
    pub token_endpoint: String,
    pub revocation_endpoint: String,
    pub code_challenge_methods_supported: Vec<String>,
}

/// The answer to a registration (RFC 7591 section 3.2.1).
#[derive(Clone, Deserialize)]
pub struct Registration {
    pub client_id: String,
}

/// The answer of the token endpoint (RFC 6749 section 5.1).
#[derive(Deserialize)]
pub struct TokenResponse {
    pub access_token: String,
    pub token_type: String,
    pub scope: String,
}

impl Client {
    pub fn new() -> Result<Self, Failure> {
        // A proxy from the environment cannot reach loopback addresses of this machine.
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        Ok(Self { http: http.build()?, browser: Browser::new()? })
    }

    /// Calls an API with any value of `Authorization`, valid or not.
    pub async fn call(
        &self,
        method: Method,
        url: &str,
        authorization: Option<&str>,
    ) -> Result<Answer, Failure> {
        let mut request = self.http.request(method, url);
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        send(request).await
    }

    pub async fn fetch(&self, url: &str) -> Result<Answer, Failure> {
        self.call(Method::GET, url, None).await
    }

    /// Opens the authorization request in the user's browser. Returns the redirect after the user approved.
    pub async fn authorize(&self, request: &AuthorizationRequest) -> Result<Answer, Failure> {
        let start = Instant::now();
        let response = self.browser.authorize(request.url.as_str(), Decision::Approve).await?;
        read(start, response).await
    }

    // RFC 7591 section 3.1.
    pub async fn register(&self, server: &ServerMetadata) -> Result<Answer, Failure> {
        let metadata = json!({
            "client_name": "tower-bearer quickstart",
            "redirect_uris": [REDIRECT_URI],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code"],
        });
        send(self.http.post(&server.registration_endpoint).json(&metadata)).await
    }

    // RFC 6749 section 4.1.3, RFC 7636 section 4.5, RFC 8707 section 2.2.
    pub async fn exchange(
        &self,
        server: &ServerMetadata,
        authorization: &AuthorizationRequest,
        code: &str,
    ) -> Result<Answer, Failure> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT_URI),
            ("client_id", &authorization.client_id),
            ("code_verifier", &authorization.code_verifier),
            ("resource", &authorization.resource),
        ];
        send(self.http.post(&server.token_endpoint).form(&form)).await
    }

    // RFC 7009 section 2.1.
    pub async fn revoke(
        &self,
        server: &ServerMetadata,
        client_id: &str,
        token: &str,
    ) -> Result<Answer, Failure> {
        let form = [("client_id", client_id), ("token", token)];
        send(self.http.post(&server.revocation_endpoint).form(&form)).await
    }
}

async fn send(request: reqwest::RequestBuilder) -> Result<Answer, Failure> {
    let start = Instant::now();
    read(start, request.send().await?).await
}

async fn read(start: Instant, mut response: reqwest::Response) -> Result<Answer, Failure> {
    let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
    let body = response.text().await?;
    Ok(Answer { status, headers, body, took: start.elapsed() })
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(&self.body)
            .map_err(|error| format!("unusable response with status {}: {error}", self.status).into())
    }

    /// Returns the parameters of the `Bearer` challenge; empty if there is no challenge.
    pub fn challenge(&self) -> BTreeMap<String, String> {
        self.header("www-authenticate").and_then(parse_challenge).unwrap_or_default()
    }

    /// Returns the query parameters of the redirection to this client.
    pub fn redirection(&self) -> Result<BTreeMap<String, String>, Failure> {
        let location = self.header("location").ok_or("the response is not a redirection")?;
        if !location.starts_with(REDIRECT_URI) {
            return Err("the redirection does not lead to this client".into());
        }
        Ok(Url::parse(location)?.query_pairs().into_owned().collect())
    }
}

/// Parses `Bearer name="value", …` (RFC 9110 section 11.6.1). Our layer quotes all values, so only those are read.
fn parse_challenge(text: &str) -> Option<BTreeMap<String, String>> {
    let mut rest = text.strip_prefix("Bearer ")?;
    let mut parameters = BTreeMap::new();
    while !rest.is_empty() {
        let (name, quoted) = rest.split_once("=\"")?;
        let (mut value, mut characters) = (String::new(), quoted.chars());
        loop {
            match characters.next()? {
                '"' => break,
                '\\' => value.push(characters.next()?),
                character => value.push(character),
            }
        }
        parameters.insert(name.trim_start_matches([',', ' ']).to_owned(), value);
        rest = characters.as_str();
    }
    Some(parameters)
}

/// Returns the URL of an authorization server's metadata (RFC 8414 section 3.1).
pub fn metadata_url(issuer: &str) -> Result<String, Failure> {
    let mut url = Url::parse(issuer)?;
    url.set_path(&format!("/.well-known/oauth-authorization-server{}", url.path().trim_end_matches('/')));
    Ok(url.into())
}

/// An authorization request, and what the client needs later to redeem the code.
pub struct AuthorizationRequest {
    pub url: Url,
    pub state: String,
    client_id: String,
    resource: String,
    code_verifier: String,
}

impl AuthorizationRequest {
    // RFC 6749 section 4.1.1, RFC 7636 section 4.3, RFC 8707 section 2.1.
    pub fn new(
        server: &ServerMetadata,
        client: &Registration,
        resource: &str,
        scope: &str,
    ) -> Result<Self, Failure> {
        let (state, code_verifier) = (random_text()?, random_text()?);
        let code_challenge = digest::digest(&digest::SHA256, code_verifier.as_bytes());
        let parameters = [
            ("response_type", "code"),
            ("client_id", &client.client_id),
            ("redirect_uri", REDIRECT_URI),
            ("scope", scope),
            ("state", &state),
            ("code_challenge", &BASE64_URL_SAFE_NO_PAD.encode(code_challenge)),
            ("code_challenge_method", "S256"),
            ("resource", resource),
        ];
        let url = Url::parse_with_params(&server.authorization_endpoint, parameters)?;
        let (client_id, resource) = (client.client_id.clone(), resource.to_owned());
        Ok(Self { url, state, client_id, resource, code_verifier })
    }
}

/// Generates 256 random bits in base64url: 43 characters, the minimum of a code verifier.
fn random_text() -> Result<String, Failure> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| "no random bytes from the operating system")?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// Nothing listens there: this client reads redirections itself.
const REDIRECT_URI: &str = "http://127.0.0.1/callback";
