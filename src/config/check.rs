//! Compares a document with its description, and reports all differences: [`check`].

use super::{
    node::{Node, Origin, Value},
    report::{Report, join},
    shape::{Shape, TableShape},
};
use crate::{Algorithm, Scope, similar::most_similar, units};

/// Checks a value and everything in it. Values with a problem become [`Value::Invalid`].
pub(super) fn check(node: &mut Node, shape: &Shape, path: &str, report: &mut Report) {
    report.locate(path, &node.origin);
    let is_good = match (shape, &mut node.value) {
        (_, Value::Invalid) => true,
        (Shape::Text, Value::Text(_)) | (Shape::Flag, Value::Flag(_)) => true,
        (Shape::Any, value) => !matches!(value, Value::Null),
        (Shape::File, Value::Text(text)) => !text.is_empty(),
        (Shape::Duration, Value::Text(text)) => units::duration(text).is_some(),
        (Shape::Size, Value::Text(text)) => units::size(text).is_some(),
        (Shape::Scope, Value::Text(text)) => Scope::new(text).is_ok(),
        (Shape::Algorithm, Value::Text(text)) => text.parse::<Algorithm>().is_ok(),
        (Shape::Word(words), Value::Text(text)) => words.contains(&text.as_str()),
        (Shape::OneOrMany(inner), Value::Text(_)) => {
            check(node, inner, path, report);
            true
        }
        (Shape::List(inner) | Shape::OneOrMany(inner), Value::List(nodes)) => {
            check_all(nodes, inner, path, report);
            true
        }
        (Shape::Requirement(_), Value::List(nodes)) => {
            check_all(nodes, &Shape::Scope, path, report);
            true
        }
        (Shape::Table(inner) | Shape::Requirement(inner), Value::Table(_)) => {
            check_table(node, inner, path, report);
            true
        }
        (Shape::Map(inner), Value::Table(table)) => {
            for (key, origin) in std::mem::take(&mut table.repeated) {
                repeated(&join(path, &key), &origin, report);
            }
            for (key, node) in &mut table.entries {
                check(node, inner, &join(path, key), report);
            }
            true
        }
        _ => false,
    };
    if !is_good {
        report_wrong(node, shape, path, report);
        node.value = Value::Invalid;
    }
}

fn check_all(nodes: &mut [Node], shape: &Shape, path: &str, report: &mut Report) {
    for (index, node) in nodes.iter_mut().enumerate() {
        check(node, shape, &format!("{path}[{index}]"), report);
    }
}

fn check_table(node: &mut Node, shape: &TableShape, path: &str, report: &mut Report) {
    let Value::Table(table) = &mut node.value else { return };
    for (key, origin) in std::mem::take(&mut table.repeated) {
        repeated(&join(path, &key), &origin, report);
    }
    for (key, node) in &mut table.entries {
        match shape.find(key) {
            Some(known) => check(node, &known.shape, &join(path, key), report),
            None => report.elsewhere(&join(path, key), unknown(key, shape), &node.origin),
        }
    }
    for key in shape.keys.iter().filter(|key| key.required) {
        if table.find(key.name).is_none() {
            report.without_value(&join(path, key.name), "expected a value, because it is required");
        }
    }
}

fn repeated(path: &str, origin: &Origin, report: &mut Report) {
    report.elsewhere(path, "expected each key once", origin);
}

/// Says what is wrong with a key that is not in the description. The value is not shown, because it may be a secret.
pub(super) fn unknown(key: &str, shape: &TableShape) -> String {
    let file = format!("{key}_file");
    if shape.find(&file).is_some() {
        return format!("unknown key; a secret is only read from a file: set {file:?}");
    }
    match most_similar(key, &shape.names().collect::<Vec<_>>()) {
        Some(name) => format!("unknown key, did you mean {name:?}?"),
        None => format!("unknown key, expected one of {}", shape.names().collect::<Vec<_>>().join(", ")),
    }
}

fn report_wrong(node: &Node, shape: &Shape, path: &str, report: &mut Report) {
    let expected = shape.expected();
    match &node.value {
        // The path of a file may be a secret that was put in the wrong place.
        _ if matches!(shape, Shape::File) => report.without_value(path, expected),
        Value::Text(text) => report.value(path, text, suggestion(text, shape).unwrap_or(expected)),
        Value::Flag(flag) => report.value(path, &flag.to_string(), expected),
        Value::Integer(number) => report.value(path, &number.to_string(), expected),
        Value::Float(number) => report.value(path, &number.to_string(), expected),
        Value::Null => report.without_value(path, format!("{expected}, found none")),
        Value::List(_) => report.without_value(path, format!("{expected}, found a list")),
        Value::Table(_) => report.without_value(path, format!("{expected}, found a table")),
        Value::Invalid => {}
    }
}

fn suggestion(found: &str, shape: &Shape) -> Option<String> {
    let Shape::Word(words) = shape else { return None };
    most_similar(found, words).map(|word| format!("{}, did you mean {word:?}?", shape.expected()))
}
