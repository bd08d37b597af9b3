//! The claims of a token: [`ClaimsSet`] (RFC 7519 section 4), without the identity of the client.
//!
//! The claims are copied as JSON text. Claims that identify the client are dropped on the way, at the top and inside `act` and
//! `may_act`, so that no accessor, no `Debug` output, no log line and no cache can show them:
//!
//! * names that begin with `client_`;
//! * `azp`, `cid`, `appid`, `applicationId`, `app_displayname`, `appidacr`, `azpacr`, `clientId`, `clientHost`, `clientAddress`
//!   and `issued_to`;
//! * `preferred_username` and `email` if the value begins with `service-account-`, as Keycloak writes them for a client.
//!
//! `sub`, `act.sub` and `aud` are kept, because access decisions need them (RFC 8693 section 4.1, RFC 9068 section 4). Some
//! servers put a client's identifier there; `Debug` and errors do not show these three. Custom claims are kept with all that
//! is inside them.
//!
//! ```
//! use tower_bearer::{ClaimsSet, UnixTime};
//!
//! let claims = ClaimsSet::parse(br#"{"sub":"alice","exp":1700000000,"scope":"read write","tenant":"north","azp":"x"}"#)?;
//!
//! assert_eq!(claims.subject(), Some("alice"));
//! assert_eq!(claims.expires_at(), Some(UnixTime::from_secs(1_700_000_000)));
//! assert_eq!(claims.claim::<String>("tenant")?.as_deref(), Some("north"));
//! assert_eq!(claims.claim::<String>("azp")?, None); // a client identifier
//! # Ok::<_, tower_bearer::ClaimError>(())
//! ```

mod audience;
mod claim_rule;
mod client_identity;
mod json_value;
mod parse;
mod request_rule;
mod rules;
mod scope_sources;
mod texts;
mod trusted;

use std::fmt;

use serde::{
    Serialize, Serializer,
    de::DeserializeOwned,
    ser::{Error as _, SerializeMap},
};

use self::texts::Texts;
pub use self::{audience::Audience, claim_rule::ClaimRule, request_rule::RequestRule};
pub(crate) use self::{
    client_identity::is_client_identifier,
    rules::{ClaimRules, MissingClaim},
    scope_sources::{ScopeArray, ScopeSources},
};
use crate::{ClaimError, Scopes, UnixTime, heap_size::heap_size, strict_json::Members};

/// The claims of a validated token.
///
/// `Debug` shows issuer, times, scopes and the number of audiences. Of all other claims it shows the names only, so that neither
/// `sub` nor a custom claim gets into a log that way. `aud` is not shown because some servers add the client's identifier to it.
///
/// [`Serialize`] writes all claims except those that were dropped, in any format. A number is written as `u64`, `i64` or `f64` if that is
/// exact. Where another crate of the build turns on the feature `arbitrary_precision` of `serde_json`, a number that none of
/// these represents exactly is written as [`serde_json::Number`], which only `serde_json` writes as a number.
#[derive(Clone)]
#[must_use]
pub struct ClaimsSet {
    /// A JSON object with all claims except those that were dropped, including the typed ones below.
    json: Box<str>,
    issuer: Option<Box<str>>,
    subject: Option<Box<str>>,
    audience: Texts,
    expires_at: Option<UnixTime>,
    not_before: Option<UnixTime>,
    issued_at: Option<UnixTime>,
    token_id: Option<Box<str>>,
    scopes: Scopes,
    is_sender_constrained: bool,
}

impl ClaimsSet {
    /// Creates an empty set, to be filled by a custom validator.
    pub fn new() -> Self {
        Self {
            json: "{}".into(),
            issuer: None,
            subject: None,
            audience: Texts::default(),
            expires_at: None,
            not_before: None,
            issued_at: None,
            token_id: None,
            scopes: Scopes::default(),
            is_sender_constrained: false,
        }
    }

    /// Parses a JSON object.
    ///
    /// Nothing is compared: neither issuer nor audience nor times.
    ///
    /// # Errors
    /// If the text is not one JSON object, a name appears twice, it is nested deeper than 16 levels, has more than 256
    /// members, or contains a number that an `f64` cannot hold, such as `1e400` (RFC 8259 section 6 allows such a limit).
    ///
    /// If a registered claim has the wrong type (RFC 7519 section 4.1). `iss`, `sub`, `jti` and `scope` are strings;
    /// `aud` and `scp` are a string or an array of strings; `act` and `may_act` are objects. `exp`, `nbf` and `iat` are
    /// numbers up to the end of the year 9999. A negative `exp` is an error; a negative `nbf` or `iat` is read as 1970 (RFC
    /// 7519 section 2 allows negative times).
    pub fn parse(json: &[u8]) -> Result<Self, ClaimError> {
        Self::from_members(
            &Members::parse(json).map_err(|error| ClaimError::json(&error))?,
            &ScopeSources::Standard(ScopeArray::Refuse),
            &[],
        )
    }

