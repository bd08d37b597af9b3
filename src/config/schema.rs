//! The JSON Schema of the document: [`json_schema`].

use serde_json::{Map, Value, json};

use super::{
    keys::{DOCUMENT, REQUIREMENT},
    shape::{Key, Shape, TableShape},
};
use crate::{
    Algorithm,
    units::{DURATION_PATTERN, SIZE_PATTERN},
};

/// Returns the JSON Schema (2020-12) of the document, for editors and other tools.
///
/// The repository has it as `docs/config.schema.json`. It contains all keys and the form of each value. It does not contain
/// ranges and combinations of settings.
pub fn json_schema() -> Value {
    let mut schema = table(&DOCUMENT);
    if let Value::Object(members) = &mut schema {
        members.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
        members.insert("title".into(), "tower-bearer".into());
        members.insert("$defs".into(), json!({ "requirement": requirement() }));
    }
    schema
}

fn table(shape: &TableShape) -> Value {
    let property = |key: &Key| {
        let mut schema = value(&key.shape);
        if let Value::Object(members) = &mut schema {
            members.insert("description".into(), key.doc.into());
        }
        (key.name.to_owned(), schema)
    };
    let properties: Map<String, Value> = shape.keys.iter().map(property).collect();
    let required: Vec<_> = shape.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let mut schema = json!({
        "type": "object",
        "description": shape.doc,
        "additionalProperties": false,
        "properties": properties,
    });
    if let (Value::Object(members), false) = (&mut schema, required.is_empty()) {
        members.insert("required".into(), required.into());
    }
    schema
}

fn value(shape: &Shape) -> Value {
    match shape {
        Shape::Text => json!({ "type": "string" }),
        Shape::File => json!({ "type": "string", "minLength": 1 }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Duration => json!({ "type": "string", "pattern": DURATION_PATTERN }),
        Shape::Size => json!({ "type": "string", "pattern": SIZE_PATTERN }),
        // RFC 6749 section 3.3.
        Shape::Scope => json!({ "type": "string", "pattern": r"^[\x21\x23-\x5B\x5D-\x7E]+$" }),
        Shape::Algorithm => {
            let mut names: Vec<_> = Algorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect();
            // RFC 9864: another name of EdDSA.
            names.push("Ed25519");
            json!({ "enum": names })
        }
        Shape::Word(words) => json!({ "enum": words }),
        Shape::Any => json!({ "not": { "type": "null" } }),
        Shape::List(inner) => json!({ "type": "array", "items": value(inner) }),
        Shape::OneOrMany(inner) => {
            json!({ "anyOf": [value(inner), { "type": "array", "items": value(inner) }] })
        }
        Shape::Map(inner) => json!({ "type": "object", "additionalProperties": value(inner) }),
        Shape::Table(inner) => table(inner),
        Shape::Requirement(_) => json!({ "$ref": "#/$defs/requirement" }),
    }
}

fn requirement() -> Value {
    let scopes = json!({ "type": "array", "items": value(&Shape::Scope), "minItems": 1 });
    json!({ "anyOf": [scopes, table(&REQUIREMENT)] })
}
