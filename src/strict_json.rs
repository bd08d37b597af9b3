//! One JSON object, read strictly: [`Members`].
//!
//! JSON parsers disagree on a name that stands twice, and that has let tokens through that one reader took for good and
//! the next for something else. Here a name stands once, compared after unescaping, or the object is refused (RFC 7515
//! section 4, RFC 7519 section 4). Values stay text until a rule asks for one, so nothing is parsed twice and nothing is
//! allocated for what nobody reads.

use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Most members in one object: a token that lists dozens of claims is large.
const MAX_MEMBERS: usize = 256;

/// Up to here names are compared pair by pair; beyond, they are sorted.
const FEW_MEMBERS: usize = 16;

/// Deepest nesting, the object itself counted. No claim that a standard defines goes beyond five.
const MAX_DEPTH: usize = 16;

/// The members of one JSON object: names unescaped, none twice, bounded in number and depth.
#[derive(Debug)]
pub(crate) struct Members<'a>(Vec<Member<'a>>);

/// One name with the text of its value.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) value: &'a str,
}

impl<'a> Members<'a> {
    /// Parses one object and nothing after it.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, serde_json::Error> {
        Self::parse_up_to(MAX_MEMBERS, bytes)
    }

    /// Parses an object with few members, such as a JOSE header: cheap to refuse before anything is verified.
    pub(crate) fn parse_few(max_members: usize, bytes: &'a [u8]) -> Result<Self, serde_json::Error> {
        Self::parse_up_to(max_members, bytes)
    }

    /// Parses an object that was written here, however many members it has got.
    pub(crate) fn parse_our_own(json: &'a str) -> Result<Self, serde_json::Error> {
        Self::parse_up_to(usize::MAX, json.as_bytes())
    }

    fn parse_up_to(max_members: usize, bytes: &'a [u8]) -> Result<Self, serde_json::Error> {
        let mut parser = serde_json::Deserializer::from_slice(bytes);
        let members = InOrder { max_members }.deserialize(&mut parser)?;
        parser.end()?;
        Ok(members)
    }

    /// Returns the text of a member's value.
    pub(crate) fn find(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|member| member.name == name).map(|member| member.value)
    }

    /// Leaves out the members whose value is `null`, but for one.
    pub(crate) fn without_nulls_but(mut self, name: &str) -> Self {
        self.0.retain(|member| member.value != "null" || member.name == name);
        self
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Member<'a>> {
        self.0.iter()
    }
}

/// Reads an object member by member.
struct InOrder {
    max_members: usize,
}

impl<'de> DeserializeSeed<'de> for InOrder {
    type Value = Members<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Members<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for InOrder {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members: Vec<Member<'de>> = Vec::with_capacity(16);
        while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
            check_name(&name).map_err(A::Error::custom)?;
            if members.len() == self.max_members {
                return Err(A::Error::custom(format_args!("more than {} members", self.max_members)));
            }
            check_value(value.get()).map_err(A::Error::custom)?;
            members.push(Member { name, value: value.get() });
        }
        if has_name_twice(&members) {
            return Err(A::Error::custom("a member name stands twice"));
        }
        Ok(Members(members))
    }
}

fn has_name_twice(members: &[Member<'_>]) -> bool {
    if members.len() <= FEW_MEMBERS {
        let mut rest = members;
        while let [first, others @ ..] = rest {
            if others.iter().any(|other| other.name == first.name) {
                return true;
            }
            rest = others;
        }
        return false;
    }
    let mut names: Vec<&str> = members.iter().map(|member| &*member.name).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

/// How the names begin that serde_json keeps for itself. It reads an object with such a member as what the member's string
/// says: text would become claims, behind every check of names.
const RESERVED: &str = "$serde_json::private::";

fn check_name(name: &str) -> Result<(), &'static str> {
    if name.starts_with(RESERVED) { Err("a member name that serde_json reserves") } else { Ok(()) }
}

/// Looks into what serde_json skips when it hands out raw text: how deep it goes, whether its escapes are text, and
/// whether serde_json would read all of it as it stands.
fn check_value(value: &str) -> Result<(), &'static str> {
    if value.starts_with(['{', '[']) && 1 + depth(value) > MAX_DEPTH {
        return Err("nested deeper than 16 levels");
    }
    // A lone surrogate passes as raw text and would fail in whoever reads the value later. Rare enough for a full parse,
    // whose recursion the depth above bounds.
    if (value.contains("\\u") || value.contains(RESERVED)) && serde_json::from_str::<Plain>(value).is_err() {
        return Err("an escape that is no character, or a member name that serde_json reserves");
    }
    Ok(())
}

/// Counts how deep arrays and objects nest in valid JSON text.
fn depth(value: &str) -> usize {
    let (mut deepest, mut open) = (0, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in value.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                open += 1;
                deepest = deepest.max(open);
            }
            b'}' | b']' if !in_string => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Parses the text of a JSON string; borrows where there is no escape. Any other type is `None`.
pub(crate) fn string(value: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Name<'_>>(value).ok().map(|Name(text)| text)
}

/// Parses the text of a JSON array of strings, or of one string as an array of one. Any other type is `None`.
pub(crate) fn one_or_many(value: &str) -> Option<Vec<Cow<'_, str>>> {
    if let Some(one) = string(value) {
        return Some(vec![one]);
    }
    serde_json::from_str::<Vec<Name<'_>>>(value)
        .ok()
        .map(|many| many.into_iter().map(|Name(text)| text).collect())
}

