//! The rules for issuer, times and audience that every token must meet: [`ClaimRules`].
//!
//! JWTs and introspection responses are checked by the same functions. Where the standards differ, such as in whether `exp`
//! may be absent, the difference is a [`MissingClaim`].

use std::time::Duration;

use super::ClaimsSet;
use crate::{UnixTime, ValidationError, refusal::Excerpt};

/// What the claims of a token must be.
#[derive(Clone, Debug)]
pub(crate) struct ClaimRules {
    /// The configured issuer.
    pub(crate) issuer: Box<str>,
    pub(crate) missing_issuer: MissingClaim,
    /// Every accepted spelling of our identifiers.
    pub(crate) audience: Vec<Box<str>>,
    pub(crate) missing_audience: MissingClaim,
    pub(crate) missing_expiry: MissingClaim,
    pub(crate) clock_skew: Duration,
}

/// What happens to a token that does not have a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MissingClaim {
    Refuse,
    Accept,
}

impl ClaimRules {
    /// Checks `iss`. Issuers are compared as strings, without normalization.
    // RFC 9068 section 4: "iss" must exactly match the issuer identifier.
    pub(crate) fn check_issuer(&self, claims: &ClaimsSet) -> Result<(), ValidationError> {
        claims.issuer().map_or_else(|| self.missing_issuer.verdict("iss"), |found| self.compare_issuer(found))
    }

    /// Compares an issuer with the configured one.
    pub(crate) fn compare_issuer(&self, found: &str) -> Result<(), ValidationError> {
        if *found != *self.issuer {
            return Err(ValidationError::IssuerMismatch {
                expected: self.issuer.clone(),
                found: Excerpt::new(found),
            });
        }
        Ok(())
    }

    /// Checks `exp`. Returns the time from which the token is refused, if it expires.
    // RFC 7519 section 4.1.4: not accepted on or after "exp".
    pub(crate) fn check_expiry(
        &self,
        claims: &ClaimsSet,
        now: UnixTime,
    ) -> Result<Option<UnixTime>, ValidationError> {
        let Some(exp) = claims.expires_at() else {
            return self.missing_expiry.verdict("exp").map(|()| None);
        };
        let expired_from = exp.saturating_add(self.clock_skew);
        if now >= expired_from {
            return Err(ValidationError::Expired { exp, now, clock_skew: self.clock_skew });
        }
        Ok(Some(expired_from))
    }

    /// Checks `nbf`, which is optional.
    // RFC 7519 section 4.1.5: not accepted before "nbf".
    pub(crate) fn check_not_before(&self, claims: &ClaimsSet, now: UnixTime) -> Result<(), ValidationError> {
        claims.not_before().map_or(Ok(()), |nbf| self.check_not_in_the_future("nbf", nbf, now))
    }

    /// Refuses a time that is further in the future than the clock skew allows.
    pub(crate) fn check_not_in_the_future(
        &self,
        claim: &'static str,
        from: UnixTime,
        now: UnixTime,
    ) -> Result<(), ValidationError> {
        if now < from.saturating_sub(self.clock_skew) {
            return Err(ValidationError::NotYetValid { claim, from, now, clock_skew: self.clock_skew });
        }
        Ok(())
    }

    /// Checks `aud`: one of its values must be an identifier of ours. An empty array counts as missing.
    // RFC 9068 section 4 and RFC 9700 section 2.3: the resource server checks the audience of every token.
    pub(crate) fn check_audience(&self, claims: &ClaimsSet) -> Result<(), ValidationError> {
        let is_ours = |found: &str| self.audience.iter().any(|accepted| **accepted == *found);
        let found = claims.audience().count();
        if claims.audience().any(is_ours) || found == 0 && self.missing_audience == MissingClaim::Accept {
            return Ok(());
        }
        Err(ValidationError::AudienceMismatch { expected: self.audience.clone(), found })
    }
}

