//! The settings of an MCP server and their defaults: [`McpOperationsBuilder`].

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use super::{
    McpOperations,
    known_methods::expected_instead_of,
    operations::{BodySettings, Names, Rules, Template, TemplateRule, UriRule},
    origins::Origins,
    resource_uri,
    uri_template::UriTemplate,
};
use crate::{ConfigError, Requirement, config_error::Problem, scope::OFFLINE_ACCESS};

/// Default of [`McpOperationsBuilder::max_body_bytes`]. Tool calls with larger arguments are rare, and servers commonly limit a
/// request to a few MiB.
const DEFAULT_MAX_BODY_BYTES: usize = 1024 * 1024;

/// Maximum of [`McpOperationsBuilder::max_body_bytes`]. Each request can occupy this much memory, even without a token.
const MAX_MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// Default of [`McpOperationsBuilder::body_deadline`]. An MCP client has the whole message before it connects.
const DEFAULT_BODY_DEADLINE: Duration = Duration::from_secs(10);

/// Builds [`McpOperations`]. Nothing is checked before [`build`](Self::build).
#[must_use]
pub struct McpOperationsBuilder {
    tools: Vec<(String, Requirement)>,
    prompts: Vec<(String, Requirement)>,
    resources: Vec<(String, Requirement)>,
    templates: Vec<(String, Rule)>,
    methods: Vec<(String, Requirement)>,
    extension_methods: Vec<(String, Requirement)>,
    connecting: Requirement,
    otherwise: Requirement,
    origins: Option<Vec<String>>,
    body: BodySettings,
}

enum Rule {
    Fixed(Requirement),
    By(Box<UriRule>),
}

impl McpOperationsBuilder {
    pub(super) fn new() -> Self {
        Self {
            tools: Vec::new(),
            prompts: Vec::new(),
            resources: Vec::new(),
            templates: Vec::new(),
            methods: Vec::new(),
            extension_methods: Vec::new(),
            connecting: Requirement::token(),
            otherwise: Requirement::deny("operation not listed"),
            origins: None,
            body: BodySettings { limit: DEFAULT_MAX_BODY_BYTES, deadline: DEFAULT_BODY_DEADLINE },
        }
    }

    /// Sets what calling a tool (`tools/call`) requires.
    ///
    /// Tools that are not listed: see [`otherwise`](Self::otherwise).
    pub fn tool(mut self, name: impl Into<String>, requirement: impl Into<Requirement>) -> Self {
        self.tools.push((name.into(), requirement.into()));
        self
    }

    /// Sets what getting a prompt (`prompts/get`) requires.
    ///
    /// Completing its arguments requires the same.
    pub fn prompt(mut self, name: impl Into<String>, requirement: impl Into<Requirement>) -> Self {
        self.prompts.push((name.into(), requirement.into()));
        self
    }

    /// Sets what reading the resource with exactly this URI (`resources/read`) requires.
    ///
    /// Subscribing to it requires the same. It takes precedence over templates that match the URI. A URI that a server may read as
    /// this one also requires what this one requires: it differs only by its query, fragment, case or escapes, by slashes at its end,
    /// or by how URL parsers write it.
    pub fn resource(mut self, uri: impl Into<String>, requirement: impl Into<Requirement>) -> Self {
        self.resources.push((uri.into(), requirement.into()));
        self
    }

    /// Sets what reading the resources of a template such as `jobs://{job}/log` requires.
    ///
    /// If a URI matches several templates, all their requirements apply. These expressions of RFC 6570 are supported, and
    /// [`build`](Self::build) refuses others:
    ///
    /// | expression | matches |
    /// |---|---|
    /// | `{job}`, `{a,b}` | one or more characters other than `/`, `?`, `#` and `\` |
    /// | `{+path}` | one or more characters other than `\` |
    /// | `{#part}`, `{.ext}`, `{/name}` | the operator, then what `{+part}` or `{name}` matches; may be absent |
    /// | `{/path*}` | any number of segments, each after a `/` |
    /// | `{?a,b}`, `{&a}` | a query, or the rest of one; may be absent |
    ///
    /// The length in `{job:3}` is not checked. Some URIs match no template: those over 8 KiB, and those that a server may change,
    /// because they have a segment `.` or `..`, a control character, or white space at one end. A percent-encoded URI must match both
    /// as sent and decoded, so `{job}` does not match `a%2Fb`.
    ///
    /// Some servers ignore the query or fragment of a URI. So a URI also requires what is listed for it without these, and for the
    /// form in which URL parsers write it.
    pub fn resource_template(
        mut self,
        template: impl Into<String>,
        requirement: impl Into<Requirement>,
    ) -> Self {
        self.templates.push((template.into(), Rule::Fixed(requirement.into())));
        self
    }

