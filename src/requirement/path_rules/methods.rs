//! The rules for the methods of one path: [`MethodRules`].

use http::Method;

use crate::{Requirement, requirement::RuleDescription};

/// What the methods of one path require.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct MethodRules {
    listed: Vec<(Method, Requirement)>,
    others: Option<Requirement>,
}

impl MethodRules {
    /// Adds a rule for a method, or for all others. Returns `false` if there already is one.
    #[must_use]
    pub(super) fn add(&mut self, method: Option<&Method>, requirement: &Requirement) -> bool {
        let is_new = match method {
            Some(method) => self.listed.iter().all(|(listed, _)| listed != method),
            None => self.others.is_none(),
        };
        match method {
            _ if !is_new => {}
            Some(method) => self.listed.push((method.clone(), requirement.clone())),
            None => self.others = Some(requirement.clone()),
        }
        is_new
    }

    /// Returns what a method requires. `GET` also covers `HEAD`, which is a `GET` without the content
    /// of the response (RFC 9110 section 9.3.2).
    pub(super) fn find(&self, method: &Method) -> Option<&Requirement> {
        let listed = |method: &Method| {
            self.listed.iter().find(|(listed, _)| listed == method).map(|(_, requirement)| requirement)
        };
        let as_get = || if method == Method::HEAD { listed(&Method::GET) } else { None };
        listed(method).or_else(as_get).or(self.others.as_ref())
    }

    /// Describes the rules in the order in which they are checked.
    pub(super) fn describe(&self, path: &str) -> Vec<RuleDescription> {
        let has_head = self.listed.iter().any(|(method, _)| *method == Method::HEAD);
        let name = |method: &Method| match *method {
            Method::GET if !has_head => "GET, HEAD".to_owned(),
            _ => method.to_string(),
        };
        let mut rules: Vec<_> = self
            .listed
            .iter()
            .map(|(method, requirement)| {
                RuleDescription::new(format!("{} {path}", name(method)), requirement.clone())
            })
            .collect();
        let applies_to = match self.listed.is_empty() {
            true => format!("{path}, all methods"),
            false => format!("{path}, other methods"),
        };
        let others = self.others.clone().unwrap_or_else(|| Requirement::deny("no rule for this method"));
        rules.push(RuleDescription::new(applies_to, others));
        rules
    }

    pub(super) fn requirements(&self) -> impl Iterator<Item = &Requirement> {
        self.listed.iter().map(|(_, requirement)| requirement).chain(&self.others)
    }
}
