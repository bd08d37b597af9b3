//! Builds a resource server from a checked document: [`resource_server`].

mod claims;
#[cfg(feature = "reqwest")]
mod http_client;
mod issuer;
mod policies;
mod reader;
mod requirement;

use self::issuer::Validator;
pub(super) use self::reader::Reader;
use super::{files::Files, report::Report};
use crate::{
    AccessToken, ProtectedResourceMetadata, RequestRule, ResourceServer, ResourceServerBuilder,
    RoutingValidator, ScopeHierarchy, TokenValidator, ValidatedToken, ValidationError,
};

/// Changes the builder in ways that no document can express.
pub(super) type Customize = dyn Fn(ResourceServerBuilder) -> ResourceServerBuilder + Send + Sync;

/// Builds the resource server. Returns `None` after a problem was reported.
pub(super) fn resource_server(
    root: &Reader<'_>,
    customize: &Customize,
    files: &mut Files,
    report: &mut Report,
) -> Option<ResourceServer> {
    let builder = match validator(root, files, report) {
        Some(RouterOrOne::Jwt(validator)) => ResourceServer::builder(validator),
        Some(RouterOrOne::Introspection(validator)) => ResourceServer::builder(validator),
        Some(RouterOrOne::Router(validator)) => ResourceServer::builder(validator),
        None => ResourceServer::builder(NoValidator),
    };
    let builder = policy(builder, root, report);
    let builder = customize(settings(builder, root, files, report));
    builder.build().map_err(|error| report.built(error.into_problems(), path_of)).ok()
}

enum RouterOrOne {
    Jwt(crate::JwtValidator),
    Introspection(crate::IntrospectionValidator),
    Router(RoutingValidator),
}

/// Replaces a validator with a problem, so that the other settings can be checked. No request ever reaches it.
struct NoValidator;

impl TokenValidator for NoValidator {
    async fn validate(&self, _: &AccessToken) -> Result<ValidatedToken, ValidationError> {
        Err(ValidationError::internal("invalid configuration"))
    }
}

fn validator(root: &Reader<'_>, files: &mut Files, report: &mut Report) -> Option<RouterOrOne> {
    let issuers = root.get("issuers");
    if issuers.is_list() && issuers.elements().is_empty() {
        report.without_value(issuers.path(), "expected at least one issuer");
    }
    let mut validators = Vec::new();
    for issuer in issuers.elements() {
        let is_otherwise = issuer.get("otherwise").flag();
        validators.push(issuer::validator(&issuer, root, files, report).map(|built| (is_otherwise, built)));
    }
    let mut validators = validators.into_iter().collect::<Option<Vec<_>>>()?;
    if let [(false, _)] = validators.as_slice() {
        return validators.pop().map(|(_, validator)| match validator {
            Validator::Jwt(validator) => RouterOrOne::Jwt(validator),
            Validator::Introspection(validator) => RouterOrOne::Introspection(validator),
        });
    }
    let router = validators.into_iter().fold(RoutingValidator::new(), |router, validator| match validator {
        (false, Validator::Jwt(validator)) => router.route(validator),
        (false, Validator::Introspection(validator)) => router.route(validator),
        (true, Validator::Jwt(validator)) => router.otherwise(validator),
        (true, Validator::Introspection(validator)) => router.otherwise(validator),
    });
    Some(RouterOrOne::Router(router))
}

fn policy(builder: ResourceServerBuilder, root: &Reader<'_>, report: &mut Report) -> ResourceServerBuilder {
    let (paths, grpc, mcp) = (root.get("paths"), root.get("grpc"), root.get("mcp"));
    let mut builder = builder;
    if paths.is_set()
        && let Some(rules) = policies::path_rules(&paths, report)
    {
        builder = builder.policy(rules);
    }
    if grpc.is_set()
        && let Some(methods) = policies::grpc_methods(&grpc, report)
    {
        builder = builder.policy(methods);
    }
    if mcp.is_set() {
        builder = mcp_policy(builder, &mcp, report);
    }
    builder
}

#[cfg(feature = "mcp")]
fn mcp_policy(
    builder: ResourceServerBuilder,
    mcp: &Reader<'_>,
    report: &mut Report,
) -> ResourceServerBuilder {
    match policies::mcp_operations(mcp, report) {
        Some(operations) => builder.policy(operations),
        None => builder,
    }
}

#[cfg(not(feature = "mcp"))]
fn mcp_policy(
    builder: ResourceServerBuilder,
    mcp: &Reader<'_>,
    report: &mut Report,
) -> ResourceServerBuilder {
    report.without_value(mcp.path(), "expected a build with the feature mcp");
    builder
}

