//! What a token says: [`ClaimsSet`] (RFC 7519 section 4), without the identity of the client.
//!
//! The claims are kept as JSON text, in one pass over it. On that pass the members that name the client are left out,
//! at the top and inside `act` and `may_act`: no accessor, no typed claims, no `Debug`, no log line and no cache can
//! show what was never kept. What a claim of a provider's own holds deeper inside is that provider's business.
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

use std::fmt;

use serde::{
    Serialize, Serializer,
    de::DeserializeOwned,
    ser::{Error as _, SerializeMap},
};

use crate::{
    Scopes, UnixTime,
    strict_json::{self, Members},
};

/// The claims of a validated token.
///
/// `Debug` shows who issued it, for whom, when and with which scopes, and only the names of all other claims; neither
/// `sub` nor a claim of a provider's own gets into a log that way. [`Serialize`] writes all claims that were kept.
#[derive(Clone)]
#[must_use]
pub struct ClaimsSet {
    /// A JSON object with every claim that was kept, the typed ones below included.
    json: String,
    issuer: Option<Box<str>>,
    subject: Option<Box<str>>,
    audience: Vec<Box<str>>,
    expires_at: Option<UnixTime>,
    not_before: Option<UnixTime>,
    issued_at: Option<UnixTime>,
    token_id: Option<Box<str>>,
    scopes: Scopes,
    is_sender_constrained: bool,
}

/// What a `scope` that is an array of strings counts for; the standards know it as a string only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScopeArray {
    Refuse,
    Ignore,
    Accept,
}

impl ClaimsSet {
    /// Makes a set without any claim, to be filled by a validator of your own.
    pub fn new() -> Self {
        Self {
            json: "{}".into(),
            issuer: None,
            subject: None,
            audience: Vec::new(),
            expires_at: None,
            not_before: None,
            issued_at: None,
            token_id: None,
            scopes: Scopes::default(),
            is_sender_constrained: false,
        }
    }

    /// Parses a JSON object. Nothing is compared: not the times, not the issuer, not the audience.
    ///
    /// # Errors
    /// When it is not one JSON object, a name stands twice, it is nested deeper than 16 levels, has more than 256
    /// members, or a registered claim has the wrong type (RFC 7519 section 4.1): `iss`, `sub`, `jti` and `scope` are
    /// strings, `aud` and `scp` a string or an array of strings, `exp`, `nbf` and `iat` numbers from 0 to the end of
    /// the year 9999, `act`, `may_act` objects.
    pub fn parse(json: &[u8]) -> Result<Self, ClaimError> {
        Self::from_members(
            &Members::parse(json).map_err(|error| ClaimError::json(&error))?,
            ScopeArray::Refuse,
            &[],
        )
    }

    /// Copies the members that are no client identifiers and not in `without`, and types the registered ones.
    pub(crate) fn from_members(
        members: &Members<'_>,
        scope_array: ScopeArray,
        without: &[&str],
    ) -> Result<Self, ClaimError> {
        let mut claims = Self::new();
        let mut scp = None;
        let mut json = String::with_capacity(
            2 + members.iter().map(|member| member.name.len() + member.value.len() + 4).sum::<usize>(),
        );
        json.push('{');
        for member in members.iter() {
            let (name, value) = (&*member.name, member.value);
            if CLIENT_IDENTIFIERS.contains(&name) || without.contains(&name) {
                continue;
            }
            match name {
                "iss" => claims.issuer = Some(text("iss", value)?),
                "sub" => claims.subject = Some(text("sub", value)?),
                "jti" => claims.token_id = Some(text("jti", value)?),
                "aud" => claims.audience = texts("aud", value)?,
                "exp" => claims.expires_at = Some(numeric_date("exp", value)?),
                "nbf" => claims.not_before = Some(numeric_date("nbf", value)?),
                "iat" => claims.issued_at = Some(numeric_date("iat", value)?),
                "scope" => claims.scopes = scope(value, scope_array)?,
                "scp" => scp = Some(scp_scopes(value)?),
                "cnf" => claims.is_sender_constrained = true,
                _ => {}
            }
            push_name(&mut json, name);
            match name {
                "act" => push_actor(&mut json, "act", value)?,
                "may_act" => push_actor(&mut json, "may_act", value)?,
                _ => json.push_str(value),
            }
        }
        json.push('}');
        claims.json = json;
        if let Some(scp) = scp
            && members.find("scope").is_none()
        {
            claims.scopes = scp;
        }
        Ok(claims)
    }