    /// Sets a function that decides by its URI what a resource requires.
    ///
    /// For scopes that depend on the URI. `rule` is called with each URI that matches the template. A URI with `%` is also
    /// passed to it percent-decoded, and both results apply. If only another form of the URI matches, such as the one without a query,
    /// it is called with that form.
    ///
    /// The scopes are not known in advance. So the metadata does not list them, and two kinds of requests are refused with 403:
    /// those whose operation cannot be determined, and those that complete the arguments of such a template.
    ///
    /// ```
    /// use tower_bearer::{Requirement, Scope, mcp::McpOperations};
    ///
    /// let operations = McpOperations::builder()
    ///     .resource_template_by("tenants://{tenant}/report", |uri| {
    ///         let tenant = uri.split('/').nth(2).unwrap_or_default();
    ///         match Scope::new(&format!("reports:{tenant}")) {
    ///             Ok(scope) => Requirement::scopes(scope),
    ///             Err(_) => Requirement::deny("not the name of a tenant"),
    ///         }
    ///     })
    ///     .build()?;
    /// # let _ = operations;
    /// # Ok::<_, tower_bearer::ConfigError>(())
    /// ```
    pub fn resource_template_by(
        mut self,
        template: impl Into<String>,
        rule: impl Fn(&str) -> Requirement + Send + Sync + 'static,
    ) -> Self {
        self.templates.push((template.into(), Rule::By(Box::new(rule))));
        self
    }

    /// Sets what a method such as `tools/list` or `completion/complete` requires.
    ///
    /// For a method that names a tool, prompt or resource, it is required in addition to what that requires.
    ///
    /// Default for methods that connect or list: see [`connecting`](Self::connecting). Default for methods that name a tool,
    /// prompt or resource: no further requirement. Default for other methods: see [`otherwise`](Self::otherwise).
    ///
    /// [`build`](Self::build) refuses a method that clients send in no revision of MCP, because it is probably misspelled. Methods with a
    /// vendor prefix, such as `com.example/reindex`, are accepted. For others, use [`extension_method`](Self::extension_method).
    pub fn method(mut self, method: impl Into<String>, requirement: impl Into<Requirement>) -> Self {
        self.methods.push((method.into(), requirement.into()));
        self
    }

    /// Sets what a method of an extension requires, such as `reports/create`. The name is not checked.
    pub fn extension_method(
        mut self,
        method: impl Into<String>,
        requirement: impl Into<Requirement>,
    ) -> Self {
        self.extension_methods.push((method.into(), requirement.into()));
        self
    }

    /// Sets what connecting and listing require. Default: a valid token.
    ///
    /// These are the methods `initialize`, `server/discover`, `ping`, `tools/list`, `resources/list`,
    /// `resources/templates/list`, `prompts/list`, `logging/setLevel` and `subscriptions/listen`, the notifications of clients,
    /// their responses to requests of the server, and the HTTP methods `GET`, `HEAD` and `DELETE`.
    /// `subscriptions/listen` also requires what the resources in it require.
    ///
    /// With [`Requirement::public`], clients can connect without a token. The first operation that needs a token is answered with
    /// a 401 that names the scopes of this operation.
    ///
    /// # Security
    /// In older revisions of MCP, a `GET` receives the messages of its session, and may repeat results that were already sent
    /// (`Last-Event-ID`). If sessions have data of a user, do not make this public, and check that the token has the subject that
    /// started the session.
    pub fn connecting(mut self, requirement: impl Into<Requirement>) -> Self {
        self.connecting = requirement.into();
        self
    }

