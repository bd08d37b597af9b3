//! Reads what paths, gRPC methods and MCP operations require.

use http::Method;

use super::{Reader, requirement::requirement};
use crate::{GrpcMethods, PathRules, config::report::Report};

pub(super) fn path_rules(reader: &Reader<'_>, report: &mut Report) -> Option<PathRules> {
    let mut builder = PathRules::builder();
    let rules = reader.get("rule");
    if reader.is_set()
        && !reader.is_invalid()
        && rules.elements().is_empty()
        && !reader.get("otherwise").is_set()
    {
        report
            .without_value(rules.path(), "expected at least one rule, since every request would be refused");
    }
    for rule in rules.elements() {
        let required = requirement(&rule, report);
        // A path with a problem is replaced, so that the numbers of the rules stay the same.
        let path = rule.get("path").text().map_or_else(|| format!("/{}", rule.path()), str::to_owned);
        let methods = rule.get("methods");
        builder = if methods.is_set() {
            let parsed: Vec<_> = methods.elements().iter().filter_map(|name| method(name, report)).collect();
            match parsed.is_empty() && !methods.elements().is_empty() {
                true => builder.any_method(path, required),
                false => builder.rule(parsed, path, required),
            }
        } else {
            builder.any_method(path, required)
        };
    }
    let (otherwise, open) = (reader.get("otherwise"), reader.get("dangerously_public_otherwise"));
    if open.flag() {
        builder = builder.dangerously_public_otherwise();
    } else if otherwise.is_set() {
        builder = builder.otherwise(requirement(&otherwise, report));
    }
    let extension_methods = reader.get("extension_methods");
    if extension_methods.is_set() {
        let names = extension_methods.elements();
        let methods: Vec<_> = names.iter().filter_map(|name| method(name, report)).collect();
        builder = builder.extension_methods(methods);
    }
    if reader.get("allow_non_ascii").flag() {
        builder = builder.allow_non_ascii();
    }
    builder.build().map_err(|error| report.built(error.into_problems(), path_of_rule)).ok()
}

/// Translates `rule 3: path` into `paths.rule[2].path`.
fn path_of_rule(setting: &str) -> String {
    let rule = setting.strip_prefix("rule ").and_then(|rest| rest.split_once(": "));
    let rule = rule.and_then(|(number, key)| Some((number.parse::<usize>().ok()?, key)));
    match rule {
        Some((number, key)) => format!("paths.rule[{}].{key}", number.saturating_sub(1)),
        None => format!("paths.{setting}"),
    }
}

// Methods are case-sensitive (RFC 9110 section 9.1), and no registered one has lower case.
fn method(name: &Reader<'_>, report: &mut Report) -> Option<Method> {
    let text = name.text()?;
    let is_upper = !text.bytes().any(|byte| byte.is_ascii_lowercase());
    let parsed = Method::from_bytes(text.as_bytes()).ok().filter(|_| is_upper);
    if parsed.is_none() {
        report.value(name.path(), text, "expected a method in upper case, such as GET");
    }
    parsed
}

pub(super) fn grpc_methods(reader: &Reader<'_>, report: &mut Report) -> Option<GrpcMethods> {
    let mut builder = GrpcMethods::builder();
    for (path, required) in reader.get("methods").entries() {
        builder = builder.method(path, requirement(&required, report));
    }
    for (name, required) in reader.get("services").entries() {
        builder = builder.service(name, requirement(&required, report));
    }
    let mut optional = |key: &'static str| {
        let required = reader.get(key);
        required.is_set().then(|| requirement(&required, report))
    };
    let (health, reflection, otherwise) = (optional("health"), optional("reflection"), optional("otherwise"));
    if let Some(required) = health {
        builder = builder.health(required);
    }
    if let Some(required) = reflection {
        builder = builder.reflection(required);
    }
    if reader.get("dangerously_public_otherwise").flag() {
        builder = builder.dangerously_public_otherwise();
    } else if let Some(required) = otherwise {
        builder = builder.otherwise(required);
    }
    let path_of = |setting: &str| match setting {
        "otherwise" => "grpc.otherwise".to_owned(),
        setting => format!("grpc.{setting}s"),
    };
    builder.build().map_err(|error| report.built(error.into_problems(), path_of)).ok()
}

#[cfg(feature = "mcp")]
pub(super) fn mcp_operations(reader: &Reader<'_>, report: &mut Report) -> Option<crate::mcp::McpOperations> {
    let mut builder = crate::mcp::McpOperations::builder();
    for (name, required) in reader.get("tools").entries() {
        builder = builder.tool(name, requirement(&required, report));
    }
    for (name, required) in reader.get("prompts").entries() {
        builder = builder.prompt(name, requirement(&required, report));
    }
    for (uri, required) in reader.get("resources").entries() {
        builder = builder.resource(uri, requirement(&required, report));
    }
    for (template, required) in reader.get("resource_templates").entries() {
        builder = builder.resource_template(template, requirement(&required, report));
    }
    for (method, required) in reader.get("methods").entries() {
        builder = builder.method(method, requirement(&required, report));
    }
    for (method, required) in reader.get("extension_methods").entries() {
        builder = builder.extension_method(method, requirement(&required, report));
    }
    let (connecting, otherwise) = (reader.get("connecting"), reader.get("otherwise"));
    if connecting.is_set() {
        builder = builder.connecting(requirement(&connecting, report));
    }
    if otherwise.is_set() {
        builder = builder.otherwise(requirement(&otherwise, report));
    }
    let origins = reader.get("allowed_origins");
    if origins.is_list() {
        builder = builder.allowed_origins(origins.texts());
    }
    if let Some(bytes) = reader.get("max_body_bytes").size() {
        // A number that does not fit is out of range too.
        builder = builder.max_body_bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
    if let Some(deadline) = reader.get("body_deadline").duration() {
        builder = builder.body_deadline(deadline);
    }
    let path_of = |setting: &str| match setting {
        "tool" | "prompt" | "resource" | "method" | "resource_template" => format!("mcp.{setting}s"),
        setting => format!("mcp.{setting}"),
    };
    builder.build().map_err(|error| report.built(error.into_problems(), path_of)).ok()
}
