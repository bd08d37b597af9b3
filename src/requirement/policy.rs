//! Decides what each request requires: [`RequirementPolicy`].

use super::Requirement;
use crate::{RequestHead, Scope};

/// Decides from the head of a request what it requires.
///
/// Give it to [`ResourceServer::require_by`](crate::ResourceServer::require_by). A [`Requirement`] is a policy that is the
/// same for all requests. A closure is a policy; the type of its parameter must be written:
///
/// ```
/// use http::Method;
/// use tower_bearer::{RequestHead, Requirement, ResourceServer, Scope, ValidateTokenLayer};
///
/// const READ: Scope = Scope::from_static("files:read");
/// const WRITE: Scope = Scope::from_static("files:write");
///
/// fn layer(resource_server: &ResourceServer) -> ValidateTokenLayer {
///     let (read, write) = (Requirement::scopes(READ), Requirement::scopes(WRITE));
///     resource_server.require_by(move |request: &RequestHead<'_>| match *request.method() {
///         Method::GET | Method::HEAD => read.clone(),
///         Method::PUT | Method::DELETE => write.clone(),
///         _ => Requirement::deny("method not offered"),
///     })
/// }
/// # let _ = layer;
/// ```
///
/// The policy is called once for each request, before the token is validated, so that the 401 names the scopes of the
/// operation. It must not block.
///
/// # Security
/// The head is not authenticated: the caller chooses it. Decide from the parts that the inner service also decides from, and
/// deny what you do not know.
pub trait RequirementPolicy: Send + Sync + 'static {
    /// Returns what the request requires.
    fn requirement(&self, request: &RequestHead<'_>) -> Requirement;

    /// Returns the scopes that requests may require, which the metadata lists in `scopes_supported`. Default: none.
    ///
    /// For a closure, name them with [`advertise`](crate::ValidateTokenLayer::advertise) or
    /// [`scopes_supported`](crate::ProtectedResourceMetadata::scopes_supported).
    fn scopes(&self) -> Vec<Scope> {
        Vec::new()
    }
}

impl<F> RequirementPolicy for F
where
    F: Fn(&RequestHead<'_>) -> Requirement + Send + Sync + 'static,
{
    fn requirement(&self, request: &RequestHead<'_>) -> Requirement {
        self(request)
    }
}

impl RequirementPolicy for Requirement {
    fn requirement(&self, _: &RequestHead<'_>) -> Requirement {
        self.clone()
    }

    fn scopes(&self) -> Vec<Scope> {
        self.all_scopes().cloned().collect()
    }
}
