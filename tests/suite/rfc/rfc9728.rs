//! Proves where protected resource metadata (RFC 9728) is served, what it contains, and that challenges link to it.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use tower_bearer::{
    AccessToken, ClaimsSet, Issuer, ProtectedResourceMetadata, ResourceServer, RoutingValidator, Scope,
    ScopeRequirement, TokenValidator, ValidatedToken, ValidationError, testing::TestAuthorizationServer,
};
use url::Url;

use crate::support::{
    App, ISSUER, Log, METADATA_URL, READ, RESOURCE, WRITE, check_metadata, plain, with_authorization,
};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// Accepts every token, without scopes.
#[derive(Debug)]
struct AnyToken;

impl TokenValidator for AnyToken {
    async fn validate(&self, _: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        Ok(ValidatedToken::from_trusted_claims(ClaimsSet::new()))
    }

    fn issuers(&self) -> Vec<Issuer> {
        vec![Issuer::new(ISSUER).unwrap()]
    }
}

fn metadata() -> ProtectedResourceMetadata {
    ProtectedResourceMetadata::new(RESOURCE)
}

fn server_of(metadata: ProtectedResourceMetadata) -> ResourceServer {
    ResourceServer::builder(AnyToken).resource_metadata(metadata).build().unwrap()
}

fn server(resource: &str) -> ResourceServer {
    server_of(ProtectedResourceMetadata::new(resource).allow_http_on_loopback())
}

