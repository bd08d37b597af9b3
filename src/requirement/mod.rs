//! What a request requires: [`Requirement`]. A [`RequirementPolicy`] decides it.
//!
//! Scopes are required with a [`ScopeRequirement`]. Some scopes may imply others: [`ScopeHierarchy`].
//!
//! ```
//! use tower_bearer::{Scope, ScopeHierarchy, ScopeRequirement};
//!
//! const READ: Scope = Scope::from_static("orders:read");
//! const WRITE: Scope = Scope::from_static("orders:write");
//! const ADMIN: Scope = Scope::from_static("admin");
//!
//! let one = ScopeRequirement::from(READ);
//! let both = ScopeRequirement::from([READ, WRITE]);
//! let either = ScopeRequirement::any([READ, ADMIN]);
//! let mixed = ScopeRequirement::any([ScopeRequirement::from([READ, WRITE]), ADMIN.into()]);
//! # let _ = (one, both, either, mixed);
//!
//! // From configuration; an empty list is an error.
//! let configured = vec![Scope::new("orders:read")?, Scope::new("orders:write")?];
//! let all = ScopeRequirement::all_of(configured)?;
//! assert!(ScopeRequirement::all_of(Vec::<Scope>::new()).is_err());
//! # let _ = all;
//!
//! // Declared once, on the resource server: `admin` implies `orders:write`, which implies `orders:read`.
//! let hierarchy = ScopeHierarchy::default().implies(ADMIN, [WRITE]).implies(WRITE, [READ]);
//! # let _ = hierarchy;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod description;
mod grpc_methods;
mod hierarchy;
mod name_hash;
mod operation;
mod path_rules;
mod policy;
mod scopes;

pub use self::{
    description::{PolicyDescription, RuleDescription},
    grpc_methods::{GrpcMethods, GrpcMethodsBuilder},
    hierarchy::ScopeHierarchy,
    operation::Requirement,
    path_rules::{PathRules, PathRulesBuilder},
    policy::RequirementPolicy,
    scopes::{EmptyRequirement, ScopeRequirement},
};
pub(crate) use self::{
    operation::{Kind as RequirementKind, TokenRequirement, is_acr},
    scopes::{deduplicated, scope_list},
};
