//! Reads JSON documents: [`JsonDocument`].

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;

use super::finding::quoted;

/// A JSON object, with its members in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct JsonDocument {
    members: Vec<(String, Value)>,
}

impl JsonDocument {
    /// Parses a body. The error says what it is instead.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, String> {
        let text = match str::from_utf8(body) {
            Ok(text) => text,
            Err(error) => return Err(format!("not UTF-8 (byte {})", error.valid_up_to())),
        };
        if text.starts_with('\u{feff}') {
            return Err(
                "JSON after a byte order mark, which JSON must not have (RFC 8259 section 8.1)".to_owned()
            );
        }
        match serde_json::from_str(text) {
            Ok(document) => Ok(document),
            Err(_) if text.trim().is_empty() => Err("an empty body".to_owned()),
            Err(_) if text.trim_start().starts_with('<') => {
                Err(format!("HTML or XML: {}", quoted(text.trim())))
            }
            Err(error) if error.is_data() => Err(format!("JSON, but not an object: {}", quoted(text.trim()))),
            Err(error) => Err(format!("not JSON ({error}): {}", quoted(text.trim()))),
        }
    }

    /// Returns the last value of a member, as most parsers do.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.members.iter().rev().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// Returns the names of members that appear more than once.
    pub(crate) fn repeated(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.members.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        let mut repeated: Vec<_> = names
            .windows(2)
            .filter(|pair| pair.first() == pair.last())
            .filter_map(|pair| pair.first().copied())
            .collect();
        repeated.dedup();
        repeated
    }

    /// Returns the texts in an array. `None`: not an array of texts.
    pub(crate) fn texts(&self, name: &str) -> Option<Result<Vec<&str>, &Value>> {
        let value = self.get(name)?;
        let texts = value.as_array().and_then(|array| array.iter().map(Value::as_str).collect());
        Some(texts.ok_or(value))
    }
}

impl<'de> Deserialize<'de> for JsonDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = JsonDocument;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonDocument, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(JsonDocument { members })
    }
}
