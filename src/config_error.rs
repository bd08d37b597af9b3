//! The error for an invalid configuration: [`ConfigError`].

use std::{borrow::Cow, fmt};

use crate::user_info::without_user_info;

/// The error for an invalid configuration, with all its problems.
///
/// Contains every problem that a `build()` finds, so that all can be fixed at once. `Display` writes them in one line,
/// separated by semicolons. [`problems`](Self::problems) returns them one by one. User names and passwords in URLs are
/// not shown.
///
/// # Examples
/// Nothing is checked before `build()`, and lists are parsed one element at a time, so a program can report all problems of
/// its settings file at once:
///
/// ```
/// # #[cfg(all(feature = "jwt", feature = "reqwest"))] {
/// use tower_bearer::{
///     Algorithm, AuthorizationServer, JwtValidator, ProtectedResourceMetadata, ResourceServer, Scope, ScopeRequirement,
/// };
///
/// struct Settings {
///     issuer: String,
///     resource: String,
///     audiences: Vec<String>,
///     algorithms: Vec<String>,
///     scopes: Vec<String>, // of one route
/// }
///
/// fn build(settings: Settings) -> Result<(ResourceServer, ScopeRequirement), Vec<String>> {
///     let mut problems = Vec::new();
///     let mut algorithms = Vec::new();
///     for name in &settings.algorithms {
///         match name.parse::<Algorithm>() {
///             Ok(algorithm) => algorithms.push(algorithm),
///             Err(error) => problems.push(error.to_string()),
///         }
///     }
///     let mut scopes = Vec::new();
///     for name in &settings.scopes {
///         match name.parse::<Scope>() {
///             Ok(scope) => scopes.push(scope),
///             Err(error) => problems.push(error.to_string()),
///         }
///     }
///     let requirement = ScopeRequirement::all_of(scopes); // an empty list is an error
///     let authorization_server = AuthorizationServer::discover(settings.issuer);
///     let validator = JwtValidator::builder(authorization_server, settings.audiences).algorithms(algorithms);
///     // Without `?` after the first `build()`, the second one reports the problems of both.
///     let resource_server = ResourceServer::builder(validator.build())
///         .resource_metadata(ProtectedResourceMetadata::new(settings.resource))
///         .build();
///     problems.extend(requirement.as_ref().err().map(ToString::to_string));
///     problems.extend(resource_server.as_ref().err().into_iter().flat_map(|error| error.problems()));
///     match (resource_server, requirement) {
///         (Ok(resource_server), Ok(requirement)) if problems.is_empty() => Ok((resource_server, requirement)),
///         _ => Err(problems),
///     }
/// }
///
/// let problems = build(Settings {
///     issuer: "http://as.example.com".into(),
///     resource: "orders.example.com".into(),
///     audiences: vec![],
///     algorithms: vec!["RS256".into(), "HS256".into()],
///     scopes: vec![],
/// });
/// assert_eq!(problems.unwrap_err().len(), 5);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

/// One invalid setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    setting: Cow<'static, str>,
    found: Option<String>,
    expected: Cow<'static, str>,
    /// Where the value came from, if the setting is from a document or the environment.
    origin: Option<String>,
}

impl Problem {
    /// Creates a problem that shows the value found, without a user name or password in it.
    pub(crate) fn new(
        setting: impl Into<Cow<'static, str>>,
        found: impl AsRef<str>,
        expected: impl Into<Cow<'static, str>>,
    ) -> Self {
        let found = without_user_info(found.as_ref()).into_owned();
        Self { setting: setting.into(), found: Some(found), expected: expected.into(), origin: None }
    }

    /// Creates a problem without a value, because the value is secret or missing.
    pub(crate) fn without_value(
        setting: impl Into<Cow<'static, str>>,
        expected: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { setting: setting.into(), found: None, expected: expected.into(), origin: None }
    }

    /// Returns the name of the setting.
    #[cfg(feature = "config")]
    pub(crate) fn setting(&self) -> &str {
        &self.setting
    }

    /// Replaces the name of the setting, and adds where its value came from.
    #[cfg(feature = "config")]
    pub(crate) fn at(self, setting: String, origin: Option<String>) -> Self {
        Self { setting: setting.into(), origin, ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Some(found) => write!(f, "{} {found:?}: {}", self.setting, self.expected)?,
            None => write!(f, "{}: {}", self.setting, self.expected)?,
        }
        match &self.origin {
            Some(origin) => write!(f, " [{origin}]"),
            None => Ok(()),
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

    #[cfg(feature = "config")]
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
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