/// Any JSON value whose strings are text and whose names are nobody's secret sign; keeps nothing of it.
struct Plain;

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Through;

        impl<'de> Visitor<'de> for Through {
            type Value = Plain;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Plain, A::Error> {
                while let Some((Name(name), Plain)) = map.next_entry()? {
                    check_name(&name).map_err(A::Error::custom)?;
                }
                Ok(Plain)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Plain, A::Error> {
                while elements.next_element::<Plain>()?.is_some() {}
                Ok(Plain)
            }

            fn visit_str<E>(self, _: &str) -> Result<Plain, E> {
                Ok(Plain)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Plain, E> {
                Ok(Plain)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Plain, E> {
                Ok(Plain)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Plain, E> {
                Ok(Plain)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Plain, E> {
                Ok(Plain)
            }

            fn visit_unit<E>(self) -> Result<Plain, E> {
                Ok(Plain)
            }
        }

        deserializer.deserialize_any(Through)
    }
}

/// A string, borrowed where it has no escapes (serde's own `Cow` always copies).
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Members<'_>, serde_json::Error> {
        Members::parse(text.as_bytes())
    }

    #[test]
    fn members_are_found_by_their_unescaped_names() {
        let members = parse(r#" {"a": 1, "\u0062" : [ 2 ]} "#).unwrap();

        assert_eq!(members.find("a"), Some("1"));
        assert_eq!(members.find("b"), Some("[ 2 ]"));
        assert_eq!(members.find("c"), None);
    }

    #[test]
    fn a_name_without_escapes_is_borrowed() {
        let members = parse(r#"{"exp":1}"#).unwrap();

        assert!(matches!(members.iter().next().unwrap().name, Cow::Borrowed("exp")));
        assert!(matches!(string("\"at+jwt\""), Some(Cow::Borrowed("at+jwt"))));
    }

    #[test]
    fn a_name_that_stands_twice_is_refused() {
        for text in [r#"{"aud":1,"aud":1}"#, r#"{"aud":1,"\u0061ud":2}"#, r#"{"":1,"":1}"#] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_that_stands_twice_among_many_is_refused() {
        for count in [15, 16, 17, 100, 255] {
            let members: Vec<_> = (0..count).map(|index| format!("\"{index}\":0")).collect();

            assert!(parse(&format!("{{{}}}", members.join(","))).is_ok(), "{count}");
            for twice in [0, count / 2, count - 1] {
                assert!(
                    parse(&format!("{{{},\"{twice}\":0}}", members.join(","))).is_err(),
                    "{count} {twice}"
                );
            }
        }
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for text in [
            "",
            "[]",
            "1",
            "null",
            "\"a\"",
            "{}{}",
            "{} x",
            "{",
            "{\"a\":}",
            "{'a':1}",
            "\u{feff}{}",
            "{\"a\":01}",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(Members::parse(b"{\"a\":\"\xff\"}").is_err());
        assert!(Members::parse(&[0xff, 0xfe, b'{', 0, b'}', 0]).is_err());
    }

    #[test]
    fn depth_is_bounded_without_recursion() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));

        assert!(parse(&nested(15)).is_ok());
        assert!(parse(&nested(16)).is_err());
        assert!(parse(&nested(10_000)).is_err());
        assert!(parse(r#"{"a":"[[[[[[[[[[[[[[[[[[[["}"#).is_ok());
        assert!(parse(r#"{"a":["\"[[[[[[[[[[[[[[[[[[[["]}"#).is_ok());
    }

    #[test]
    fn the_number_of_members_is_bounded() {
        let object = |count: usize| {
            let members: Vec<_> = (0..count).map(|index| format!("\"{index}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };

        assert!(parse(&object(256)).is_ok());
        assert!(parse(&object(257)).is_err());
    }

    #[test]
    fn lone_surrogates_are_refused_wherever_they_stand() {
        assert!(parse(r#"{"a":"\ud83d\ude00"}"#).is_ok());
        for text in [r#"{"\ud800":1}"#, r#"{"a":"\ud800"}"#, r#"{"a":{"b":["\udc00"]}}"#] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_that_serde_json_reserves_are_refused_wherever_they_stand() {
        for name in [
            "$serde_json::private::RawValue",
            "$serde_json::private::Number",
            r"\u0024serde_json::private::RawValue",
            r"$serde_json::private\u003a:\u0052awValue",
        ] {
            for text in [
                format!(r#"{{"{name}":"1"}}"#),
                format!(r#"{{"a":{{"{name}":"1"}}}}"#),
                format!(r#"{{"a":[1,-1,0.5,true,null,{{"b":{{"c":"","{name}":1}}}}]}}"#),
            ] {
                assert!(parse(&text).is_err(), "{text}");
            }
            // As a text it means nothing.
            assert!(
                parse(&format!(r#"{{"a":["{name}",1,-1,0.5,true,null,{{"b":"{name}"}}]}}"#)).is_ok(),
                "{name}"
            );
        }
    }

    #[test]
    fn a_string_is_a_string() {
        assert_eq!(string(r#""a\n""#).as_deref(), Some("a\n"));
        for text in ["1", "null", "[\"a\"]", "{}", "true"] {
            assert_eq!(string(text), None, "{text}");
        }
        assert_eq!(one_or_many(r#"["a","b"]"#).unwrap(), ["a", "b"]);
        assert_eq!(one_or_many(r#""a""#).unwrap(), ["a"]);
        for text in ["1", "null", "[1]", "[\"a\",null]", "{}"] {
            assert_eq!(one_or_many(text), None, "{text}");
        }
    }
}
