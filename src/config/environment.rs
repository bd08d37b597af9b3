//! Settings from environment variables: [`Environment`].

use std::ffi::{OsStr, OsString};

use super::{
    check::unknown,
    keys::DOCUMENT,
    node::{Node, Origin, Plain, Value},
    report::Report,
    shape::{Shape, TableShape},
};
use crate::similar::most_similar;

/// The prefix of environment variables, unless another one is set.
pub(super) const DEFAULT_PREFIX: &str = "TOWER_BEARER_";

/// Settings from environment variables. They override those of the document.
///
/// A variable is named after the path of a setting: a prefix, then the keys in upper case, joined with `_`. An element of a list
/// is named by its index, from 0.
///
/// | variable | setting |
/// |---|---|
/// | `TOWER_BEARER_REALM` | `realm` |
/// | `TOWER_BEARER_METADATA_RESOURCE` | `metadata.resource` |
/// | `TOWER_BEARER_ISSUERS_0_ISSUER` | `issuers[0].issuer` |
/// | `TOWER_BEARER_ISSUERS_0_CREDENTIAL_SECRET_FILE` | `issuers[0].credential.secret_file` |
/// | `TOWER_BEARER_AUDIENCE`, `TOWER_BEARER_AUDIENCE_0` | `audience`, its first element |
///
/// A list is written with commas (`orders:read,orders:write`) or as JSON. A table, or a list of tables, is written as JSON, such
/// as `{"orders:write": ["orders:read"]}` for `scope_hierarchy`. If a variable sets a table or list and another one a part of it,
/// both apply, and the part takes precedence.
///
/// For the settings of the program itself, see [`Document::take_with`](super::Document::take_with).
/// A variable that begins with the prefix and is not the name of a setting is a problem, so typing errors are found. Values
/// are shown in problems, so do not put secrets into them: set the name of a file instead (`…_FILE`).
///
/// `Debug` shows the names only.
#[derive(Clone)]
pub struct Environment {
    prefix: String,
    variables: Vec<(String, OsString)>,
}

impl Environment {
    /// Takes no variables.
    pub fn none() -> Self {
        Self::from_variables(DEFAULT_PREFIX, Vec::<(OsString, OsString)>::new())
    }

    /// Takes the variables of this process that begin with `TOWER_BEARER_`.
    pub fn from_process() -> Self {
        Self::from_variables(DEFAULT_PREFIX, std::env::vars_os())
    }

    /// Takes the variables that begin with a prefix, such as `ORDERS_AUTH_`. Other variables are ignored.
    pub fn from_variables<K: Into<OsString>, V: Into<OsString>>(
        prefix: &str,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let with_prefix = |(name, value): (K, V)| {
            let name = name.into().into_string().ok()?;
            let rest = name.strip_prefix(prefix)?.to_owned();
            Some((rest, value.into()))
        };
        Self { prefix: prefix.to_owned(), variables: variables.into_iter().filter_map(with_prefix).collect() }
    }

    /// Puts the variables into a document, except those of sections that were taken out of it.
    pub(super) fn apply(&self, root: &mut Node, taken: &[String], report: &mut Report) {
        let mut settings = Vec::new();
        for (rest, value) in &self.variables {
            if taken.iter().any(|key| within_section(rest, key).is_some()) {
                continue;
            }
            let origin = Origin::Variable(format!("{}{rest}", self.prefix).into());
            match find(rest, &DOCUMENT) {
                Ok((steps, shape)) => match parse(value, shape, &origin) {
                    Ok(node) => settings.push((steps, node, origin)),
                    Err(expected) => report.elsewhere(&text_of(&steps), expected, &origin),
                },
                Err(expected) => {
                    report.elsewhere(
                        &format!("{}{rest}", self.prefix),
                        expected.with_prefix(&self.prefix),
                        &origin,
                    );
                }
            }
        }
        // A table or list comes before its parts, and the elements of a list come in their order.
        settings.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        for (steps, node, origin) in settings {
            if let Err(expected) = put(root, &steps, node) {
                report.elsewhere(&text_of(&steps), expected, &origin);
            }
        }
    }
}

impl Environment {
    /// Puts variables into a section of the program itself, which has no description. Returns those that were used.
    pub(super) fn apply_to_section(
        &self,
        key: &str,
        section: &mut Option<Node>,
        report: &mut Report,
    ) -> Vec<Origin> {
        let mut variables: Vec<_> = self
            .variables
            .iter()
            .filter_map(|(rest, value)| Some((within_section(rest, key)?, value)))
            .collect();
        // A table comes before its parts, and the elements of a list come in their order.
        variables.sort_by_key(|(within, _)| (within.len(), *within));
        let mut used = Vec::new();
        for (within, value) in variables {
            let end = if within.is_empty() { String::new() } else { format!("_{within}") };
            let name = format!("{}{}{end}", self.prefix, upper(key));
            let origin = Origin::Variable(name.as_str().into());
            let section = section.get_or_insert_with(|| Node::empty_table(origin.clone()));
            let placed = value
                .to_str()
                .ok_or_else(|| "expected UTF-8".to_owned())
                .and_then(|text| put_undescribed(section, within, text, &origin));
            if let Err(expected) = placed {
                report.elsewhere(&name, expected, &origin);
            }
            used.push(origin);
        }
        used
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.variables.iter().map(|(rest, _)| format!("{}{rest}", self.prefix)).collect();
        f.debug_tuple("Environment").field(&names).finish()
    }
}

