//! Examines a running resource server from outside, and prints what is wrong and how to fix it.
//!
//! ```sh
//! cargo run --example doctor -- https://api.example.com/mcp
//! ```
//!
//! It sends requests as a client without a token does, and some with made-up tokens. It never sends a real credential, follows no
//! redirect, and changes nothing on the server. `docs/guides/doctor.md` lists all findings and the members of the JSON report.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | no findings, or only notes |
//! | 1 | warnings |
//! | 2 | errors |
//! | 3 | not run, because the arguments are invalid |
//!
//! | file | contents |
//! |---|---|
//! | `arguments` | the command line |
//! | `examination` | which requests are sent, and in which order |
//! | `exchange` | sends one request, with a deadline and a limit |
//! | `checks` | what is checked about the responses; no file sends requests |
//! | `rules` | all findings: what is expected, by which standard, and how to fix it |
//! | `challenge`, `document`, `urls` | read what servers send, even if it is malformed |
//! | `report` | the findings as text and as JSON |

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program prints")]

pub(crate) mod arguments;
pub(crate) mod challenge;
pub(crate) mod checks;
pub(crate) mod document;
pub(crate) mod examination;
pub(crate) mod exchange;
pub(crate) mod finding;
pub(crate) mod report;
pub(crate) mod rules;
pub(crate) mod urls;

use std::{env, io::Write as _, process::ExitCode};

use self::arguments::{Command, Format, USAGE};

/// The exit code if nothing was examined.
const NOT_RUN: u8 = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let (settings, format) = match arguments::parse(env::args().skip(1)) {
        Ok(Command::Examine(settings, format)) => (settings, format),
        Ok(Command::Help) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Ok(Command::Codes) => {
            println!("{}", rules::table().trim_end());
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("{problem}\n\n{USAGE}");
            return ExitCode::from(NOT_RUN);
        }
    };
    let report = match examination::examine(*settings).await {
        Ok(report) => report,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(NOT_RUN);
        }
    };
    let text = match format {
        Format::Text => report.to_text(),
        Format::Json => report.to_json(),
    };
    // The reader may be gone, such as `head`. The exit code still tells the result.
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
    ExitCode::from(report.exit_code())
}
