//! The story of `examples/walkthrough`, told into memory: it goes as it should, and tells when it does not.

#[path = "../../examples/walkthrough/main.rs"]
#[allow(dead_code, reason = "`main` is for the example")]
mod example;

use std::time::Duration;

use example::{
    EACH_TIME,
    cast::Cast,
    narrative::{Story, Verdict},
    tell,
};

#[tokio::test]
async fn quickstart_succeeds() {
    let (verdict, text) = whole_story(EACH_TIME).await;

    assert_eq!(verdict, Verdict::AsItShould, "{text}");
    assert!(text.ends_with(" steps went as they should\n"), "{text}");
    assert!(text.contains("\n 50  "), "too short: {text}");
}

#[tokio::test]
async fn quickstart_prints_no_full_secret() {
    let (verdict, text) = whole_story(EACH_TIME).await;
    assert_eq!(verdict, Verdict::AsItShould, "{text}");

    // Codes, tokens and identifiers have 43 characters at least.
    let is_secret = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    let longest = text.split(|character| !is_secret(character)).max_by_key(|word| word.len()).unwrap();
    assert!(longest.len() < 40, "{longest}");
}

#[tokio::test]
async fn quickstart_fails_when_revocation_is_noticed_late() {
    let (verdict, text) = whole_story(Duration::from_secs(60)).await;

    assert_eq!(verdict, Verdict::Otherwise);
    assert!(text.contains("✗ server     is asked for: expected 1 × introspection, found nothing"), "{text}");
    assert!(text.contains("✗ client     status: expected 401, found 200"), "{text}");
    assert!(text.contains("✗ opaque API reason: expected Inactive, found alice"), "{text}");
    assert!(text.contains(" steps went otherwise than they should: "), "{text}");
}

#[test]
fn failed_checks_are_counted_by_step() {
    let told = |story: &mut Story<'_>| {
        story.step("client", "server", "one");
        story.check("client", "status", 200, 200);
        story.step("client", "server", "two");
        story.check("client", "status", 200, 401);
        story.check("client", "error", "(absent)", "invalid_token");
    };

    let (verdict, text) = story(told, &Ok(()));

    assert_eq!(verdict, Verdict::Otherwise);
    assert!(text.contains("✗ client     status: expected 200, found 401"), "{text}");
    assert!(text.ends_with("1 of 2 steps went otherwise than they should: 2\n"), "{text}");
}

#[test]
fn interrupted_story_fails() {
    let (verdict, text) = story(|story| story.step("client", "server", "one"), &Err("connection lost"));

    assert_eq!(verdict, Verdict::Otherwise);
    assert!(text.ends_with("broke off after step 1: connection lost\n"), "{text}");
}

#[test]
fn story_without_steps_fails() {
    let (verdict, _) = story(|_| {}, &Ok(()));

    assert_eq!(verdict, Verdict::Otherwise);
}

async fn whole_story(opaque_ttl: Duration) -> (Verdict, String) {
    let cast = Cast::assemble(opaque_ttl).await.unwrap();
    let mut out = Vec::new();
    let mut story = Story::new(&mut out);
    let told = tell(&mut story, &cast).await;
    let verdict = story.end(&told).unwrap();
    (verdict, String::from_utf8(out).unwrap())
}

fn story(tell: impl FnOnce(&mut Story<'_>), told: &Result<(), &str>) -> (Verdict, String) {
    let mut out = Vec::new();
    let mut story = Story::new(&mut out);
    tell(&mut story);
    let verdict = story.end(told).unwrap();
    (verdict, String::from_utf8(out).unwrap())
}
