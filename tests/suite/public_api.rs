//! Proves that certain words do not occur in the public API, by searching its source text.

use std::{fmt, fs, path::Path};

/// A public item of the library, as text without comments, literals and body.
struct PublicItem {
    file: String,
    text: String,
}

impl fmt::Display for PublicItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.text)
    }
}

/// Removes comments and string literals.
fn code_of(source: &str) -> String {
    let mut code = String::new();
    for line in source.lines() {
        let mut in_string = false;
        let mut before = ' ';
        for (at, character) in line.char_indices() {
            if !in_string && line[at..].starts_with("//") {
                break;
            }
            if character == '"' && before != '\\' && before != '\'' {
                in_string = !in_string;
            } else if !in_string {
                code.push(character);
            }
            before = character;
        }
        code.push('\n');
    }
    code
}

fn public_items(file: &str, source: &str) -> Vec<PublicItem> {
    let source = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let code = code_of(source);
    let mut items = Vec::new();
    for (at, _) in code.match_indices("pub ") {
        if code[..at].chars().next_back().is_some_and(|before| before.is_alphanumeric() || before == '_') {
            continue;
        }
        let rest = &code[at..];
        let word = rest.split_whitespace().nth(1).unwrap_or_default();
        let text = match word {
            // Include all members, because variants and trait methods are public without `pub`.
            "enum" | "trait" => {
                let mut depth = 0;
                let end = rest.char_indices().find_map(|(at, character)| {
                    depth += match character {
                        '{' => 1,
                        '}' => -1,
                        _ => 0,
                    };
                    (character == '}' && depth == 0).then_some(at)
                });
                &rest[..end.unwrap()]
            }
            "use" => rest.split(';').next().unwrap(),
            _ => rest.split(['{', ';', '\n']).next().unwrap(),
        };
        // A signature may span several lines.
        let text = if word == "fn" || word == "const" || word == "async" {
            rest.split(['{', ';']).next().unwrap()
        } else {
            text
        };
        items.push(PublicItem {
            file: file.to_owned(),
            text: text.split_whitespace().collect::<Vec<_>>().join(" "),
        });
    }
    items
}

fn all_public_items(folder: &Path, items: &mut Vec<PublicItem>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all_public_items(&path, items);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            items.extend(public_items(&path.display().to_string(), &fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The public API has no type, accessor or setting for the client that presents a token. Its only clients are HTTP
/// clients, which send requests to the authorization server.
#[test]
fn r7662_04_public_api_has_no_word_for_the_client() {
    const HTTP_CLIENTS: [&str; 6] = [
        "HttpClient",
        "ReqwestClient",
        "http_client",
        "reqwest_client",
        "reqwest::Client",
        "reqwest::ClientBuilder",
    ];
    let mut items = Vec::new();
    all_public_items(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut items);
    assert!(items.len() > 150, "{} public items", items.len());

    for item in &items {
        let words: Vec<_> = item
            .text
            .replace("client: impl HttpClient", "")
            .split(|character: char| !(character.is_alphanumeric() || "_:".contains(character)))
            .map(|word| word.trim_matches(':').to_owned())
            .filter(|word| word.to_lowercase().contains("client"))
            .collect();
        for word in words.iter().map(String::as_str) {
            // A path may contain the module of the same name.
            let is_http_client = HTTP_CLIENTS.contains(&word)
                || word
                    .split("::")
                    .filter(|part| part.to_lowercase().contains("client"))
                    .all(|part| HTTP_CLIENTS.contains(&part));
            assert!(is_http_client, "{word} in {item}");
        }
    }
}

#[test]
fn r7662_04_scanner_finds_all_kinds_of_public_items() {
    let source = "
/// The client_id.
pub struct Token {
    pub client_id: String, // \"client_name\"
    secret: Client,
}
pub enum Known { Client(String), Other }
pub trait Source { fn client_secret(&self); }
pub fn first(
    client_uri: &str,
) -> String { clients() }
pub(crate) fn client() {}
pub use self::{a, b::Client};
#[cfg(test)]
mod tests { pub fn client() {} }
";
    let items = public_items("example.rs", source);
    let texts: Vec<_> = items.iter().map(|item| item.text.as_str()).collect();

    assert_eq!(
        texts,
        [
            "pub struct Token",
            "pub client_id: String,",
            "pub enum Known { Client(String), Other",
            "pub trait Source { fn client_secret(&self);",
            "pub fn first( client_uri: &str, ) -> String",
            "pub use self::{a, b::Client}",
        ]
    );
}

/// A resource server does not register clients, does not run OAuth flows and does not get tokens for other APIs.
#[test]
fn rmcp_28_public_api_has_no_word_for_getting_tokens() {
    // Without underscores, so that each also matches the name of a type.
    const FORBIDDEN: [&str; 9] = [
        "register",
        "registration",
        "pkce",
        "codeverifier",
        "codechallenge",
        "redirecturi",
        "authorizationcode",
        "tokenexchange",
        "upstream",
    ];
    let mut items = Vec::new();
    all_public_items(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut items);
    assert!(items.len() > 150, "{} public items", items.len());

    for item in &items {
        let text = item.text.to_lowercase().replace('_', "");
        for word in FORBIDDEN {
            assert!(!text.contains(word), "{word} in {item}");
        }
    }
}
