//! The functions that read what servers send.

use proptest::prelude::*;
use url::Url;

use super::example::{
    arguments::Settings,
    challenge::{Challenge, parse_challenges},
    checks::{connection::check_scheme, metadata},
    document::JsonDocument,
    urls::{self, Relation, compare},
};

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn challenge(scheme: &str, parameters: &[(&str, &str)]) -> Challenge {
    let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Challenge { scheme: scheme.to_owned(), parameters: parameters.collect() }
}

#[test]
fn valid_challenges_have_no_problems() {
    for (field, expected) in [
        ("Bearer", vec![challenge("Bearer", &[])]),
        ("bearer realm=api", vec![challenge("bearer", &[("realm", "api")])]),
        (
            "Bearer realm=\"a, \\\"b\\\"\" , error = \"c\"",
            vec![challenge("Bearer", &[("realm", "a, \"b\""), ("error", "c")])],
        ),
        (
            "Negotiate, Bearer Realm=\"a\"",
            vec![challenge("Negotiate", &[]), challenge("Bearer", &[("realm", "a")])],
        ),
        ("Negotiate YWJj, Bearer a=b", vec![challenge("Negotiate", &[]), challenge("Bearer", &[("a", "b")])]),
        ("Negotiate YWI=, Bearer a=b", vec![challenge("Negotiate", &[]), challenge("Bearer", &[("a", "b")])]),
        (
            "Bearer a=b, DPoP algs=\"ES256\"",
            vec![challenge("Bearer", &[("a", "b")]), challenge("DPoP", &[("algs", "ES256")])],
        ),
    ] {
        let parsed = parse_challenges(field);

        assert_eq!(parsed.problems, Vec::<String>::new(), "{field}");
        assert_eq!(parsed.challenges, expected, "{field}");
    }
}

#[test]
fn malformed_challenges_have_problems_and_are_read_as_far_as_possible() {
    for (field, problem, error) in [
        ("Bearer error=\"a\" scope=\"b\"", "no comma after the parameter \"error\"", Some("a")),
        ("Bearer error=\"a", "without a closing quote", Some("a")),
        ("Bearer error='a'", "without double quotes", Some("a")),
        ("Bearer u=https://h/a, error=\"a\"", "without double quotes", Some("a")),
        ("Bearer error=", "without a value", Some("")),
        ("error=\"a\"", "before any scheme", None),
        ("Bearer: error=\"a\"", "no space after the scheme", Some("a")),
        ("Bearer error=\"ä\"", "expected visible ASCII", Some("ä")),
        ("", "empty field", None),
        ("\"Bearer\"", "expected a scheme", None),
    ] {
        let parsed = parse_challenges(field);

        assert!(
            parsed.problems.iter().any(|found| found.contains(problem)),
            "{field}: {:?}",
            parsed.problems
        );
        let found = parsed.challenges.first().and_then(|challenge| challenge.parameter("error"));
        assert_eq!(found, error, "{field}: {parsed:?}");
    }
}

proptest! {
    #[test]
    fn any_text_can_be_read(text in ".{0,200}") {
        let _ = parse_challenges(&text);
        let _ = JsonDocument::parse(text.as_bytes());
        let _ = compare(&text, &url("https://api.example.com/mcp"));
        let _ = metadata::check_url(&text, &url("https://api.example.com/mcp"));
    }

    #[test]
    fn any_text_of_separators_can_be_read(text in "[xB =\",\\\\/']{0,40}") {
        let parsed = parse_challenges(&text);
        prop_assert!(parsed.problems.len() <= 5);
    }

    #[test]
    fn a_challenge_that_is_written_by_the_rules_is_read(
        names in proptest::collection::vec("[a-z_]{1,8}", 0..5),
        value in "[ -~]{0,20}",
    ) {
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
        let parameters: Vec<_> = names.iter().map(|name| format!("{name}=\"{quoted}\"")).collect();
        let parsed = parse_challenges(&format!("Bearer {}", parameters.join(", ")));

        prop_assert_eq!(parsed.problems, Vec::<String>::new());
        let read: Vec<_> = names.iter().map(|name| (name.clone(), value.clone())).collect();
        prop_assert_eq!(parsed.challenges, vec![Challenge { scheme: "Bearer".to_owned(), parameters: read }]);
    }
}

