//! Proves what refusals by handlers, extractors and layers look like, and which scopes their challenges name.

use std::convert::Infallible;

use axum::{Router, body::Body, response::IntoResponse, routing::get};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde::Deserialize;
use serde_json::{Value, json};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_bearer::{
    Claims, ClaimsSet, ErrorCode, ProtectedResourceMetadata, Refusal, Rejection, RejectionBody,
    RejectionReason, ResourceServer, ResourceServerBuilder, Scope, ScopeHierarchy, ScopeRequirement,
    ValidatedToken, ValidationError,
    testing::{TestAuthorizationServer, bearer, challenges},
};

use crate::support::{App, ISSUER, Log, METADATA_URL, READ, RESOURCE, WRITE, plain, with_authorization};

const ADMIN: Scope = Scope::from_static("admin");
const OFFLINE_ACCESS: Scope = Scope::from_static("offline_access");

fn server(
    authority: &TestAuthorizationServer,
    configure: impl FnOnce(ResourceServerBuilder) -> ResourceServerBuilder,
) -> ResourceServer {
    let validator = authority.jwt_validator(RESOURCE).build().unwrap();
    let builder = authority.resource_server_with(validator);
    configure(builder.resource_metadata(ProtectedResourceMetadata::new(RESOURCE))).build().unwrap()
}

/// Returns a rejection body as in RFC 9457.
fn problem(refusal: &Refusal) -> RejectionBody {
    let problem = json!({
        "status": refusal.rejection().status().as_u16(),
        "method": refusal.method().map(Method::as_str),
        "instance": refusal.uri().map(http::Uri::path),
        "scopes": refusal.scopes().iter().map(Scope::as_str).collect::<Vec<_>>(),
    });
    RejectionBody::new(HeaderValue::from_static("application/problem+json"), problem.to_string())
}

async fn json_of(body: Body) -> Value {
    serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap()
}

fn reason_of<B>(response: &Response<B>) -> &'static str {
    response.extensions().get::<RejectionReason>().expect("a refusal").error().kind()
}

mod handlers {
    use super::*;

    /// Calls a handler that takes the token out of the extensions, behind this layer if there is one.
    async fn take_token(
        layer: Option<tower_bearer::ValidateTokenLayer>,
        request: Request<Full<Bytes>>,
    ) -> Response<Bytes> {
        let handler = service_fn(|request: Request<Full<Bytes>>| async move {
            let answer = match ValidatedToken::from_extensions(request.extensions()) {
                Ok(token) => Response::new(Bytes::from(token.subject().unwrap_or_default().to_owned())),
                Err(refusal) => refusal.into_http(),
            };
            Ok::<_, Infallible>(answer.map(Full::new))
        });
        let answer = match layer {
            Some(layer) => {
                layer.layer(handler).oneshot(request).await.unwrap().map(http_body_util::BodyExt::boxed)
            }
            None => handler.oneshot(request).await.unwrap().map(http_body_util::BodyExt::boxed),
        };
        let (parts, body) = answer.into_parts();
        Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
    }

    #[tokio::test]
    async fn token_of_a_layer_is_found_in_the_extensions() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let server = server(&authority, |builder| builder);
        let token = authority.token().subject("alice").sign();

        let answer =
            take_token(Some(server.require_token()), with_authorization(&format!("Bearer {token}"))).await;

