//! Which header fields pass the gateway: [`HeaderRules`].

use std::{collections::HashSet, net::IpAddr};

use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{
        AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, FORWARDED, HOST, PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE, VIA,
    },
    uri::Scheme,
};

/// The names of fields that only the gateway may send to the backend.
#[derive(Debug)]
pub(crate) struct HeaderRules {
    /// Normalised by [`normalised`].
    reserved: HashSet<String>,
}

impl HeaderRules {
    /// Reserves the usual fields and those with these names.
    pub(crate) fn new<'a>(names: impl Iterator<Item = &'a HeaderName>) -> Self {
        let usual = RESERVED.iter().map(|name| (*name).to_owned());
        Self { reserved: usual.chain(names.map(normalised)).collect() }
    }

    /// Returns whether the backend may trust a field of this name, so that clients must not set it.
    ///
    /// Many backends read `X_Forwarded_User` as `X-Forwarded-User`, because CGI writes both as `HTTP_X_FORWARDED_USER`.
    pub(crate) fn is_reserved(&self, name: &HeaderName) -> bool {
        let name = normalised(name);
        RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || self.reserved.contains(&name)
    }

    /// Removes what must not reach the backend from the headers of a request.
    pub(crate) fn clean_request(&self, headers: &mut HeaderMap) {
        let accepts_trailers = accepts_trailers(headers);
        remove_hop_by_hop(headers);
        remove_if(headers, |name| self.is_reserved(name) || *name == HOST);
        if accepts_trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
    }

    /// Removes what must not reach the backend from the trailers of a request. Some backends treat trailers as headers.
    pub(crate) fn clean_trailers(&self, trailers: &mut HeaderMap) {
        remove_if(trailers, |name| self.is_reserved(name) || NEVER_TRAILERS.contains(name));
    }
}

/// Removes the fields that are for one connection only (RFC 9110 section 7.6.1), and those for a proxy.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    for name in connection_options(headers).iter().filter_map(|option| HeaderName::try_from(option).ok()) {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Returns the options of `Connection` in lower case.
pub(crate) fn connection_options(headers: &HeaderMap) -> Vec<String> {
    list(headers, &CONNECTION).map(str::to_ascii_lowercase).collect()
}

/// Returns the members of a field whose value is a list. Values that are not text are skipped.
pub(crate) fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|member| !member.is_empty())
}

/// Writes all cookies into one field. HTTP/2 allows several, HTTP/1.1 does not (RFC 9113 section 8.2.3).
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    let fields: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if fields.len() > 1 {
        let joined = HeaderValue::from_bytes(&fields.join(&b"; "[..]));
        headers.insert(COOKIE, joined.expect("header values joined by `; ` are a header value"));
    }
}

/// Describes the request to the backend (RFC 7239 section 4).
pub(crate) fn add_forwarded(headers: &mut HeaderMap, client: IpAddr, scheme: &Scheme, host: &HeaderValue) {
    let node = match client {
        IpAddr::V4(address) => address.to_string(),
        // RFC 7239 section 6: in brackets, and therefore in quotes.
        IpAddr::V6(address) => format!("\"[{address}]\""),
    };
    let host_text = host.to_str().unwrap_or_default();
    let forwarded = format!("for={node};host=\"{host_text}\";proto={scheme}");
    for (name, value) in [
        (FORWARDED, HeaderValue::try_from(forwarded)),
        (HeaderName::from_static("x-forwarded-for"), HeaderValue::try_from(client.to_string())),
        (HeaderName::from_static("x-forwarded-proto"), HeaderValue::try_from(scheme.as_str())),
        (HeaderName::from_static("x-forwarded-host"), Ok(host.clone())),
    ] {
        headers.insert(name, value.expect("addresses, schemes and authorities are ASCII"));
    }
}

/// Adds the gateway to `Via`, with the version in which it received the message (RFC 9110 section 7.6.3).
pub(crate) fn add_via(headers: &mut HeaderMap, version: Version) {
    let value = match version {
        Version::HTTP_10 => "1.0 gateway",
        Version::HTTP_2 => "2.0 gateway",
        _ => "1.1 gateway",
    };
    headers.append(VIA, HeaderValue::from_static(value));
}

fn accepts_trailers(headers: &HeaderMap) -> bool {
    list(headers, &TE).any(|coding| coding.eq_ignore_ascii_case("trailers"))
}

fn remove_if(headers: &mut HeaderMap, unwanted: impl Fn(&HeaderName) -> bool) {
    let names: Vec<_> = headers.keys().filter(|name| unwanted(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Replaces everything but letters and digits by `-`, so that names that a backend may confuse are equal.
fn normalised(name: &HeaderName) -> String {
    name.as_str().chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect()
}

/// Fields for one connection (RFC 9110 section 7.6.1), and for a proxy (sections 11.7.1 and 11.7.2).
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
];

/// Fields that a backend may trust: credentials, who the client is, and what it requested. With another method or path than
/// the one that was checked, a client could get around the rules.
const RESERVED: [&str; 13] = [
    "authorization",
    "client-cert",
    "client-cert-chain",
    "dpop",
    "forwarded",
    // CGI turns it into `HTTP_PROXY`, which HTTP clients of the backend obey.
    "proxy",
    "proxy-authorization",
    "remote-user",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-real-ip",
    "x-rewrite-url",
];
const RESERVED_PREFIXES: [&str; 2] = ["x-forwarded-", "x-original-"];

/// Fields that frame or route a message, and are therefore never trailers (RFC 9110 section 6.5.1).
const NEVER_TRAILERS: [HeaderName; 7] =
    [AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, TE, TRANSFER_ENCODING];
