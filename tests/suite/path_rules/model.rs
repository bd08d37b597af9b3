//! Compares the rules with backends that normalise paths in the usual ways.

use http::{Method, Request, Uri};
use proptest::prelude::*;
use tower_bearer::{PathRules, RequestHead, RequirementPolicy as _, Scope};

/// The patterns, in the order of their scopes `rule-0`, `rule-1` and so on. What matches none requires `rule-other`.
const PATTERNS: [&str; 12] = [
    "/",
    "/admin",
    "/admin/{name}",
    "/{page}",
    "/orders/{id}/items",
    "/orders/{id}/{kind}",
    "/job/{name}/lastBuild",
    "/job/{name}/{*rest}",
    "/v{version}/admin",
    "/static/{*file}",
    "/job/{name}",
    "/static",
];

fn rules(allow_non_ascii: bool) -> PathRules {
    let mut builder = PathRules::builder().otherwise(Scope::from_static("rule-other"));
    for (index, pattern) in PATTERNS.iter().enumerate() {
        builder = builder.any_method(*pattern, Scope::new(&format!("rule-{index}")).unwrap());
    }
    if allow_non_ascii { builder.allow_non_ascii() } else { builder }.build().unwrap()
}

/// What a backend does to a path before it looks for a resource.
#[derive(Clone, Copy, Debug)]
struct Backend {
    decodes: usize,
    strips_parameters: bool,
    reads_backslashes: bool,
    reads_wide_characters: bool,
    cuts_at_nul: bool,
    cuts_decoded_query: bool,
    merges_slashes: bool,
    resolves_dots: bool,
    trims_segments: bool,
    ignores_case: bool,
}

impl Backend {
    fn from_bits(bits: u16) -> Self {
        let bit = |index: u16| bits & (1 << index) != 0;
        Self {
            decodes: 1 + usize::from(bit(0)),
            strips_parameters: bit(1),
            reads_backslashes: bit(2),
            reads_wide_characters: bit(3),
            cuts_at_nul: bit(4),
            cuts_decoded_query: bit(5),
            merges_slashes: bit(6),
            resolves_dots: bit(7),
            trims_segments: bit(8),
            ignores_case: bit(9),
        }
    }

    /// Returns the segments that the backend sees.
    fn read(self, path: &str) -> Vec<String> {
        let mut path = path.to_owned();
        if self.strips_parameters {
            path = without_parameters(&path);
        }
        for _ in 0..self.decodes {
            path = decode(&path);
        }
        if self.strips_parameters {
            path = without_parameters(&path);
        }
        if self.reads_wide_characters {
            path = path.chars().map(narrow).collect();
        }
        if self.reads_backslashes {
            path = path.replace('\\', "/");
        }
        if self.cuts_at_nul {
            path = path.split('\0').next().unwrap().to_owned();
        }
        if self.cuts_decoded_query {
            path = path.split(['?', '#']).next().unwrap().to_owned();
        }
        if self.ignores_case {
            path = path.to_lowercase();
        }
        let path = path.strip_prefix('/').unwrap_or(&path);
        let mut segments: Vec<String> = path.split('/').map(str::to_owned).collect();
        // All servers ignore a slash at the end, or treat it as another name of the same resource.
        if segments.last().is_some_and(String::is_empty) {
            segments.pop();
        }
        if self.trims_segments {
            for segment in &mut segments {
                if !matches!(&**segment, "." | "..") {
                    *segment = segment.trim_start_matches(' ').trim_end_matches(['.', ' ']).to_owned();
                }
            }
        }
        if self.merges_slashes {
            segments.retain(|segment| !segment.is_empty());
        }
        if self.resolves_dots {
            let mut resolved = Vec::new();
            for segment in segments {
                match &*segment {
                    "." => {}
                    ".." => drop(resolved.pop()),
                    _ => resolved.push(segment),
                }
            }
            segments = resolved;
        }
        segments
    }

    /// Returns the scope of the rule for what the backend sees.
    fn rule(self, path: &str) -> String {
        let path = self.read(path);
        let matching = PATTERNS.iter().enumerate().filter_map(|(index, pattern)| {
            let pattern = if self.ignores_case { pattern.to_lowercase() } else { (*pattern).to_owned() };
            Some((rank(&pattern, &path)?, index))
        });
        matching.min().map_or_else(|| "rule-other".to_owned(), |(_, index)| format!("rule-{index}"))
    }
}

