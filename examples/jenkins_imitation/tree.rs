//! Selects a part of a document: the parameters `tree` and `depth` of Jenkins's remote access API.

use std::ops::Range;

use serde_json::{Map, Value};

/// The members that a client asks for, for example `jobs[name,url]`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tree(Vec<Member>);

#[derive(Debug, PartialEq, Eq)]
struct Member {
    name: String,
    /// Which members of its value to keep. Empty for a number or a text, which is kept whole.
    inner: Tree,
    /// Which items of its value to keep.
    range: Option<Range<usize>>,
}

impl Tree {
    /// Parses the parameter `tree`. Returns `None` if it is malformed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let tree = Self::parse_members(&mut rest, 0)?;
        rest.is_empty().then_some(tree)
    }

    fn parse_members(rest: &mut &str, depth: usize) -> Option<Self> {
        let mut members = Vec::new();
        if depth > MAX_DEPTH {
            return None;
        }
        loop {
            let end = rest.find(['[', ']', ',', '{']).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            *rest = after;
            let mut inner = Self::default();
            if let Some(after) = rest.strip_prefix('[') {
                *rest = after;
                inner = Self::parse_members(rest, depth + 1)?;
                *rest = rest.strip_prefix(']')?;
            }
            let mut range = None;
            if let Some(after) = rest.strip_prefix('{') {
                let (text, after) = after.split_once('}')?;
                range = Some(parse_range(text)?);
                *rest = after;
            }
            members.push(Member { name: name.trim().to_owned(), inner, range });
            match rest.strip_prefix(',') {
                Some(after) => *rest = after,
                None => return Some(Self(members)),
            }
        }
    }

    /// Keeps the members that the tree names. Jenkins always keeps `_class`.
    pub(super) fn select(&self, document: &Value) -> Value {
        match document {
            Value::Object(object) => {
                let mut selected = Map::new();
                if let Some(class) = object.get("_class") {
                    selected.insert("_class".to_owned(), class.clone());
                }
                for Member { name, inner, range } in &self.0 {
                    if name == "*" {
                        selected
                            .extend(object.iter().map(|(name, value)| (name.clone(), at_depth(value, 0))));
                    } else if let Some(value) = object.get(name) {
                        selected.insert(name.clone(), in_range(inner.select(value), range.as_ref()));
                    }
                }
                selected.into()
            }
            Value::Array(items) => items.iter().map(|item| self.select(item)).collect(),
            scalar => scalar.clone(),
        }
    }
}

/// Shortens the objects in a document to a few members, as Jenkins does without `tree`.
pub(super) fn at_depth(document: &Value, depth: usize) -> Value {
    let Value::Object(object) = document else { return shorten(document, depth) };
    let shortened = object.iter().filter(|(name, _)| *name != "allBuilds");
    shortened.map(|(name, value)| (name.clone(), shorten(value, depth))).collect::<Map<_, _>>().into()
}

fn shorten(value: &Value, depth: usize) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| shorten(item, depth)).collect(),
        Value::Object(object) if has_own_page(object) => match depth.checked_sub(1) {
            Some(depth) => at_depth(value, depth),
            None => {
                let kept = object.iter().filter(|(name, _)| BRIEF.contains(&name.as_str()));
                kept.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>().into()
            }
        },
        other => other.clone(),
    }
}

/// Jobs, folders and builds have a page, and are only linked from others.
fn has_own_page(object: &Map<String, Value>) -> bool {
    object.contains_key("url")
}

fn in_range(value: Value, range: Option<&Range<usize>>) -> Value {
    match (value, range) {
        (Value::Array(items), Some(range)) => items.into_iter().skip(range.start).take(range.len()).collect(),
        (value, _) => value,
    }
}

/// Parses `from,to`, `,to`, `from,` or `index`.
fn parse_range(text: &str) -> Option<Range<usize>> {
    let number = |text: &str, otherwise| if text.is_empty() { Some(otherwise) } else { text.parse().ok() };
    match text.split_once(',') {
        Some((from, to)) => Some(number(from, 0)?..number(to, usize::MAX)?),
        None => text.parse().ok().map(|index: usize| index..index.saturating_add(1)),
    }
}

/// The members that are left of an object that is only linked.
const BRIEF: [&str; 5] = ["_class", "name", "url", "color", "number"];
/// Maximum nesting of a tree. `python-jenkins` sends 11 levels.
const MAX_DEPTH: usize = 32;
