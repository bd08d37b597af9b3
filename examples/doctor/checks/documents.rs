//! Whether a response has a JSON document.

use std::time::Duration;

use url::Url;

use super::{
    super::{
        document::JsonDocument,
        exchange::{Answer, Failure},
        finding::{Finding, quoted},
        rules::Rule,
    },
    without_token::redirect,
};

/// The rules for one kind of document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DocumentRules {
    pub(crate) unreachable: &'static Rule,
    pub(crate) refused: &'static Rule,
    pub(crate) redirected: &'static Rule,
    pub(crate) status: &'static Rule,
    pub(crate) not_json: &'static Rule,
    /// `None`: any content type.
    pub(crate) content_type: Option<&'static Rule>,
    /// `None`: not checked.
    pub(crate) repeated: Option<&'static Rule>,
}

/// Reads a document. The error is why there is none; the findings are about one that can be read.
pub(crate) fn read(
    outcome: &Result<Answer, Failure>,
    url: &Url,
    rules: &DocumentRules,
) -> Result<(JsonDocument, Vec<Finding>), Finding> {
    let finding = |rule: &'static Rule, found: String| Finding::new(rule, found).at(url);
    let answer = match outcome {
        Ok(answer) => answer,
        Err(failure) => return Err(finding(rules.unreachable, failure.to_string())),
    };
    let status = answer.status.as_u16();
    match status {
        200 => {}
        401 | 403 => return Err(finding(rules.refused, format!("status {status}"))),
        300..=399 => {
            let target = answer.location().map(|location| redirect(&location, url)).unwrap_or_default();
            return Err(finding(rules.redirected, format!("status {status}{target}")));
        }
        _ => return Err(finding(rules.status, format!("status {status}"))),
    }
    if let Some(cut) = &answer.cut {
        return Err(finding(rules.not_json, cut.clone()));
    }
    let document = JsonDocument::parse(&answer.body).map_err(|problem| finding(rules.not_json, problem))?;
    let mut findings = Vec::new();
    let media_type = answer.media_type();
    if let Some(rule) = rules.content_type.filter(|_| !media_type.eq_ignore_ascii_case("application/json")) {
        let found = match &*media_type {
            "" => "no content type".to_owned(),
            other => format!("Content-Type: {}", quoted(other)),
        };
        findings.push(finding(rule, found));
    }
    if let Some(rule) = rules.repeated {
        for name in document.repeated() {
            findings.push(finding(rule, format!("member {} more than once", quoted(name))));
        }
    }
    Ok((document, findings))
}

/// Returns whether a response took longer than this.
pub(crate) fn is_slow(outcome: &Result<Answer, Failure>, limit: Duration) -> bool {
    matches!(outcome, Ok(answer) if answer.elapsed > limit)
}
