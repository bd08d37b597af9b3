//! Why a request was refused, for operators: [`ValidationError`].
//!
//! Each variant contains what was found and what was expected, never the token. It is not sent to the client, which
//! receives a [`Rejection`](crate::Rejection). The error is in the extensions of the response as
//! [`RejectionReason`](crate::RejectionReason), for access logs and metrics.
//!
//! ```
//! use tower_bearer::{Rejection, ValidationError};
//!
//! let error = ValidationError::MissingClaim("exp");
//!
//! assert_eq!(error.to_string(), "claim \"exp\" missing");
//! assert_eq!(error.kind(), "missing_claim");
//! assert_eq!(Rejection::from(&error), Rejection::InvalidToken);
//! ```
//!
//! More fields may be added to variants with named fields, so a pattern needs `..`. A custom validator creates errors
//! with [`refused`](ValidationError::refused), [`unavailable`](ValidationError::unavailable) and
//! [`internal`](ValidationError::internal), and can use the other variants without named fields.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use super::{ClaimError, Excerpt, Rejection};
use crate::{ScopeRequirement, Scopes, UnixTime};

/// Why a token or a request was refused.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValidationError {
    /// The request has no bearer credentials.
    #[error("no bearer credentials")]
    NoCredentials,
    /// The request has more than one `Authorization` field.
    #[error("{found} authorization fields, expected one (RFC 9110 section 5.3)")]
    #[non_exhaustive]
    MultipleAuthorizationHeaders {
        /// The number of fields.
        found: usize,
    },
    /// What follows `Bearer` is not one token68.
    #[error("malformed credentials, expected \"Bearer\", a space and a token68 (RFC 6750 section 2.1)")]
    MalformedCredentials,
    /// The token is longer than the limit.
    #[error("token has {length} bytes, expected at most {limit}")]
    #[non_exhaustive]
    TokenTooLong {
        /// The token's length in bytes.
        length: usize,
        /// The maximum length in bytes.
        limit: usize,
    },
    /// The token is not a JWT that this crate accepts.
    #[error("not an acceptable JWT: {0}")]
    MalformedToken(&'static str),
    /// The JOSE header has a wrong `typ`.
    #[error("typ {} not accepted, expected {expected} (RFC 9068 section 4)", Excerpt::or_absent(.found.as_ref()))]
    #[non_exhaustive]
    TypeNotAccepted {
        /// The header's `typ`.
        found: Option<Excerpt>,
        /// The accepted values.
        expected: &'static str,
    },
    /// The JOSE header names an algorithm that is not configured.
    #[error("alg {found} not accepted, expected one of {accepted} (RFC 8725 section 3.1)")]
    #[non_exhaustive]
    AlgorithmNotAccepted {
        /// The header's `alg`.
        found: Excerpt,
        /// The configured algorithms.
        accepted: Box<str>,
    },
    /// No validator is configured for this issuer or token format.
    #[error("no validator for issuer {}", Excerpt::or_absent(.found.as_ref()))]
    #[non_exhaustive]
    UnknownIssuer {
        /// The unverified issuer in the token.
        found: Option<Excerpt>,
    },
    /// The token was issued by another authorization server.
    #[error("issuer {found} not accepted, expected {expected:?} (RFC 9068 section 4)")]
    #[non_exhaustive]
    IssuerMismatch {
        /// The configured issuer.
        expected: Box<str>,
        /// The token's `iss`.
        found: Excerpt,
    },
    /// The authorization server has not published a matching key.
    #[error("no key for kid {} and alg {algorithm}", Excerpt::or_absent(.kid.as_ref()))]
    #[non_exhaustive]
    UnknownKey {
        /// The header's `kid`.
        kid: Option<Excerpt>,
        /// The header's `alg`.
        algorithm: &'static str,
    },
    /// The header has no `kid`, and several keys match.
    #[error("no kid, and {candidates} keys match alg {algorithm}, expected one")]
    #[non_exhaustive]
    AmbiguousKey {
        /// The number of matching keys.
        candidates: usize,
        /// The header's `alg`.
        algorithm: &'static str,
    },
    /// The signature does not verify.
    #[error("signature does not verify (RFC 7515 section 5.2)")]
    BadSignature,
    /// A required claim is missing.
    #[error("claim {0:?} missing")]
    MissingClaim(&'static str),
    /// A claim has the wrong JSON type or is out of range, or the claims are not a JSON object.
    #[error(transparent)]
    Claims(ClaimError),
    /// The token has expired.
    #[error("token expired, exp {exp}, now {now}, clock skew {clock_skew:?} (RFC 7519 section 4.1.4)")]
    #[non_exhaustive]
    Expired {
        /// The token's `exp`.
        exp: UnixTime,
        /// Our time.
        now: UnixTime,
        /// What was tolerated.
        clock_skew: Duration,
    },
    /// The token is not valid yet.
    #[error(
        "token not valid yet, {claim} {from}, now {now}, clock skew {clock_skew:?} (RFC 7519 section 4.1)"
    )]
    #[non_exhaustive]
    NotYetValid {
        /// `nbf`, or `iat` if the token was issued in the future.
        claim: &'static str,
        /// The claim's value.
        from: UnixTime,
        /// Our time.
        now: UnixTime,
        /// What was tolerated.
        clock_skew: Duration,
    },
    /// The token was issued too long ago.
    #[error("token too old, iat {iat}, now {now}, expected an age of at most {max_age:?}")]
    #[non_exhaustive]
    TooOld {
        /// The token's `iat`.
        iat: UnixTime,
        /// Our time.
        now: UnixTime,
        /// The configured age.
        max_age: Duration,
    },
    /// The token is for another resource server. Its `aud` is not shown, because in an ID token it identifies a client.
    #[error("audience not accepted, {found} found, expected one of {} (RFC 9068 section 4)", List(.expected))]
    #[non_exhaustive]
    AudienceMismatch {
        /// The configured audience.
        expected: Vec<Box<str>>,
        /// Number of other audiences in the token's `aud`; zero if it has none.
        found: usize,
    },
    /// The token is of another type, such as an ID token or a refresh token.
    #[error("not an access token: expected {expected} (RFC 8725 section 3.12)")]
    #[non_exhaustive]
    NotAnAccessToken {
        /// The rule for access tokens.
        expected: Box<str>,
    },
    /// A [`ClaimRule`](crate::ClaimRule) or [`RequestRule`](crate::RequestRule) of the program is not met. What the token has
    /// instead is not shown.
    #[error("claim rule not met: {rule}")]
    #[non_exhaustive]
    ClaimRule {
        /// The name of the rule.
        rule: Arc<str>,
        /// How the rule refuses: [`InvalidToken`](Rejection::InvalidToken) or [`Forbidden`](Rejection::Forbidden).
        rejection: Rejection,
    },
    /// The token is bound to a key. This crate does not verify proofs of possession.
    #[error("token is bound to a key (cnf), which a bearer request does not prove (RFC 7800 section 3.1)")]
    SenderConstraintNotProved,
    /// The authorization server or a custom validator reports that the token is not active.
    #[error("token not active (RFC 7662 section 2.2)")]
    Inactive,
    /// The token is valid, but its scopes do not allow this operation.
    #[error("scope {} not sufficient, expected {required} (RFC 6750 section 3.1)", Excerpt::new(&.granted.to_string()))]
    #[non_exhaustive]
    InsufficientScope {
        /// The required scopes.
        required: ScopeRequirement,
        /// The scopes of the token.
        granted: Scopes,
    },
    /// The token is valid, but the user authenticated too long ago or not in a required way.
    #[error("{reason}, expected {} (RFC 9470 section 3)", Authentication(acr_values, *max_age))]
    #[non_exhaustive]
    InsufficientUserAuthentication {
        /// What is wrong.
        reason: &'static str,
        /// The accepted values of `acr`. Empty: any.
        acr_values: Arc<[Box<str>]>,
        /// The maximum time since the user authenticated. `None`: any.
        max_age: Option<Duration>,
    },
    /// A [requirement](crate::Requirement::deny) or an [`Authorizer`](crate::Authorizer) denied the operation. Created with
    /// [`denied`](Self::denied).
    #[error("operation not allowed: {source}")]
    #[non_exhaustive]
    Denied {
        /// Why.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The request is malformed or ambiguous, according to a [policy](crate::Requirement::malformed) or a layer for MCP. Created
    /// with [`malformed_request`](Self::malformed_request).
    #[error("malformed request: {source}")]
    #[non_exhaustive]
    MalformedRequest {
        /// Why.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The token is valid, but its claims do not have the type that the handler expects.
    #[error("claims of the validated token do not fit the handler: {0}")]
    ClaimsDoNotFit(ClaimError),
    /// A handler extracts a token, but there is no layer in front of it.
    #[error("no validated token: put a layer of the resource server in front of this handler")]
    NoLayer,
    /// The keys of the authorization server could not be fetched.
    #[error("keys of {issuer:?} unavailable: {reason}")]
    #[non_exhaustive]
    KeysUnavailable {
        /// The configured issuer.
        issuer: Box<str>,
        /// Why.
        reason: Arc<str>,
        /// When the next attempt will be made.
        retry_after: Duration,
    },
    /// The introspection endpoint is unavailable.
    #[error("introspection at {issuer:?} unavailable: {reason}")]
    #[non_exhaustive]
    IntrospectionUnavailable {
        /// The configured issuer.
        issuer: Box<str>,
        /// Why.
        reason: Arc<str>,
        /// When to come again.
        retry_after: Duration,
    },
    /// The introspection endpoint sent an invalid response.
    #[error("invalid introspection response from {issuer:?}: {reason} (RFC 7662 section 2.2)")]
    #[non_exhaustive]
    IntrospectionMalformed {
        /// The configured issuer.
        issuer: Box<str>,
        /// Why.
        reason: Arc<str>,
    },
    /// The introspection endpoint refused the request. The credential or the endpoint is not configured correctly.
    #[error(
        "introspection at {issuer:?} refused with status {status}, check this resource server's credential (RFC 7662 section 2.3)"
    )]
    #[non_exhaustive]
    IntrospectionRefused {
        /// The configured issuer.
        issuer: Box<str>,
        /// The HTTP status.
        status: u16,
    },
    /// A custom validator refuses the token. Created with [`refused`](Self::refused).
    #[error("token refused: {source}")]
    #[non_exhaustive]
    Refused {
        /// Why.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// A custom validator or an [`Authorizer`](crate::Authorizer) is unavailable. The token may be valid. Created with
    /// [`unavailable`](Self::unavailable).
    #[error("token cannot be checked now: {source}")]
    #[non_exhaustive]
    Unavailable {
        /// Why.
        source: Arc<dyn Error + Send + Sync>,
        /// When the client may try again.
        retry_after: Duration,
    },
    /// The token cannot be validated because of a bug, such as a panic, or an incorrect configuration. Created with
    /// [`internal`](Self::internal).
    #[error("token cannot be validated: {source}")]
    #[non_exhaustive]
    Internal {
        /// Why.
        source: Arc<dyn Error + Send + Sync>,
    },
}

