//! Paths that try to reach one resource under the rule of another.

use http::Uri;
use tower_bearer::{PathRules, Requirement};

use super::{ADMIN, READ, get, is_denied, is_malformed};

/// Rules in which `/admin` requires most, so that a path that evades its rule requires less.
fn rules() -> PathRules {
    PathRules::builder()
        .any_method("/admin", ADMIN)
        .any_method("/admin/{*rest}", ADMIN)
        .any_method("/public/{*rest}", Requirement::public())
        .any_method("/{page}", READ)
        .any_method("/orders/{id}", READ)
        .dangerously_public_otherwise()
        .build()
        .unwrap()
}

#[test]
fn a62_ambiguous_paths_are_malformed() {
    let paths = [
        // Encoded slashes.
        "/public%2Fadmin",
        "/public%2fadmin",
        "/orders/1%2F..%2F..%2Fadmin",
        "/%2Fadmin",
        "/admin%2F",
        "/public/..%2Fadmin",
        "/public/%2e%2e%2fadmin",
        // Backslashes.
        "/public/..\\\\admin",
        "/public\\\\..\\\\admin",
        "/public/..%5Cadmin",
        "/public/..%5cadmin",
        "/public/%5C..%5Cadmin",
        "/\\\\admin",
        "/%5cadmin",
        "\\\\admin",
        // Dot segments.
        "/public/../admin",
        "/public/./../admin",
        "/./admin",
        "/.",
        "/..",
        "/../admin",
        "/public/..",
        "/public/.",
        "/public/../",
        "/public/%2e%2e/admin",
        "/public/%2E%2E/admin",
        "/public/.%2e/admin",
        "/public/%2e./admin",
        "/%2e/admin",
        "/public/%2e%2e",
        "/public/...//admin",
        "/public/.../admin",
        // Names that Windows shortens.
        "/admin.",
        "/admin..",
        "/admin%2e",
        "/admin%20",
        "/admin./x",
        "/admin%20/x",
        "/admin%20.",
        "/%20admin",
        // Empty segments.
        "//admin",
        "///admin",
        "/public//admin",
        "/public//../admin",
        "//public/../admin",
        "/admin//",
        "//",
        // Path parameters.
        "/admin;",
        "/admin;x",
        "/admin;x=y/z",
        "/;/admin",
        "/public/..;/admin",
        "/public/..;x=y/admin",
        "/public/;/../admin",
        "/admin%3B",
        "/admin%3bx=y",
        "/public/..%3B/admin",
        "/public/%2e%2e;/admin",
        "/orders/1;jsessionid=2",
        // Encoded twice.
        "/%2561dmin",
        "/public/%252e%252e/admin",
        "/public%252Fadmin",
        "/public/..%252fadmin",
        "/public/%255c..%255cadmin",
        "/admin%253B",
        "/%25",
        "/%25252561dmin",
        "/100%25",
        // An encoded end of the path.
        "/admin%3F",
        "/admin%3f.css",
        "/admin%23",
        "/public/x%23/../admin",
        // Control characters.
        "/admin%00",
        "/admin%00.css",
        "/%00/admin",
        "/admin%0A",
        "/admin%0d%0aHost:%20x",
        "/admin%09",
        "/admin%1f",
        "/admin%7F",
        "/admin%08",
        // Incomplete and foreign escapes.
        "/admin%",
        "/admin%2",
        "/%",
        "/%%32%66",
        "/%zz",
        "/%2g",
        "/%-1",
        "/%+1",
        "/admin%u002f",
        "/%u0061dmin",
        "/public/%u002e%u002e/admin",
        "/% 2f",
        // Not UTF-8, and overlong forms.
        "/%ff",
        "/public%c0%afadmin",
        "/public/%c0%ae%c0%ae/admin",
        "/%c1%a1dmin",
        "/public%e0%80%afadmin",
        "/public%f0%80%80%afadmin",
        "/%ed%a0%80",
        "/%f4%90%80%80",
        "/%e9t%e9",
        "/%80",
        // Outside of ASCII: look-alikes of slashes, dots, backslashes and letters.
        "/public%E2%88%95admin",
        "/public/..\u{2215}admin",
        "/public%EF%BC%8Fadmin",
        "/public/%EF%BC%8E%EF%BC%8E/admin",
        "/public\u{ff0f}admin",
        "/public%E2%81%84admin",
        "/%EF%BD%81dmin",
        "/adm%C4%B1n",
        "/adm\u{131}n",
        "/%E2%84%AAey",
        "/admin%C2%A0",
        "/admin%E2%80%8B",
        "/admin%EF%BB%BF",
        "/%EF%BC%85%32%46",
        "/ol%C3%A9",
        "/ol\u{e9}",
        "/cafe%CC%81",
        // Only by case different from a rule.
        "/Admin",
        "/ADMIN",
        "/aDmIn/x",
        "/%41dmin",
        "/admi%4E",
        "/Public/x",
        "/ORDERS/1",
        "/ADMIN/",
    ];
    let rules = rules();
    for path in paths {
        match path.parse::<Uri>() {
            Ok(_) => assert!(is_malformed(&get(&rules, path)), "{path}: {:?}", get(&rules, path)),
            // Then no server built on `http` has such a request.
            Err(error) => assert!(error.to_string().contains("invalid"), "{path}: {error}"),
        }
    }
}

