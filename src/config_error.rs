//! All that can be wrong before the first request: [`ConfigError`].

use std::fmt;

/// A configuration that cannot work. Lists every problem, so that one start shows them all.
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
    pub(crate) fn new(setting: &'static str, found: impl Into<String>, expected: &'static str) -> Self {
        Self { setting, found: Some(found.into()), expected }
    }

    /// A problem whose value is not to be shown, or that is an absence.
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
    /// Returns `value` where there are no problems.
    pub(crate) fn unless_none<T>(problems: Vec<Problem>, value: T) -> Result<T, Self> {
        if problems.is_empty() { Ok(value) } else { Err(Self { problems }) }
    }

    pub(crate) fn of(problems: Vec<Problem>) -> Self {
        Self { problems }
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
