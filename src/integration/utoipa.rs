//! Describes layers in an OpenAPI document, with [utoipa](https://docs.rs/utoipa).
//!
//! [`OpenApiSecurity`] writes what a layer requires into the operations that it protects, so that the document cannot differ from the
//! code. With `utoipa-axum`, one function adds both the layer and its description:
//!
//! ```
//! use axum::Router;
//! use tower_bearer::{ConfigError, ValidateTokenLayer, integration::utoipa::OpenApiSecurity};
//! use utoipa_axum::router::UtoipaMethodRouter;
//!
//! fn protected(
//!     security: &OpenApiSecurity,
//!     layer: ValidateTokenLayer,
//!     (schemas, mut paths, routes): UtoipaMethodRouter,
//! ) -> Result<UtoipaMethodRouter, ConfigError> {
//!     security.secure(&mut paths, &layer)?;
//!     Ok((schemas, paths, routes.route_layer(layer)))
//! }
//! # let _ = protected;
//! ```
//!
//! `examples/openapi.rs` is a complete service.

use std::fmt;

use http::{Method, Request};
use utoipa::{
    Modify,
    openapi::{
        OpenApi, PathItem,
        path::{Operation, Paths},
        security::{Http, HttpAuthScheme, OpenIdConnect, SecurityRequirement, SecurityScheme},
    },
};

use crate::{
    ConfigError, Requirement, Scope, ValidateTokenLayer, config_error::Problem, requirement::RequirementKind,
};

/// A security scheme of an OpenAPI document, and the requirements that refer to it.
///
/// It implements [`Modify`], which adds the scheme to the components of the document.
#[derive(Clone)]
pub struct OpenApiSecurity {
    name: String,
    scheme: SecurityScheme,
}

impl OpenApiSecurity {
    /// Creates one from any security scheme.
    ///
    /// Not checked: whether the scheme lists the scopes that operations require, as `oauth2` should.
    pub fn new(name: impl Into<String>, scheme: impl Into<SecurityScheme>) -> Self {
        Self { name: name.into(), scheme: scheme.into() }
    }

    /// Creates a scheme named `bearer`, of the type `http`. It does not tell clients where to get a token.
    ///
    /// The scopes are listed as roles, which OpenAPI 3.1 allows for this type.
    pub fn bearer() -> Self {
        Self::new("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)))
    }

    /// Creates a scheme named `oauth`, of the type `openIdConnect`, for an authorization server that publishes OpenID Connect
    /// Discovery metadata.
    ///
    /// `issuer` is the one that tokens have, such as `https://as.example.com`. Not checked: whether it publishes the metadata.
    pub fn open_id_connect(issuer: &str) -> Self {
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        Self::new("oauth", SecurityScheme::OpenIdConnect(OpenIdConnect::new(url)))
    }

    /// Returns the name of the scheme.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the security requirements for what an operation requires. One of them must be met.
    ///
    /// A requirement with alternatives becomes several security requirements, in the same order. If a token is optional, the
    /// first one is empty. `None`: the operation is refused with or without a token, which OpenAPI cannot express.
    ///
    /// Not included, because OpenAPI cannot express it: `acr_values`, `max_age`, and which scopes imply others.
    pub fn requirements(&self, requirement: &Requirement) -> Option<Vec<SecurityRequirement>> {
        let with = |scopes: &[Scope]| SecurityRequirement::new(&self.name, scopes.iter().map(Scope::as_str));
        match requirement.kind() {
            RequirementKind::Public => Some(vec![SecurityRequirement::default(), with(&[])]),
            RequirementKind::Token(None) => Some(vec![with(&[])]),
            RequirementKind::Token(Some(token)) => {
                Some(token.scopes.each_alternative().iter().map(|scopes| with(scopes)).collect())
            }
            RequirementKind::Denied(_) | RequirementKind::Malformed(_) => None,
        }
    }

    /// Writes what a layer requires into all operations of these paths.
    ///
    /// The policy of the layer is asked about each operation, with a request that has its method and path, but no other headers. In
    /// the path, a variable such as `{id}` is replaced by `1`. So this works for a layer with one requirement, for
    /// [`PathRules`](crate::PathRules), and for closures that decide by method and path.
    ///
    /// # Errors
    /// If the layer refuses an operation with or without a token, for example because no rule matches its path. The error lists all
    /// of them. Such operations are not changed.
    pub fn secure(&self, paths: &mut Paths, layer: &ValidateTokenLayer) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        for (path, item) in &mut paths.paths {
            for (method, operation) in operations_mut(item) {
                let request = Request::builder().method(&method).uri(example_of(path)).body(());
                let requirement = request.ok().map(|request| layer.guard().requirement_of(&request));
                match requirement.as_ref().and_then(|requirement| self.requirements(requirement)) {
                    Some(requirements) => operation.security = Some(requirements),
                    None => {
                        let expected = "expected an operation that the layer does not always refuse";
                        problems.push(Problem::new("operation", format!("{method} {path}"), expected));
                    }
                }
            }
        }
        ConfigError::unless_none(problems, ())
    }

