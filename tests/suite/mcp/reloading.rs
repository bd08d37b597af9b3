//! A document that changes while the MCP server of the example serves.

use tower_bearer::config::{ConfigWatch, Reloaded};

use super::*;
use crate::config::Folder;

/// The server of the example, configured in a file.
async fn start() -> (Kit, Folder, ConfigWatch) {
    let folder = Folder::new();
    let path = folder.write("settings.toml", SETTINGS);
    let mut watch = None;
    let kit = Kit::run(|issuer, resource, jenkins| {
        let started = example::source(&path, issuer, resource).watch().unwrap();
        let app = example::app(started.resource_server(), jenkins).unwrap();
        watch = Some(started);
        app
    })
    .await;
    (kit, folder, watch.expect("set by run"))
}

const SETTINGS: &str = include_str!("../../../examples/mcp_jenkins/settings.toml");

async fn tools(client: &example::walk::Client) -> Vec<String> {
    client.list_all_tools().await.unwrap().into_iter().map(|tool| tool.name.into_owned()).collect()
}

#[tokio::test]
async fn rmcp_08_lists_and_calls_follow_changed_scopes_in_the_same_session() {
    let (kit, folder, watch) = start().await;
    let reader = connect(&kit.resource, Some(&kit.mint(kit.reading()))).await.unwrap();
    assert_eq!(tools(&reader).await, ["list_jobs", "show_build"]);
    assert!(call(&reader, list_jobs()).await.unwrap().contains("alice"));
    assert!(call(&reader, trigger_build()).await.unwrap().starts_with("403 "));

    let swapped = SETTINGS
        .replace("list_jobs = [\"mcp:read\"]", "list_jobs = [\"mcp:write\"]")
        .replace("trigger_build = [\"mcp:read\", \"mcp:write\"]", "trigger_build = [\"mcp:read\"]");
    folder.write("settings.toml", &swapped);
    assert_eq!(watch.reload().await, Ok(Reloaded::Changed));

    assert_eq!(tools(&reader).await, ["show_build", "trigger_build"]);
    assert!(call(&reader, list_jobs()).await.unwrap().starts_with("403 "));
    assert!(call(&reader, trigger_build()).await.unwrap().contains("alice"));
    reader.cancel().await.unwrap();
}
