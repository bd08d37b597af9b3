//! Checks what an operation requires of a valid token: scopes first, then the authentication of the user.

use std::sync::Arc;

use crate::{ClaimsSet, Clock, ScopeHierarchy, ValidationError, requirement::TokenRequirement};

/// Checks the scopes (RFC 6750 section 3.1).
pub(super) fn check_scopes(
    requirement: &TokenRequirement,
    claims: &ClaimsSet,
    hierarchy: &ScopeHierarchy,
) -> Result<(), ValidationError> {
    if requirement.scopes.is_met_by(claims.scopes(), hierarchy) {
        return Ok(());
    }
    let required = requirement.scopes.clone();
    Err(ValidationError::InsufficientScope { required, granted: claims.scopes().clone() })
}

/// Checks how and when the user authenticated (RFC 9470 section 3).
pub(super) fn check_authentication(
    requirement: &TokenRequirement,
    claims: &ClaimsSet,
    clock: &dyn Clock,
) -> Result<(), ValidationError> {
    let required = &requirement.authentication;
    let refused = |reason| {
        let (acr_values, max_age) = (Arc::clone(&required.acr_values), required.max_age);
        Err(ValidationError::InsufficientUserAuthentication { reason, acr_values, max_age })
    };
    // A claim of a wrong type counts as missing.
    if !required.acr_values.is_empty() {
        match claims.claim::<String>("acr") {
            Ok(Some(acr)) if required.acr_values.iter().any(|value| **value == *acr) => {}
            Ok(Some(_)) => return refused("acr not accepted"),
            Ok(None) | Err(_) => return refused("acr missing or not a string"),
        }
    }
    if let Some(max_age) = required.max_age {
        // In whole seconds, because authorization servers cut the fraction off `auth_time`.
        let now = clock.now().as_secs();
        match claims.time("auth_time") {
            Some(auth_time) if now.saturating_sub(auth_time.as_secs()) <= max_age.as_secs() => {}
            Some(_) => return refused("user authenticated too long ago"),
            None => return refused("auth_time missing or not a time"),
        }
    }
    Ok(())
}
