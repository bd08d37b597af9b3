//! Proves how layers guard tonic services, over loopback with a tonic client and with plain HTTP clients.

#[path = "../../examples/grpc.rs"]
#[allow(dead_code, reason = "`main` is used only by the example")]
mod example;

mod error_details;
mod streams;
mod trailers;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, routing::post};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tonic::{
    Code, Request, Response, Status,
    service::{LayerExt as _, Routes},
    transport::{Endpoint, Server, server::TcpIncoming},
};
use tower_bearer::{
    GrpcMethods, IntrospectionValidator, JwtValidator, ProtectedResourceMetadata, Rejection, Requirement,
    ResourceServer, ResourceServerCredential, Scope, ScopeRequirement, ValidatedToken,
};

use crate::support::{http_client, serve};

use self::example::{
    Jenkins,
    authorization_server::{AuthorizationServer, Minting, ResourceCredential, TokenFormat, endpoints},
    jobs::{
        BuildsServer, DeleteRequest, JenkinsClient, JobList, Jobs, JobsServer, ListRequest, StartRequest,
    },
    with_token,
};

const READ: Scope = Scope::from_static("mcp:read");
const WRITE: Scope = Scope::from_static("mcp:write");

const NO_CREDENTIALS: &str = r#"Bearer realm="jenkins", scope="mcp:read""#;
const INVALID_TOKEN: &str = "Bearer realm=\"jenkins\", error=\"invalid_token\", \
    error_description=\"The access token is malformed, expired, withdrawn or not for this resource\", \
    scope=\"mcp:read\"";
const INVALID_REQUEST: &str = "Bearer realm=\"jenkins\", error=\"invalid_request\", \
    error_description=\"Exactly one authorization header is expected: Bearer, a space and the token\", \
    scope=\"mcp:read\"";

#[tokio::test]
async fn grpc_example_succeeds() {
    example::demonstrate().await.unwrap();
}

mod refusals {
    use super::*;

    #[tokio::test]
    async fn rgrpc_01_refusal_is_trailers_only() {
        let kit = Kit::start().await;
        for content_type in ["application/grpc", "application/grpc+proto", "APPLICATION/GRPC;x=y"] {
            let response = kit.call_raw(content_type, HeaderMap::new()).await;

            // The only HEADERS frame has END_STREAM, so nothing follows it.
            assert!(response.body().is_end_stream(), "{content_type}");
            assert_eq!(response.status(), StatusCode::OK, "{content_type}");
            let headers = response.headers();
            assert_eq!(headers[header::CONTENT_TYPE], "application/grpc", "{content_type}");
            assert_eq!(headers["grpc-status"], "16", "{content_type}");
            assert_eq!(headers["grpc-message"], "An access token is required", "{content_type}");
            assert_eq!(headers[header::WWW_AUTHENTICATE], NO_CREDENTIALS, "{content_type}");
            assert_eq!(headers[header::CACHE_CONTROL], "no-store", "{content_type}");
        }
    }