impl MissingClaim {
    fn verdict(self, claim: &'static str) -> Result<(), ValidationError> {
        match self {
            Self::Refuse => Err(ValidationError::MissingClaim(claim)),
            Self::Accept => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

    fn rules(missing: MissingClaim) -> ClaimRules {
        ClaimRules {
            issuer: "https://as.example.com".into(),
            missing_issuer: missing,
            audience: vec!["https://a.example".into(), "https://b.example".into()],
            missing_audience: missing,
            missing_expiry: missing,
            clock_skew: Duration::from_secs(30),
        }
    }

    fn claims(json: &str) -> ClaimsSet {
        ClaimsSet::parse(json.as_bytes()).unwrap()
    }

    /// A claim of the wrong type never becomes a `ClaimsSet`, so that no rule can misread it.
    fn assert_wrong_type(claim: &str, values: &[&str]) {
        for value in values {
            let error = ClaimsSet::parse(format!("{{\"{claim}\":{value}}}").as_bytes()).unwrap_err();
            assert!(error.to_string().starts_with(&format!("claim {claim:?}: wrong type")), "{error}");
        }
    }

    #[test]
    fn check_issuer_accepts_only_the_same_string() {
        for missing in [MissingClaim::Refuse, MissingClaim::Accept] {
            let check = |json: &str| rules(missing).check_issuer(&claims(json));

            assert!(check(r#"{"iss":"https://as.example.com"}"#).is_ok());
            for other in ["https://as.example.com/", "HTTPS://as.example.com", "https://as.example.co", ""] {
                assert!(
                    matches!(
                        check(&format!(r#"{{"iss":"{other}"}}"#)),
                        Err(ValidationError::IssuerMismatch { .. })
                    ),
                    "{other}"
                );
            }
        }
        assert!(matches!(
            rules(MissingClaim::Refuse).check_issuer(&claims("{}")),
            Err(ValidationError::MissingClaim("iss"))
        ));
        assert!(rules(MissingClaim::Accept).check_issuer(&claims("{}")).is_ok());
        assert_wrong_type("iss", &["1", "null", r#"["https://as.example.com"]"#]);
    }

    #[test]
    fn check_expiry_refuses_from_exp_and_the_clock_skew_on() {
        for missing in [MissingClaim::Refuse, MissingClaim::Accept] {
            let check = |exp: u64| rules(missing).check_expiry(&claims(&format!("{{\"exp\":{exp}}}")), NOW);
            let now = NOW.as_secs();

            assert_eq!(check(now - 29).unwrap(), Some(UnixTime::from_secs(now + 1)));
            assert!(matches!(check(now - 30), Err(ValidationError::Expired { .. })));
            assert!(matches!(check(0), Err(ValidationError::Expired { .. })));
        }
        assert!(matches!(
            rules(MissingClaim::Refuse).check_expiry(&claims("{}"), NOW),
            Err(ValidationError::MissingClaim("exp"))
        ));
        assert_eq!(rules(MissingClaim::Accept).check_expiry(&claims("{}"), NOW).unwrap(), None);
        assert_wrong_type("exp", &["\"1\"", "null", "-1", "[1]"]);
    }

    #[test]
    fn check_not_before_refuses_until_nbf_less_the_clock_skew() {
        let check = |json: &str| rules(MissingClaim::Refuse).check_not_before(&claims(json), NOW);
        let now = NOW.as_secs();

        assert!(check(&format!(r#"{{"nbf":{}}}"#, now + 30)).is_ok());
        assert!(check(r#"{"nbf":-1}"#).is_ok());
        assert!(check("{}").is_ok());
        assert!(matches!(
            check(&format!(r#"{{"nbf":{}}}"#, now + 31)),
            Err(ValidationError::NotYetValid { claim: "nbf", .. })
        ));
        assert_wrong_type("nbf", &["\"1\"", "null", "true", "[1]"]);
    }

    #[test]
    fn check_audience_needs_one_of_our_identifiers() {
        for missing in [MissingClaim::Refuse, MissingClaim::Accept] {
            let check = |json: &str| rules(missing).check_audience(&claims(json));

            for ours in [r#""https://a.example""#, r#"["https://b.example"]"#, r#"["x","https://a.example"]"#]
            {
                assert!(check(&format!(r#"{{"aud":{ours}}}"#)).is_ok(), "{ours}");
            }
            for (others, count) in [(r#""x""#, 1), (r#"["x","https://a.example/"]"#, 2), (r#""""#, 1)] {
                assert!(
                    matches!(
                        check(&format!(r#"{{"aud":{others}}}"#)),
                        Err(ValidationError::AudienceMismatch { found, .. }) if found == count
                    ),
                    "{others}"
                );
            }
        }
        for none in ["{}", r#"{"aud":[]}"#] {
            assert!(matches!(
                rules(MissingClaim::Refuse).check_audience(&claims(none)),
                Err(ValidationError::AudienceMismatch { found: 0, .. })
            ));
            assert!(rules(MissingClaim::Accept).check_audience(&claims(none)).is_ok());
        }
        assert_wrong_type("aud", &["1", "null", "[1]", "{}", r#"["https://a.example",null]"#]);
    }
}
