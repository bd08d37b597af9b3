//! The origins whose scripts may call an MCP server: [`Origins`].

use http::{HeaderMap, header::ORIGIN};
use url::Url;

use crate::config_error::Problem;

/// Serialized origins (RFC 6454 section 6.2).
pub(super) struct Origins(Box<[Box<str>]>);

impl Origins {
    pub(super) fn new(origins: Vec<String>, problems: &mut Vec<Problem>) -> Self {
        for origin in &origins {
            // `null` is the origin of sandboxed documents, which anyone can create.
            let is_origin = Url::parse(origin)
                .is_ok_and(|url| url.has_host() && url.origin().ascii_serialization() == **origin);
            if !is_origin {
                let expected =
                    "expected scheme and host in lower case, without a path (RFC 6454 section 6.2)";
                problems.push(Problem::new("allowed_origins", origin, expected));
            }
        }
        Self(origins.into_iter().map(Into::into).collect())
    }

    /// Returns whether a request has no `Origin`, or a listed one.
    pub(super) fn accept(&self, headers: &HeaderMap) -> bool {
        let mut fields = headers.get_all(ORIGIN).iter();
        match (fields.next(), fields.next()) {
            (None, _) => true,
            (Some(origin), None) => self.0.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()),
            (Some(_), Some(_)) => false,
        }
    }
}
