//! The command line, the report and its documentation.

use std::time::Duration;

use serde_json::Value;

use super::{
    examine_site,
    example::{
        arguments::{Command, Format, Settings, parse},
        rules,
    },
    site::{PATH, Reply},
};

const GUIDE: &str = include_str!("../../../docs/guides/doctor.md");

fn parse_words(line: &str) -> Result<(Settings, Format), String> {
    match parse(line.split_whitespace().map(str::to_owned))? {
        Command::Examine(settings, format) => Ok((*settings, format)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn options_are_read_in_any_order() {
    let (settings, format) =
        parse_words("--json https://h/api --timeout=500ms --origin https://app.example.com --method HEAD")
            .unwrap();

    assert_eq!(settings.target.as_str(), "https://h/api");
    assert_eq!(format, Format::Json);
    assert_eq!(settings.timeout, Duration::from_millis(500));
    assert_eq!(settings.origin.as_deref(), Some("https://app.example.com"));
    assert_eq!(settings.method, Some(http::Method::HEAD));
    assert!(!settings.is_mcp);
    assert!(parse_words("https://h/api --mcp").unwrap().0.is_mcp);
    assert!(parse_words("https://h/v1/mcp").unwrap().0.is_mcp);
}

#[test]
fn invalid_arguments_are_refused() {
    for line in [
        "",
        "--json",
        "https://h https://i",
        "https://h --unknown",
        "https://h --json=yes",
        "https://h --timeout",
        "https://h --timeout 0s",
        "https://h --timeout 1h",
        "https://h --timeout 99999999999999999999m",
        "https://h --origin app.example.com",
        "https://h --origin https://app.example.com/path",
        "https://h --method DELETE",
    ] {
        assert!(parse_words(line).is_err(), "{line}");
    }
    assert!(matches!(parse(["-h".to_owned()]), Ok(Command::Help)));
    assert!(matches!(parse(["--codes".to_owned()]), Ok(Command::Codes)));
}

#[tokio::test]
async fn json_report_has_the_documented_members() {
    let report = examine_site(
        |_, request, reply| match request.is_resource() {
            true => Reply::new(403),
            false => reply,
        },
        PATH,
        |_| {},
    )
    .await;

    let json: Value = serde_json::from_str(&report.to_json()).unwrap();

    let finding = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["code"] == "forbidden-without-token");
    assert_eq!(finding.unwrap()["severity"], "error");
    assert_eq!((&json["severity"], &json["exit_code"]), (&"error".into(), &2.into()));
    assert_eq!(
        json["errors"],
        json["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] == "error").count()
    );
    for object in [&json, &json["findings"][0], &json["requests"][0]] {
        for name in object.as_object().unwrap().keys() {
            assert!(GUIDE.contains(&format!("| `{name}` |")), "{name} is not in the guide");
        }
    }
}

#[tokio::test]
async fn text_report_names_each_finding_and_fits_a_terminal() {
    let report = examine_site(|_, _, reply| reply.status(403), PATH, |_| {}).await;

    let text = report.to_text();

    for finding in &report.findings {
        assert!(text.contains(finding.rule.code), "{text}");
    }
    assert!(text.contains("\nERROR forbidden-without-token\n"), "{text}");
    assert!(!text.contains('\u{1b}'));
    assert!(text.lines().all(|line| line.chars().count() <= 170), "{text}");
}

#[test]
fn guide_lists_all_codes() {
    for line in rules::table().lines() {
        assert!(GUIDE.contains(line), "missing in docs/guides/doctor.md: {line}");
    }
    let listed =
        GUIDE.lines().filter(|line| line.starts_with("| `") && line.matches(" | ").count() == 3).count();
    assert_eq!(listed, rules::ALL.len(), "the guide lists codes that do not exist");
}
