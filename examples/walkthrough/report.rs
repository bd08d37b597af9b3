//! Prints the steps and compares what was found with what was expected.

use std::{
    fmt::{self, Display},
    io::{self, Write},
};

use super::{client::Answer, participants::CLIENT};

/// Prints numbered steps, each with its checks, as they happen.
pub struct Report<'a> {
    out: &'a mut (dyn Write + Send),
    detail: Detail,
    /// The first error of `out`. [`Report::finish`] returns it, so that the other methods need no `?`.
    written: io::Result<()>,
    steps: usize,
    checks: usize,
    /// The numbers of the steps with a failed check.
    failed_steps: Vec<usize>,
    /// The first step that is not printed, while steps are being folded into one line.
    folded_from: Option<usize>,
    /// The line of the current step, if it was folded. It is printed if one of its checks fails.
    hidden_line: Option<String>,
}

/// How much is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// One line per step, and every check that failed.
    Brief,
    /// Also the checks that passed, notes and durations.
    Verbose,
}

/// The result of the whole walkthrough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    AsExpected,
    NotAsExpected,
}

impl<'a> Report<'a> {
    pub fn new(out: &'a mut (dyn Write + Send), detail: Detail) -> Self {
        Self {
            out,
            detail,
            written: Ok(()),
            steps: 0,
            checks: 0,
            failed_steps: Vec::new(),
            folded_from: None,
            hidden_line: None,
        }
    }

    pub fn is_verbose(&self) -> bool {
        self.detail == Detail::Verbose
    }

    /// Prints a line that belongs to no step.
    pub fn line(&mut self, text: impl Display) {
        self.write(format_args!("{text}"));
    }

    /// Prints the title of a chapter.
    pub fn chapter(&mut self, title: &str) {
        self.write(format_args!("\n{title}"));
    }

    /// Starts a step without a response.
    pub fn step(&mut self, from: &str, to: &str, what: impl Display) {
        self.start_step(from, to, &what, "");
    }

    /// Starts a step with a response, and checks its status.
    pub fn exchange(&mut self, from: &str, to: &str, what: impl Display, status: u16, answer: &Answer) {
        let mut result = answer.status.to_string();
        if self.is_verbose() {
            result = format!("{result} {:>7} µs", answer.took.as_micros());
        }
        self.start_step(from, to, &what, &result);
        self.checks += 1;
        if answer.status != status {
            self.failed_check(CLIENT, "status", &status, &answer.status);
        }
    }

    /// Compares a value with the expected one. The whole walkthrough fails if they differ.
    pub fn check(&mut self, who: &str, what: &str, expected: impl Display, found: impl Display) {
        self.checks += 1;
        let (expected, found) = (expected.to_string(), found.to_string());
        if expected != found {
            self.failed_check(who, what, &expected, &found);
        } else if self.is_verbose() {
            self.write(format_args!("       ✓ {who:<10} {what}: {found}"));
        }
    }

    /// Adds a value that is not compared with anything. Long texts are truncated.
    pub fn note(&mut self, who: &str, what: impl Display) {
        const MAX_LEN: usize = 100;
        if !self.is_verbose() {
            return;
        }
        let what = what.to_string();
        let text: String = what.chars().take(MAX_LEN).collect();
        let ellipsis = if text.len() < what.len() { "…" } else { "" };
        self.write(format_args!("       · {who:<10} {text}{ellipsis}"));
    }

    /// Stops printing the lines of steps, unless everything is printed or a check fails.
    pub fn fold_steps(&mut self) {
        self.folded_from = (!self.is_verbose()).then_some(self.steps + 1);
    }

    /// Prints one line for the steps since [`Report::fold_steps`].
    pub fn unfold_steps(&mut self, from: &str, to: &str, summary: &str) {
        self.hidden_line = None;
        if let Some(first) = self.folded_from.take() {
            let (last, who) = (self.steps, format!("{from} → {to}"));
            self.write(format_args!("{first:>3}  {who:<20} {summary} (steps {first} to {last})"));
        }
    }

    /// Prints the summary. `result` is the error that stopped the walkthrough, if there was one.
    ///
    /// # Errors
    /// When something could not be written.
    pub fn finish(mut self, result: &Result<(), impl Display>) -> io::Result<Verdict> {
        let (steps, checks) = (self.steps, self.checks);
        let verdict = match result {
            Err(error) => {
                self.write(format_args!("\nstopped after step {steps}: {error}"));
                Verdict::NotAsExpected
            }
            Ok(()) if steps > 0 && self.failed_steps.is_empty() => {
                self.write(format_args!("\n{steps} steps, {checks} checks: all as expected"));
                Verdict::AsExpected
            }
            Ok(()) => {
                let failed: Vec<_> = self.failed_steps.iter().map(usize::to_string).collect();
                let (count, which) = (failed.len(), failed.join(", "));
                self.write(format_args!("\n{count} of {steps} steps not as expected: {which}"));
                Verdict::NotAsExpected
            }
        };
        if !self.is_verbose() {
            self.line(MORE);
        }
        self.written.and_then(|()| self.out.flush()).map(|()| verdict)
    }

    fn start_step(&mut self, from: &str, to: &str, what: &dyn Display, result: &str) {
        self.steps += 1;
        let (step, what) = (self.steps, what.to_string());
        let who = if from == to { from.to_owned() } else { format!("{from} → {to}") };
        let line = format!("{step:>3}  {who:<20} {what:<60} {result}");
        if self.folded_from.is_some() {
            self.hidden_line = Some(line);
        } else {
            self.write(format_args!("{}", line.trim_end()));
        }
    }

    fn failed_check(&mut self, who: &str, what: &str, expected: &dyn Display, found: &dyn Display) {
        if self.failed_steps.last() != Some(&self.steps) {
            self.failed_steps.push(self.steps);
        }
        if let Some(line) = self.hidden_line.take() {
            self.write(format_args!("{}", line.trim_end()));
        }
        self.write(format_args!("       ✗ {who:<10} {what}: expected {expected}, found {found}"));
    }

    fn write(&mut self, line: fmt::Arguments<'_>) {
        if self.written.is_ok() {
            self.written = writeln!(self.out, "{line}");
        }
    }
}

/// Shows the start of a secret: enough to recognize it, too little to use it.
pub fn shortened(secret: &str) -> String {
    const SHOWN: usize = 8;
    secret.chars().take(SHOWN).chain(['…']).collect()
}

pub fn or_absent(value: Option<&str>) -> &str {
    value.unwrap_or("(absent)")
}

const MORE: &str = "More: `-- --verbose` prints all checks and durations; `-- --serve` also serves a page, to do all \
                    of this in a browser.";
