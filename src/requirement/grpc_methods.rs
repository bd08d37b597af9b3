//! Decides by gRPC method: [`GrpcMethods`].

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    fmt,
    hash::BuildHasherDefault,
};

use super::{PolicyDescription, Requirement, RequirementPolicy, RuleDescription, name_hash::NameHasher};
use crate::{ConfigError, RequestHead, Scope, config_error::Problem};

/// Decides by gRPC method what a call requires.
///
/// Methods that are not listed are refused with 7 `PERMISSION_DENIED`, unless there is an
/// [`otherwise`](GrpcMethodsBuilder::otherwise). Give it to
/// [`ResourceServer::require_grpc`](crate::ResourceServer::require_grpc).
///
/// ```
/// use tower_bearer::{
///     ConfigError, GrpcMethods, Requirement, ResourceServer, Scope, ValidateGrpcTokenLayer,
/// };
///
/// const READ: Scope = Scope::from_static("orders:read");
/// const WRITE: Scope = Scope::from_static("orders:write");
///
/// fn layer(resource_server: &ResourceServer) -> Result<ValidateGrpcTokenLayer, ConfigError> {
///     let methods = GrpcMethods::builder()
///         .service("orders.v1.Orders", READ) // its methods that are not listed one by one
///         .method("/orders.v1.Orders/Cancel", [READ, WRITE])
///         .health(Requirement::public())
///         .build()?;
///     Ok(resource_server.require_grpc(methods))
/// }
/// # let _ = layer;
/// ```
///
/// # Security
/// Paths are compared exactly and with case, as in gRPC: `/package.Service/Method`. Anything else is refused, such as a path with a
/// query, with escapes or with a slash at its end.
///
/// # Cost
/// A decision takes about 50 ns, or about 80 ns for a service that is not listed. It does not allocate.
pub struct GrpcMethods {
    /// By name. Health checks and reflection are always listed.
    services: ByName<Service>,
    otherwise: Requirement,
}

/// What the methods of a service require.
#[derive(Debug, Default)]
struct Service {
    /// By name.
    methods: ByName<Requirement>,
    /// What other methods require. `None` refuses them.
    others: Option<Requirement>,
}

type ByName<T> = HashMap<Box<str>, T, BuildHasherDefault<NameHasher>>;

/// Builds [`GrpcMethods`].
#[derive(Debug)]
#[must_use]
pub struct GrpcMethodsBuilder {
    methods: Vec<(String, Requirement)>,
    services: Vec<(String, Requirement)>,
    otherwise: Requirement,
    may_otherwise_be_public: bool,
}

impl GrpcMethods {
    /// Creates a builder without methods.
    pub fn builder() -> GrpcMethodsBuilder {
        GrpcMethodsBuilder {
            methods: Vec::new(),
            services: Vec::new(),
            otherwise: Requirement::deny("no rule for this method"),
            may_otherwise_be_public: false,
        }
    }

    fn find(&self, path: &str) -> Option<&Requirement> {
        let (name, method) = split(path)?;
        let Some(service) = self.services.get(name) else {
            return (is_service(name) && is_identifier(method)).then_some(&self.otherwise);
        };
        service.methods.get(method).or_else(|| service.others.as_ref().filter(|_| is_identifier(method)))
    }
}

impl RequirementPolicy for GrpcMethods {
    fn requirement(&self, request: &RequestHead<'_>) -> Requirement {
        let path = request.uri().path();
        match self.find(path).filter(|_| request.uri().query().is_none()) {
            Some(requirement) => requirement.clone(),
            None => Requirement::deny("not the path of a gRPC method, or a method that must be listed"),
        }
    }

    fn scopes(&self) -> Vec<Scope> {
        let services = self.services.values();
        let listed = services.flat_map(|service| service.methods.values().chain(&service.others));
        let mut scopes: Vec<_> =
            listed.chain([&self.otherwise]).flat_map(Requirement::all_scopes).cloned().collect();
        scopes.sort();
        scopes.dedup();
        scopes
    }

    fn describe(&self) -> PolicyDescription {
        let mut services: Vec<_> = self.services.iter().collect();
        services.sort_by_key(|(name, _)| *name);
        let mut rules = Vec::new();
        for (name, service) in services {
            let mut methods: Vec<_> = service.methods.iter().collect();
            methods.sort_by_key(|(method, _)| *method);
            for (method, requirement) in methods {
                rules.push(RuleDescription::new(format!("/{name}/{method}"), requirement.clone()));
            }
            let others = service.others.clone().unwrap_or_else(|| Requirement::deny("method must be listed"));
            rules.push(RuleDescription::new(format!("/{name}/*"), others));
        }
        rules.push(RuleDescription::new("all other methods", self.otherwise.clone()));
        PolicyDescription::new(rules)
    }
}

impl GrpcMethodsBuilder {
    /// Sets what a method such as `/orders.v1.Orders/List` requires.
    ///
    /// The requirement is a scope, an array of scopes that are all required, a
    /// [`ScopeRequirement`](crate::ScopeRequirement) or a [`Requirement`].
    pub fn method(mut self, path: impl Into<String>, requirement: impl Into<Requirement>) -> Self {
        self.methods.push((path.into(), requirement.into()));
        self
    }

