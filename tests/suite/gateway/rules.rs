//! The rules of `gateway.toml`.

use super::*;

#[tokio::test]
async fn rules_decide_by_method_and_path() {
    let kit = Kit::run(|_| (), None).await;
    let reader = Minting { resource: &kit.url, scope: "mcp:read", ..Minting::default() };
    let reader = kit.authority.mint(reader);
    for (method, path) in [
        ("GET", "/job/app/api/json"),
        ("GET", "/job/%61pp/api/json"),
        ("HEAD", "/job/app/7/consoleText"),
        ("GET", "/job/team/job/api/7/logText/progressiveText?start=0"),
    ] {
        let request =
            kit.get(path, "Connection: close\r\n").replacen("GET", method, 1).replace(&kit.token, &reader);

        let (head, response) = kit.through(&request).await;

        // The path arrives as it was sent.
        assert!(head.starts_with(&format!("{method} {path} HTTP/1.1\r\n")), "{head}");
        assert!(response.starts_with("HTTP/1.1 200 "), "{method} {path}: {response}");
    }
    let request =
        kit.post("Connection: close\r\nContent-Length: 0\r\n").replacen(" / ", " /job/app/build ", 1);
    let (_, response) = kit.through(&request).await;
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");

    let refused = kit.exchange(&request.replace(&kit.token, &reader)).await;
    assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
    assert!(
        refused.contains("error=\"insufficient_scope\"") && refused.contains("scope=\"mcp:write\""),
        "{refused}"
    );
    let refused = request.replace(&format!("Authorization: Bearer {}\r\n", kit.token), "");
    let refused = kit.exchange(&refused).await;
    assert!(refused.starts_with("HTTP/1.1 401 ") && refused.contains("scope=\"mcp:write\""), "{refused}");
    kit.assert_backend_was_not_called();
}

#[tokio::test]
async fn path_that_the_rules_do_not_allow_does_not_reach_the_backend() {
    let kit = Kit::run(|_| (), None).await;
    for (path, status) in [
        ("/script", 403),
        ("/job/app/doDelete/x", 403),
        ("/job/app/7/config.xml", 403),
        ("/job/app/config.xml", 403),
        ("/job/app/%63onfig.xml/", 403),
        ("/job/app/configure", 403),
        ("/job/app/ws", 403),
        ("/job/team/job/api/config.xml", 403),
        ("/job/team/job/api/configure", 403),
        ("/job/team/job/api/ws/", 403),
        ("/job/a/job/b/job/c/api/json", 403),
        ("/job/app/../../script", 400),
        ("/job/app/%2e%2e/api/json", 400),
        ("/job/app%2Fapi/json", 400),
        ("/job/app%5C..%5Cscript/api/json", 400),
        ("//api/json", 400),
        ("/api/json;/script", 400),
        ("/api/json%00", 400),
        ("/API/json", 400),
        ("http://gateway/job/app/../../script", 400),
    ] {
        let response = kit.exchange(&kit.get(path, "Connection: close\r\n")).await;

        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {response}");
        kit.assert_backend_was_not_called();
    }
}
