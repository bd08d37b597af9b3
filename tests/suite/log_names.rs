//! Proves that the levels, messages and fields of all log events are documented in docs/guides/operate.md, and no others.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// An event of `tracing`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LogEvent {
    level: String,
    message: String,
    fields: Vec<String>,
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// Returns the arguments of a macro call, split at its outermost commas. `code` begins after the opening parenthesis.
fn arguments(code: &str) -> Vec<String> {
    let (mut arguments, mut argument, mut depth, mut in_string) = (Vec::new(), String::new(), 0, false);
    let mut letters = code.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if in_string => {
                // A line that continues, or an escaped letter.
                match letters.next().unwrap() {
                    '\n' => letters = letters.as_str().trim_start().chars(),
                    escaped => argument.push(escaped),
                }
                continue;
            }
            '"' => in_string = !in_string,
            '(' | '{' | '[' if !in_string => depth += 1,
            ')' if !in_string && depth == 0 => break,
            ')' | '}' | ']' if !in_string => depth -= 1,
            ',' if !in_string && depth == 0 => {
                arguments.push(std::mem::take(&mut argument));
                continue;
            }
            _ => {}
        }
        argument.push(letter);
    }
    arguments.push(argument);
    arguments.iter().map(|argument| argument.trim().to_owned()).filter(|text| !text.is_empty()).collect()
}

/// Returns the events in the source of this crate.
fn logged() -> Vec<LogEvent> {
    let mut events = Vec::new();
    for path in rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let code = fs::read_to_string(path).unwrap();
        let code: Vec<_> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let code = code.join("\n");
        for level in ["error", "warn", "info", "debug", "trace"] {
            for (_, call) in code.split(&format!("tracing::{level}!(")).enumerate().skip(1) {
                let mut arguments = arguments(call);
                let message = arguments.pop().unwrap().trim_matches('"').to_owned();
                arguments.retain(|argument| !argument.starts_with("target:"));
                let name = |argument: &String| {
                    argument.split(" = ").next().unwrap().trim_matches(['%', '?', '"']).to_owned()
                };
                let fields = arguments.iter().map(name).collect();
                events.push(LogEvent { level: level.to_owned(), message, fields });
            }
        }
    }
    events
}

/// Returns the rows of the table in the guide.
fn documented() -> BTreeSet<LogEvent> {
    let guide = include_str!("../../docs/guides/operate.md");
    let (_, table) = guide.split_once("| level | message | fields |\n").unwrap();
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
        let [level, message] = [0, 1].map(|cell| names(&cells[cell]).concat());
        LogEvent { level, message, fields: names(&cells[2]) }
    })
    .collect()
}

#[test]
fn the_guide_lists_the_level_message_and_fields_of_every_log_event() {
    let (logged, documented) = (logged(), documented());
    assert!(logged.len() >= 25, "{}", logged.len());

    let is_row_of = |event: &LogEvent, row: &LogEvent| {
        event.level == row.level && event.message.starts_with(&row.message) && event.fields == row.fields
    };
    for event in &logged {
        let rows = documented.iter().filter(|row| is_row_of(event, row)).count();
        assert_eq!(rows, 1, "add it to the table in docs/guides/operate.md: {event:?}");
    }
    for row in &documented {
        assert!(logged.iter().any(|event| is_row_of(event, row)), "no such event: {row:?}");
    }
}
