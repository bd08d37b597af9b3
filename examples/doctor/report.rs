//! The findings as text and as JSON: [`Report`].

use std::{fmt::Write as _, time::Duration};

use serde_json::{Value, json};

use super::{
    exchange::Exchange,
    finding::{Finding, Severity},
};

/// The version of the JSON report. A member is only removed or changed with a new version.
const JSON_VERSION: u32 = 1;

/// What an examination found.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) target: String,
    pub(crate) findings: Vec<Finding>,
    pub(crate) requests: Vec<Exchange>,
    pub(crate) elapsed: Duration,
}

impl Report {
    /// Returns the severity of the most serious finding.
    pub(crate) fn severity(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self.severity() {
            None | Some(Severity::Note) => 0,
            Some(Severity::Warning) => 1,
            Some(Severity::Error) => 2,
        }
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// Writes the report for a terminal, without colors.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("Examined {}\n", self.target);
        let mut group = None;
        for finding in &self.findings {
            if group != Some(finding.rule.group) {
                group = Some(finding.rule.group);
                let _ = write!(text, "\n== {}\n", finding.rule.group.title());
            }
            let label = finding.severity.as_str().to_uppercase();
            let _ = write!(text, "\n{label} {}\n", finding.rule.code);
            if let Some(url) = &finding.url {
                paragraph(&mut text, "at", url);
            }
            paragraph(&mut text, "found", &finding.found);
            paragraph(&mut text, "expected", &format!("{} ({})", finding.expected, finding.rule.source));
            paragraph(&mut text, "fix", finding.rule.fix);
        }
        if self.findings.is_empty() {
            text.push_str("\nNo findings.\n");
        }
        let count = |severity: Severity| {
            let count = self.count(severity);
            format!("{count} {}{}", severity.as_str(), if count == 1 { "" } else { "s" })
        };
        let _ = write!(
            text,
            "\n{}, {}, {}; {} requests in {:.1} s\n",
            count(Severity::Error),
            count(Severity::Warning),
            count(Severity::Note),
            self.requests.len(),
            self.elapsed.as_secs_f64(),
        );
        text
    }

    /// Writes the report as JSON. `docs/guides/doctor.md` lists the members.
    pub(crate) fn to_json(&self) -> String {
        let findings = self.findings.iter().map(|finding| {
            json!({
                "code": finding.rule.code,
                "severity": finding.severity.as_str(),
                "group": finding.rule.group.as_str(),
                "url": finding.url,
                "found": finding.found,
                "expected": finding.expected,
                "source": finding.rule.source,
                "fix": finding.rule.fix,
            })
        });
        let requests = self.requests.iter().map(|request| {
            json!({
                "purpose": request.purpose,
                "method": request.method.as_str(),
                "url": request.url.as_str(),
                "status": request.outcome.as_ref().ok().map(http::StatusCode::as_u16),
                "error": request.outcome.as_ref().err(),
                "milliseconds": u64::try_from(request.elapsed.as_millis()).unwrap_or(u64::MAX),
            })
        });
        let report = json!({
            "version": JSON_VERSION,
            "target": self.target,
            "severity": self.severity().map_or("ok", Severity::as_str),
            "exit_code": self.exit_code(),
            "errors": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
            "notes": self.count(Severity::Note),
            "findings": findings.collect::<Vec<Value>>(),
            "requests": requests.collect::<Vec<Value>>(),
        });
        format!("{report:#}\n")
    }
}

/// Writes a labelled paragraph, wrapped at 100 columns.
fn paragraph(text: &mut String, label: &str, content: &str) {
    const LABEL: usize = 12;
    const WIDTH: usize = 100;
    let mut line = format!("  {label:<width$}", width = LABEL - 2);
    let mut is_empty = true;
    for word in content.split_whitespace() {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(line.trim_end());
            text.push('\n');
            line = " ".repeat(LABEL);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    text.push_str(line.trim_end());
    text.push('\n');
}
