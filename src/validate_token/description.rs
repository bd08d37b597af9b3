//! What layers require, for reviews: [`LayerDescription`].

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use super::Guard;
use crate::{PolicyDescription, Scope};

/// What a layer requires, for reviews.
///
/// Returned by [`ValidateTokenLayer::describe`](super::ValidateTokenLayer::describe), and for all layers by
/// [`ResourceServer::layers`](crate::ResourceServer::layers). Its `Display` is the place where the layer was created, with a table of
/// its rules. It can be serialized as an object with `created_at`, `rules`, `advertised`, `authorizer` and `grpc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerDescription {
    created_at: String,
    policy: PolicyDescription,
    advertised: Vec<Scope>,
    has_authorizer: bool,
    is_grpc: bool,
}

impl LayerDescription {
    pub(crate) fn of(guard: &Guard) -> Self {
        let place = guard.created_at();
        Self {
            created_at: format!("{}:{}", place.file(), place.line()),
            policy: guard.describe_policy(),
            advertised: guard.advertised().to_vec(),
            has_authorizer: guard.authorizer.is_some(),
            is_grpc: guard.grpc,
        }
    }

    /// Returns the file and the line in which the layer was created, such as `src/main.rs:31`.
    pub fn created_at(&self) -> &str {
        &self.created_at
    }

    /// Returns what the policy of the layer requires. For a fixed requirement, this is one rule.
    pub fn policy(&self) -> &PolicyDescription {
        &self.policy
    }

    /// Returns the scopes that are [advertised](super::ValidateTokenLayer::advertise).
    pub fn advertised(&self) -> &[Scope] {
        &self.advertised
    }

    /// Returns whether an [`Authorizer`](super::Authorizer) also decides about requests with a token.
    pub fn has_authorizer(&self) -> bool {
        self.has_authorizer
    }

    /// Returns whether the layer refuses gRPC calls with a gRPC status.
    pub fn is_grpc(&self) -> bool {
        self.is_grpc
    }
}

impl fmt::Display for LayerDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.created_at)?;
        if self.is_grpc {
            f.write_str(", for gRPC")?;
        }
        if self.has_authorizer {
            f.write_str(", with an authorizer")?;
        }
        f.write_str("\n")?;
        for line in self.policy.to_string().lines() {
            writeln!(f, "    {line}")?;
        }
        if !self.advertised.is_empty() {
            let scopes: Vec<_> = self.advertised.iter().map(Scope::as_str).collect();
            writeln!(f, "    advertised: {}", scopes.join(" "))?;
        }
        Ok(())
    }
}

impl Serialize for LayerDescription {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("LayerDescription", 5)?;
        object.serialize_field("created_at", &self.created_at)?;
        object.serialize_field("rules", &self.policy)?;
        object
            .serialize_field("advertised", &self.advertised.iter().map(Scope::as_str).collect::<Vec<_>>())?;
        object.serialize_field("authorizer", &self.has_authorizer)?;
        object.serialize_field("grpc", &self.is_grpc)?;
        object.end()
    }
}
