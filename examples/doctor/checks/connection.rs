//! Whether the server responds, in time and with the right time.

use std::time::SystemTime;

use http::header::DATE;
use url::Url;

use super::super::{
    exchange::{Answer, Failure, is_loopback},
    finding::Finding,
    rules,
};

/// The difference between clocks that is tolerated. The same as the default of the library.
const CLOCK_SKEW: i64 = 30;

pub(crate) fn check_scheme(target: &Url) -> Option<Finding> {
    (target.scheme() == "http" && !is_loopback(target)).then(|| Finding::new(&rules::PLAIN_HTTP, target))
}

pub(crate) fn check_failure(failure: &Failure) -> Finding {
    let rule = match failure {
        Failure::Connect(_) => &rules::UNREACHABLE,
        Failure::Tls(_) => &rules::TLS_FAILED,
        Failure::Timeout(_) | Failure::Broken(_) => &rules::NO_RESPONSE,
        Failure::OutOfTime => &rules::NOT_EVERYTHING_CHECKED,
    };
    Finding::new(rule, failure)
}

/// Reports the responses that took too long, with one finding.
pub(crate) fn check_speed(slow: &[String]) -> Option<Finding> {
    (!slow.is_empty()).then(|| Finding::new(&rules::SLOW, slow.join(", ")))
}

/// How many seconds the clock of a server is ahead of the clock of this machine.
pub(crate) fn clock_offset(answer: &Answer) -> Option<i64> {
    let values = answer.values(&DATE);
    let date = httpdate::parse_http_date(values.first()?.trim()).ok()?;
    let seconds =
        |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).ok().map(|time| time.as_secs());
    let (theirs, ours) = (seconds(date)?, seconds(answer.received)?);
    Some(i64::try_from(theirs).ok()?.saturating_sub(i64::try_from(ours).ok()?))
}

/// Compares the clocks of the resource server and the authorization server, both as seen from this machine.
pub(crate) fn check_clocks(resource: Option<i64>, authorization: Option<i64>) -> Vec<Finding> {
    let differ = |offset: i64| offset.abs() > CLOCK_SKEW;
    let side = |offset: i64| if offset > 0 { "ahead of" } else { "behind" };
    match (resource, authorization) {
        (Some(resource), Some(authorization)) if differ(resource.saturating_sub(authorization)) => {
            let offset = resource.saturating_sub(authorization);
            let found = format!(
                "the resource server is {} s {} the authorization server (headers Date)",
                offset.abs(),
                side(offset)
            );
            vec![Finding::new(&rules::CLOCKS_DIFFER, found)]
        }
        (Some(offset), _) if differ(offset) => {
            let found =
                format!("the server is {} s {} this machine (header Date)", offset.abs(), side(offset));
            vec![Finding::new(&rules::CLOCK_UNLIKE_OURS, found)]
        }
        _ => Vec::new(),
    }
}
