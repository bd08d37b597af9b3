//! The JOSE header (RFC 7515 section 4): what it may contain, and which parameters are used.

use crate::{
    Algorithm, ValidationError,
    refusal::Excerpt,
    strict_json::{self, Members},
};

/// What a header may contain.
#[derive(Clone, Debug)]
pub(super) struct HeaderPolicy {
    pub(super) algorithms: Box<[Algorithm]>,
    /// Whether `typ` may also be `JWT` or absent.
    pub(super) accept_typ_jwt: bool,
}

/// Maximum number of parameters in a header. About thirty are registered; a token has two to five.
const MAX_PARAMETERS: usize = 32;

const NOT_ONE_OBJECT: ValidationError =
    ValidationError::MalformedToken("header is not a JSON object, or has a duplicate member");

/// An acceptable header. `jwk`, `jku`, `x5u`, `x5c` and `x5t` are ignored: a token may name a key, but may not contain
/// one or give its address (RFC 8725 section 3.10).
#[derive(Debug)]
pub(super) struct JoseHeader {
    algorithm: Algorithm,
    kid: Option<Box<str>>,
}

impl JoseHeader {
    pub(super) fn parse(json: &[u8], policy: &HeaderPolicy) -> Result<Self, ValidationError> {
        let members = Members::parse_few(MAX_PARAMETERS, json).map_err(|_| NOT_ONE_OBJECT)?;
        Self::of(&members, policy)
    }

    /// Reads a header that is already parsed.
    pub(super) fn of(members: &Members<'_>, policy: &HeaderPolicy) -> Result<Self, ValidationError> {
        if members.len() > MAX_PARAMETERS {
            return Err(NOT_ONE_OBJECT);
        }
        policy.check_typ(members)?;
        let algorithm = policy.check_alg(members)?;
        check_critical(members)?;
        check_content_type(members)?;
        let kid = match members.find("kid") {
            None => None,
            Some(value) => Some(
                strict_json::string(value).ok_or(ValidationError::MalformedToken("kid is not a string"))?,
            ),
        };
        Ok(Self { algorithm, kid: kid.map(Into::into) })
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }
}

impl HeaderPolicy {
    // RFC 9068 section 4: "at+jwt" or "application/at+jwt". The relaxed profile also accepts "JWT" or no `typ`, and
    // recognizes access tokens by a claim.
    fn check_typ(&self, members: &Members<'_>) -> Result<(), ValidationError> {
        let expected = if self.accept_typ_jwt { "at+jwt, JWT or no typ" } else { "at+jwt" };
        let Some(value) = members.find("typ") else {
            return match self.accept_typ_jwt {
                true => Ok(()),
                false => Err(ValidationError::TypeNotAccepted { found: None, expected }),
            };
        };
        let typ = strict_json::string(value).ok_or(ValidationError::MalformedToken("typ is not a string"))?;
        if is_media_type(&typ, "at+jwt") || (self.accept_typ_jwt && is_media_type(&typ, "jwt")) {
            return Ok(());
        }
        Err(ValidationError::TypeNotAccepted { found: Some(Excerpt::new(&typ)), expected })
    }

    // RFC 8725 section 3.1: the resource server chooses the algorithms. Names are case-sensitive.
    fn check_alg(&self, members: &Members<'_>) -> Result<Algorithm, ValidationError> {
        let value = members.find("alg").ok_or(ValidationError::MalformedToken("missing alg"))?;
        let name =
            strict_json::string(value).ok_or(ValidationError::MalformedToken("alg is not a string"))?;
        name.parse().ok().filter(|algorithm| self.algorithms.contains(algorithm)).ok_or_else(|| {
            let accepted: Vec<_> = self.algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
            ValidationError::AlgorithmNotAccepted {
                found: Excerpt::new(&name),
                accepted: accepted.join(", ").into(),
            }
        })
    }
}

// RFC 7515 section 4.1.11: a critical parameter that is not understood makes the JWS invalid. This crate understands
// none. RFC 7797 section 7: a JWT must not use `b64`.
fn check_critical(members: &Members<'_>) -> Result<(), ValidationError> {
    if members.find("crit").is_some() {
        return Err(ValidationError::MalformedToken(
            "crit is present, and no critical parameter is supported",
        ));
    }
    if members.find("b64").is_some() {
        return Err(ValidationError::MalformedToken("b64 is not allowed in a JWT"));
    }
    Ok(())
}