fn settings(
    mut builder: ResourceServerBuilder,
    root: &Reader<'_>,
    files: &mut Files,
    report: &mut Report,
) -> ResourceServerBuilder {
    let metadata = root.get("metadata");
    if metadata.is_set() && !metadata.is_invalid() {
        builder = builder.resource_metadata(self::metadata(&metadata));
    }
    if let Some(realm) = root.get("realm").text() {
        builder = builder.realm(realm);
    }
    if let Some(uri) = root.get("error_uri").text() {
        builder = builder.error_uri(uri);
    }
    builder = builder.scope_hierarchy(hierarchy(&root.get("scope_hierarchy")));
    builder = builder.baseline_scopes(root.get("baseline_scopes").scopes());
    for rule in claims::claim_rules(&root.get("claim_rules"), report) {
        builder = builder.claim_rule(RequestRule::from(rule));
    }
    if let Some(bytes) = root.get("verdict_cache_bytes").size() {
        builder = builder.verdict_cache_bytes(bytes);
    }
    if let Some(key) = files.secret(&root.get("pseudonym_key_file"), report) {
        builder = builder.pseudonym_key(key.expose());
    }
    if root.get("grpc_invalid_argument").flag() {
        builder = builder.grpc_invalid_argument();
    }
    if root.get("dangerously_forward_credential").flag() {
        builder = builder.dangerously_forward_credential();
    }
    if root.get("dangerously_pass_cors_preflight").flag() {
        builder = builder.dangerously_pass_cors_preflight();
    }
    if root.get("dangerously_let_streams_outlive_tokens").flag() {
        builder = builder.dangerously_let_streams_outlive_tokens();
    }
    builder
}

fn hierarchy(reader: &Reader<'_>) -> ScopeHierarchy {
    reader.entries().into_iter().fold(ScopeHierarchy::default(), |hierarchy, (scope, implied)| {
        // A key that is not a scope is reported with the other checks of the hierarchy.
        match crate::Scope::new(scope) {
            Ok(scope) => hierarchy.implies(scope, implied.scopes()),
            Err(_) => hierarchy,
        }
    })
}

fn metadata(reader: &Reader<'_>) -> ProtectedResourceMetadata {
    // A missing resource was reported. With the placeholder, the other settings are checked too.
    let resource = reader.get("resource").text().unwrap_or("https://invalid.example");
    let mut metadata = ProtectedResourceMetadata::new(resource);
    let scopes = reader.get("scopes_supported");
    if scopes.is_list() {
        metadata = metadata.scopes_supported(scopes.scopes());
    }
    if let Some(name) = reader.get("resource_name").text() {
        metadata = metadata.resource_name(name);
    }
    for (language, name) in reader.get("resource_name_in").entries() {
        if let Some(name) = name.text() {
            metadata = metadata.resource_name_in(language, name);
        }
    }
    if let Some(url) = reader.get("resource_documentation").text() {
        metadata = metadata.resource_documentation(url);
    }
    if let Some(url) = reader.get("resource_policy_uri").text() {
        metadata = metadata.resource_policy_uri(url);
    }
    if let Some(url) = reader.get("resource_tos_uri").text() {
        metadata = metadata.resource_tos_uri(url);
    }
    for (name, value) in reader.get("members").entries() {
        if let Some(value) = value.json().filter(|_| !value.is_invalid()) {
            metadata = metadata.member(name, value);
        }
    }
    if let Some(jwt) = reader.get("signed_metadata").text() {
        metadata = metadata.signed_metadata(jwt);
    }
    if reader.get("also_at_root").flag() {
        metadata = metadata.also_at_root();
    }
    if reader.get("allow_http_on_loopback").flag() {
        metadata = metadata.allow_http_on_loopback();
    }
    metadata
}

/// Translates the name of a setting in the code into its path.
fn path_of(setting: &str) -> String {
    match setting {
        "claim_rule" => "claim_rules".to_owned(),
        "pseudonym_key" => "pseudonym_key_file".to_owned(),
        "metadata member" => "metadata.members".to_owned(),
        "route of RoutingValidator" => "issuers".to_owned(),
        "resource"
        | "scopes_supported"
        | "resource_documentation"
        | "resource_policy_uri"
        | "resource_tos_uri"
        | "signed_metadata" => format!("metadata.{setting}"),
        setting => setting.to_owned(),
    }
}
