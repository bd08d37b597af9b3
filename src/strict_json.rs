//! Parses one JSON object strictly: [`Members`].
//!
//! JSON parsers disagree on which of two members with the same name is used, and tokens have passed checks because two
//! parsers read them differently. This parser refuses an object with duplicate names, compared after unescaping (RFC
//! 7515 section 4, RFC 7519 section 4). Values are kept as text until they are needed, so that nothing is parsed twice
//! and unused values are not allocated.

use std::{borrow::Cow, fmt, ops::Range};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Maximum number of members in one object. A token with dozens of claims is already large.
const MAX_MEMBERS: usize = 256;

/// Maximum number of members whose names are compared pairwise. The names of larger objects are sorted.
const FEW_MEMBERS: usize = 16;

/// Maximum nesting depth, including the object itself. Claims defined by standards use at most five levels.
const MAX_DEPTH: usize = 16;

/// Maximum nesting depth of a message, whose deeper parts are not read. That of serde_json.
#[cfg(feature = "mcp")]
const MAX_MESSAGE_DEPTH: usize = 128;

/// The members of one JSON object. Names are unescaped and unique. The number of members and the depth are bounded.
#[derive(Debug)]
pub(crate) struct Members<'a>(Vec<Member<'a>>);

/// A member name and the text of its value.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) value: &'a str,
}

impl<'a> Members<'a> {
    /// Parses one object. Anything after it is an error.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, serde_json::Error> {
        Self::parse_up_to(MAX_MEMBERS, MAX_DEPTH, bytes)
    }

    /// Parses a message, which may be nested deeper because its parts are not kept.
    #[cfg(feature = "mcp")]
    pub(crate) fn parse_message(bytes: &'a [u8]) -> Result<Self, serde_json::Error> {
        Self::parse_up_to(MAX_MEMBERS, MAX_MESSAGE_DEPTH, bytes)
    }

    /// Parses an object with at most `max_members` members, such as a JOSE header, which is read before the signature
    /// is verified.
    pub(crate) fn parse_few(max_members: usize, bytes: &'a [u8]) -> Result<Self, serde_json::Error> {
        Self::parse_up_to(max_members, MAX_DEPTH, bytes)
    }

    /// Parses an object that this crate wrote, with any number of members.
    pub(crate) fn parse_our_own(json: &'a str) -> Result<Self, serde_json::Error> {
        Self::parse_up_to(usize::MAX, MAX_DEPTH, json.as_bytes())
    }

    fn parse_up_to(max_members: usize, max_depth: usize, bytes: &'a [u8]) -> Result<Self, serde_json::Error> {
        let mut parser = serde_json::Deserializer::from_slice(bytes);
        let members = InOrder { max_members, max_depth }.deserialize(&mut parser)?;
        parser.end()?;
        Ok(members)
    }

    /// Returns the text of a member's value.
    pub(crate) fn find(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|member| member.name == name).map(|member| member.value)
    }

    /// Removes the members whose value is `null`, except the named one.
    pub(crate) fn without_nulls_but(mut self, name: &str) -> Self {
        self.0.retain(|member| member.value != "null" || member.name == name);
        self
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Member<'a>> {
        self.0.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A parsed object that owns its text, so that it can be stored without being parsed again.
pub(crate) struct OwnedMembers {
    json: String,
    members: Vec<OwnedMember>,
}

struct OwnedMember {
    name: OwnedName,
    /// The position of the value in the text.
    value: Range<usize>,
}

enum OwnedName {
    /// The position of the name in the text.
    At(Range<usize>),
    /// A name with escapes in the text.
    Unescaped(Box<str>),
}

impl OwnedMembers {
    /// Parses one object like [`Members::parse`]. Returns `None` if it is refused.
    pub(crate) fn parse(json: Vec<u8>) -> Option<Self> {
        let json = String::from_utf8(json).ok()?;
        let place = |part: &str| {
            let start = part.as_ptr().addr() - json.as_ptr().addr();
            start..start + part.len()
        };
        let members = Members::parse(json.as_bytes()).ok()?;
        let members = members.0.iter().map(|member| OwnedMember {
            name: match &member.name {
                Cow::Borrowed(name) => OwnedName::At(place(name)),
                Cow::Owned(name) => OwnedName::Unescaped(name.as_str().into()),
            },
            value: place(member.value),
        });
        let members = members.collect();
        Some(Self { json, members })
    }

    /// Returns the members without parsing them again.
    pub(crate) fn members(&self) -> Members<'_> {
        Members(self.iter().collect())
    }

    /// Returns the text of a member's value.
    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        self.iter().find(|member| member.name == name).map(|member| member.value)
    }

    fn iter(&self) -> impl Iterator<Item = Member<'_>> {
        self.members.iter().map(|member| Member {
            name: Cow::Borrowed(match &member.name {
                OwnedName::At(place) => &self.json[place.clone()],
                OwnedName::Unescaped(name) => name,
            }),
            value: &self.json[member.value.clone()],
        })
    }
}

