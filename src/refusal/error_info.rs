//! Writes the details of a gRPC status: a `google.rpc.Status` with a `google.rpc.ErrorInfo`.
//!
//! | field | value |
//! |---|---|
//! | `reason` | for example `INSUFFICIENT_SCOPE` |
//! | `domain` | the resource identifier, or else the realm, or else `api` |
//! | `metadata` | `scope`, `acr_values`, `max_age`, `resource_metadata`: as in the challenge |

use super::{Refusal, Rejection, ValidationError, challenge::DEFAULT_REALM};
use crate::requirement::scope_list;

/// Maximum length of the details in bytes, before Base64. With the challenge, the trailers stay below 8 KiB in total.
const MAX_DETAILS_LEN: usize = 768;

impl Refusal {
    /// Returns the details of the gRPC status. If they are too long, the longest values are left out.
    pub(crate) fn grpc_details(&self) -> Vec<u8> {
        let mut metadata = self.error_metadata();
        loop {
            let details = self.write_details(&metadata);
            if details.len() <= MAX_DETAILS_LEN || metadata.is_empty() {
                return details;
            }
            let longest = metadata.iter().enumerate().max_by_key(|(_, (_, value))| value.len());
            let (longest, _) = longest.expect("not empty");
            metadata.remove(longest);
        }
    }

    /// Returns the parameters of the challenge, if there is one.
    fn error_metadata(&self) -> Vec<(&'static str, String)> {
        let mut metadata = Vec::new();
        if !self.rejection().is_challenge() {
            return metadata;
        }
        if !self.scopes().is_empty() {
            metadata.push(("scope", scope_list(self.scopes())));
        }
        if let ValidationError::InsufficientUserAuthentication { acr_values, max_age, .. } = self.error() {
            if !acr_values.is_empty() {
                metadata.push(("acr_values", acr_values.join(" ")));
            }
            if let Some(max_age) = max_age {
                metadata.push(("max_age", max_age.as_secs().to_string()));
            }
        }
        if let Some(url) = &self.0.settings.challenge.resource_metadata {
            metadata.push(("resource_metadata", url.to_string()));
        }
        metadata
    }

    /// Writes `google.rpc.Status` (code, message, details) around `google.protobuf.Any` (type URL, value) around
    /// `google.rpc.ErrorInfo` (reason, domain, metadata).
    fn write_details(&self, metadata: &[(&str, String)]) -> Vec<u8> {
        let challenge = &self.0.settings.challenge;
        let domain = challenge.resource.as_deref().or(challenge.realm.as_deref()).unwrap_or(DEFAULT_REALM);
        let mut info = Message::default();
        info.bytes(1, reason(self.rejection()).as_bytes());
        info.bytes(2, domain.as_bytes());
        for (key, value) in metadata {
            let mut entry = Message::default();
            entry.bytes(1, key.as_bytes());
            entry.bytes(2, value.as_bytes());
            info.bytes(3, &entry.0);
        }
        let mut any = Message::default();
        any.bytes(1, b"type.googleapis.com/google.rpc.ErrorInfo");
        any.bytes(2, &info.0);
        let mut status = Message::default();
        status.number(1, self.grpc_status().into());
        status.bytes(2, self.rejection().description().as_bytes());
        status.bytes(3, &any.0);
        status.0
    }
}

/// Returns the reason of an `ErrorInfo`, which consists of upper-case letters and underscores.
fn reason(rejection: Rejection) -> &'static str {
    match rejection {
        Rejection::Unauthorized => "TOKEN_REQUIRED",
        Rejection::InvalidRequest => "INVALID_REQUEST",
        Rejection::InvalidToken => "INVALID_TOKEN",
        Rejection::InsufficientScope => "INSUFFICIENT_SCOPE",
        Rejection::InsufficientUserAuthentication => "INSUFFICIENT_USER_AUTHENTICATION",
        Rejection::Forbidden => "FORBIDDEN",
        Rejection::MalformedRequest => "MALFORMED_REQUEST",
        Rejection::Unavailable { .. } => "UNAVAILABLE",
        Rejection::BadGateway => "BAD_GATEWAY",
        Rejection::Internal => "INTERNAL",
    }
}

/// A message in the wire format of Protocol Buffers.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    /// Writes a field of type `int32`.
    fn number(&mut self, field: u8, value: u64) {
        const VARINT: u8 = 0;
        self.0.push(field << 3 | VARINT);
        self.varint(value);
    }

    /// Writes a field that is a string or a message.
    fn bytes(&mut self, field: u8, value: &[u8]) {
        const LENGTH_DELIMITED: u8 = 2;
        self.0.push(field << 3 | LENGTH_DELIMITED);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    fn varint(&mut self, mut value: u64) {
        const CONTINUES: u8 = 0x80;
        while value >= CONTINUES.into() {
            self.0.push(value as u8 | CONTINUES);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}
