//! Decides by method and path: [`PathRules`].

mod builder;
mod config;
mod known_methods;
mod literals;
mod methods;
mod pattern;
mod request_path;
mod tree;

use std::fmt;

use self::{
    methods::MethodRules,
    pattern::Pattern,
    request_path::{NonAscii, with_request_path},
    tree::PatternTree,
};
use super::{PolicyDescription, Requirement, RequirementPolicy, RuleDescription};
use crate::{RequestHead, Scope, request_head::original_uri};

pub use self::builder::PathRulesBuilder;

/// Decides by method and path what a request requires.
///
/// For gateways, and for services with many routes. Give it to
/// [`ResourceServer::require_by`](crate::ResourceServer::require_by). Requests that match no rule are refused with 403, unless there
/// is an [`otherwise`](PathRulesBuilder::otherwise).
///
/// ```
/// use http::Method;
/// use tower_bearer::{ConfigError, PathRules, Requirement, ResourceServer, Scope, ValidateTokenLayer};
///
/// const READ: Scope = Scope::from_static("jobs:read");
/// const WRITE: Scope = Scope::from_static("jobs:write");
///
/// fn layer(resource_server: &ResourceServer) -> Result<ValidateTokenLayer, ConfigError> {
///     let rules = PathRules::builder()
///         .rule([Method::GET], "/api/json", READ)
///         .rule([Method::GET], "/job/{name}/api/json", READ)
///         .rule([Method::POST], "/job/{name}/build", [READ, WRITE])
///         .any_method("/static/{*file}", Requirement::public())
///         .build()?;
///     Ok(resource_server.require_by(rules))
/// }
/// # let _ = layer;
/// ```
///
/// # Patterns
/// The syntax is that of [`matchit`](https://docs.rs/matchit/0.8), as in axum 0.8: `{name}` is one segment, `{*rest}` the rest of
/// the path, and `{{` a brace. A variable may have text before it, as in `/v{version}`, but not after it. Literals take
/// precedence over variables, and variables over `{*rest}`, segment by segment. `{*rest}` is not empty: `/admin/{*rest}` matches
/// neither `/admin` nor `/admin/`, so write a rule for `/admin` too. The syntax of other routers, such as `:name`, `<name>` and
/// `*`, is an error.
///
/// A rule for `GET` also covers `HEAD`, unless `HEAD` has a rule. A rule for all methods applies to methods without a rule of
/// their own. If a path has rules, but none for the method of the request, the request is refused with 403. A rule may name the
/// methods that are registered with IANA, such as `PROPFIND`. Others must be listed as
/// [extension methods](PathRulesBuilder::extension_methods), so that a misspelled one is an error.
///
/// # From configuration
/// `PathRules` implements `Deserialize`. Unknown keys are an error. All invalid values are reported together.
///
/// ```
/// use tower_bearer::PathRules;
///
/// let rules: PathRules = toml::from_str(
///     r#"
///     extension_methods = ["PURGE"] # methods that are not registered with IANA; default: none
///
///     [[rule]]
///     path = "/api/json"
///     methods = ["GET"] # default: all
///     scopes = ["jobs:read"] # all of them
///
///     [[rule]]
///     path = "/job/{name}/build"
///     methods = ["POST"]
///     any_of = [["jobs:write"], ["admin"]] # all of one list
///     acr_values = ["urn:example:mfa"]
///     max_age = "5m" # since the user authenticated
///
///     [[rule]]
///     path = "/health"
///     access = "public" # or "token", for any valid token, or "deny"
///
///     [otherwise] # default: deny
///     access = "deny" # or "token" or scopes; `dangerously_public_otherwise = true` opens every path without a rule
///     "#,
/// )?;
/// # let _ = rules;
/// # Ok::<_, toml::de::Error>(())
/// ```
///
/// # Security
/// The backend must read the same path that was checked. A path that programs could read differently is therefore refused with
/// 400:
///
/// | refused | example |
/// |---|---|
/// | encoded slashes, backslashes | `/a%2Fb`, `/a\b`, `/a%5Cb` |
/// | dot segments, also encoded | `/a/../b`, `/a/%2e%2E/b` |
/// | a segment with a dot or space at its end, or a space at its beginning | `/a.`, `/a%20/b` |
/// | empty segments | `//a`, `/a//` |
/// | path parameters | `/a;b=c`, `/a%3Bb` |
/// | encoded `?`, `#` and `%` (encoded twice) | `/a%3Fb`, `/a%23b`, `/a%252Fb` |
/// | control characters | `/a%00`, `/a%0D%0A` |
/// | incomplete escapes, escapes that are not UTF-8 | `/a%2`, `/a%u002f`, `/a%c0%af` |
/// | characters outside of ASCII, unless [allowed](PathRulesBuilder::allow_non_ascii) | `/b%C3%BCro` |
/// | a path that differs from the path of a rule only by case | `/Admin` with a rule for `/admin` |
/// | a target without a path | `*`, `host:443` |
///
/// All other escapes are decoded once before matching: `/%61dmin` matches `/admin`. One slash at the end is ignored: `/orders/`
/// matches `/orders`.
///
/// The query is not checked. The authority is not checked either: the rules are the same for all hosts.
///
/// # Deployment
/// A gateway must forward the method and the path unchanged, neither decoded nor encoded again. It must remove headers that
/// override them, such as `X-HTTP-Method-Override`, `X-Original-URL` and `X-Rewrite-URL`.
/// Put the layer outside of routers that remove a prefix from the path, such as `Router::nest` of axum.
///
/// Some backends accept several names for one resource: short names and streams of Windows (`ADMINI~1`, `file::$DATA`), suffixes
/// that choose a format (`/admin.json`), or `+` for a space. The rules do not detect these. For such a backend, avoid variables
/// in rules where possible.
///
/// # Cost
/// A decision takes about 50 ns, or about 90 ns for a path with escapes. It allocates only for escapes in a path of more than 256
/// bytes.
pub struct PathRules {
    /// Finds indexes of `paths`.
    tree: PatternTree,
    paths: Vec<PathRule>,
    non_ascii: NonAscii,
    otherwise: Requirement,
}