/// One step of the path of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Key(&'static str),
    Index(usize),
}

/// Why a variable is not the name of a setting.
enum Unknown {
    /// The name that was probably meant, without the prefix.
    Similar(String),
    Other(String),
}

impl Unknown {
    fn with_prefix(self, prefix: &str) -> String {
        match self {
            Self::Similar(name) => format!("unknown variable, did you mean \"{prefix}{name}\"?"),
            Self::Other(expected) => expected,
        }
    }
}

/// Finds the setting that a variable names. Keys contain `_` too, so the longest key that leads to a setting is used.
fn find(rest: &str, table: &'static TableShape) -> Result<(Vec<Step>, &'static Shape), Unknown> {
    let mut keys: Vec<_> = table.keys.iter().collect();
    keys.sort_by_key(|key| std::cmp::Reverse(key.name.len()));
    let mut problem = None;
    for key in keys {
        let name = key.name.to_ascii_uppercase();
        let Some(after) = rest.strip_prefix(&name) else { continue };
        let found = match after.strip_prefix('_') {
            Some(after) => find_inside(after, &key.shape),
            None if after.is_empty() => Ok((Vec::new(), &key.shape)),
            None => continue,
        };
        match found {
            Ok((mut steps, shape)) => {
                steps.insert(0, Step::Key(key.name));
                return Ok((steps, shape));
            }
            Err(Unknown::Similar(inner)) => {
                problem = problem.or_else(|| Some(Unknown::Similar(format!("{name}_{inner}"))));
            }
            Err(other) => problem = problem.or(Some(other)),
        }
    }
    Err(problem.unwrap_or_else(|| {
        let lower = rest.to_ascii_lowercase();
        match most_similar(&lower, &table.names().collect::<Vec<_>>()) {
            Some(name) => Unknown::Similar(name.to_ascii_uppercase()),
            None => Unknown::Other(unknown(&lower, table).replacen("unknown key", "unknown variable", 1)),
        }
    }))
}

fn find_inside(rest: &str, shape: &'static Shape) -> Result<(Vec<Step>, &'static Shape), Unknown> {
    match shape {
        Shape::Table(table) | Shape::Requirement(table) => find(rest, table),
        Shape::List(inner) | Shape::OneOrMany(inner) => {
            let expected =
                || Unknown::Other("unknown variable, expected the index of a list, from 0".to_owned());
            let (index, after) =
                rest.split_once('_').map_or((rest, None), |(index, after)| (index, Some(after)));
            let index = Step::Index(index.parse().map_err(|_| expected())?);
            let (mut steps, shape) = match after {
                Some(after) => find_inside(after, inner).map_err(|problem| match (problem, index) {
                    (Unknown::Similar(name), Step::Index(index)) => {
                        Unknown::Similar(format!("{index}_{name}"))
                    }
                    (problem, _) => problem,
                })?,
                None => (Vec::new(), *inner),
            };
            steps.insert(0, index);
            Ok((steps, shape))
        }
        Shape::Map(_) => Err(Unknown::Other(
            "unknown variable, because names in this table are free: set the whole table as JSON".to_owned(),
        )),
        _ => Err(Unknown::Other("unknown variable, because this setting has no parts".to_owned())),
    }
}

/// Reads the value of a variable as a value of this kind. Text that does not fit is checked later with the document.
fn parse(value: &OsStr, shape: &Shape, origin: &Origin) -> Result<Node, &'static str> {
    let text = value.to_str().ok_or("expected UTF-8")?;
    let json = || match serde_json::from_str::<Plain>(text) {
        Ok(Plain(mut node)) => {
            node.set_origins(&|_| origin.clone());
            Ok(node)
        }
        Err(_) => Err("expected a table or a list as JSON"),
    };
    let plain = |value| Ok(Node::new(value, origin.clone()));
    match shape {
        Shape::Map(_) | Shape::Table(_) => json(),
        Shape::List(_) | Shape::OneOrMany(_) | Shape::Requirement(_)
            if text.trim_start().starts_with(['[', '{']) =>
        {
            json()
        }
        Shape::List(Shape::Table(_) | Shape::List(_)) => json(),
        Shape::List(_) | Shape::OneOrMany(_) | Shape::Requirement(_) => {
            let elements = text.split(',').map(str::trim).filter(|element| !element.is_empty());
            let node = |element: &str| Node::new(Value::Text(element.to_owned()), origin.clone());
            plain(Value::List(elements.map(node).collect()))
        }
        Shape::Flag => plain(match text {
            "true" => Value::Flag(true),
            "false" => Value::Flag(false),
            other => Value::Text(other.to_owned()),
        }),
        Shape::Any => json().or_else(|_| plain(Value::Text(text.to_owned()))),
        Shape::Text
        | Shape::File
        | Shape::Duration
        | Shape::Size
        | Shape::Scope
        | Shape::Algorithm
        | Shape::Word(_) => plain(Value::Text(text.to_owned())),
    }
}

