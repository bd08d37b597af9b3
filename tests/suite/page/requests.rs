//! The page's server answers only the page, and the page can call the APIs.

use http::{HeaderMap, StatusCode};

use super::Page;

#[tokio::test]
async fn other_site_cannot_stop_the_authorization_server() {
    let page = Page::start(0).await.unwrap();
    let stop = format!("{}/authorization-server/stop", page.url);
    let issuer = format!("{}/jwks", page.participants.server.issuer());

    let other = client().post(&stop).header("origin", "http://127.0.0.1:1").send().await.unwrap().status();
    let none = client().post(&stop).send().await.unwrap().status();
    let before = client().get(&issuer).send().await;
    let own = client().post(&stop).header("origin", &page.url).send().await.unwrap().status();
    let after = client().get(&issuer).send().await;

    assert_eq!((other, none, own), (StatusCode::FORBIDDEN, StatusCode::FORBIDDEN, StatusCode::NO_CONTENT));
    assert!(before.is_ok());
    assert!(after.unwrap_err().is_connect());
}

#[tokio::test]
async fn other_site_cannot_read_the_events() {
    let page = Page::start(0).await.unwrap();
    let events = format!("{}/events", page.url);

    let other = client().get(&events).header("origin", "http://127.0.0.1:1").send().await.unwrap();
    // A name that resolves to this machine, to get around the same-origin policy.
    let rebound = client().get(&events).header("host", "attacker.example").send().await.unwrap();

    assert_eq!(other.status(), StatusCode::FORBIDDEN);
    assert_eq!(
        (rebound.status(), rebound.headers()["location"].as_bytes()),
        (StatusCode::SEE_OTHER, page.url.as_bytes())
    );
}

#[tokio::test]
async fn page_runs_only_its_own_script() {
    let page = Page::start(0).await.unwrap();

    let response = client().get(&page.url).send().await.unwrap();

    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    let html = response.text().await.unwrap();
    assert!(!html.contains(" src=") && !html.contains("@import") && !html.contains("url(http"));
}

#[tokio::test]
async fn page_can_read_the_challenge_and_other_origins_cannot() {
    let page = Page::start(0).await.unwrap();
    let api = &page.participants.jwt.url;

    let own = client().get(api).header("origin", &page.url).send().await.unwrap();
    let other = client().get(api).header("origin", "http://127.0.0.1:1").send().await.unwrap();

    assert_eq!(own.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(own.headers()["access-control-allow-origin"], *page.url);
    let exposed = all_values(own.headers(), "access-control-expose-headers");
    for name in ["www-authenticate", "retry-after", "x-call-id"] {
        assert!(exposed.contains(name), "{exposed}");
    }
    // Browsers compare the origin with this value.
    assert_eq!(other.headers()["access-control-allow-origin"], *page.url);
}

#[tokio::test]
async fn preflight_needs_no_token() {
    let page = Page::start(0).await.unwrap();

    let preflight = client()
        .request(http::Method::OPTIONS, &page.participants.jwt.url)
        .header("origin", &page.url)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization")
        .send()
        .await
        .unwrap();

    assert_eq!(preflight.status(), StatusCode::OK);
    assert_eq!(preflight.headers()["access-control-allow-headers"], "authorization");
    assert_eq!(preflight.headers()["access-control-allow-methods"], "GET,POST");
}

#[tokio::test]
async fn chosen_port_is_used() {
    let page = Page::start(0).await.unwrap();
    let port = page.url.rsplit_once(':').unwrap().1.parse().unwrap();

    // The port is in use, so asking for exactly this one fails.
    let second = Page::start(port).await.map(|page| page.url.clone());

    assert!(second.unwrap_err().to_string().contains("in use"));
}

fn all_values(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap());
    values.collect::<Vec<_>>().join(", ").to_lowercase()
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}
