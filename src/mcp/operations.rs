//! What each operation of an MCP server requires: [`McpOperations`].

use std::{collections::HashMap, fmt, iter, sync::Arc};

use http::{HeaderMap, Method};

use super::{
    McpOperationsBuilder, Peeked,
    headers::{self, HeaderFacts},
    message::{Operation, Target},
    origins::Origins,
    resource_uri::{folded, other_spellings, percent_decoded},
    uri_template::UriTemplate,
};
use crate::{
    Excerpt, PolicyDescription, RequestHead, Requirement, RequirementPolicy, RuleDescription, Scope,
};

/// Lists what each operation of an MCP server requires. Cheap to clone.
///
/// Give it to [`ResourceServer::require_mcp`](crate::ResourceServer::require_mcp). See the [module](super) for an example and
/// for how the operation of a request is determined.
///
/// It is also a [`RequirementPolicy`] for [`require_by`](crate::ResourceServer::require_by), which reads only headers.
///
/// # Security
/// With `require_by`, the headers `Mcp-Method` and `Mcp-Name` of revision 2026-07-28 or newer are trusted. Use it only for a
/// server that compares them with the body, as MCP requires. Prefer `require_mcp`, which compares them itself.
#[derive(Clone)]
pub struct McpOperations(pub(super) Arc<Rules>);

pub(super) struct Rules {
    pub(super) tools: Names,
    pub(super) prompts: Names,
    pub(super) resources: Names,
    /// The same resources by their folded URIs.
    pub(super) folded_resources: Names,
    pub(super) templates: Vec<Template>,
    /// The methods that are listed.
    pub(super) methods: Names,
    pub(super) connecting: Requirement,
    pub(super) otherwise: Requirement,
    /// Everything that any operation requires.
    pub(super) strictest: Requirement,
    pub(super) origins: Option<Origins>,
    pub(super) body: BodySettings,
}

/// Requirements by exact name. Those of tools, prompts and resources include that of their method.
pub(super) type Names = HashMap<Box<str>, Requirement>;

pub(super) struct Template {
    pub(super) uri: UriTemplate,
    pub(super) rule: TemplateRule,
}

pub(super) enum TemplateRule {
    Fixed(Requirement),
    /// Depends on the URI. The first requirement is that of the method.
    By(Option<Requirement>, Box<UriRule>),
}

/// Decides what a resource requires from its URI.
pub(super) type UriRule = dyn Fn(&str) -> Requirement + Send + Sync;

/// How much of a body is read, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodySettings {
    pub(crate) limit: usize,
    pub(crate) deadline: std::time::Duration,
}

/// The methods that clients use to connect and to list. They read no resource and call no tool.
const CONNECTING: [&str; 13] = [
    "initialize",
    "server/discover",
    "ping",
    "tools/list",
    "resources/list",
    "resources/templates/list",
    "prompts/list",
    "logging/setLevel",
    "subscriptions/listen",
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "notifications/roots/list_changed",
];

impl McpOperations {
    /// Creates a builder.
    pub fn builder() -> McpOperationsBuilder {
        McpOperationsBuilder::new()
    }

    pub(crate) fn body_settings(&self) -> BodySettings {
        self.0.body
    }

    /// Returns whether the `Origin` of a request is in the list, if there is one.
    pub(crate) fn accepts_origin(&self, headers: &HeaderMap) -> bool {
        self.0.origins.as_ref().is_none_or(|origins| origins.accept(headers))
    }

    fn of_headers(&self, headers: &HeaderMap) -> Requirement {
        match headers::read(headers) {
            Ok(HeaderFacts { method: Some(method), name, is_bound: true }) => {
                let target = name.as_deref().map_or(Target::None, |name| Target::of_name(method, name));
                self.of_message(method, &target)
            }
            // No method, or a revision in which servers need not compare the headers with the body.
            Ok(_) => self.strictest(),
            Err(reason) => Requirement::malformed(reason),
        }
    }

    fn of_operations(&self, operations: &[Operation]) -> Requirement {
        let requirement = |operation: &Operation| match operation {
            Operation::Message { method, target } => self.of_message(method, target),
            Operation::Response => self.0.connecting.clone(),
        };
        let mut all = operations.iter().map(requirement);
        let Some(first) = all.next() else { return self.strictest() };
        all.fold(first, Requirement::and_bounded)
    }

