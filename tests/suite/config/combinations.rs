//! Combinations that are dangerous, or that have no effect, are refused.

use super::{Folder, load, problems};

/// Asserts that the document has exactly this problem, and none without the line that causes it.
#[track_caller]
fn assert_refused(document: &str, cause: &str, expected: &str) {
    let found = problems(load(document));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with(expected), "{found:#?}");
    let without = document.replacen(cause, "", 1);
    assert_ne!(without, document, "{cause:?} is not in the document");
    assert_eq!(load(&without).err().map(|error| error.to_string()), None);
}

const ISSUER: &str =
    "audience = 'https://orders.example.com'\n[[issuers]]\nissuer = 'https://as.example.com'\n";

fn introspection(folder: &Folder, more: &str) -> String {
    let secret = folder.write("secret", "s3cret\n");
    format!(
        "audience = 'https://orders.example.com'\n[[issuers]]\nissuer = 'https://as.example.com'\nvalidation = 'introspection'\n\
         credential = {{ method = 'bearer', secret_file = '{}' }}\n{more}",
        secret.display()
    )
}

#[test]
fn id_tokens_are_not_told_apart_by_an_opaque_audience() {
    for at_the_top in [true, false] {
        let line = "opaque_audience = '6f1c2a4e'\n";
        let rule = "accept_typ_jwt = { audience_is_only_in_access_tokens = true }\n";
        let document = match at_the_top {
            true => format!("{line}{ISSUER}{rule}"),
            false => format!("{ISSUER}audience = 'urn:a'\n{rule}{line}"),
        };

        assert_refused(
            &document,
            line,
            "issuers[0].accept_typ_jwt.audience_is_only_in_access_tokens: expected another rule",
        );
    }
}

#[test]
fn tokens_without_iss_need_a_claim_that_names_the_issuer() {
    let line = "dangerously_allow_missing_issuer = true\n";

    assert_refused(
        &format!("{ISSUER}{line}"),
        line,
        "issuers[0].dangerously_allow_missing_issuer: expected claim_rules",
    );
    assert_refused(
        &format!("{ISSUER}claim_rules = []\n{line}"),
        line,
        "issuers[0].dangerously_allow_missing_issuer: expected claim_rules",
    );

    let rule = "claim_rules = [{ claim = 'sub', equals = 'spiffe://example.org/orders' }]\n";
    assert_eq!(load(&format!("{ISSUER}{line}{rule}otherwise = true\n")).err(), None);
}

#[test]
fn accept_typ_jwt_needs_exactly_one_rule() {
    for rule in ["{}", "{ has_one_of = 'scope', claim_is = { claim = 'typ', value = 'Bearer' } }"] {
        let line = format!("accept_typ_jwt = {rule}\n");
        assert_refused(
            &format!("{ISSUER}{line}"),
            &line,
            "issuers[0].accept_typ_jwt: expected exactly one of",
        );
    }
    let line = "accept_typ_jwt = { audience_is_only_in_access_tokens = false }\n";
    let expected = "issuers[0].accept_typ_jwt.audience_is_only_in_access_tokens \"false\": expected true";
    assert_refused(&format!("{ISSUER}{line}"), line, expected);
}

#[test]
fn http_on_loopback_that_is_not_used_is_left_over() {
    let line = "allow_http_on_loopback = true\n";

    assert_refused(&format!("{ISSUER}{line}"), line, "issuers[0].allow_http_on_loopback: expected none");
    assert_refused(
        &format!("{ISSUER}[metadata]\nresource = 'https://orders.example.com'\n{line}"),
        line,
        "metadata.allow_http_on_loopback: expected none",
    );
}

#[test]
fn public_resource_does_not_accept_tokens_of_a_server_on_loopback() {
    let issuer =
        "audience = 'urn:a'\n[[issuers]]\nissuer = 'http://127.0.0.1:8000'\nallow_http_on_loopback = true\n";
    let metadata = "[metadata]\nresource = 'https://orders.example.com'\n";

    assert_refused(
        &format!("{issuer}{metadata}"),
        metadata,
        "issuers[0].issuer \"http://127.0.0.1:8000\": expected https, because the resource is https",
    );
}

#[test]
fn maximum_age_is_more_than_the_clock_skew() {
    for (document, found) in [
        (format!("{ISSUER}max_age = '30s'\n"), "30s"),
        (format!("{ISSUER}clock_skew = '2m'\nmax_age = '90s'\n"), "90s"),
    ] {
        let line = format!("max_age = '{found}'\n");
        let expected = format!("issuers[0].max_age \"{found}\": expected more than the clock skew");
        assert_refused(&document, &line, &expected);
    }
}

#[test]
fn settings_of_the_other_kind_of_validation_are_refused() {
    let folder = Folder::new();
    for line in [
        "introspection_endpoint = 'https://as.example.com/introspect'\n",
        "cache_ttl = '1m'\n",
        "inactive_ttl = '1s'\n",
        "timeout = '1s'\n",
        "token_type_hint = true\n",
        "accept_scope_array = true\n",
        "dangerously_allow_missing_audience = true\n",
        "otherwise = true\n",
    ] {
        let key = line.split(' ').next().unwrap();
        let expected = format!("issuers[0].{key}: expected only with validation = \"introspection\"");
        assert_refused(&format!("{ISSUER}{line}"), line, &expected);
    }
    for line in [
        "jwks_uri = 'https://as.example.com/jwks'\n",
        "algorithms = ['RS256']\n",
        "accept_typ_jwt = { has_one_of = 'scope' }\n",
        "max_age = '1h'\n",
        "key_refresh_interval = '1h'\n",
        "key_cool_down = '1m'\n",
        "key_fetch_timeout = '1s'\n",
    ] {
        let key = line.split(' ').next().unwrap();
        let expected = format!("issuers[0].{key}: expected only with validation = \"jwt\"");
        assert_refused(&introspection(&folder, line), line, &expected);
    }
}

