//! Checks rules and builds [`PathRules`]: [`PathRulesBuilder`].

use std::collections::HashMap;

use http::Method;
use matchit::{InsertError, Router};

use super::{
    PathRule, PathRules,
    known_methods::{expected_instead_of, expected_instead_of_extension},
    methods::MethodRules,
    pattern::Pattern,
    request_path::NonAscii,
    tree::PatternTree,
};
use crate::{ConfigError, Requirement, config_error::Problem};

/// Builds [`PathRules`].
#[derive(Debug)]
#[must_use]
pub struct PathRulesBuilder {
    rules: Vec<Rule>,
    non_ascii: NonAscii,
    extension_methods: Vec<Method>,
    otherwise: Requirement,
    may_otherwise_be_public: bool,
    /// Problems found before `build()`.
    problems: Vec<Problem>,
}

#[derive(Debug)]
struct Rule {
    /// `None` for all methods without a rule of their own.
    methods: Option<Vec<Method>>,
    path: String,
    requirement: Requirement,
}

impl PathRulesBuilder {
    pub(super) fn new() -> Self {
        Self {
            rules: Vec::new(),
            non_ascii: NonAscii::default(),
            extension_methods: Vec::new(),
            otherwise: Requirement::deny("no rule for this path"),
            may_otherwise_be_public: false,
            problems: Vec::new(),
        }
    }

    /// Adds a rule for some methods of a path.
    ///
    /// The requirement is a scope, an array of scopes that are all required, a
    /// [`ScopeRequirement`](crate::ScopeRequirement) or a [`Requirement`]. `GET` also covers `HEAD`, unless there is a rule for
    /// `HEAD`.
    pub fn rule(
        mut self,
        methods: impl IntoIterator<Item = Method>,
        path: impl Into<String>,
        requirement: impl Into<Requirement>,
    ) -> Self {
        let methods: Vec<_> = methods.into_iter().collect();
        if methods.is_empty() {
            let setting = format!("rule {}: methods", self.rules.len() + 1);
            self.problems.push(Problem::without_value(setting, NO_METHODS));
        }
        self.add(Some(methods), path.into(), requirement.into())
    }

    /// Adds a rule for the methods of a path that have no rule of their own.
    pub fn any_method(self, path: impl Into<String>, requirement: impl Into<Requirement>) -> Self {
        self.add(None, path.into(), requirement.into())
    }

    pub(super) fn add(
        mut self,
        methods: Option<Vec<Method>>,
        path: String,
        requirement: Requirement,
    ) -> Self {
        self.rules.push(Rule { methods, path, requirement });
        self
    }

    pub(super) fn with_problems(mut self, problems: Vec<Problem>) -> Self {
        self.problems.extend(problems);
        self
    }

    /// Sets what a path without a rule requires. Default: it is refused with 403.
    ///
    /// It does not apply if the path has rules for other methods. Such a request is always refused with 403.
    ///
    /// [`build`](Self::build) refuses a public requirement, so that a new path is never open by accident. See
    /// [`dangerously_public_otherwise`](Self::dangerously_public_otherwise).
    pub fn otherwise(mut self, requirement: impl Into<Requirement>) -> Self {
        self.otherwise = requirement.into();
        self.may_otherwise_be_public = false;
        self
    }

    /// Opens every path without a rule to requests without a token. Default: they are refused with 403.
    ///
    /// # Security
    /// Every path that the backend adds later is public too, and so is every path whose rule was forgotten. Prefer a rule with
    /// `Requirement::public()` for each public path.
    pub fn dangerously_public_otherwise(mut self) -> Self {
        self.otherwise = Requirement::public();
        self.may_otherwise_be_public = true;
        self
    }