/// Puts a value into the tree. Tables and elements on the way are added.
fn put(node: &mut Node, steps: &[Step], new: Node) -> Result<(), String> {
    let Some((step, steps)) = steps.split_first() else {
        *node = new;
        return Ok(());
    };
    let origin = new.origin.clone();
    match step {
        Step::Key(key) => {
            if !matches!(node.value, Value::Table(_)) {
                *node = Node::empty_table(origin.clone());
            }
            let Value::Table(table) = &mut node.value else { return Ok(()) };
            table.repeated.retain(|(repeated, _)| repeated != key || !steps.is_empty());
            put(table.entry(key, || Node::empty_table(origin)), steps, new)
        }
        Step::Index(index) => {
            match &node.value {
                Value::List(_) => {}
                // One value instead of a list of one.
                Value::Text(_) => node.value = Value::List(vec![node.clone()]),
                _ => *node = Node::new(Value::List(Vec::new()), origin.clone()),
            }
            let Value::List(list) = &mut node.value else { return Ok(()) };
            let length = list.len();
            if *index == length {
                list.push(Node::empty_table(origin));
            }
            match list.get_mut(*index) {
                Some(element) => put(element, steps, new),
                None => Err(format!(
                    "expected an index of at most {length}, since the list has {length} elements"
                )),
            }
        }
    }
}

fn text_of(steps: &[Step]) -> String {
    steps.iter().fold(String::new(), |path, step| match step {
        Step::Key(key) => super::report::join(&path, key),
        Step::Index(index) => format!("{path}[{index}]"),
    })
}

/// Returns the end of a variable's name within a section of the program itself, or `None` if it is not in the section.
fn within_section<'a>(rest: &'a str, key: &str) -> Option<&'a str> {
    let within = after_key(rest, key)?;
    let is_other_setting = match find(rest, &DOCUMENT) {
        Ok((steps, _)) => !matches!(steps.first(), Some(Step::Key(first)) if *first == key),
        Err(_) => false,
    };
    (!is_other_setting).then_some(within)
}

fn after_key<'a>(rest: &'a str, key: &str) -> Option<&'a str> {
    let after = rest.strip_prefix(&upper(key))?;
    if after.is_empty() { Some(after) } else { after.strip_prefix('_') }
}

fn upper(key: &str) -> String {
    key.to_ascii_uppercase().replace('-', "_")
}

/// Puts a value into a tree without a description.
fn put_undescribed(node: &mut Node, rest: &str, text: &str, origin: &Origin) -> Result<(), String> {
    if rest.is_empty() {
        *node = undescribed(&node.value, text, origin);
        return Ok(());
    }
    let new = || Node::new(Value::Null, origin.clone());
    match &mut node.value {
        Value::Table(table) => {
            let found = table.entries.iter().filter_map(|(key, node)| {
                let after = after_key(rest, key)?;
                let has_parts = matches!(node.value, Value::Table(_) | Value::List(_));
                (after.is_empty() || has_parts).then(|| (key.clone(), after))
            });
            // The longest key.
            let (key, after) =
                found.min_by_key(|(_, after)| after.len()).unwrap_or_else(|| (rest.to_ascii_lowercase(), ""));
            put_undescribed(table.entry(&key, new), after, text, origin)
        }
        Value::List(list) => {
            let (index, after) = rest.split_once('_').unwrap_or((rest, ""));
            let length = list.len();
            let index: usize =
                index.parse().map_err(|_| "expected the index of a list, from 0".to_owned())?;
            if index == length {
                list.push(if after.is_empty() { new() } else { Node::empty_table(origin.clone()) });
            }
            let element = list.get_mut(index).ok_or_else(|| {
                format!("expected an index of at most {length}, since the list has {length} elements")
            })?;
            put_undescribed(element, after, text, origin)
        }
        _ => Err("expected none, because this setting has no parts".to_owned()),
    }
}

/// Returns text where there was text, and otherwise JSON if it is JSON.
fn undescribed(former: &Value, text: &str, origin: &Origin) -> Node {
    let as_text = || Node::new(Value::Text(text.to_owned()), origin.clone());
    if matches!(former, Value::Text(_)) {
        return as_text();
    }
    serde_json::from_str(text).map_or_else(
        |_| as_text(),
        |Plain(mut node)| {
            node.set_origins(&|_| origin.clone());
            node
        },
    )
}
