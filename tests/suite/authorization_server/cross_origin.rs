//! Clients in a browser, on another origin (CORS).

use reqwest::Method;

use super::*;

const ORIGIN: &str = "https://page.example";

#[tokio::test]
async fn page_on_another_origin_can_use_the_endpoints_for_clients() {
    let kit = Kit::start().await;
    for (method, path) in [
        (Method::GET, "/.well-known/oauth-authorization-server"),
        (Method::GET, "/jwks"),
        (Method::POST, "/register"),
        (Method::POST, "/token"),
        (Method::POST, "/revoke"),
    ] {
        let before = kit.server.requests(path);
        let request = kit.http.request(Method::OPTIONS, kit.url(path)).header(header::ORIGIN, ORIGIN);
        let request = request.header(header::ACCESS_CONTROL_REQUEST_METHOD, method.as_str());
        let request = request.header(header::ACCESS_CONTROL_REQUEST_HEADERS, "content-type");
        let preflight = request.send().await.unwrap();
        let after_preflight = kit.server.requests(path);
        let response = kit.http.request(method.clone(), kit.url(path)).header(header::ORIGIN, ORIGIN);
        let response = response.send().await.unwrap();

        assert_eq!(preflight.status(), StatusCode::OK, "{path}");
        assert_eq!(preflight.headers()[header::ACCESS_CONTROL_ALLOW_HEADERS], "*", "{path}");
        let methods = preflight.headers()[header::ACCESS_CONTROL_ALLOW_METHODS].to_str().unwrap();
        assert!(methods.contains(method.as_str()), "{path} {methods}");
        // A page must be able to read errors too.
        for response in [&preflight, &response] {
            assert_eq!(response.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*", "{path}");
            assert!(!response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS), "{path}");
        }
        assert_eq!(after_preflight, before, "{path}: preflights are not counted");
    }
}

#[tokio::test]
async fn page_on_another_origin_cannot_read_the_pages_of_the_user() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let authorize = kit.http.get(kit.authorization_url(&authorization_request(&client_id)));
    for request in [
        authorize,
        kit.http.post(kit.url("/login")),
        kit.http.post(kit.url("/consent")),
        kit.http.post(kit.url("/introspect")),
    ] {
        let response = request.header(header::ORIGIN, ORIGIN).send().await.unwrap();

        assert!(!response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), "{}", response.url());
    }
}
