//! Decides by gRPC method: [`GrpcMethods`].

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasherDefault, Hasher},
};

use super::{Requirement, RequirementPolicy};
use crate::{ConfigError, RequestHead, Scope, config_error::Problem};

/// Decides by gRPC method what a call requires.
///
/// Methods that are not listed are refused with 7 `PERMISSION_DENIED`, unless there is an
/// [`otherwise`](GrpcMethodsBuilder::otherwise). Give it to
/// [`ResourceServer::require_by`](crate::ResourceServer::require_by), on a layer with
/// [`grpc()`](crate::ValidateTokenLayer::grpc).
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
///     Ok(resource_server.require_by(methods).grpc())
/// }
/// # let _ = layer;
/// ```
///
/// # Security
/// Paths are compared exactly and with case, as in gRPC: `/package.Service/Method`. Anything else is refused, such as a path with a
/// query, with escapes or with a slash at its end.
///
/// # Cost
/// A decision takes about 50 ns, or about 100 ns for a method that is not listed at all. It does not allocate.
pub struct GrpcMethods {
    /// By path.
    methods: Lines,
    /// By the name of the service.
    services: Lines,
    otherwise: Requirement,
}

/// Builds [`GrpcMethods`].
#[derive(Debug)]
#[must_use]
pub struct GrpcMethodsBuilder {
    methods: Vec<(String, Requirement)>,
    services: Vec<(String, Requirement)>,
    otherwise: Requirement,
}

impl GrpcMethods {
    /// Creates a builder without methods.
    pub fn builder() -> GrpcMethodsBuilder {
        GrpcMethodsBuilder {
            methods: Vec::new(),
            services: Vec::new(),
            otherwise: Requirement::deny("no rule for this method"),
        }
    }

    fn find(&self, path: &str) -> Option<&Requirement> {
        if let Some(requirement) = self.methods.get(path) {
            return Some(requirement);
        }
        let (service, method) = split(path)?;
        if !is_identifier(method) {
            return None;
        }
        self.services.get(service).or_else(|| {
            let must_be_listed = service == HEALTH || REFLECTION.contains(&service);
            (is_service(service) && !must_be_listed).then_some(&self.otherwise)
        })
    }
}

/// Requirements by name.
type Lines = HashMap<Box<str>, Requirement, BuildHasherDefault<NameHasher>>;

/// A fast hash. A client cannot cause collisions, because all stored names are from the configuration.
#[derive(Default)]
struct NameHasher(u64);

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        // An odd number with about as many ones as zeros: the golden ratio in 64 bits.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0.rotate_left(23) ^ u64::from_le_bytes(word)).wrapping_mul(FACTOR);
        }
    }

    /// Mixes the upper half into the lower one, because only the upper half depends on all bits.
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
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
        let listed = self.methods.values().chain(self.services.values());
        let mut scopes: Vec<_> =
            listed.chain([&self.otherwise]).flat_map(Requirement::all_scopes).cloned().collect();
        scopes.sort();
        scopes
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
    pub fn otherwise(mut self, requirement: impl Into<Requirement>) -> Self {
        self.otherwise = requirement.into();
        self
    }

    /// Checks the names.
    ///
    /// # Errors
    /// If a name is invalid or listed twice. The error lists all of them.
    pub fn build(self) -> Result<GrpcMethods, ConfigError> {
        let mut problems = Vec::new();
        let mut collect =
            |setting: &'static str, lines: Vec<(String, Requirement)>, is_valid: fn(&str) -> bool| {
                let mut listed = Lines::default();
                for (name, requirement) in lines {
                    if !is_valid(&name) {
                        let expected = match setting {
                            "method" => "expected a path such as \"/package.Service/Method\"",
                            _ => "expected a name such as \"package.Service\"",
                        };
                        problems.push(Problem::new(setting, name, expected));
                    } else if listed.contains_key(&*name) {
                        problems.push(Problem::new(setting, name, "expected each name once"));
                    } else {
                        listed.insert(name.into(), requirement);
                    }
                }
                listed
            };
        let methods = collect("method", self.methods, is_method);
        let services = collect("service", self.services, is_service);
        ConfigError::unless_none(problems, GrpcMethods { methods, services, otherwise: self.otherwise })
    }
}

/// Splits a path such as `/package.Service/Method` (gRPC over HTTP2).
fn split(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix('/')?.split_once('/')
}

fn is_method(path: &str) -> bool {
    split(path).is_some_and(|(service, method)| is_service(service) && is_identifier(method))
}

/// Returns whether a text is a full name in Protocol Buffers: identifiers separated by dots.
fn is_service(name: &str) -> bool {
    name.split('.').all(is_identifier)
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

const HEALTH: &str = "grpc.health.v1.Health";
const REFLECTION: [&str; 2] =
    ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

impl fmt::Debug for GrpcMethods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcMethods")
            .field("methods", &self.methods)
            .field("services", &self.services)
            .field("otherwise", &self.otherwise)
            .finish()
    }
}
