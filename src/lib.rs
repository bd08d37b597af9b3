#![doc = "placeholder"]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(all(feature = "jwt", feature = "introspection")),
    allow(dead_code, unused_imports, reason = "shared parts are idle without the validators that use them")
)]

// 0. What is configured once
pub mod resource_server;

// 1. A request arrives
pub mod validate_token;

// 2. Its credentials are read
pub mod credentials;

// 3. The access token is validated
pub mod validator;
mod strict_json;
#[cfg(feature = "jwt")]
pub mod jwt;
#[cfg(feature = "jwt")]
pub mod jwks;
#[cfg(feature = "introspection")]
pub mod introspection;
pub mod audience;

// 5. The token travels with the request
pub mod token;
pub mod claims;
pub mod scope;

// 6. A route asks for scopes
pub mod scope_requirement;

// 7. A request is refused
pub mod error;
pub mod rejection;
mod challenge;
mod response;

// What the resource publishes and what it asks others
pub mod protected_resource_metadata;
pub mod authorization_server;
pub mod http_client;
pub mod clock;

// Frameworks and tests
pub mod integration;
#[cfg(feature = "testing")]
pub mod testing;

pub use self::{
    audience::Audience,
    authorization_server::{AuthorizationServer, Issuer},
    claims::{ClaimError, ClaimsSet},
    clock::{Clock, SystemClock, UnixTime},
    credentials::AccessToken,
    error::{Excerpt, ValidationError},
    http_client::{BoxFuture, HttpClient, HttpError},
    protected_resource_metadata::{MetadataService, ProtectedResourceMetadata},
    rejection::{ErrorCode, Rejection, RejectionReason},
    resource_server::{ConfigError, ResourceServer, ResourceServerBuilder},
    response::RejectionBody,
    scope::{InvalidScope, Scope, Scopes},
    scope_requirement::{ScopeHierarchy, ScopeRequirement},
    token::ValidatedToken,
    validate_token::{ResponseBody, ResponseFuture, ValidateToken, ValidateTokenLayer},
    validator::{RoutingValidator, TokenValidator},
};
#[cfg(feature = "reqwest")]
pub use http_client::ReqwestClient;
#[cfg(feature = "axum")]
pub use integration::axum::{Claims, ExtractError};
#[cfg(feature = "introspection")]
pub use introspection::{IntrospectionValidator, IntrospectionValidatorBuilder, ResourceServerCredential};
#[cfg(feature = "jwt")]
pub use jwks::{Algorithm, KeySet};
#[cfg(feature = "jwt")]
pub use jwt::{AccessTokenRule, JwtValidator, JwtValidatorBuilder};