    #[tokio::test]
    async fn rgrpc_01_refusal_after_validation_is_trailers_only() {
        let kit = Kit::start().await;

        let response = kit.call_raw("application/grpc", bearer(&kit.expired())).await;

        assert!(response.body().is_end_stream());
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["grpc-status"], "16");
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], INVALID_TOKEN);
    }

    #[tokio::test]
    async fn content_type_that_only_resembles_grpc_is_refused_as_http() {
        let kit = Kit::start().await;
        for content_type in ["application/grpcx", "application/json"] {
            let response = kit.call_raw(content_type, HeaderMap::new()).await;

            assert!(!response.body().is_end_stream(), "{content_type}");
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{content_type}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json", "{content_type}");
            assert!(!response.headers().contains_key("grpc-status"), "{content_type}");
        }
    }

    #[tokio::test]
    async fn rgrpc_02_missing_or_invalid_token_is_unauthenticated() {
        let kit = Kit::start().await;
        let elsewhere = kit.mint(Minting { resource: "https://elsewhere.example", ..kit.reading() });
        let (head, signature) = elsewhere.rsplit_once('.').unwrap();
        let unsigned = format!("{head}.{}", signature.chars().rev().collect::<String>());
        for (token, challenge) in [
            (kit.expired(), INVALID_TOKEN),
            (elsewhere, INVALID_TOKEN),
            (unsigned, INVALID_TOKEN),
            ("opaque-and-unknown".to_owned(), INVALID_TOKEN),
            ("two words".to_owned(), INVALID_REQUEST),
        ] {
            let status = kit.client.list(with_token(ListRequest {}, &token)).await.unwrap_err();

            assert_eq!((status.code(), challenge_of(&status)), (Code::Unauthenticated, challenge), "{token}");
        }

        let status = kit.client.list(Request::new(ListRequest {})).await.unwrap_err();

        assert_eq!((status.code(), challenge_of(&status)), (Code::Unauthenticated, NO_CREDENTIALS));
    }

    #[tokio::test]
    async fn rgrpc_02_missing_scope_is_permission_denied() {
        let kit = Kit::start().await;
        let token = kit.mint(kit.reading());

        let status = kit.client.start(with_token(app(), &token)).await.unwrap_err();

        assert_eq!(status.code(), Code::PermissionDenied);
        assert_eq!(
            challenge_of(&status),
            "Bearer realm=\"jenkins\", error=\"insufficient_scope\", \
             error_description=\"The access token does not allow this operation\", scope=\"mcp:write\""
        );
    }

    #[tokio::test]
    async fn rgrpc_02_malformed_request_is_invalid_argument_if_configured() {
        let kit = Kit::serving(|kit| {
            let validator = JwtValidator::builder(kit.issuer(), &*kit.resource).build().unwrap();
            let resource_server = ResourceServer::builder(validator).grpc_invalid_argument();
            list_only(&resource_server.build().unwrap())
        })
        .await;

        let malformed = kit.client.list(with_token(ListRequest {}, "two words")).await.unwrap_err();
        let expired = kit.client.list(with_token(ListRequest {}, &kit.expired())).await.unwrap_err();

        assert_eq!(malformed.code(), Code::InvalidArgument);
        assert!(challenge_of(&malformed).contains(r#"error="invalid_request""#));
        assert_eq!(expired.code(), Code::Unauthenticated);
    }

    #[tokio::test]
    async fn rgrpc_02_server_side_failures_are_unavailable_or_internal_without_a_challenge() {
        // The authorization server is down, responds with something else, or refuses our credential.
        let not_introspection = Router::new().route("/", post(|| async { "not an introspection response" }));
        let not_introspection = format!("http://{}/", serve(not_introspection).await);
        for (fault, expected) in [
            (Fault::Down, Code::Unavailable),
            (Fault::Malformed(not_introspection), Code::Unavailable),
            (Fault::WrongCredential, Code::Internal),
        ] {
            let kit = Kit::serving(|kit| list_only(&kit.introspecting(&fault))).await;
            let token = kit.mint(kit.opaque());
            if fault == Fault::Down {
                kit.authority.stop().await;
            }

            let status = kit.client.list(with_token(ListRequest {}, &token)).await.unwrap_err();

            assert_eq!(status.code(), expected, "{fault:?}");
            assert!(!status.metadata().contains_key("www-authenticate"), "{fault:?}");
        }
    }

    #[tokio::test]
    async fn rgrpc_02_missing_keys_are_unavailable() {
        let kit = Kit::start().await;
        let token = kit.mint(kit.reading());
        kit.authority.stop().await;

        let status = kit.client.list(with_token(ListRequest {}, &token)).await.unwrap_err();

        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.message(), "Access tokens cannot be checked at the moment");
    }

    #[tokio::test]
    async fn rgrpc_03_message_is_static_and_the_response_contains_nothing_from_the_token() {
        let kit = Kit::start().await;
        let mallory = Minting { subject: "mallory\u{e9}%0A", scope: "odd:scope", ..kit.reading() };
        let expired = kit.mint(Minting { age: Duration::from_secs(7_200), ..mallory.clone() });
        let elsewhere = kit.mint(Minting { resource: "https://elsewhere.example", ..mallory.clone() });
        let underscoped = kit.mint(mallory);
        for (token, rejection) in [
            (&expired, Rejection::InvalidToken),
            (&elsewhere, Rejection::InvalidToken),
            (&underscoped, Rejection::InsufficientScope),
        ] {
            let response = kit.call_raw("application/grpc", bearer(token)).await;

            let message = response.headers()["grpc-message"].as_bytes();
            assert_eq!(message, rejection.description().as_bytes());
            // The characters that need no percent-encoding in gRPC.
            assert!(message.iter().all(|byte| matches!(byte, 0x20..=0x24 | 0x26..=0x7e)));
            let answer = format!("{response:?}");
            for part in token.split('.').chain(["mallory", "odd:scope", "elsewhere"]) {
                assert!(!answer.contains(part), "{part:?} in {answer}");
            }
        }
    }

    #[tokio::test]
    async fn rgrpc_04_unavailable_has_a_retry_pushback() {
        let kit = Kit::start().await;
        let token = kit.mint(kit.opaque());
        kit.authority.stop().await;

        let unavailable = kit.client.list(with_token(ListRequest {}, &token)).await.unwrap_err();
        let unauthenticated = kit.client.list(Request::new(ListRequest {})).await.unwrap_err();

        assert_eq!(unavailable.code(), Code::Unavailable);
        let milliseconds = unavailable.metadata().get("grpc-retry-pushback-ms").unwrap().to_str().unwrap();
        assert!(milliseconds.parse::<i32>().unwrap() >= 1_000, "{milliseconds}");
        assert!(!unauthenticated.metadata().contains_key("grpc-retry-pushback-ms"));
    }

    #[tokio::test]
    async fn rgrpc_07_duplicate_authorization_is_refused() {
        let kit = Kit::start().await;
        let token = kit.mint(kit.reading());
        let mut duplicate = with_token(ListRequest {}, &token);
        duplicate.metadata_mut().append("authorization", format!("Bearer {token}").parse().unwrap());
        let joined = with_token(ListRequest {}, &format!("{token},Bearer {token}"));
        for request in [duplicate, joined] {
            let status = kit.client.list(request).await.unwrap_err();

            assert_eq!((status.code(), challenge_of(&status)), (Code::Unauthenticated, INVALID_REQUEST));
        }
    }

    #[tokio::test]
    async fn rgrpc_07_binary_authorization_is_not_a_credential() {
        let kit = Kit::start().await;
        let mut request = Request::new(ListRequest {});
        let value = format!("Bearer {}", kit.mint(kit.reading()));
        let value = tonic::metadata::BinaryMetadataValue::from_bytes(value.as_bytes());
        request.metadata_mut().insert_bin("authorization-bin", value);

        let status = kit.client.list(request).await.unwrap_err();

        assert_eq!((status.code(), challenge_of(&status)), (Code::Unauthenticated, NO_CREDENTIALS));
    }

    #[tokio::test]
    async fn rgrpc_08_grpc_web_is_refused_in_its_own_content_type() {
        let kit = Kit::start().await;
        for (requested, answered) in [
            ("application/grpc-web", "application/grpc-web"),
            ("application/grpc-web+proto", "application/grpc-web"),
            ("application/grpc-web-text", "application/grpc-web-text"),
            ("application/grpc-web-text+proto", "application/grpc-web-text"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, "https://app.example".parse().unwrap());

            let response = kit.call_raw(requested, headers).await;

            assert_eq!(response.status(), StatusCode::OK, "{requested}");
            let headers = response.headers();
            assert_eq!(headers[header::CONTENT_TYPE], answered, "{requested}");
            assert_eq!(headers["grpc-status"], "16", "{requested}");
            assert_eq!(headers[header::WWW_AUTHENTICATE], NO_CREDENTIALS, "{requested}");
            let exposed = headers[header::ACCESS_CONTROL_EXPOSE_HEADERS].to_str().unwrap();
            for name in ["WWW-Authenticate", "grpc-status", "grpc-message"] {
                assert!(
                    exposed.split(", ").any(|exposed| exposed == name),
                    "{requested}: {name} in {exposed}"
                );
            }
            let body = response.into_body().collect().await.unwrap();
            assert!(body.trailers().is_none(), "{requested}");
            assert!(body.to_bytes().is_empty(), "{requested}");
        }
    }

    #[tokio::test]
    async fn rgrpc_10_status_arrives_even_if_500_scopes_are_required() {
        let kit = Kit::serving(|kit| {
            let scopes = (0..500).map(|index| Scope::new(&format!("scope-of-some-length:{index}")).unwrap());
            let all = ScopeRequirement::all_of(scopes).unwrap();
            let jobs = kit.resource_server().require_scopes(all).grpc().named_layer(JobsServer::new(Jenkins));
            Routes::new(jobs)
        })
        .await;
        let token = kit.mint(kit.reading());

        let without = kit.client.list(Request::new(ListRequest {})).await.unwrap_err();
        let underscoped = kit.client.list(with_token(ListRequest {}, &token)).await.unwrap_err();
        let response = kit.call_raw("application/grpc", bearer(&token)).await;

        assert_eq!((without.code(), underscoped.code()), (Code::Unauthenticated, Code::PermissionDenied));
        // The size of a header list as HTTP/2 defines it (RFC 9113 section 6.5.2).
        let size = |headers: &HeaderMap| {
            headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum::<usize>()
        };
        assert!(size(response.headers()) < 8 * 1024);
        assert!(!challenge_of(&underscoped).contains("scope=\""), "{}", challenge_of(&underscoped));
    }
}

