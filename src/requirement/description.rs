//! What policies require, for reviews: [`PolicyDescription`].

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::{Requirement, operation::Kind};
use crate::Scope;

/// What a policy requires, rule by rule, for reviews.
///
/// The rules are in the order in which they are checked: the first rule that applies to a request decides. Its `Display` is a
/// table, and it can be serialized, for example to compare it with the one of the last release.
///
/// ```
/// use http::Method;
/// use tower_bearer::{PathRules, Requirement, RequirementPolicy as _, Scope};
///
/// const READ: Scope = Scope::from_static("orders:read");
///
/// let rules = PathRules::builder()
///     .rule([Method::GET], "/orders/{id}", READ)
///     .any_method("/health", Requirement::public())
///     .build()?;
/// assert_eq!(
///     rules.describe().to_string(),
///     "\
/// /health, all methods           public
/// GET, HEAD /orders/{id}         orders:read
/// /orders/{id}, other methods    denied: no rule for this method
/// all other paths                denied: no rule for this path
/// "
/// );
/// # Ok::<_, tower_bearer::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PolicyDescription {
    rules: Vec<RuleDescription>,
}

/// One rule of a policy.
///
/// It is serialized as an object with `applies_to`, and `access`, which is `public`, `token`, `deny` or `function`. A rule for tokens
/// also has `any_of`, a list of alternatives of which each is a list of scopes, and `acr_values` and `max_age` (seconds), if they
/// are required.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleDescription {
    applies_to: String,
    requirement: Option<Requirement>,
}

impl PolicyDescription {
    /// Creates a description from rules, in the order in which they are checked.
    pub fn new(rules: impl IntoIterator<Item = RuleDescription>) -> Self {
        Self { rules: rules.into_iter().collect() }
    }

    /// Returns the rules, in the order in which they are checked.
    pub fn rules(&self) -> &[RuleDescription] {
        &self.rules
    }
}

impl RuleDescription {
    /// Describes a rule with a fixed requirement.
    ///
    /// `applies_to` is a short text, such as `GET /orders/{id}`.
    pub fn new(applies_to: impl Into<String>, requirement: impl Into<Requirement>) -> Self {
        Self { applies_to: applies_to.into(), requirement: Some(requirement.into()) }
    }

    /// Describes a rule whose requirement a function decides for each request.
    pub fn decided_by_function(applies_to: impl Into<String>) -> Self {
        Self { applies_to: applies_to.into(), requirement: None }
    }

    /// Returns which requests the rule applies to, such as `GET /orders/{id}`.
    pub fn applies_to(&self) -> &str {
        &self.applies_to
    }

    /// Returns what the rule requires, or `None` if a function decides it for each request.
    pub fn requirement(&self) -> Option<&Requirement> {
        self.requirement.as_ref()
    }
}

impl fmt::Display for PolicyDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rules.iter().map(|rule| rule.applies_to.chars().count()).max().unwrap_or_default();
        for RuleDescription { applies_to, requirement } in &self.rules {
            match requirement {
                Some(requirement) => writeln!(f, "{applies_to:<width$}    {requirement}")?,
                None => writeln!(f, "{applies_to:<width$}    decided by a function")?,
            }
        }
        Ok(())
    }
}

/// Writes what is required, such as `orders:read orders:write | admin`.
impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            Kind::Public => f.write_str("public"),
            Kind::Token(None) => f.write_str("any valid token"),
            Kind::Token(Some(token)) => {
                match token.scopes.named() {
                    [] => f.write_str("any valid token")?,
                    _ => write!(f, "{}", token.scopes)?,
                }
                if !token.authentication.acr_values.is_empty() {
                    write!(f, ", acr {}", token.authentication.acr_values.join(" or "))?;
                }
                match token.authentication.max_age {
                    Some(age) => write!(f, ", authenticated at most {} s ago", age.as_secs()),
                    None => Ok(()),
                }
            }
            Kind::Denied(reason) => write!(f, "denied: {reason}"),
            Kind::Malformed(reason) => write!(f, "refused as malformed: {reason}"),
        }
    }
}

impl Serialize for RuleDescription {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("applies_to", &self.applies_to)?;
        let token = match self.requirement.as_ref().map(Requirement::kind) {
            Some(Kind::Token(token)) => token.as_deref(),
            _ => None,
        };
        let access = match self.requirement.as_ref().map(Requirement::kind) {
            None => "function",
            Some(Kind::Public) => "public",
            Some(Kind::Token(_)) => "token",
            Some(Kind::Denied(_) | Kind::Malformed(_)) => "deny",
        };
        map.serialize_entry("access", access)?;
        let Some(token) = token else { return map.end() };
        if !token.scopes.named().is_empty() {
            let names = |scopes: &Vec<Scope>| scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
            let any_of: Vec<Vec<String>> = token.scopes.each_alternative().iter().map(names).collect();
            map.serialize_entry("any_of", &any_of)?;
        }
        if !token.authentication.acr_values.is_empty() {
            map.serialize_entry("acr_values", &token.authentication.acr_values.iter().collect::<Vec<_>>())?;
        }
        if let Some(age) = token.authentication.max_age {
            map.serialize_entry("max_age", &age.as_secs())?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::ScopeRequirement;

    const A: Scope = Scope::from_static("a");
    const B: Scope = Scope::from_static("b");

    #[test]
    fn each_kind_of_requirement_is_described() {
        let either = ScopeRequirement::any([ScopeRequirement::from([A, B]), B.into()]);
        let step_up = Requirement::token().acr_values(["mfa", "hwk"]).max_age(Duration::from_secs(300));
        for (requirement, text, json) in [
            (Requirement::public(), "public", json!({"access": "public"})),
            (Requirement::token(), "any valid token", json!({"access": "token"})),
            (A.into(), "a", json!({"access": "token", "any_of": [["a"]]})),
            (either.into(), "a b | b", json!({"access": "token", "any_of": [["a", "b"], ["b"]]})),
            (
                step_up.clone(),
                "any valid token, acr mfa or hwk, authenticated at most 300 s ago",
                json!({"access": "token", "acr_values": ["mfa", "hwk"], "max_age": 300}),
            ),
            (
                Requirement::from(A).max_age(Duration::from_secs(60)),
                "a, authenticated at most 60 s ago",
                json!({"access": "token", "any_of": [["a"]], "max_age": 60}),
            ),
            (Requirement::deny("closed"), "denied: closed", json!({"access": "deny"})),
            (Requirement::malformed("odd"), "refused as malformed: odd", json!({"access": "deny"})),
        ] {
            let mut expected = json;
            expected["applies_to"] = "all requests".into();

            assert_eq!(requirement.to_string(), text);
            let rule = RuleDescription::new("all requests", requirement);
            assert_eq!(serde_json::to_value(rule).unwrap(), expected);
        }
    }

    #[test]
    fn function_is_described_as_one() {
        let description = PolicyDescription::new([RuleDescription::decided_by_function("all requests")]);

        assert_eq!(description.to_string(), "all requests    decided by a function\n");
        let expected = json!([{"applies_to": "all requests", "access": "function"}]);
        assert_eq!(serde_json::to_value(description).unwrap(), expected);
    }
}
