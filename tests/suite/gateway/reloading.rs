//! A document that changes while the gateway serves.

use tower_bearer::config::{ConfigWatch, Reloaded};

use super::*;
use crate::config::Folder;

/// A gateway that is configured in a file.
struct Configured {
    folder: Folder,
    watch: ConfigWatch,
    kit: Kit,
}

impl Configured {
    async fn start() -> Self {
        let folder = Folder::new();
        let authority = AuthorizationServer::start().await.unwrap();
        let (backend, listener) = (bind().await, bind().await);
        let url = format!("http://{}", listener.local_addr().unwrap());
        authority.add_resource(&url, TokenFormat::Jwt, &["mcp:read", "mcp:write"]);
        let token = authority.mint(Minting { resource: &url, scope: "mcp:read", ..Minting::default() });
        let text = include_str!("../../../examples/gateway/gateway.toml")
            .replace("http://127.0.0.1:8080", &url)
            .replace("http://127.0.0.1:8000", authority.issuer())
            .replace("127.0.0.1:8081", &backend.local_addr().unwrap().to_string())
            .replace("authorization_from = \"JENKINS_AUTHORIZATION\"", "");
        let path = folder.write("gateway.toml", &text);

        let Configuration { gateway, source } = Configuration::read(&path).unwrap();
        let watch = source.watch().unwrap();
        let resource_server = watch.resource_server();
        let proxy = gateway.proxy(resource_server).unwrap();
        let layer = resource_server.require_policy().unwrap();
        let service = app(resource_server, &layer, proxy, gateway.websocket_token_prefix).unwrap();
        tokio::spawn(serve(listener, service));
        Self { folder, watch, kit: Kit { authority, backend, url, token } }
    }

    /// Replaces a part of the document.
    fn replace(&self, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.folder.path("gateway.toml")).unwrap();
        assert!(text.contains(old), "{text}");
        self.folder.write("gateway.toml", &text.replacen(old, new, 1));
    }

    async fn assert_forwarded(&self, path: &str) {
        let (_, response) = self.kit.through(&self.kit.get(path, "Connection: close\r\n")).await;
        assert!(response.starts_with("HTTP/1.1 200 "), "{path}: {response}");
    }

    async fn assert_forbidden(&self, path: &str) {
        let response = self.kit.exchange(&self.kit.get(path, "Connection: close\r\n")).await;
        assert!(response.starts_with("HTTP/1.1 403 "), "{path}: {response}");
        self.kit.assert_backend_was_not_called();
    }
}

#[tokio::test]
async fn next_request_follows_a_changed_rule() {
    let configured = Configured::start().await;
    configured.assert_forwarded("/api/json").await;
    configured.assert_forbidden("/new").await;

    configured.replace(
        "path = \"/api/json\"\nscopes = [\"mcp:read\"]",
        "path = \"/api/json\"\nscopes = [\"mcp:write\"]\n[[paths.rule]]\npath = \"/new\"\nscopes = [\"mcp:read\"]",
    );
    assert_eq!(configured.watch.reload().await, Ok(Reloaded::Changed));

    configured.assert_forbidden("/api/json").await;
    configured.assert_forwarded("/new").await;
}

#[tokio::test]
async fn broken_document_keeps_the_rules() {
    let configured = Configured::start().await;
    for (good, broken, expected) in [
        ("path = \"/api/json\"", "path = \"api/json\"", "paths.rule[1].path \"api/json\""),
        ("[gateway.backend]", "[gateway.backend]\nport = 1", "unknown field `port`"),
    ] {
        configured.replace(good, broken);

        let error = configured.watch.reload().await.unwrap_err().to_string();

        assert!(error.contains(expected), "{error}");
        configured.assert_forwarded("/api/json").await;
        configured.replace(broken, good);
    }
}
