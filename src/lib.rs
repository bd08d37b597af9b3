//! Tower middleware that validates OAuth 2.0 access tokens: JWTs locally, opaque tokens by introspection.
//!
//! A [`ResourceServer`] creates layers. A layer validates the bearer token of each request and checks its scopes. It
//! then either calls the inner service with a [`ValidatedToken`] in the request's extensions, or refuses the request
//! with a response that tells the client what to do next.
//!
//! ```
//! # #[cfg(all(feature = "axum", feature = "jwt", feature = "reqwest"))]
//! # fn main() -> Result<(), tower_bearer::ConfigError> {
//! use axum::{Router, routing::{get, put}};
//! use tower_bearer::{
//!     AuthorizationServer, JwtValidator, ProtectedResourceMetadata, ResourceServer, Scope, ScopeHierarchy,
//!     ValidatedToken,
//! };
//!
//! const READ: Scope = Scope::from_static("orders:read"); // an invalid character does not compile
//! const WRITE: Scope = Scope::from_static("orders:write");
//!
//! // Issuer and audience are required. Nothing is fetched before the first request.
//! let authorization_server = AuthorizationServer::discover("https://as.example.com");
//! let validator = JwtValidator::builder(authorization_server, "https://orders.example.com").build()?;
//! let resource_server = ResourceServer::builder(validator)
//!     .resource_metadata(ProtectedResourceMetadata::new("https://orders.example.com"))
//!     .scope_hierarchy(ScopeHierarchy::default().implies(WRITE, [READ]))
//!     .build()?;
//!
//! async fn list(token: ValidatedToken) -> String {
//!     format!("orders of {}", token.subject().unwrap_or("nobody"))
//! }
//! async fn change() {}
//!
//! let app: Router = Router::new()
//!     .route("/orders", get(list).route_layer(resource_server.require_scopes(READ)))
//!     .route("/orders/{id}", put(change).route_layer(resource_server.require_scopes([READ, WRITE])))
//!     .merge(resource_server.metadata_router()?); // public
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "axum", feature = "jwt", feature = "reqwest")))]
//! # fn main() {}
//! ```
//!
//! # The life of a request
//! The modules are declared in this order.
//!
//! 1. The request arrives at [`ValidateToken`]. The layer has one [`Requirement`] for all requests, or a
//!    [`RequirementPolicy`] that decides by the head of the request: [`PathRules`], [`GrpcMethods`], `McpOperations` or a closure.
//!    If an outer layer of the same resource server already validated the token, continue at step 5.
//! 2. Its [`credentials`] are read from the `Authorization` header: exactly one field, exactly one token68, at most 16
//!    KiB. A request without credentials is answered with a 401 whose challenge has no `error`, or continues as
//!    anonymous ([`ResourceServer::allow_anonymous`]).
//! 3. The token is validated. A cached verdict is used until `exp`, until its key is withdrawn, or until its time to
//!    live ends. Otherwise a [`TokenValidator`] is called: [`JwtValidator`](jwt) validates locally,
//!    [`IntrospectionValidator`](introspection) calls the authorization server, [`RoutingValidator`] chooses one of
//!    several validators, or you write your own.
//! 4. A token that is bound to a key (`cnf`) is refused, because this crate does not verify proofs of possession yet.
//! 5. The token is checked against the requirement: its scopes, then how and when the user authenticated (step-up). After
//!    that, an [`Authorizer`] decides, if there is one.
//! 6. The token is added to the request's extensions as a [`ValidatedToken`], and the `Authorization` header is
//!    removed. If the response is a stream, it ends when the token expires.
//! 7. A refused request is answered with a [`Rejection`]: over HTTP a status, a challenge and a JSON body; on a layer
//!    for [gRPC](ValidateTokenLayer::grpc) a trailers-only gRPC status. The cause, a [`ValidationError`], is in the
//!    response's extensions and in the log.
//!
//! # What a resource server does not do
//! It checks tokens and **never handles client identity**: no client metadata, no client identifiers, no client
//! authentication, no PKCE, redirects or registration. Members that identify a client are dropped while [`claims`] are
//! parsed. The only credential in this crate is the resource server's own, for the introspection endpoint.
//!
//! # Features
//! | feature | default | provides | adds |
//! |---|---|---|---|
//! | `jwt` | yes | [`jwt`], [`jwks`]: local validation, keys by discovery | jsonwebtoken's types, no crypto backend |
//! | `introspection` | yes | [`introspection`]: RFC 7662 | |
//! | `reqwest` | yes | [`ReqwestClient`], to fetch keys and metadata and to introspect | reqwest, rustls on aws-lc-rs, the platform's certificates |
//! | `axum` | no | `integration::axum`: extractors, refusals as responses, `metadata_router` | axum without its default features |
//! | `tonic` | no | `integration::tonic`: refusals of handlers as `tonic::Status` | tonic without its default features |
//! | `metrics` | no | `integration::metrics`: metrics of requests, keys, introspection and the cache | the facade `metrics` |
//! | `mcp` | no | `mcp`: scopes for each tool, resource and prompt of an MCP server | |
//! | `rmcp` | no | `mcp`, and `integration::rmcp`: the token as an argument of tools, filtered lists | rmcp with the feature `server` |
//! | `utoipa` | no | `integration::utoipa`: scopes of layers as security requirements of an OpenAPI document | utoipa |
//! | `config` | no | `config`: settings from a document and environment variables, with reloading | serde_spanned |
//! | `testing` | no | `testing`: an in-memory authorization server, tokens, a manual clock | |
//!
//! Features are additive. None of them changes which tokens are accepted.
//!
//! # Cryptography and TLS
//! Signatures, hashes and random numbers come from [aws-lc-rs](https://docs.rs/aws-lc-rs), which needs a C compiler to
//! build. TLS comes with the feature `reqwest`: rustls, also on aws-lc-rs, with the certificates that the platform
//! trusts. **Nothing is installed process-wide**: neither a default provider for rustls nor one for jsonwebtoken, of
//! which only the key types are used. For another TLS stack, a proxy or a private certificate authority, pass a
//! `reqwest::ClientBuilder` to [`ReqwestClient::from_builder`]. For another HTTP client, disable the feature and
//! implement [`HttpClient`], a trait with one method.
//!
//! # Standards
//! | document | module |
//! |---|---|
//! | RFC 6750 bearer tokens, RFC 9110 authentication | [`credentials`], [`refusal`] |
//! | RFC 6749 section 3.3 scopes | [`scope`], [`requirement`] |
//! | RFC 7515, 7518, 7519, 8725, 9068 JWT access tokens | [`jwt`] |
//! | RFC 7517, 8037, 9864 keys | [`jwks`] |
//! | RFC 7662 introspection | [`introspection`] |
//! | RFC 8414, OpenID Connect Discovery | [`authorization_server`] |
//! | RFC 8707 resource indicators | [`claims`] |
//! | RFC 9470 step-up authentication | [`requirement`] |
//! | RFC 9728 protected resource metadata | [`protected_resource_metadata`] |
//! | Model Context Protocol, revision 2026-07-28 and older | `mcp` |
//! | gRPC over HTTP/2, gRPC-Web | [`refusal`], [`requirement`] |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(all(feature = "jwt", feature = "introspection")),
    allow(dead_code, unused_imports, reason = "shared parts are idle without the validators that use them")
)]

