//! Path rules from configuration.

use std::time::Duration;

use http::Method;
use tower_bearer::{PathRules, Requirement, ScopeRequirement};

use super::{ADMIN, READ, WRITE, decide, get, is_denied};

#[test]
fn rules_are_read_from_toml() {
    let rules: PathRules = toml::from_str(
        r#"
        [[rule]]
        path = "/orders"
        methods = ["GET"]
        scopes = ["orders:read"]

        [[rule]]
        path = "/orders"
        methods = ["PUT", "PROPFIND"]
        scopes = ["orders:read", "orders:write"]

        [[rule]]
        path = "/orders/{id}"
        any_of = [["orders:read", "orders:write"], ["admin"]]

        [[rule]]
        path = "/health"
        access = "public"

        [[rule]]
        path = "/me"
        access = "token"
        acr_values = ["gold", "silver"]
        max_age = "5m"

        [[rule]]
        path = "/internal"
        access = "deny"

        [[rule]]
        path = "/internal/{*rest}"
        access = "deny"

        [otherwise]
        scopes = ["admin"]
        "#,
    )
    .unwrap();

    assert_eq!(get(&rules, "/orders"), READ.into());
    assert_eq!(decide(&rules, Method::PUT, "/orders"), [READ, WRITE].into());
    assert_eq!(decide(&rules, Method::from_bytes(b"PROPFIND").unwrap(), "/orders"), [READ, WRITE].into());
    assert!(is_denied(&decide(&rules, Method::DELETE, "/orders")));
    let either = ScopeRequirement::any([ScopeRequirement::from([READ, WRITE]), ADMIN.into()]);
    assert_eq!(decide(&rules, Method::DELETE, "/orders/1"), either.into());
    assert_eq!(get(&rules, "/health"), Requirement::public());
    let me = Requirement::token().acr_values(["gold", "silver"]).max_age(Duration::from_secs(300));
    assert_eq!(get(&rules, "/me"), me);
    assert!(is_denied(&get(&rules, "/internal/x")));
    assert_eq!(get(&rules, "/else"), ADMIN.into());
}

#[test]
fn rules_are_read_from_json_and_inside_other_settings() {
    #[derive(serde::Deserialize)]
    struct Settings {
        paths: PathRules,
    }
    let settings: Settings = serde_json::from_value(serde_json::json!({
        "paths": { "rule": [{ "path": "/{page}", "scopes": ["admin"] }], "allow_non_ascii": true }
    }))
    .unwrap();

    assert_eq!(get(&settings.paths, "/ol%C3%A9"), ADMIN.into());
    assert!(is_denied(&get(&settings.paths, "/")));
}

#[test]
fn no_rules_deny_everything() {
    assert!(is_denied(&get(&toml::from_str("").unwrap(), "/")));
}

#[test]
fn otherwise_that_is_not_a_table_is_explained() {
    let error = toml::from_str::<PathRules>("otherwise = \"deny\"").unwrap_err();

    let expected = "expected a rule, which is a table with one of scopes, any_of and access";
    assert!(error.message().ends_with(expected), "{error}");
}

