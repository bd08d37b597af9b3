//! Reads what an operation requires.

use super::Reader;
use crate::{Requirement, ScopeRequirement, config::report::Report, requirement::is_acr};

/// Returns what an operation requires. If there is a problem, the result is not used.
pub(super) fn requirement(reader: &Reader<'_>, report: &mut Report) -> Requirement {
    if reader.is_list() {
        return scopes(reader, report).map_or_else(unusable, Requirement::from);
    }
    let requirement = scopes_or_access(reader, report).unwrap_or_else(unusable);
    authenticated(requirement, reader, report)
}

fn unusable() -> Requirement {
    Requirement::deny("invalid")
}

fn scopes_or_access(reader: &Reader<'_>, report: &mut Report) -> Option<Requirement> {
    if reader.is_invalid() {
        return None;
    }
    let [scope_list, any_of, access] = ["scopes", "any_of", "access"].map(|key| reader.get(key));
    match (scope_list.is_set(), any_of.is_set(), access.is_set()) {
        (true, false, false) => scopes(&scope_list, report).map(Requirement::from),
        (false, true, false) => {
            let lists = any_of.elements();
            if lists.is_empty() && !any_of.is_invalid() {
                report.without_value(any_of.path(), "expected at least one list of scopes");
            }
            let lists: Vec<_> = lists.iter().filter_map(|list| scopes(list, report)).collect();
            ScopeRequirement::any_of(lists).ok().map(Requirement::from)
        }
        (false, false, true) => match access.text() {
            Some("public") => Some(Requirement::public()),
            Some("token") => Some(Requirement::token()),
            Some("deny") => Some(Requirement::deny("denied by configuration")),
            _ => None,
        },
        _ => {
            report.without_value(reader.path(), "expected exactly one of scopes, any_of and access");
            None
        }
    }
}

fn scopes(list: &Reader<'_>, report: &mut Report) -> Option<ScopeRequirement> {
    if list.is_list() && list.elements().is_empty() {
        let expected = "expected at least one scope; use access = \"token\" for any valid token";
        report.without_value(list.path(), expected);
    }
    ScopeRequirement::all_of(list.scopes()).ok()
}

/// Adds how and when the user must have authenticated (RFC 9470 section 4).
fn authenticated(mut requirement: Requirement, reader: &Reader<'_>, report: &mut Report) -> Requirement {
    let (acr_values, max_age) = (reader.get("acr_values"), reader.get("max_age"));
    if let Some("public" | "deny") = reader.get("access").text() {
        for setting in [&acr_values, &max_age].into_iter().filter(|setting| setting.is_set()) {
            report.without_value(setting.path(), "expected none without a token; use access = \"token\"");
        }
        return requirement;
    }
    let values = acr_values.elements();
    if acr_values.is_list() && values.is_empty() {
        report.without_value(acr_values.path(), "expected at least one value");
    }
    let mut good = Vec::new();
    for value in &values {
        match value.text() {
            Some(text) if is_acr(text) => good.push(text),
            Some(text) => {
                let expected = "expected one or more of the characters %x21 / %x23-5B / %x5D-7E";
                report.value(value.path(), text, expected);
            }
            None => {}
        }
    }
    requirement = requirement.acr_values(good);
    match max_age.duration() {
        Some(age) => requirement.max_age(age),
        None => requirement,
    }
}
