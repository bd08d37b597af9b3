//! All problems of a document are reported at once, each with its place.

use super::{Folder, GOOD, load, problems, toml_source};

#[test]
fn twenty_mistakes_are_twenty_problems() {
    let text = r#"raelm = "orders"
audience = "orders"
baseline_scopes = ["orders:read", "or ders"]
verdict_cache_bytes = "32MB"
dangerously_forward_credential = "yes"
error_uri = "https://example.com/a b"
client_secret = "canary-1"

[scope_hierarchy]
"orders:admin" = ["orders:admin"]

[metadata]
resource = "http://orders.example.com"
resource_documentation = "ftp://docs"

[[issuers]]
issuer = "https://as.example.com"
clock_skew = "10m"
algorithms = ["RS256", "HS256"]
max_age = 300
cache_ttl = "60s"

[[issuers]]
validation = "introspectoin"
audience = ["urn:a"]

[[issuers]]
issuer = "http://partner.example"
validation = "introspection"
timeout = "2h"
scopes_from = ["/a~b"]

[issuers.credential]
method = "secret_basic"
id = "orders"
secret = "canary-2"

[paths]
[[paths.rule]]
path = "/orders/"
scopes = ["orders:read"]

[[paths.rule]]
path = "/admin"
methods = ["get"]
scopes = ["a"]
access = "public"
"#;
    let expected = [
        ("raelm: unknown key, did you mean \"realm\"?", 1),
        ("audience \"orders\": expected an absolute URI", 2),
        ("baseline_scopes[1] \"or ders\": expected one or more", 3),
        ("verdict_cache_bytes \"32MB\": expected a size", 4),
        ("dangerously_forward_credential \"yes\": expected true or false", 5),
        ("error_uri \"https://example.com/a b\": expected a URI", 6),
        ("client_secret: unknown key", 7),
        (
            "scope_hierarchy.\"orders:admin\" \"orders:admin\": expected a scope that does not imply itself",
            10,
        ),
        ("metadata.resource \"http://orders.example.com\": expected https", 13),
        ("metadata.resource_documentation \"ftp://docs\": expected an https URL", 14),
        ("issuers[0].clock_skew \"600s\": expected at most 5 minutes", 18),
        ("issuers[0].algorithms[1] \"HS256\": expected a signature algorithm", 19),
        ("issuers[0].max_age \"300\": expected a duration with a unit", 20),
        ("issuers[0].cache_ttl: expected only with validation = \"introspection\"", 21),
        ("issuers[1].issuer: expected a value, because it is required", 23),
        ("issuers[1].validation \"introspectoin\": expected \"jwt\" or \"introspection\", did you mean", 24),
        ("issuers[2].issuer \"http://partner.example\": expected https", 28),
        ("issuers[2].timeout \"7200s\": expected from 100 milliseconds to 1 minute", 30),
        ("issuers[2].scopes_from \"/a~b\": expected", 31),
        (
            "issuers[2].credential.secret: unknown key; a secret is only read from a file: set \"secret_file\"",
            36,
        ),
        ("issuers[2].credential.secret_file: expected a value, because it is required", 33),
        ("paths.rule[0].path \"/orders/\": expected no slash at the end", 40),
        ("paths.rule[1].methods[0] \"get\": expected a method in upper case", 45),
        ("paths.rule[1]: expected exactly one of scopes, any_of and access", 43),
    ];

    let found = problems(load(text));

    for (start, line) in expected {
        let place = format!("[auth.toml, line {line}, column ");
        assert!(
            found.iter().any(|problem| problem.starts_with(start) && problem.contains(&place)),
            "{start} at {line} in\n{}",
            found.join("\n")
        );
    }
    assert_eq!(found.len(), expected.len(), "{}", found.join("\n"));
    assert!(!found.join("\n").contains("canary"), "{found:?}");
}

#[test]
fn document_without_problems_is_loaded() {
    assert!(load(GOOD).is_ok());
}

#[test]
fn empty_document_lacks_issuers() {
    assert_eq!(problems(load("")), ["issuers: expected a value, because it is required [auth.toml]"]);
    assert_eq!(
        problems(load("issuers = []")),
        ["issuers: expected at least one issuer [auth.toml, line 1, column 11]"]
    );
}

#[test]
fn audience_is_required_for_each_issuer() {
    let found = problems(load(
        "[[issuers]]\nissuer = 'https://a.example'\n[[issuers]]\nissuer = 'https://b.example'\naudience = []",
    ));

    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("issuers[0].audience: expected an audience here or at the top"),
        "{found:?}"
    );
    assert!(found[1].starts_with("issuers[1].audience: expected at least one identifier"), "{found:?}");
}

#[test]
fn document_that_cannot_be_parsed_is_a_problem_without_an_excerpt() {
    let folder = Folder::new();
    let path = folder.write("auth.toml", "realm = 'orders'\nsecret = canary\n");

    let found = problems(toml_source(&path).load());

    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("document: expected a document that can be parsed (TOML parse error"),
        "{found:?}"
    );
    assert!(found[0].contains("line 2") && found[0].ends_with("auth.toml]"), "{found:?}");
    assert!(!found[0].contains("canary"), "{found:?}");
}

#[test]
fn document_that_does_not_exist_is_a_problem() {
    let folder = Folder::new();

    let found = problems(toml_source(folder.path("auth.toml")).load());

    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("document: expected a file that can be read"), "{found:?}");
    assert!(found[0].ends_with("auth.toml]"), "{found:?}");
}

#[test]
fn document_that_is_not_a_table_is_a_problem() {
    let document: tower_bearer::config::Document = serde_json::from_str("[1]").unwrap();

    let found = problems(tower_bearer::config::ConfigSource::document(document).load());

    assert_eq!(found, [": expected a table, found a list [document]"]);
}

#[test]
fn number_or_nothing_in_place_of_text_is_a_problem() {
    for (value, expected) in [
        ("1", "realm \"1\": expected text"),
        ("true", "realm \"true\": expected text"),
        ("null", "realm: expected text, found none"),
        ("[]", "realm: expected text, found a list"),
        ("{}", "realm: expected text, found a table"),
    ] {
        let text = format!(
            r#"{{"audience":"urn:a","issuers":[{{"issuer":"https://as.example.com"}}],"realm":{value}}}"#
        );
        let document: tower_bearer::config::Document = serde_json::from_str(&text).unwrap();

        let found = problems(tower_bearer::config::ConfigSource::document(document.named("a.json")).load());

        assert_eq!(found, [format!("{expected} [a.json]")]);
    }
}
