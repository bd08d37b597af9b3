//! Serves the metadata with an axum router.

use axum::Router;

use crate::{ConfigError, ResourceServer, config_error::Problem};

impl ResourceServer {
    /// Creates an axum router that serves the metadata at all its paths (RFC 9728 section 3).
    ///
    /// Merge it into your router, outside any layer that requires a token.
    ///
    /// ```
    /// # fn serve(resource_server: &tower_bearer::ResourceServer) -> Result<axum::Router, tower_bearer::ConfigError> {
    /// let app = axum::Router::new().merge(resource_server.metadata_router()?);
    /// # Ok(app)
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the resource server has no [metadata](crate::ResourceServerBuilder::resource_metadata), or a segment of the resource's
    /// path starts with `:` or `*`. axum refuses such routes; mount [`metadata_service`](Self::metadata_service) as a fallback.
    pub fn metadata_router<S>(&self) -> Result<Router<S>, ConfigError>
    where
        S: Clone + Send + Sync + 'static,
    {
        let service = self.metadata_service()?;
        let paths = self.metadata_paths();
        if let Some(path) = paths.iter().find(|path| path.contains("/:") || path.contains("/*")) {
            let expected = "expected a path for an axum route, no segment starting with \":\" or \"*\"";
            return Err(Problem::new("resource", *path, expected).into());
        }
        Ok(paths.into_iter().fold(Router::new(), |router, path| router.route_service(path, service.clone())))
    }
}