    /// Sets what tools, resources, prompts and methods that are not listed require. Default: they are refused with 403.
    ///
    /// It also applies if the operation of a request cannot be determined, together with the requirements of all operations.
    ///
    /// [`build`](Self::build) refuses a public requirement, so that a new tool is never open by accident.
    pub fn otherwise(mut self, requirement: impl Into<Requirement>) -> Self {
        self.otherwise = requirement.into();
        self
    }

    /// Sets the origins whose scripts may send requests, such as `https://app.example.com`. Default: all.
    ///
    /// A request with an `Origin` that is not listed is refused with 403, without a challenge (MCP 2026-07-28, Streamable HTTP,
    /// section "Security & Endpoint"). Requests without `Origin` are not affected: browsers add it to
    /// each `POST` of a script. This protects servers on local networks from DNS rebinding.
    ///
    /// Each origin is a scheme and a host in lower case, with a port unless it is the default one, and without a path. The
    /// comparison is exact.
    pub fn allowed_origins<T: Into<String>>(mut self, origins: impl IntoIterator<Item = T>) -> Self {
        self.origins = Some(origins.into_iter().map(Into::into).collect());
        self
    }

    /// Sets how many bytes of a body are read to determine the operation. Default: 1 MiB. Range: 1 byte to 64 MiB.
    ///
    /// For a larger body, the strictest requirement applies. If the token meets it, the whole body is passed on. Only
    /// [`require_mcp`](crate::ResourceServer::require_mcp) reads bodies. It reads them before it validates the token, because the
    /// 401 names the scopes of the operation. So anyone can occupy this much memory per request.
    pub fn max_body_bytes(mut self, bytes: usize) -> Self {
        self.body.limit = bytes;
        self
    }

    /// Sets how long to wait for the body that determines the operation. Default: 10 seconds. Any duration is accepted.
    ///
    /// After that, the strictest requirement applies. Outside a tokio runtime, there is no deadline.
    pub fn body_deadline(mut self, deadline: Duration) -> Self {
        self.body.deadline = deadline;
        self
    }

    /// Checks the settings and builds the operations.
    ///
    /// # Errors
    /// If a setting is invalid. The error lists all problems: an empty name, a name that is listed twice, an unknown method, an
    /// invalid template or origin, `offline_access` as a scope (it is for the authorization server, not for a resource), a public requirement in
    /// [`otherwise`](Self::otherwise), or a limit out of range.
    pub fn build(self) -> Result<McpOperations, ConfigError> {
        let mut problems = Vec::new();
        for (method, _) in &self.methods {
            if let Some(expected) = expected_instead_of(method) {
                problems.push(Problem::new("method", method, expected));
            }
        }
        let methods = self.methods.into_iter().chain(self.extension_methods).collect();
        let methods = names("method", methods, None, &mut problems);
        let of = |method: &str| methods.get(method);
        let tools = names("tool", self.tools, of("tools/call"), &mut problems);
        let prompts = names("prompt", self.prompts, of("prompts/get"), &mut problems);
        let resources = names("resource", self.resources, of("resources/read"), &mut problems);
        let templates = templates(self.templates, of("resources/read"), &mut problems);
        check_scopes("connecting", &self.connecting, &mut problems);
        check_scopes("otherwise", &self.otherwise, &mut problems);
        if self.otherwise == Requirement::public() {
            let expected =
                "expected a requirement that is not public, so that a new tool is not open by accident";
            problems.push(Problem::without_value("otherwise", expected));
        }
        let origins = self.origins.map(|origins| Origins::new(origins, &mut problems));
        if !(1..=MAX_MAX_BODY_BYTES).contains(&self.body.limit) {
            let found = self.body.limit.to_string();
            problems.push(Problem::new("max_body_bytes", found, "expected 1 byte to 64 MiB"));
        }
        let mut rules = Rules {
            tools,
            prompts,
            folded_resources: by_folded_uri(&resources),
            resources,
            templates,
            methods,
            connecting: self.connecting,
            otherwise: self.otherwise,
            strictest: Requirement::public(),
            origins,
            body: self.body,
        };
        rules.strictest = strictest(&rules);
        ConfigError::unless_none(problems, McpOperations(Arc::new(rules)))
    }
}