        assert_eq!(answer.body(), "alice");
    }

    #[tokio::test]
    async fn anonymous_request_without_a_token_in_the_extensions_is_challenged_as_by_its_layer() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let server = server(&authority, |builder| builder.baseline_scopes([READ]));

        let answer = take_token(Some(server.allow_anonymous()), plain()).await;

        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        let challenge = bearer().scope("orders:read").param("resource_metadata", METADATA_URL);
        assert_eq!(challenges(&answer), [challenge]);
    }

    #[tokio::test]
    async fn handler_without_a_layer_that_takes_a_token_is_500() {
        let answer = take_token(None, plain()).await;

        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(reason_of(&answer), "no_layer");
    }

    /// Calls an axum handler that requires `WRITE`, behind a layer that requires `READ`.
    async fn require_in_axum(
        configure: impl FnOnce(ResourceServerBuilder) -> ResourceServerBuilder,
        scope: &str,
    ) -> Response<Body> {
        async fn handler(token: ValidatedToken) -> Result<&'static str, Refusal> {
            token.require(WRITE)?;
            Ok("written")
        }
        let authority = TestAuthorizationServer::new(ISSUER);
        let server = server(&authority, configure);
        let app = Router::new().route("/orders", get(handler).route_layer(server.require_scopes(READ)));
        let token = authority.token().scope(scope).sign();
        let request = Request::get("/orders").header("authorization", format!("Bearer {token}"));
        app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn rmcp_09_requirement_in_a_handler_is_403_with_the_layers_challenge_and_all_scopes() {
        let response = require_in_axum(|server| server, "orders:read").await;

        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        let expected = bearer()
            .error("insufficient_scope")
            .scope("orders:read orders:write")
            .param("resource_metadata", METADATA_URL);
        assert_eq!(challenges(&response), [expected]);
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(reason_of(&response), "insufficient_scope");
        let body = json_of(response.into_body()).await;
        assert_eq!((&body["status"], &body["error"]), (&json!(403), &json!("insufficient_scope")));
    }

    #[tokio::test]
    async fn requirement_in_a_handler_accepts_a_token_with_the_scope() {
        let response = require_in_axum(|server| server, "orders:read orders:write").await;

        assert_eq!(response.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn rmcp_10_requirement_in_a_handler_uses_the_scope_hierarchy() {
        let hierarchy = || ScopeHierarchy::default().implies(ADMIN, [WRITE]).implies(WRITE, [READ]);

        let response = require_in_axum(|server| server.scope_hierarchy(hierarchy()), "admin").await;

        assert_eq!(response.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn requirement_in_a_handler_uses_the_configured_rejection_body() {
        let response = require_in_axum(|server| server.rejection_body(problem), "orders:read").await;

        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let expected = json!({
            "status": 403,
            "method": "GET",
            "instance": "/orders",
            "scopes": ["orders:read", "orders:write"],
        });
        assert_eq!(json_of(response.into_body()).await, expected);
    }

    #[tokio::test]
    async fn rmcp_09_requirement_in_a_handler_names_the_scopes_of_all_nested_layers() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let server = server(&authority, |server| server);
        let handler = service_fn(|request: Request<Full<Bytes>>| async move {
            let token = request.extensions().get::<ValidatedToken>().expect("the service is behind a layer");
            let refusal = token.require([READ, ADMIN]).unwrap_err();
            Ok::<_, Infallible>(refusal.into_http().map(Full::new))
        });
        let service = server.require_scopes(READ).layer(server.require_scopes(WRITE).layer(handler));
        let token = authority.token().scope("orders:read orders:write").sign();

        let response = service.oneshot(with_authorization(&format!("Bearer {token}"))).await.unwrap();

        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert_eq!(challenges(&response)[0].param("scope"), Some("orders:read orders:write admin"));
    }

    #[tokio::test]
    async fn refusal_by_a_handler_is_a_grpc_status_only_behind_a_grpc_layer() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let server = server(&authority, |server| server);
        let token = authority.token().scope("orders:read").sign();
        let mut request = with_authorization(&format!("Bearer {token}"));
        *request.method_mut() = Method::POST;
        request.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));

        let over_http =
            server.require_scopes(READ).layer(refuse_write()).oneshot(request.clone()).await.unwrap();
        let grpc_layer = server.require_scopes(READ).grpc();
        let over_grpc = grpc_layer.layer(refuse_write()).oneshot(request).await.unwrap();

        assert_eq!(over_http.status(), StatusCode::FORBIDDEN);
        assert_eq!(over_grpc.status(), StatusCode::OK);
        assert_eq!(over_grpc.headers()["grpc-status"], "7");
        assert_eq!(over_grpc.headers()["www-authenticate"], over_http.headers()["www-authenticate"]);
    }

    /// Returns a service that responds with the refusal of `require(WRITE)`.
    fn refuse_write<B>()
    -> impl tower::Service<Request<B>, Response = Response<Full<Bytes>>, Error = Infallible> + Clone {
        service_fn(|request: Request<B>| {
            let token = request.extensions().get::<ValidatedToken>().expect("the service is behind a layer");
            let refusal = token.require(WRITE).unwrap_err();
            std::future::ready(Ok::<_, Infallible>(refusal.into_http().map(Full::new)))
        })
    }

    #[test]
    fn refusal_without_a_layer_has_a_challenge_without_metadata() {
        let token = ValidatedToken::from_trusted_claims(ClaimsSet::new().with_scopes("orders:read"));

        let refusal = token.require([READ, WRITE]).unwrap_err();

        assert_eq!(refusal.rejection(), Rejection::InsufficientScope);
        assert_eq!(refusal.scopes(), [READ, WRITE]);
        let response = refusal.into_http();
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        let expected = bearer().error("insufficient_scope").scope("orders:read orders:write");
        assert_eq!(challenges(&response), [expected]);
    }

    #[test]
    fn refusal_of_alternatives_names_the_first() {
        let token = ValidatedToken::from_trusted_claims(ClaimsSet::new());

        let refusal = token.require(ScopeRequirement::any([WRITE, ADMIN])).unwrap_err();

        assert_eq!(refusal.scopes(), [WRITE]);
        assert!(matches!(refusal.error(), ValidationError::InsufficientScope { .. }), "{refusal:?}");
    }
}