/// Reads an object member by member.
struct InOrder {
    max_members: usize,
    max_depth: usize,
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
            check_value(value.get(), self.max_depth).map_err(A::Error::custom)?;
            members.push(Member { name, value: value.get() });
        }
        if has_name_twice(&members) {
            return Err(A::Error::custom("a member name appears twice"));
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

/// The prefix of member names that serde_json reserves. It parses an object with such a member as the JSON text in the
/// member's string, which would add claims after the names were checked.
const RESERVED: &str = "$serde_json::private::";

fn check_name(name: &str) -> Result<(), &'static str> {
    if name.starts_with(RESERVED) { Err("a member name is reserved by serde_json") } else { Ok(()) }
}

/// Checks what serde_json does not check in raw values.
///
/// Escapes must be valid characters, numbers must fit into an `f64`, and nesting is bounded, so that a stored claim can
/// always be read later. This scans the text instead of parsing the value with serde_json, because serde_json
/// represents numbers differently if any crate in the build enables `arbitrary_precision`.
fn check_value(value: &str, max_depth: usize) -> Result<(), &'static str> {
    match value.as_bytes().first() {
        Some(b'"') => check_string(value),
        Some(b'{' | b'[') => check_nested(value, max_depth),
        _ => check_number(value),
    }
}

/// Checks an array or object. The text is valid JSON.
fn check_nested(value: &str, max_depth: usize) -> Result<(), &'static str> {
    let mut depth = 1; // of the object that contains this value
    let mut rest = value;
    while let Some(first) = rest.bytes().next() {
        let (token, after) = split_token(rest);
        match first {
            b'"' => {
                check_string(token)?;
                if after.trim_ascii_start().starts_with(':') {
                    check_name(&string(token).unwrap_or_default())?;
                }
            }
            b'-' | b'0'..=b'9' => check_number(token)?,
            b'{' | b'[' if depth == max_depth => return Err("nested too deep"),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        rest = after;
    }
    Ok(())
}

/// Splits off the first string, number or other byte of valid JSON text. Only strings contain non-ASCII bytes.
fn split_token(text: &str) -> (&str, &str) {
    let length = match text.bytes().next() {
        Some(b'"') => string_len(text),
        Some(b'-' | b'0'..=b'9') => number_len(text),
        _ => 1,
    };
    text.split_at_checked(length).unwrap_or((text, ""))
}

/// Refuses lone surrogates, which are valid in raw text but fail when the value is read.
fn check_string(text: &str) -> Result<(), &'static str> {
    if text.contains("\\u") && string(text).is_none() {
        Err("an escape is not a valid character")
    } else {
        Ok(())
    }
}

// RFC 8259 section 6 allows an implementation to limit the range. Without this check, one such claim would make reading
// or writing all claims fail. Literals (`true`, `null`) are not numbers and pass.
fn check_number(text: &str) -> Result<(), &'static str> {
    match text.parse::<f64>() {
        Ok(number) if !number.is_finite() => Err("a number does not fit into an f64"),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Returns the length of the string at the start of valid JSON text, including quotation marks.
fn string_len(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let is_end = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        is_end
    });
    end.map_or(text.len(), |end| end + 2)
}

