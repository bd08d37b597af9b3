//! Every setting from code has a key, every key works, and the schema in the repository is complete.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;
use tower_bearer::config::{ConfigSource, Document, json_schema};

use super::{Folder, GOOD, load, parse_toml, problems, toml_source};

/// Where the settings of a builder are in the document: its source file, the path in the document, and whether constructors count
/// too.
const BUILDERS: [(&str, &str); 10] = [
    ("resource_server/builder.rs", ""),
    ("jwt/builder.rs", "issuers[]"),
    ("introspection/builder.rs", "issuers[]"),
    ("authorization_server/mod.rs", "issuers[]"),
    ("protected_resource_metadata/mod.rs", "metadata"),
    ("requirement/path_rules/builder.rs", "paths"),
    ("requirement/grpc_methods.rs", "grpc"),
    ("mcp/builder.rs", "mcp"),
    ("jwt/token_type.rs", "issuers[].accept_typ_jwt"),
    ("claims/claim_rule.rs", "issuers[].claim_rules[]"),
];

/// Settings whose key has another name or another place.
const OTHER_NAMES: &[(&str, &str, &str)] = &[
    ("resource_server/builder.rs", "resource_metadata", "metadata"),
    ("resource_server/builder.rs", "claim_rule", "claim_rules"),
    ("resource_server/builder.rs", "policy", "paths"),
    ("resource_server/builder.rs", "pseudonym_key", "pseudonym_key_file"),
    ("jwt/builder.rs", "claim_rule", "issuers[].claim_rules"),
    ("introspection/builder.rs", "claim_rule", "issuers[].claim_rules"),
    ("authorization_server/mod.rs", "with_endpoints", "issuers[].discover"),
    ("authorization_server/mod.rs", "http_client", "issuers[].http_client"),
    ("protected_resource_metadata/mod.rs", "new", "metadata.resource"),
    ("protected_resource_metadata/mod.rs", "member", "metadata.members"),
    ("requirement/path_rules/builder.rs", "any_method", "paths.rule[].methods"),
    ("requirement/grpc_methods.rs", "method", "grpc.methods"),
    ("requirement/grpc_methods.rs", "service", "grpc.services"),
    ("requirement/grpc_methods.rs", "public", "grpc.methods"),
    ("mcp/builder.rs", "tool", "mcp.tools"),
    ("mcp/builder.rs", "prompt", "mcp.prompts"),
    ("mcp/builder.rs", "resource", "mcp.resources"),
    ("mcp/builder.rs", "resource_template", "mcp.resource_templates"),
    ("mcp/builder.rs", "method", "mcp.methods"),
    ("mcp/builder.rs", "extension_method", "mcp.extension_methods"),
    ("jwt/token_type.rs", "has_claim", "issuers[].accept_typ_jwt.has_one_of"),
    ("jwt/token_type.rs", "has_any_claim_in", "issuers[].accept_typ_jwt.has_one_of"),
];

/// What no document can express: functions, and objects of the program.
const ONLY_IN_CODE: &[(&str, &str)] = &[
    ("resource_server/builder.rs", "clock"),
    ("resource_server/builder.rs", "rejection_body"),
    ("resource_server/builder.rs", "observer"),
    ("jwt/builder.rs", "clock"),
    ("introspection/builder.rs", "clock"),
    ("mcp/builder.rs", "resource_template_by"),
    ("claims/claim_rule.rs", "new"),
];

/// Functions that are no settings.
const NO_SETTINGS: [&str; 4] = ["build", "builder", "issuer", "problems"];

/// Returns the names of the public functions of a source file.
fn functions(file: &str) -> Vec<String> {
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file)).unwrap();
    let source = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = source.lines().filter_map(|line| line.trim_start().strip_prefix("pub fn "));
    lines.map(|line| line.split(['(', '<']).next().unwrap().to_owned()).collect()
}

/// Returns the paths of all keys in the schema.
fn keys_of(schema: &Value, root: &Value, path: &str, keys: &mut BTreeSet<String>) {
    if let Some(reference) = schema.get("$ref") {
        assert_eq!(reference, "#/$defs/requirement");
        return keys_of(&root["$defs"]["requirement"], root, path, keys);
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        keys.insert(path.clone());
        keys_of(inner, root, &path, keys);
    }
    for inner in schema["anyOf"].as_array().into_iter().flatten() {
        keys_of(inner, root, path, keys);
    }
    if let Some(items) = schema.get("items") {
        keys_of(items, root, &format!("{path}[]"), keys);
    }
    if let Some(values @ Value::Object(_)) = schema.get("additionalProperties") {
        keys_of(values, root, &format!("{path}.*"), keys);
    }
}

