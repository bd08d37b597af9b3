//! Parses the `Authorization` header: exactly one field, one scheme, one token68.

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

use crate::ValidationError;

/// Maximum length of a token in bytes. Most servers limit all headers to 16 KiB, so longer tokens rarely arrive over
/// HTTP. The limit bounds the cost of decoding base64 and parsing JSON.
pub(crate) const MAX_TOKEN_LEN: usize = 16 * 1024;

/// Maximum length of the payload of a JWT in bytes of JSON, which is what fits into a token of maximum length.
pub(crate) const MAX_PAYLOAD_LEN: usize = 12 * 1024;

/// The content of the `Authorization` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credentials<'a> {
    /// A bearer token (RFC 6750 section 2.1).
    Bearer(&'a str),
    /// An access token that is bound to a key (RFC 9449 section 7.1). No other scheme carries an OAuth 2.0 access
    /// token.
    DpopToken,
    /// Nothing, or credentials of another scheme.
    NoToken,
}

/// Reads the credentials of a request.
pub(crate) fn extract(headers: &HeaderMap) -> Result<Credentials<'_>, ValidationError> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let Some(field) = fields.next() else {
        return Ok(Credentials::NoToken);
    };
    // RFC 9110 section 5.3: only a list may be split over several fields, and credentials are not a list. If there are
    // two fields, a proxy in front may have checked the other one.
    match fields.count() {
        0 => parse(field),
        more => Err(ValidationError::MultipleAuthorizationHeaders { found: 1 + more }),
    }
}

// RFC 6750 section 2.1: credentials = "Bearer" 1*SP b64token
fn parse(field: &HeaderValue) -> Result<Credentials<'_>, ValidationError> {
    let value = trim_whitespace(field.as_bytes());
    let scheme_len = value.iter().take_while(|byte| is_token_char(**byte)).count();
    let (scheme, rest) = value.split_at(scheme_len);
    // RFC 9110 section 11.1: scheme names are case-insensitive.
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        // A proxy that joins two fields may append a token to other credentials. Such a request is not anonymous.
        return if value.split(|byte| *byte == b',').skip(1).any(begins_with_token_scheme) {
            Err(ValidationError::MalformedCredentials)
        } else if scheme.eq_ignore_ascii_case(b"dpop") {
            Ok(Credentials::DpopToken)
        } else {
            Ok(Credentials::NoToken)
        };
    }
    let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
    let token = &rest[spaces..];
    if spaces == 0 {
        return Err(ValidationError::MalformedCredentials);
    }
    if token.len() > MAX_TOKEN_LEN {
        return Err(ValidationError::TokenTooLong { length: token.len(), limit: MAX_TOKEN_LEN });
    }
    if !is_token68(token) {
        return Err(ValidationError::MalformedCredentials);
    }
    std::str::from_utf8(token).map(Credentials::Bearer).map_err(|_| ValidationError::MalformedCredentials)
}

fn begins_with_token_scheme(element: &[u8]) -> bool {
    let element = trim_whitespace(element);
    // A tab before a token is malformed (RFC 6750 section 2.1), but lenient parsers accept it.
    [&b"bearer"[..], b"dpop"].iter().any(|scheme| {
        let parts = element.split_at_checked(scheme.len());
        parts.is_some_and(|(start, rest)| {
            start.eq_ignore_ascii_case(scheme) && matches!(rest, [b' ' | b'\t', ..])
        })
    })
}

