//! The spellings of a resource URI that a server may read as the same resource.

use url::Url;

/// Returns the URI as URL parsers write it, if that differs, and each form without its fragment and its query.
///
/// Servers differ in this: the SDK for TypeScript parses and serializes a URI before it looks it up, and some servers
/// look only at scheme, host and path. The URI itself is not included.
pub(super) fn other_spellings(uri: &str) -> Vec<String> {
    let mut others = Vec::new();
    let mut add = |spelling: &str| {
        if spelling != uri && others.iter().all(|other| other != spelling) {
            others.push(spelling.to_owned());
        }
    };
    let serialized = Url::parse(uri).ok();
    for whole in [Some(uri), serialized.as_ref().map(Url::as_str)].into_iter().flatten() {
        let without_fragment = before(whole, '#');
        for spelling in [whole, without_fragment, before(without_fragment, '?')] {
            add(spelling);
        }
    }
    others
}

/// Returns a form that is the same for URIs that differ only by case, by `%` escapes or by slashes at the end.
pub(super) fn folded(uri: &str) -> String {
    let serialized = Url::parse(uri).map_or_else(|_| uri.to_owned(), String::from);
    let decoded = percent_decoded(&serialized).unwrap_or_else(|| serialized.clone());
    decoded.trim_end_matches('/').to_lowercase()
}

/// Decodes `%` escapes. Returns `None` if one is invalid or the result is not UTF-8.
pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

fn before(text: &str, separator: char) -> &str {
    text.split_once(separator).map_or(text, |(before, _)| before)
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rmcp_21_spellings_lack_fragment_and_query_and_are_those_of_url_parsers() {
        for (uri, expected) in [
            ("files://secret", &[][..]),
            ("files://secret?", &["files://secret"]),
            ("files://secret?x#y", &["files://secret?x", "files://secret"]),
            ("files://secret#y?x", &["files://secret"]),
            ("HTTPS://H.example:443", &["https://h.example/"]),
            (
                "https://h.example/a b?x",
                &["https://h.example/a b", "https://h.example/a%20b?x", "https://h.example/a%20b"],
            ),
            ("not a URL?x", &["not a URL"]),
            ("", &[]),
        ] {
            assert_eq!(other_spellings(uri), expected, "{uri}");
        }
    }

    #[test]
    fn rmcp_21_folded_form_ignores_case_escapes_and_slashes_at_the_end() {
        for (uri, expected) in [
            ("files://Secret/", "files://secret"),
            ("https://h.example", "https://h.example"),
            ("https://H.example:443/", "https://h.example"),
            ("https://h.example/a b", "https://h.example/a b"),
            ("https://h.example/%61%20b", "https://h.example/a b"),
            ("https://h.example/%zz", "https://h.example/%zz"),
            ("not a URL//", "not a url"),
        ] {
            assert_eq!(folded(uri), expected, "{uri}");
        }
    }
}