async fn send(server: &ResourceServer, request: Request<()>) -> Response<Bytes> {
    let (parts, body) = server.metadata_service().unwrap().oneshot(request).await.unwrap().into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

async fn get(server: &ResourceServer, uri: &str) -> Response<Bytes> {
    send(server, Request::get(uri).body(()).unwrap()).await
}

async fn document(server: &ResourceServer) -> Value {
    let response = get(server, server.metadata_paths()[0]).await;
    assert_eq!(response.status(), StatusCode::OK);
    serde_json::from_slice(response.body()).unwrap()
}

#[tokio::test]
async fn r9728_01_document_is_at_the_well_known_path_inserted_before_the_resource_path() {
    let server = server("https://h/a/b");

    let response = get(&server, "/.well-known/oauth-protected-resource/a/b").await;

    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(server.metadata_paths()[0], "/.well-known/oauth-protected-resource/a/b");
    for path in ["/a/b/.well-known/oauth-protected-resource", WELL_KNOWN, "/a/b", "/"] {
        assert_eq!(get(&server, path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn r9728_02_resource_without_a_path_has_no_suffix_and_a_trailing_slash_adds_a_path() {
    for (resource, paths) in [
        ("https://h", &[WELL_KNOWN][..]),
        ("https://h/", &[WELL_KNOWN]),
        ("https://h/a", &["/.well-known/oauth-protected-resource/a"]),
        (
            "https://h/a/",
            &["/.well-known/oauth-protected-resource/a/", "/.well-known/oauth-protected-resource/a"],
        ),
    ] {
        let server = server(resource);

        assert_eq!(server.metadata_paths(), paths, "{resource}");
        assert_eq!(server.metadata_paths()[0], paths[0], "{resource}");
        for path in paths {
            let response = get(&server, path).await;
            let document: Value = serde_json::from_slice(response.body()).unwrap();
            assert_eq!(document["resource"], resource, "{path}");
        }
    }
    assert_eq!(get(&server("https://h"), &format!("{WELL_KNOWN}/")).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(
        get(&server("https://h/a"), &format!("{WELL_KNOWN}/a/")).await.status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn r9728_03_document_is_json() {
    let server = server(RESOURCE);

    let response = get(&server, WELL_KNOWN).await;

    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["content-length"], response.body().len().to_string());
    assert!(serde_json::from_slice::<Value>(response.body()).unwrap().is_object());
}

#[tokio::test]
async fn r9728_04_resource_is_the_configured_identifier_for_any_host_header() {
    for resource in
        ["https://h", "https://h/", "https://H/A", "https://h:443/a", "https://h/%7Ea/../b", "https://h/a/"]
    {
        let server = server(resource);
        let request = Request::get(server.metadata_paths()[0])
            .header("host", "evil.example.com")
            .header("x-forwarded-host", "evil.example.com")
            .header("forwarded", "host=evil.example.com");

        let response = send(&server, request.body(()).unwrap()).await;

        let document: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(document["resource"], resource);
        assert!(!document.to_string().contains("evil"), "{document}");
    }
}

#[tokio::test]
async fn r9728_05_another_suffix_is_not_found() {
    let with_path = server("https://h/a");
    let without = ResourceServer::builder(AnyToken).build().unwrap();

    for path in ["/other", "/a/b", "/A", "/%61", "//a", ""] {
        let response = get(&with_path, &format!("{WELL_KNOWN}{path}")).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(response.body().is_empty());
    }
    assert!(without.metadata_paths().is_empty() && without.metadata().is_none());
}

#[test]
fn r9728_05_metadata_service_without_metadata_is_refused() {
    let without = ResourceServer::builder(AnyToken).build().unwrap();

    let error = without.metadata_service().unwrap_err();

    assert_eq!(
        error.to_string(),
        "resource_metadata: expected metadata; set it on the builder of the resource server"
    );
    assert_eq!(without.metadata_router::<()>().unwrap_err(), error);
}

#[test]
fn r9728_05_path_that_axum_cannot_route_is_an_error_and_no_panic() {
    for resource in ["https://h/:id", "https://h/a/*rest"] {
        let error = server(resource).metadata_router::<()>().unwrap_err().to_string();
        assert!(error.starts_with("resource "), "{error}");
    }
    for resource in ["https://h/a:b", "https://h/{id}", "https://h/a*"] {
        assert!(server(resource).metadata_router::<()>().is_ok(), "{resource}");
    }
}

#[tokio::test]
async fn r9728_06_members_without_a_value_are_omitted() {
    /// A validator without issuers.
    #[derive(Debug)]
    struct TokenTable;

    impl TokenValidator for TokenTable {
        async fn validate(&self, _: &AccessToken) -> Result<ValidatedToken, ValidationError> {
            Err(ValidationError::Inactive)
        }
    }

    let metadata = metadata().scopes_supported([]);
    let server = ResourceServer::builder(TokenTable).resource_metadata(metadata).build().unwrap();

    let expected = json!({"resource": RESOURCE, "bearer_methods_supported": ["header"]});
    assert_eq!(document(&server).await, expected);
}

#[test]
fn r9728_06_empty_member_is_refused() {
    for value in [json!(null), json!([]), json!("")] {
        let error = check_metadata(metadata().member("resource_tos_uri#de", value)).unwrap_err().to_string();

        assert!(error.contains("\"resource_tos_uri#de\""), "{error}");
    }
}

#[test]
fn r9728_07_resource_must_be_an_https_url_without_fragment() {
    for resource in [
        "https://h/a#b",
        "https://h/a#",
        "http://h/a",
        "http://127.0.0.1:3000/mcp",
        "ftp://h/a",
        "h/a",
        "urn:example:orders",
        "https://user:secret@h/a",
        "https://h/a b",
        "",
    ] {
        let error = check_metadata(ProtectedResourceMetadata::new(resource)).unwrap_err().to_string();

        assert!(error.starts_with("resource") && !error.contains("secret"), "{error}");
    }
    for resource in ["http://127.0.0.1:3000/mcp", "http://localhost:3000", "http://[::1]:3000", "https://h"] {
        let metadata = ProtectedResourceMetadata::new(resource).allow_http_on_loopback();
        assert!(check_metadata(metadata).is_ok(), "{resource}");
    }
    assert!(check_metadata(ProtectedResourceMetadata::new("http://h/a").allow_http_on_loopback()).is_err());
}

#[tokio::test]
async fn r9728_07_query_is_kept_after_the_path_and_logged_as_a_warning() {
    let (log, _recording) = Log::record();
    let server = server("https://h/a?t=1");
    assert!(log.text().contains("WARN") && log.text().contains("has a query"), "{}", log.text());

    let answer = App::new(server.require_token()).send(plain()).await;

    let url = "https://h/.well-known/oauth-protected-resource/a?t=1";
    answer.assert_challenge(&format!("Bearer resource_metadata=\"{url}\""));
    let response = get(&server, url).await;
    let document: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(document["resource"], "https://h/a?t=1");
}

#[tokio::test]
async fn r9728_08_authorization_servers_are_the_issuers_of_the_validator() {
    let (ours, partners) = (
        TestAuthorizationServer::new(ISSUER),
        TestAuthorizationServer::new("https://login.partner.example/t/"),
    );
    let routes = RoutingValidator::new()
        .route(ours.jwt_validator(RESOURCE).build().unwrap())
        .route(partners.jwt_validator(RESOURCE).build().unwrap())
        .otherwise(ours.introspection_validator(RESOURCE).build().unwrap());
    let server = ours.resource_server_with(routes).resource_metadata(metadata()).build().unwrap();

    let expected = json!([ISSUER, "https://login.partner.example/t/"]);
    assert_eq!(document(&server).await["authorization_servers"], expected);
}

#[tokio::test]
async fn r9728_09_header_is_the_only_bearer_method() {
    assert_eq!(document(&server(RESOURCE)).await["bearer_methods_supported"], json!(["header"]));
}

#[test]
fn r9728_09_derived_members_cannot_be_overridden() {
    for name in ["resource", "authorization_servers", "bearer_methods_supported", "scopes_supported"] {
        let error = check_metadata(metadata().member(name, json!(["query"]))).unwrap_err().to_string();

        assert!(error.contains(name), "{error}");
    }
}

const SENDER_CONSTRAINT_MEMBERS: [&str; 3] = [
    "dpop_signing_alg_values_supported",
    "dpop_bound_access_tokens_required",
    "tls_client_certificate_bound_access_tokens",
];

#[tokio::test]
async fn r9728_10_unchecked_sender_constraints_are_not_published() {
    let document = document(&server(RESOURCE)).await;

    for name in SENDER_CONSTRAINT_MEMBERS {
        assert_eq!(document.get(name), None, "{name}");
    }
}

#[test]
fn r9728_10_unchecked_sender_constraints_cannot_be_configured() {
    for name in SENDER_CONSTRAINT_MEMBERS {
        assert!(check_metadata(metadata().member(name, true)).is_err(), "{name}");
    }
}

#[tokio::test]
async fn r9728_11_scopes_supported_are_those_of_the_baseline_and_the_guards() {
    let baseline = Scope::from_static("orders:list");
    let server = ResourceServer::builder(AnyToken)
        .resource_metadata(metadata())
        .baseline_scopes([baseline])
        .build()
        .unwrap();
    // Routers often create the metadata service before the guards.
    let service = server.metadata_service().unwrap();
    let _ = server.require_scopes(READ);
    let _ = server.require_scopes(ScopeRequirement::any([WRITE, READ]));
    let _ = server.require_scopes(Scope::from_static("offline_access"));
    let _ = server.require_token();

    let response = service.oneshot(Request::get(WELL_KNOWN).body(()).unwrap()).await.unwrap();

    let document: Value = serde_json::from_slice(&response.collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(document["scopes_supported"], json!(["orders:list", "orders:read", "orders:write"]));
}

#[tokio::test]
async fn r9728_11_configured_scopes_supported_are_not_extended() {
    let server = server_of(metadata().scopes_supported([READ]));
    let _ = server.require_scopes(WRITE);

    assert_eq!(document(&server).await["scopes_supported"], json!(["orders:read"]));
}

#[test]
fn r9728_11_offline_access_is_never_published() {
    let offline_access = Scope::from_static("offline_access");

    let listed = check_metadata(metadata().scopes_supported([READ, offline_access.clone()])).unwrap_err();
    let named = ResourceServer::builder(AnyToken).baseline_scopes([offline_access]).build().unwrap_err();

    assert!(listed.to_string().starts_with("scopes_supported \"offline_access\""), "{listed}");
    assert!(named.to_string().starts_with("baseline_scopes \"offline_access\""), "{named}");
}

#[tokio::test]
async fn r9728_12_every_challenge_has_the_configured_metadata_url() {
    let server = server(RESOURCE);
    let app = App::new(server.require_scopes(READ));
    let refused = TestAuthorizationServer::new(ISSUER);
    let refusing = App::new(refused.resource_server(RESOURCE).require_scopes(READ));
    let via_other_host = |mut request: Request<Full<Bytes>>| {
        for name in ["host", "x-forwarded-host"] {
            request.headers_mut().insert(name, "evil.example.com".parse().unwrap());
        }
        request
    };

    for (answer, status) in [
        (app.send(via_other_host(plain())).await, 401),
        (app.send(via_other_host(with_authorization("Bearer"))).await, 400),
        (app.send(via_other_host(with_authorization("Bearer any"))).await, 403),
        (refusing.send(via_other_host(with_authorization("Bearer null"))).await, 401),
    ] {
        assert_eq!(answer.status, status);
        assert_eq!(answer.challenges[0].param("resource_metadata"), Some(METADATA_URL));
    }
}

#[tokio::test]
async fn r9728_13_document_needs_no_token_and_allows_every_origin() {
    let server = server(RESOURCE);
    let request = |method: Method| {
        Request::builder()
            .method(method)
            .uri(WELL_KNOWN)
            .header("origin", "https://app.example.com")
            .body(())
            .unwrap()
    };

    let got = send(&server, request(Method::GET)).await;
    let head = send(&server, request(Method::HEAD)).await;
    let options = send(&server, request(Method::OPTIONS)).await;

    assert_eq!(got.status(), StatusCode::OK);
    assert_eq!((head.status(), head.headers(), head.body().len()), (StatusCode::OK, got.headers(), 0));
    assert_eq!((options.status(), options.body().len()), (StatusCode::NO_CONTENT, 0));
    assert_eq!(options.headers()["access-control-allow-methods"], "GET, HEAD, OPTIONS");
    assert_eq!(options.headers()["access-control-allow-headers"], "*");
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::TRACE] {
        let other = send(&server, request(method.clone())).await;
        assert_eq!(other.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(other.headers()["allow"], "GET, HEAD, OPTIONS");
        assert_any_origin_is_allowed(other.headers());
    }
    for response in [got, head, options] {
        assert_any_origin_is_allowed(response.headers());
        assert!(!response.headers().contains_key("www-authenticate"));
    }
}

#[track_caller]
fn assert_any_origin_is_allowed(headers: &HeaderMap) {
    assert_eq!(headers["access-control-allow-origin"], "*");
    assert!(!headers.contains_key("access-control-allow-credentials"));
}

#[tokio::test]
async fn r9728_14_document_is_cacheable_for_five_minutes() {
    let response = get(&server(RESOURCE), WELL_KNOWN).await;

    assert_eq!(response.headers()["cache-control"], "public, max-age=300");
}

#[tokio::test]
async fn r9728_15_signed_metadata_is_included_unchanged() {
    let jwt = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2gifQ.c2ln";

    assert_eq!(document(&server_of(metadata().signed_metadata(jwt))).await["signed_metadata"], jwt);
    assert_eq!(document(&server(RESOURCE)).await.get("signed_metadata"), None);
}

#[tokio::test]
async fn r9728_16_human_readable_members_are_published_in_each_language() {
    let metadata = metadata()
        .resource_name("Orders")
        .resource_name_in("de", "Bestellungen")
        .resource_name_in("ja-Kana-JP", "\u{6ce8}\u{6587}")
        .resource_documentation("https://orders.example.com/docs")
        .resource_policy_uri("https://orders.example.com/policy")
        .resource_tos_uri("https://orders.example.com/tos")
        .member("resource_tos_uri#de", "https://orders.example.com/agb");

    assert_eq!(
        document(&server_of(metadata)).await,
        json!({
            "resource": RESOURCE,
            "authorization_servers": [ISSUER],
            "bearer_methods_supported": ["header"],
            "resource_name": "Orders",
            "resource_name#de": "Bestellungen",
            "resource_name#ja-Kana-JP": "\u{6ce8}\u{6587}",
            "resource_documentation": "https://orders.example.com/docs",
            "resource_policy_uri": "https://orders.example.com/policy",
            "resource_tos_uri": "https://orders.example.com/tos",
            "resource_tos_uri#de": "https://orders.example.com/agb",
        })
    );
}

/// Builds the metadata URL as client SDKs do: RFC 9728 section 3.1 with a URL type.
fn well_known_url(resource: &str) -> String {
    let mut url = Url::parse(resource).unwrap();
    let path = if url.path() == "/" { WELL_KNOWN.to_owned() } else { format!("{WELL_KNOWN}{}", url.path()) };
    url.set_path(&path);
    url.into()
}

/// Follows the challenge of a 401 to the document, as a client does, and compares the values (RFC 9728 section 3.3).
async fn assert_found_by_a_client(resource: &str) {
    let server = server(resource);

    let answer = App::new(server.require_token()).send(plain()).await;

    let found = answer.challenges[0].param("resource_metadata").unwrap();
    assert_eq!(found, well_known_url(resource), "{resource}");
    // Servers receive the request target in origin form.
    let found = Url::parse(found).unwrap();
    let response = get(&server, &found[url::Position::BeforePath..]).await;
    assert_eq!(response.status(), StatusCode::OK, "{resource}");
    let document: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(document["resource"], resource);
}

#[tokio::test]
async fn r9728_17_challenge_leads_to_a_document_that_passes_the_clients_checks() {
    for resource in [
        "https://h",
        "https://h/",
        "https://h/mcp",
        "https://h/mcp/",
        "https://h:8443/a/b/c",
        "https://h/a?t=1",
        "https://h?t=1",
        "https://h/a%2Fb/%C3%A9",
        "https://h/a;b=c/@d",
        "https://h/{tenant}",
        "https://h/a//b",
        "https://h/a|b",
        "http://127.0.0.1:3000/mcp",
    ] {
        assert_found_by_a_client(resource).await;
    }
}

proptest! {
    #[test]
    fn r9728_17_document_is_found_for_any_resource_path(path in "(/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[2-7][0-9A-F]){0,6}){0,4}") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();

        runtime.block_on(assert_found_by_a_client(&format!("https://h{path}")));
    }
}