/// Returns how specific a pattern is, segment by segment, if it matches.
fn rank(pattern: &str, path: &[String]) -> Option<Vec<(u8, usize)>> {
    let pattern: Vec<&str> = pattern.split('/').skip(1).filter(|segment| !segment.is_empty()).collect();
    let mut rank = Vec::new();
    for (index, segment) in pattern.iter().enumerate() {
        let text = path.get(index)?;
        if segment.starts_with("{*") {
            return (!path[index..].concat().is_empty()).then(|| {
                rank.push((3, 0));
                rank
            });
        }
        match segment.split_once('{') {
            None if segment == text => rank.push((0, 0)),
            None => return None,
            Some(("", _)) if !text.is_empty() => rank.push((2, 0)),
            Some((prefix, _)) if !prefix.is_empty() && text.starts_with(prefix) && text != prefix => {
                rank.push((1, usize::MAX - prefix.len()));
            }
            Some(_) => return None,
        }
    }
    (pattern.len() == path.len()).then_some(rank)
}

fn without_parameters(path: &str) -> String {
    let segments: Vec<_> = path.split('/').map(|segment| segment.split(';').next().unwrap()).collect();
    segments.join("/")
}

/// Decodes what can be decoded, and keeps the rest.
fn decode(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut decoded = Vec::new();
    let mut index = 0;
    while index < bytes.len() {
        let escape = (bytes[index] == b'%').then(|| bytes.get(index + 1..index + 3)).flatten();
        let byte = escape.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
        match byte {
            Some(byte) => {
                decoded.push(byte);
                index += 3;
            }
            None => {
                decoded.push(bytes[index]);
                index += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Maps look-alikes to ASCII, as code pages of Windows and Unicode compatibility forms do.
fn narrow(character: char) -> char {
    match character {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(character) - 0xfee0).unwrap(),
        '\u{2215}' | '\u{2044}' => '/',
        '\u{2216}' => '\\',
        '\u{2024}' => '.',
        '\u{37e}' => ';',
        '\u{a0}' | '\u{3000}' => ' ',
        '\u{212a}' => 'K',
        '\u{17f}' => 's',
        '\u{131}' => 'i',
        character => character,
    }
}

/// Generates paths from pieces that some backend treats specially. Most pieces are plain, so that many paths are admitted.
fn path() -> impl Strategy<Value = String> {
    let plain = prop::sample::select(vec![
        "/",
        "/",
        "/",
        "admin",
        "orders",
        "items",
        "job",
        "static",
        "v",
        "1",
        "x",
        "lastBuild",
        "page",
        "-",
        "_",
        "~",
        "+",
    ]);
    let odd = prop::sample::select(vec![
        "Admin",
        "ADMIN",
        "Orders",
        "lastbuild",
        "V",
        "%61",
        "%41",
        "%6",
        "%",
        "%2e",
        "%2E%2e",
        ".",
        "..",
        "/../",
        "/./",
        "%2F",
        "%2f",
        "//",
        "\\",
        "%5c",
        ";",
        ";a=b",
        "%3B",
        "%253B",
        "%25",
        "%252e",
        "%2561",
        "%00",
        "%20",
        "%09",
        "%3F",
        "%23",
        "é",
        "%C3%A9",
        "\u{ff0f}",
        "%EF%BC%8F",
        "%E2%88%95",
        "\u{212a}",
        "\u{17f}",
        "%C4%B1",
        "%ff",
        "%c0%af",
        ":",
        "@",
        "{",
        "*",
    ]);
    let piece = prop_oneof![6 => plain, 1 => odd];
    prop::collection::vec(piece, 0..9).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a62_every_backend_reads_a_path_of_the_same_rule(
        path in path(),
        allow_non_ascii in any::<bool>(),
        backend in 0_u16..1 << 10,
    ) {
        let Ok(uri) = path.parse::<Uri>() else { return Ok(()) };
        let request = Request::builder().method(Method::GET).uri(uri).body(()).unwrap();
        let requirement = rules(allow_non_ascii).requirement(&RequestHead::from(&request));
        let Some(scope) = requirement.named().first() else { return Ok(()) };

        // The backend, one that only decodes, and one that does everything.
        for bits in [backend, 0, u16::MAX] {
            let backend = Backend::from_bits(bits);
            prop_assert_eq!(backend.rule(request.uri().path()), scope.as_str(), "{:?}", backend);
        }
    }
}
