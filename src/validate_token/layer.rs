//! The layer, which a resource server hands out.

use std::sync::Arc;

use tower_layer::Layer;

use super::{Admit, Guard, ValidateToken};
use crate::{ResourceServer, ScopeRequirement};

/// Puts [`ValidateToken`] around a service.
///
/// Made by [`ResourceServer::require_token`], [`ResourceServer::require_scopes`] and [`ResourceServer::allow_anonymous`]. Inside another layer
/// of the same resource server it takes over the token which that one validated.
#[derive(Clone, Debug)]
#[must_use]
pub struct ValidateTokenLayer {
    guard: Arc<Guard>,
}

impl ValidateTokenLayer {
    pub(crate) fn new(server: ResourceServer, admit: Admit, requirement: ScopeRequirement) -> Self {
        Self { guard: Arc::new(Guard::new(server, admit, requirement)) }
    }
}

impl<S> Layer<S> for ValidateTokenLayer {
    type Service = ValidateToken<S>;

    fn layer(&self, inner: S) -> ValidateToken<S> {
        ValidateToken::new(inner, Arc::clone(&self.guard))
    }
}