// What is configured once
#[cfg(feature = "config")]
pub mod config;
pub mod resource_server;

// A request arrives
pub mod validate_token;

// What it needs
pub mod requirement;
#[cfg(feature = "mcp")]
pub mod mcp;

// Its credentials are read
pub mod credentials;

// The access token is validated
pub mod tenants;
pub mod validator;
#[cfg(feature = "jwt")]
pub mod jwt;
#[cfg(feature = "introspection")]
pub mod introspection;

// What the authorization server publishes, and what the resource publishes
pub mod protected_resource_metadata;
pub mod authorization_server;
#[cfg(feature = "jwt")]
pub mod jwks;

// The token travels with the request
pub mod token;
pub mod claims;

// A request is refused
pub mod refusal;

// What operators see
pub mod health;
pub mod observer;

// Used by all
pub mod scope;
pub mod http_client;
mod config_error;
mod url_policy;
mod user_info;
mod units;
mod similar;
mod single_flight;
mod catch_panic;
mod strict_json;
pub mod clock;
mod request_head;
mod heap_size;

// Frameworks and tests
#[cfg(any(feature = "axum", feature = "metrics", feature = "rmcp", feature = "tonic", feature = "utoipa"))]
pub mod integration;
#[cfg(feature = "testing")]
pub mod testing;

// Not compiled into the library
#[cfg(any(doc, doctest))]
pub mod guides;

#[doc(inline)]
pub use self::{
    authorization_server::{AuthorizationServer, Issuer},
    claims::{Audience, ClaimRule, ClaimsSet, RequestRule},
    clock::{Clock, SystemClock, UnixTime},
    config_error::ConfigError,
    credentials::AccessToken,
    health::{Dependency, Health, NotReady},
    http_client::{AddressGuard, BoxFuture, HttpClient, HttpError},
    observer::{Event, Observer, Outcome},
    protected_resource_metadata::{MetadataService, ProtectedResourceMetadata},
    refusal::{
        Challenge, ClaimError, ErrorCode, Excerpt, Refusal, Rejection, RejectionBody, RejectionReason,
        ValidationError,
    },
    request_head::RequestHead,
    requirement::{
        EmptyRequirement, GrpcMethods, GrpcMethodsBuilder, PathRules, PathRulesBuilder, PolicyDescription,
        Requirement, RequirementPolicy, RuleDescription, ScopeHierarchy, ScopeRequirement,
    },
    resource_server::{ResourceServer, ResourceServerBuilder},
    scope::{InvalidScope, Scope, Scopes},
    tenants::{IssuerResolver, ResolvingValidator, ResolvingValidatorBuilder, Tenant, UnverifiedIssuer},
    token::ValidatedToken,
    validate_token::{
        Authorizer, GrpcRequestBody, LayerDescription, ResponseBody, ResponseFuture, TokenExpired,
        ValidateGrpcToken, ValidateGrpcTokenLayer, ValidateToken, ValidateTokenLayer,
    },
    validator::{RoutingValidator, TokenValidator},
};
#[cfg(feature = "reqwest")]
#[doc(inline)]
pub use http_client::ReqwestClient;
#[cfg(any(feature = "axum", feature = "rmcp"))]
#[doc(inline)]
pub use integration::Claims;
#[cfg(feature = "introspection")]
#[doc(inline)]
pub use introspection::{IntrospectionValidator, IntrospectionValidatorBuilder, ResourceServerCredential};
#[cfg(feature = "jwt")]
#[doc(inline)]
pub use jwks::{Algorithm, KeySet, UnknownAlgorithm};
#[cfg(feature = "jwt")]
#[doc(inline)]
pub use jwt::{AccessTokenRule, JwtValidator, JwtValidatorBuilder};
#[cfg(feature = "mcp")]
#[doc(inline)]
pub use validate_token::{McpRequestBody, McpResponseFuture, ValidateMcpToken, ValidateMcpTokenLayer};

/// The examples of the README, compiled.
#[cfg(all(doctest, feature = "axum", feature = "jwt", feature = "reqwest", feature = "rmcp"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
