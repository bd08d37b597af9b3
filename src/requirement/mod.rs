//! What scopes an operation needs: [`ScopeRequirement`], and which scope contains which: [`ScopeHierarchy`].
//!
//! ```
//! use tower_bearer::{Scope, ScopeHierarchy, ScopeRequirement};
//!
//! const READ: Scope = Scope::from_static("orders:read");
//! const WRITE: Scope = Scope::from_static("orders:write");
//! const ADMIN: Scope = Scope::from_static("admin");
//!
//! let one = ScopeRequirement::from(READ);
//! let both = ScopeRequirement::from([READ, WRITE]);
//! let either = ScopeRequirement::any([READ, ADMIN]);
//! let mixed = ScopeRequirement::any([ScopeRequirement::from([READ, WRITE]), ADMIN.into()]);
//! # let _ = (one, both, either, mixed);
//!
//! // Declared once, on the resource server: `admin` contains `orders:write`, which contains `orders:read`.
//! let hierarchy = ScopeHierarchy::default().implies(ADMIN, [WRITE]).implies(WRITE, [READ]);
//! # let _ = hierarchy;
//! ```

use std::fmt;

use crate::{Scope, Scopes};

/// Scopes that a token must have: all of one alternative.
///
/// [`From`] a scope or an array of scopes means all of them. The order is kept: it is the order in which a challenge
/// names them, and of several alternatives the first is the one that is named.
#[derive(Clone, PartialEq, Eq)]
#[must_use]
pub struct ScopeRequirement {
    /// Any of these, each needing all of its scopes; never empty.
    alternatives: Vec<Vec<Scope>>,
}

impl ScopeRequirement {
    /// Asks for no scope: any valid token will do.
    pub fn none() -> Self {
        Self { alternatives: vec![Vec::new()] }
    }

    /// Asks for one of several alternatives, each a scope or a requirement of its own.
    ///
    /// An empty list does not compile: it would be a route that nobody may use.
    pub fn any<const N: usize>(alternatives: [impl Into<Self>; N]) -> Self {
        const { assert!(N > 0, "any of no alternatives can never be met") };
        Self { alternatives: alternatives.into_iter().flat_map(|each| each.into().alternatives).collect() }
    }

    /// Asks for this and the other too.
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

    /// Asks for this or, instead, the other; a challenge names this one.
    pub fn or(mut self, other: impl Into<Self>) -> Self {
        self.alternatives.extend(other.into().alternatives);
        self
    }

    /// Returns the scopes of the first alternative, which are those that a challenge names.
    pub fn named(&self) -> &[Scope] {
        self.alternatives.first().map_or(&[], Vec::as_slice)
    }

    /// Returns every scope that occurs.
    pub(crate) fn all_scopes(&self) -> impl Iterator<Item = &Scope> {
        self.alternatives.iter().flatten()
    }
}

impl From<Scope> for ScopeRequirement {
    fn from(scope: Scope) -> Self {
        [scope].into()
    }
}

impl From<&Scope> for ScopeRequirement {
    fn from(scope: &Scope) -> Self {
        scope.clone().into()
    }
}

/// All of the scopes, as they may come from a configuration file; none asks for none.
impl From<Vec<Scope>> for ScopeRequirement {
    fn from(scopes: Vec<Scope>) -> Self {
        scopes.into_iter().collect()
    }
}

impl<const N: usize> From<[Scope; N]> for ScopeRequirement {
    fn from(scopes: [Scope; N]) -> Self {
        scopes.into_iter().collect()
    }
}

/// All of the scopes; none of them twice.
impl FromIterator<Scope> for ScopeRequirement {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let mut all: Vec<Scope> = Vec::new();
        for scope in scopes {
            if !all.contains(&scope) {
                all.push(scope);
            }
        }
        Self { alternatives: vec![all] }
    }
}

/// Written as `a b`, alternatives as `a b | c`.
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

/// Joins scopes as the parameter `scope` has them: `a b`.
pub(crate) fn scope_list(scopes: &[Scope]) -> String {
    scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")
}

/// Which scope contains which others: who has `admin` may do what `write` allows.
///
/// Implications add up and go through several steps. Default: no scope contains another.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ScopeHierarchy {
    implications: Vec<(Scope, Scope)>,
}

impl ScopeHierarchy {
    /// Declares that whoever has `scope` also has each of `implied`.
    pub fn implies(mut self, scope: Scope, implied: impl IntoIterator<Item = Scope>) -> Self {
        self.implications.extend(std::iter::repeat(scope).zip(implied));
        self
    }

    /// Returns the scope and all that contain it, each once; a circle of implications ends where it began.
    fn that_satisfy(&self, scope: &Scope) -> Vec<Scope> {
        let mut satisfying = vec![scope.clone()];
        let mut next = 0;
        while let Some(lesser) = satisfying.get(next).cloned() {
            for (greater, implied) in &self.implications {
                if *implied == lesser && !satisfying.contains(greater) {
                    satisfying.push(greater.clone());
                }
            }
            next += 1;
        }
        satisfying
    }
}

/// A requirement with the hierarchy folded in, so that a request only compares strings.
#[derive(Debug)]
pub(crate) struct ScopeCheck {
    pub(crate) requirement: ScopeRequirement,
    /// Any of these; each needs all of its members; each of those is met by any of its scopes.
    alternatives: Vec<Vec<Vec<Scope>>>,
}

impl ScopeCheck {
    pub(crate) fn new(requirement: ScopeRequirement, hierarchy: &ScopeHierarchy) -> Self {
        let satisfying =
            |scopes: &Vec<Scope>| scopes.iter().map(|scope| hierarchy.that_satisfy(scope)).collect();
        let alternatives = requirement.alternatives.iter().map(satisfying).collect();
        Self { requirement, alternatives }
    }

    pub(crate) fn is_met_by(&self, granted: &Scopes) -> bool {
        self.alternatives
            .iter()
            .any(|all| all.iter().all(|satisfying| satisfying.iter().any(|scope| granted.contains(scope))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Scope = Scope::from_static("a");
    const B: Scope = Scope::from_static("b");
    const C: Scope = Scope::from_static("c");

    fn met(requirement: impl Into<ScopeRequirement>, granted: &str) -> bool {
        ScopeCheck::new(requirement.into(), &ScopeHierarchy::default()).is_met_by(&Scopes::new(granted))
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

    #[test]
    fn rmcp_10_a_greater_scope_satisfies_through_several_steps() {
        let hierarchy = ScopeHierarchy::default().implies(A, [B]).implies(B, [C]);
        let check = |scope: Scope| ScopeCheck::new(scope.into(), &hierarchy);

        assert!(check(C).is_met_by(&Scopes::new("a")));
        assert!(check(B).is_met_by(&Scopes::new("a")));
        assert!(!check(A).is_met_by(&Scopes::new("b c")));
    }

    #[test]
    fn a_circle_of_implications_ends() {
        let hierarchy = ScopeHierarchy::default().implies(A, [B]).implies(B, [A]);

        assert!(ScopeCheck::new(A.into(), &hierarchy).is_met_by(&Scopes::new("b")));
        assert!(!ScopeCheck::new(A.into(), &hierarchy).is_met_by(&Scopes::new("c")));
    }
}