    /// Returns who issued the token (`iss`).
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Returns whom the token is about (`sub`); unique only together with the issuer (RFC 7519 section 4.1.2).
    ///
    /// Where nobody signed in, an authorization server may put an identifier of its own choice here (RFC 9068 section
    /// 5); nothing in this crate compares a subject with anything.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Returns whom the token is for (`aud`), in the order of the token.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.audience.iter().map(|audience| &**audience)
    }

    /// Returns the first moment at which the token has expired (`exp`).
    pub fn expires_at(&self) -> Option<UnixTime> {
        self.expires_at
    }

    /// Returns the moment before which the token is not valid (`nbf`).
    pub fn not_before(&self) -> Option<UnixTime> {
        self.not_before
    }

    /// Returns the moment at which the token was issued (`iat`).
    pub fn issued_at(&self) -> Option<UnixTime> {
        self.issued_at
    }

    /// Returns the identifier of the token (`jti`).
    pub fn token_id(&self) -> Option<&str> {
        self.token_id.as_deref()
    }

    /// Returns what the token allows: `scope`, or `scp` where there is no `scope`.
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// Reads one claim as a type of yours. A claim that is absent, or `null`, is `None`.
    ///
    /// # Errors
    /// When the claim is there and is not a `T`.
    pub fn claim<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ClaimError> {
        match self.raw_claim(name) {
            None => Ok(None),
            Some(value) => serde_json::from_str(&value)
                .map_err(|error| ClaimError { claim: Some(name.into()), ..ClaimError::json(&error) }),
        }
    }

    /// Reads all claims into a type of yours, as `Claims<T>` does for an axum handler.
    ///
    /// # Errors
    /// When they are not a `T`.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, ClaimError> {
        serde_json::from_str(&self.json).map_err(|error| ClaimError::json(&error))
    }

    /// Returns the JSON text of one claim.
    pub(crate) fn raw_claim(&self, name: &str) -> Option<String> {
        Members::parse(self.json.as_bytes()).ok()?.find(name).map(str::to_owned)
    }

    /// Tells whether the token says that only the holder of a key may use it (`cnf`, RFC 7800 section 3.1).
    pub(crate) fn is_sender_constrained(&self) -> bool {
        self.is_sender_constrained
    }

    /// Estimates the memory the claims take, in bytes.
    pub(crate) fn weight(&self) -> usize {
        let boxed = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
        size_of::<Self>()
            + self.json.capacity()
            + boxed(&self.issuer)
            + boxed(&self.subject)
            + boxed(&self.token_id)
            + self.audience.iter().map(|audience| audience.len() + size_of::<Box<str>>()).sum::<usize>()
            + self.scopes.len_bytes()
    }
}

/// For a [`TokenValidator`](crate::TokenValidator) of your own; a claim that is set twice has the last value.
impl ClaimsSet {
    /// Sets `iss`.
    pub fn with_issuer(mut self, issuer: impl Into<String>) -> Self {
        let issuer: Box<str> = issuer.into().into();
        self.set("iss", &json_string(&issuer));
        self.issuer = Some(issuer);
        self
    }

