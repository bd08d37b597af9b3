//! What one operation requires: [`Requirement`].

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use super::ScopeRequirement;
use crate::Scope;

/// What a request requires: nothing, a valid token, a token with scopes, or a refusal.
///
/// A [`RequirementPolicy`](super::RequirementPolicy) returns one for each request. Cloning one does not allocate, except for a
/// refusal whose reason is a `String`.
///
/// A scope, an array of scopes or a [`ScopeRequirement`] converts into a requirement.
///
/// ```
/// use std::time::Duration;
/// use tower_bearer::{Requirement, Scope};
///
/// const READ: Scope = Scope::from_static("orders:read");
/// const WRITE: Scope = Scope::from_static("orders:write");
///
/// let read = Requirement::scopes(READ);
/// let transfer = Requirement::scopes([READ, WRITE]).max_age(Duration::from_secs(300));
/// let open = Requirement::public();
/// let closed = Requirement::deny("not available from outside");
/// # let _ = (read, transfer, open, closed);
/// ```
#[derive(Clone, PartialEq, Eq)]
#[must_use]
pub struct Requirement(Kind);

/// The kinds of requirements.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A token is optional, but must be valid.
    Public,
    /// `None` requires any valid token.
    Token(Option<Arc<TokenRequirement>>),
    Denied(Cow<'static, str>),
    Malformed(Cow<'static, str>),
}

/// What a token must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenRequirement {
    pub(crate) scopes: ScopeRequirement,
    pub(crate) authentication: AuthenticationRequirement,
}

/// How and when the user must have authenticated (RFC 9470).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AuthenticationRequirement {
    /// In order of preference. Empty: any way.
    pub(crate) acr_values: Arc<[Box<str>]>,
    pub(crate) max_age: Option<Duration>,
}

impl Requirement {
    /// Requires nothing. A token is optional.
    ///
    /// If the request has a token, it must be valid, as with
    /// [`allow_anonymous`](crate::ResourceServer::allow_anonymous).
    pub const fn public() -> Self {
        Self(Kind::Public)
    }

    /// Requires a valid token, with any scopes.
    pub const fn token() -> Self {
        Self(Kind::Token(None))
    }

    /// Requires a valid token with these scopes.
    pub fn scopes(scopes: impl Into<ScopeRequirement>) -> Self {
        scopes.into().into()
    }

    /// Refuses the request with 403, with or without a token.
    ///
    /// The response has no challenge, because no token would help. `reason` is for the log and is not sent to the client.
    pub fn deny(reason: impl Into<Cow<'static, str>>) -> Self {
        Self(Kind::Denied(reason.into()))
    }

    /// Refuses the request with 400, because it is malformed or ambiguous.
    ///
    /// The response has no challenge. `reason` is for the log and is not sent to the client. It must not contain text from
    /// the request.
    pub fn malformed(reason: impl Into<Cow<'static, str>>) -> Self {
        Self(Kind::Malformed(reason.into()))
    }

    /// Requires that the user authenticated in one of these ways (`acr`, RFC 9470 section 4).
    ///
    /// Default: any way. The claim `acr` of the JWT or introspection response must be one of the values. If it is another one or
    /// missing, the response is 401 with the error `insufficient_user_authentication`, and the challenge lists the values in this
    /// order, the preferred one first. Scopes are checked first.
    ///
    /// On a public requirement, a token becomes required. An empty list changes nothing. A second list replaces the first.
    ///
    /// # Panics
    /// If a value is empty or contains a character other than %x21 / %x23-5B / %x5D-7E, since a challenge lists the values
    /// in quotes and separated by spaces. Use constants, or check values from configuration first.
    pub fn acr_values<T: Into<String>>(self, values: impl IntoIterator<Item = T>) -> Self {
        let values: Arc<[Box<str>]> = values.into_iter().map(|value| value.into().into()).collect();
        for value in &*values {
            assert!(is_acr(value), "acr value {value:?}: expected the characters %x21 / %x23-5B / %x5D-7E");
        }
        if values.is_empty() {
            return self;
        }
        self.with_token(|token| token.authentication.acr_values = values)
    }

    /// Requires that the user authenticated at most this long ago (`auth_time`, RFC 9470 section 4).
    ///
    /// Default: any time. Unit: whole seconds, rounded down. If `auth_time` is older or missing, the response is 401 with the error
    /// `insufficient_user_authentication`, and the challenge has this age as `max_age`. No clock skew is added, and an
    /// `auth_time` in the future is accepted. Scopes are checked first.
    ///
    /// On a public requirement, a token becomes required.
    pub fn max_age(self, age: Duration) -> Self {
        self.with_token(|token| token.authentication.max_age = Some(Duration::from_secs(age.as_secs())))
    }