fn all_keys() -> BTreeSet<String> {
    let schema = json_schema();
    let mut keys = BTreeSet::new();
    keys_of(&schema, &schema, "", &mut keys);
    keys
}

#[test]
fn every_setting_from_code_has_a_key() {
    let keys = all_keys();
    let mut missing = Vec::new();
    let mut used = BTreeSet::new();
    for (file, place) in BUILDERS {
        for name in functions(file) {
            if NO_SETTINGS.contains(&&*name) {
                continue;
            }
            if let Some(exception) = ONLY_IN_CODE.iter().find(|exception| **exception == (file, &*name)) {
                used.insert(*exception);
                continue;
            }
            let other =
                OTHER_NAMES.iter().find(|(in_file, setting, _)| (*in_file, *setting) == (file, &*name));
            let key = match other {
                Some((in_file, setting, key)) => {
                    used.insert((in_file, setting));
                    (*key).to_owned()
                }
                None if place.is_empty() => name.clone(),
                None => format!("{place}.{name}"),
            };
            if !keys.contains(&key) {
                missing.push(format!("{file}: {name} has no key {key}"));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "add a key in src/config/keys.rs, or an exception here:\n{}",
        missing.join("\n")
    );
    let listed =
        OTHER_NAMES.iter().map(|(file, setting, _)| (*file, *setting)).chain(ONLY_IN_CODE.iter().copied());
    let stale: Vec<_> = listed.filter(|exception| !used.contains(exception)).collect();
    assert!(stale.is_empty(), "these settings no longer exist: {stale:?}");
}

#[test]
fn every_credential_has_a_method() {
    let schema = json_schema();
    let methods =
        &schema["properties"]["issuers"]["items"]["properties"]["credential"]["properties"]["method"]["enum"];

    assert_eq!(*methods, serde_json::json!(functions("introspection/credential.rs")));
}

#[test]
fn schema_in_the_repository_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config.schema.json");
    let generated = format!("{}\n", serde_json::to_string_pretty(&json_schema()).unwrap());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&path, &generated).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == generated,
        "docs/config.schema.json differs: run this test with UPDATE_SCHEMA=1"
    );
}

