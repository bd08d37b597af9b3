//! Which servers a resource server connects to while a client goes through the whole flow.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex},
};

use ::axum::{Router, routing::get};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use reqwest::Response;
use tokio::net::TcpListener;
use tower_bearer::{
    BoxFuture, HttpClient, HttpError, IntrospectionValidator, JwtValidator, ProtectedResourceMetadata,
    ReqwestClient, ResourceServer, ResourceServerCredential, RoutingValidator, Scope,
};
use url::Url;

use super::*;

#[tokio::test]
async fn rmcp_28_resource_server_talks_only_to_the_endpoints_of_its_issuer() {
    let (kit, documents) = start().await;
    // Every URL that a client controls leads here, apart from its identifier.
    let trap = DocumentHost::start().await;
    let client_id = documents.publish_with("/client.json", "", |document| {
        for member in ["jwks_uri", "client_uri", "logo_uri"] {
            document[member] = json!(trap.url("/"));
        }
    });
    let outbound = Recording::new();

    for format in [TokenFormat::Jwt, TokenFormat::Opaque] {
        let resource = serve(&kit, format, &outbound).await;
        let read = get_token(&kit, &resource, &client_id, None).await;
        let refused = post(&kit, &resource, &read).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        let write = get_token(&kit, &resource, &client_id, Some("mcp:read mcp:write")).await;
        assert_eq!(post(&kit, &resource, &write).await.status(), StatusCode::OK);
        kit.post("/revoke", &[("client_id", &client_id), ("token", &read)]).await;
        call(&kit, &resource, Some(&read)).await;

        for token in hostile_tokens(&kit, &resource, &trap) {
            let response = call(&kit, &resource, Some(&token)).await;
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{token}");
        }
    }
    kit.server.block_client(&client_id);

    let issuer = kit.server.issuer();
    let endpoints = ["/.well-known/oauth-authorization-server", "/introspect", "/jwks"];
    assert_eq!(outbound.urls(), endpoints.map(|path| format!("{issuer}{path}")));
    // Seen from the network: only the authorization server fetched the document, and nothing connected to the trap.
    assert_eq!(documents.peers(), [IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    assert_eq!(trap.peers(), [] as [IpAddr; 0]);
}

/// The address that the resource server connects from, so that its connections differ from all others.
const RESOURCE_SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 77);

/// Sends requests with the real client, and records them.
#[derive(Debug, Clone)]
struct Recording {
    inner: ReqwestClient,
    urls: Arc<Mutex<Vec<String>>>,
}

impl Recording {
    fn new() -> Self {
        let builder = reqwest::Client::builder().no_proxy().local_address(IpAddr::V4(RESOURCE_SERVER));
        Self { inner: ReqwestClient::from_builder(builder).unwrap(), urls: Arc::default() }
    }

    /// Returns the URLs of all requests, each once.
    fn urls(&self) -> Vec<String> {
        let mut urls = self.urls.lock().unwrap().clone();
        urls.sort();
        urls.dedup();
        urls
    }
}

impl HttpClient for Recording {
    fn send(
        &self,
        request: http::Request<Bytes>,
        body_limit: usize,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, HttpError>> {
        self.urls.lock().unwrap().push(request.uri().to_string());
        self.inner.send(request, body_limit)
    }
}

/// Serves a resource, and returns its URL. `GET` needs `mcp:read`, `POST` needs `mcp:write`.
async fn serve(kit: &Kit, format: TokenFormat, outbound: &Recording) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let resource = format!("http://{}/jobs", listener.local_addr().unwrap());
    let ours = kit.server.add_resource(&resource, format, &["mcp:read", "mcp:write"]);
    let issuer = tower_bearer::AuthorizationServer::discover(kit.server.issuer())
        .allow_http_on_loopback()
        .http_client(outbound.clone());
    let credential = ResourceServerCredential::secret_basic(ours.id, ours.secret.expose());
    let validator = RoutingValidator::new()
        .route(JwtValidator::builder(issuer.clone(), &resource).build().unwrap())
        .otherwise(IntrospectionValidator::builder(issuer, credential, &resource).build().unwrap());
    let metadata = ProtectedResourceMetadata::new(&resource).allow_http_on_loopback();
    let server = ResourceServer::builder(validator).resource_metadata(metadata).build().unwrap();
    let methods =
        get(|| async { "jobs" }).route_layer(server.require_scopes(Scope::from_static("mcp:read"))).merge(
            ::axum::routing::post(|| async { "started" })
                .route_layer(server.require_scopes(Scope::from_static("mcp:write"))),
        );
    let app = Router::new().route("/jobs", methods).merge(server.metadata_router().unwrap());
    tokio::spawn(async move { ::axum::serve(listener, app).await });
    resource
}

/// From the URL of the resource to a token that it accepts. `scope` is what to ask for, if not what the challenge says.
async fn get_token(kit: &Kit, resource: &str, client_id: &str, scope: Option<&str>) -> String {
    let unauthorized = call(kit, resource, None).await;
    let challenge = unauthorized.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
    let parameter = |name: &str| {
        let value = challenge.split_once(&format!("{name}=\"")).and_then(|(_, rest)| rest.split_once('"'));
        value.unwrap_or_else(|| panic!("no {name} in {challenge}")).0
    };
    let scope = scope.unwrap_or_else(|| parameter("scope"));
    let metadata: Value =
        kit.http.get(parameter("resource_metadata")).send().await.unwrap().json().await.unwrap();
    assert_eq!(metadata["authorization_servers"], json!([kit.server.issuer()]));
    let server = kit.get_json("/.well-known/oauth-authorization-server").await;
    assert_eq!(server["client_id_metadata_document_supported"], true);

    let request = authorization_request(client_id);
    let request = replace(&replace(&request, "resource", resource), "scope", scope).clone();
    let url = Url::parse_with_params(server["authorization_endpoint"].as_str().unwrap(), request).unwrap();
    let response = kit.browser.authorize(url.as_str(), Decision::Approve).await.unwrap();
    let code = redirect_target(&response).1["code"].clone();
    let form = redemption(client_id, &code);
    let tokens = kit.post("/token", &replace(&form, "resource", resource)).await;
    let token = tokens.text("access_token").to_owned();
    assert_eq!(call(kit, resource, Some(&token)).await.status(), StatusCode::OK);
    token
}

async fn call(kit: &Kit, resource: &str, token: Option<&str>) -> Response {
    let request = kit.http.get(resource);
    let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
    request.send().await.unwrap()
}

async fn post(kit: &Kit, resource: &str, token: &str) -> Response {
    kit.http.post(resource).bearer_auth(token).send().await.unwrap()
}

/// Tokens that name URLs wherever a token can.
fn hostile_tokens(kit: &Kit, resource: &str, trap: &DocumentHost) -> Vec<String> {
    let url = trap.url("/keys.json");
    let signed = kit.server.mint(Minting {
        resource,
        scope: "mcp:read",
        format: Some(TokenFormat::Jwt),
        claims: BTreeMap::from([("iss", json!(trap.url("")))]),
        ..Minting::default()
    });
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({
        "iss": kit.server.issuer(), "sub": "mallory", "aud": resource, "exp": 4_000_000_000_u64, "iat": 1,
        "jti": "1", "scope": "mcp:read mcp:write", "client_id": url, "azp": url, "jwks_uri": url,
        "_claim_sources": { "src1": { "endpoint": url } },
    });
    let foreign = json!({ "iss": trap.url(""), "aud": resource, "exp": 4_000_000_000_u64 });
    let headers = [
        json!({ "alg": "ES256", "typ": "at+jwt", "kid": "unknown", "jku": url, "x5u": url }),
        json!({ "alg": "ES256", "typ": "at+jwt", "kid": url, "jku": url }),
        json!({ "alg": "RS256", "typ": "at+jwt", "x5u": url }),
    ];
    let forged = headers.iter().flat_map(|header| {
        [&claims, &foreign].map(|claims| format!("{}.{}.{}", part(header), part(claims), "A".repeat(86)))
    });
    forged.chain([signed, url.replace([':', '/'], "-")]).collect()
}
