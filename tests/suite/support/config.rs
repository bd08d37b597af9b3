//! Checks settings by building a validator or a resource server with them.

use tower_bearer::{
    AuthorizationServer, ConfigError, JwtValidator, ProtectedResourceMetadata, ResourceServer,
    testing::TestAuthorizationServer,
};

use super::{ISSUER, RESOURCE};

/// Builds a validator with this authorization server.
pub(crate) fn check_server(server: AuthorizationServer) -> Result<JwtValidator, ConfigError> {
    JwtValidator::builder(server, RESOURCE).build()
}

/// Builds a resource server with this metadata.
pub(crate) fn check_metadata(metadata: ProtectedResourceMetadata) -> Result<ResourceServer, ConfigError> {
    let validator = TestAuthorizationServer::new(ISSUER).jwt_validator(RESOURCE).build().unwrap();
    ResourceServer::builder(validator).resource_metadata(metadata).build()
}
