//! Checks URLs from configuration and metadata: `https`, or `http` on this machine if allowed.

use url::{Host, Url};

use crate::config_error::Problem;

/// Whether an `http` URL on this machine is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loopback {
    Refuse,
    Accept,
}

/// Checks the characters and scheme of a URL, and that it has no user name, password or fragment.
///
/// Not checked: what the host resolves to.
pub(crate) fn check_url(setting: &'static str, text: &str, loopback: Loopback) -> Result<Url, Problem> {
    let problem = |expected| Err(Problem::new(setting, text, expected));
    // The parser accepts and removes spaces and control characters, so the text would not equal the parsed URL.
    if !text
        .bytes()
        .all(|byte| matches!(byte, 0x21..=0x7e) && !matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'^' | b'`'))
    {
        return problem("expected a URL in ASCII, other characters percent-encoded (RFC 3986 section 2)");
    }
    let Ok(url) = Url::parse(text) else {
        return problem("expected an absolute URL");
    };
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) && loopback == Loopback::Accept => {}
        "http" if is_loopback(&url) => {
            return problem("expected https; for a server on this machine call allow_http_on_loopback()");
        }
        "http" => return problem("expected https; http is only accepted on this machine"),
        _ => return problem("expected an https URL"),
    }
    // The parser accepts any number of slashes after these schemes. Other parsers may read another host, or none.
    let Some(authority) = authority(text) else {
        return problem("expected two slashes after the scheme (RFC 3986 section 3)");
    };
    // The text is checked too, because the parser drops an empty user name.
    if !url.username().is_empty() || url.password().is_some() || authority.contains('@') {
        return problem("expected a URL without user name and password");
    }
    if url.fragment().is_some() {
        return problem("expected a URL without fragment");
    }
    Ok(url)
}

/// Returns the authority, between `//` and the path (RFC 3986 section 3.2), or `None` if it is missing or empty.
fn authority(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(':')?;
    rest.strip_prefix("//")?.split(['/', '?', '#']).next().filter(|authority| !authority.is_empty())
}

/// Returns whether the host is a loopback address or `localhost`. No name is resolved.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

/// Writes scheme and host of a URL in lower case (RFC 3986 section 6.2.2.1). The rest is not changed.
pub(crate) fn with_lower_case_origin(url: &str) -> String {
    let authority = url.find("://").map_or(0, |end| end + 3);
    let end = url[authority..].find(['/', '?', '#']).map_or(url.len(), |end| authority + end);
    url[..end].to_ascii_lowercase() + &url[end..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_is_accepted_and_http_only_on_this_machine_if_allowed() {
        for (text, refuse, accept) in [
            ("https://as.example.com", true, true),
            ("https://as.example.com/tenant/", true, true),
            ("http://127.0.0.1:9797", false, true),
            ("http://[::1]:9797/a", false, true),
            ("http://localhost", false, true),
            ("http://as.example.com", false, false),
            ("http://127.0.0.1.example.com", false, false),
            ("http://localhost.example.com", false, false),
        ] {
            assert_eq!(check_url("issuer", text, Loopback::Refuse).is_ok(), refuse, "{text}");
            assert_eq!(check_url("issuer", text, Loopback::Accept).is_ok(), accept, "{text}");
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "as.example.com",
            "//as.example.com",
            "ftp://as.example.com",
            "https://",
            "https://as.example.com#x",
            "https://user@as.example.com",
            "https://:secret@as.example.com",
            "https://@as.example.com",
            " https://as.example.com",
            "https://as.example.com/a b",
            "https://as.example.com/\n",
            "https://as.example.com/é",
            "https://a\"b/",
        ] {
            assert!(check_url("issuer", text, Loopback::Accept).is_err(), "{text}");
        }
    }

    #[test]
    fn a61_user_info_is_refused_however_it_is_written_and_never_shown() {
        for text in [
            "https://user:secret@h",
            "https://user:secret@h#fragment",
            "https:/user:secret@h",
            "https:///user:secret@h",
            "https:////user:secret@h",
            "https:user:secret@h",
            "https:/u@h",
            "https://@h",
            "https://:@h",
            "https:/@h",
            "HTTPS://user:secret@h",
            "http://user:secret@h",
            "http://user:secret@127.0.0.1",
            "ftp://user:secret@h",
            "https://user:se cret@h",
            "https://user:secret@",
            "https://user:secret/@h",
            "//user:secret@h",
            "user:secret@h",
        ] {
            for loopback in [Loopback::Refuse, Loopback::Accept] {
                let problem = check_url("issuer", text, loopback).unwrap_err();

                for shown in [problem.to_string(), format!("{problem:?}")] {
                    assert!(!shown.contains("secret") && !shown.contains("se cret"), "{text}: {shown}");
                    assert!(!shown.contains("user:"), "{text}: {shown}");
                }
            }
        }
    }

    #[test]
    fn an_at_sign_after_the_authority_is_not_user_info() {
        for text in ["https://h/@tenant", "https://h/a@b", "https://h?user@example.com"] {
            assert!(check_url("issuer", text, Loopback::Refuse).is_ok(), "{text}");
        }
    }
}
