//! The trait that decides what a request requires: [`RequirementPolicy`].

use super::{PolicyDescription, Requirement, RuleDescription};
use crate::{RequestHead, Scope};

/// Decides what a request requires, from its head.
///
/// Give it to [`ResourceServer::require_by`](crate::ResourceServer::require_by). A [`Requirement`] is a policy that requires the
/// same of all requests. A closure is also a policy. The type of its parameter must be written:
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
/// The policy is called before the token is validated, so that the 401 names the scopes of the operation. It must not block.
///
/// # Security
/// The client chooses everything in the head. Decide by the same parts of it as the inner service does, and deny unknown
/// operations.
pub trait RequirementPolicy: Send + Sync + 'static {
    /// Returns what the request requires.
    fn requirement(&self, request: &RequestHead<'_>) -> Requirement;

    /// Returns the scopes that requests may require. Default: none.
    ///
    /// The metadata lists them in `scopes_supported`, unless that was configured.
    ///
    /// For a closure, name them with [`advertise`](crate::ValidateTokenLayer::advertise) or
    /// [`scopes_supported`](crate::ProtectedResourceMetadata::scopes_supported).
    fn scopes(&self) -> Vec<Scope> {
        Vec::new()
    }

    /// Describes the policy for people who review it. Default: one rule, which a function decides.
    ///
    /// Returned by [`ResourceServer::layers`](crate::ResourceServer::layers) for all layers. It must not depend on a request.
    fn describe(&self) -> PolicyDescription {
        PolicyDescription::new([RuleDescription::decided_by_function(ALL_REQUESTS)])
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

    fn describe(&self) -> PolicyDescription {
        PolicyDescription::new([RuleDescription::new(ALL_REQUESTS, self.clone())])
    }
}

const ALL_REQUESTS: &str = "all requests";
