//! The response to a request without a token.

use http::{StatusCode, header::CACHE_CONTROL};
use url::Url;

use super::super::{
    exchange::Answer,
    finding::{Finding, quoted},
    rules::{self, Rule},
};

/// Checks the status, which must be 401.
pub(crate) fn check_status(answer: &Answer, target: &Url) -> Option<Finding> {
    let status = answer.status;
    let rule: &'static Rule = match status.as_u16() {
        401 => return None,
        429 | 503 => &rules::OVERLOADED,
        200..=299 => &rules::OPEN,
        300..=399 => &rules::REDIRECTED,
        400 => &rules::BAD_REQUEST_WITHOUT_TOKEN,
        403 => &rules::FORBIDDEN_WITHOUT_TOKEN,
        404 | 410 => &rules::NOT_FOUND,
        405 | 501 => &rules::METHOD_NOT_ALLOWED,
        500..=599 => &rules::SERVER_ERROR_WITHOUT_TOKEN,
        _ => &rules::OTHER_STATUS_WITHOUT_TOKEN,
    };
    let details = match answer.location() {
        Some(location) if status.is_redirection() => redirect(&location, target),
        None if status.is_redirection() => " without a Location".to_owned(),
        _ => excerpt(answer),
    };
    Some(Finding::new(rule, format!("status {}{details}", status.as_u16())))
}

/// Describes a redirect. It is not followed.
pub(crate) fn redirect(location: &str, from: &Url) -> String {
    let hint = match from.join(location) {
        Ok(to) if to == *from => ", the same URL: a loop",
        Ok(to) if differs_by_slash(&to, from) => ", which differs by the slash at the end",
        Ok(to) if to.scheme() != from.scheme() && to.host_str() == from.host_str() => {
            ", which differs by the scheme"
        }
        Ok(to) if to.host_str() != from.host_str() => ", another host",
        _ => "",
    };
    format!(" to {}{hint}", quoted(location))
}

fn differs_by_slash(one: &Url, other: &Url) -> bool {
    one.host_str() == other.host_str()
        && one.path() != other.path()
        && one.path().trim_end_matches('/') == other.path().trim_end_matches('/')
}

fn excerpt(answer: &Answer) -> String {
    let body = String::from_utf8_lossy(&answer.body);
    match body.trim() {
        "" => String::new(),
        body => format!(", body {}", quoted(body)),
    }
}

/// Checks whether a cache may store a refusal.
pub(crate) fn check_cache(answer: &Answer) -> Option<Finding> {
    if !answer.status.is_client_error() {
        return None;
    }
    let directives = answer.list(&CACHE_CONTROL);
    let names: Vec<_> = directives.iter().filter_map(|directive| directive.split('=').next()).collect();
    let has = |name: &str| names.contains(&name);
    if has("no-store") {
        return None;
    }
    let is_zero = |directive: &String| matches!(&**directive, "max-age=0" | "s-maxage=0");
    let is_fresh = ["public", "max-age", "s-maxage", "immutable"].into_iter().any(has);
    let found = match directives.is_empty() {
        true => "no Cache-Control header".to_owned(),
        false => format!("Cache-Control: {}", quoted(&directives.join(", "))),
    };
    let is_private = has("private") || has("no-cache");
    let rule = match is_fresh && !is_private && !directives.iter().any(is_zero) {
        true => &rules::CACHEABLE,
        false => &rules::NO_CACHE_CONTROL,
    };
    Some(Finding::new(rule, found))
}

/// Checks `HEAD`, if the response to `GET` was 401.
pub(crate) fn check_head(answer: &Answer) -> Option<Finding> {
    answer
        .status
        .is_success()
        .then(|| Finding::new(&rules::OPEN_WITH_HEAD, format!("status {}", answer.status.as_u16())))
}

/// Checks `GET` of an MCP endpoint whose `POST` needs a token.
pub(crate) fn check_event_stream(answer: &Answer) -> Option<Finding> {
    let is_stream = answer.media_type().eq_ignore_ascii_case("text/event-stream");
    (answer.status == StatusCode::OK && is_stream)
        .then(|| Finding::new(&rules::EVENT_STREAM_OPEN, "status 200 with a stream of events"))
}
