//! The consent page.

use aws_lc_rs::digest;
use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::*;

#[tokio::test]
async fn page_names_client_hosts_resource_and_scopes() {
    let kit = Kit::start().await;
    let mut metadata = public_client();
    metadata["client_name"] = json!("Build monitor");
    metadata["redirect_uris"] = json!(["https://monitor.example/callback"]);
    let client_id = kit.register(&metadata).await.text("client_id").to_owned();
    let request = authorization_request(&client_id);
    let request = replace(&request, "redirect_uri", "https://monitor.example/callback");
    let request = replace(&request, "scope", "mcp:read mcp:write");

    let html = kit.consent_page(&request).await.html;

    for shown in ["Build monitor", "<strong>monitor.example</strong>", MCP, USER, "not verified"] {
        assert!(html.contains(shown), "{shown}: {html}");
    }
    for scope in ["mcp:read", "mcp:write"] {
        assert!(html.contains(&format!("name=\"scope\" value=\"{scope}\" checked>{scope}<")), "{html}");
    }
}

#[tokio::test]
async fn what_a_client_sent_is_escaped() {
    let kit = Kit::start().await;
    let mut metadata = public_client();
    metadata["client_name"] = json!("<script>alert('&\")</script>");
    let client_id = kit.register(&metadata).await.text("client_id").to_owned();

    let html = kit.consent_page(&authorization_request(&client_id)).await.html;

    assert!(html.contains("&lt;script&gt;alert(&#39;&amp;&quot;)&lt;/script&gt;"), "{html}");
    assert!(!html.contains("<script"), "{html}");
}

#[tokio::test]
async fn client_name_has_no_invisible_characters_and_a_limited_length() {
    let kit = Kit::start().await;
    let mut metadata = public_client();
    for (sent, registered) in [
        ("a\u{202e}b\u{200b}c\nd\u{2066}", json!("abcd")),
        ("\u{202e} ", Value::Null),
        (&*"x".repeat(1_000), json!("x".repeat(60))),
    ] {
        metadata["client_name"] = json!(sent);

        let answer = kit.register(&metadata).await;

        assert_eq!(answer.body["client_name"], registered, "{sent:?}");
    }
}

#[tokio::test]
async fn pages_cannot_be_framed_or_run_scripts() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let request = authorization_request(&client_id);
    let url = kit.authorization_url(&request);
    let login = kit.browser.open(&url).await.unwrap();
    kit.authorize(&request).await;
    let consent = kit.browser.open(&url).await.unwrap();
    let error = kit.browser.open(&kit.url("/authorize")).await.unwrap();

    for response in [login, consent, error] {
        let header = |name| response.headers()[name].to_str().unwrap();
        assert_eq!(header(header::X_FRAME_OPTIONS), "DENY");
        assert_eq!(header(header::CACHE_CONTROL), "no-store");
        assert_eq!(header(header::CONTENT_TYPE), "text/html; charset=utf-8");
        let policy: Vec<_> = header(header::CONTENT_SECURITY_POLICY).split("; ").collect();
        assert_eq!(
            (policy[0], &policy[2..]),
            ("default-src 'none'", &["frame-ancestors 'none'", "base-uri 'none'"][..])
        );
        let allowed = policy[1].to_owned();
        let html = response.text().await.unwrap();
        let style = html.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
        let hash = BASE64_STANDARD.encode(digest::digest(&digest::SHA256, style.as_bytes()));
        assert_eq!(allowed, format!("style-src 'sha256-{hash}'"));
    }
}

#[tokio::test]
async fn denied_request_is_redirected_with_access_denied() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;

    for decision in [Decision::Deny, Decision::ApproveOnly(&[])] {
        let response = kit.decide(&authorization_request(&client_id), decision).await;

        let (target, query) = redirect_target(&response);
        assert_eq!((target.as_str(), query["error"].as_str()), (REDIRECT_URI, "access_denied"));
        assert_eq!(query["state"], "a state & more");
        assert_eq!(query["iss"], kit.server.issuer());
        assert!(!query.contains_key("code"));
    }
}