impl ValidationError {
    /// Returns the name of the variant in snake case, such as `bad_signature`, for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoCredentials => "no_credentials",
            Self::MultipleAuthorizationHeaders { .. } => "multiple_authorization_headers",
            Self::MalformedCredentials => "malformed_credentials",
            Self::TokenTooLong { .. } => "token_too_long",
            Self::MalformedToken(_) => "malformed_token",
            Self::TypeNotAccepted { .. } => "type_not_accepted",
            Self::AlgorithmNotAccepted { .. } => "algorithm_not_accepted",
            Self::UnknownIssuer { .. } => "unknown_issuer",
            Self::IssuerMismatch { .. } => "issuer_mismatch",
            Self::UnknownKey { .. } => "unknown_key",
            Self::AmbiguousKey { .. } => "ambiguous_key",
            Self::BadSignature => "bad_signature",
            Self::MissingClaim(_) => "missing_claim",
            Self::Claims(_) => "claims",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::TooOld { .. } => "too_old",
            Self::AudienceMismatch { .. } => "audience_mismatch",
            Self::NotAnAccessToken { .. } => "not_an_access_token",
            Self::ClaimRule { .. } => "claim_rule",
            Self::SenderConstraintNotProved => "sender_constraint_not_proved",
            Self::Inactive => "inactive",
            Self::InsufficientScope { .. } => "insufficient_scope",
            Self::InsufficientUserAuthentication { .. } => "insufficient_user_authentication",
            Self::Denied { .. } => "denied",
            Self::MalformedRequest { .. } => "malformed_request",
            Self::ClaimsDoNotFit(_) => "claims_do_not_fit",
            Self::NoLayer => "no_layer",
            Self::KeysUnavailable { .. } => "keys_unavailable",
            Self::IntrospectionUnavailable { .. } => "introspection_unavailable",
            Self::IntrospectionMalformed { .. } => "introspection_malformed",
            Self::IntrospectionRefused { .. } => "introspection_refused",
            Self::Refused { .. } => "refused",
            Self::Unavailable { .. } => "unavailable",
            Self::Internal { .. } => "internal",
        }
    }
}