/// Requests with gRPC content types that are not gRPC calls.
mod other_requests {
    use axum::routing::any;
    use hyper::client::conn::{http1, http2};

    use super::*;

    const CONTENT_TYPES: [&str; 8] = [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc+json",
        "APPLICATION/GRPC; x=y",
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpc-web-text",
        "application/grpc-web-text+proto",
    ];

    /// Serves one handler behind a layer with `grpc()`, and behind one without.
    async fn start() -> Kit {
        let kit = Kit::prepare().await;
        let layer = kit.resource_server().require_scopes(READ);
        let router = Router::new()
            .route("/http", any(|| async { "reached" }).layer(layer.clone()))
            .route("/grpc", any(|| async { "reached" }).layer(layer.grpc()));
        let routes = Routes::from(router);
        kit.run(|incoming| {
            Server::builder().accept_http1(true).add_routes(routes).serve_with_incoming(incoming)
        })
        .await
    }

    async fn send(kit: &Kit, version: Version, method: Method, path: &str, content_type: &str) -> StatusCode {
        let stream = TokioIo::new(TcpStream::connect(kit.address).await.unwrap());
        let authority = kit.address;
        let request = http::Request::builder()
            .method(method)
            .uri(if version == Version::HTTP_2 {
                format!("http://{authority}{path}")
            } else {
                path.to_owned()
            })
            .version(version)
            .header(header::CONTENT_TYPE, content_type);
        if version == Version::HTTP_2 {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap().status()
        } else {
            let (mut sender, connection) = http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            let request = request.header(header::HOST, authority.to_string());
            sender.send_request(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap().status()
        }
    }

    #[tokio::test]
    async fn rgrpc_11_a55_refusal_of_a_layer_without_grpc_is_401() {
        let kit = start().await;

        for version in [Version::HTTP_11, Version::HTTP_2] {
            for method in [Method::GET, Method::HEAD, Method::POST] {
                for content_type in CONTENT_TYPES {
                    let status = send(&kit, version, method.clone(), "/http", content_type).await;

                    assert_eq!(status, StatusCode::UNAUTHORIZED, "{version:?} {method} {content_type}");
                }
            }
        }
    }

    #[tokio::test]
    async fn rgrpc_11_a55_grpc_layer_refuses_only_post_as_grpc() {
        let kit = start().await;

        for version in [Version::HTTP_11, Version::HTTP_2] {
            for (method, expected) in [
                (Method::GET, StatusCode::UNAUTHORIZED),
                (Method::HEAD, StatusCode::UNAUTHORIZED),
                (Method::POST, StatusCode::OK),
            ] {
                for content_type in CONTENT_TYPES {
                    let status = send(&kit, version, method.clone(), "/grpc", content_type).await;

                    assert_eq!(status, expected, "{version:?} {method} {content_type}");
                }
            }
        }
    }

    #[tokio::test]
    async fn rgrpc_02_tonic_client_maps_http_refusals_of_a_layer_without_grpc() {
        let kit = Kit::serving(|kit| {
            Routes::new(kit.resource_server().require_scopes(WRITE).named_layer(JobsServer::new(Jenkins)))
        })
        .await;
        let token = kit.mint(kit.reading());

        let without = kit.client.list(Request::new(ListRequest {})).await.unwrap_err();
        let underscoped = kit.client.list(with_token(ListRequest {}, &token)).await.unwrap_err();

        assert_eq!((without.code(), underscoped.code()), (Code::Unauthenticated, Code::PermissionDenied));
    }
}

/// A handler that requires a scope itself.
#[derive(Clone)]
struct RequiresWrite;

impl Jobs for RequiresWrite {
    async fn list(&self, request: Request<ListRequest>) -> Result<Response<JobList>, Status> {
        let token = request.extensions().get::<ValidatedToken>().expect("the service is behind a layer");
        token.require(WRITE)?;
        Ok(Response::new(JobList::default()))
    }

