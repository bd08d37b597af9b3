//! The responses to requests with made-up tokens and malformed credentials.

use super::{
    super::{
        exchange::Answer,
        finding::{Finding, quoted},
        rules::{self, Rule},
    },
    challenge,
};

/// Checks the response to a token that no server has issued. `is_forged`: it looks like a JWT.
pub(crate) fn check_made_up(answer: &Answer, token: &str, is_forged: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let kind = if is_forged { "a JWT without a signature" } else { "a made-up token" };
    let status = answer.status.as_u16();
    let rule: Option<&'static Rule> = match status {
        401 => None,
        200..=299 if is_forged => Some(&rules::FORGED_TOKEN_ACCEPTED),
        200..=299 => Some(&rules::TOKEN_ACCEPTED),
        403 => Some(&rules::TOKEN_FORBIDDEN),
        429 | 502..=504 => Some(&rules::TOKEN_CANNOT_BE_CHECKED),
        500..=599 => Some(&rules::TOKEN_CAUSES_SERVER_ERROR),
        _ => Some(&rules::TOKEN_OTHER_STATUS),
    };
    match rule {
        Some(rule) => findings.push(Finding::new(rule, format!("status {status} for {kind}"))),
        None => findings.extend(check_challenge(answer, kind)),
    }
    let body = String::from_utf8_lossy(&answer.body);
    let is_in_header =
        answer.headers.values().any(|value| String::from_utf8_lossy(value.as_bytes()).contains(token));
    if body.contains(token) || is_in_header {
        let place = if is_in_header { "a header" } else { "the body" };
        findings.push(Finding::new(&rules::TOKEN_ECHOED, format!("the token in {place} of the response")));
    }
    findings
}

fn check_challenge(answer: &Answer, kind: &str) -> Vec<Finding> {
    let challenges = challenge::read(answer);
    let mut findings = challenges.findings;
    match challenges.bearer.as_ref().map(|bearer| bearer.parameter("error")) {
        None => {
            let found = format!("401 without a Bearer challenge for {kind}");
            findings.push(Finding::new(&rules::TOKEN_WITHOUT_CHALLENGE, found));
        }
        Some(Some("invalid_token")) => {}
        Some(None) => {
            let found = format!("401 without error for {kind}");
            findings.push(Finding::new(&rules::NO_INVALID_TOKEN, found));
        }
        Some(Some(error)) => {
            let found = format!("401 with error={} for {kind}", quoted(error));
            findings.push(Finding::new(&rules::NO_INVALID_TOKEN, found));
        }
    }
    findings
}

/// Checks the response to an `Authorization` header that has no valid credentials.
pub(crate) fn check_malformed(answer: &Answer, kind: &str) -> Option<Finding> {
    let status = answer.status.as_u16();
    let rule = match status {
        200..=299 => &rules::EMPTY_CREDENTIALS_ACCEPTED,
        500..=599 if status != 503 => &rules::CREDENTIALS_CAUSE_SERVER_ERROR,
        _ => return None,
    };
    Some(Finding::new(rule, format!("status {status} for {kind}")))
}

pub(crate) fn check_other_scheme(answer: &Answer) -> Option<Finding> {
    let status = answer.status.as_u16();
    let rule = match status {
        200..=299 => &rules::OTHER_SCHEME_ACCEPTED,
        500..=599 if status != 503 => &rules::CREDENTIALS_CAUSE_SERVER_ERROR,
        _ => return None,
    };
    Some(Finding::new(rule, format!("status {status} for made-up credentials with the scheme Basic")))
}

/// Compares the responses to `Bearer` and `bearer` with the same token.
pub(crate) fn check_scheme_case(usual: &Answer, lower: &Answer) -> Option<Finding> {
    let differs = usual.status != lower.status || error_of(usual) != error_of(lower);
    let show = |answer: &Answer| {
        let error = error_of(answer)
            .map_or_else(|| "no error".to_owned(), |error| format!("error {}", quoted(&error)));
        format!("status {} with {error}", answer.status.as_u16())
    };
    differs.then(|| {
        let found = format!("{} for \"Bearer\", {} for \"bearer\"", show(usual), show(lower));
        Finding::new(&rules::SCHEME_CASE, found)
    })
}

/// Checks whether a token in the query is read. `without`: the response without any token.
pub(crate) fn check_query(answer: &Answer, without: &Answer) -> Option<Finding> {
    let status = answer.status.as_u16();
    if answer.status.is_success() && !without.status.is_success() {
        return Some(Finding::new(
            &rules::TOKEN_IN_QUERY,
            format!("status {status} for a made-up token in the query"),
        ));
    }
    let (with_token, without_token) = (error_of(answer), error_of(without));
    if with_token.as_deref() == Some("invalid_token") && without_token.is_none() {
        let found = format!("status {status} with error=\"invalid_token\", so the token was read");
        return Some(Finding::new(&rules::TOKEN_IN_QUERY, found));
    }
    let is_server_error =
        answer.status.is_server_error() && !without.status.is_server_error() && status != 503;
    is_server_error.then(|| {
        let found = format!("status {status} for a made-up token in the query");
        Finding::new(&rules::TOKEN_CAUSES_SERVER_ERROR, found)
    })
}

pub(crate) fn check_two_headers(answer: &Answer) -> Option<Finding> {
    let status = answer.status.as_u16();
    let rule = match status {
        400 | 429 | 431 | 503 => return None,
        200..=299 => &rules::SEVERAL_AUTHORIZATION_HEADERS_ACCEPTED,
        500..=599 => &rules::CREDENTIALS_CAUSE_SERVER_ERROR,
        _ => &rules::SEVERAL_AUTHORIZATION_HEADERS,
    };
    Some(Finding::new(rule, format!("status {status} for two Authorization headers with made-up tokens")))
}

fn error_of(answer: &Answer) -> Option<String> {
    challenge::read(answer).bearer?.parameter("error").map(str::to_owned)
}