#[test]
fn r9728_resource_is_compared_with_the_url_as_text() {
    let different = |text: &str| Relation::Different(vec![text.to_owned()]);
    for (resource, target, expected) in [
        ("https://h/mcp", "https://h/mcp", Relation::Same),
        ("https://h/mcp", "https://h/mcp?a=b", Relation::Same),
        ("https://h", "https://h/", Relation::Same),
        ("https://h/", "https://h", Relation::Same),
        ("https://h", "https://h/mcp", Relation::Parent),
        ("https://h/", "https://h/mcp", Relation::Parent),
        ("https://h/a", "https://h/a/b", Relation::Parent),
        ("https://h/mcp/", "https://h/mcp", different("a slash at the end")),
        ("https://h/mcp", "https://h/mcp/", different("no slash at the end")),
        ("https://h:443/mcp", "https://h/mcp", different("the default port is written")),
        ("https://h:8443/mcp", "https://h/mcp", different("port 8443 instead of no port")),
        ("https://H/mcp", "https://h/mcp", different("scheme or host in upper case")),
        ("https://h/MCP", "https://h/mcp", different("path \"/MCP\" instead of \"/mcp\", another case")),
        ("https://h/ab", "https://h/a", different("path \"/ab\" instead of \"/a\"")),
        ("https://h/a", "https://h/ab", different("path \"/a\" instead of \"/ab\"")),
        (
            "https://i/mcp",
            "https://h/mcp",
            different("host \"i\" instead of \"h\", which looks like a name behind a proxy"),
        ),
        ("https://api.i/mcp", "https://h/mcp", different("host \"api.i\" instead of \"h\"")),
        (
            "http://h/mcp",
            "https://h/mcp",
            different("scheme \"http\" instead of \"https\", perhaps because a proxy terminates TLS"),
        ),
        ("https://h/mcp#a", "https://h/mcp", different("it has a fragment")),
        ("mcp", "https://h/mcp", different("not a URL")),
    ] {
        assert_eq!(compare(resource, &url(target)), expected, "{resource} for {target}");
    }
}

#[test]
fn r8414_metadata_is_looked_for_at_three_urls() {
    let urls = |issuer: &str| {
        urls::of_authorization_server(&url(issuer)).into_iter().map(String::from).collect::<Vec<_>>()
    };

    assert_eq!(
        urls("https://h/tenant"),
        [
            "https://h/.well-known/oauth-authorization-server/tenant",
            "https://h/.well-known/openid-configuration/tenant",
            "https://h/tenant/.well-known/openid-configuration",
        ]
    );
    assert_eq!(urls("https://h/tenant/"), urls("https://h/tenant"));
    assert_eq!(
        urls("https://h"),
        ["https://h/.well-known/oauth-authorization-server", "https://h/.well-known/openid-configuration"]
    );
}

#[test]
fn plain_http_is_a_fault_except_on_this_machine() {
    assert_eq!(check_scheme(&url("http://api.example.com/mcp")).unwrap().rule.code, "plain-http");
    for fine in
        ["https://api.example.com/mcp", "http://127.0.0.1/", "http://[::1]:80/", "http://localhost:3000/"]
    {
        assert!(check_scheme(&url(fine)).is_none(), "{fine}");
    }
}

#[test]
fn plain_http_resource_is_a_fault() {
    let document = JsonDocument::parse(br#"{"resource": "http://api.example.com/mcp"}"#).unwrap();

    let (_, findings) = metadata::check(&document, &url("http://api.example.com/mcp"), false, None);

    assert!(findings.iter().any(|finding| finding.rule.code == "resource-not-https"), "{findings:?}");
}

#[test]
fn targets_with_credentials_are_refused() {
    for target in ["https://user:secret@h/", "https://user@h/", "ftp://h/", "mcp", "https://h/#a", ""] {
        let problem = Settings::new(target).unwrap_err();

        assert!(!problem.contains("secret"), "{problem}");
    }
}