mod extractors {
    use super::*;

    #[derive(Deserialize)]
    struct Tenant {
        tenant: String,
    }

    async fn by_token(_: ValidatedToken) {}

    async fn by_claims(Claims(Tenant { tenant }): Claims<Tenant>) -> String {
        tenant
    }

    fn app(server: &ResourceServer) -> Router {
        Router::new()
            .route("/token", get(by_token).route_layer(server.allow_anonymous()))
            .route("/claims", get(by_claims).route_layer(server.require_token()))
            .route("/without-layer", get(by_token))
    }

    #[tokio::test]
    async fn refusals_by_extractors_have_the_configured_body_a_reason_and_a_log_line() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let server = server(&authority, |server| server.rejection_body(problem).baseline_scopes([READ]));
        let token = format!("Bearer {}", authority.token().sign());
        for (path, authorization, reason, status, scopes) in [
            ("/token", None, "no_credentials", 401, json!(["orders:read"])),
            ("/claims", Some(&token), "claims_do_not_fit", 403, json!([])),
        ] {
            let (log, _guard) = Log::record();
            let mut request = Request::get(path).body(Body::empty()).unwrap();
            if let Some(value) = authorization {
                request.headers_mut().insert("authorization", value.parse().unwrap());
            }

            let response = app(&server).oneshot(request).await.unwrap();

            assert_eq!(response.status(), status);
            assert_eq!(reason_of(&response), reason);
            assert!(log.text().contains("DEBUG") && log.text().contains("request refused"), "{}", log.text());
            let expected = json!({"status": status, "method": "GET", "instance": path, "scopes": scopes});
            assert_eq!(json_of(response.into_body()).await, expected);
        }
    }

    #[tokio::test]
    async fn claims_that_cannot_be_deserialized_are_403_without_a_challenge() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let server = server(&authority, |server| server);
        let token = authority.token().claim("tenant", 7).sign();
        let request = Request::get("/claims").header("authorization", format!("Bearer {token}"));

        let response = app(&server).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();

        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert!(
            challenges(&response).is_empty(),
            "the response has a challenge, although a new token would not help"
        );
        assert_eq!(
            json_of(response.into_body()).await,
            json!({"status": 403, "title": "Forbidden", "detail": "This operation is not allowed"})
        );
    }

    #[tokio::test]
    async fn extractor_without_a_layer_is_500_with_a_reason() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let request = Request::get("/without-layer").body(Body::empty()).unwrap();

        let response = app(&server(&authority, |server| server)).oneshot(request).await.unwrap();

        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(reason_of(&response), "no_layer");
    }
}

mod layers {
    use super::*;

    #[tokio::test]
    async fn rejection_body_in_a_nested_router_gets_the_original_path() {
        async fn change(token: ValidatedToken) -> Result<(), Refusal> {
            token.require(ADMIN)
        }
        async fn tenant(_: Claims<u8>) {}
        let authority = TestAuthorizationServer::new(ISSUER);
        let server = server(&authority, |server| server.rejection_body(problem));
        let api = Router::new()
            .route("/layer", get(|| async {}).route_layer(server.require_scopes(WRITE)))
            .route("/handler", get(change).route_layer(server.require_scopes(READ)))
            .route("/extractor", get(tenant).route_layer(server.require_scopes(READ)))
            .route("/anonymous", get(tenant).route_layer(server.allow_anonymous()));
        let app = Router::new().nest("/v1", api);
        let token = authority.token().scope("orders:read").sign();
        for (path, authorized) in
            [("/v1/layer", true), ("/v1/handler", true), ("/v1/extractor", true), ("/v1/anonymous", false)]
        {
            let mut request = Request::get(path).body(Body::empty()).unwrap();
            if authorized {
                request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
            }

            let response = app.clone().oneshot(request).await.unwrap();

            assert_eq!(json_of(response.into_body()).await["instance"], path);
        }
    }

