//! Writing of JSON values with the serializer of any format: [`Portable`].

use serde::{Serialize, Serializer};
use serde_json::{Number, Value};

/// A JSON value that any serializer can write.
///
/// With the feature `arbitrary_precision`, which any crate of a build can turn on, `serde_json` presents each number to a
/// serializer as a struct that only its own serializers understand.
pub(super) struct Portable<'a>(pub(super) &'a Value);

impl Serialize for Portable<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::String(text) => serializer.serialize_str(text),
            Value::Array(elements) => serializer.collect_seq(elements.iter().map(Portable)),
            Value::Object(members) => {
                serializer.collect_map(members.iter().map(|(name, value)| (name, Portable(value))))
            }
            Value::Number(number) => serialize_number(number, serializer),
        }
    }
}

fn serialize_number<S: Serializer>(number: &Number, serializer: S) -> Result<S::Ok, S::Error> {
    if let Some(number) = number.as_u64() {
        return serializer.serialize_u64(number);
    }
    // `-0` has no exact `i64`.
    if let Some(number) = number.as_i64().filter(|number| *number < 0) {
        return serializer.serialize_i64(number);
    }
    match exact_f64(number) {
        Some(number) => serializer.serialize_f64(number),
        None => number.serialize(serializer),
    }
}

/// Returns the `f64` that is written with the same digits.
fn exact_f64(number: &Number) -> Option<f64> {
    let float = number.as_f64()?;
    (Number::from_f64(float)?.to_string() == number.to_string()).then_some(float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_written_as_serde_json_writes_it() {
        let text = r#"{"a":[null,true,"\u0001é",0,-0.0,-0,0.5,-1,1e3,18446744073709551615,18446744073709551616],"b":{}}"#;
        let value: Value = serde_json::from_str(text).unwrap();

        assert_eq!(serde_json::to_string(&Portable(&value)).unwrap(), value.to_string());
        assert_eq!(serde_json::to_value(Portable(&value)).unwrap(), value);
    }
}