    async fn delete(&self, _: Request<DeleteRequest>) -> Result<Response<JobList>, Status> {
        Err(Status::unimplemented("not part of the tests"))
    }
}

#[tokio::test]
async fn rgrpc_02_requirement_in_a_handler_is_permission_denied_with_the_layers_challenge() {
    let kit = Kit::serving(|kit| {
        Routes::new(
            kit.resource_server().require_scopes(READ).grpc().named_layer(JobsServer::new(RequiresWrite)),
        )
    })
    .await;
    let reading = kit.mint(kit.reading());
    let writing = kit.mint(Minting { scope: "mcp:write", ..kit.reading() });

    let refused = kit.client.list(with_token(ListRequest {}, &reading)).await.unwrap_err();
    let passed = kit.client.list(with_token(ListRequest {}, &writing)).await;

    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(refused.message(), "The access token does not allow this operation");
    assert_eq!(
        challenge_of(&refused),
        "Bearer realm=\"jenkins\", error=\"insufficient_scope\", \
         error_description=\"The access token does not allow this operation\", scope=\"mcp:read mcp:write\""
    );
    assert!(passed.is_ok(), "mcp:write implies mcp:read");
}

#[test]
fn status_of_a_refusal_has_the_reason_as_its_source() {
    let token = ValidatedToken::from_trusted_claims(tower_bearer::ClaimsSet::new());

    let status = Status::from(token.require(READ).unwrap_err());

    let text = std::error::Error::source(&status).expect("a source").to_string();
    assert!(text.contains("mcp:read"), "{text}");
}

mod passing {
    use super::*;