    /// Sets `sub`.
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        let subject: Box<str> = subject.into().into();
        self.set("sub", &json_string(&subject));
        self.subject = Some(subject);
        self
    }

    /// Sets `aud`.
    pub fn with_audience<A: Into<String>>(mut self, audience: impl IntoIterator<Item = A>) -> Self {
        self.audience = audience.into_iter().map(|each| each.into().into()).collect();
        let all: Vec<_> = self.audience.iter().map(|audience| json_string(audience)).collect();
        self.set("aud", &format!("[{}]", all.join(",")));
        self
    }

    /// Sets `exp`: the layer refuses the token from this moment on.
    pub fn with_expiry(mut self, expires_at: impl Into<UnixTime>) -> Self {
        let expires_at = expires_at.into();
        self.set("exp", &expires_at.to_string());
        self.expires_at = Some(expires_at);
        self
    }

    /// Sets `iat`.
    pub fn with_issued_at(mut self, issued_at: impl Into<UnixTime>) -> Self {
        let issued_at = issued_at.into();
        self.set("iat", &issued_at.to_string());
        self.issued_at = Some(issued_at);
        self
    }

    /// Sets `jti`.
    pub fn with_token_id(mut self, token_id: impl Into<String>) -> Self {
        let token_id: Box<str> = token_id.into().into();
        self.set("jti", &json_string(&token_id));
        self.token_id = Some(token_id);
        self
    }

    /// Sets `scope`: words separated by spaces.
    pub fn with_scopes(mut self, space_separated: &str) -> Self {
        self.set("scope", &json_string(space_separated));
        self.scopes = Scopes::new(space_separated);
        self
    }

    /// Sets a claim of your own. The registered ones have methods of their own; a name that identifies a client is
    /// left out, as everywhere.
    ///
    /// # Errors
    /// When the value cannot be written as JSON, or is of the wrong type for a registered name.
    pub fn with_claim(self, name: &str, value: &impl Serialize) -> Result<Self, ClaimError> {
        let value = serde_json::to_string(value).map_err(|error| ClaimError::json(&error))?;
        let mut changed = self;
        changed.set(name, &value);
        Self::parse(changed.json.as_bytes())
    }

    /// Puts a member into the text, in the place of one of that name.
    fn set(&mut self, name: &str, value: &str) {
        let mut json = String::with_capacity(self.json.len() + name.len() + value.len() + 4);
        json.push('{');
        if let Ok(members) = Members::parse(self.json.as_bytes()) {
            for member in members.iter().filter(|member| member.name != name) {
                push_name(&mut json, &member.name);
                json.push_str(member.value);
            }
        }
        push_name(&mut json, name);
        json.push_str(value);
        json.push('}');
        self.json = json;
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
                let members = Members::parse(self.0.as_bytes());
                let members = members.iter().flat_map(Members::iter);
                f.debug_set()
                    .entries(members.map(|member| &*member.name).filter(|name| !typed.contains(name)))
                    .finish()
            }
        }

        f.debug_struct("ClaimsSet")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
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
        let members = Members::parse(self.json.as_bytes()).map_err(S::Error::custom)?;
        let mut map = serializer.serialize_map(None)?;
        for member in members.iter() {
            let value: serde_json::Value = serde_json::from_str(member.value).map_err(S::Error::custom)?;
            map.serialize_entry(&member.name, &value)?;
        }
        map.end()
    }
}

/// Claims are not what they should be. Says which and what was expected, never a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimError {
    claim: Option<Box<str>>,
    what: Box<str>,
}

impl ClaimError {
    pub(crate) fn wrong_type(claim: &str, expected: &str) -> Self {
        Self { claim: Some(claim.into()), what: format!("wrong type or range, expected {expected}").into() }
    }

    /// Keeps where JSON went wrong and drops serde's text, which quotes values.
    pub(crate) fn json(error: &serde_json::Error) -> Self {
        let what = match error.classify() {
            serde_json::error::Category::Data => "not as the type that reads it expects".into(),
            _ => format!("no acceptable JSON, line {}, column {}", error.line(), error.column()),
        };
        Self { claim: None, what: what.into() }
    }
}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.claim {
            Some(claim) => write!(f, "claim {claim:?}: {}", self.what),
            None => write!(f, "claims: {}", self.what),
        }
    }
}

impl std::error::Error for ClaimError {}