    /// Opens a method to calls without a token.
    pub fn public(self, path: impl Into<String>) -> Self {
        self.method(path, Requirement::public())
    }

    /// Sets what the methods of a service such as `orders.v1.Orders` require.
    ///
    /// It does not apply to methods that are listed with [`method`](Self::method).
    pub fn service(mut self, name: impl Into<String>, requirement: impl Into<Requirement>) -> Self {
        self.services.push((name.into(), requirement.into()));
        self
    }

    /// Sets what health checks (`grpc.health.v1.Health`) require. Default: they are refused.
    ///
    /// Load balancers usually have no token and need `Requirement::public()`.
    pub fn health(self, requirement: impl Into<Requirement>) -> Self {
        self.service(HEALTH, requirement)
    }

    /// Sets what reflection requires. Default: it is refused.
    ///
    /// Applies to the service `ServerReflection` of `grpc.reflection.v1` and `grpc.reflection.v1alpha`.
    pub fn reflection(self, requirement: impl Into<Requirement>) -> Self {
        let requirement = requirement.into();
        REFLECTION.into_iter().fold(self, |builder, name| builder.service(name, requirement.clone()))
    }

    /// Sets what methods that are not listed require. Default: they are refused.
    ///
    /// It does not apply to health checks and reflection, which must be listed, and not to paths that are not those of gRPC
    /// methods, which are always refused.
    ///
    /// [`build`](Self::build) refuses a public requirement, so that a new method is never open by accident. See
    /// [`dangerously_public_otherwise`](Self::dangerously_public_otherwise).
    pub fn otherwise(mut self, requirement: impl Into<Requirement>) -> Self {
        self.otherwise = requirement.into();
        self.may_otherwise_be_public = false;
        self
    }

    /// Opens every method that is not listed to calls without a token. Default: they are refused.
    ///
    /// # Security
    /// Every method that the service adds later is public too, and so is every method that was forgotten. Prefer
    /// [`public`](Self::public) for each public method.
    pub fn dangerously_public_otherwise(mut self) -> Self {
        self.otherwise = Requirement::public();
        self.may_otherwise_be_public = true;
        self
    }

    /// Checks the names.
    ///
    /// # Errors
    /// If a name is invalid or listed twice, or [`otherwise`](Self::otherwise) is public. The error lists all problems.
    pub fn build(self) -> Result<GrpcMethods, ConfigError> {
        let mut problems = Vec::new();
        if self.otherwise == Requirement::public() && !self.may_otherwise_be_public {
            let expected = "expected a requirement that is not public, so that a new method is not open by accident; to open all \
                            methods that are not listed, use dangerously_public_otherwise";
            problems.push(Problem::without_value("otherwise", expected));
        }
        let mut services = ByName::<Service>::default();
        for (path, requirement) in self.methods {
            let names = split(&path).filter(|(name, method)| is_service(name) && is_identifier(method));
            let Some((name, method)) = names else {
                let expected = "expected a path such as \"/package.Service/Method\"";
                problems.push(Problem::new("method", path, expected));
                continue;
            };
            match services.entry(name.into()).or_default().methods.entry(method.into()) {
                Entry::Vacant(entry) => {
                    entry.insert(requirement);
                }
                Entry::Occupied(_) => problems.push(Problem::new("method", path, ONCE)),
            }
        }
        let mut listed = HashSet::new();
        for (name, requirement) in self.services {
            if !is_service(&name) {
                problems.push(Problem::new("service", name, "expected a name such as \"package.Service\""));
            } else if !listed.insert(name.clone()) {
                problems.push(Problem::new("service", name, ONCE));
            } else {
                services.entry(name.into()).or_default().others = Some(requirement);
            }
        }
        for service in services.values_mut() {
            service.others.get_or_insert_with(|| self.otherwise.clone());
        }
        for name in REFLECTION.into_iter().chain([HEALTH]) {
            let service = services.entry(name.into()).or_default();
            if !listed.contains(name) {
                service.others = None;
            }
        }
        ConfigError::unless_none(problems, GrpcMethods { services, otherwise: self.otherwise })
    }
}

/// Splits a path such as `/package.Service/Method` (gRPC over HTTP2).
fn split(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix('/')?.split_once('/')
}

const ONCE: &str = "expected each name once";

/// Returns whether a text is a full name in Protocol Buffers: identifiers separated by dots.
fn is_service(name: &str) -> bool {
    let mut is_start = true;
    for byte in name.bytes() {
        let is_dot = byte == b'.';
        if is_dot && is_start || !is_dot && !IN_IDENTIFIERS[usize::from(byte)] {
            return false;
        }
        is_start = is_dot;
    }
    !is_start
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| IN_IDENTIFIERS[usize::from(byte)])
}

/// The bytes of identifiers: ASCII letters, digits and `_`. A table is faster than comparisons.
const IN_IDENTIFIERS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'_';
        byte += 1;
    }
    table
};

const HEALTH: &str = "grpc.health.v1.Health";
const REFLECTION: [&str; 2] =
    ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

impl fmt::Debug for GrpcMethods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcMethods")
            .field("services", &self.services)
            .field("otherwise", &self.otherwise)
            .finish()
    }
}
