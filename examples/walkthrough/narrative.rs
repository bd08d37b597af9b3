//! What is told, and did it go as it should?

use std::{
    fmt::{self, Display},
    io::{self, Write},
};

use super::{cast::CLIENT, client::Answer};

/// A sequence of numbered steps, each with what was checked; written as it happens.
pub struct Story<'a> {
    out: &'a mut (dyn Write + Send),
    /// The first error of `out`, kept for the end so that telling needs no `?`.
    written: io::Result<()>,
    steps: usize,
    /// The numbers of the steps that differed from what they should be.
    differing: Vec<usize>,
}

/// How a whole story went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    AsItShould,
    Otherwise,
}

impl<'a> Story<'a> {
    pub fn new(out: &'a mut (dyn Write + Send)) -> Self {
        Self { out, written: Ok(()), steps: 0, differing: Vec::new() }
    }

    /// Writes a line that is no step.
    pub fn line(&mut self, text: impl Display) {
        self.write(format_args!("{text}"));
    }

    /// Starts a part of the story.
    pub fn chapter(&mut self, title: &str) {
        self.write(format_args!("\n{title}\n{}", "─".repeat(title.chars().count())));
    }

    /// Tells the next step, of which the teller sees neither an answer nor how long it takes.
    pub fn step(&mut self, from: &str, to: &str, what: impl Display) {
        self.next_step(from, to, &what, "");
    }

    /// Tells the next step: a request of the client, or the answer that it gets, and how long that took.
    pub fn exchange(&mut self, from: &str, to: &str, what: impl Display, status: u16, answer: &Answer) {
        let outcome = format!("{} {:>7} µs", answer.status, answer.took.as_micros());
        self.next_step(from, to, &what, &outcome);
        if answer.status != status {
            self.check(CLIENT, "status", status, answer.status);
        }
    }

    /// Adds to the step what is known and was not compared with anything; a long text is cut.
    pub fn note(&mut self, who: &str, what: impl Display) {
        const LONGEST: usize = 100;
        let what = what.to_string();
        let (text, rest): (String, _) = (what.chars().take(LONGEST).collect(), what.chars().nth(LONGEST));
        self.write(format_args!("       · {who:<10} {text}{}", rest.map_or("", |_| "…")));
    }

    /// Adds to the step what was compared, by whom. Differing from what was expected, it spoils the story.
    pub fn check(&mut self, who: &str, what: &str, expected: impl Display, found: impl Display) {
        let (expected, found) = (expected.to_string(), found.to_string());
        if expected == found {
            return self.write(format_args!("       ✓ {who:<10} {what}: {found}"));
        }
        if self.differing.last() != Some(&self.steps) {
            self.differing.push(self.steps);
        }
        self.write(format_args!("       ✗ {who:<10} {what}: expected {expected}, found {found}"));
    }

    /// Ends the story with a line that sums it up; `told` is why it broke off, if it did.
    ///
    /// # Errors
    /// When something could not be written.
    pub fn end(mut self, told: &Result<(), impl Display>) -> io::Result<Verdict> {
        let steps = self.steps;
        let verdict = match told {
            Err(error) => {
                self.write(format_args!("\nbroke off after step {steps}: {error}"));
                Verdict::Otherwise
            }
            Ok(()) if steps > 0 && self.differing.is_empty() => {
                self.write(format_args!("\nall {steps} steps went as they should"));
                Verdict::AsItShould
            }
            Ok(()) => {
                let differing: Vec<_> = self.differing.iter().map(usize::to_string).collect();
                let (count, which) = (differing.len(), differing.join(", "));
                self.write(format_args!(
                    "\n{count} of {steps} steps went otherwise than they should: {which}"
                ));
                Verdict::Otherwise
            }
        };
        self.written.and_then(|()| self.out.flush()).map(|()| verdict)
    }

    /// Writes who turned to whom (or did it alone), with what, and what came of it.
    fn next_step(&mut self, from: &str, to: &str, what: &dyn Display, outcome: &str) {
        self.steps += 1;
        let (step, what) = (self.steps, what.to_string());
        let who = if from == to { from.to_owned() } else { format!("{from} → {to}") };
        let line = format!("{step:>3}  {who:<20} {what:<64} {outcome}");
        self.write(format_args!("{}", line.trim_end()));
    }

    fn write(&mut self, line: fmt::Arguments<'_>) {
        if self.written.is_ok() {
            self.written = writeln!(self.out, "{line}");
        }
    }
}

/// Shows enough of a secret to recognize it, and too little to use it.
pub fn shortened(secret: &str) -> String {
    const SHOWN: usize = 8;
    secret.chars().take(SHOWN).chain(['…']).collect()
}

pub fn or_absent(value: Option<&str>) -> &str {
    value.unwrap_or("(absent)")
}
