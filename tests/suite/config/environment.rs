//! Settings from environment variables.

use serde::Deserialize;
use serde_json::json;
use tower_bearer::config::{ConfigSource, Environment};

use super::{GOOD, load_with, parse_toml, problems};

const NOTHING: &str = "";

#[test]
fn whole_configuration_comes_from_the_environment() {
    let server = load_with(
        NOTHING,
        &[
            ("TOWER_BEARER_AUDIENCE", "https://orders.example.com"),
            ("TOWER_BEARER_ISSUERS_0_ISSUER", "https://as.example.com"),
            ("TOWER_BEARER_ISSUERS_0_CLOCK_SKEW", "10s"),
            ("TOWER_BEARER_ISSUERS_1_ISSUER", "https://b.example.com"),
            ("TOWER_BEARER_ISSUERS_1_ALGORITHMS", "RS256, ES256"),
            ("TOWER_BEARER_METADATA_RESOURCE", "https://orders.example.com"),
            ("TOWER_BEARER_METADATA_RESOURCE_NAME", "Orders"),
            ("TOWER_BEARER_METADATA_RESOURCE_NAME_IN", r#"{"de": "Bestellungen"}"#),
            ("TOWER_BEARER_METADATA_ALSO_AT_ROOT", "false"),
            ("TOWER_BEARER_BASELINE_SCOPES", "orders:read,orders:write"),
            ("TOWER_BEARER_SCOPE_HIERARCHY", r#"{"orders:write": ["orders:read"]}"#),
            ("TOWER_BEARER_PATHS_RULE_0_PATH", "/orders"),
            ("TOWER_BEARER_PATHS_RULE_0_SCOPES", "orders:read"),
            ("TOWER_BEARER_PATHS_OTHERWISE", "orders:write"),
            ("HOME", "/root"),
        ],
    )
    .unwrap();

    assert_eq!(
        server.metadata().unwrap(),
        json!({
            "resource": "https://orders.example.com",
            "resource_name": "Orders",
            "resource_name#de": "Bestellungen",
            "authorization_servers": ["https://as.example.com", "https://b.example.com"],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["orders:read", "orders:write"],
        })
    );
}

#[test]
fn environment_overrides_the_document_and_adds_to_it() {
    let document = format!("realm = 'document'\n{GOOD}[metadata]\nresource = 'https://orders.example.com'\n");

    let server = load_with(
        &document,
        &[
            ("TOWER_BEARER_REALM", "environment"),
            ("TOWER_BEARER_ISSUERS_0_ISSUER", "https://other.example.com"),
            ("TOWER_BEARER_ISSUERS_1_ISSUER", "https://more.example.com"),
            ("TOWER_BEARER_AUDIENCE_1", "urn:second"),
        ],
    )
    .unwrap();

    assert!(server.challenge().to_header_value().to_str().unwrap().contains("realm=\"environment\""));
    assert_eq!(
        server.metadata().unwrap()["authorization_servers"],
        json!(["https://other.example.com", "https://more.example.com"])
    );
}

#[test]
fn ten_issuers_are_in_the_order_of_their_numbers() {
    let names: Vec<_> = (0..11).map(|number| format!("https://as{number}.example.com")).collect();
    let keys: Vec<_> = (0..11).map(|number| format!("TOWER_BEARER_ISSUERS_{number}_ISSUER")).collect();
    let mut variables: Vec<_> =
        keys.iter().map(String::as_str).zip(names.iter().map(String::as_str)).collect();
    variables.push(("TOWER_BEARER_AUDIENCE", "urn:a"));
    variables.push(("TOWER_BEARER_METADATA_RESOURCE", "https://orders.example.com"));

    let server = load_with(NOTHING, &variables).unwrap();

    assert_eq!(server.metadata().unwrap()["authorization_servers"], json!(names));
}

#[test]
fn problem_of_a_variable_names_the_variable() {
    for (name, value, expected) in [
        ("REALM", "é", "realm \"é\": expected visible ASCII and spaces (RFC 9110 section 11.5)"),
        ("ISSUERS_0_CLOCK_SKEW", "10", "issuers[0].clock_skew \"10\": expected a duration with a unit"),
        ("ISSUERS_0_CLOCK_SKEW", "10m", "issuers[0].clock_skew \"600s\": expected at most 5 minutes"),
        ("GRPC_INVALID_ARGUMENT", "yes", "grpc_invalid_argument \"yes\": expected true or false"),
        ("BASELINE_SCOPES", "a b", "baseline_scopes[0] \"a b\": expected"),
        ("SCOPE_HIERARCHY", "a=b", "scope_hierarchy: expected a table or a list as JSON"),
        ("ISSUERS_2_ISSUER", "https://c.example", "issuers[2].issuer: expected an index of at most 1"),
        ("VERDICT_CACHE_BYTES", "32", "verdict_cache_bytes \"32\": expected a size"),
    ] {
        let name = format!("TOWER_BEARER_{name}");

        let found = problems(load_with(GOOD, &[(&name, value)]));

        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(expected), "{found:?}");
        assert!(found[0].ends_with(&format!("[environment variable {name}]")), "{found:?}");
    }
}

#[test]
fn unknown_variable_is_refused_with_a_suggestion_and_without_its_value() {
    for (name, expected) in [
        ("RAELM", "unknown variable, did you mean \"TOWER_BEARER_REALM\"?"),
        ("ISSUERS_0_CLOCK_SCEW", "unknown variable, did you mean \"TOWER_BEARER_ISSUERS_0_CLOCK_SKEW\"?"),
        ("ISSUERS_ISSUER", "unknown variable, expected the index of a list, from 0"),
        ("METADATA_NAME", "unknown variable, expected one of resource, "),
        ("REALM_FILE", "unknown variable, because this setting has no parts"),
        ("SCOPE_HIERARCHY_A", "unknown variable, because names in this table are free"),
        ("XYZ", "unknown variable, expected one of audience, "),
        ("", "unknown variable, expected one of audience, "),
    ] {
        let name = format!("TOWER_BEARER_{name}");

        let found = problems(load_with(GOOD, &[(&name, "canary")]));

        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&format!("{name}: {expected}")), "{found:?}");
        assert!(!found[0].contains("canary"), "{found:?}");
    }
}