#[tokio::test]
async fn unticked_scope_is_not_granted() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let request = replace(&authorization_request(&client_id), "scope", "mcp:read mcp:write");
    let response = kit.decide(&request, Decision::ApproveOnly(&["mcp:read"])).await;
    let code = redirect_target(&response).1["code"].clone();

    let tokens = kit.post("/token", &redemption(&client_id, &code)).await;

    assert_eq!(tokens.body["scope"], "mcp:read");
    assert_eq!(kit.verify(tokens.text("access_token")).await.unwrap().1["scope"], "mcp:read");
    let more = kit.refresh(&client_id, tokens.text("refresh_token"), "mcp:read mcp:write").await;
    assert_eq!(more.error(), "invalid_scope");
}

#[tokio::test]
async fn scope_that_was_not_requested_cannot_be_added() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let consent = kit.consent_page(&authorization_request(&client_id)).await;
    let mut fields = consent.fill_in(Decision::Approve);
    fields.push(("scope".to_owned(), "mcp:write".to_owned()));
    let response = kit.browser.submit(&consent, &fields).await.unwrap();
    let code = redirect_target(&response).1["code"].clone();

    let tokens = kit.post("/token", &redemption(&client_id, &code)).await;

    assert_eq!(tokens.body["scope"], "mcp:read");
}

#[tokio::test]
async fn form_of_another_origin_is_refused() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let request = authorization_request(&client_id);
    let login = kit.open(&request).await;
    let consent = kit.consent_page(&request).await;
    for (path, page) in [("/login", &login), ("/consent", &consent)] {
        for origin in ["https://attacker.example", "http://127.0.0.1:1", "null"] {
            let form = page.fill_in(Decision::Approve);
            let request = kit.http.post(kit.url(path)).header(header::ORIGIN, origin).form(&form);

            let response = request.send().await.unwrap();

            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path} {origin}");
        }
    }
}

#[tokio::test]
async fn consent_page_of_another_session_is_refused() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let request = authorization_request(&client_id);
    let attackers = Browser::new().unwrap();
    let login = page(attackers.open(&kit.authorization_url(&request)).await.unwrap()).await;
    let login = attackers.submit(&login, &login.fill_in(Decision::Approve)).await.unwrap();
    let attackers_page = page(login).await;
    kit.authorize(&request).await;

    let forged =
        kit.browser.submit(&attackers_page, &attackers_page.fill_in(Decision::Approve)).await.unwrap();
    let signed_out = Browser::new().unwrap();
    let without =
        signed_out.submit(&attackers_page, &attackers_page.fill_in(Decision::Approve)).await.unwrap();
    let own = attackers.submit(&attackers_page, &attackers_page.fill_in(Decision::Approve)).await.unwrap();

    assert_eq!((forged.status(), without.status()), (StatusCode::BAD_REQUEST, StatusCode::BAD_REQUEST));
    assert_eq!(own.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn consent_page_works_once_and_for_ten_minutes() {
    let kit = Kit::start().await;
    let client_id = kit.public_client().await;
    let request = authorization_request(&client_id);
    let used = kit.consent_page(&request).await;
    let fields = used.fill_in(Decision::Approve);
    assert_eq!(kit.browser.submit(&used, &fields).await.unwrap().status(), StatusCode::SEE_OTHER);
    let old = kit.open(&request).await;
    kit.server.advance_clock(Duration::from_secs(600));

    let again = kit.browser.submit(&used, &fields).await.unwrap();
    let late = kit.browser.submit(&old, &old.fill_in(Decision::Approve)).await.unwrap();

    assert_eq!((again.status(), late.status()), (StatusCode::BAD_REQUEST, StatusCode::BAD_REQUEST));
}