#[test]
fn all_invalid_values_are_reported_with_the_number_of_their_rule() {
    let error = toml::from_str::<PathRules>(
        r#"
        [[rule]]
        path = "/ok"
        scopes = ["orders:read"]

        [[rule]]
        path = "orders/"
        methods = ["get", "G T"]
        scopes = ["two words", "ok", ""]

        [[rule]]
        path = "/a"

        [[rule]]
        path = "/b"
        scopes = []

        [[rule]]
        path = "/c"
        any_of = []

        [[rule]]
        path = "/d"
        any_of = [["x"], []]
        methods = []

        [[rule]]
        path = "/e"
        access = "open"

        [[rule]]
        path = "/f"
        access = "token"
        scopes = ["x"]

        [[rule]]
        path = "/g"
        access = "public"
        max_age = "3s"

        [[rule]]
        path = "/h"
        access = "token"
        acr_values = ["a b", ""]

        [[rule]]
        path = "/i"
        access = "token"
        acr_values = []
        max_age = "3 min"

        [[rule]]
        scopes = ["x"]

        [[rule]]
        path = "/ok"
        scopes = ["x"]

        [otherwise]
        path = "/x"
        access = "no"
        "#,
    )
    .unwrap_err();

    const SCOPE: &str = "expected one or more of the characters %x21 / %x23-5B / %x5D-7E";
    const NO_SCOPES: &str = "expected at least one scope; use access = \"token\" for any valid token";
    const DURATION: &str = r#"expected a duration with a unit: "250ms", "30s", "5m", "1h30m", "1d""#;
    const ACCESS: &str = "expected exactly one of scopes, any_of and access";
    let expected = [
        r#"rule 2: methods "G T": expected a method, such as GET"#.to_owned(),
        format!(r#"rule 2: scopes "two words": {SCOPE}"#),
        format!(r#"rule 2: scopes "": {SCOPE}"#),
        format!("rule 3: access: {ACCESS}"),
        format!("rule 4: scopes: {NO_SCOPES}"),
        "rule 5: any_of: expected at least one list of scopes".to_owned(),
        "rule 6: methods: expected at least one".to_owned(),
        format!("rule 6: any_of: {NO_SCOPES}"),
        r#"rule 7: access "open": expected "public", "token" or "deny""#.to_owned(),
        format!("rule 8: access: {ACCESS}"),
        "rule 9: acr_values and max_age: expected none without a token; use access = \"token\"".to_owned(),
        format!(r#"rule 10: acr_values "a b": {SCOPE}"#),
        format!(r#"rule 10: acr_values "": {SCOPE}"#),
        "rule 11: acr_values: expected at least one".to_owned(),
        format!(r#"rule 11: max_age "3 min": {DURATION}"#),
        "otherwise: path and methods: expected none, because otherwise applies to all other requests"
            .to_owned(),
        r#"otherwise: access "no": expected "token" or "deny""#.to_owned(),
        r#"rule 2: methods "get": expected a registered method such as GET, or one that is listed in extension_methods"#
            .to_owned(),
        r#"rule 2: path "orders/": expected a path that starts with "/""#.to_owned(),
        r#"rule 12: path "": expected a path that starts with "/""#.to_owned(),
        r#"rule 13: methods "all": expected only one rule for this method of "/ok""#.to_owned(),
    ];
    assert_eq!(
        error.message().replace("; rule", "\nrule").replace("; otherwise", "\notherwise"),
        expected.join("\n")
    );
}

#[test]
fn unknown_keys_are_refused() {
    for text in [
        "[[rule]]\npath = \"/\"\naccess = \"public\"\nscope = [\"x\"]",
        "[[rules]]\npath = \"/\"",
        "[otherwise]\naccess = \"deny\"\nwhy = 1",
        "default = \"public\"",
    ] {
        let error = toml::from_str::<PathRules>(text).unwrap_err();

        assert!(error.message().contains("unknown field"), "{error}");
    }
}

#[test]
fn misspelled_method_is_an_error_with_the_right_one() {
    for (method, hint) in
        [("GETT", " such as GET"), ("PSOT", " such as POST"), ("get", " such as GET"), ("PURGE", "")]
    {
        let expected = format!(
            "rule 1: methods {method:?}: expected a registered method{hint}, or one that is listed in extension_methods"
        );
        let text = format!("[[rule]]\npath = \"/\"\nmethods = [{method:?}]\naccess = \"token\"");
        let from_config = toml::from_str::<PathRules>(&text).unwrap_err();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let from_code = PathRules::builder().rule([method], "/", READ).build().unwrap_err();

        assert_eq!(from_config.message(), expected);
        assert_eq!(from_code.to_string(), expected);
    }
}

#[test]
fn method_that_is_listed_as_an_extension_is_accepted() {
    let purge = || Method::from_bytes(b"PURGE").unwrap();
    let from_config: PathRules = toml::from_str(
        r#"
        extension_methods = ["PURGE"]

        [[rule]]
        path = "/"
        methods = ["PURGE", "PROPFIND", "QUERY"]
        scopes = ["orders:read"]
        "#,
    )
    .unwrap();
    let from_code =
        PathRules::builder().extension_methods([purge()]).rule([purge()], "/", READ).build().unwrap();

    for rules in [from_config, from_code] {
        assert_eq!(decide(&rules, purge(), "/"), READ.into());
    }
}

#[test]
fn extension_method_that_is_a_registered_one_in_another_case_or_no_method_is_an_error() {
    let error = toml::from_str::<PathRules>(r#"extension_methods = ["get", "P G", "GET"]"#).unwrap_err();

    assert_eq!(
        error.message(),
        "extension_methods \"P G\": expected a method, such as GET; \
         extension_methods \"get\": expected a method that differs from GET not only by case"
    );
}

#[test]
fn public_otherwise_is_an_error_unless_it_is_spelt_out() {
    let from_config =
        |access: &str| toml::from_str::<PathRules>(&format!("[otherwise]\naccess = {access:?}"));

    let error = from_config("public").unwrap_err();
    assert_eq!(
        error.message(),
        "otherwise: access \"public\": expected rules for the public paths, so that a new path is not open by accident; to open \
         all paths without a rule, use dangerously_public_otherwise"
    );
    let error = PathRules::builder()
        .dangerously_public_otherwise()
        .otherwise(Requirement::public())
        .build()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "otherwise: expected a requirement that is not public, so that a new path is not open by accident; to open all paths \
         without a rule, use dangerously_public_otherwise"
    );
    let from_code = PathRules::builder().dangerously_public_otherwise().build().unwrap();
    let from_config = toml::from_str::<PathRules>("dangerously_public_otherwise = true").unwrap();
    for rules in [from_config, from_code] {
        assert_eq!(get(&rules, "/else"), Requirement::public());
    }
    let both = "dangerously_public_otherwise = true\n[otherwise]\naccess = \"token\"";
    let error = toml::from_str::<PathRules>(both).unwrap_err();
    assert_eq!(
        error.message(),
        "otherwise: expected none with dangerously_public_otherwise, which replaces it"
    );
}

#[test]
fn age_without_a_unit_is_an_error() {
    let text = "[otherwise]\naccess = \"token\"\nmax_age = 300";

    let error = toml::from_str::<PathRules>(text).unwrap_err();

    assert!(error.message().contains("expected a duration with a unit"), "{error}");
}
