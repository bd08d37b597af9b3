//! Building of a [`ClaimsSet`] in a validator of your own.

use serde::Serialize;

use super::{
    ClaimsSet,
    parse::{json_string, push_name},
    scope_sources::ScopeSources,
};
use crate::{ClaimError, Scopes, UnixTime, strict_json::Members};

/// Setters, for a [`TokenValidator`](crate::TokenValidator) of your own. A claim that is set twice has the last value.
///
/// The values are trusted: nothing is compared here. The layer checks `exp`, scopes and `cnf`; all other checks are yours.
impl ClaimsSet {
    /// Sets `iss`, the issuer.
    pub fn with_issuer(mut self, issuer: impl Into<String>) -> Self {
        let issuer: Box<str> = issuer.into().into();
        self.set("iss", &json_string(&issuer));
        self.issuer = Some(issuer);
        self
    }

    /// Sets `sub`, the subject.
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        let subject: Box<str> = subject.into().into();
        self.set("sub", &json_string(&subject));
        self.subject = Some(subject);
        self
    }

    /// Sets `aud`, the audience, as an array.
    pub fn with_audience<A: Into<String>>(mut self, audience: impl IntoIterator<Item = A>) -> Self {
        self.audience = audience.into_iter().map(Into::<String>::into).collect();
        let all: Vec<_> = self.audience.iter().map(json_string).collect();
        self.set("aud", &format!("[{}]", all.join(",")));
        self
    }

    /// Sets `exp`. The layer refuses the token from this time on, without any clock skew.
    pub fn with_expiry(mut self, expires_at: impl Into<UnixTime>) -> Self {
        let expires_at = expires_at.into();
        self.set("exp", &expires_at.to_string());
        self.expires_at = Some(expires_at);
        self
    }

    /// Sets `nbf`. The layer does not check it, so your validator must.
    pub fn with_not_before(mut self, not_before: impl Into<UnixTime>) -> Self {
        let not_before = not_before.into();
        self.set("nbf", &not_before.to_string());
        self.not_before = Some(not_before);
        self
    }

    /// Sets `iat`, the time of issue.
    pub fn with_issued_at(mut self, issued_at: impl Into<UnixTime>) -> Self {
        let issued_at = issued_at.into();
        self.set("iat", &issued_at.to_string());
        self.issued_at = Some(issued_at);
        self
    }

    /// Sets `jti`, the identifier of the token.
    pub fn with_token_id(mut self, token_id: impl Into<String>) -> Self {
        let token_id: Box<str> = token_id.into().into();
        self.set("jti", &json_string(&token_id));
        self.token_id = Some(token_id);
        self
    }

    /// Sets `scope`: scopes separated by spaces. A word that is not a scope by RFC 6749 section 3.3 grants nothing.
    pub fn with_scopes(mut self, space_separated: &str) -> Self {
        self.set("scope", &json_string(space_separated));
        self.scopes = Scopes::new(space_separated);
        self
    }

    /// Sets any claim. A claim that identifies a client is dropped, as when a token is parsed: see the
    /// [module](crate::claims).
    ///
    /// Setting `scope` or `scp` sets the scopes. Any other name leaves them as they are.
    ///
    /// # Errors
    /// If the value cannot be written as JSON, or has the wrong type for a registered name. In a
    /// [`TokenValidator`](crate::TokenValidator), `?` turns the error into 500, not 401.
    pub fn with_claim(self, name: &str, value: &impl Serialize) -> Result<Self, ClaimError> {
        let changed =
            serde_json::to_string(value).map_err(|error| ClaimError::json(&error)).and_then(|value| {
                let mut changed = self;
                changed.set(name, &value);
                changed.parsed_again(name)
            });
        changed.map_err(|error| error.about_own_claim(name))
    }

    /// Parses the text after a claim was set. A validator may have read the scopes from other claims than the standard ones, so
    /// they are read again only if a standard one was set.
    fn parsed_again(self, name: &str) -> Result<Self, ClaimError> {
        if matches!(name, "scope" | "scp") {
            return Self::parse(self.json.as_bytes());
        }
        let members = Members::parse(self.json.as_bytes()).map_err(|error| ClaimError::json(&error))?;
        let nowhere = ScopeSources::Named(Box::default());
        Ok(Self { scopes: self.scopes, ..Self::from_members(&members, &nowhere, &[])? })
    }

    /// Writes a member into the text, instead of one with the same name.
    fn set(&mut self, name: &str, value: &str) {
        let mut json = String::with_capacity(self.json.len() + name.len() + value.len() + 4);
        json.push('{');
        if let Ok(members) = Members::parse_our_own(&self.json) {
            for member in members.iter().filter(|member| member.name != name) {
                push_name(&mut json, &member.name);
                json.push_str(member.value);
            }
        }
        push_name(&mut json, name);
        json.push_str(value);
        json.push('}');
        self.json = json.into_boxed_str();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn as_json(claims: &ClaimsSet) -> Value {
        serde_json::to_value(claims).unwrap()
    }

    #[test]
    fn what_is_set_is_read_and_written() {
        let claims = ClaimsSet::new()
            .with_issuer("https://as.example.com")
            .with_subject("al\"ice\u{1}")
            .with_audience(["https://a", "https://b"])
            .with_expiry(UnixTime::from_secs(2_000_000_000))
            .with_issued_at(UnixTime::from_secs(1_900_000_000))
            .with_token_id("7")
            .with_scopes("read write")
            .with_claim("ten\"ant", &["north"])
            .unwrap();

        assert_eq!(claims.issuer(), Some("https://as.example.com"));
        assert_eq!(claims.subject(), Some("al\"ice\u{1}"));
        assert!(claims.audience().eq(["https://a", "https://b"]));
        assert_eq!(claims.expires_at(), Some(UnixTime::from_secs(2_000_000_000)));
        assert_eq!(claims.issued_at(), Some(UnixTime::from_secs(1_900_000_000)));
        assert_eq!(claims.token_id(), Some("7"));
        assert!(claims.scopes().iter().eq(["read", "write"]));
        assert_eq!(claims.claim::<Vec<String>>("ten\"ant").unwrap().unwrap(), ["north"]);
        assert_eq!(
            as_json(&claims),
            json!({
                "iss": "https://as.example.com", "sub": "al\"ice\u{1}", "aud": ["https://a", "https://b"],
                "exp": 2_000_000_000, "iat": 1_900_000_000, "jti": "7", "scope": "read write", "ten\"ant": ["north"],
            })
        );
    }

    #[test]
    fn what_is_set_twice_has_the_last_value() {
        let claims = ClaimsSet::new().with_subject("alice").with_scopes("read").with_subject("bob");

        assert_eq!(claims.subject(), Some("bob"));
        assert_eq!(as_json(&claims), json!({"sub": "bob", "scope": "read"}));
    }

    #[test]
    fn nothing_is_lost_when_there_is_much() {
        let members: Vec<_> = (0..256).map(|index| format!("\"{index}\":{index}")).collect();
        let claims = ClaimsSet::parse(format!("{{{}}}", members.join(",")).as_bytes()).unwrap();

        let claims = claims.with_subject("alice").with_issuer("https://as.example.com").with_scopes("read");

        assert_eq!(as_json(&claims).as_object().unwrap().len(), 259);
        assert_eq!(claims.claim::<u64>("255").unwrap(), Some(255));
    }

    #[test]
    fn with_claim_keeps_the_scopes_of_the_validator() {
        let json = br#"{"scope":["unread"],"roles":["read","write"]}"#;
        let members = Members::parse(json).unwrap();
        let claims = ClaimsSet::from_members(&members, &ScopeSources::named(["roles"]), &[]).unwrap();

        let claims = claims.with_claim("tenant", &"north").unwrap();

        assert_eq!(claims.scopes().to_string(), "read write");
        assert_eq!(claims.with_claim("scope", &"list").unwrap().scopes().to_string(), "list");
    }

    #[test]
    fn a_client_identifier_cannot_be_set() {
        let claims = ClaimsSet::new().with_claim("client_id", &"canary").unwrap();

        assert_eq!(as_json(&claims), json!({}));
    }

    #[test]
    fn a_registered_claim_of_the_wrong_type_cannot_be_set() {
        let error = ClaimsSet::new().with_claim("exp", &"tomorrow").unwrap_err();

        assert_eq!(
            error.to_string(),
            "claim \"exp\": wrong type or range, expected a number of seconds from 0 to the end of the year 9999"
        );
    }

    #[test]
    fn errors_and_debug_show_no_values() {
        let claims = ClaimsSet::new().with_subject("alice").with_claim("tenant", &"north").unwrap();

        let error = claims.claim::<u64>("tenant").unwrap_err().to_string();
        let debug = format!("{claims:?}");

        assert_eq!(error, "claim \"tenant\": does not match the expected type");
        assert!(debug.contains("tenant") && !debug.contains("north") && !debug.contains("alice"), "{debug}");
    }
}