    #[tokio::test]
    async fn rejection_body_of_a_layer_gets_scopes_method_and_uri() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let server = server(&authority, |server| server.rejection_body(problem));
        let app = App::new(server.require_scopes([READ, WRITE]));
        let token = authority.token().scope("orders:read").sign();

        let from_head = app.send(plain()).await;
        let after_validation = app.present(&token).await;

        for (answer, status) in [(from_head, 401), (after_validation, 403)] {
            let body: Value = serde_json::from_slice(&answer.body).unwrap();
            let scopes = json!(["orders:read", "orders:write"]);
            let expected =
                json!({"status": status, "method": "GET", "instance": "/orders", "scopes": scopes});
            assert_eq!(body, expected);
        }
    }

    #[tokio::test]
    async fn rmcp_09_advertised_scopes_are_in_a_401_but_not_in_a_403() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let server = server(&authority, |server| server);
        let app = App::new(server.require_scopes(READ).advertise([READ, WRITE]));
        let without_scope = authority.token().scope("profile").sign();
        let reading = authority.token().scope("orders:read").sign();

        let missing = app.send(plain()).await;
        let invalid = app.present("null").await;
        let insufficient = app.present(&without_scope).await;

        missing.assert_unauthorized();
        assert_eq!(missing.challenges[0].param("scope"), Some("orders:read orders:write"));
        invalid.assert_invalid_token();
        assert_eq!(invalid.challenges[0].param("scope"), Some("orders:read orders:write"));
        insufficient.assert_insufficient_scope("orders:read");
        app.present(&reading).await.assert_pass();
        assert_eq!(server.metadata().unwrap()["scopes_supported"], json!(["orders:read", "orders:write"]));
    }

    #[tokio::test]
    async fn advertised_scopes_come_after_the_baseline_and_affect_only_their_layer() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let server = server(&authority, |server| server.baseline_scopes([READ]));
        let layer = server.require_token();

        let advertising = App::new(layer.clone().advertise([WRITE]));
        let plain_layer = App::new(layer);

        let named = async |app: &App| app.send(plain()).await.challenges[0].param("scope").map(str::to_owned);
        assert_eq!(named(&advertising).await.as_deref(), Some("orders:read orders:write"));
        assert_eq!(named(&plain_layer).await.as_deref(), Some("orders:read"));
    }

    #[tokio::test]
    async fn rmcp_11_offline_access_is_in_neither_challenges_nor_metadata() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let server = server(&authority, |server| server);
        let token = authority.token().scope("orders:read").sign();
        let app = App::new(server.require_scopes([READ, OFFLINE_ACCESS]).advertise([WRITE, OFFLINE_ACCESS]));

        let missing = app.send(plain()).await;
        let insufficient = app.present(&token).await;

        assert_eq!(missing.challenges[0].param("scope"), Some("orders:read orders:write"));
        insufficient.assert_insufficient_scope("orders:read");
        assert_eq!(server.metadata().unwrap()["scopes_supported"], json!(["orders:read", "orders:write"]));
        let challenge = server.challenge().scope([OFFLINE_ACCESS]).to_header_value();
        assert!(!challenge.to_str().unwrap().contains("offline_access"));
        let trusted = ValidatedToken::from_trusted_claims(ClaimsSet::new());
        assert_eq!(trusted.require([OFFLINE_ACCESS, WRITE]).unwrap_err().scopes(), [WRITE]);
    }

    #[test]
    fn challenge_built_by_a_handler_has_the_metadata_url() {
        let authority = TestAuthorizationServer::new(ISSUER);
        let server = server(&authority, |server| server.realm("orders"));
        let response = |challenge: HeaderValue| {
            Response::builder().header("www-authenticate", challenge).body(()).unwrap()
        };

        let bare = response(server.challenge().to_header_value());
        let full = server.challenge().error(ErrorCode::InvalidToken).scope([READ, WRITE]).to_header_value();

        let expected = bearer().param("realm", "orders").param("resource_metadata", METADATA_URL);
        assert_eq!(challenges(&bare), std::slice::from_ref(&expected));
        let expected = expected.error("invalid_token").scope("orders:read orders:write");
        assert_eq!(challenges(&response(full)), [expected]);
    }

    #[tokio::test]
    async fn refusal_converts_into_an_axum_response() {
        let token = ValidatedToken::from_trusted_claims(ClaimsSet::new());

        let response = token.require(READ).unwrap_err().into_response();

        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert_eq!(json_of(response.into_body()).await["error"], "insufficient_scope");
    }
}