/// Documents that together have every key.
fn documents(folder: &Folder) -> [String; 3] {
    folder.write(
        "jwks.json",
        &tower_bearer::testing::TestAuthorizationServer::new("https://k.example").jwks().to_string(),
    );
    folder.write("secret", "s3cret");
    folder.write("pseudonyms", "0123456789abcdef0123456789abcdef\n");
    folder.write("ca.pem", CA);
    let paths = r#"
audience = "https://orders.example.com"
opaque_audience = ["orders"]
realm = "orders"
error_uri = "https://orders.example.com/errors"
baseline_scopes = ["orders:read"]
claim_rules = [{ claim = "tenant", one_of = ["a", "b"], forbidden = true }, { claim = "sub", present = true }, { claim = "a", equals = "b" }]
verdict_cache_bytes = "1MiB"
pseudonym_key_file = "pseudonyms"
grpc_invalid_argument = true
dangerously_pass_cors_preflight = true
dangerously_let_streams_outlive_tokens = true

[scope_hierarchy]
"orders:write" = ["orders:read"]

[metadata]
resource = "https://orders.example.com"
scopes_supported = ["orders:read"]
resource_name = "Orders"
resource_name_in = { de = "Bestellungen" }
resource_documentation = "https://orders.example.com/docs"
resource_policy_uri = "https://orders.example.com/policy"
resource_tos_uri = "https://orders.example.com/tos"
members = { "resource_tos_uri#de" = "https://orders.example.com/de/tos" }
signed_metadata = "e30.e30.e30"
also_at_root = true

[[issuers]]
issuer = "https://a.example"
validation = "jwt"
discover = false
jwks_uri = "https://a.example/jwks"
audience = ["https://orders.example.com", "urn:orders"]
clock_skew = "10s"
scopes_from = ["scope", "/realm_access/roles"]
claim_rules = [{ claim = "tenant", one_of = ["a", "b"], forbidden = true }, { claim = "sub", present = true }, { claim = "a", equals = "b" }]
algorithms = ["RS256", "ES256"]
accept_typ_jwt = { has_one_of = ["scope"] }
max_age = "1h"
key_refresh_interval = "10m"
key_cool_down = "20s"
key_fetch_timeout = "2s"
http_client = { ca_file = "ca.pem", proxy = "http://proxy.example:3128", proxy_user = "u", proxy_password_file = "secret" }

[[issuers]]
issuer = "https://b.example"
dangerously_allow_missing_issuer = true
claim_rules = [{ claim = "sub", equals = "spiffe://example.org/orders" }]
accept_typ_jwt = { claim_is = { claim = "token_use", value = "access" } }
http_client = { no_proxy = true }

[[issuers]]
issuer = "https://c.example"
keys = [{ file = "jwks.json" }]
audience = "urn:orders"
accept_typ_jwt = { audience_is_only_in_access_tokens = true }

[[issuers]]
issuer = "https://d.example"
validation = "introspection"
otherwise = true
opaque_audience = "orders"
introspection_endpoint = "https://d.example/introspect"
cache_ttl = "30s"
inactive_ttl = "1s"
timeout = "2s"
token_type_hint = true
accept_scope_array = true
dangerously_allow_missing_audience = true
credential = { method = "secret_post", id = "orders", secret_file = "secret" }
http_client = { public_addresses_only = true, allowed_addresses = ["10.20.0.0/16"] }

[paths]
allow_non_ascii = true
extension_methods = ["PURGE"]
otherwise = { access = "token" }

[[paths.rule]]
methods = ["GET"]
path = "/orders"
any_of = [["orders:read"], ["admin"]]
acr_values = ["urn:example:mfa"]
max_age = "5m"

[[paths.rule]]
path = "/orders/{id}"
scopes = ["orders:read"]

[[paths.rule]]
path = "/health"
access = "public"
"#;
    let requirements = |prefix: &str, name: &str| {
        format!(
            "[{prefix}]\n{name} = {{ scopes = [\"a\"], acr_values = [\"mfa\"], max_age = \"5m\" }}\n\"{name}/B\" = {{ any_of = [[\"b\"]] }}\n\"{name}/C\" = \
             {{ access = \"token\" }}\n\"{name}/D\" = [\"d\"]\n"
        )
    };
    let all_forms = |prefix: &str, keys: &[&str]| {
        let each = |key: &&str| {
            format!("{key} = {{ scopes = [\"a\"], acr_values = [\"mfa\"], max_age = \"5m\" }}\n")
        };
        format!("[{prefix}]\n{}", keys.iter().map(each).collect::<String>())
    };
    let issuer = "[[issuers]]\nissuer = 'http://127.0.0.1:8000'\nallow_http_on_loopback = true\n\
                  keys = [{ file = 'key.pem', algorithm = 'EdDSA' }]\n";
    folder.write("key.pem", ED25519);
    let grpc = format!(
        "audience = 'urn:orders'\ndangerously_forward_credential = true\n{issuer}{}{}{}",
        all_forms("grpc", &["health", "reflection"]) + "dangerously_public_otherwise = true\n",
        "[grpc.methods]\n\"/orders.v1.Orders/List\" = { scopes = [\"a\"], acr_values = [\"mfa\"], max_age = \"5m\" }\n\
         \"/orders.v1.Orders/Get\" = { any_of = [[\"b\"]] }\n\"/orders.v1.Orders/Put\" = { access = \"token\" }\n",
        "[grpc.services]\n\"orders.v1.Orders\" = { scopes = [\"a\"] }\n",
    );
    let mcp = format!(
        "audience = 'urn:orders'\n{issuer}[metadata]\nresource = 'http://127.0.0.1:8001/mcp'\nallow_http_on_loopback = true\n{}{}{}{}{}{}{}",
        all_forms("mcp", &["connecting", "otherwise"]),
        "allowed_origins = ['https://app.example.com']\nmax_body_bytes = '512KiB'\nbody_deadline = '5s'\n",
        requirements("mcp.tools", "list"),
        requirements("mcp.prompts", "list"),
        requirements("mcp.resources", "jobs"),
        "[mcp.resource_templates]\n'jobs://{job}/log' = ['a']\n",
        "[mcp.methods]\n'tools/list' = { access = 'token' }\n[mcp.extension_methods]\n'example/run' = ['a']\n",
    );
    [paths.to_owned(), grpc, mcp]
}

