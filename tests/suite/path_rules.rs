//! Proves that [`PathRules`] decides by the path that every backend reads.

mod attacks;
mod config;
mod model;

use http::{Method, Request, StatusCode, Uri};
use tower_bearer::{
    PathRules, RequestHead, Requirement, RequirementPolicy as _, Scope, ScopeRequirement,
    testing::TestAuthorizationServer,
};

use crate::support::{App, ISSUER, Log, READ, RESOURCE, WRITE, assert_reason, plain};

const ADMIN: Scope = Scope::from_static("admin");

/// Returns what a request requires.
fn decide(rules: &PathRules, method: Method, path: &str) -> Requirement {
    let request = Request::builder().method(method).uri(path).body(()).unwrap();
    rules.requirement(&RequestHead::from(&request))
}

/// Returns what a `GET` requires.
fn get(rules: &PathRules, path: &str) -> Requirement {
    decide(rules, Method::GET, path)
}

fn is_denied(requirement: &Requirement) -> bool {
    format!("{requirement:?}").starts_with("Requirement(denied")
}

fn is_malformed(requirement: &Requirement) -> bool {
    format!("{requirement:?}").starts_with("Requirement(malformed")
}

#[test]
fn rule_is_found_by_method_and_path() {
    let rules = PathRules::builder()
        .rule([Method::GET], "/", READ)
        .rule([Method::GET], "/job/{name}/api/json", READ)
        .rule([Method::POST, Method::PUT], "/job/{name}/build", [READ, WRITE])
        .any_method("/static/{*file}", Requirement::public())
        .any_method("/v{version}/info", Requirement::token())
        .any_method("/{{braces}}", ADMIN)
        .build()
        .unwrap();
    for (method, path, expected) in [
        (Method::GET, "/", READ.into()),
        (Method::GET, "http://jenkins.example", READ.into()),
        (Method::GET, "http://jenkins.example/job/x/api/json", READ.into()),
        (Method::GET, "/job/nightly/api/json", READ.into()),
        (Method::GET, "/job/nightly/api/json?tree=jobs/../x;y%2F", READ.into()),
        (Method::GET, "/job/nightly%20build/api/json", READ.into()),
        (Method::POST, "/job/nightly/build", [READ, WRITE].into()),
        (Method::PUT, "/job/nightly/build", [READ, WRITE].into()),
        (Method::GET, "/static/css/main.css", Requirement::public()),
        (Method::DELETE, "/static/x", Requirement::public()),
        (Method::GET, "/v2/info", Requirement::token()),
        (Method::GET, "/%7Bbraces%7D", ADMIN.into()),
    ] {
        assert_eq!(decide(&rules, method.clone(), path), expected, "{method} {path}");
    }
}

#[test]
fn what_matches_no_rule_is_denied() {
    let rules = PathRules::builder()
        .rule([Method::GET], "/orders", READ)
        .any_method("/static/{*file}", Requirement::public())
        .build()
        .unwrap();
    for path in ["/", "/order", "/orders/1", "/orderss", "/static", "/static/", "/admin"] {
        assert!(is_denied(&get(&rules, path)), "{path}");
    }
    assert!(is_denied(&get(&PathRules::builder().build().unwrap(), "/")));
}

#[test]
fn otherwise_applies_to_other_paths_but_not_to_other_methods() {
    let rules = PathRules::builder()
        .rule([Method::GET], "/orders", READ)
        .otherwise(Requirement::token())
        .build()
        .unwrap();

    assert_eq!(get(&rules, "/elsewhere"), Requirement::token());
    assert!(is_denied(&decide(&rules, Method::DELETE, "/orders")));
    assert!(is_malformed(&get(&rules, "/elsewhere/..")));
}

#[test]
fn get_covers_head_unless_head_has_a_rule() {
    let rules = PathRules::builder()
        .rule([Method::GET], "/a", READ)
        .rule([Method::GET], "/b", READ)
        .rule([Method::HEAD], "/b", WRITE)
        .rule([Method::POST], "/c", READ)
        .rule([Method::GET], "/d", READ)
        .any_method("/d", WRITE)
        .build()
        .unwrap();

    assert_eq!(decide(&rules, Method::HEAD, "/a"), READ.into());
    assert_eq!(decide(&rules, Method::HEAD, "/b"), WRITE.into());
    assert!(is_denied(&decide(&rules, Method::HEAD, "/c")));
    assert_eq!(decide(&rules, Method::HEAD, "/d"), READ.into());
    assert_eq!(decide(&rules, Method::DELETE, "/d"), WRITE.into());
    assert!(is_denied(&decide(&rules, Method::from_bytes(b"get").unwrap(), "/a")));
}