    /// Requires both this and `other`.
    ///
    /// The result is a refusal if one of them is, and public only if both are. Scopes are combined as in
    /// [`ScopeRequirement::and`]. Of two lists of `acr` values, only values in both are accepted; if there are none, the request is
    /// denied. Of two maximum ages, the lower one applies.
    pub fn and(self, other: impl Into<Self>) -> Self {
        match (self.0, other.into().0) {
            (Kind::Malformed(reason), _) | (_, Kind::Malformed(reason)) => Self(Kind::Malformed(reason)),
            (Kind::Denied(reason), _) | (_, Kind::Denied(reason)) => Self(Kind::Denied(reason)),
            (Kind::Public | Kind::Token(None), other) if !matches!(other, Kind::Public) => Self(other),
            (mine, Kind::Public | Kind::Token(None)) => Self(mine),
            (Kind::Token(Some(mine)), Kind::Token(Some(theirs))) => match mine.and(&theirs) {
                Some(both) => Self(Kind::Token(Some(Arc::new(both)))),
                None => Self::deny("no acr value meets both requirements"),
            },
            (Kind::Public | Kind::Token(None), Kind::Token(Some(theirs))) => Self(Kind::Token(Some(theirs))),
        }
    }

    /// Requires both this and `other`, like [`and`](Self::and), with a bounded number of alternatives.
    ///
    /// The number of alternatives of both is multiplied. If the product is more than 64, only the first alternative of each is
    /// kept, which is at least as strict.
    #[cfg(feature = "mcp")]
    pub(crate) fn and_bounded(self, other: Self) -> Self {
        const MAX_ALTERNATIVES: usize = 64;
        if self == other {
            return self;
        }
        let count = |requirement: &Self| match &requirement.0 {
            Kind::Token(Some(token)) => token.scopes.alternatives(),
            Kind::Public | Kind::Token(None) | Kind::Denied(_) | Kind::Malformed(_) => 1,
        };
        if count(&self).saturating_mul(count(&other)) <= MAX_ALTERNATIVES {
            return self.and(other);
        }
        self.first_alternative().and(other.first_alternative())
    }

    #[cfg(feature = "mcp")]
    fn first_alternative(mut self) -> Self {
        if let Kind::Token(Some(token)) = &mut self.0 {
            Arc::make_mut(token).scopes.keep_first_alternative();
        }
        self
    }

    /// Returns the scopes that challenges name: those of the first alternative.
    pub fn named(&self) -> &[Scope] {
        match &self.0 {
            Kind::Token(Some(token)) => token.scopes.named(),
            Kind::Public | Kind::Token(None) | Kind::Denied(_) | Kind::Malformed(_) => &[],
        }
    }

    /// Returns the scopes of all alternatives.
    pub(crate) fn all_scopes(&self) -> impl Iterator<Item = &Scope> {
        let token = match &self.0 {
            Kind::Token(token) => token.as_ref(),
            Kind::Public | Kind::Denied(_) | Kind::Malformed(_) => None,
        };
        token.into_iter().flat_map(|token| token.scopes.all_scopes())
    }

    /// Returns whether every request is refused.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.0, Kind::Denied(_) | Kind::Malformed(_))
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.0
    }

    pub(crate) fn into_kind(self) -> Kind {
        self.0
    }

    fn with_token(self, change: impl FnOnce(&mut TokenRequirement)) -> Self {
        let mut token = match self.0 {
            Kind::Token(Some(token)) => token,
            Kind::Public | Kind::Token(None) => Arc::new(TokenRequirement::default()),
            Kind::Denied(_) | Kind::Malformed(_) => return self,
        };
        change(Arc::make_mut(&mut token));
        Self(Kind::Token(Some(token)))
    }
}

impl Default for TokenRequirement {
    fn default() -> Self {
        Self { scopes: ScopeRequirement::none(), authentication: AuthenticationRequirement::default() }
    }
}

impl TokenRequirement {
    /// Returns what meets both, or `None` if no token can.
    pub(crate) fn and(&self, other: &Self) -> Option<Self> {
        let scopes = self.scopes.clone().and(other.scopes.clone());
        let (mine, theirs) = (&self.authentication, &other.authentication);
        let acr_values = match (mine.acr_values.is_empty(), theirs.acr_values.is_empty()) {
            (true, _) => Arc::clone(&theirs.acr_values),
            (_, true) => Arc::clone(&mine.acr_values),
            (false, false) => {
                let both = mine.acr_values.iter().filter(|value| theirs.acr_values.contains(value)).cloned();
                Some(both.collect::<Arc<[_]>>()).filter(|both| !both.is_empty())?
            }
        };
        let max_age = match (mine.max_age, theirs.max_age) {
            (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
            (age, other) => age.or(other),
        };
        Some(Self { scopes, authentication: AuthenticationRequirement { acr_values, max_age } })
    }
}

impl<T: Into<ScopeRequirement>> From<T> for Requirement {
    fn from(scopes: T) -> Self {
        let scopes = scopes.into();
        let token = TokenRequirement { scopes, authentication: AuthenticationRequirement::default() };
        Self(Kind::Token(Some(Arc::new(token))))
    }
}

impl fmt::Debug for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Public => f.write_str("Requirement(public)"),
            Kind::Token(None) => f.write_str("Requirement(token)"),
            Kind::Token(Some(token)) => f
                .debug_struct("Requirement")
                .field("scopes", &format_args!("{}", token.scopes))
                .field("acr_values", &token.authentication.acr_values)
                .field("max_age", &token.authentication.max_age)
                .finish(),
            Kind::Denied(reason) => write!(f, "Requirement(denied: {reason})"),
            Kind::Malformed(reason) => write!(f, "Requirement(malformed: {reason})"),
        }
    }
}

/// Returns whether a text can be listed in the challenge parameter `acr_values`.
pub(crate) fn is_acr(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}
