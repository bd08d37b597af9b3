//! Why a request was refused, for operators: [`ValidationError`].
//!
//! Each variant carries what was found and what was expected, never the token. None of it is sent to the caller: that
//! is the business of [`Rejection`](crate::Rejection), which knows eight answers. The error stays in the extensions of
//! the refusal as [`RejectionReason`](crate::RejectionReason), for access logs and metrics.
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
//! Variants with named fields can get more fields, so a pattern needs `..`. A validator of your own makes errors with
//! [`refused`](ValidationError::refused), [`unavailable`](ValidationError::unavailable) and
//! [`internal`](ValidationError::internal), and can use the other variants without named fields.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use super::ClaimError;
use super::Rejection;
use crate::{ScopeRequirement, Scopes, UnixTime};

/// Why a token, or the request that should carry one, was refused.
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
        /// How many there are.
        found: usize,
    },
    /// What follows `Bearer` is not one token68.
    #[error("malformed credentials, expected \"Bearer\", a space and a token68 (RFC 6750 section 2.1)")]
    MalformedCredentials,
    /// The token is longer than anything that is looked at.
    #[error("token of {length} bytes, at most {limit} are looked at")]
    #[non_exhaustive]
    TokenTooLong {
        /// The token's length in bytes.
        length: usize,
        /// The longest that is looked at.
        limit: usize,
    },
    /// The token is not a JWT, or no JWT that this crate reads.
    #[error("no acceptable JWT: {0}")]
    MalformedToken(&'static str),
    /// The JOSE header has a wrong `typ`.
    #[error("typ {} not accepted, expected {expected} (RFC 9068 section 4)", Excerpt::or_absent(.found.as_ref()))]
    #[non_exhaustive]
    TypeNotAccepted {
        /// The header's `typ`.
        found: Option<Excerpt>,
        /// What is accepted.
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
    /// No validator is configured for this issuer, or for this format of token.
    #[error("no validator for issuer {}", Excerpt::or_absent(.found.as_ref()))]
    #[non_exhaustive]
    UnknownIssuer {
        /// The issuer that the token names, unverified.
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
    /// The authorization server has published no key that fits.
    #[error("no key for kid {} and alg {algorithm}", Excerpt::or_absent(.kid.as_ref()))]
    #[non_exhaustive]
    UnknownKey {
        /// The header's `kid`.
        kid: Option<Excerpt>,
        /// The header's `alg`.
        algorithm: &'static str,
    },
    /// The header has no `kid` and several keys fit.
    #[error("no kid, and {candidates} keys fit alg {algorithm}, expected one")]
    #[non_exhaustive]
    AmbiguousKey {
        /// How many keys fit.
        candidates: usize,
        /// The header's `alg`.
        algorithm: &'static str,
    },
    /// The signature does not verify.
    #[error("signature does not verify (RFC 7515 section 5.2)")]
    BadSignature,
    /// A claim that must be there is not.
    #[error("claim {0:?} missing")]
    MissingClaim(&'static str),
    /// A claim has another JSON type or range than it must have, or the claims are no JSON object.
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
        /// `nbf`, or `iat` for a token from the future.
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
    /// The token is for another resource server. Its `aud` is not shown: in an ID token it is the identifier of a client.
    #[error("audience not accepted, {found} found, expected one of {} (RFC 9068 section 4)", List(.expected))]
    #[non_exhaustive]
    AudienceMismatch {
        /// The configured audience.
        expected: Vec<Box<str>>,
        /// Number of other audiences in the token's `aud`; zero if it has none.
        found: usize,
    },
    /// The token is of another kind, such as an ID token or a refresh token.
    #[error("no access token: expected {expected} (RFC 8725 section 3.12)")]
    #[non_exhaustive]
    NotAnAccessToken {
        /// The rule that tells an access token.
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
    /// The token may only be used by the holder of a key, which nothing here checks.
    #[error("token bound to a key (cnf), which a bearer request does not prove (RFC 7800 section 3.1)")]
    SenderConstraintNotProved,
    /// The authorization server, or your token table, says that the token is not active.
    #[error("token not active (RFC 7662 section 2.2)")]
    Inactive,
    /// The token is good, and does not allow this operation.
    #[error("scope {} not sufficient, expected {required} (RFC 6750 section 3.1)", Excerpt::new(&.granted.to_string()))]
    #[non_exhaustive]
    InsufficientScope {
        /// What the operation needs.
        required: ScopeRequirement,
        /// What the token allows.
        granted: Scopes,
    },
    /// The token is valid, but its claims are not of the type that the handler reads them as.
    #[error("claims of the validated token do not fit the handler: {0}")]
    ClaimsDoNotFit(ClaimError),
    /// A handler asks for a token, and no layer of a resource server is in front of it.
    #[error("no validated token: put a layer of the resource server in front of this handler")]
    NoLayer,
    /// The keys of the authorization server could not be had.
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
    /// The introspection endpoint could not be reached, or is in trouble.
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
    /// The introspection endpoint answered what makes no sense.
    #[error("introspection answer of {issuer:?} makes no sense: {reason} (RFC 7662 section 2.2)")]
    #[non_exhaustive]
    IntrospectionMalformed {
        /// The configured issuer.
        issuer: Box<str>,
        /// Why.
        reason: Arc<str>,
    },
    /// The introspection endpoint refuses us: our credential or the endpoint is configured wrongly.
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
    /// A custom validator refuses the token. Made with [`refused`](Self::refused).
    #[error("token refused: {source}")]
    #[non_exhaustive]
    Refused {
        /// Why.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// A custom validator cannot decide now; the token may be valid. Made with [`unavailable`](Self::unavailable).
    #[error("token cannot be validated now: {source}")]
    #[non_exhaustive]
    Unavailable {
        /// Why.
        source: Arc<dyn Error + Send + Sync>,
        /// When the client may try again.
        retry_after: Duration,
    },
    /// The token cannot be validated because of a bug, such as a panic, or of a wrong configuration. Made with
    /// [`internal`](Self::internal).
    #[error("token cannot be validated: {source}")]
    #[non_exhaustive]
    Internal {
        /// Why.
        source: Arc<dyn Error + Send + Sync>,
    },
}

impl ValidationError {
    /// Returns the name of the variant in lower case, such as `bad_signature`: a label for metrics.
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

    /// Refuses a token in a custom validator: the client gets 401 `invalid_token`.
    ///
    /// `reason` is a text or an error. It is logged at DEBUG, is the [source](Error::source) of this error and is not sent
    /// to the client. Do not put the token or personal data in it. To get an error of your own type back, match
    /// [`Refused`](Self::Refused) and downcast its `source`.
    ///
    /// ```
    /// use tower_bearer::{Rejection, ValidationError};
    ///
    /// let error = ValidationError::refused("API key withdrawn");
    ///
    /// assert_eq!(error.to_string(), "token refused: API key withdrawn");
    /// assert_eq!(Rejection::from(&error), Rejection::InvalidToken);
    /// ```
    pub fn refused(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Refused { source: Arc::from(reason.into()) }
    }

    /// Reports that a custom validator cannot decide now, for example because its database is unreachable: the client
    /// gets 503 and may try again after 2 to 5 seconds. For another time see [`with_retry_after`](Self::with_retry_after).
    ///
    /// `reason` is a text or an error. It is not sent to the client. It is logged at DEBUG for each request, at WARN when an
    /// outage begins; INFO tells that the outage is over (see
    /// [`TokenValidator`](crate::TokenValidator#errors-and-what-is-logged)).
    ///
    /// ```
    /// use tower_bearer::ValidationError;
    ///
    /// let lost = std::io::Error::other("connection to the token table lost");
    /// let error = ValidationError::unavailable(lost);
    ///
    /// assert_eq!(error.to_string(), "token cannot be validated now: connection to the token table lost");
    /// ```
    pub fn unavailable(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable { source: Arc::from(reason.into()), retry_after: DEFAULT_RETRY_AFTER }
    }

    /// Reports a bug or a wrong configuration found by a custom validator: the client gets 500.
    ///
    /// `reason` is a text or an error. It is logged at ERROR for each request and is not sent to the client.
    pub fn internal(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal { source: Arc::from(reason.into()) }
    }

    /// Sets when the client may try again, for `Retry-After`. Up to 3 random seconds are added, and the value that is sent
    /// is from 1 second to 1 hour.
    ///
    /// Changes `KeysUnavailable`, `IntrospectionUnavailable` and `Unavailable`. Other errors have no such time and stay as
    /// they are.
    #[must_use]
    pub fn with_retry_after(mut self, time: Duration) -> Self {
        if let Self::KeysUnavailable { retry_after, .. }
        | Self::IntrospectionUnavailable { retry_after, .. }
        | Self::Unavailable { retry_after, .. } = &mut self
        {
            *retry_after = time;
        }
        self
    }
}

/// An error of [`ClaimsSet::with_claim`](crate::ClaimsSet::with_claim) becomes [`Internal`](ValidationError::Internal), since
/// the fault is in the program. Any other becomes [`Claims`](ValidationError::Claims), since the fault is in the token.
impl From<ClaimError> for ValidationError {
    fn from(error: ClaimError) -> Self {
        if error.is_about_own_claim() { Self::internal(error) } else { Self::Claims(error) }
    }
}

/// What a caller is told to wait when nothing better is known: long enough for a restart behind a load balancer,
/// short enough that nobody notices twice.
pub(crate) const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(2);

/// Text that a peer made, for logs: shown with quotes and escapes, cut at 128 characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Excerpt(Box<str>);

impl Excerpt {
    const MAX_CHARS: usize = 128;

    /// Keeps the beginning of a text.
    pub fn new(text: &str) -> Self {
        Self(text.chars().take(Self::MAX_CHARS).collect())
    }

    fn or_absent(excerpt: Option<&Self>) -> &dyn fmt::Display {
        excerpt.map_or(&"(absent)", |excerpt| excerpt)
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Audiences in a message: quoted, bounded in number and length.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_made_text_is_escaped_and_cut() {
        assert_eq!(Excerpt::new("a\"b\n\u{0}").to_string(), "\"a\\\"b\\n\\0\"");
        assert_eq!(Excerpt::new(&"é".repeat(1_000)).to_string().chars().count(), 130);
    }

    #[test]
    fn long_lists_of_audiences_are_cut() {
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
    fn the_cause_of_an_outage_is_kept_as_source() {
        let error = ValidationError::unavailable("table locked");

        assert_eq!(error.source().unwrap().to_string(), "table locked");
        assert_eq!(error.kind(), "unavailable");
    }
}