/// Names under which authorization servers tell who the client is. A resource server never learns it.
///
/// `client_id` (RFC 7662, RFC 8693, RFC 9068), `azp` (OpenID Connect), Okta's and SAP's `cid`, Entra's `appid`,
/// `app_displayname`, `appidacr` and `azpacr` (the last two tell how the client authenticated), Keycloak's `clientId`,
/// `clientHost` and `clientAddress`, and the metadata of RFC 7591 that some copy into tokens.
const CLIENT_IDENTIFIERS: [&str; 13] = [
    "client_id",
    "azp",
    "cid",
    "appid",
    "app_displayname",
    "appidacr",
    "azpacr",
    "clientId",
    "clientHost",
    "clientAddress",
    "client_name",
    "client_uri",
    "issued_to",
];

/// Writes `"name":`, after a comma where it is not the first.
fn push_name(json: &mut String, name: &str) {
    if !json.ends_with('{') {
        json.push(',');
    }
    if name.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
        json.push('"');
        json.push_str(name);
        json.push('"');
    } else {
        json.push_str(&json_string(name));
    }
    json.push(':');
}

/// Copies an actor (RFC 8693 sections 4.1 and 4.4) without what identifies a client, at any depth of delegation.
fn push_actor(json: &mut String, claim: &'static str, value: &str) -> Result<(), ClaimError> {
    let not_an_object = || ClaimError::wrong_type(claim, "an object (RFC 8693 section 4.1)");
    let members = Members::parse(value.as_bytes()).map_err(|_| not_an_object())?;
    json.push('{');
    for member in members.iter().filter(|member| !CLIENT_IDENTIFIERS.contains(&&*member.name)) {
        push_name(json, &member.name);
        match &*member.name {
            // The depth was counted when the outermost object was read.
            "act" | "may_act" => push_actor(json, claim, member.value)?,
            _ => json.push_str(member.value),
        }
    }
    json.push('}');
    Ok(())
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn text(claim: &str, value: &str) -> Result<Box<str>, ClaimError> {
    let text = strict_json::string(value).ok_or_else(|| ClaimError::wrong_type(claim, "a string"))?;
    Ok(text.into())
}

// RFC 7519 section 4.1.3: "aud" is an array of strings or, with one audience, a string.
fn texts(claim: &str, value: &str) -> Result<Vec<Box<str>>, ClaimError> {
    let texts = strict_json::one_or_many(value)
        .ok_or_else(|| ClaimError::wrong_type(claim, "a string or an array of strings"))?;
    Ok(texts.into_iter().map(Into::into).collect())
}

// RFC 7519 section 2: a NumericDate is a JSON number.
fn numeric_date(claim: &str, value: &str) -> Result<UnixTime, ClaimError> {
    UnixTime::from_json_number(value).ok_or_else(|| {
        ClaimError::wrong_type(claim, "a number of seconds from 0 to the end of the year 9999")
    })
}

fn scope(value: &str, array: ScopeArray) -> Result<Scopes, ClaimError> {
    if let Some(words) = strict_json::string(value) {
        return Ok(Scopes::new(&words));
    }
    let not_a_string = || ClaimError::wrong_type("scope", "a string (RFC 9068 section 2.2.3)");
    match array {
        ScopeArray::Refuse => Err(not_a_string()),
        ScopeArray::Ignore => Ok(Scopes::default()),
        ScopeArray::Accept => {
            let elements = strict_json::one_or_many(value).ok_or_else(not_a_string)?;
            Ok(Scopes::from_elements(elements.iter().map(|element| &**element)))
        }
    }
}

/// `scp` is a string at Entra ID and an array at Okta and Ory.
fn scp_scopes(value: &str) -> Result<Scopes, ClaimError> {
    if let Some(words) = strict_json::string(value) {
        return Ok(Scopes::new(&words));
    }
    let elements = strict_json::one_or_many(value)
        .ok_or_else(|| ClaimError::wrong_type("scp", "a string or an array of strings"))?;
    Ok(Scopes::from_elements(elements.iter().map(|element| &**element)))
}
