//! Parsing of claims: what is kept as text, and what is kept with a type.

use super::{
    ClaimsSet,
    client_identity::{identifies_client, push_actor},
    scope_sources::ScopeSources,
    texts::Texts,
};
use crate::{
    ClaimError, UnixTime,
    strict_json::{self, Members},
};

impl ClaimsSet {
    /// Copies the members that do not identify a client and are not in `without`, and parses the registered ones.
    pub(crate) fn from_members(
        members: &Members<'_>,
        scope_sources: &ScopeSources,
        without: &[&str],
    ) -> Result<Self, ClaimError> {
        let mut claims = Self::new();
        let mut json = String::with_capacity(
            2 + members.iter().map(|member| member.name.len() + member.value.len() + 4).sum::<usize>(),
        );
        json.push('{');
        for member in members.iter() {
            let (name, value) = (&*member.name, member.value);
            if identifies_client(name, value) || without.contains(&name) {
                continue;
            }
            match name {
                "iss" => claims.issuer = Some(text("iss", value)?),
                "sub" => claims.subject = Some(text("sub", value)?),
                "jti" => claims.token_id = Some(text("jti", value)?),
                "aud" => claims.audience = texts("aud", value)?,
                "exp" => claims.expires_at = Some(expiry(value)?),
                "nbf" => claims.not_before = Some(numeric_date("nbf", value)?),
                "iat" => claims.issued_at = Some(numeric_date("iat", value)?),
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
        claims.json = json.into_boxed_str();
        claims.scopes = scope_sources.scopes(members)?;
        Ok(claims)
    }
}

/// Writes `"name":`, after a comma where it is not the first.
pub(super) fn push_name(json: &mut String, name: &str) {
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

pub(super) fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn text(claim: &str, value: &str) -> Result<Box<str>, ClaimError> {
    let text = strict_json::string(value).ok_or_else(|| ClaimError::wrong_type(claim, "a string"))?;
    Ok(text.into())
}

// RFC 7519 section 4.1.3: "aud" is an array of strings or, with one audience, a string.
fn texts(claim: &str, value: &str) -> Result<Texts, ClaimError> {
    let texts = strict_json::one_or_many(value)
        .ok_or_else(|| ClaimError::wrong_type(claim, "a string or an array of strings"))?;
    Ok(texts.into_iter().collect())
}

// RFC 7519 section 2: a NumericDate is a JSON number, which may be negative. A time before 1970 is read as 1970, the
// earliest time of a `UnixTime`: no clock of a running system shows the difference.
fn numeric_date(claim: &str, value: &str) -> Result<UnixTime, ClaimError> {
    if is_negative(value) {
        return Ok(UnixTime::from_secs(0));
    }
    UnixTime::from_json_number(value)
        .ok_or_else(|| ClaimError::wrong_type(claim, "a number of seconds up to the end of the year 9999"))
}

// A token with a negative `exp` has expired, even for a clock that was never set and shows 1970.
fn expiry(value: &str) -> Result<UnixTime, ClaimError> {
    UnixTime::from_json_number(value).ok_or_else(|| {
        ClaimError::wrong_type("exp", "a number of seconds from 0 to the end of the year 9999")
    })
}

/// Returns whether a value, which is valid JSON, is a negative number. Only numbers begin with a minus sign.
fn is_negative(value: &str) -> bool {
    value.starts_with('-')
}