/// Returns names in a fixed order, so that challenges are the same in every process.
fn sorted(names: &Names) -> Vec<(&str, &Requirement)> {
    let mut sorted: Vec<_> = names.iter().map(|(name, requirement)| (&**name, requirement)).collect();
    sorted.sort_by_key(|(name, _)| *name);
    sorted
}

fn by_folded_uri(resources: &Names) -> Names {
    let mut folded = Names::new();
    for (uri, requirement) in sorted(resources) {
        let entry = folded.entry(resource_uri::folded(uri).into());
        let both = |known: &mut Requirement| *known = known.clone().and_bounded(requirement.clone());
        entry.and_modify(both).or_insert_with(|| requirement.clone());
    }
    folded
}

/// Returns everything that any operation requires.
fn strictest(rules: &Rules) -> Requirement {
    let templates = rules.templates.iter().map(|template| match &template.rule {
        TemplateRule::Fixed(requirement) => requirement.clone(),
        TemplateRule::By(..) => {
            Requirement::deny("operation cannot be determined, and its scopes depend on a URI")
        }
    });
    let names = [&rules.methods, &rules.tools, &rules.resources, &rules.prompts].into_iter().flat_map(sorted);
    let all =
        names.map(|(_, requirement)| requirement.clone()).chain(templates).chain([rules.otherwise.clone()]);
    all.fold(rules.connecting.clone(), Requirement::and_bounded)
}

/// Collects requirements by name, each with that of the method.
fn names(
    setting: &'static str,
    listed: Vec<(String, Requirement)>,
    method: Option<&Requirement>,
    problems: &mut Vec<Problem>,
) -> Names {
    let mut names = HashMap::with_capacity(listed.len());
    for (name, requirement) in listed {
        check_scopes(setting, &requirement, problems);
        if name.is_empty() {
            problems.push(Problem::without_value(setting, "expected a name"));
        }
        let requirement = with_method(method, requirement);
        if names.contains_key(&*name) {
            problems.push(Problem::new(setting, &name, "expected each name once"));
        }
        names.insert(name.into(), requirement);
    }
    names
}

fn templates(
    listed: Vec<(String, Rule)>,
    method: Option<&Requirement>,
    problems: &mut Vec<Problem>,
) -> Vec<Template> {
    let mut templates: Vec<Template> = Vec::with_capacity(listed.len());
    for (text, rule) in listed {
        let rule = match rule {
            Rule::Fixed(requirement) => {
                check_scopes("resource_template", &requirement, problems);
                TemplateRule::Fixed(with_method(method, requirement))
            }
            Rule::By(rule) => TemplateRule::By(method.cloned(), rule),
        };
        if templates.iter().any(|template| template.uri.as_str() == text) {
            problems.push(Problem::new("resource_template", &text, "expected each template once"));
        }
        match UriTemplate::parse(&text) {
            Ok(uri) => templates.push(Template { uri, rule }),
            Err(expected) => problems.push(Problem::new("resource_template", &text, expected)),
        }
    }
    templates
}

fn with_method(method: Option<&Requirement>, requirement: Requirement) -> Requirement {
    match method {
        Some(method) => method.clone().and_bounded(requirement),
        None => requirement,
    }
}

fn check_scopes(setting: &'static str, requirement: &Requirement, problems: &mut Vec<Problem>) {
    if requirement.all_scopes().any(|scope| scope.as_str() == OFFLINE_ACCESS) {
        let expected = "expected scopes of this resource; offline_access is for the authorization server";
        problems.push(Problem::new(setting, OFFLINE_ACCESS, expected));
    }
}

impl fmt::Debug for McpOperationsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpOperationsBuilder")
            .field("tools", &self.tools)
            .field("prompts", &self.prompts)
            .field("resources", &self.resources)
            .field("methods", &self.methods)
            .field("connecting", &self.connecting)
            .field("otherwise", &self.otherwise)
            .finish_non_exhaustive()
    }
}
