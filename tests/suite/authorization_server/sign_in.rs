//! The login page, and sessions.

use super::*;

#[tokio::test]
async fn user_signs_in_once_per_browser() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let request = authorization_request(&client_id);

    let first = kit.open(&request).await;
    kit.authorize(&request).await;
    let second = kit.open(&request).await;
    let other_browser = Browser::new().unwrap();
    let third = page(other_browser.open(&kit.authorization_url(&request)).await.unwrap()).await;

    assert!(is_login(&first) && !is_login(&second) && is_login(&third));
}

#[tokio::test]
async fn wrong_password_shows_the_login_page_again() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    for (name, value) in [("password", "guess"), ("password", ""), ("username", "bob"), ("username", "")] {
        let login = kit.open(&authorization_request(&client_id)).await;
        let response = kit.browser.submit(&login, &with(&login, name, value)).await.unwrap();

        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{name}={value}");
        assert!(!response.headers().contains_key(header::SET_COOKIE), "{name}={value}");
        let again = Page { url: login.url, html: response.text().await.unwrap() };
        assert!(is_login(&again), "{name}={value}");
    }
}

#[tokio::test]
async fn login_page_works_once() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let login = kit.open(&authorization_request(&client_id)).await;
    let fields = login.fill_in(Decision::Approve);
    page(kit.browser.submit(&login, &fields).await.unwrap()).await;

    let response = kit.browser.submit(&login, &fields).await.unwrap();

    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn session_cookie_is_hidden_from_scripts_and_replaced_by_each_sign_in() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let mut cookies = Vec::new();
    for _ in 0..2 {
        let request = [authorization_request(&client_id), vec![("max_age", "0")]].concat();
        let login = kit.open(&request).await;
        let response = kit.browser.submit(&login, &login.fill_in(Decision::Approve)).await.unwrap();
        cookies.push(response.headers()[header::SET_COOKIE].to_str().unwrap().to_owned());
    }

    assert_ne!(cookies[0], cookies[1]);
    assert!(cookies.iter().all(|cookie| cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax")), "{cookies:?}");
}

#[tokio::test]
async fn session_ends_after_eight_hours() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let request = authorization_request(&client_id);
    kit.authorize(&request).await;
    kit.server.advance_clock(Duration::from_secs(8 * 3_600));

    assert!(is_login(&kit.open(&request).await));
}

fn is_login(page: &Page) -> bool {
    page.html.contains("action=\"/login\"")
}

/// The fields that the user would send, with one of them replaced.
fn with(page: &Page, name: &str, value: &str) -> Vec<(String, String)> {
    let mut fields = page.fill_in(Decision::Approve);
    fields.iter_mut().find(|(known, _)| known == name).unwrap().1 = value.to_owned();
    fields
}
