//! Which URLs may be configured: `https`, and `http` on this machine where that was asked for by name.

use url::{Host, Url};

use crate::config_error::Problem;

/// What becomes of an `http` URL on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loopback {
    Refuse,
    Accept,
}

/// Checks a URL without changing it: its scheme, that it has a host and neither a fragment nor a user name.
pub(crate) fn check_url(setting: &'static str, text: &str, loopback: Loopback) -> Result<Url, Problem> {
    let problem = |expected| Err(Problem::new(setting, text, expected));
    // The parser forgives spaces and control characters, and whoever compares the text later would not.
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
        "http" => return problem("expected https; http is possible on this machine only"),
        _ => return problem("expected an https URL"),
    }
    let authority = text.split_once("://").map_or(text, |(_, rest)| rest);
    if authority.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@')) {
        // The value is not shown: there may be a password in it.
        return Err(Problem::without_value(setting, "expected a URL without user name and password"));
    }
    if url.fragment().is_some() {
        return problem("expected a URL without fragment");
    }
    Ok(url)
}

/// Tells whether a URL points to this machine, by its text: no name is resolved.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_is_accepted_and_http_only_where_it_was_asked_for() {
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
    fn what_is_no_clean_url_is_refused() {
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
}
