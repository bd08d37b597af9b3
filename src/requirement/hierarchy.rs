//! Scopes that imply others: [`ScopeHierarchy`].

use std::iter;

use crate::{Scope, Scopes};

/// Declares which scopes imply others: for example, `admin` implies `write`.
///
/// Implications are transitive. Default: no scope implies another.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ScopeHierarchy {
    /// Pairs of a scope and one that implies it, directly or through others. Sorted by the first.
    implied_by: Vec<(Scope, Scope)>,
}

impl ScopeHierarchy {
    /// Declares that `scope` implies each scope of `implied`. Can be called repeatedly.
    pub fn implies(mut self, scope: Scope, implied: impl IntoIterator<Item = Scope>) -> Self {
        for (greater, lesser) in iter::repeat(scope).zip(implied) {
            self.add(&lesser, &greater);
        }
        self.implied_by.sort();
        self
    }

    /// Adds a pair, and the pairs that follow from it. Handles cycles.
    fn add(&mut self, lesser: &Scope, greater: &Scope) {
        let mut lessers = vec![lesser.clone()];
        lessers.extend(self.implied_by.iter().filter(|(_, by)| by == lesser).map(|(scope, _)| scope.clone()));
        let mut greaters = vec![greater.clone()];
        greaters
            .extend(self.implied_by.iter().filter(|(scope, _)| scope == greater).map(|(_, by)| by.clone()));
        for lesser in &lessers {
            for greater in &greaters {
                let pair = (lesser.clone(), greater.clone());
                if lesser != greater && !self.implied_by.contains(&pair) {
                    self.implied_by.push(pair);
                }
            }
        }
    }

    /// Returns whether the granted scopes contain `scope` or one that implies it. Does not allocate.
    pub(crate) fn grants(&self, granted: &Scopes, scope: &Scope) -> bool {
        granted.contains(scope) || self.implying(scope).any(|greater| granted.contains(greater))
    }

    fn implying(&self, scope: &Scope) -> impl Iterator<Item = &Scope> {
        let start = self.implied_by.partition_point(|(lesser, _)| lesser < scope);
        let from_start = self.implied_by.iter().skip(start);
        from_start.take_while(move |(lesser, _)| lesser == scope).map(|(_, greater)| greater)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Scope = Scope::from_static("a");
    const B: Scope = Scope::from_static("b");
    const C: Scope = Scope::from_static("c");

    fn grants(hierarchy: &ScopeHierarchy, granted: &str, scope: &Scope) -> bool {
        hierarchy.grants(&Scopes::new(granted), scope)
    }

    #[test]
    fn rmcp_10_implications_are_transitive() {
        for hierarchy in [
            ScopeHierarchy::default().implies(A, [B]).implies(B, [C]),
            ScopeHierarchy::default().implies(B, [C]).implies(A, [B]),
        ] {
            assert!(grants(&hierarchy, "a", &C));
            assert!(grants(&hierarchy, "a", &B));
            assert!(grants(&hierarchy, "b", &C));
            assert!(!grants(&hierarchy, "b c", &A));
        }
    }

    #[test]
    fn cyclic_implications_terminate() {
        let hierarchy = ScopeHierarchy::default().implies(A, [B]).implies(B, [A]);

        assert!(grants(&hierarchy, "b", &A));
        assert!(grants(&hierarchy, "a", &B));
        assert!(!grants(&hierarchy, "c", &A));
    }

    #[test]
    fn a_scope_grants_itself_only_by_default() {
        assert!(grants(&ScopeHierarchy::default(), "a", &A));
        assert!(!grants(&ScopeHierarchy::default(), "a", &B));
    }
}
