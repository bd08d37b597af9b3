//! Proves how the extractors, layers and metadata routes work in an axum application, over a socket.

use axum::{
    Extension, Json, Router,
    extract::{Path, State},
    response::IntoResponse,
    routing::{get, post, put},
};
use http::{HeaderMap, Method, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use tower_bearer::{
    Claims, ClaimsSet, PathRules, ProtectedResourceMetadata, ResourceServer, Scope, ScopeHierarchy,
    ScopeRequirement, ValidatedToken,
    testing::{TestAuthorizationServer, TokenBuilder, bearer, challenges},
};
use tower_http::{cors::CorsLayer, trace::TraceLayer};

use crate::support::{Log, http_client, serve};

const ISSUER: &str = "https://as.example.com";
const RESOURCE: &str = "https://orders.example.com/api/";
const READ: Scope = Scope::from_static("orders:read");
const WRITE: Scope = Scope::from_static("orders:write");

/// An application on a free port, with a client.
struct Service {
    url: String,
    client: reqwest::Client,
    authority: TestAuthorizationServer,
}

impl Service {
    async fn start(routes: impl FnOnce(&ResourceServer) -> Router) -> Self {
        let authority = TestAuthorizationServer::new(ISSUER);
        let app = routes(&authority.resource_server(RESOURCE));
        let url = format!("http://{}", serve(app).await);
        Self { url, client: http_client(), authority }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    async fn send(&self, method: Method, path: &str, token: Option<TokenBuilder>) -> Answer {
        let request = self.request(method, path);
        let request = match token {
            Some(token) => request.bearer_auth(token.sign()),
            None => request,
        };
        Answer::read(request).await
    }

    async fn get(&self, path: &str, token: Option<TokenBuilder>) -> Answer {
        self.send(Method::GET, path, token).await
    }

    fn token(&self) -> TokenBuilder {
        self.authority.token().scope("orders:read")
    }
}

/// A response whose body has been read.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    async fn read(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, body: response.text().await.unwrap() }
    }

    fn challenges(&self) -> Vec<tower_bearer::testing::ParsedChallenge> {
        let mut response = http::Response::new(());
        *response.headers_mut() = self.headers.clone();
        challenges(&response)
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

mod extractors {
    use super::*;

    #[derive(Deserialize)]
    struct Tenant {
        tenant: String,
        #[serde(default)]
        floor: Option<u8>,
    }

    async fn show(token: ValidatedToken) -> String {
        format!("{} with {}", token.subject().unwrap(), token.scopes())
    }

    async fn greet(token: Option<ValidatedToken>) -> String {
        token.map_or_else(|| "hello".to_owned(), |token| format!("hello {}", token.subject().unwrap()))
    }

    async fn tenant(Claims(Tenant { tenant, floor }): Claims<Tenant>) -> String {
        format!("{tenant} {floor:?}")
    }

    fn routes(resource_server: &ResourceServer) -> Router {
        Router::new()
            .route("/me", get(show).layer(resource_server.require_scopes(READ)))
            .route("/", get(greet).layer(resource_server.allow_anonymous()))
            .route("/tenant", get(tenant).layer(resource_server.require_token()))
            .route("/without-layer", get(show))
            .route("/claims-without-layer", get(tenant))
    }

    #[tokio::test]
    async fn extractor_passes_the_token_to_the_handler() {
        let service = Service::start(routes).await;

        let answer = service.get("/me", Some(service.token())).await;

        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "alice with orders:read"));
    }

    #[tokio::test]
    async fn handler_is_not_called_without_a_token() {
        let service = Service::start(routes).await;

        let answer = service.get("/me", None).await;

        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.challenges(), [bearer().scope("orders:read")]);
    }

    #[tokio::test]
    async fn optional_extractor_passes_the_token_or_none() {
        let service = Service::start(routes).await;

        assert_eq!(service.get("/", None).await.body, "hello");
        assert_eq!(service.get("/", Some(service.token())).await.body, "hello alice");
        let expired = service.get("/", Some(service.token().claim("exp", 1))).await;

        assert_eq!(expired.status, StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn claims_extractor_deserializes_into_the_handlers_type() {
        let service = Service::start(routes).await;

        let with_floor = service.token().claim("tenant", "north").claim("floor", 3);
        let answer = service.get("/tenant", Some(with_floor)).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "north Some(3)"));
        let answer = service.get("/tenant", Some(service.token().claim("tenant", "\"ünïcode\""))).await;

        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "\"ünïcode\" None"));
    }

    #[tokio::test]
    async fn claims_that_cannot_be_deserialized_are_403() {
        let service = Service::start(routes).await;

        for token in [
            service.token(),
            service.token().claim("tenant", 7),
            service.token().claim("tenant", json!(null)),
            service.token().claim("tenant", "north").claim("floor", -1),
        ] {
            let answer = service.get("/tenant", Some(token)).await;

            assert_eq!(answer.status, StatusCode::FORBIDDEN);
            assert_eq!(
                answer.json(),
                json!({"status": 403, "title": "Forbidden", "detail": "This operation is not allowed"})
            );
            assert_eq!(answer.headers["cache-control"], "no-store");
        }
    }

    #[tokio::test]
    async fn extractor_without_a_layer_is_500_and_logs_an_error() {
        for path in ["/without-layer", "/claims-without-layer"] {
            let service = Service::start(routes).await;
            let (log, _guard) = Log::record_from(tracing::Level::ERROR);

            let answer = service.get(path, Some(service.token())).await;

            assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(answer.json()["status"], 500);
            assert!(answer.challenges().is_empty());
            let text = log.text();
            assert!(text.contains("ERROR") && text.contains(path) && text.contains("layer"), "{text}");
        }
    }

    #[tokio::test]
    async fn extractor_behind_a_layer_logs_no_error() {
        let service = Service::start(routes).await;
        let (log, _guard) = Log::record_from(tracing::Level::ERROR);

        for (path, token, status) in [
            ("/me", Some(service.token()), StatusCode::OK),
            ("/me", None, StatusCode::UNAUTHORIZED),
            ("/tenant", Some(service.token()), StatusCode::FORBIDDEN),
            ("/", None, StatusCode::OK),
        ] {
            assert_eq!(service.get(path, token).await.status, status, "{path}");
        }

        assert_eq!(log.text(), "");
    }

    #[tokio::test]
    async fn extractors_work_next_to_those_of_axum() {
        async fn order(
            State(shop): State<&'static str>,
            token: ValidatedToken,
            Path(number): Path<u32>,
            Extension(extension): Extension<ValidatedToken>,
            Json(body): Json<Value>,
        ) -> impl IntoResponse {
            assert_eq!(token.subject(), extension.subject());
            (StatusCode::CREATED, format!("{shop} {number} {body} for {}", token.subject().unwrap()))
        }
        let service = Service::start(|resource_server| {
            Router::new()
                .route("/orders/{number}", post(order).layer(resource_server.require_scopes(READ)))
                .with_state("shop")
        })
        .await;

        let request = service.request(Method::POST, "/orders/7").bearer_auth(service.token().sign());
        let answer = Answer::read(request.json(&json!({"a": 1}))).await;

        assert_eq!((answer.status, &*answer.body), (StatusCode::CREATED, "shop 7 {\"a\":1} for alice"));
    }

    #[tokio::test]
    async fn handler_sees_no_credentials_in_the_request() {
        async fn headers(headers: HeaderMap) -> String {
            format!("{:?}", headers.get(header::AUTHORIZATION))
        }
        let service = Service::start(|resource_server| {
            Router::new().route("/", get(headers)).layer(resource_server.require_token())
        })
        .await;

        assert_eq!(service.get("/", Some(service.token())).await.body, "None");
    }
}

