//! Scopes that an operation requires: [`ScopeRequirement`].

use std::fmt;

use super::ScopeHierarchy;
use crate::{ConfigError, Scope, Scopes, config_error::Problem};

/// The scopes that a token must have: all scopes of at least one alternative.
///
/// A scope or an array of scopes converts into a requirement of all of them. Challenges name the scopes of the first
/// alternative, in this order.
///
/// A requirement is never empty, because an empty one would admit every valid token. An empty array does not compile,
/// and an empty list from configuration is an error. To require only a valid token, use
/// [`ResourceServer::require_token`](crate::ResourceServer::require_token).
#[derive(Clone, PartialEq, Eq)]
#[must_use]
pub struct ScopeRequirement {
    /// A token must have all scopes of at least one of these. Never empty.
    alternatives: Vec<Vec<Scope>>,
}

impl ScopeRequirement {
    /// Creates a requirement that every valid token meets.
    pub(crate) fn none() -> Self {
        Self { alternatives: vec![Vec::new()] }
    }

    /// Requires at least one of several alternatives. Each is a scope or a requirement.
    ///
    /// An empty array does not compile. For a list that is only known at run time, use [`any_of`](Self::any_of).
    pub fn any<const N: usize>(alternatives: [impl Into<Self>; N]) -> Self {
        const { assert!(N > 0, "a requirement needs at least one scope") };
        Self { alternatives: alternatives.into_iter().flat_map(|each| each.into().alternatives).collect() }
    }

    /// Requires at least one of several alternatives, from a list known at run time.
    ///
    /// # Errors
    /// If the list is empty.
    pub fn any_of<T: Into<Self>>(
        alternatives: impl IntoIterator<Item = T>,
    ) -> Result<Self, EmptyRequirement> {
        let alternatives = alternatives.into_iter().map(Into::into);
        alternatives.reduce(Self::or).ok_or(EmptyRequirement(()))
    }

    /// Requires all of several scopes or requirements, from a list known at run time.
    ///
    /// # Errors
    /// If the list is empty.
    pub fn all_of<T: Into<Self>>(parts: impl IntoIterator<Item = T>) -> Result<Self, EmptyRequirement> {
        let parts = parts.into_iter().map(Into::into);
        parts.reduce(Self::and).ok_or(EmptyRequirement(()))
    }

    /// Requires both this and `other`.
    pub fn and(self, other: impl Into<Self>) -> Self {
        let other = other.into();
        let mut alternatives = Vec::with_capacity(self.alternatives.len() * other.alternatives.len());
        for mine in &self.alternatives {
            for theirs in &other.alternatives {
                let mut both = mine.clone();
                both.extend(theirs.iter().filter(|scope| !mine.contains(scope)).cloned());
                alternatives.push(both);
            }
        }
        Self { alternatives }
    }

    /// Requires this or `other`. Challenges name the scopes of this one.
    pub fn or(mut self, other: impl Into<Self>) -> Self {
        self.alternatives.extend(other.into().alternatives);
        self
    }

    /// Returns the scopes of the first alternative, which challenges name.
    pub fn named(&self) -> &[Scope] {
        self.alternatives.first().map_or(&[], Vec::as_slice)
    }

    /// Returns all alternatives. A token must have all scopes of one of them.
    pub(crate) fn each_alternative(&self) -> &[Vec<Scope>] {
        &self.alternatives
    }

    /// Returns the number of alternatives.
    #[cfg(feature = "mcp")]
    pub(super) fn alternatives(&self) -> usize {
        self.alternatives.len()
    }

    #[cfg(feature = "mcp")]
    pub(super) fn keep_first_alternative(&mut self) {
        self.alternatives.truncate(1);
    }

    /// Returns whether a token with these scopes meets the requirement. Does not allocate.
    pub(crate) fn is_met_by(&self, granted: &Scopes, hierarchy: &ScopeHierarchy) -> bool {
        self.alternatives.iter().any(|all| all.iter().all(|scope| hierarchy.grants(granted, scope)))
    }

    /// Returns the scopes of all alternatives.
    pub(crate) fn all_scopes(&self) -> impl Iterator<Item = &Scope> {
        self.alternatives.iter().flatten()
    }
}

/// The error for an empty list of scopes, which every valid token would meet.
///
/// Converts into a [`ConfigError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no scopes: {EXPECTED}")]
pub struct EmptyRequirement(());

const EXPECTED: &str = "expected at least one; use require_token() to require only a valid token";

impl From<EmptyRequirement> for ConfigError {
    fn from(_: EmptyRequirement) -> Self {
        Problem::without_value("required scopes", EXPECTED).into()
    }
}

