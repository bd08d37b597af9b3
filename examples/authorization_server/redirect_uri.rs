//! Redirect URIs: which ones a client may have, and which of them a request may use.

use std::net::IpAddr;

use url::{Host, Url};

use super::oauth_error::{ErrorCode, OAuthError};

// RFC 6749 section 3.1.2: absolute, without fragment. RFC 9700 section 2.6: https, except on loopback.
pub(super) fn check_redirect_uri(uri: &str) -> Result<(), OAuthError> {
    let invalid = |description: &'static str| OAuthError::new(ErrorCode::InvalidRedirectUri, description);
    let uri = Url::parse(uri).map_err(|_| invalid("a redirect URI is not absolute"))?;
    if uri.fragment().is_some() {
        return Err(invalid("a redirect URI has a fragment"));
    }
    match uri.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(&uri) => Ok(()),
        _ => Err(invalid("a redirect URI is neither https nor on loopback")),
    }
}

/// Returns whether a request may use `requested`.
///
/// RFC 9700 section 2.1: compared as strings. The one exception is the port on loopback (RFC 8252 section 7.3), because a
/// native app gets its port from the operating system when it starts.
pub(super) fn is_registered(registered: &[String], requested: &str) -> bool {
    registered.iter().any(|uri| uri == requested || differ_only_in_loopback_port(uri, requested))
}

fn differ_only_in_loopback_port(registered: &str, requested: &str) -> bool {
    match (split_loopback_port(registered), split_loopback_port(requested)) {
        (Some(registered), Some(requested)) => registered == requested,
        _ => false,
    }
}

/// Splits `http://127.0.0.1:PORT/path?query` into the host and what follows the port, which may be absent.
fn split_loopback_port(uri: &str) -> Option<(&str, &str)> {
    let authority = uri.strip_prefix("http://")?;
    let host = LOOPBACK_HOSTS.into_iter().find(|host| authority.starts_with(host))?;
    let after_host = authority.strip_prefix(host)?;
    let rest = match after_host.strip_prefix(':') {
        Some(port_and_rest) => {
            let rest = port_and_rest.trim_start_matches(|character: char| character.is_ascii_digit());
            port_and_rest.strip_suffix(rest)?.parse::<u16>().ok()?;
            rest
        }
        None => after_host,
    };
    // Otherwise the authority continues, as in `http://127.0.0.1:80@attacker.example/`.
    (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((host, rest))
}

/// Returns whether the host is this machine. Names other than `localhost` are not resolved.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// RFC 8252 section 7.3 names the two addresses, and RFC 9700 section 4.1.3 adds `localhost`.
const LOOPBACK_HOSTS: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];
