//! Checks OAuth 2.0 access tokens in front of a tower service: JWTs locally, opaque tokens by introspection.
//!
//! A [`ResourceServer`] makes layers. A layer reads the bearer token of each request, has a validator check it, and checks its
//! scopes. Then it either calls the inner service with a [`ValidatedToken`] in the request's extensions, or refuses with an exact
//! answer that tells the client what to do next.
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
//! const READ: Scope = Scope::from_static("orders:read"); // a bad character does not compile
//! const WRITE: Scope = Scope::from_static("orders:write");
//!
//! // Issuer and audience are arguments, so neither can be forgotten. Nothing is fetched before the first request.
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
//! The modules are declared in this order, so the list of files is the architecture.
//!
//! 1. The request arrives at [`ValidateToken`]. If an outer layer of the same resource server already validated its token,
//!    continue at step 5.
//! 2. Its [`credentials`] are read from the `Authorization` header: exactly one field, exactly one token68, at most 16 KiB.
//!    Without credentials the answer is a 401 with a challenge and no `error`, or the request goes on as anonymous
//!    ([`ResourceServer::allow_anonymous`]).
//! 3. The token is validated. A cached verdict counts until `exp`, until its key is withdrawn or until its time to live ends.
//!    Otherwise a [`TokenValidator`] decides: [`JwtValidator`](jwt) locally, [`IntrospectionValidator`](introspection) by asking
//!    the authorization server, [`RoutingValidator`] by choosing one of several, or your own.
//! 4. A token that is bound to a key (`cnf`) is refused, because nothing here verifies a proof of possession yet.
//! 5. The scopes of the token are checked against the [`ScopeRequirement`] of the layer.
//! 6. The token is put into the request's extensions as a [`ValidatedToken`], and the `Authorization` header is removed.
//! 7. A request that is refused gets a [`Rejection`]: over HTTP a status, a challenge and a JSON body; on a layer that
//!    [guards gRPC](ValidateTokenLayer::grpc) a gRPC status in trailers-only form. The cause, a [`ValidationError`], is in the response's extensions and in the log.
//!
//! # What a resource server does not do
//! It checks tokens and **never touches client identity**. It fetches no client metadata, learns no client identifier,
//! authenticates no client, and handles neither PKCE nor redirects nor registration. The members that name a client are dropped
//! while [`claims`] are parsed. The only credential in this crate is the resource server's own, at the introspection endpoint.
//!
//! # Features
//! | feature | default | what it gives | what it adds |
//! |---|---|---|---|
//! | `jwt` | yes | [`jwt`], [`jwks`]: local validation, keys by discovery | jsonwebtoken's types, no crypto backend |
//! | `introspection` | yes | [`introspection`]: RFC 7662 | |
//! | `reqwest` | yes | [`ReqwestClient`], to fetch keys and metadata and to introspect | reqwest, rustls on aws-lc-rs, the platform's certificates |
//! | `axum` | no | `integration::axum`: extractors, refusals as responses, `metadata_router` | axum without its default features |
//! | `tonic` | no | `integration::tonic`: refusals of handlers as `tonic::Status` | tonic without its default features |
//! | `testing` | no | `testing`: an authorization server in memory, tokens, a clock | |
//!
//! Features add up. None of them changes which tokens are accepted.
//!
//! # Cryptography and TLS
//! Signatures, hashes and random numbers come from [aws-lc-rs](https://docs.rs/aws-lc-rs), which needs a C compiler to build. TLS
//! comes with the feature `reqwest`: rustls, also on aws-lc-rs, with the certificates that the platform trusts. **Nothing is
//! installed process-wide**, neither a default provider of rustls nor one of jsonwebtoken, of which only the key types are used.
//! For another TLS stack, a proxy or a private certificate authority, pass a `reqwest::ClientBuilder` to
//! [`ReqwestClient::from_builder`]. For another HTTP client, switch the feature off and implement [`HttpClient`], a trait with
//! one method.
//!
//! # Standards, and where they are
//! | document | module |
//! |---|---|
//! | RFC 6750 bearer tokens, RFC 9110 authentication | [`credentials`], [`refusal`] |
//! | RFC 6749 section 3.3 scopes | [`scope`], [`requirement`] |
//! | RFC 7515, 7518, 7519, 8725, 9068 JWT access tokens | [`jwt`] |
//! | RFC 7517, 8037, 9864 keys | [`jwks`] |
//! | RFC 7662 introspection | [`introspection`] |
//! | RFC 8414, OpenID Connect Discovery | [`authorization_server`] |
//! | RFC 8707 resource indicators | [`claims`] |
//! | RFC 9728 protected resource metadata | [`protected_resource_metadata`] |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(all(feature = "jwt", feature = "introspection")),
    allow(dead_code, unused_imports, reason = "shared parts are idle without the validators that use them")
)]

// What is configured once
pub mod resource_server;

// A request arrives
pub mod validate_token;

// What it needs
pub mod requirement;

// Its credentials are read
pub mod credentials;

// The access token is validated
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

// Used by all
pub mod scope;
pub mod http_client;
mod config_error;
mod url_policy;
mod user_info;
mod single_flight;
mod strict_json;
pub mod clock;
mod heap_size;

// Frameworks and tests
#[cfg(any(feature = "axum", feature = "tonic"))]
pub mod integration;
#[cfg(feature = "testing")]
pub mod testing;

#[doc(inline)]
pub use self::{
    authorization_server::{AuthorizationServer, Issuer},
    claims::{Audience, ClaimsSet},
    clock::{Clock, SystemClock, UnixTime},
    config_error::ConfigError,
    credentials::AccessToken,
    http_client::{BoxFuture, HttpClient, HttpError},
    protected_resource_metadata::{MetadataService, ProtectedResourceMetadata},
    refusal::{
        Challenge, ClaimError, ErrorCode, Excerpt, Refusal, Rejection, RejectionBody, RejectionReason,
        ValidationError,
    },
    requirement::{EmptyRequirement, ScopeHierarchy, ScopeRequirement},
    resource_server::{ResourceServer, ResourceServerBuilder},
    scope::{InvalidScope, Scope, Scopes},
    token::ValidatedToken,
    validate_token::{
        GrpcRequestBody, ResponseBody, ResponseFuture, ValidateGrpcToken, ValidateGrpcTokenLayer,
        ValidateToken, ValidateTokenLayer,
    },
    validator::{RoutingValidator, TokenValidator},
};
#[cfg(feature = "reqwest")]
#[doc(inline)]
pub use http_client::ReqwestClient;
#[cfg(feature = "axum")]
#[doc(inline)]
pub use integration::axum::Claims;
#[cfg(feature = "introspection")]
#[doc(inline)]
pub use introspection::{IntrospectionValidator, IntrospectionValidatorBuilder, ResourceServerCredential};
#[cfg(feature = "jwt")]
#[doc(inline)]
pub use jwks::{Algorithm, KeySet, UnknownAlgorithm};
#[cfg(feature = "jwt")]
#[doc(inline)]
pub use jwt::{AccessTokenRule, JwtValidator, JwtValidatorBuilder};

/// The examples of the README, compiled.
#[cfg(all(doctest, feature = "axum", feature = "jwt", feature = "reqwest"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
