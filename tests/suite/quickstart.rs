//! Proves that `examples/walkthrough` succeeds and that its report shows failures.

#[path = "../../examples/walkthrough/main.rs"]
#[allow(dead_code, reason = "`main` is used only by the example")]
pub(crate) mod example;

use std::time::Duration;

use http::Method;

use example::{
    NO_CACHE, Options,
    participants::Participants,
    report::{Detail, Report, Verdict},
    walk_through,
};

#[tokio::test]
async fn quickstart_succeeds() {
    let (verdict, text) = full_report(NO_CACHE, Detail::Verbose).await;

    assert_eq!(verdict, Verdict::AsExpected, "{text}");
    assert!(text.ends_with(" checks: all as expected\n"), "{text}");
    assert!(text.contains("\n 50  "), "too short: {text}");
}

#[tokio::test]
async fn quickstart_prints_at_most_70_lines_by_default() {
    let (verdict, text) = full_report(NO_CACHE, Detail::Brief).await;

    assert_eq!(verdict, Verdict::AsExpected, "{text}");
    assert!(text.lines().count() <= 70, "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 124, "{line}");
    }
    assert!(!text.contains('✓') && !text.contains('·'), "{text}");
    assert!(text.contains(" checks: all as expected\n"), "{text}");
    assert!(text.lines().last().unwrap().contains("--verbose"), "{text}");
}

#[tokio::test]
async fn quickstart_prints_no_full_secret() {
    let (verdict, text) = full_report(NO_CACHE, Detail::Verbose).await;
    assert_eq!(verdict, Verdict::AsExpected, "{text}");

    // Codes, tokens and identifiers have at least 43 characters.
    let is_secret = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    let longest = text.split(|character| !is_secret(character)).max_by_key(|word| word.len()).unwrap();
    assert!(longest.len() < 40, "{longest}");
}

#[tokio::test]
async fn quickstart_fails_if_the_cache_hides_a_revocation() {
    let (verdict, text) = full_report(Duration::from_secs(60), Detail::Brief).await;

    assert_eq!(verdict, Verdict::NotAsExpected);
    assert!(
        text.contains("✗ server     requests received: expected 1 × introspection, found none"),
        "{text}"
    );
    assert!(text.contains("✗ client     status: expected 401, found 200"), "{text}");
    assert!(text.contains("✗ opaque API reason: expected Inactive, found admitted"), "{text}");
    assert!(text.contains(" steps not as expected: "), "{text}");
}

#[test]
fn port_is_an_option_of_serve() {
    let port = |arguments: &str| {
        let arguments = arguments.split_whitespace().map(str::to_owned);
        Options::parse(arguments).map(|options| options.port).map_err(|error| error.to_string())
    };

    assert_eq!(port(""), Ok(None));
    assert_eq!(port("--serve"), Ok(Some(0)));
    assert_eq!(port("--serve --port 8080 --verbose"), Ok(Some(8080)));
    for wrong in ["--port 8080", "--serve --port", "--serve --port many", "--serve --port 65536", "--help"] {
        assert!(port(wrong).unwrap_err().starts_with("usage: "), "{wrong}");
    }
}

#[tokio::test]
async fn unknown_method_is_405() {
    let participants = Participants::start(NO_CACHE).await.unwrap();

    let answer = participants.client.call(Method::DELETE, &participants.jwt.url, None).await.unwrap();

    assert_eq!(answer.status, 405);
}

#[test]
fn failed_checks_are_counted_by_step() {
    let steps = |report: &mut Report<'_>| {
        report.step("client", "server", "one");
        report.check("client", "status", 200, 200);
        report.step("client", "server", "two");
        report.check("client", "status", 200, 401);
        report.check("client", "error", "(absent)", "invalid_token");
    };

    let (verdict, text) = report(Detail::Verbose, steps, &Ok(()));

    assert_eq!(verdict, Verdict::NotAsExpected);
    assert!(text.contains("✗ client     status: expected 200, found 401"), "{text}");
    assert!(text.ends_with("1 of 2 steps not as expected: 2\n"), "{text}");
}

#[test]
fn failed_check_of_a_folded_step_is_printed_with_its_step() {
    let steps = |report: &mut Report<'_>| {
        report.fold_steps();
        report.step("client", "server", "one");
        report.check("client", "status", 200, 200);
        report.step("client", "server", "two");
        report.check("client", "status", 200, 401);
        report.unfold_steps("client", "server", "both");
    };

    let (verdict, text) = report(Detail::Brief, steps, &Ok(()));

    assert_eq!(verdict, Verdict::NotAsExpected);
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let expected = [
        "2  client → server      two",
        "✗ client     status: expected 200, found 401",
        "1  client → server      both (steps 1 to 2)",
        "",
        "1 of 2 steps not as expected: 2",
    ];
    assert_eq!(lines[..expected.len()], expected, "{text}");
}

#[test]
fn walkthrough_that_stops_early_fails() {
    let (verdict, text) =
        report(Detail::Verbose, |report| report.step("client", "server", "one"), &Err("connection lost"));

    assert_eq!(verdict, Verdict::NotAsExpected);
    assert!(text.ends_with("stopped after step 1: connection lost\n"), "{text}");
}

#[test]
fn report_without_steps_fails() {
    let (verdict, _) = report(Detail::Brief, |_| {}, &Ok(()));

    assert_eq!(verdict, Verdict::NotAsExpected);
}

async fn full_report(opaque_ttl: Duration, detail: Detail) -> (Verdict, String) {
    let participants = Participants::start(opaque_ttl).await.unwrap();
    let mut out = Vec::new();
    let mut report = Report::new(&mut out, detail);
    let result = walk_through(&mut report, &participants).await;
    let verdict = report.finish(&result).unwrap();
    (verdict, String::from_utf8(out).unwrap())
}

fn report(
    detail: Detail,
    steps: impl FnOnce(&mut Report<'_>),
    result: &Result<(), &str>,
) -> (Verdict, String) {
    let mut out = Vec::new();
    let mut report = Report::new(&mut out, detail);
    steps(&mut report);
    let verdict = report.finish(result).unwrap();
    (verdict, String::from_utf8(out).unwrap())
}