mod routers {
    use super::*;

    async fn list() -> &'static str {
        "list"
    }

    async fn change() -> &'static str {
        "change"
    }

    #[tokio::test]
    async fn merged_method_routers_keep_their_own_guards() {
        let service = Service::start(|resource_server| {
            let methods = get(list)
                .layer(resource_server.require_scopes(READ))
                .merge(put(change).layer(resource_server.require_scopes([READ, WRITE])));
            Router::new().route("/orders", methods)
        })
        .await;
        let both = || service.authority.token().scope("orders:read orders:write");

        assert_eq!(service.get("/orders", Some(service.token())).await.body, "list");
        assert_eq!(service.send(Method::PUT, "/orders", Some(both())).await.body, "change");
        let get_without = service.get("/orders", None).await;
        assert_eq!(get_without.challenges(), [bearer().scope("orders:read")]);
        let put_without = service.send(Method::PUT, "/orders", None).await;
        assert_eq!(put_without.challenges(), [bearer().scope("orders:read orders:write")]);
        let underscoped = service.send(Method::PUT, "/orders", Some(service.token())).await;

        assert_eq!(underscoped.status, StatusCode::FORBIDDEN);
        let expected = bearer().error("insufficient_scope").scope("orders:read orders:write");
        assert_eq!(underscoped.challenges(), [expected]);
    }

    #[tokio::test]
    async fn unknown_method_is_405_with_route_layer_on_method_routers() {
        let service = Service::start(|resource_server| {
            let methods = get(list)
                .route_layer(resource_server.require_scopes(READ))
                .merge(put(change).route_layer(resource_server.require_scopes([READ, WRITE])));
            Router::new().route("/orders", methods)
        })
        .await;

        for method in [Method::POST, Method::DELETE, Method::PATCH, Method::OPTIONS] {
            for token in [None, Some(service.token())] {
                let answer = service.send(method.clone(), "/orders", token).await;

                assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
                assert!(answer.challenges().is_empty(), "{method}");
            }
        }
        assert_eq!(service.get("/orders", None).await.challenges(), [bearer().scope("orders:read")]);
        let head = service.send(Method::HEAD, "/orders", None).await;
        assert_eq!(head.status, StatusCode::UNAUTHORIZED);
        let put = service.send(Method::PUT, "/orders", Some(service.token())).await;
        assert_eq!(put.status, StatusCode::FORBIDDEN);
        assert_eq!(service.get("/orders", Some(service.token())).await.body, "list");
    }

    #[tokio::test]
    async fn method_added_after_the_layer_is_not_guarded() {
        // This is how axum works. The documentation warns about it.
        let service = Service::start(|resource_server| {
            let layer = resource_server.require_token();
            Router::new()
                .route("/layer", get(list).layer(layer.clone()).put(change))
                .route("/route-layer", get(list).route_layer(layer).put(change))
        })
        .await;

        for path in ["/layer", "/route-layer"] {
            assert_eq!(service.get(path, None).await.status, StatusCode::UNAUTHORIZED);
            assert_eq!(service.send(Method::PUT, path, None).await.body, "change");
        }
    }

    #[tokio::test]
    async fn unknown_method_is_401_with_the_layer_on_the_router() {
        // This includes `Router::route_layer`, which exempts only unknown paths.
        let service = Service::start(|resource_server| {
            let layer = resource_server.require_token();
            Router::new()
                .route("/layer", get(list))
                .layer(layer.clone())
                .merge(Router::new().route("/route-layer", get(list)).route_layer(layer))
        })
        .await;

        for path in ["/layer", "/route-layer"] {
            let answer = service.send(Method::PUT, path, None).await;

            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        }
    }

    #[tokio::test]
    async fn layer_on_a_nested_router_guards_all_its_routes() {
        let service = Service::start(|resource_server| {
            let guarded = Router::new()
                .route("/orders", get(list))
                .route("/orders/{id}", put(change))
                .fallback(|| async { (StatusCode::NOT_FOUND, "not found") })
                .layer(resource_server.require_scopes(READ));
            Router::new().nest("/api", guarded).route("/health", get(|| async { "ok" }))
        })
        .await;

        assert_eq!(service.get("/health", None).await.body, "ok");
        for path in ["/api/orders", "/api/orders/7", "/api/unknown"] {
            let answer = service.get(path, None).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
            assert_eq!(answer.challenges(), [bearer().scope("orders:read")]);
        }
        assert_eq!(service.get("/api/orders", Some(service.token())).await.body, "list");
        assert_eq!(service.get("/api/unknown", Some(service.token())).await.status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn unknown_path_is_404_with_route_layer() {
        let service = Service::start(|resource_server| {
            Router::new().route("/orders", get(list)).route_layer(resource_server.require_token())
        })
        .await;

        assert_eq!(service.get("/orders", None).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(service.get("/unknown", None).await.status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn nested_layers_require_the_scopes_of_all_layers() {
        let service = Service::start(|resource_server| {
            Router::new()
                .route("/orders", get(list).layer(resource_server.require_scopes(WRITE)))
                .layer(resource_server.require_scopes(READ))
        })
        .await;

        let underscoped = service.get("/orders", Some(service.token())).await;
        let passed = service.get("/orders", Some(service.token().scope("orders:read orders:write"))).await;

        let expected = bearer().error("insufficient_scope").scope("orders:read orders:write");
        assert_eq!(underscoped.challenges(), [expected]);
        assert_eq!(passed.body, "list");
    }

    #[tokio::test]
    async fn layer_works_inside_tower_http_layers() {
        let service = Service::start(|resource_server| {
            Router::new()
                .route("/orders", get(list).layer(resource_server.require_scopes(READ)))
                .layer(CorsLayer::permissive())
                .layer(TraceLayer::new_for_http())
        })
        .await;

        assert_eq!(service.get("/orders", Some(service.token())).await.body, "list");
        assert_eq!(service.get("/orders", None).await.status, StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn refused_head_has_no_body() {
        let service = Service::start(|resource_server| {
            Router::new().route("/orders", get(list).layer(resource_server.require_token()))
        })
        .await;

        let head = service.send(Method::HEAD, "/orders", None).await;
        let get = service.get("/orders", None).await;

        assert_eq!((head.status, &*head.body), (StatusCode::UNAUTHORIZED, ""));
        assert_eq!(head.headers["www-authenticate"], get.headers["www-authenticate"]);
    }
}

#[tokio::test]
async fn log_says_why_path_rules_inside_of_nest_do_not_match() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let rules = PathRules::builder().any_method("/api/orders", READ).build().unwrap();
    let layer = authority.resource_server(RESOURCE).require_by(rules);
    let app =
        Router::new().nest("/api", Router::new().route("/orders", get(|| async { "list" })).layer(layer));
    let (log, _guard) = Log::record();
    let request = http::Request::get("/api/orders").body(axum::body::Body::empty()).unwrap();

    assert_eq!(app.oneshot(request).await.unwrap().status(), StatusCode::FORBIDDEN);

    assert!(log.text().contains("a router has removed its beginning"), "{}", log.text());
    assert!(log.text().contains(r#"path="/orders""#), "{}", log.text());
}

mod metadata {
    use super::*;

    fn routes(resource_server: &ResourceServer) -> Router {
        let router = Router::new()
            .route("/api/orders", get(|| async { "list" }).layer(resource_server.require_scopes(READ)));
        router.merge(resource_server.metadata_router().unwrap())
    }

    #[tokio::test]
    async fn metadata_is_public_at_every_path_and_named_in_the_challenge() {
        let service = Service::start(routes).await;

        let refused = service.get("/api/orders", None).await;
        let url = refused.challenges()[0].param("resource_metadata").unwrap().to_owned();
        let path = url.strip_prefix("https://orders.example.com").unwrap();

        assert_eq!(path, "/.well-known/oauth-protected-resource/api/");
        for path in [path, path.trim_end_matches('/')] {
            let answer = service.get(path, None).await;
            assert_eq!(
                (answer.status, &answer.headers["content-type"]),
                (StatusCode::OK, &http::HeaderValue::from_static("application/json"))
            );
            let document = answer.json();
            assert_eq!(document["resource"], RESOURCE);
            assert_eq!(document["authorization_servers"], json!([ISSUER]));
            assert_eq!(document["scopes_supported"], json!(["orders:read"]));
        }
    }

    #[tokio::test]
    async fn metadata_names_the_configured_resource_for_any_host() {
        let service = Service::start(routes).await;

        let request = service
            .request(Method::GET, "/.well-known/oauth-protected-resource/api/")
            .header(header::HOST, "evil.example");

        assert_eq!(Answer::read(request).await.json()["resource"], RESOURCE);
    }

    #[tokio::test]
    async fn metadata_behind_a_layer_is_logged_once() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let server = authority.resource_server("https://orders.example.com");
        let app = Router::new().merge(server.metadata_router().unwrap()).layer(server.require_token());
        let (log, _guard) = Log::record_from(tracing::Level::WARN);
        let request = |path: &str| {
            app.clone().oneshot(http::Request::get(path).body(axum::body::Body::empty()).unwrap())
        };

        assert_eq!(request("/other").await.unwrap().status(), 401);
        assert_eq!(log.text(), "");
        for _ in 0..2 {
            assert_eq!(request("/.well-known/oauth-protected-resource").await.unwrap().status(), 401);
        }

        assert_eq!(log.text().matches("metadata refused").count(), 1, "{}", log.text());
    }

    #[tokio::test]
    async fn paths_below_an_mcp_server_are_not_taken_for_the_metadata() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let server = authority.resource_server("https://orders.example.com");
        let inner = Router::new().fallback(async || "inner").layer(server.require_token());
        let app = Router::new().nest_service("/mcp", inner);
        let (log, _guard) = Log::record_from(tracing::Level::WARN);
        let request = http::Request::get("/mcp/.well-known/oauth-protected-resource")
            .body(axum::body::Body::empty())
            .unwrap();

        assert_eq!(app.oneshot(request).await.unwrap().status(), 401);

        assert_eq!(log.text(), "");
    }

    #[tokio::test]
    async fn metadata_is_404_at_other_paths() {
        let service = Service::start(routes).await;

        for path in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/other"] {
            assert_eq!(service.get(path, None).await.status, StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[tokio::test]
    async fn resource_server_without_metadata_has_no_metadata_paths() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let validator = authority.jwt_validator(RESOURCE).build().unwrap();
        let without = authority.resource_server_with(validator.clone()).build().unwrap();
        let with = authority
            .resource_server_with(validator)
            .resource_metadata(ProtectedResourceMetadata::new(RESOURCE))
            .build()
            .unwrap();

        assert_eq!(without.metadata_paths(), [""; 0]);
        assert_eq!(with.metadata_paths().len(), 2);
    }
}

mod origins {
    use super::*;

    const ORIGIN: &str = "https://app.example.com";

    fn routes(resource_server: &ResourceServer) -> Router {
        let cors = CorsLayer::new()
            .allow_origin(http::HeaderValue::from_static(ORIGIN))
            .allow_headers([header::AUTHORIZATION]);
        Router::new()
            .route("/orders", get(|| async { "list" }).layer(resource_server.require_scopes(READ)))
            .layer(cors)
    }

    #[tokio::test]
    async fn allowed_origin_can_read_the_challenge() {
        let service = Service::start(routes).await;

        let request = service.request(Method::GET, "/orders").header(header::ORIGIN, ORIGIN);
        let answer = Answer::read(request).await;

        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.headers["access-control-allow-origin"], ORIGIN);
        let exposed = answer.headers["access-control-expose-headers"].to_str().unwrap();
        assert!(exposed.contains("WWW-Authenticate"), "{exposed}");
    }

    #[tokio::test]
    async fn preflight_needs_no_token() {
        let service = Service::start(routes).await;

        let request = service
            .request(Method::OPTIONS, "/orders")
            .header(header::ORIGIN, ORIGIN)
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, "GET")
            .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization");
        let answer = Answer::read(request).await;

        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["access-control-allow-origin"], ORIGIN);
        assert_eq!(answer.headers["access-control-allow-headers"], "authorization");
    }

    #[tokio::test]
    async fn metadata_is_readable_from_any_origin() {
        let service = Service::start(|resource_server| resource_server.metadata_router().unwrap()).await;

        let request = service
            .request(Method::GET, "/.well-known/oauth-protected-resource/api/")
            .header(header::ORIGIN, ORIGIN);

        assert_eq!(Answer::read(request).await.headers["access-control-allow-origin"], "*");
    }
}

#[tokio::test]
async fn handler_checks_scopes_with_the_hierarchy_of_its_layer() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let validator = authority.jwt_validator(RESOURCE).build().unwrap();
    let hierarchy = ScopeHierarchy::default().implies(WRITE, [READ]);
    let resource_server =
        authority.resource_server_with(validator).scope_hierarchy(hierarchy).build().unwrap();
    let allowed = |token: ValidatedToken| async move {
        let either = ScopeRequirement::any([Scope::from_static("admin"), READ]);
        format!(
            "{} {} {}",
            token.allows(READ),
            token.allows(either),
            token.allows([READ, Scope::from_static("admin")])
        )
    };
    let app = Router::new().route("/", get(allowed).layer(resource_server.require_token()));
    let token = authority.token().scope("orders:write").sign();
    let request = http::Request::get("/").header("authorization", format!("Bearer {token}"));

    let response = app.oneshot(request.body(axum::body::Body::empty()).unwrap()).await.unwrap();

    let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
    assert_eq!(body, "true true false");
    // A token that has not passed a layer has no scope hierarchy.
    let alone = ValidatedToken::from_trusted_claims(ClaimsSet::new().with_scopes("orders:write"));
    assert!(alone.allows(WRITE) && !alone.allows(READ));
}

#[tokio::test]
async fn anonymous_request_to_a_handler_that_requires_a_token_is_401() {
    #[derive(Deserialize)]
    struct Tenant {
        tenant: String,
    }
    async fn with_token(_: ValidatedToken) {}
    async fn with_claims(_: Claims<Tenant>) {}
    async fn with_optional_claims(claims: Option<Claims<Tenant>>) -> String {
        claims.map_or("anonymous".to_owned(), |Claims(Tenant { tenant })| tenant)
    }
    let authority = TestAuthorizationServer::new(ISSUER);
    let resource_server = authority.resource_server(RESOURCE);
    let app = Router::new()
        .route("/token", get(with_token))
        .route("/claims", get(with_claims))
        .route("/option", get(with_optional_claims))
        .layer(resource_server.allow_anonymous());
    let get = |path: &str, token: Option<String>| {
        let request = http::Request::get(path);
        let request = match token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        };
        app.clone().oneshot(request.body(axum::body::Body::empty()).unwrap())
    };

    for path in ["/token", "/claims"] {
        let response = get(path, None).await.unwrap();

        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(challenges(&response), [bearer()]);
        assert!(response.extensions().get::<tower_bearer::RejectionReason>().is_some());
    }
    for (token, status) in [
        (None, StatusCode::OK),
        (Some(authority.token().claim("tenant", "north").sign()), StatusCode::OK),
        (Some(authority.token().sign()), StatusCode::FORBIDDEN),
    ] {
        assert_eq!(get("/option", token).await.unwrap().status(), status);
    }
    let valid = authority.token().claim("tenant", "north").sign();
    assert_eq!(get("/claims", Some(valid)).await.unwrap().status(), StatusCode::OK);
}
