//! Decodes the path of a request and refuses ambiguous ones: [`with_request_path`].

/// Decodes a path once, checks that it is unambiguous and calls `then` with it. The error is the reason.
///
/// The decoded path has no dot segments, no empty segments and no slash at its beginning or end. It is empty for `/`. This
/// allocates only for escapes in a path of more than 256 bytes.
pub(super) fn with_request_path<T>(
    path: &str,
    non_ascii: NonAscii,
    then: impl FnOnce(&[u8]) -> T,
) -> Result<T, &'static str> {
    // Without a slash, it is "*" or the authority of a CONNECT request.
    if !path.starts_with('/') {
        return Err("target without a path");
    }
    let path = path.as_bytes();
    if is_plain(path) {
        return Ok(then(without_slashes(path)));
    }
    if !path.contains(&b'%') {
        check_special(path, non_ascii)?;
        return Ok(then(without_slashes(path)));
    }
    let (mut short, mut long) = ([0; 256], Vec::new());
    let buffer = match short.get_mut(..path.len()) {
        Some(buffer) => buffer,
        None => {
            long.resize(path.len(), 0);
            &mut *long
        }
    };
    let decoded = decode(path, buffer)?;
    if !is_plain(decoded) {
        check_special(decoded, non_ascii)?;
    }
    Ok(then(without_slashes(decoded)))
}

/// Checks a decoded path that is not plain. The error is the reason for a refusal.
fn check_special(path: &[u8], non_ascii: NonAscii) -> Result<(), &'static str> {
    let classes = scan(path);
    let text = match classes & NON_ASCII {
        0 => "",
        _ => str::from_utf8(path).map_err(|_| "path that is not UTF-8")?,
    };
    if classes & FORBIDDEN != 0 {
        return Err(forbidden(path));
    }
    if classes & SEGMENT != 0 {
        return Err(bad_segment(path));
    }
    if classes & NON_ASCII != 0 && !(non_ascii == NonAscii::Letters && text.chars().all(is_harmless)) {
        return Err("path with characters outside of ASCII");
    }
    Ok(())
}

/// Which characters outside of ASCII a path may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum NonAscii {
    #[default]
    Refuse,
    Letters,
}

/// Returns whether a path certainly needs no decoding and no further check.
///
/// Most paths are plain. This looks at 16 bytes at a time.
fn is_plain(path: &[u8]) -> bool {
    const CHUNK: usize = 16;
    let Some((last, before)) = path.split_last() else { return false };
    // Each byte is checked together with the next one. The last chunk overlaps the one before.
    let after = &path[1..];
    let (Some(last_before), Some(last_after)) = (before.last_chunk::<CHUNK>(), after.last_chunk::<CHUNK>())
    else {
        return scan(path) & !(SLASH | BLANK) == 0;
    };
    let chunks = before.as_chunks().0.iter().zip(after.as_chunks::<CHUNK>().0);
    let mut is_plain = !matches!(*last, b'.' | b' ') && !is_special(*last);
    for (bytes, next) in chunks.chain([(last_before, last_after)]) {
        let mut is_odd = false;
        for (byte, next) in bytes.iter().zip(next) {
            let is_bad_end = matches!(*byte, b'/' | b'.' | b' ') & (*next == b'/');
            is_odd |= is_special(*byte) | is_bad_end | ((*byte == b'/') & (*next == b' '));
        }
        is_plain &= !is_odd;
    }
    is_plain
}

/// Returns whether a byte is one of those that are refused or decoded, or one of some others that are rare.
fn is_special(byte: u8) -> bool {
    ((byte < b'-') & (byte != b' ')) | (byte == b';') | (byte == b'?') | (byte == b'\\') | (byte >= 0x7f)
}

/// Returns the classes of all characters, and [`SEGMENT`] if a segment is ambiguous.
fn scan(path: &[u8]) -> u8 {
    let (mut all, mut ambiguous, mut ambiguous_next) = (0, 0, AMBIGUOUS_NEXT[usize::from(b'/')]);
    for byte in path.iter().skip(1) {
        let class = CLASSES[usize::from(*byte)];
        all |= class;
        ambiguous |= class & ambiguous_next;
        ambiguous_next = AMBIGUOUS_NEXT[usize::from(*byte)];
    }
    let has_bad_end = matches!(path.last(), Some(b'.' | b' '));
    if ambiguous != 0 || has_bad_end { all | SEGMENT } else { all }
}

/// `%`.
const ESCAPE: u8 = 1 << 0;
const FORBIDDEN: u8 = 1 << 1;
const NON_ASCII: u8 = 1 << 2;
const BLANK: u8 = 1 << 3;
const SLASH: u8 = 1 << 4;
/// Not a class of a character: an empty segment, or one with a dot or space at its end or a space at its beginning.
const SEGMENT: u8 = 1 << 5;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'%' => ESCAPE,
            b'/' => SLASH,
            b' ' => BLANK,
            b'\\' | b';' | b'?' | b'#' | 0x00..=0x1f | 0x7f => FORBIDDEN,
            0x80..=0xff => NON_ASCII,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

/// The classes that make a segment ambiguous after a byte.
const AMBIGUOUS_NEXT: [u8; 256] = {
    let mut classes = [0; 256];
    classes[b'/' as usize] = SLASH | BLANK;
    classes[b'.' as usize] = SLASH;
    classes[b' ' as usize] = SLASH;
    classes
};

/// Decodes each escape once. Refuses those that another decoder could read differently.
///
/// The buffer has the length of the path, which is enough.
fn decode<'a>(path: &[u8], buffer: &'a mut [u8]) -> Result<&'a [u8], &'static str> {
    let mut len = 0;
    let mut push = |bytes: &[u8]| {
        buffer[len..len + bytes.len()].copy_from_slice(bytes);
        len += bytes.len();
    };
    let mut parts = path.split(|byte| *byte == b'%');
    push(parts.next().unwrap_or_default());
    for part in parts {
        let [high, low, after @ ..] = part else { return Err("path with an incomplete escape") };
        let (Some(high), Some(low)) = (hex(*high), hex(*low)) else {
            return Err("path with an incomplete escape");
        };
        match high << 4 | low {
            b'/' => return Err("path with an encoded slash"),
            b'%' => return Err("path that is encoded twice"),
            byte => push(&[byte]),
        }
        push(after);
    }
    Ok(&buffer[..len])
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
fn forbidden(path: &[u8]) -> &'static str {
    if path.contains(&b'\\') {
        "path with a backslash"
    } else if path.contains(&b';') {
        "path with path parameters"
    } else if path.contains(&b'?') || path.contains(&b'#') {
        "path with an encoded query or fragment"
    } else {
        "path with control characters"
    }
}

/// Returns why a path with an ambiguous segment is refused.
#[cold]
fn bad_segment(path: &[u8]) -> &'static str {
    let mut segments = path.split(|byte| *byte == b'/');
    if path.windows(2).any(|pair| pair == b"//") {
        "path with an empty segment"
    } else if segments.any(|segment| matches!(segment, b"." | b"..")) {
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

/// Removes the slash at the beginning, and the one at the end.
fn without_slashes(path: &[u8]) -> &[u8] {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    path.strip_suffix(b"/").unwrap_or(path)
}
