//! Reads values of a checked document: [`Reader`].

use std::time::Duration;

use crate::{
    Scope,
    config::{
        node::{Node, Origin, Value},
        report::join,
        shape::{Shape, TableShape},
    },
    units,
};

/// A value of a checked document, or the lack of one.
///
/// It reports nothing: the document was checked before, and a value with a problem is read as if it were absent.
#[derive(Clone, Debug)]
pub(in crate::config) struct Reader<'a> {
    node: Option<&'a Node>,
    shape: &'static Shape,
    path: String,
}

impl<'a> Reader<'a> {
    pub(in crate::config) fn root(node: &'a Node, shape: &'static Shape) -> Self {
        Self { node: Some(node), shape, path: String::new() }
    }

    /// Returns the path of the setting, such as `issuers[0].clock_skew`.
    pub(in crate::config) fn path(&self) -> &str {
        &self.path
    }

    pub(in crate::config) fn origin(&self) -> Option<&'a Origin> {
        self.node.map(|node| &node.origin)
    }

    /// Returns the value of a key.
    ///
    /// # Panics
    /// If the key is not in the description, because the document would never have it.
    pub(in crate::config) fn get(&self, key: &'static str) -> Self {
        let known = self.table_shape().and_then(|table| table.find(key));
        let known = known.unwrap_or_else(|| panic!("{}: no key {key:?} in the description", self.path));
        let node = match self.node.map(|node| &node.value) {
            Some(Value::Table(table)) => table.find(key),
            _ => None,
        };
        Self { node, shape: &known.shape, path: join(&self.path, key) }
    }

    fn table_shape(&self) -> Option<&'static TableShape> {
        match self.shape {
            Shape::Table(table) | Shape::Requirement(table) => Some(table),
            _ => None,
        }
    }

    /// Returns whether there is a value, even one with a problem.
    pub(in crate::config) fn is_set(&self) -> bool {
        self.node.is_some()
    }

    /// Returns whether a problem with the value was reported.
    pub(in crate::config) fn is_invalid(&self) -> bool {
        matches!(self.node, Some(Node { value: Value::Invalid, .. }))
    }

    pub(in crate::config) fn is_list(&self) -> bool {
        matches!(self.node, Some(Node { value: Value::List(_), .. }))
    }

    pub(in crate::config) fn text(&self) -> Option<&'a str> {
        match &self.node?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(in crate::config) fn flag(&self) -> bool {
        self.flag_or(false)
    }

    pub(in crate::config) fn flag_or(&self, default: bool) -> bool {
        match self.node.map(|node| &node.value) {
            Some(Value::Flag(flag)) => *flag,
            _ => default,
        }
    }

    pub(in crate::config) fn duration(&self) -> Option<Duration> {
        self.text().and_then(units::duration)
    }

    pub(in crate::config) fn size(&self) -> Option<u64> {
        self.text().and_then(units::size)
    }

    pub(in crate::config) fn scope(&self) -> Option<Scope> {
        self.text().and_then(|text| Scope::new(text).ok())
    }

    pub(in crate::config) fn json(&self) -> Option<serde_json::Value> {
        self.node.map(Node::to_json)
    }

    /// Returns the elements of a list. A single value is a list of one.
    pub(in crate::config) fn elements(&self) -> Vec<Self> {
        let inner = match self.shape {
            Shape::List(inner) | Shape::OneOrMany(inner) => *inner,
            Shape::Requirement(_) => &Shape::Scope,
            _ => return Vec::new(),
        };
        let element = |(index, node)| {
            let path = format!("{}[{index}]", self.path);
            Self { node: Some(node), shape: inner, path }
        };
        match self.node {
            Some(Node { value: Value::List(nodes), .. }) => nodes.iter().enumerate().map(element).collect(),
            Some(node) => vec![Self { node: Some(node), shape: inner, path: self.path.clone() }],
            None => Vec::new(),
        }
    }

    pub(in crate::config) fn texts(&self) -> Vec<&'a str> {
        self.elements().iter().filter_map(Self::text).collect()
    }

    pub(in crate::config) fn scopes(&self) -> Vec<Scope> {
        self.elements().iter().filter_map(Self::scope).collect()
    }

    /// Returns the entries of a map.
    pub(in crate::config) fn entries(&self) -> Vec<(&'a str, Self)> {
        let Shape::Map(inner) = self.shape else { return Vec::new() };
        match self.node.map(|node| &node.value) {
            Some(Value::Table(table)) => table
                .entries
                .iter()
                .map(|(key, node)| {
                    (key.as_str(), Self { node: Some(node), shape: inner, path: join(&self.path, key) })
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}
