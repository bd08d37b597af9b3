//! Everything that can be wrong with a configuration before the first request: [`ConfigError`].

use std::fmt;

use crate::user_info::without_user_info;

/// A configuration that cannot work.
///
/// Lists every problem that a `build()` finds, so that one start shows them all. `Display` writes them in one line, separated
/// by semicolons; [`problems`](Self::problems) returns them one by one. User names and passwords in URLs are not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

/// One setting that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    setting: &'static str,
    found: Option<String>,
    expected: &'static str,
}

impl Problem {
    /// Makes a problem that shows the value found, without a user name or password in it.
    pub(crate) fn new(setting: &'static str, found: impl AsRef<str>, expected: &'static str) -> Self {
        let found = without_user_info(found.as_ref()).into_owned();
        Self { setting, found: Some(found), expected }
    }

    /// Makes a problem without a value: it is secret, or it is missing.
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