#[test]
fn names_of_variables_do_not_separate_paths() {
    let rules = PathRules::builder()
        .rule([Method::GET], "/orders/{id}", READ)
        .rule([Method::DELETE], "/orders/{order}", WRITE)
        .build()
        .unwrap();

    assert_eq!(get(&rules, "/orders/1"), READ.into());
    assert_eq!(decide(&rules, Method::DELETE, "/orders/1"), WRITE.into());
    assert!(is_denied(&decide(&rules, Method::POST, "/orders/1")));
}

#[test]
fn literals_win_over_variables_segment_by_segment() {
    let rules = PathRules::builder()
        .any_method("/{*rest}", READ)
        .any_method("/orders/{id}", WRITE)
        .any_method("/orders/archive", ADMIN)
        .build()
        .unwrap();

    assert_eq!(get(&rules, "/orders/archive"), ADMIN.into());
    assert_eq!(get(&rules, "/orders/1"), WRITE.into());
    assert_eq!(get(&rules, "/orders/1/items"), READ.into());
    assert_eq!(get(&rules, "/other"), READ.into());
    // Would be `archive` for a backend that ignores case.
    assert!(is_malformed(&get(&rules, "/orders/Archive")));
}

#[test]
fn build_lists_all_problems() {
    const NAME: &str = "expected a name between \"{\" and \"}\"; write \"{{\" and \"}}\" for braces";
    const OTHER_SYNTAX: &str = "expected \"{name}\" for a variable and \"{*rest}\" for the rest of a path";
    let requests = "expected a path that requests can have: no empty segments, none with a dot or space at its end, and \
        no control characters, \"\\\", \";\", \"?\" or \"#\"";
    for (path, expected) in [
        ("orders", "expected a path that starts with \"/\""),
        ("", "expected a path that starts with \"/\""),
        ("*", "expected a path that starts with \"/\""),
        ("/orders/", "expected no slash at the end; a pattern also matches paths with one"),
        ("//", "expected no slash at the end; a pattern also matches paths with one"),
        ("/bestellungen/größe", "expected ASCII; other characters are only matched by variables"),
        ("/%61", "expected decoded characters instead of percent-encoded ones"),
        ("/a//b", requests),
        ("//a", requests),
        ("/a/../b", requests),
        ("/a/./b", requests),
        ("/a;b", requests),
        ("/a?b", requests),
        ("/a#b", requests),
        ("/a\\\\b", requests),
        ("/a./b", requests),
        ("/a\0", requests),
        ("/{", NAME),
        ("/}", NAME),
        ("/{}", NAME),
        ("/{*}", NAME),
        ("/{a", NAME),
        ("/{a/b}", NAME),
        ("/{a}{b}", "expected nothing after a variable in its segment"),
        ("/{a}.json", "expected nothing after a variable in its segment"),
        ("/{*a}/b", "expected \"{*rest}\" only at the end"),
        ("/a{*b}", "expected \"{*rest}\" to be a whole segment"),
        ("/*", OTHER_SYNTAX),
        ("/a/**", OTHER_SYNTAX),
        ("/a/**/b", OTHER_SYNTAX),
        ("/***", OTHER_SYNTAX),
        ("/a*", OTHER_SYNTAX),
        ("/a/*.js", OTHER_SYNTAX),
        ("/*rest", OTHER_SYNTAX),
        ("/a/:name", OTHER_SYNTAX),
        ("/<name>", OTHER_SYNTAX),
        ("/<path:name>", OTHER_SYNTAX),
    ] {
        let error = PathRules::builder().any_method("/ok", READ).any_method(path, READ).build().unwrap_err();

        assert_eq!(error.to_string(), format!("rule 2: path {path:?}: {expected}"));
    }

    let error = PathRules::builder()
        .rule([Method::GET], "/orders/{id}", READ)
        .rule([Method::GET, Method::PUT], "/orders/{number}", READ)
        .rule([], "/empty", READ)
        .any_method("/Orders/{id}", READ)
        .any_method("/orders/{*rest}", READ)
        .any_method("/all", READ)
        .any_method("/all", READ)
        .any_method("relative", READ)
        .build()
        .unwrap_err();
    assert_eq!(
        error.problems().collect::<Vec<_>>(),
        [
            r#"rule 3: methods: expected at least one"#,
            r#"rule 2: methods "GET": expected only one rule for this method of "/orders/{number}""#,
            r#"rule 4: path "/Orders/{id}": expected a path that differs from "/orders/{id}" not only by case"#,
            r#"rule 5: path "/orders/{*rest}": expected no conflict with "/orders/{id}""#,
            r#"rule 7: methods "all": expected only one rule for this method of "/all""#,
            r#"rule 8: path "relative": expected a path that starts with "/""#,
        ]
    );
}