    /// Checks that each operation of a document has a security requirement, or is at one of these public paths.
    ///
    /// Call it at start: a route whose layer was forgotten is then an error before the first request. It only checks the
    /// document, so add layers and their requirements with one function, as shown in the [module](self).
    ///
    /// ```
    /// # use tower_bearer::{ConfigError, integration::utoipa::OpenApiSecurity};
    /// # fn start(security: &OpenApiSecurity, document: &utoipa::openapi::OpenApi) -> Result<(), ConfigError> {
    /// security.check(document, ["/health"])?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If an operation has neither, or a public path is not in the document. The error lists all of them.
    pub fn check<'a>(
        &self,
        document: &OpenApi,
        public: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), ConfigError> {
        let public: Vec<_> = public.into_iter().collect();
        let is_ours = |requirement: &SecurityRequirement| names(requirement).contains(&self.name);
        let mut problems = Vec::new();
        for (path, item) in &document.paths.paths {
            for (method, operation) in operations_of(item) {
                let requirements = operation.security.as_ref().or(document.security.as_ref());
                let is_secured = requirements.is_some_and(|requirements| requirements.iter().any(is_ours));
                if !is_secured && !public.contains(&&**path) {
                    let expected = "expected a layer, or the path in the list of public ones";
                    problems.push(Problem::new("operation", format!("{method} {path}"), expected));
                }
            }
        }
        for path in public.iter().filter(|path| !document.paths.paths.contains_key(**path)) {
            problems.push(Problem::new("public path", *path, "expected a path of the document"));
        }
        ConfigError::unless_none(problems, ())
    }
}

/// Adds the scheme to the document.
impl Modify for OpenApiSecurity {
    fn modify(&self, document: &mut OpenApi) {
        document.components.get_or_insert_default().add_security_scheme(&*self.name, self.scheme.clone());
    }
}

impl fmt::Debug for OpenApiSecurity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenApiSecurity").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Returns the method and the path of each operation of a document.
///
/// For tests: `testing::assert_guarded` checks that each of them requires a token.
pub fn operations(document: &OpenApi) -> Vec<(Method, String)> {
    let paths = document.paths.paths.iter();
    paths
        .flat_map(|(path, item)| operations_of(item).map(move |(method, _)| (method, path.clone())))
        .collect()
}

fn operations_of(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    let all = [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::DELETE, &item.delete),
        (Method::OPTIONS, &item.options),
        (Method::HEAD, &item.head),
        (Method::PATCH, &item.patch),
        (Method::TRACE, &item.trace),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let all = [
        (Method::GET, &mut item.get),
        (Method::PUT, &mut item.put),
        (Method::POST, &mut item.post),
        (Method::DELETE, &mut item.delete),
        (Method::OPTIONS, &mut item.options),
        (Method::HEAD, &mut item.head),
        (Method::PATCH, &mut item.patch),
        (Method::TRACE, &mut item.trace),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Returns the names of the schemes in a requirement. utoipa shows them only when it is serialized.
fn names(requirement: &SecurityRequirement) -> Vec<String> {
    match serde_json::to_value(requirement) {
        Ok(serde_json::Value::Object(members)) => members.into_iter().map(|(name, _)| name).collect(),
        Ok(_) | Err(_) => Vec::new(),
    }
}

/// Replaces the variables of a path.
fn example_of(path: &str) -> String {
    let mut example = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((_, after)) = after.split_once('}') else { break };
        example.extend([before, "1"]);
        rest = after;
    }
    example + rest
}