    /// Sets methods that rules may name although they are not registered with IANA, such as `PURGE`. Default: none.
    ///
    /// Methods are case-sensitive (RFC 9110 section 9.1).
    pub fn extension_methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.extension_methods = methods.into_iter().collect();
        self
    }

    /// Accepts letters and digits outside of ASCII in paths, such as `/b%C3%BCro`. Default: refused with 400.
    ///
    /// Only variables match them. Characters that some backends replace with ASCII ones are still refused, such as U+2215 (a slash)
    /// and U+FF0E (a dot), and so are other signs and combining marks.
    pub fn allow_non_ascii(mut self) -> Self {
        self.non_ascii = NonAscii::Letters;
        self
    }

    /// Checks the rules.
    ///
    /// # Errors
    /// If a pattern is invalid or conflicts with another, or a rule appears twice. The error lists all problems, each with the
    /// number of its rule, from 1. Patterns that differ only by case conflict, because a backend may ignore case.
    ///
    /// `/admin/{*rest}` matches neither `/admin` nor `/admin/`. If another rule or [`otherwise`](Self::otherwise) would allow
    /// these paths with another requirement, a rule for `/admin` is required too.
    ///
    /// A method that is neither registered with IANA nor an [extension method](Self::extension_methods) is an error, because it is
    /// probably misspelled.
    pub fn build(self) -> Result<PathRules, ConfigError> {
        let mut problems = self.problems;
        if self.otherwise == Requirement::public() && !self.may_otherwise_be_public {
            let expected = "expected a requirement that is not public, so that a new path is not open by accident; to open all \
                            paths without a rule, use dangerously_public_otherwise";
            problems.push(Problem::without_value("otherwise", expected));
        }
        for method in &self.extension_methods {
            if let Some(expected) = expected_instead_of_extension(method) {
                problems.push(Problem::new("extension_methods", method.as_str(), expected));
            }
        }
        let mut paths: Vec<PathRule> = Vec::new();
        // Finds conflicts.
        let mut router = Router::new();
        let mut tree = PatternTree::default();
        // By the pattern in lower case: the index of the path, and the text of its first rule.
        let mut known: HashMap<String, (usize, &str)> = HashMap::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let setting = format!("rule {}: path", index + 1);
            let problem = |expected: String| Problem::new(setting.clone(), &rule.path, expected);
            for method in rule.methods.iter().flatten() {
                if let Some(expected) = expected_instead_of(method, &self.extension_methods) {
                    let setting = format!("rule {}: methods", index + 1);
                    problems.push(Problem::new(setting, method.as_str(), expected));
                }
            }
            let pattern = match Pattern::parse(&rule.path) {
                Ok(pattern) => pattern,
                Err(expected) => {
                    problems.push(problem(expected.to_owned()));
                    continue;
                }
            };
            let key = pattern.ignoring_case();
            let path = match known.get(&key) {
                Some((path, _)) if paths[*path].pattern.to_text() == pattern.to_text() => *path,
                Some((_, other)) => {
                    problems.push(problem(format!(
                        "expected a path that differs from {other:?} not only by case"
                    )));
                    continue;
                }
                None => {
                    if let Err(error) = router.insert(key.clone(), ()) {
                        problems.push(problem(conflict(&error, &known)));
                        continue;
                    }
                    tree.insert(&pattern, paths.len());
                    known.insert(key, (paths.len(), &rule.path));
                    paths.push(PathRule {
                        text: rule.path.as_str().into(),
                        pattern,
                        methods: MethodRules::default(),
                    });
                    paths.len() - 1
                }
            };
            let setting = format!("rule {}: methods", index + 1);
            let methods = match &rule.methods {
                None => vec![None],
                Some(methods) => methods.iter().map(Some).collect(),
            };
            for method in methods {
                if !paths[path].methods.add(method, &rule.requirement) {
                    let name = method.map_or("all", Method::as_str);
                    let expected = format!("expected only one rule for this method of {:?}", rule.path);
                    problems.push(Problem::new(setting.clone(), name, expected));
                }
            }
        }
        let Self { rules, non_ascii, otherwise, .. } = self;
        let built = PathRules { tree, paths, non_ascii, otherwise };
        for (index, rule) in rules.iter().enumerate() {
            if let Some(expected) = built.gap_before_rest(&rule.path) {
                let setting = format!("rule {}: path", index + 1);
                problems.push(Problem::new(setting, &rule.path, expected));
            }
        }
        ConfigError::unless_none(problems, built)
    }
}

pub(super) const NO_METHODS: &str = "expected at least one";

fn conflict(error: &InsertError, known: &HashMap<String, (usize, &str)>) -> String {
    match error {
        InsertError::Conflict { with } => {
            let other = known.get(with).map_or(&**with, |(_, other)| other);
            format!("expected no conflict with {other:?}")
        }
        error => format!("expected a valid pattern ({error})"),
    }
}