/// The rules for one path.
#[derive(Debug)]
struct PathRule {
    /// As it was written, with the names of its variables.
    text: Box<str>,
    pattern: Pattern,
    methods: MethodRules,
}

impl PathRules {
    /// Creates a builder without rules.
    pub fn builder() -> PathRulesBuilder {
        PathRulesBuilder::new()
    }

    /// Returns the rules for a path. The error is the reason for a refusal.
    fn find(&self, path: &str) -> Result<Option<&PathRule>, &'static str> {
        with_request_path(path, self.non_ascii, |path| {
            let Some(found) = self.tree.find(path) else { return Ok(None) };
            let Some(rule) = self.paths.get(found.index) else { return Ok(None) };
            // The order of precedence is the same with and without case. So if a rule matches exactly, it is this one, or the path
            // differs from this one only by case.
            match found.has_same_case || rule.pattern.has_case_of(path) {
                true => Ok(Some(rule)),
                false => Err("path that differs from the path of a rule only by case"),
            }
        })?
    }

    /// Returns a problem if a pattern ends with `{*rest}`, and the path before it (`/admin` for `/admin/{*rest}`) has no rule of its
    /// own but is allowed by another one. Many users expect that `/admin/{*rest}` also protects `/admin/`.
    fn gap_before_rest(&self, pattern: &str) -> Option<String> {
        let pattern = Pattern::parse(pattern).ok()?;
        let before = pattern.before_rest()?;
        let rule = self.find_ignoring_case(&pattern.example())?;
        // Nothing is less strict than a public rule.
        if rule.methods.requirements().all(|requirement| *requirement == Requirement::public()) {
            return None;
        }
        let covering = match self.find_ignoring_case(&before.example()) {
            Some(other) if other.pattern.to_text() == before.to_text() => return None,
            Some(other) if other.methods == rule.methods => return None,
            Some(other) => format!("the rule for {:?}", other.pattern.to_text()),
            None if self.otherwise.is_refusal() => return None,
            None if rule.methods.requirements().all(|requirement| *requirement == self.otherwise) => {
                return None;
            }
            None => "otherwise".to_owned(),
        };
        let before = before.to_text();
        Some(format!(
            "expected a rule for {before:?} too, because this one does not match it and {covering} does"
        ))
    }

    /// Finds the rules for a path that needs no decoding. Ignores case.
    fn find_ignoring_case(&self, path: &str) -> Option<&PathRule> {
        let path = path.strip_prefix('/')?;
        self.paths.get(self.tree.find(path.as_bytes())?.index)
    }
}

impl RequirementPolicy for PathRules {
    fn requirement(&self, request: &RequestHead<'_>) -> Requirement {
        match self.find(request.uri().path()) {
            Ok(Some(rule)) => match rule.methods.find(request.method()) {
                Some(requirement) => requirement.clone(),
                None => Requirement::deny("no rule for this method"),
            },
            Ok(None) => {
                let path = request.uri().path();
                if original_uri(request.uri(), request.extensions()).path() != path {
                    tracing::debug!(
                        ?path,
                        "no rule for this path, because a router has removed its beginning: put the layer outside of that router"
                    );
                }
                self.otherwise.clone()
            }
            Err(reason) => Requirement::malformed(reason),
        }
    }

    fn scopes(&self) -> Vec<Scope> {
        let rules = self.paths.iter().flat_map(|rule| rule.methods.requirements());
        rules.chain([&self.otherwise]).flat_map(Requirement::all_scopes).cloned().collect()
    }

    fn describe(&self) -> PolicyDescription {
        let mut paths: Vec<_> = self.paths.iter().collect();
        paths.sort_by(|one, other| one.pattern.precedence().cmp(&other.pattern.precedence()));
        let rules = paths.into_iter().flat_map(|rule| rule.methods.describe(&rule.text));
        let otherwise = RuleDescription::new("all other paths", self.otherwise.clone());
        PolicyDescription::new(rules.chain([otherwise]))
    }
}

impl fmt::Debug for PathRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PathRules")
            .field("paths", &self.paths)
            .field("non_ascii", &self.non_ascii)
            .field("otherwise", &self.otherwise)
            .finish_non_exhaustive()
    }
}
