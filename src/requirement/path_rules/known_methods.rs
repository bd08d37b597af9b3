//! The HTTP methods that rules may name.

use http::Method;

use crate::similar::most_similar;

/// Returns what is expected instead of a method that is neither registered nor an extension.
///
/// A rule for a misspelled method never applies. Requests with the right method would be refused, or would meet the rule for all methods,
/// which may require less.
pub(super) fn expected_instead_of(method: &Method, extensions: &[Method]) -> Option<String> {
    if REGISTERED.contains(&method.as_str()) || extensions.contains(method) {
        return None;
    }
    let hint = most_similar(method.as_str(), &REGISTERED);
    let hint = hint.map(|similar| format!(" such as {similar}")).unwrap_or_default();
    Some(format!("expected a registered method{hint}, or one that is listed in extension_methods"))
}

/// Returns what is expected instead of an extension method that differs from a registered method only by case. Methods are
/// case-sensitive (RFC 9110 section 9.1).
pub(super) fn expected_instead_of_extension(method: &Method) -> Option<String> {
    let same = REGISTERED.iter().find(|known| known.eq_ignore_ascii_case(method.as_str()))?;
    (*same != method.as_str()).then(|| format!("expected a method that differs from {same} not only by case"))
}

/// The HTTP Method Registry of IANA without its reserved names, and `QUERY` (draft-ietf-httpbis-safe-method-w-body).
const REGISTERED: [&str; 39] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "CONNECT",
    "OPTIONS",
    "TRACE",
    "PATCH",
    "QUERY",
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "COPY",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "ORDERPATCH",
    "PROPFIND",
    "PROPPATCH",
    "REBIND",
    "REPORT",
    "SEARCH",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];