    fn of_message(&self, method: &str, target: &Target<impl AsRef<str>>) -> Requirement {
        match (method, target) {
            ("tools/call", Target::Name(name)) => self.named(method, &self.0.tools, name.as_ref()),
            ("prompts/get", Target::Name(name)) => self.named(method, &self.0.prompts, name.as_ref()),
            ("resources/read", Target::Uri(uri)) => self.resource(method, uri.as_ref()),
            ("resources/subscribe" | "resources/unsubscribe", Target::Uri(uri)) => {
                self.with_method(method, self.resource("resources/read", uri.as_ref()))
            }
            ("completion/complete", Target::Name(name)) => {
                self.with_method(method, self.named("prompts/get", &self.0.prompts, name.as_ref()))
            }
            ("completion/complete", Target::Uri(uri)) => {
                self.with_method(method, self.template(uri.as_ref()))
            }
            ("subscriptions/listen", Target::Uris(uris)) => {
                let start = self.method(method);
                uris.iter()
                    .fold(start, |all, uri| all.and_bounded(self.resource("resources/read", uri.as_ref())))
            }
            // Without the target, the requirement of these is unknown.
            (
                "tools/call"
                | "prompts/get"
                | "resources/read"
                | "resources/subscribe"
                | "resources/unsubscribe"
                | "completion/complete"
                | "subscriptions/listen",
                _,
            ) => self.strictest(),
            (method, _) => self.method(method),
        }
    }

    fn method(&self, method: &str) -> Requirement {
        match self.0.methods.get(method) {
            Some(requirement) => requirement.clone(),
            None if CONNECTING.contains(&method) => self.0.connecting.clone(),
            None => self.unlisted(method, None),
        }
    }

    /// Returns what unlisted operations require.
    fn unlisted(&self, method: &str, name: Option<&str>) -> Requirement {
        tracing::debug!(method = ?Excerpt::new(method), name = ?name.map(Excerpt::new), "operation not listed");
        self.0.otherwise.clone()
    }

    /// Returns the strictest requirement, for a request whose operation cannot be determined.
    fn strictest(&self) -> Requirement {
        tracing::debug!("operation cannot be determined, the strictest requirement applies");
        self.0.strictest.clone()
    }

    fn named(&self, method: &str, names: &Names, name: &str) -> Requirement {
        match names.get(name) {
            Some(requirement) => requirement.clone(),
            None => self.with_method(method, self.unlisted(method, Some(name))),
        }
    }

    /// Adds what a listed method requires.
    fn with_method(&self, method: &str, requirement: Requirement) -> Requirement {
        match self.0.methods.get(method) {
            Some(method) => method.clone().and_bounded(requirement),
            None => requirement,
        }
    }

    // A server may decode a URI before it uses it. If only one form were checked, the server could read a resource that was not
    // checked: `files://%73ecret`, `files://a%2F..%2Fsecret`.
    fn resource(&self, method: &str, uri: &str) -> Requirement {
        let raw = self.resource_as_written(method, uri);
        if !uri.contains('%') {
            return raw;
        }
        match percent_decoded(uri) {
            Some(decoded) => raw.and_bounded(self.resource_as_written(method, &decoded)),
            None => raw.and_bounded(self.with_method(method, self.unlisted(method, Some(uri)))),
        }
    }

    fn resource_as_written(&self, method: &str, uri: &str) -> Requirement {
        if let Some(requirement) = self.0.resources.get(uri) {
            return requirement.clone();
        }
        // The server may choose any template that matches.
        let matching = || self.0.templates.iter().filter(|template| template.uri.matches(uri));
        let own = matching().map(|template| template.requirement(uri)).reduce(Requirement::and_bounded);
        let own = own.unwrap_or_else(|| self.with_method(method, self.unlisted(method, Some(uri))));
        self.listed_for_other_spellings(uri).fold(own, Requirement::and_bounded)
    }

    /// Returns what is listed for the resources that a server may read instead of this URI: `files://secret` for
    /// `files://secret?x`, which matches `files://{+path}`.
    fn listed_for_other_spellings(&self, uri: &str) -> impl Iterator<Item = Requirement> {
        let others = other_spellings(uri);
        let (resources, templates) = (&self.0.folded_resources, &self.0.templates);
        let of_resources: Vec<_> = iter::once(uri)
            .chain(others.iter().map(String::as_str))
            .filter_map(|spelling| resources.get(&*folded(spelling)).cloned())
            .collect();
        let more = templates.iter().filter(|template| !template.uri.matches(uri));
        let of_templates: Vec<_> = more
            .filter_map(|template| {
                others
                    .iter()
                    .find(|other| template.uri.matches(other))
                    .map(|other| template.requirement(other))
            })
            .collect();
        of_resources.into_iter().chain(of_templates)
    }

    /// Returns what completing the arguments of a template requires. MCP names the template by its text.
    fn template(&self, text: &str) -> Requirement {
        match self.0.templates.iter().find(|template| template.uri.as_str() == text) {
            Some(Template { rule: TemplateRule::Fixed(requirement), .. }) => requirement.clone(),
            Some(Template { rule: TemplateRule::By(..), .. }) => self.strictest(),
            None => self.resource("resources/read", text),
        }
    }

    /// Returns what a tool requires.
    #[cfg(feature = "rmcp")]
    pub(crate) fn of_tool(&self, name: &str) -> Requirement {
        self.of_message("tools/call", &Target::Name(name))
    }