#[test]
fn secret_in_the_environment_is_refused_and_not_shown() {
    let name = "TOWER_BEARER_ISSUERS_0_CREDENTIAL_SECRET";

    let found = problems(load_with(GOOD, &[(name, "canary")]));

    assert_eq!(
        found,
        [format!(
            "{name}: unknown variable; a secret is only read from a file: set \"secret_file\" [environment variable {name}]"
        )]
    );
}

/// The section of a program itself.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Own {
    listen: String,
    backend: Backend,
    #[serde(default)]
    remove_headers: Vec<String>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Backend {
    url: String,
    http2: Option<bool>,
    connect_seconds: Option<u64>,
}

const OWN: &str =
    "[own]\nlisten = '127.0.0.1:80'\nremove_headers = ['a', 'b']\n[own.backend]\nurl = 'http://127.0.0.1'\n";

/// Takes the section `own` with these variables, and loads the rest.
fn take(document: &str, variables: &[(&str, &str)]) -> Result<Own, Vec<String>> {
    let environment = Environment::from_variables("TOWER_BEARER_", variables.iter().copied());
    let mut document = parse_toml(document).unwrap().named("auth.toml");
    let own = document.take_with("own", &environment);
    let own = own.map_err(|error| error.problems().collect::<Vec<_>>())?;
    ConfigSource::document(document)
        .environment(environment)
        .load()
        .map_err(|error| error.problems().collect::<Vec<_>>())?;
    Ok(own)
}

#[test]
fn variables_of_a_section_of_the_program_override_it() {
    let own = take(
        &format!("{GOOD}{OWN}"),
        &[
            ("TOWER_BEARER_OWN_LISTEN", "8080"),
            ("TOWER_BEARER_OWN_BACKEND_URL", "http://127.0.0.1:8081"),
            ("TOWER_BEARER_OWN_BACKEND_HTTP2", "true"),
            ("TOWER_BEARER_OWN_BACKEND_CONNECT_SECONDS", "5"),
            ("TOWER_BEARER_OWN_REMOVE_HEADERS_1", "x-b"),
            ("TOWER_BEARER_OWN_REMOVE_HEADERS_2", "x-c"),
            ("TOWER_BEARER_REALM", "orders"),
        ],
    )
    .unwrap();

    let backend =
        Backend { url: "http://127.0.0.1:8081".to_owned(), http2: Some(true), connect_seconds: Some(5) };
    let remove_headers = ["a", "x-b", "x-c"].map(str::to_owned).to_vec();
    assert_eq!(own, Own { listen: "8080".to_owned(), backend, remove_headers });
}

#[test]
fn section_of_the_program_comes_from_variables_only() {
    let own = take(
        GOOD,
        &[
            ("TOWER_BEARER_OWN", r#"{"listen": "127.0.0.1:80", "backend": {"url": "http://127.0.0.1"}}"#),
            ("TOWER_BEARER_OWN_BACKEND_URL", "http://127.0.0.1:8081"),
        ],
    )
    .unwrap();

    assert_eq!(own.backend.url, "http://127.0.0.1:8081");
}

#[test]
fn misspelled_variable_of_a_section_is_refused_by_the_program() {
    let document = format!("{GOOD}{OWN}");
    for (name, value, expected) in [
        ("OWN_LISTENN", "x", "own: unknown field `listenn`"),
        ("OWN_BACKEND_HTTP2", "yes", "own: invalid type: string \"yes\", expected a boolean"),
        ("OWN_REMOVE_HEADERS_3", "x", "TOWER_BEARER_OWN_REMOVE_HEADERS_3: expected an index of at most 2"),
        ("OWN_REMOVE_HEADERS_A", "x", "TOWER_BEARER_OWN_REMOVE_HEADERS_A: expected the index of a list"),
        ("OWNER", "x", "TOWER_BEARER_OWNER: unknown variable"),
    ] {
        let name = format!("TOWER_BEARER_{name}");

        let found = take(&document, &[(&name, value)]).unwrap_err();

        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(expected), "{found:?}");
        assert!(found[0].ends_with(&format!("environment variable {name}]")), "{found:?}");
    }
}

#[test]
fn variables_of_settings_do_not_belong_to_a_section_with_a_similar_name() {
    let environment = Environment::from_variables("TOWER_BEARER_", [("TOWER_BEARER_ERROR_URI", "é")]);
    let mut document = parse_toml(&format!("{GOOD}[error]\npage = 'a'\n")).unwrap();

    let error: serde_json::Value = document.take_with("error", &environment).unwrap();
    let found = problems(ConfigSource::document(document).environment(environment).load());

    assert_eq!(error, json!({ "page": "a" }));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("error_uri \"é\": "), "{found:?}");
    assert!(found[0].ends_with("[environment variable TOWER_BEARER_ERROR_URI]"), "{found:?}");
}