/// Formats audiences for a message: quoted, with a limited number and length.
struct List<'a>(&'a [Box<str>]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        let mut list = f.debug_list();
        list.entries(self.0.iter().take(SHOWN).map(|text| Excerpt::new(text)));
        if self.0.len() > SHOWN {
            list.entry(&format_args!("… {} more", self.0.len() - SHOWN));
        }
        list.finish()
    }
}

/// Formats a required authentication for a message.
struct Authentication<'a>(&'a [Box<str>], Option<Duration>);

impl fmt::Display for Authentication<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(acr_values, max_age) = self;
        if !acr_values.is_empty() {
            write!(f, "one of {acr_values:?}")?;
        }
        match max_age {
            Some(age) if acr_values.is_empty() => write!(f, "an authentication within {} s", age.as_secs()),
            Some(age) => write!(f, " within {} s", age.as_secs()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_of_step_up_has_only_what_is_required() {
        let message = |acr_values: &[&str], max_age| {
            let acr_values = acr_values.iter().map(|&value| value.into()).collect();
            ValidationError::InsufficientUserAuthentication {
                reason: "acr not accepted",
                acr_values,
                max_age,
            }
            .to_string()
        };
        let minute = Some(Duration::from_secs(60));

        let rest = " (RFC 9470 section 3)";
        assert_eq!(message(&["phr"], None), format!("acr not accepted, expected one of [\"phr\"]{rest}"));
        assert_eq!(
            message(&["phr"], minute),
            format!("acr not accepted, expected one of [\"phr\"] within 60 s{rest}")
        );
        assert_eq!(
            message(&[], minute),
            format!("acr not accepted, expected an authentication within 60 s{rest}")
        );
    }

    #[test]
    fn long_lists_of_audiences_are_truncated() {
        let error = ValidationError::AudienceMismatch {
            expected: (0..100).map(|index| index.to_string().into()).collect(),
            found: 3,
        };

        assert_eq!(
            error.to_string(),
            "audience not accepted, 3 found, expected one of [\"0\", \"1\", \"2\", \"3\", \"4\", \"5\", \"6\", \"7\", \
             … 92 more] (RFC 9068 section 4)"
        );
    }

    #[test]
    fn the_cause_of_an_outage_is_its_source() {
        let error = ValidationError::unavailable("table locked");

        assert_eq!(error.source().unwrap().to_string(), "table locked");
        assert_eq!(error.kind(), "unavailable");
    }
}
