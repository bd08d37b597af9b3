//! The same settings from TOML, YAML and JSON.

use serde::Deserialize;
use serde_json::json;
use tower_bearer::{
    ResourceServer,
    config::{ConfigSource, Document, Environment},
};

use super::{GOOD, load, parse_toml, problems};

const TOML: &str = include_str!("../../../examples/config/orders.toml");
const YAML: &str = include_str!("../../../examples/config/orders.yaml");

fn server(document: Document) -> ResourceServer {
    ConfigSource::document(document).load().unwrap()
}

#[test]
fn documents_of_all_formats_are_the_same_resource_server() {
    let toml: serde_json::Value = toml::from_str(TOML).unwrap();
    let json = toml.to_string();

    let documents: [Document; 4] = [
        parse_toml(TOML).unwrap(),
        toml::from_str(TOML).unwrap(),
        serde_norway::from_str(YAML).unwrap(),
        serde_json::from_str(&json).unwrap(),
    ];

    let servers = documents.map(server);
    let first = &servers[0];
    for server in &servers {
        assert_eq!(server.metadata(), first.metadata());
        assert_eq!(format!("{server:?}"), format!("{first:?}"));
        assert!(server.require_policy().is_ok());
    }
    assert_eq!(
        first.metadata().unwrap(),
        json!({
            "resource": "https://orders.example.com",
            "resource_name": "Orders",
            "resource_name#de": "Bestellungen",
            "authorization_servers": ["https://as.example.com"],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["orders:read", "orders:write"],
        })
    );
}

#[test]
fn repeated_key_of_a_document_is_a_problem() {
    let text = r#"{
        "realm": "a",
        "realm": "b",
        "audience": "urn:a",
        "issuers": [{"issuer": "https://as.example.com", "clock_skew": "1s", "clock_skew": "2s"}],
        "scope_hierarchy": {"a": ["b"], "a": ["c"]}
    }"#;
    let document: Document = serde_json::from_str(text).unwrap();

    let found = problems(ConfigSource::document(document).load());

    assert_eq!(
        found,
        [
            "realm: expected each key once [document]",
            "issuers[0].clock_skew: expected each key once [document]",
            "scope_hierarchy.a: expected each key once [document]",
        ]
    );
}

#[test]
fn repeated_key_in_yaml_is_a_problem_too() {
    let text = "audience: urn:a\nissuers:\n- issuer: https://as.example.com\nrealm: a\nrealm: b\n";

    match serde_norway::from_str::<Document>(text) {
        Ok(document) => {
            assert_eq!(
                problems(ConfigSource::document(document).load()),
                ["realm: expected each key once [document]"]
            );
        }
        Err(error) => assert!(error.to_string().contains("duplicate"), "{error}"),
    }
}

#[test]
fn own_settings_are_taken_out_of_the_document() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Backend {
        url: String,
    }
    let text = format!("{GOOD}[backend]\nurl = 'http://127.0.0.1:8081'\n");
    let mut document = parse_toml(&text).unwrap().named("auth.toml");

    let backend: Backend = document.take("backend").unwrap();
    let none: Option<Backend> = document.take("backend").unwrap();

    assert_eq!(backend.url, "http://127.0.0.1:8081");
    assert!(none.is_none());
    server(document);
    let mut wrong = parse_toml("[backend]\nurk = 1\n").unwrap().named("auth.toml");
    let error = wrong.take::<Backend>("backend").unwrap_err().to_string();
    assert!(error.starts_with("backend: unknown field `urk`"), "{error}");
    assert!(error.ends_with("[auth.toml, line 1, column 1]"), "{error}");
}

#[test]
fn values_are_not_shown_by_debug() {
    let document = parse_toml("realm = 'canary'").unwrap();
    let environment = Environment::from_variables("TOWER_BEARER_", [("TOWER_BEARER_REALM", "canary")]);
    let source = ConfigSource::document(document.clone()).environment(environment.clone());

    let shown = format!("{document:?} {environment:?} {source:?}");

    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.contains("TOWER_BEARER_REALM"), "{shown}");
}

#[test]
fn builder_is_customized_after_the_document() {
    let source = ConfigSource::document(parse_toml(&format!("realm = 'a'\n{GOOD}")).unwrap());

    let server = source.customize(|builder| builder.realm("b")).load().unwrap();

    assert!(server.challenge().to_header_value().to_str().unwrap().contains("realm=\"b\""));
    assert!(load(GOOD).is_ok());
}
