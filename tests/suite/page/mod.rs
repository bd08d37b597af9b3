//! Proves that the page of `quickstart -- --serve` works in a real browser.

mod chromium;
mod requests;

use std::path::Path;

use serde_json::{Value, json};

use super::quickstart::example::{authorization_server::PASSWORD, page::Page};
use chromium::Chromium;

#[tokio::test]
async fn every_button_works_on_a_desktop() {
    if let Some(browser) = Chromium::start("page-desktop").await {
        walk(&browser, Screen { name: "desktop", width: 1_280, height: 800 }).await;
    }
}

#[tokio::test]
async fn every_button_works_on_a_phone() {
    if let Some(browser) = Chromium::start("page-phone").await {
        walk(&browser, Screen { name: "phone", width: 360, height: 740 }).await;
    }
}

#[tokio::test]
async fn user_who_denies_can_try_again() {
    let Some(browser) = Chromium::start("page-denied").await else { return };
    let page = Page::start(0).await.unwrap();
    browser.open(&page.url).await;
    for button in ["discover", "register"] {
        press(&browser, button).await;
    }

    browser.click("#do-login").await;
    sign_in(&browser).await;
    browser.click("button[value=deny]").await;
    browser.wait_for("document.querySelector('#outcome-login .failed')").await;
    let refused = text(&browser, "#outcome-login").await;
    browser.click("#do-login").await;
    browser.click("button[value=approve]").await;
    browser.wait_for("document.body?.dataset.done === '3'").await;

    assert!(refused.contains("access_denied"), "{refused}");
    assert!(text(&browser, "#outcome-login").await.contains("has a token"));
}

#[tokio::test]
async fn answer_with_another_state_is_not_redeemed() {
    let Some(browser) = Chromium::start("page-state").await else { return };
    let page = Page::start(0).await.unwrap();
    browser.open(&page.url).await;
    for button in ["discover", "register"] {
        press(&browser, button).await;
    }

    browser.click("#do-login").await;
    browser.wait_for("document.querySelector('input[name=password]')").await;
    let forged =
        format!("{}/callback?code=stolen&state=forged&iss={}", page.url, page.participants.server.issuer());
    browser.open(&forged).await;
    browser.wait_for("document.querySelector('#outcome-login .failed')").await;

    let outcome = text(&browser, "#outcome-login").await;
    assert!(outcome.contains("A check failed: state"), "{outcome}");
    assert_eq!(page.participants.server.requests("/token"), 0);
}

#[tokio::test]
async fn reload_keeps_the_progress_and_start_over_clears_it() {
    let Some(browser) = Chromium::start("page-reload").await else { return };
    let page = Page::start(0).await.unwrap();
    browser.open(&page.url).await;
    press(&browser, "discover").await;
    let before = text(&browser, "#step-discover").await;

    browser.open(&page.url).await;
    browser.wait_for("document.querySelector('#do-register')").await;
    let after = text(&browser, "#step-discover").await;
    browser.click("#start-over").await;
    browser.wait_for("document.querySelector('#do-discover')").await;

    assert_eq!(after, before);
    assert_eq!(count(&browser, ".row").await, 0);
}

struct Screen {
    name: &'static str,
    width: u32,
    height: u32,
}

/// Presses every button in order, and checks what the page shows.
async fn walk(browser: &Chromium, screen: Screen) {
    let page = Page::start(0).await.unwrap();
    browser.resize(screen.width, screen.height).await;
    browser.set_color_scheme("light").await;
    browser.open(&page.url).await;
    browser.wait_for("document.querySelector('#do-discover')").await;
    let pictures = Pictures { browser, screen: &screen };
    pictures.take("first").await;

    let mut signed_in = false;
    for (done, (button, step, expected)) in (1..).zip(ROAD) {
        browser.click(&format!("#do-{button}")).await;
        if ["login", "step-up", "opaque"].contains(&button) {
            if !signed_in {
                sign_in(browser).await;
                signed_in = true;
            }
            browser.click("button[value=approve]").await;
        }
        wait_until_done(browser, done).await;

        let outcome = text(browser, &format!("#outcome-{step}")).await;
        assert!(outcome.contains(expected), "{button}: {outcome}");
        assert_fits(browser, button).await;
        pictures.take(button).await;
    }

    assert_eq!(text(browser, "#step-outage .number").await, "✓");
    assert_eq!(count(browser, ".checks [data-bad], .failed").await, 0);
    browser.run("document.querySelectorAll('details').forEach((details) => details.open = true)").await;
    assert_fits(browser, "with all details open").await;
    assert_servers_are_drawn(browser).await;
    assert_client_is_removed(browser).await;
    assert_console_is_clean(browser).await;
    assert_is_accessible(browser).await;
    pictures.finish().await;
}

/// The buttons in their order, each with its step, and a part of the outcome.
const ROAD: [(&str, &str, &str); 12] = [
    ("discover", "discover", "401, as it should be. The page now knows the scope (mcp:read)"),
    ("register", "register", "The client identifier is "),
    ("login", "login", "The page has a token for 127.0.0.1:"),
    ("call", "call", "200, for alice."),
    ("again", "call", "200 again."),
    ("trigger", "step-up", "403: the token is valid, but lacks mcp:write."),
    ("step-up", "step-up", "202: with the new token, build 1 has started."),
    ("opaque", "revoke", "200. This token is only a random string"),
    ("revoke", "revoke", "Opaque API: 401 at once. JWT API: still 200, for 60 more minutes"),
    ("stop", "outage", "Then the server was stopped"),
    ("during", "outage", "JWT API: 200, even with a new token. Opaque API: 503, try again in "),
    ("start", "outage", "200 with the same token, on the first try."),
];