    #[tokio::test]
    async fn handler_receives_the_token_but_no_credentials() {
        let probe = Probe::default();
        let kit = Kit::serving(|kit| {
            let jobs = JobsServer::new(probe.clone());
            Routes::new(kit.resource_server().require_scopes(READ).grpc().named_layer(jobs))
        })
        .await;
        let token = kit.mint(Minting { subject: "bob", ..kit.reading() });

        // The first is validated, the second is found in the cache.
        for _ in 0..2 {
            let mut request = with_token(ListRequest {}, &token);
            request.metadata_mut().insert("x-other", "stays".parse().unwrap());
            kit.client.list(request).await.unwrap();
        }

        let seen = probe.0.lock().unwrap();
        assert_eq!(seen.len(), 2);
        for call in &*seen {
            assert_eq!(call.subject.as_deref(), Some("bob"));
            assert_eq!(call.scopes, "mcp:read");
            assert!(call.metadata.contains_key("x-other"));
            assert!(!call.metadata.contains_key(header::AUTHORIZATION));
            let metadata = format!("{:?}", call.metadata);
            assert!(!metadata.contains(&token), "{metadata}");
        }
    }

    #[tokio::test]
    async fn refused_call_does_not_reach_the_handler() {
        let probe = Probe::default();
        let kit = Kit::serving(|kit| {
            let jobs = JobsServer::new(probe.clone());
            Routes::new(kit.resource_server().require_scopes(WRITE).grpc().named_layer(jobs))
        })
        .await;

        for request in [
            Request::new(ListRequest {}),
            with_token(ListRequest {}, &kit.expired()),
            with_token(ListRequest {}, &kit.mint(kit.reading())),
        ] {
            kit.client.list(request).await.unwrap_err();
        }

        assert!(probe.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn server_layer_guards_all_services() {
        let kit = Kit::prepare().await;
        let routes = Routes::new(JobsServer::new(Jenkins)).add_service(BuildsServer::new(Jenkins));
        let layer = kit.resource_server().require_token().grpc();
        let kit = kit
            .run(|incoming| Server::builder().layer(layer).add_routes(routes).serve_with_incoming(incoming));
        let kit = kit.await;
        let token = kit.mint(kit.reading());

        let refused = kit.client.list(Request::new(ListRequest {})).await.unwrap_err();
        let list = kit.client.list(with_token(ListRequest {}, &token)).await.unwrap();
        let build = kit.client.start(with_token(app(), &token)).await.unwrap();

        assert_eq!(refused.code(), Code::Unauthenticated);
        assert_eq!(challenge_of(&refused), r#"Bearer realm="jenkins""#);
        assert_eq!(list.get_ref().listed_for, "alice");
        assert_eq!(build.get_ref().started_by, "alice");
    }

    #[tokio::test]
    async fn service_layer_reuses_the_token_of_the_server_layer() {
        let kit = Kit::prepare().await;
        let resource_server = kit.introspecting(&Fault::None);
        let routes =
            Routes::new(resource_server.require_scopes(READ).grpc().named_layer(JobsServer::new(Jenkins)))
                .add_service(
                    resource_server.require_scopes(WRITE).grpc().named_layer(BuildsServer::new(Jenkins)),
                );
        let layer = resource_server.require_token().grpc();
        let kit = kit
            .run(|incoming| Server::builder().layer(layer).add_routes(routes).serve_with_incoming(incoming));
        let kit = kit.await;
        let token = kit.mint(kit.opaque());

        let list = kit.client.list(with_token(ListRequest {}, &token)).await.unwrap();
        let build = kit.client.start(with_token(app(), &token)).await.unwrap_err();

        assert_eq!(list.get_ref().listed_for, "alice");
        assert_eq!(build.code(), Code::PermissionDenied);
        assert!(challenge_of(&build).contains(r#"scope="mcp:write""#));
        assert_eq!(kit.authority.requests(endpoints::INTROSPECT), 1);
    }

    #[tokio::test]
    async fn metadata_is_served_next_to_the_services() {
        let kit = Kit::prepare().await;
        let validator = JwtValidator::builder(kit.issuer(), &*kit.resource).build().unwrap();
        let metadata = ProtectedResourceMetadata::new(&kit.resource).allow_http_on_loopback();
        let resource_server = ResourceServer::builder(validator).resource_metadata(metadata).build().unwrap();
        let routes = Routes::from(
            list_only(&resource_server).into_axum_router().merge(resource_server.metadata_router().unwrap()),
        );
        let kit = kit.run(|incoming| {
            Server::builder().accept_http1(true).add_routes(routes).serve_with_incoming(incoming)
        });
        let kit = kit.await;

        let refused = kit.client.list(Request::new(ListRequest {})).await.unwrap_err();
        let url = challenge_of(&refused).split('"').find(|part| part.starts_with("http://")).unwrap();
        let http = http_client();
        let document: serde_json::Value = http.get(url).send().await.unwrap().json().await.unwrap();

        assert_eq!(url, format!("{}/.well-known/oauth-protected-resource", kit.resource));
        assert_eq!(document["resource"], *kit.resource);
        assert_eq!(document["authorization_servers"], serde_json::json!([kit.authority.issuer()]));
        assert_eq!(document["scopes_supported"], serde_json::json!(["mcp:read"]));
    }
}

/// A handler that records each call.
#[derive(Clone, Default)]
struct Probe(Arc<Mutex<Vec<Seen>>>);

struct Seen {
    subject: Option<String>,
    scopes: String,
    metadata: HeaderMap,
}

impl Jobs for Probe {
    async fn list(&self, request: Request<ListRequest>) -> Result<Response<JobList>, Status> {
        let token = request.extensions().get::<ValidatedToken>();
        let seen = Seen {
            subject: token.and_then(|token| token.subject()).map(str::to_owned),
            scopes: token.map_or_else(String::new, |token| token.scopes().to_string()),
            metadata: request.metadata().clone().into_headers(),
        };
        self.0.lock().unwrap().push(seen);
        Ok(Response::new(JobList::default()))
    }

    async fn delete(&self, _: Request<DeleteRequest>) -> Result<Response<JobList>, Status> {
        Err(Status::unimplemented("not part of the tests"))
    }
}

/// What is wrong with the authorization server or with our credential.
#[derive(Debug, PartialEq)]
enum Fault {
    None,
    Down,
    Malformed(String),
    WrongCredential,
}

/// A running authorization server, and the listener of a service that is not started yet.
struct Prepared {
    authority: AuthorizationServer,
    credential: ResourceCredential,
    resource: String,
    listener: TcpListener,
}

impl Prepared {
    fn issuer(&self) -> tower_bearer::AuthorizationServer {
        tower_bearer::AuthorizationServer::discover(self.authority.issuer()).allow_http_on_loopback()
    }

    /// Returns the resource server of the example.
    fn resource_server(&self) -> ResourceServer {
        example::resource_server(self.authority.issuer(), &self.credential, &self.resource).unwrap()
    }

    /// Returns a resource server that introspects every token.
    fn introspecting(&self, fault: &Fault) -> ResourceServer {
        let issuer = match fault {
            Fault::Malformed(endpoint) => self.issuer().introspection_endpoint(endpoint),
            Fault::None | Fault::Down | Fault::WrongCredential => self.issuer(),
        };
        let secret = match fault {
            Fault::WrongCredential => "not the secret",
            Fault::None | Fault::Down | Fault::Malformed(_) => self.credential.secret.expose(),
        };
        let credential = ResourceServerCredential::secret_basic(&*self.credential.id, secret);
        let validator = IntrospectionValidator::builder(issuer, credential, &*self.resource).build().unwrap();
        ResourceServer::builder(validator).build().unwrap()
    }

    /// Runs a server and connects a client to it.
    async fn run<F>(self, serve: impl FnOnce(TcpIncoming) -> F) -> Kit
    where
        F: Future<Output = Result<(), tonic::transport::Error>> + Send + 'static,
    {
        let address = self.listener.local_addr().unwrap();
        tokio::spawn(serve(TcpIncoming::from(self.listener)));
        let channel = Endpoint::from_shared(self.resource.clone()).unwrap().connect().await.unwrap();
        let client = JenkinsClient::new(channel);
        Kit { authority: self.authority, resource: self.resource, address, client }
    }
}

/// A running authorization server, a guarded service and its client.
struct Kit {
    authority: AuthorizationServer,
    resource: String,
    address: SocketAddr,
    client: JenkinsClient,
}

impl Kit {
    async fn prepare() -> Prepared {
        let authority = AuthorizationServer::start().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let resource = format!("http://{}", listener.local_addr().unwrap());
        let credential = authority.add_resource(&resource, TokenFormat::Jwt, &["mcp:read", "mcp:write"]);
        Prepared { authority, credential, resource, listener }
    }

    /// Starts the services of the example.
    async fn start() -> Self {
        let prepared = Self::prepare().await;
        let resource_server = prepared.resource_server();
        let Prepared { authority, resource, listener, .. } = prepared;
        let address = listener.local_addr().unwrap();
        tokio::spawn(example::serve(listener, resource_server, example::methods().unwrap()));
        let channel = Endpoint::from_shared(resource.clone()).unwrap().connect().await.unwrap();
        Self { authority, resource, address, client: JenkinsClient::new(channel) }
    }

    /// Starts the services that `routes` returns.
    async fn serving(routes: impl FnOnce(&Prepared) -> Routes) -> Self {
        let prepared = Self::prepare().await;
        let routes = routes(&prepared);
        prepared.run(|incoming| Server::builder().add_routes(routes).serve_with_incoming(incoming)).await
    }

    fn reading(&self) -> Minting<'_> {
        Minting { resource: &self.resource, scope: "mcp:read", ..Minting::default() }
    }

    fn opaque(&self) -> Minting<'_> {
        Minting { format: Some(TokenFormat::Opaque), ..self.reading() }
    }

    fn mint(&self, minting: Minting<'_>) -> String {
        self.authority.mint(minting)
    }

    fn expired(&self) -> String {
        self.mint(Minting { age: Duration::from_secs(7_200), ..self.reading() })
    }

    /// Calls `List` without tonic, on a new connection.
    async fn call_raw(&self, content_type: &str, headers: HeaderMap) -> http::Response<Incoming> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        let mut request = http::Request::post(format!("{}/jenkins.v1.Jobs/List", self.resource))
            .header(header::CONTENT_TYPE, content_type)
            .header(header::TE, "trailers")
            .body(Full::new(Bytes::from_static(EMPTY_MESSAGE)))
            .unwrap();
        request.headers_mut().extend(headers);
        sender.send_request(request).await.unwrap()
    }
}

/// An empty gRPC message: not compressed, length 0.
const EMPTY_MESSAGE: &[u8] = &[0; 5];

fn list_only(resource_server: &ResourceServer) -> Routes {
    Routes::new(resource_server.require_scopes(READ).grpc().named_layer(JobsServer::new(Jenkins)))
}

fn app() -> StartRequest {
    StartRequest { job: "app".to_owned() }
}

fn bearer(token: &str) -> HeaderMap {
    HeaderMap::from_iter([(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap())])
}

fn challenge_of(status: &Status) -> &str {
    let mut challenges = status.metadata().get_all("www-authenticate").iter();
    let challenge = challenges.next().expect("a challenge").to_str().unwrap();
    assert!(challenges.next().is_none(), "more than one challenge");
    challenge
}
