//! The error for an invalid configuration: [`ConfigError`].

use std::fmt;

use crate::user_info::without_user_info;

/// The error for an invalid configuration, with all its problems.
///
/// Contains every problem that a `build()` finds, so that all can be fixed at once. `Display` writes them in one line,
/// separated by semicolons. [`problems`](Self::problems) returns them one by one. User names and passwords in URLs are
/// not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

/// One invalid setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    setting: &'static str,
    found: Option<String>,
    expected: &'static str,
}

impl Problem {
    /// Creates a problem that shows the value found, without a user name or password in it.
    pub(crate) fn new(setting: &'static str, found: impl AsRef<str>, expected: &'static str) -> Self {
        let found = without_user_info(found.as_ref()).into_owned();
        Self { setting, found: Some(found), expected }
    }

    /// Creates a problem without a value, because the value is secret or missing.
    pub(crate) fn without_value(setting: &'static str, expected: &'static str) -> Self {
        Self { setting, found: None, expected }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Some(found) => write!(f, "{} {found:?}: {}", self.setting, self.expected),
            None => write!(f, "{}: {}", self.setting, self.expected),
        }
    }
}

impl ConfigError {
    /// Returns `value` if there are no problems.
    pub(crate) fn unless_none<T>(problems: Vec<Problem>, value: T) -> Result<T, Self> {
        if problems.is_empty() { Ok(value) } else { Err(Self { problems }) }
    }

    pub(crate) fn of(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    pub(crate) fn as_slice(&self) -> &[Problem] {
        &self.problems
    }

    /// Returns the problems, each as a line such as `issuer "http://as": expected https`. There is at least one.
    pub fn problems(&self) -> impl Iterator<Item = String> {
        self.problems.iter().map(ToString::to_string)
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