/// Returns the length of the number at the start of valid JSON text.
fn number_len(text: &str) -> usize {
    text.bytes().take_while(|byte| matches!(byte, b'-' | b'+' | b'.' | b'0'..=b'9' | b'e' | b'E')).count()
}

/// Parses the text of a JSON string, borrowed if it has no escapes. Returns `None` for any other type.
pub(crate) fn string(value: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Name<'_>>(value).ok().map(|Name(text)| text)
}

/// Parses the text of a JSON string or an array of strings. Returns `None` for any other type.
pub(crate) fn one_or_many(value: &str) -> Option<Vec<Cow<'_, str>>> {
    if let Some(one) = string(value) {
        return Some(vec![one]);
    }
    serde_json::from_str::<Vec<Name<'_>>>(value)
        .ok()
        .map(|many| many.into_iter().map(|Name(text)| text).collect())
}

/// A string, borrowed if it has no escapes. (serde's own impl for `Cow` always copies.)
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Members<'_>, serde_json::Error> {
        Members::parse(text.as_bytes())
    }

    #[test]
    fn owned_members_are_those_that_were_parsed() {
        let text = r#" {"a": 1, "\u0062" : [ 2 ], "é":"ü\n"} "#;
        let owned = OwnedMembers::parse(text.into()).unwrap();

        let pairs = |members: &Members<'_>| -> Vec<(String, String)> {
            members.iter().map(|member| (member.name.to_string(), member.value.to_owned())).collect()
        };
        assert_eq!(pairs(&owned.members()), pairs(&parse(text).unwrap()));
        assert_eq!(owned.members().find("b"), Some("[ 2 ]"));
        assert!(OwnedMembers::parse(br#"{"a":1,"\u0061":1}"#.to_vec()).is_none());
        assert!(OwnedMembers::parse(b"{\"a\":\"\xff\"}".to_vec()).is_none());
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
    fn a_name_that_appears_twice_is_refused() {
        for text in [r#"{"aud":1,"aud":1}"#, r#"{"aud":1,"\u0061ud":2}"#, r#"{"":1,"":1}"#] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_that_appears_twice_among_many_is_refused() {
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
    fn anything_but_one_object_is_refused() {
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
    fn lone_surrogates_are_refused_at_any_depth() {
        assert!(parse(r#"{"a":"\ud83d\ude00"}"#).is_ok());
        for text in [r#"{"\ud800":1}"#, r#"{"a":"\ud800"}"#, r#"{"a":{"b":["\udc00"]}}"#] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_beside_escapes_are_accepted_in_every_form() {
        for number in ["0", "-0", "-0.0", "0.5", "1e3", "1.5E-2", "18446744073709551616", "1e308", "1e-999"] {
            for text in [
                format!(r#"{{"a":{number},"b":"\u0041"}}"#),
                format!(r#"{{"a":[{number},"\u0041"]}}"#),
                format!(r#"{{"a":{{"\u0041":{number}, "b" : [ {number} , "\\\"\u0041" ] }}}}"#),
            ] {
                assert!(parse(&text).is_ok(), "{text}");
            }
        }
    }

    #[test]
    fn r7519_12_numbers_beyond_f64_are_refused_at_any_depth() {
        let many_digits = "9".repeat(400);
        for number in ["1e400", "-1e400", "1E+309", "17976931348623157e293", &many_digits] {
            for text in [
                format!(r#"{{"a":{number}}}"#),
                format!(r#"{{"a":[0,{number}]}}"#),
                format!(r#"{{"a":{{"b":"\\","c":{{"d":{number}}}}}}}"#),
            ] {
                assert!(parse(&text).is_err(), "{text}");
            }
            assert!(
                parse(&format!(r#"{{"a":"{number}","b":["\"{number}"],"{number}":0}}"#)).is_ok(),
                "{number}"
            );
        }
    }

    #[test]
    fn names_that_serde_json_reserves_are_refused_at_any_depth() {
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
            // As a string value it is not special.
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