// RFC 7519 section 5.2: `cty: JWT` means that the payload is another token.
fn check_content_type(members: &Members<'_>) -> Result<(), ValidationError> {
    let Some(value) = members.find("cty") else {
        return Ok(());
    };
    let cty = strict_json::string(value).ok_or(ValidationError::MalformedToken("cty is not a string"))?;
    if is_media_type(&cty, "jwt") {
        return Err(ValidationError::MalformedToken("nested JWTs are not supported"));
    }
    Ok(())
}

// RFC 7515 section 4.1.9: a value without a slash is short for `application/` and the value. Media types are
// case-insensitive.
fn is_media_type(value: &str, subtype: &str) -> bool {
    const APPLICATION: &str = "application/";
    let stripped = value
        .get(..APPLICATION.len())
        .filter(|start| start.eq_ignore_ascii_case(APPLICATION))
        .map_or(value, |start| &value[start.len()..]);
    stripped.eq_ignore_ascii_case(subtype)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str, accept_typ_jwt: bool) -> Result<JoseHeader, ValidationError> {
        let policy =
            HeaderPolicy { algorithms: Box::new([Algorithm::ES256, Algorithm::EdDSA]), accept_typ_jwt };
        JoseHeader::parse(json.as_bytes(), &policy)
    }

    #[test]
    fn an_access_token_header_is_accepted() {
        let header =
            parse(r#"{"typ":"at+jwt","alg":"ES256","kid":"1","x5t":"abc","foo":{"a":[1]}}"#, false).unwrap();

        assert_eq!((header.algorithm(), header.kid()), (Algorithm::ES256, Some("1")));
    }

    #[test]
    fn r8725_19_types_compare_as_media_types() {
        for (typ, strict, relaxed) in [
            ("at+jwt", true, true),
            ("AT+JWT", true, true),
            ("application/at+jwt", true, true),
            ("Application/AT+jwt", true, true),
            ("JWT", false, true),
            ("application/jwt", false, true),
            ("text/at+jwt", false, false),
            ("at+jwt ", false, false),
            ("application/application/at+jwt", false, false),
            ("logout+jwt", false, false),
            ("dpop+jwt", false, false),
            ("token-introspection+jwt", false, false),
            ("", false, false),
            ("é", false, false),
        ] {
            let json = format!(r#"{{"typ":"{typ}","alg":"ES256"}}"#);
            assert_eq!(parse(&json, false).is_ok(), strict, "{typ:?}");
            assert_eq!(parse(&json, true).is_ok(), relaxed, "{typ:?}");
        }
        assert!(parse(r#"{"alg":"ES256"}"#, false).is_err());
        assert!(parse(r#"{"alg":"ES256"}"#, true).is_ok());
    }

    #[test]
    fn both_names_of_eddsa_are_one_algorithm() {
        for name in ["EdDSA", "Ed25519"] {
            let header = parse(&format!(r#"{{"typ":"at+jwt","alg":"{name}"}}"#), false).unwrap();
            assert_eq!(header.algorithm(), Algorithm::EdDSA);
        }
    }

    #[test]
    fn parameters_of_a_wrong_type_are_refused() {
        for (name, values) in [
            ("typ", &["null", "1", "[\"at+jwt\"]"][..]),
            ("alg", &["null", "256", "[\"ES256\"]"]),
            ("kid", &["null", "1", "[\"1\"]", "{}"]),
            ("cty", &["null", "1"]),
        ] {
            for value in values {
                let others = [("typ", "\"at+jwt\""), ("alg", "\"ES256\"")];
                let members: Vec<_> = others
                    .into_iter()
                    .filter(|(other, _)| *other != name)
                    .chain([(name, *value)])
                    .map(|(name, value)| format!("\"{name}\":{value}"))
                    .collect();
                let json = format!("{{{}}}", members.join(","));
                assert!(matches!(parse(&json, true), Err(ValidationError::MalformedToken(_))), "{json}");
            }
        }
    }
}