#[test]
fn stars_and_colons_that_paths_have_are_literals() {
    let rules = PathRules::builder()
        .any_method("/job/{name}/artifact/*zip*/archive.zip", READ)
        .any_method("/orders:batch", WRITE)
        .build()
        .unwrap();

    assert_eq!(get(&rules, "/job/x/artifact/*zip*/archive.zip"), READ.into());
    assert_eq!(get(&rules, "/orders:batch"), WRITE.into());
}

#[test]
fn a62_rule_for_the_rest_of_a_path_needs_one_for_the_path_before_it() {
    let rest = || PathRules::builder().any_method("/admin/{*rest}", ADMIN);
    let expect = |covering: &str| {
        format!(
            "rule 1: path \"/admin/{{*rest}}\": expected a rule for \"/admin\" too, because this one does not match it \
            and {covering} does"
        )
    };

    // `/admin/` would only require any token.
    let error = rest().otherwise(Requirement::token()).build().unwrap_err();
    assert_eq!(error.to_string(), expect("otherwise"));
    let error = rest().any_method("/{page}", READ).build().unwrap_err();
    assert_eq!(error.to_string(), expect("the rule for \"/{v}\""));

    let complete = rest().any_method("/admin", ADMIN).otherwise(Requirement::token()).build().unwrap();
    assert_eq!(get(&complete, "/admin/"), ADMIN.into());
    let refused = rest().build().unwrap();
    assert!(is_denied(&get(&refused, "/admin/")));
    // What applies to `/admin` is not less strict.
    rest().otherwise(ADMIN).build().unwrap();
    rest().any_method("/{page}", ADMIN).build().unwrap();
    PathRules::builder()
        .any_method("/static/{*file}", Requirement::public())
        .otherwise(Requirement::token())
        .build()
        .unwrap();
}

#[tokio::test]
async fn log_of_a_refusal_has_method_and_path() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let rules = PathRules::builder().any_method("/orders", READ).build().unwrap();
    let app = App::new(authority.resource_server(RESOURCE).require_by(rules));
    let (log, _guard) = Log::record();

    app.send(Request::put("/order?secret=1").body(http_body_util::Full::default()).unwrap()).await;

    let line = r#"status=403 method=Some(PUT) path=Some("/order") error=operation not allowed: no rule for this path"#;
    assert!(log.text().contains(line), "{}", log.text());
}

#[test]
fn scopes_of_all_rules_are_advertised() {
    let rules = PathRules::builder()
        .any_method("/a", ScopeRequirement::any([READ, WRITE]))
        .any_method("/b", Requirement::public())
        .otherwise(ADMIN)
        .build()
        .unwrap();

    assert_eq!(rules.scopes(), [READ, WRITE, ADMIN]);
}

#[tokio::test]
async fn layer_refuses_by_rule_and_names_the_scopes_of_the_operation() {
    let rules = PathRules::builder()
        .rule([Method::GET], "/orders", READ)
        .rule([Method::PUT], "/orders", [READ, WRITE])
        .any_method("/health", Requirement::public())
        .build()
        .unwrap();
    let authority = TestAuthorizationServer::new(ISSUER);
    let app = App::new(authority.resource_server(RESOURCE).require_by(rules));
    let token = authority.token().scope("orders:read").sign();
    let request = |method: Method, path: &'static str, token: Option<&str>| {
        let mut request = plain();
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from_static(path);
        if let Some(token) = token {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        request
    };

    app.send(request(Method::GET, "/orders", Some(&token))).await.assert_pass();
    app.send(request(Method::GET, "/health", None)).await.assert_pass();
    let answer = app.send(request(Method::PUT, "/orders", None)).await;
    answer.assert_unauthorized();
    assert_eq!(answer.challenges[0].param("scope"), Some("orders:read orders:write"));
    app.send(request(Method::PUT, "/orders", Some(&token)))
        .await
        .assert_insufficient_scope("orders:read orders:write");
    for (path, status) in [
        ("/other", StatusCode::FORBIDDEN),
        ("/orders%2F..%2Fother", StatusCode::BAD_REQUEST),
        ("/health;/../orders", StatusCode::BAD_REQUEST),
    ] {
        for token in [Some(&*token), None] {
            let answer = app.send(request(Method::GET, path, token)).await;

            assert_eq!((answer.status, answer.calls), (status, 0), "{path}");
            assert!(answer.challenges.is_empty(), "{path}");
        }
    }
    let answer = app.send(request(Method::GET, "/other", Some(&token))).await;
    assert_reason!(answer, tower_bearer::ValidationError::Denied { .. });
}
