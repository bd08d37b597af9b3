//! Reads [`PathRules`] from configuration.

use std::fmt;

use http::Method;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, Visitor},
};

use super::{PathRules, builder::NO_METHODS};
use crate::{Requirement, Scope, ScopeRequirement, config_error::Problem, requirement::is_acr, units};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "path rules, with the keys rule and otherwise")]
struct Config {
    #[serde(default)]
    rule: Vec<RuleConfig>,
    otherwise: Option<RuleConfig>,
    #[serde(default)]
    allow_non_ascii: bool,
    extension_methods: Option<Vec<String>>,
    #[serde(default)]
    dangerously_public_otherwise: bool,
}

/// One rule, or what requests without a rule require.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a rule, which is a table with one of scopes, any_of and access")]
struct RuleConfig {
    path: Option<String>,
    methods: Option<Vec<String>>,
    scopes: Option<Vec<String>>,
    any_of: Option<Vec<Vec<String>>>,
    access: Option<String>,
    acr_values: Option<Vec<String>>,
    max_age: Option<DurationText>,
}

/// Text such as `5m`. A number is refused with a message that names the units.
struct DurationText(String);

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = DurationText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(units::DURATION)
            }

            fn visit_str<E>(self, text: &str) -> Result<DurationText, E> {
                Ok(DurationText(text.to_owned()))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl<'de> Deserialize<'de> for PathRules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Config {
            rule: rules,
            otherwise,
            allow_non_ascii,
            extension_methods,
            dangerously_public_otherwise: is_open,
        } = Config::deserialize(deserializer)?;
        let mut problems = Vec::new();
        let mut builder = Self::builder();
        for (index, rule) in rules.into_iter().enumerate() {
            let mut report = Report { rule: format!("rule {}", index + 1), problems: &mut problems };
            let methods = rule.methods.as_ref().map(|names| report.parse_methods(names));
            let requirement = report.parse_requirement(&rule);
            builder = builder.add(methods, rule.path.unwrap_or_default(), requirement);
        }
        if let Some(rule) = otherwise {
            let mut report = Report { rule: OTHERWISE.to_owned(), problems: &mut problems };
            if rule.path.is_some() || rule.methods.is_some() {
                report.without_value(
                    "path and methods",
                    "expected none, because otherwise applies to all other requests",
                );
            }
            builder = match rule.access.as_deref() {
                Some("public") => {
                    report.add("access", "public", PUBLIC_OTHERWISE);
                    builder
                }
                _ => builder.otherwise(report.parse_requirement(&rule)),
            };
            if is_open {
                let expected = "expected none with dangerously_public_otherwise, which replaces it";
                problems.push(Problem::without_value(OTHERWISE, expected));
            }
        }
        if is_open {
            builder = builder.dangerously_public_otherwise();
        }
        if let Some(names) = extension_methods {
            let mut parse = |name: &String| {
                parse_method(name).ok_or_else(|| {
                    problems.push(Problem::new("extension_methods", name, EXPECTED_METHOD));
                })
            };
            builder = builder.extension_methods(names.iter().filter_map(|name| parse(name).ok()));
        }
        if allow_non_ascii {
            builder = builder.allow_non_ascii();
        }
        builder.with_problems(problems).build().map_err(D::Error::custom)
    }
}

/// Collects the problems of one rule.
struct Report<'a> {
    rule: String,
    problems: &'a mut Vec<Problem>,
}

impl Report<'_> {
    fn expected_access(&self) -> &'static str {
        match &*self.rule {
            OTHERWISE => r#"expected "token" or "deny""#,
            _ => r#"expected "public", "token" or "deny""#,
        }
    }

    fn add(&mut self, key: &str, found: &str, expected: impl Into<String>) {
        self.problems.push(Problem::new(format!("{}: {key}", self.rule), found, expected.into()));
    }

    fn without_value(&mut self, key: &str, expected: &'static str) {
        self.problems.push(Problem::without_value(format!("{}: {key}", self.rule), expected));
    }

    fn parse_methods(&mut self, names: &[String]) -> Vec<Method> {
        let mut methods = Vec::new();
        for name in names {
            match parse_method(name) {
                Some(method) => methods.push(method),
                None => self.add("methods", name, EXPECTED_METHOD),
            }
        }
        if names.is_empty() {
            self.without_value("methods", NO_METHODS);
        }
        methods
    }

    /// Returns what the rule requires. If there is a problem, the result is not used.
    fn parse_requirement(&mut self, rule: &RuleConfig) -> Requirement {
        let requirement = match (&rule.scopes, &rule.any_of, rule.access.as_deref()) {
            (Some(scopes), None, None) => self.parse_scopes("scopes", scopes).map(Requirement::from),
            (None, Some(lists), None) => {
                let any: Vec<_> = lists.iter().filter_map(|list| self.parse_scopes("any_of", list)).collect();
                if lists.is_empty() {
                    self.without_value("any_of", "expected at least one list of scopes");
                }
                ScopeRequirement::any_of(any).ok().map(Requirement::from)
            }
            (None, None, Some("public")) => Some(Requirement::public()),
            (None, None, Some("token")) => Some(Requirement::token()),
            (None, None, Some("deny")) => Some(Requirement::deny("denied by rule")),
            (None, None, Some(access)) => {
                self.add("access", access, self.expected_access());
                None
            }
            _ => {
                self.without_value("access", "expected exactly one of scopes, any_of and access");
                None
            }
        };
        let mut requirement = requirement.unwrap_or_else(|| Requirement::deny("invalid"));
        let is_for_no_token = matches!(rule.access.as_deref(), Some("public" | "deny"));
        if is_for_no_token && (rule.acr_values.is_some() || rule.max_age.is_some()) {
            self.without_value(
                "acr_values and max_age",
                "expected none without a token; use access = \"token\"",
            );
            return requirement;
        }
        if let Some(values) = &rule.acr_values {
            let invalid: Vec<_> = values.iter().filter(|value| !is_acr(value)).collect();
            for value in &invalid {
                self.add(
                    "acr_values",
                    value,
                    "expected one or more of the characters %x21 / %x23-5B / %x5D-7E",
                );
            }
            if values.is_empty() {
                self.without_value("acr_values", "expected at least one");
            }
            if invalid.is_empty() {
                requirement = requirement.acr_values(values.iter().cloned());
            }
        }
        let Some(DurationText(text)) = &rule.max_age else { return requirement };
        match units::duration(text) {
            Some(age) => requirement.max_age(age),
            None => {
                self.add("max_age", text, format!("expected {}", units::DURATION));
                requirement
            }
        }
    }

    fn parse_scopes(&mut self, key: &str, names: &[String]) -> Option<ScopeRequirement> {
        let mut scopes = Vec::new();
        for name in names {
            match Scope::new(name) {
                Ok(scope) => scopes.push(scope),
                Err(_) => {
                    self.add(key, name, "expected one or more of the characters %x21 / %x23-5B / %x5D-7E");
                }
            }
        }
        if names.is_empty() {
            self.without_value(
                key,
                "expected at least one scope; use access = \"token\" for any valid token",
            );
        }
        ScopeRequirement::all_of(scopes).ok()
    }
}

fn parse_method(name: &str) -> Option<Method> {
    Method::from_bytes(name.as_bytes()).ok()
}

const OTHERWISE: &str = "otherwise";
const PUBLIC_OTHERWISE: &str = "expected rules for the public paths, so that a new path is not open by accident; to open all paths \
                                without a rule, use dangerously_public_otherwise";
const EXPECTED_METHOD: &str = "expected a method, such as GET";