#[test]
fn settings_of_a_cache_that_is_off_are_refused() {
    let folder = Folder::new();
    let line = "inactive_ttl = '1s'\n";
    assert_refused(
        &introspection(&folder, &format!("cache_ttl = '0s'\n{line}")),
        line,
        "issuers[0].inactive_ttl: expected none with a cache_ttl of zero",
    );
    let line = "cache_ttl = '1m'\n";
    assert_refused(
        &format!("verdict_cache_bytes = '0B'\n{}", introspection(&folder, line)),
        line,
        "issuers[0].cache_ttl: expected none with verdict_cache_bytes",
    );
}

#[test]
fn introspection_needs_a_credential() {
    let folder = Folder::new();
    let document = introspection(&folder, "");
    let without: String =
        document.lines().filter(|line| !line.starts_with("credential")).collect::<Vec<_>>().join("\n");

    let found = problems(load(&without));

    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("issuers[0].credential: expected the credential"), "{found:?}");
}

#[test]
fn routes_that_are_never_chosen_are_refused() {
    let folder = Folder::new();
    let again = "[[issuers]]\nissuer = 'https://as.example.com'\n";
    assert_refused(
        &format!("{ISSUER}{again}"),
        again,
        "issuers[1].issuer \"https://as.example.com\": expected each issuer once, and issuers[0] has it already",
    );
    let again = format!(
        "[[issuers]]\nissuer = 'https://b.example'\nvalidation = 'introspection'\notherwise = true\n\
         credential = {{ method = 'bearer', secret_file = '{}' }}\n",
        folder.path("secret").display()
    );
    assert_refused(
        &format!("{}{again}", introspection(&folder, "otherwise = true\n")),
        &again,
        "issuers[1].otherwise: expected only one, and issuers[0] is one already",
    );
}

#[test]
fn scopes_that_imply_themselves_are_refused() {
    let found = problems(load(&format!(
        "{ISSUER}[scope_hierarchy]\na = ['b']\nb = ['c']\nc = ['a', 'd']\nd = ['e']\n"
    )));

    assert_eq!(found.len(), 3, "{found:?}");
    for (scope, problem) in ["a", "b", "c"].iter().zip(&found) {
        assert!(
            problem
                .starts_with(&format!("scope_hierarchy.{scope} \"{scope}\": expected a scope that does not")),
            "{found:?}"
        );
    }
}

#[test]
fn only_one_kind_of_policy_is_accepted() {
    let other = "[grpc]\nhealth = { access = 'public' }\n";

    assert_refused(
        &format!("{ISSUER}[paths]\notherwise = {{ access = 'token' }}\n{other}"),
        other,
        "grpc: expected none together with paths",
    );
}

#[test]
fn credential_is_not_forwarded_to_the_backends_of_a_gateway_or_by_an_mcp_server() {
    let line = "dangerously_forward_credential = true\n";
    let metadata = "[metadata]\nresource = 'https://orders.example.com'\n";

    assert_refused(
        &format!("{line}{ISSUER}[paths]\notherwise = {{ access = 'token' }}\n"),
        line,
        "dangerously_forward_credential: expected none with rules for paths",
    );
    assert_refused(
        &format!("{line}{ISSUER}{metadata}[mcp]\ntools = {{ list = ['a'] }}\n"),
        line,
        "dangerously_forward_credential: expected none with mcp",
    );
}

#[test]
fn preflight_requests_do_not_pass_to_grpc() {
    let line = "dangerously_pass_cors_preflight = true\n";

    assert_refused(
        &format!("{line}{ISSUER}[grpc]\notherwise = ['a']\n"),
        line,
        "dangerously_pass_cors_preflight: expected none with grpc",
    );
}

#[test]
fn mcp_needs_metadata() {
    let line = "[mcp]\ntools = { list = ['a'] }\n";

    assert_refused(&format!("{ISSUER}{line}"), line, "metadata: expected metadata");
}

#[test]
fn operations_without_a_rule_are_not_public_by_accident() {
    for kind in ["paths", "grpc"] {
        let line = "otherwise = { access = 'public' }\n";
        let rule = match kind {
            "paths" => "rule = [{ path = '/a', scopes = ['a'] }]\n",
            _ => "health = { access = 'token' }\n",
        };
        let expected = format!("{kind}.otherwise: expected a requirement that is not public");
        assert_refused(&format!("{ISSUER}[{kind}]\n{rule}{line}"), line, &expected);

        let open = "dangerously_public_otherwise = true\n";
        assert_eq!(load(&format!("{ISSUER}[{kind}]\n{rule}{open}")).err(), None);
        let both = format!("{ISSUER}[{kind}]\n{rule}otherwise = ['a']\n{open}");
        let expected = format!("{kind}.otherwise: expected none with dangerously_public_otherwise");
        assert_refused(&both, open, &expected);
    }
    let metadata = "[metadata]\nresource = 'https://orders.example.com'\n";
    let line = "otherwise = { access = 'public' }\n";
    assert_refused(
        &format!("{ISSUER}{metadata}[mcp]\n{line}"),
        line,
        "mcp.otherwise: expected a requirement that is not public",
    );
}

#[test]
fn step_up_needs_a_token() {
    let line = "max_age = '5m'\n";

    assert_refused(
        &format!("{ISSUER}[[paths.rule]]\npath = '/a'\naccess = 'deny'\n{line}"),
        line,
        "paths.rule[0].max_age: expected none without a token",
    );
}