#[test]
fn every_key_is_accepted_by_the_reader_and_the_schema() {
    let folder = Folder::new();
    let schema = json_schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut found = BTreeSet::new();
    for (index, text) in documents(&folder).into_iter().enumerate() {
        let path = folder.write(&format!("{index}.toml"), &text);

        assert_eq!(toml_source(&path).load().err().map(|error| error.to_string()), None);

        let value: Value = toml::from_str(&text).unwrap();
        let errors: Vec<_> = validator
            .iter_errors(&value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:#?}");
        used_keys(&value, &schema, &schema, "", &mut found);
    }
    // What an operation requires has the same keys everywhere.
    // One of these documents has `otherwise` instead, and the other a public one.
    let either = ["paths.dangerously_public_otherwise", "grpc.otherwise"];
    let is_required_somewhere = |key: &String| {
        let name = key.rsplit('.').next().unwrap();
        let is_requirement = ["scopes", "any_of", "access", "acr_values", "max_age"].contains(&name);
        is_requirement
            && !key.starts_with("issuers")
            && found.iter().any(|other| other.ends_with(&format!(".{name}")))
    };
    let missing: Vec<_> = all_keys()
        .into_iter()
        .filter(|key| !found.contains(key) && !is_required_somewhere(key) && !either.contains(&&**key))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Collects the keys of a document, with the names that users choose as `*`.
fn used_keys(value: &Value, schema: &Value, root: &Value, path: &str, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            let is_map = schema.get("additionalProperties").is_some_and(Value::is_object);
            for (name, inner) in members {
                let schema = resolve(schema, root);
                let name = if is_map { "*" } else { name };
                let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                let inner_schema =
                    if is_map { &schema["additionalProperties"] } else { &schema["properties"][name] };
                if !is_map {
                    keys.insert(path.clone());
                }
                used_keys(inner, inner_schema, root, &path, keys);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                used_keys(element, &schema["items"], root, &format!("{path}[]"), keys);
            }
        }
        _ => {}
    }
}

fn resolve<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    match schema.get("$ref") {
        Some(_) => &root["$defs"]["requirement"]["anyOf"][1],
        None => schema,
    }
}

#[test]
fn reader_uses_every_key() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config");
    let mut source = fs::read_to_string(folder.join("dangers.rs")).unwrap();
    for file in fs::read_dir(folder.join("read")).unwrap() {
        source.push_str(&fs::read_to_string(file.unwrap().path()).unwrap());
    }

    let unread: Vec<_> = all_keys()
        .into_iter()
        .filter(|key| !source.contains(&format!("\"{}\"", key.rsplit('.').next().unwrap())))
        .collect();

    assert!(unread.is_empty(), "{unread:?}");
}

