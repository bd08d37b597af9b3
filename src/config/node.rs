//! A configuration document as a tree that records where each value came from: [`Node`].

use std::{fmt, marker::PhantomData, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_spanned::Spanned;

/// A value of a document.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

#[derive(Clone)]
pub(super) enum Value {
    Null,
    Flag(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Table(Table),
    /// A problem with the value was reported. It counts as set, but is not read.
    Invalid,
}

/// The entries of a table in the order of the document, each key once.
#[derive(Clone, Default)]
pub(super) struct Table {
    pub(super) entries: Vec<(String, Node)>,
    /// The keys that appeared again, with the origin of their later value.
    pub(super) repeated: Vec<(String, Origin)>,
}

/// Where a value came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Origin {
    /// A document without a name.
    #[default]
    Unknown,
    /// A byte offset, until the document gets its text.
    Offset(usize),
    Document {
        name: Arc<str>,
        /// From 1: line and column.
        position: Option<(usize, usize)>,
    },
    Variable(Arc<str>),
}

impl Node {
    pub(super) fn new(value: Value, origin: Origin) -> Self {
        Self { value, origin }
    }

    pub(super) fn empty_table(origin: Origin) -> Self {
        Self::new(Value::Table(Table::default()), origin)
    }

    /// Replaces the origin of this value and of all values in it.
    pub(super) fn set_origins(&mut self, origin: &dyn Fn(&Origin) -> Origin) {
        self.origin = origin(&self.origin);
        match &mut self.value {
            Value::List(nodes) => nodes.iter_mut().for_each(|node| node.set_origins(origin)),
            Value::Table(table) => {
                table.entries.iter_mut().for_each(|(_, node)| node.set_origins(origin));
                table.repeated.iter_mut().for_each(|(_, place)| *place = origin(place));
            }
            Value::Null
            | Value::Flag(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Invalid => {}
        }
    }

    /// Returns the value as JSON. What JSON cannot hold becomes `null`.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null | Value::Invalid => serde_json::Value::Null,
            Value::Flag(flag) => (*flag).into(),
            Value::Integer(number) => i64::try_from(*number)
                .map(Into::into)
                .or_else(|_| u64::try_from(*number).map(Into::into))
                .unwrap_or_default(),
            Value::Float(number) => (*number).into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(nodes) => nodes.iter().map(Self::to_json).collect(),
            Value::Table(table) => {
                table.entries.iter().map(|(key, node)| (key.clone(), node.to_json())).collect()
            }
        }
    }
}

impl Table {
    pub(super) fn find(&self, key: &str) -> Option<&Node> {
        self.entries.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// Returns the value of a key. If there is none, it is added first.
    pub(super) fn entry(&mut self, key: &str, new: impl FnOnce() -> Node) -> &mut Node {
        let index = self.entries.iter().position(|(name, _)| name == key).unwrap_or_else(|| {
            self.entries.push((key.to_owned(), new()));
            self.entries.len() - 1
        });
        &mut self.entries[index].1
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Node> {
        let index = self.entries.iter().position(|(name, _)| name == key)?;
        Some(self.entries.remove(index).1)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown | Self::Offset(_) => f.write_str("document"),
            Self::Document { name, position: None } => f.write_str(name),
            Self::Document { name, position: Some((line, column)) } => {
                write!(f, "{name}, line {line}, column {column}")
            }
            Self::Variable(name) => write!(f, "environment variable {name}"),
        }
    }
}

/// Does not show the value, because someone may have put a secret into it.
impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// Reads from a format that does not tell positions.
pub(super) struct Plain(pub(super) Node);

/// Reads from a format that tells positions in the way of the crate `serde_spanned`.
pub(super) struct Positioned(pub(super) Value);

/// A value inside of another.
trait Inner {
    fn into_node(self) -> Node;
}

impl Inner for Plain {
    fn into_node(self) -> Node {
        self.0
    }
}

impl Inner for Spanned<Positioned> {
    fn into_node(self) -> Node {
        let start = self.span().start;
        Node::new(self.into_inner().0, Origin::Offset(start))
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = deserializer.deserialize_any(Tree::<Self>(PhantomData))?;
        Ok(Self(Node::new(value, Origin::Unknown)))
    }
}

impl<'de> Deserialize<'de> for Positioned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Tree::<Spanned<Self>>(PhantomData)).map(Self)
    }
}

/// The names under which formats pass values that serde has no type for.
const TOML_DATETIME: &str = "$__toml_private_datetime";
const JSON_NUMBER: &str = "$serde_json::private::Number";

struct Tree<T>(PhantomData<T>);

impl<'de, T: Inner + Deserialize<'de>> Visitor<'de> for Tree<T> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a configuration document")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Integer(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Integer(number.into()))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Value, E> {
        Ok(Value::Integer(number))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Value, E> {
        Ok(i128::try_from(number).map_or(Value::Float(f64::INFINITY), Value::Integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element::<T>()? {
            list.push(element.into_node());
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut table = Table::default();
        while let Some(key) = members.next_key::<String>()? {
            if key == TOML_DATETIME || key == JSON_NUMBER {
                return members.next_value::<String>().map(|text| scalar(&key, text));
            }
            let node = members.next_value::<T>()?.into_node();
            if table.find(&key).is_some() {
                table.repeated.push((key, node.origin));
            } else {
                table.entries.push((key, node));
            }
        }
        Ok(Value::Table(table))
    }
}

fn scalar(kind: &str, text: String) -> Value {
    if kind == TOML_DATETIME {
        return Value::Text(text);
    }
    match text.parse() {
        Ok(number) => Value::Integer(number),
        Err(_) => text.parse().map_or(Value::Text(text), Value::Float),
    }
}