#[test]
fn a62_escapes_do_not_dodge_literals() {
    let rules = rules();
    for path in [
        "/admin",
        "/admin/",
        "/%61dmin",
        "/%61%64%6d%69%6e",
        "/%61%64%6D%69%6E/",
        "/adm%69n/x",
        "/admin/..x",
        "/admin/.x",
        "/admin/x/",
        "/admin?x=/public/../;%2F",
        "/admin/%7Eroot",
        "/admin/a%20b",
        "/admin/a+b",
        "/admin/a:b@c,d=e&f!g$h'i(j)*k~l_m-n|o",
    ] {
        assert_eq!(get(&rules, path), ADMIN.into(), "{path}");
    }
    for path in ["/other", "/other/", "/%6fther", "/administrator", "/adm", "/x%20y", "/a%2bb", "/a%2Bb"] {
        assert_eq!(get(&rules, path), READ.into(), "{path}");
    }
}

#[test]
fn a62_targets_without_a_path_are_malformed() {
    let rules = rules();
    for target in ["*", "example.com:443", "example.com"] {
        assert!(is_malformed(&get(&rules, target)), "{target}");
    }
    // `http` removes fragments, so neither the layer nor a backend behind it sees them.
    assert_eq!(get(&rules, "/admin#/../public/x"), ADMIN.into());
    // The absolute form has a path, which HTTP/2 always sends in this form.
    assert_eq!(get(&rules, "https://example.com/admin"), ADMIN.into());
    assert_eq!(get(&rules, "https://public@example.com/admin"), ADMIN.into());
    assert!(is_malformed(&get(&rules, "https://example.com/public/../admin")));
}

#[test]
fn a62_only_harmless_characters_outside_of_ascii_can_be_allowed() {
    let rules = PathRules::builder()
        .any_method("/key", ADMIN)
        .any_method("/{page}", READ)
        .allow_non_ascii()
        .build()
        .unwrap();
    for path in ["/ol%C3%A9", "/ol\u{e9}", "/%E6%97%A5%E6%9C%AC", "/%CE%A9", "/b\u{fc}ro-2"] {
        assert_eq!(get(&rules, path), READ.into(), "{path}");
    }
    for path in [
        "/%E2%88%95x",
        "/x\u{2044}y",
        "/x\u{ff0f}y",
        "/\u{ff4b}ey",
        "/\u{212a}ey",
        "/\u{131}",
        "/\u{17f}",
        "/\u{130}",
        "/x\u{2024}",
        "/x\u{2024}\u{2024}/y",
        "/x\u{200b}",
        "/x\u{a0}",
        "/x\u{3000}",
        "/x\u{202e}",
        "/\u{1d424}ey",
        "/\u{24da}ey",
        "/\u{2170}",
        "/\u{feff}key",
        "/x\u{85}",
        "/\u{fb01}",
        "/\u{b2}",
        "/\u{2f}\u{338}",
        "/\u{fe68}x",
        "/k\u{301}ey",
        "/\u{1f131}",
        "/x\u{ff1b}y",
        "/x\u{37e}y",
        "/x\u{29f8}y",
        "/x\u{2216}y",
        "/x\u{fffd}",
    ] {
        assert!(is_malformed(&get(&rules, path)), "{path}");
    }
}

#[test]
fn a62_otherwise_does_not_open_what_a_backend_could_read_as_a_rule() {
    let rules =
        PathRules::builder().any_method("/admin", ADMIN).dangerously_public_otherwise().build().unwrap();

    assert_eq!(get(&rules, "/else"), Requirement::public());
    for path in ["/Admin", "/admin;x", "/x/../admin", "//admin", "/%2561dmin"] {
        assert!(is_malformed(&get(&rules, path)), "{path}");
    }
    let denied = PathRules::builder().any_method("/admin", Requirement::deny("closed")).build().unwrap();
    assert!(is_denied(&get(&denied, "/%61dmin/")));
}

#[test]
fn a62_patterns_in_upper_case_match_exactly() {
    let rules = PathRules::builder()
        .any_method("/job/{name}/lastBuild/consoleText", READ)
        .any_method("/job/{name}/{*rest}", ADMIN)
        .build()
        .unwrap();

    assert_eq!(get(&rules, "/job/Nightly/lastBuild/consoleText"), READ.into());
    assert_eq!(get(&rules, "/job/nightly/lastBuild/consoleText"), READ.into());
    assert_eq!(get(&rules, "/job/Nightly/lastbuild/other"), ADMIN.into());
    assert!(is_malformed(&get(&rules, "/job/nightly/lastbuild/consoletext")));
    assert!(is_malformed(&get(&rules, "/job/nightly/LASTBUILD/consoleText")));
    assert!(is_malformed(&get(&rules, "/JOB/nightly/x")));
    let long = format!("/job/{}/lastBuild/consoleText", "N".repeat(1_000));
    assert_eq!(get(&rules, &long), READ.into());
}
