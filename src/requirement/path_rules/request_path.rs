//! Decodes the path of a request and refuses ambiguous ones: [`RequestPath`].

use std::borrow::Cow;

/// A decoded path, without dot segments, empty segments or a trailing slash.
#[derive(Debug)]
pub(super) struct RequestPath<'a> {
    text: Cow<'a, str>,
    has_upper_case: bool,
}

impl<'a> RequestPath<'a> {
    /// Decodes a path once and checks that it is unambiguous. The error is the reason.
    ///
    /// Does not allocate if there is nothing to decode.
    pub(super) fn parse(path: &'a str, non_ascii: NonAscii) -> Result<Self, &'static str> {
        // Without a slash, it is "*" or the authority of a CONNECT request.
        if !path.starts_with('/') {
            return Err("target without a path");
        }
        let mut text = Cow::Borrowed(path);
        let mut classes = scan(path.as_bytes());
        if classes & ESCAPE != 0 {
            text = Cow::Owned(decode(path)?);
            classes = scan(text.as_bytes());
        }
        if classes & FORBIDDEN != 0 {
            return Err(forbidden(&text));
        }
        if classes & SEGMENT != 0 {
            return Err(bad_segment(&text));
        }
        if classes & NON_ASCII != 0 && !(non_ascii == NonAscii::Letters && text.chars().all(is_harmless)) {
            return Err("path with characters outside of ASCII");
        }
        let has_upper_case = classes & UPPER != 0;
        Ok(Self { text: without_trailing_slash(text), has_upper_case })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn has_upper_case(&self) -> bool {
        self.has_upper_case
    }
}

/// Which characters outside of ASCII a path may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum NonAscii {
    #[default]
    Refuse,
    Letters,
}

/// Returns the classes of all characters, and [`SEGMENT`] if a segment is ambiguous.
fn scan(path: &[u8]) -> u8 {
    let (mut all, mut twice, mut previous) = (0, 0, SLASH);
    for byte in path.iter().skip(1) {
        let class = CLASSES[usize::from(*byte)];
        all |= class;
        twice |= class & previous;
        previous = class;
    }
    let is_ambiguous = twice & SLASH != 0 || all & (DOT | BLANK) != 0 && has_bad_ends(path);
    if is_ambiguous { all | SEGMENT } else { all }
}

/// Returns whether a segment ends with a dot or space, or begins with a space.
fn has_bad_ends(path: &[u8]) -> bool {
    let at_slash = |pair: &[u8]| matches!(pair, [b'.' | b' ', b'/'] | [b'/', b' ']);
    path.windows(2).any(at_slash) || matches!(path.last(), Some(b'.' | b' '))
}

/// `A` to `Z`.
const UPPER: u8 = 1 << 0;
/// `%`.
const ESCAPE: u8 = 1 << 1;
const FORBIDDEN: u8 = 1 << 2;
const NON_ASCII: u8 = 1 << 3;
const BLANK: u8 = 1 << 4;
const DOT: u8 = 1 << 5;
const SLASH: u8 = 1 << 6;
/// Not a class of a character: an empty segment, or one with a dot or space at its end or a space at its beginning.
const SEGMENT: u8 = 1 << 7;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'A'..=b'Z' => UPPER,
            b'%' => ESCAPE,
            b'/' => SLASH,
            b'.' => DOT,
            b' ' => BLANK,
            b'\\' | b';' | b'?' | b'#' | 0x00..=0x1f | 0x7f => FORBIDDEN,
            0x80..=0xff => NON_ASCII,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

/// Decodes each escape once. Refuses those that another decoder could read differently.
fn decode(path: &str) -> Result<String, &'static str> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (bytes.next().and_then(hex), bytes.next().and_then(hex)) else {
            return Err("path with an incomplete escape");
        };
        match high << 4 | low {
            b'/' => return Err("path with an encoded slash"),
            b'%' => return Err("path that is encoded twice"),
            byte => decoded.push(byte),
        }
    }
    String::from_utf8(decoded).map_err(|_| "path that is not UTF-8")
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Returns why a path with a forbidden character is refused.
#[cold]
fn forbidden(path: &str) -> &'static str {
    if path.contains('\\') {
        "path with a backslash"
    } else if path.contains(';') {
        "path with path parameters"
    } else if path.contains(['?', '#']) {
        "path with an encoded query or fragment"
    } else {
        "path with control characters"
    }
}

/// Returns why a path with an ambiguous segment is refused.
#[cold]
fn bad_segment(path: &str) -> &'static str {
    let mut segments = path.split('/');
    if path.contains("//") {
        "path with an empty segment"
    } else if segments.any(|segment| matches!(segment, "." | "..")) {
        "path with a dot segment"
    } else {
        "path with a dot or space at the end of a segment, or a space at its beginning"
    }
}

/// Returns whether a character is ASCII, or a letter or digit that no backend replaces with an ASCII character.
fn is_harmless(character: char) -> bool {
    let is_letter = || {
        let mut cases = character.to_lowercase().chain(character.to_uppercase());
        // Some become ASCII when their case is changed, such as the Kelvin sign.
        character.is_alphanumeric() && !cases.any(|cased| cased.is_ascii())
    };
    let is_variant = || {
        matches!(character,
            // Ordinal indicators, superscripts and other fractions of Latin-1.
            '\u{aa}' | '\u{b2}'..='\u{be}'
            // Modifier letters, superscripts and subscripts, letterlike symbols, number forms.
            | '\u{2b0}'..='\u{2ff}' | '\u{1d2c}'..='\u{1d6a}' | '\u{1d78}' | '\u{1d9b}'..='\u{1dbf}'
            | '\u{2000}'..='\u{2bff}'
            // Enclosed and compatibility forms, half and full width, enclosed and mathematical letters.
            | '\u{3000}'..='\u{3004}' | '\u{3200}'..='\u{33ff}' | '\u{f900}'..='\u{faff}' | '\u{fb00}'..='\u{fb4f}'
            | '\u{fe00}'..='\u{fe6f}' | '\u{ff00}'..='\u{ffef}' | '\u{1d400}'..='\u{1d7ff}' | '\u{1f100}'..='\u{1f2ff}'
            | '\u{1fb00}'..='\u{1fbff}')
    };
    character.is_ascii() || is_letter() && !is_variant()
}

fn without_trailing_slash(path: Cow<'_, str>) -> Cow<'_, str> {
    match path {
        Cow::Borrowed(path) => {
            Cow::Borrowed(path.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(path))
        }
        Cow::Owned(mut path) => {
            if path.len() > 1 && path.ends_with('/') {
                path.pop();
            }
            Cow::Owned(path)
        }
    }
}