impl From<Scope> for ScopeRequirement {
    fn from(scope: Scope) -> Self {
        Self { alternatives: vec![vec![scope]] }
    }
}

impl From<&Scope> for ScopeRequirement {
    fn from(scope: &Scope) -> Self {
        scope.clone().into()
    }
}

/// Requires all of the scopes. An empty array does not compile:
///
/// ```compile_fail
/// let requirement = tower_bearer::ScopeRequirement::from([]);
/// ```
impl<const N: usize> From<[Scope; N]> for ScopeRequirement {
    fn from(scopes: [Scope; N]) -> Self {
        const { assert!(N > 0, "a requirement needs at least one scope") };
        Self { alternatives: vec![deduplicated(scopes)] }
    }
}

/// Removes repeated scopes.
pub(crate) fn deduplicated(scopes: impl IntoIterator<Item = Scope>) -> Vec<Scope> {
    let mut kept: Vec<Scope> = Vec::new();
    for scope in scopes {
        if !kept.contains(&scope) {
            kept.push(scope);
        }
    }
    kept
}

/// Writes scopes as `a b`, and alternatives as `a b | c`.
impl fmt::Display for ScopeRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, alternative) in self.alternatives.iter().enumerate() {
            if index > 0 {
                f.write_str(" | ")?;
            }
            f.write_str(&scope_list(alternative))?;
        }
        Ok(())
    }
}

impl fmt::Debug for ScopeRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScopeRequirement({self})")
    }
}

/// Joins scopes with spaces, as in the parameter `scope`.
pub(crate) fn scope_list(scopes: &[Scope]) -> String {
    scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Scope = Scope::from_static("a");
    const B: Scope = Scope::from_static("b");
    const C: Scope = Scope::from_static("c");

    fn met(requirement: impl Into<ScopeRequirement>, granted: &str) -> bool {
        requirement.into().is_met_by(&Scopes::new(granted), &ScopeHierarchy::default())
    }

    #[test]
    fn all_of_needs_each() {
        assert!(met([A, B], "b x a"));
        assert!(!met([A, B], "a"));
        assert!(!met([A, B], ""));
    }

    #[test]
    fn any_of_needs_one() {
        assert!(met(ScopeRequirement::any([A, B]), "b"));
        assert!(!met(ScopeRequirement::any([A, B]), "c"));
    }

    #[test]
    fn alternatives_nest() {
        let requirement = ScopeRequirement::any([ScopeRequirement::from([A, B]), C.into()]);

        assert!(met(requirement.clone(), "c"));
        assert!(met(requirement.clone(), "a b"));
        assert!(!met(requirement, "a"));
    }

    #[test]
    fn and_needs_both_sides_and_names_each_scope_once() {
        let requirement = ScopeRequirement::any([A, B]).and([C, A]);

        assert!(met(requirement.clone(), "a c"));
        assert!(met(requirement.clone(), "a b c"));
        assert!(!met(requirement.clone(), "b c"));
        assert_eq!(requirement.to_string(), "a c | b c a");
        assert_eq!(requirement.named(), [A, C]);
    }

    #[test]
    fn a58_empty_list_is_an_error() {
        assert_eq!(ScopeRequirement::all_of(Vec::<Scope>::new()), Err(EmptyRequirement(())));
        assert_eq!(ScopeRequirement::any_of(Vec::<Scope>::new()), Err(EmptyRequirement(())));
        assert_eq!(ScopeRequirement::all_of(Vec::<ScopeRequirement>::new()), Err(EmptyRequirement(())));
        assert_eq!(
            ConfigError::from(EmptyRequirement(())).to_string(),
            "required scopes: expected at least one; use require_token() to require only a valid token"
        );
    }

    #[test]
    fn lists_are_equivalent_to_arrays() {
        let all = ScopeRequirement::all_of(vec![A, B, A]).unwrap();
        let any = ScopeRequirement::any_of(vec![ScopeRequirement::from([A, B]), C.into()]).unwrap();

        assert_eq!(all, ScopeRequirement::from([A, B]));
        assert_eq!(any, ScopeRequirement::any([ScopeRequirement::from([A, B]), C.into()]));
        assert!(!met(all, "b"));
    }

    #[test]
    fn or_adds_an_alternative() {
        let requirement = ScopeRequirement::from([A, B]).or(C);

        assert!(met(requirement.clone(), "c"));
        assert_eq!(requirement.named(), [A, B]);
    }

    #[test]
    fn no_requirement_is_met_by_any_token() {
        assert!(met(ScopeRequirement::none(), ""));
        assert!(ScopeRequirement::none().named().is_empty());
    }

    #[test]
    fn a_repeated_scope_is_named_once() {
        assert_eq!(ScopeRequirement::from([A, B, A]).named(), [A, B]);
    }
}
