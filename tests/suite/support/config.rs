//! Settings checked as `build()` checks them.

use tower_bearer::{
    AuthorizationServer, ConfigError, JwtValidator, ProtectedResourceMetadata, ResourceServer,
    testing::TestAuthorizationServer,
};

use super::{ISSUER, RESOURCE};

/// Checks the settings of an authorization server, as a validator does when it is built.
pub(crate) fn check_server(server: AuthorizationServer) -> Result<JwtValidator, ConfigError> {
    JwtValidator::builder(server, RESOURCE).build()
}

/// Checks the settings of metadata, as a resource server does when it is built.
pub(crate) fn check_metadata(metadata: ProtectedResourceMetadata) -> Result<ResourceServer, ConfigError> {
    let validator = TestAuthorizationServer::new(ISSUER).jwt_validator(RESOURCE).build().unwrap();
    ResourceServer::builder(validator).resource_metadata(metadata).build()
}