    /// Returns the issuer of the token (`iss`).
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Returns the subject of the token (`sub`). It is unique only together with the issuer (RFC 7519 section 4.1.2).
    ///
    /// If no user signed in, the authorization server chooses what to put here (RFC 9068 section 5), for example an identifier of
    /// the client. This crate does not compare it with anything.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Returns the audience of the token (`aud`), in the order of the token. It may have values of other resource servers.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.audience.iter()
    }

    /// Returns the time from which the token has expired (`exp`), without clock skew.
    pub fn expires_at(&self) -> Option<UnixTime> {
        self.expires_at
    }

    /// Returns the time before which the token is not valid (`nbf`). A time before 1970 is returned as 1970.
    pub fn not_before(&self) -> Option<UnixTime> {
        self.not_before
    }

    /// Returns the time at which the token was issued (`iat`). A time before 1970 is returned as 1970.
    pub fn issued_at(&self) -> Option<UnixTime> {
        self.issued_at
    }

    /// Returns the identifier of the token (`jti`).
    pub fn token_id(&self) -> Option<&str> {
        self.token_id.as_deref()
    }

    /// Returns the scopes of the token, read from `scope`, or from `scp` if there is no `scope`.
    ///
    /// Both validators can read them from other claims, such as `roles`: see their setting `scopes_from`.
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// Reads one claim as any type that implements `Deserialize`. Returns `None` if the claim is absent or `null`.
    ///
    /// # Errors
    /// If the claim is present and is not a `T`.
    pub fn claim<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ClaimError> {
        match self.raw_claim(name) {
            None => Ok(None),
            Some(value) => serde_json::from_str(&value).map_err(|error| ClaimError::of_claim(name, &error)),
        }
    }

    /// Reads all claims as one type, as `Claims<T>` does for an axum handler.
    ///
    /// # Errors
    /// If they are not a `T`.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, ClaimError> {
        serde_json::from_str(&self.json).map_err(|error| ClaimError::json(&error))
    }

    /// Returns the JSON text of one claim.
    pub(crate) fn raw_claim(&self, name: &str) -> Option<String> {
        Members::parse_our_own(&self.json).ok()?.find(name).map(str::to_owned)
    }

    /// Reads a claim that is a time. `None` if it is absent or not a time.
    pub(crate) fn time(&self, name: &str) -> Option<UnixTime> {
        UnixTime::from_json_number(&self.raw_claim(name)?)
    }

    /// Returns whether the token is bound to a key (`cnf`, RFC 7800 section 3.1).
    pub(crate) fn is_sender_constrained(&self) -> bool {
        self.is_sender_constrained
    }

    /// Returns the size of the claims on the heap, in bytes, without the `ClaimsSet` itself.
    pub(crate) fn heap_size(&self) -> usize {
        let text = |text: &Option<Box<str>>| text.as_deref().map_or(0, |text| heap_size(text.len()));
        heap_size(self.json.len())
            + text(&self.issuer)
            + text(&self.subject)
            + text(&self.token_id)
            + self.audience.heap_size()
            + heap_size(self.scopes.len_bytes())
    }
}

impl Default for ClaimsSet {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ClaimsSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The names of the claims that have no accessor.
        struct Others<'a>(&'a str);

        impl fmt::Debug for Others<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let typed = ["iss", "sub", "aud", "exp", "nbf", "iat", "scope"];
                let members = Members::parse_our_own(self.0);
                let members = members.iter().flat_map(Members::iter);
                f.debug_set()
                    .entries(members.map(|member| &*member.name).filter(|name| !typed.contains(name)))
                    .finish()
            }
        }

        f.debug_struct("ClaimsSet")
            .field("issuer", &self.issuer)
            .field("audiences", &self.audience.iter().count())
            .field("expires_at", &self.expires_at)
            .field("not_before", &self.not_before)
            .field("issued_at", &self.issued_at)
            .field("scopes", &self.scopes)
            .field("others", &Others(&self.json))
            .finish_non_exhaustive()
    }
}

impl Serialize for ClaimsSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let members = Members::parse_our_own(&self.json).map_err(S::Error::custom)?;
        let mut map = serializer.serialize_map(None)?;
        for member in members.iter() {
            let value: serde_json::Value = serde_json::from_str(member.value).map_err(S::Error::custom)?;
            map.serialize_entry(&member.name, &json_value::Portable(&value))?;
        }
        map.end()
    }
}
