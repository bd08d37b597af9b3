//! The tools, and what Jenkins gets from them.

use super::*;

#[tokio::test]
async fn a44_token_of_the_caller_does_not_reach_jenkins() {
    let kit = Kit::start().await;
    let token = kit.mint(Minting { scope: "mcp:write", ..kit.reading() });
    let client = connect(&kit.resource, Some(&token)).await.unwrap();

    call(&client, list_jobs()).await.unwrap();
    call(&client, trigger_build()).await.unwrap();
    call(&client, tool("show_build", json!({ "job": "app" }))).await.unwrap();
    call(&client, tool("abort_build", json!({ "job": "app", "number": 1 }))).await.unwrap();

    let received = kit.jenkins.received();
    assert!(received.len() >= 7, "{received:?}");
    let signature = token.rsplit('.').next().unwrap();
    for request in received {
        assert!(!format!("{request:?}").contains(signature), "{request:?}");
        let authorization = request.headers[header::AUTHORIZATION].to_str().unwrap();
        assert!(authorization.starts_with("Basic "), "{authorization}");
    }
}

#[tokio::test]
async fn refused_crumb_is_replaced_once() {
    let kit = Kit::start().await;
    let client = kit.writer().await;
    call(&client, trigger_build()).await.unwrap();

    kit.jenkins.end_sessions();
    let started = call(&client, trigger_build()).await.unwrap();

    assert!(started.starts_with(r#"{"build":2,"#), "{started}");
    assert_eq!(kit.jenkins_posts(), ["/job/app/build"; 3]);
}

#[tokio::test]
async fn job_in_a_folder_is_built() {
    let kit = Kit::start().await;
    let client = kit.writer().await;

    let listed = call(&client, tool("list_jobs", json!({ "folder": "team/web" }))).await.unwrap();
    let started = call(&client, tool("trigger_build", json!({ "job": "team/web/site" }))).await.unwrap();

    assert!(listed.starts_with(r#"{"jobs":[{"color":"notbuilt","name":"site"}]"#), "{listed}");
    assert!(started.starts_with(r#"{"build":1,"job":"team/web/site""#), "{started}");
}

#[tokio::test]
async fn name_that_leads_to_another_path_is_refused() {
    let kit = Kit::start().await;
    let client = kit.writer().await;
    for job in ["", "..", "app/../..", "app/", "/app", "a//b", ".", "app?x", "app#x", "%2e%2e", "a\\b"] {
        let before = kit.jenkins.received().len();

        let refused = call(&client, tool("trigger_build", json!({ "job": job }))).await.unwrap();

        assert!(refused.starts_with("-32602 the name of a job"), "{job}: {refused}");
        assert_eq!(kit.jenkins.received().len(), before, "{job}");
    }
    let missing = call(&client, tool("show_build", json!({ "job": "no such job" }))).await.unwrap();
    assert!(missing.starts_with("-32602 Jenkins has no such job"), "{missing}");
}

#[tokio::test]
async fn log_is_read_in_bounded_parts() {
    let kit = Kit::start().await;
    let client = kit.writer().await;
    call(&client, tool("trigger_build", json!({ "job": "soak-test" }))).await.unwrap();
    // Each read adds a line.
    let build = format!("{}/job/soak-test/1/consoleText", kit.jenkins.url());
    let mut whole = String::new();
    while whole.len() < 40_000 {
        whole = kit.as_robot(&build).await;
    }

    let mut read = String::new();
    let (mut offset, mut calls) = (0, 0);
    while read.len() < whole.len() {
        let arguments = json!({ "job": "soak-test", "number": 1, "log_offset": offset });
        let part = call(&client, tool("show_build", arguments)).await.unwrap();
        let part: Value = serde_json::from_str(&part).unwrap();
        let log = part["log"].as_str().unwrap();
        assert!(log.len() <= 16 << 10);
        assert_eq!(part["more"], true);
        read.push_str(log);
        offset = part["next_offset"].as_u64().unwrap();
        calls += 1;
    }

    assert!(read.starts_with(&whole));
    assert_eq!(calls, 3);
}

#[tokio::test]
async fn jenkins_that_cannot_be_reached_is_an_error_without_details() {
    let kit = Kit::run(|issuer, resource, _| {
        let nowhere = JenkinsClient::new("http://127.0.0.1:1", "robot", "a-secret").unwrap();
        assert!(!format!("{nowhere:?}").contains("a-secret"));
        example::app(&example::resource_server(issuer, resource).unwrap(), nowhere).unwrap()
    })
    .await;
    let client = kit.writer().await;

    let failed = call(&client, list_jobs()).await.unwrap();

    assert_eq!(failed, "-32603 Jenkins could not be reached null");
}
