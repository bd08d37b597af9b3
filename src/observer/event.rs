//! The events that an observer receives: [`Event`].

use std::{fmt, time::Duration};

use http::StatusCode;
use serde::Serialize;

/// An event of a resource server. It contains only times, fixed words and configured issuers.
///
/// Errors are fixed words in snake case. Variants and fields may be added, so patterns need `..`.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A layer decided about a request.
    ///
    /// If a request passes several layers, there is one event for each. There is none if the client disconnected before the
    /// decision.
    #[non_exhaustive]
    RequestDecided {
        /// The decision.
        outcome: Outcome,
        /// The time from the call of the layer to the decision, including the validation of the token and the
        /// [`Authorizer`](crate::Authorizer).
        duration: Duration,
        /// Whether an outer layer of the same resource server had already validated the token.
        is_inner: bool,
    },
    /// A request was answered with a refusal of this crate: by a layer, an extractor, or a handler that returned a
    /// [`Refusal`](crate::Refusal). Also sent when a stream ends because its token expired.
    #[non_exhaustive]
    RequestRefused {
        /// The HTTP status, also if the refusal was sent as a gRPC status.
        status: StatusCode,
        /// The `error` of the challenge, such as `invalid_token`. `None` if it has none, or if there is no challenge.
        error_code: Option<&'static str>,
        /// The cause: [`ValidationError::kind`](crate::ValidationError::kind).
        error: &'static str,
    },
    /// The verdict on a token was looked up in the cache.
    #[non_exhaustive]
    VerdictLookup {
        /// Whether a valid entry was found.
        hit: bool,
    },
    /// The validator was called, because no verdict was in the cache.
    #[non_exhaustive]
    ValidatorCalled {
        /// The time it took.
        duration: Duration,
        /// Whether the token is valid. The error is [`ValidationError::kind`](crate::ValidationError::kind).
        result: Result<(), &'static str>,
    },
    /// Keys were fetched, and the metadata too if it had to be refreshed.
    #[non_exhaustive]
    KeysFetched {
        /// The configured issuer.
        issuer: &'a str,
        /// The time it took.
        duration: Duration,
        /// The error is `no_response`, `unusable` (an error status, or a response that is not a usable key set) or
        /// `not_completed` (a panic, or the runtime was shut down).
        result: Result<(), &'static str>,
    },
    /// The introspection endpoint was called.
    #[non_exhaustive]
    IntrospectionCalled {
        /// The configured issuer.
        issuer: &'a str,
        /// The time it took, including the search for the endpoint.
        duration: Duration,
        /// Whether there was a usable answer, active or not. The error is `too_many_calls` (no request was sent),
        /// `no_response`, `unavailable`, `malformed` or `refused` (our credential or the URL of the endpoint is wrong).
        result: Result<(), &'static str>,
    },
    /// A [resolver](crate::tenants::IssuerResolver) was asked about an issuer that nobody has verified.
    #[non_exhaustive]
    ResolverCalled {
        /// The time until the answer could be used, including the creation of the validator.
        duration: Duration,
        /// The error is `unavailable` (the resolver returned an error), `internal` (it returned an internal error, or a
        /// tenant that cannot be used), `timeout`, `panicked` or `too_many_calls` (it was not asked).
        result: Result<ResolvedIssuer, &'static str>,
    },
    /// Keys or introspection began to fail, or work again.
    #[non_exhaustive]
    SourceStateChanged {
        /// The configured issuer.
        issuer: &'a str,
        /// What failed or works again.
        source: SourceKind,
        /// Whether the last attempt succeeded. The keys of an earlier one stay in use.
        working: bool,
    },
}

/// What a layer decided about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It was passed on with a valid token.
    Admitted,
    /// It was passed on without a token.
    Anonymous,
    /// It was refused.
    #[non_exhaustive]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// The cause: [`ValidationError::kind`](crate::ValidationError::kind).
        error: &'static str,
    },
}

/// What a resolver knows about an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResolvedIssuer {
    /// It is the issuer of a tenant.
    Known,
    /// It is not. The token is refused.
    Unknown,
}

impl ResolvedIssuer {
    /// Returns the name in snake case, for metrics: `known` or `unknown`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Unknown => "unknown",
        }
    }
}

/// What a validator needs from an authorization server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SourceKind {
    /// Its published keys.
    Keys,
    /// Keys that were configured. They never fail.
    ConfiguredKeys,
    /// Its introspection endpoint.
    Introspection,
}

impl SourceKind {
    /// Returns the name in snake case, for metrics: `keys`, `configured_keys` or `introspection`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::ConfiguredKeys => "configured_keys",
            Self::Introspection => "introspection",
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