/// `OWS` around a field value is not part of it (RFC 9110 section 5.5).
fn trim_whitespace(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// `tchar` of RFC 9110 section 5.6.2.
fn is_token_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `token68 = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="` of RFC 9110 section 11.2.
fn is_token68(text: &[u8]) -> bool {
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let body = &text[..text.len() - padding];
    !body.is_empty() && body.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn extract_from(values: &[&[u8]]) -> Result<Option<String>, ValidationError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        extract(&headers).map(|credentials| match credentials {
            Credentials::Bearer(token) => Some(token.to_owned()),
            Credentials::DpopToken | Credentials::NoToken => None,
        })
    }

    #[test]
    fn one_token68_after_the_scheme_is_the_token() {
        for (field, token) in [
            ("Bearer abc", "abc"),
            ("bearer abc", "abc"),
            ("BEARER abc==", "abc=="),
            ("bEaReR   a.b-c_d~e+f/g", "a.b-c_d~e+f/g"),
            ("\t Bearer abc \t", "abc"),
            ("Bearer null", "null"),
        ] {
            assert_eq!(extract_from(&[field.as_bytes()]).unwrap().as_deref(), Some(token), "{field:?}");
        }
    }

    #[test]
    fn other_schemes_are_not_bearer_credentials() {
        for field in [
            "Basic YTpi",
            "Negotiate",
            "BearerTOKEN",
            "Bearer-Token abc",
            "DPoP abc",
            "",
            "=",
            "\"Bearer\" a",
        ] {
            assert_eq!(extract_from(&[field.as_bytes()]).unwrap(), None, "{field:?}");
        }
        assert_eq!(extract_from(&[]).unwrap(), None);
    }

    #[test]
    fn dpop_scheme_carries_a_token() {
        for (field, expected) in [
            ("DPoP abc", Credentials::DpopToken),
            ("dpop abc", Credentials::DpopToken),
            ("DPOP", Credentials::DpopToken),
            ("DPoP a b", Credentials::DpopToken),
            ("DPoPX abc", Credentials::NoToken),
            ("Basic YTpi", Credentials::NoToken),
        ] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(field))]);

            assert_eq!(extract(&headers).unwrap(), expected, "{field:?}");
        }
    }

    #[test]
    fn anything_else_after_the_scheme_is_malformed() {
        let fields: [&[u8]; 15] = [
            b"Bearer",
            b"Bearer ",
            b"Bearer\tabc",
            b"Bearer a b",
            b"Bearer a,b",
            b"Bearer a, Bearer b",
            b"Bearer \"x\"",
            b"Bearer a=b",
            b"Bearer ==",
            b"Bearer tok\xc3\xa9",
            b"Bearer\xc2\xa0abc",
            b"Bearer:abc",
            b"Bearer \tabc",
            b"Bearer {\"a\":1}",
            b"Bearer token=\"abc\"",
        ];
        for field in fields {
            let error = extract_from(&[field]).unwrap_err();
            assert!(matches!(error, ValidationError::MalformedCredentials), "{field:?}: {error}");
        }
    }

    #[test]
    fn bearer_credentials_joined_after_others_are_malformed() {
        for field in [
            "Basic YTpi, Bearer abc",
            ", Bearer abc",
            "Basic YTpi,\tbEARER abc",
            "Basic YTpi,Bearer\tabc",
            "Digest a=\"b\" , Bearer abc",
            "Basic YTpi, DPoP abc",
            "DPoP abc, Bearer abc",
        ] {
            let error = extract_from(&[field.as_bytes()]).unwrap_err();
            assert!(matches!(error, ValidationError::MalformedCredentials), "{field:?}: {error}");
        }
        for field in ["Digest username=\"a\", realm=\"b\"", "Basic YTpi, BearerX abc", "Basic, Bearer"] {
            assert_eq!(extract_from(&[field.as_bytes()]).unwrap(), None, "{field:?}");
        }
    }

    #[test]
    fn a_second_field_is_refused_whatever_it_holds() {
        for second in ["Bearer b", "Basic YTpi", ""] {
            let error = extract_from(&[b"Bearer a", second.as_bytes()]).unwrap_err();
            assert!(
                matches!(error, ValidationError::MultipleAuthorizationHeaders { found: 2 }),
                "{second:?}: {error}"
            );
        }
    }

    #[test]
    fn r6750_24_length_is_checked_before_the_grammar() {
        let field = |length: usize, filler: &str| format!("Bearer {}", filler.repeat(length));

        assert!(extract_from(&[field(16_384, "a").as_bytes()]).unwrap().is_some());
        for filler in ["a", "\""] {
            let error = extract_from(&[field(16_385, filler).as_bytes()]).unwrap_err();
            assert!(
                matches!(error, ValidationError::TokenTooLong { length: 16_385, limit: 16_384 }),
                "{error}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_token68_is_read_back(token in "[A-Za-z0-9._~+/-]{1,40}={0,3}", spaces in " {1,4}", scheme in "[bB][eE][aA][rR][eE][rR]") {
            prop_assert_eq!(extract_from(&[format!("{scheme}{spaces}{token}").as_bytes()]).unwrap(), Some(token));
        }

        #[test]
        fn nothing_but_a_token68_comes_out(value in prop::collection::vec(prop_oneof![Just(b'\t'), 32_u8..=126, 128_u8..=255], 0..60)) {
            let field = [b"Bearer ".as_slice(), value.as_slice()].concat();
            if let Ok(Some(token)) = extract_from(&[field.as_slice()]) {
                prop_assert!(is_token68(token.as_bytes()));
            }
        }
    }
}
