//! Finds the pattern of a path: [`PatternTree`].

use super::{
    literals::{Literals, segment_len},
    pattern::{Pattern, Segment},
};

/// Patterns by segment. Each node is the beginning of one or more patterns.
///
/// `matchit` decides which patterns conflict. This tree finds the same patterns faster, and ignores case.
#[derive(Debug, Default)]
pub(super) struct PatternTree {
    /// Patterns that have only literals from here: all of their segments, and their indexes.
    ends: Literals<usize>,
    /// Segments before others that are not all literals.
    segments: Literals<PatternTree>,
    /// Segments that end with a variable: the text before it. The longest ones first.
    variables: Vec<(Box<str>, PatternTree)>,
    /// The index of the pattern that ends with `{*rest}` here.
    rest: Option<usize>,
}

/// The pattern that matches a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) index: usize,
    /// Whether the path certainly has the case of the pattern. Otherwise, compare them.
    pub(super) has_same_case: bool,
}

impl PatternTree {
    /// Adds a pattern. It must not conflict with others.
    pub(super) fn insert(&mut self, pattern: &Pattern, index: usize) {
        let mut node = self;
        let mut segments = pattern.segments();
        loop {
            if let Some(text) = Segment::join_literals(segments) {
                *node.ends.insert(&text) = index;
                return;
            }
            let Some((segment, after)) = segments.split_first() else { return };
            node = match segment {
                Segment::Literal(text) => node.segments.insert(text),
                Segment::Variable(prefix) => node.insert_variable(prefix),
                Segment::Rest => {
                    node.rest = Some(index);
                    return;
                }
            };
            segments = after;
        }
    }

    fn insert_variable(&mut self, prefix: &str) -> &mut Self {
        let known = self.variables.iter().position(|(known, _)| known.eq_ignore_ascii_case(prefix));
        let index = known.unwrap_or_else(|| {
            let index = self.variables.partition_point(|(other, _)| other.len() >= prefix.len());
            self.variables.insert(index, (prefix.into(), Self::default()));
            index
        });
        &mut self.variables[index].1
    }

    /// Finds the pattern that matches a path if case is ignored.
    ///
    /// Literals take precedence over variables, and variables over `{*rest}`, segment by segment. The path has neither empty
    /// segments nor a slash at its beginning or end.
    pub(super) fn find(&self, path: &[u8]) -> Option<Found> {
        // Only literals from here: nothing takes precedence over them.
        if let Some((index, has_same_case)) = self.ends.find(path) {
            return Some(Found { index: *index, has_same_case });
        }
        if path.is_empty() || self.segments.is_empty() && self.variables.is_empty() {
            return self.found_rest(path);
        }
        let (segment, after) = path.split_at(segment_len(path));
        let after = after.strip_prefix(b"/").unwrap_or(after);
        if let Some((next, has_same_case)) = self.segments.find(segment)
            && let Some(found) = next.find(after)
        {
            return Some(found.and(has_same_case));
        }
        for (prefix, next) in &self.variables {
            if has_prefix(segment, prefix)
                && let Some(found) = next.find(after)
            {
                return Some(found.and(prefix.is_empty()));
            }
        }
        self.found_rest(path)
    }

    fn found_rest(&self, path: &[u8]) -> Option<Found> {
        let index = self.rest.filter(|_| !path.is_empty())?;
        Some(Found { index, has_same_case: true })
    }
}

impl Found {
    fn and(self, has_same_case: bool) -> Self {
        Self { has_same_case: self.has_same_case && has_same_case, ..self }
    }
}

/// Returns whether a segment starts with a prefix and is longer. Ignores case.
fn has_prefix(segment: &[u8], prefix: &str) -> bool {
    segment.len() > prefix.len()
        && segment.iter().zip(prefix.as_bytes()).all(|(byte, other)| byte.eq_ignore_ascii_case(other))
}

#[cfg(test)]
mod tests {
    use matchit::Router;
    use proptest::{prelude::*, sample::select};

    use super::*;

    /// Returns patterns or paths from a few segments, so that many match.
    fn texts(segments: &'static [&'static str]) -> impl Strategy<Value = String> {
        let segments = prop::collection::vec(select(segments), 0..5);
        segments.prop_map(|segments| format!("/{}", segments.join("/")))
    }

    fn patterns() -> impl Strategy<Value = Vec<String>> {
        let rest = prop_oneof![4 => Just(""), 1 => Just("/{*rest}")];
        let segments = texts(&["a", "A", "b", "ab", "abc", "{x}", "{x}", "{x}", "a{x}", "ab{x}", "A{x}"]);
        let pattern =
            (segments, rest).prop_map(|(path, rest)| format!("{}{rest}", path.trim_end_matches('/')));
        let pattern = pattern.prop_map(|text| if text.is_empty() { "/".to_owned() } else { text });
        prop::collection::vec(pattern, 1..24)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn tree_finds_the_same_pattern_as_matchit(
            patterns in patterns(),
            paths in prop::collection::vec(texts(&["a", "A", "b", "ab", "aB", "abc", "abcd", "c", "lastBuild"]), 20),
        ) {
            let (mut router, mut tree, mut known) = (Router::new(), PatternTree::default(), Vec::new());
            for text in &patterns {
                let pattern = Pattern::parse(text).unwrap();
                if router.insert(pattern.ignoring_case(), known.len()).is_ok() {
                    tree.insert(&pattern, known.len());
                    known.push(pattern);
                }
            }
            for path in &paths {
                let expected = router.at(&path.to_ascii_lowercase()).ok().map(|matched| *matched.value);
                let path = path.trim_start_matches('/').as_bytes();
                let found = tree.find(path);

                prop_assert_eq!(found.map(|found| found.index), expected, "{:?} {:?}", patterns, path);
                if let Some(found) = found.filter(|found| found.has_same_case) {
                    prop_assert!(known[found.index].has_case_of(path), "{:?} {:?}", patterns, path);
                }
            }
        }
    }
}
