//! Whether scripts of other origins can use the server (CORS).

use http::{
    Method,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, WWW_AUTHENTICATE,
    },
};

use super::super::{
    exchange::Answer,
    finding::{Finding, Severity, quoted},
    rules,
};

/// The origin of the requests.
#[derive(Clone, Debug)]
pub(crate) struct ScriptOrigin {
    pub(crate) origin: String,
    /// The user has named it, so scripts must be able to use the server.
    pub(crate) is_required: bool,
}

/// Checks a 401 to a request with `Origin`, and the preflight request before it.
pub(crate) fn check(
    refusal: &Answer,
    preflight: Option<&Answer>,
    origin: &ScriptOrigin,
    method: &Method,
) -> Vec<Finding> {
    let allows = |answer: &Answer| answer.headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN);
    if !origin.is_required && !allows(refusal) && !preflight.is_some_and(allows) {
        return vec![Finding::new(&rules::NO_CORS, "no Access-Control-Allow-Origin")];
    }
    let mut findings: Vec<_> =
        preflight.map_or_else(Vec::new, |answer| check_preflight(answer, origin, method));
    let origin_problem = check_origin(refusal, origin);
    let can_read = origin_problem.is_none();
    findings.extend(origin_problem);
    findings.extend(check_credentials(refusal, origin));
    let exposed = refusal.list(&ACCESS_CONTROL_EXPOSE_HEADERS);
    let exposes = exposed.iter().any(|name| *name == WWW_AUTHENTICATE.as_str() || name == "*");
    if can_read && refusal.headers.contains_key(WWW_AUTHENTICATE) && !exposes {
        let found = match exposed.is_empty() {
            true => "no Access-Control-Expose-Headers".to_owned(),
            false => format!("Access-Control-Expose-Headers: {}", quoted(&exposed.join(", "))),
        };
        findings.push(Finding::new(&rules::CHALLENGE_HIDDEN, found));
    }
    findings
}

fn check_preflight(answer: &Answer, origin: &ScriptOrigin, method: &Method) -> Vec<Finding> {
    if !answer.status.is_success() {
        let found = format!("status {} for OPTIONS", answer.status.as_u16());
        return vec![Finding::new(&rules::PREFLIGHT_REFUSED, found)];
    }
    let mut findings = Vec::new();
    match check_origin(answer, origin) {
        Some(_) if !answer.headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) => {
            let found = "no Access-Control-Allow-Origin in the response to OPTIONS";
            findings.push(Finding::new(&rules::PREFLIGHT_WITHOUT_ORIGIN, found));
        }
        problem => findings.extend(problem),
    }
    let headers = answer.list(&ACCESS_CONTROL_ALLOW_HEADERS);
    if !headers.iter().any(|name| name == "authorization") {
        let found = format!("Access-Control-Allow-Headers: {}", quoted(&headers.join(", ")));
        findings.push(Finding::new(&rules::AUTHORIZATION_NOT_ALLOWED, found));
    }
    let methods = answer.list(&ACCESS_CONTROL_ALLOW_METHODS);
    let name = method.as_str().to_ascii_lowercase();
    // Fetch: these need no permission.
    let is_simple = matches!(name.as_str(), "get" | "head" | "post");
    if !is_simple && !methods.iter().any(|method| *method == name || method == "*") {
        let found = format!("Access-Control-Allow-Methods: {}", quoted(&methods.join(", ")));
        findings.push(Finding::new(&rules::METHOD_NOT_ALLOWED_BY_CORS, found));
    }
    findings
}

fn check_origin(answer: &Answer, origin: &ScriptOrigin) -> Option<Finding> {
    let values = answer.values(&ACCESS_CONTROL_ALLOW_ORIGIN);
    let is_allowed = |value: &String| *value == origin.origin || value == "*";
    match &*values {
        [value] if is_allowed(value) => None,
        // A list of origins that does not have the one that was made up.
        [value] if !origin.is_required && value.starts_with("http") && !value.contains([',', ' ']) => None,
        [] if !origin.is_required => None,
        values => {
            let found = match values {
                [] => "no Access-Control-Allow-Origin".to_owned(),
                values => format!("Access-Control-Allow-Origin: {}", quoted(&values.join(" / "))),
            };
            let expected =
                format!("Access-Control-Allow-Origin once, with {} or \"*\"", quoted(&origin.origin));
            Some(Finding::new(&rules::WRONG_ORIGIN, found).expected(expected))
        }
    }
}

fn check_credentials(answer: &Answer, origin: &ScriptOrigin) -> Option<Finding> {
    let with_credentials = answer.list(&ACCESS_CONTROL_ALLOW_CREDENTIALS).iter().any(|value| value == "true");
    let values = answer.values(&ACCESS_CONTROL_ALLOW_ORIGIN);
    let is_any = values.iter().any(|value| value == "*" || (!origin.is_required && *value == origin.origin));
    (with_credentials && is_any).then(|| {
        let found = format!("Access-Control-Allow-Credentials: true for {}", quoted(&values.join(" / ")));
        Finding::new(&rules::CREDENTIALS_WITH_ANY_ORIGIN, found)
    })
}

/// Checks the metadata, which scripts must be able to read.
pub(crate) fn check_metadata(answer: &Answer, origin: &ScriptOrigin) -> Option<Finding> {
    let values = answer.values(&ACCESS_CONTROL_ALLOW_ORIGIN);
    match &*values {
        [value] if *value == "*" || *value == origin.origin => None,
        values => {
            let found = match values {
                [] => "no Access-Control-Allow-Origin on the metadata".to_owned(),
                values => {
                    format!("Access-Control-Allow-Origin: {} on the metadata", quoted(&values.join(" / ")))
                }
            };
            let severity = if origin.is_required { Severity::Error } else { Severity::Warning };
            Some(Finding::new(&rules::METADATA_WITHOUT_CORS, found).severity(severity))
        }
    }
}