#[test]
fn values_reach_the_builders() {
    // Values that only a builder refuses.
    for (line, problem) in [
        ("realm = 'é'", "realm \"é\""),
        ("error_uri = 'a b'", "error_uri \"a b\""),
        ("baseline_scopes = ['offline_access']", "baseline_scopes \"offline_access\""),
        (
            "claim_rules = [{ claim = 'azp', equals = 'x' }]",
            "claim_rules \"claim \\\"azp\\\" equals \\\"x\\\"\"",
        ),
        ("audience = 'orders'", "audience \"orders\""),
        ("opaque_audience = ''", "audience \"\""),
        ("issuers[].clock_skew = '6m'", "issuers[0].clock_skew \"360s\""),
        ("issuers[].max_age = '0s'", "issuers[0].max_age \"0s\""),
        ("issuers[].algorithms = []", "issuers[0].algorithms:"),
        ("issuers[].scopes_from = ['azp']", "issuers[0].scopes_from \"azp\""),
        ("issuers[].claim_rules = [{ claim = '', present = true }]", "issuers[0].claim_rules"),
        ("issuers[].accept_typ_jwt = { has_one_of = [] }", "issuers[0].accept_typ_jwt:"),
        (
            "issuers[].accept_typ_jwt = { claim_is = { claim = 'azp', value = 'x' } }",
            "issuers[0].accept_typ_jwt \"azp\"",
        ),
        ("issuers[].key_refresh_interval = '59s'", "issuers[0].key_refresh_interval \"59s\""),
        ("issuers[].key_cool_down = '0s'", "issuers[0].key_cool_down \"0ns\""),
        ("issuers[].key_fetch_timeout = '99ms'", "issuers[0].key_fetch_timeout \"99ms\""),
        ("issuers[].jwks_uri = 'http://as.example.com'", "issuers[0].jwks_uri \"http://as.example.com\""),
        ("issuers[].discover = false", "issuers[0]: expected keys, a jwks_uri or discovery"),
        ("metadata.resource_tos_uri = 'x'", "metadata.resource_tos_uri \"x\""),
        ("metadata.resource_policy_uri = 'x'", "metadata.resource_policy_uri \"x\""),
        ("metadata.scopes_supported = ['offline_access']", "metadata.scopes_supported \"offline_access\""),
        ("metadata.members = { resource = 'x' }", "metadata.members \"resource\""),
        ("grpc.methods = { x = ['a'] }", "grpc.methods \"x\""),
        ("grpc.services = { '/' = ['a'] }", "grpc.services \"/\""),
        (
            "paths.rule = [{ path = '/b' , scopes = ['a'] }, { path = '/{a}x', scopes = ['a'] }]",
            "paths.rule[1].path \"/{a}x\"",
        ),
        ("paths.rule = [{ path = '/b', scopes = ['a'], methods = [] }]", "paths.rule[0].methods:"),
    ] {
        let (key, value) = line.split_once(" = ").unwrap();
        let document = match key.split_once('.') {
            Some(("issuers[]", key)) => format!("{GOOD}{key} = {value}\n"),
            Some(("metadata", key)) => {
                format!("{GOOD}[metadata]\nresource = 'https://orders.example.com'\n{key} = {value}\n")
            }
            Some((table, key)) => format!("{GOOD}[{table}]\n{key} = {value}\n"),
            None if key.contains("audience") => {
                format!("{key} = {value}\n[[issuers]]\nissuer = 'https://as.example.com'\n")
            }
            None => format!("{key} = {value}\n{GOOD}"),
        };

        let found = problems(load(&document));

        assert_eq!(found.len(), 1, "{line}: {found:?}");
        let problem = problem.replace("audience \"\"", "opaque_audience \"\"");
        let problem = if key == "audience" { "audience \"orders\"" } else { &problem };
        assert!(found[0].starts_with(problem), "{line}: {found:?}");
    }
}

#[test]
fn schema_refuses_what_the_reader_refuses() {
    let validator = jsonschema::validator_for(&json_schema()).unwrap();
    for text in [
        "",
        "issuers = 1",
        "issuers = [{}]",
        "issuers = [{ issuer = 'https://as.example.com', clock_skew = '30' }]",
        "issuers = [{ issuer = 'https://as.example.com', clock_skew = '' }]",
        "issuers = [{ issuer = 'https://as.example.com', algorithms = ['HS256'] }]",
        "issuers = []\nraelm = 'x'",
        "issuers = []\nverdict_cache_bytes = '32MB'",
        "issuers = []\nbaseline_scopes = ['a b']",
        "issuers = []\npaths = { otherwise = { access = 'open' } }",
    ] {
        let value: Value = toml::from_str(text).unwrap();

        assert!(!validator.is_valid(&value), "{text}");
        assert!(load(text).is_err(), "{text}");
    }
}

#[test]
fn example_documents_have_no_problems() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/config");
    let validator = jsonschema::validator_for(&json_schema()).unwrap();
    let secrets = Folder::new();
    let secret = secrets.write("introspection", "s3cret\n").display().to_string();
    let mut count = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap().replace("/run/secrets/introspection", &secret);
        let (document, value): (Document, Value) = if path.extension().unwrap() == "toml" {
            (parse_toml(&text).unwrap(), toml::from_str(&text).unwrap())
        } else {
            (serde_norway::from_str(&text).unwrap(), serde_norway::from_str(&text).unwrap())
        };

        assert!(validator.is_valid(&value), "{path:?}");
        assert_eq!(
            ConfigSource::document(document).load().err().map(|error| error.to_string()),
            None,
            "{path:?}"
        );
        count += 1;
    }
    assert_eq!(count, 3);
}

/// RFC 8410 section 10.1.
const ED25519: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";

/// A certificate that was made for this test. It is only parsed.
const CA: &str = include_str!("ca.pem");