async fn press(browser: &Chromium, button: &str) {
    browser.click(&format!("#do-{button}")).await;
    let done = ROAD.iter().position(|(name, _, _)| *name == button).unwrap() + 1;
    wait_until_done(browser, done).await;
}

async fn wait_until_done(browser: &Chromium, done: usize) {
    browser
        .wait_for(&format!("document.body?.dataset.done === '{done}' || document.querySelector('.failed')"))
        .await;
    assert_eq!(count(browser, ".failed").await, 0, "{}", text(browser, "main").await);
}

async fn sign_in(browser: &Chromium) {
    browser.type_into("input[name=password]", PASSWORD).await;
    browser.click("form button").await;
}

async fn text(browser: &Chromium, selector: &str) -> String {
    let text = browser.run(&format!("return document.querySelector({}).innerText", json!(selector))).await;
    text.as_str().unwrap().to_owned()
}

async fn count(browser: &Chromium, selector: &str) -> u64 {
    let count = browser.run(&format!("return document.querySelectorAll({}).length", json!(selector))).await;
    count.as_u64().unwrap()
}

/// Nothing is wider than the screen, so that there is no horizontal scrolling.
async fn assert_fits(browser: &Chromium, button: &str) {
    let script = "const width = document.documentElement.clientWidth;
        return [document.documentElement.scrollWidth - width,
            [...document.querySelectorAll('main *')]
                .filter((node) => !node.closest('.hidden') && node.getBoundingClientRect().right > width + 0.5)
                .map((node) => node.outerHTML.slice(0, 120))]";
    assert_eq!(browser.run(script).await, json!([0, []]), "after {button}");
}

/// The page draws the requests that it cannot see itself.
async fn assert_servers_are_drawn(browser: &Chromium) {
    for (step, words) in [
        ("call", "JWT API to authorization server: GET /.well-known/oauth-authorization-server"),
        ("call", "JWT API to authorization server: GET /jwks"),
        ("revoke", "opaque API to authorization server: POST /introspect"),
        ("revoke", "active: false"),
        ("outage", "authorization server to opaque API: no connection"),
    ] {
        let script =
            format!("return document.querySelector('#step-{step} .rows').textContent.includes('{words}')");
        assert_eq!(browser.run(&script).await, true, "{words} in {step}");
    }
    // The keys are fetched once, and a known token needs no request.
    let rows = browser.run("return document.body.textContent.split('GET /jwks').length - 1").await;
    assert_eq!(rows, 1);
}

/// The token contains `client_id`. The handler gets neither this claim nor the header with the token.
async fn assert_client_is_removed(browser: &Chromium) {
    for step in ["call", "revoke"] {
        let script = format!(
            "return Object.fromEntries([...document.querySelectorAll('#step-{step} tbody tr')]
                .map((row) => [...row.children].map((cell) => cell.textContent))
                .map(([name, token, handler]) => [name, [token, handler]]))"
        );
        let claims = browser.run(&script).await;
        let removed = "removed by the layer";
        for name in ["client_id", "Authorization"] {
            assert_eq!(claims[name][1], removed, "{claims}");
            assert_ne!(claims[name][0], removed, "{claims}");
        }
        assert_eq!(claims["sub"], json!(["alice", "alice"]));
    }
}

/// The console has only the expected refusals, which Chromium logs as failed resources.
async fn assert_console_is_clean(browser: &Chromium) {
    let refusals = ["status of 401", "status of 403", "status of 503"];
    let unexpected: Vec<Value> = browser
        .console()
        .await
        .into_iter()
        .filter(|entry| {
            let message = entry["message"].as_str().unwrap();
            entry["source"] != "network" || !refusals.iter().any(|status| message.contains(status))
        })
        .collect();
    assert_eq!(unexpected, [] as [Value; 0]);
}

/// Text has enough contrast (WCAG 2.2, 1.4.3), in both color schemes, and buttons are large enough to press.
async fn assert_is_accessible(browser: &Chromium) {
    for scheme in ["light", "dark"] {
        browser.set_color_scheme(scheme).await;
        assert_eq!(browser.run(include_str!("contrast.js")).await, json!([]), "{scheme}");
    }
    browser.set_color_scheme("light").await;
    let script =
        "return [...document.querySelectorAll('button')].every((button) => button.offsetHeight >= 44)
        && document.querySelectorAll('[role=status]').length === 7 && document.documentElement.lang === 'en'";
    assert_eq!(browser.run(script).await, true);
}

/// Writes pictures into the directory that `PAGE_PICTURES` names, if it is set.
struct Pictures<'a> {
    browser: &'a Chromium,
    screen: &'a Screen,
}

impl Pictures<'_> {
    async fn take(&self, moment: &str) {
        if let Some(directory) = std::env::var_os("PAGE_PICTURES") {
            let path = Path::new(&directory).join(format!("{}-{moment}.png", self.screen.name));
            self.browser.take_picture(&path).await;
        }
    }

    /// The call with the compared token, in both color schemes, for the README.
    async fn finish(&self) {
        self.browser.resize(self.screen.width, 900).await;
        self.browser.devtools("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
        self.browser
            .run("document.querySelectorAll('details').forEach((details) => details.open = false)")
            .await;
        self.browser.run("document.querySelector('#step-call').scrollIntoView()").await;
        self.take("call-light").await;
        self.browser.set_color_scheme("dark").await;
        self.take("call-dark").await;
    }
}