    /// Returns what a prompt requires.
    #[cfg(feature = "rmcp")]
    pub(crate) fn of_prompt(&self, name: &str) -> Requirement {
        self.of_message("prompts/get", &Target::Name(name))
    }

    /// Returns what a resource requires.
    #[cfg(feature = "rmcp")]
    pub(crate) fn of_resource(&self, uri: &str) -> Requirement {
        self.of_message("resources/read", &Target::Uri(uri))
    }

    /// Returns what a resource template requires, or `None` if that depends on the URI.
    #[cfg(feature = "rmcp")]
    pub(crate) fn of_template(&self, text: &str) -> Option<Requirement> {
        match self.0.templates.iter().find(|template| template.uri.as_str() == text) {
            Some(Template { rule: TemplateRule::Fixed(requirement), .. }) => Some(requirement.clone()),
            Some(Template { rule: TemplateRule::By(..), .. }) => None,
            None => Some(self.with_method("resources/read", self.unlisted("resources/read", Some(text)))),
        }
    }
}

impl RequirementPolicy for McpOperations {
    fn requirement(&self, request: &RequestHead<'_>) -> Requirement {
        if !self.accepts_origin(request.headers()) {
            return Requirement::deny("origin not in the list of allowed origins");
        }
        match *request.method() {
            Method::POST => {}
            Method::GET | Method::HEAD | Method::DELETE => return self.0.connecting.clone(),
            _ => return self.strictest(),
        }
        match request.extensions().get::<Peeked>() {
            Some(Peeked::Operations(operations)) => self.of_operations(operations),
            Some(Peeked::Unknown) => self.strictest(),
            None => self.of_headers(request.headers()),
        }
    }

    fn scopes(&self) -> Vec<Scope> {
        let Rules { tools, prompts, resources, templates, methods, connecting, otherwise, .. } = &*self.0;
        let names = [methods, tools, prompts, resources].into_iter().flat_map(HashMap::values);
        let templates = templates.iter().filter_map(|template| match &template.rule {
            TemplateRule::Fixed(requirement) => Some(requirement),
            TemplateRule::By(method, _) => method.as_ref(),
        });
        let all = names.chain(templates).chain([connecting, otherwise]);
        let mut scopes: Vec<_> = all.flat_map(Requirement::all_scopes).cloned().collect();
        scopes.sort();
        scopes.dedup();
        scopes
    }

    fn describe(&self) -> PolicyDescription {
        let Rules { tools, prompts, resources, templates, methods, connecting, otherwise, strictest, .. } =
            &*self.0;
        let mut rules = Vec::new();
        if self.0.origins.is_some() {
            let refused = Requirement::deny("origin not in the list of allowed origins");
            rules.push(RuleDescription::new("other origins", refused));
        }
        for (kind, names) in [("tool", tools), ("prompt", prompts), ("resource", resources)] {
            rules.extend(describe_names(kind, names));
        }
        rules.extend(templates.iter().map(|template| {
            let applies_to = format!("resource template {}", template.uri.as_str());
            match &template.rule {
                TemplateRule::Fixed(requirement) => RuleDescription::new(applies_to, requirement.clone()),
                TemplateRule::By(..) => RuleDescription::decided_by_function(applies_to),
            }
        }));
        rules.extend(describe_names("method", methods));
        rules.push(RuleDescription::new("connecting and listing, GET, HEAD, DELETE", connecting.clone()));
        rules.push(RuleDescription::new("all other operations", otherwise.clone()));
        rules.push(RuleDescription::new("operation cannot be determined", strictest.clone()));
        PolicyDescription::new(rules)
    }
}

/// Describes requirements by name, in alphabetical order.
fn describe_names(kind: &str, names: &Names) -> Vec<RuleDescription> {
    let mut names: Vec<_> = names.iter().collect();
    names.sort_by_key(|(name, _)| *name);
    let rules = names.into_iter();
    rules
        .map(|(name, requirement)| RuleDescription::new(format!("{kind} {name}"), requirement.clone()))
        .collect()
}

impl Template {
    fn requirement(&self, uri: &str) -> Requirement {
        match &self.rule {
            TemplateRule::Fixed(requirement) => requirement.clone(),
            TemplateRule::By(None, rule) => rule(uri),
            TemplateRule::By(Some(method), rule) => method.clone().and_bounded(rule(uri)),
        }
    }
}

impl fmt::Debug for McpOperations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rules { tools, prompts, resources, templates, methods, connecting, otherwise, .. } = &*self.0;
        let templates: Vec<_> = templates.iter().map(|template| template.uri.as_str()).collect();
        f.debug_struct("McpOperations")
            .field("tools", tools)
            .field("prompts", prompts)
            .field("resources", resources)
            .field("templates", &templates)
            .field("methods", methods)
            .field("connecting", connecting)
            .field("otherwise", otherwise)
            .finish_non_exhaustive()
    }
}
