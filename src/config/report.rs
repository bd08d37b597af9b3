//! Collects the problems of a document, each with where its value came from: [`Report`].

use std::collections::HashMap;

use super::node::Origin;
use crate::{ConfigError, config_error::Problem};

#[derive(Debug, Default)]
pub(super) struct Report {
    problems: Vec<Problem>,
    /// Where each value came from, by its path.
    origins: HashMap<String, Origin>,
}

impl Report {
    /// Remembers where a value came from, for later problems.
    pub(super) fn locate(&mut self, path: &str, origin: &Origin) {
        self.origins.insert(path.to_owned(), origin.clone());
    }

    pub(super) fn value(&mut self, path: &str, found: &str, expected: impl Into<String>) {
        self.push(path, Problem::new("", found, expected.into()));
    }

    /// Adds a problem whose value is missing, secret or too long to show.
    pub(super) fn without_value(&mut self, path: &str, expected: impl Into<String>) {
        self.push(path, Problem::without_value("", expected.into()));
    }

    /// Adds a problem of a value that is not in the tree.
    pub(super) fn elsewhere(&mut self, setting: &str, expected: impl Into<String>, origin: &Origin) {
        let problem = Problem::without_value("", expected.into());
        self.problems.push(problem.at(setting.to_owned(), Some(origin.to_string())));
    }

    /// Adds the problems that a `build()` found. `path_of` returns the path of a setting by its name in the code.
    pub(super) fn built(&mut self, problems: Vec<Problem>, path_of: impl Fn(&str) -> String) {
        for problem in problems {
            let path = path_of(problem.setting());
            self.push(&path, problem);
        }
    }

    fn push(&mut self, path: &str, problem: Problem) {
        let origin = self.origin(path).map(ToString::to_string);
        let problem = problem.at(path.to_owned(), origin);
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Returns the origin of a value, or of the innermost value around it.
    fn origin(&self, path: &str) -> Option<&Origin> {
        let ends = path.match_indices(['.', '[']).map(|(end, _)| end);
        let parents = ends.collect::<Vec<_>>().into_iter().rev().map(|end| &path[..end]);
        std::iter::once(path).chain(parents).chain([""]).find_map(|path| self.origins.get(path))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn into_error(self) -> ConfigError {
        ConfigError::of(self.problems)
    }
}

/// Returns the path of a key in a table.
pub(super) fn join(path: &str, key: &str) -> String {
    let is_plain = !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    let key = if is_plain { key.to_owned() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}
