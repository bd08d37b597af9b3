//! Proves that `examples/doctor` finds each fault, finds nothing in a healthy server, and survives garbage.

#[path = "../../../examples/doctor/main.rs"]
#[allow(dead_code, reason = "`main` is used only by the example")]
pub(crate) mod example;

mod command_line;
mod faults;
mod garbage;
mod healthy;
mod readers;
mod site;

use std::{collections::BTreeSet, time::Duration};

use example::{arguments::Settings, examination::examine, finding::Severity, report::Report};
use site::{Fault, Site};

/// Longer than any response on a busy machine.
const PATIENT: Duration = Duration::from_secs(60);

/// Returns settings that never find a response slow.
fn settings(url: &str) -> Settings {
    Settings { timeout: PATIENT, slow_after: PATIENT, ..Settings::new(url).unwrap() }
}

/// Examines a site with a fault.
async fn examine_site(fault: Fault, path: &str, change: fn(&mut Settings)) -> Report {
    let site = Site::start(fault).await;
    let mut settings = settings(&format!("{}{path}", site.base));
    change(&mut settings);
    examine(settings).await.unwrap()
}

/// Returns the codes of all findings.
fn codes(report: &Report) -> BTreeSet<&'static str> {
    report.findings.iter().map(|finding| finding.rule.code).collect()
}

/// Asserts that there are only notes.
#[track_caller]
fn assert_healthy(report: &Report) {
    let serious: Vec<_> =
        report.findings.iter().filter(|finding| finding.severity > Severity::Note).collect();
    assert!(serious.is_empty(), "{serious:#?}");
    assert_eq!(report.exit_code(), 0);
}
