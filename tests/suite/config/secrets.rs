//! Secrets and keys from files.

use ::axum::Router;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::net::TcpListener;
use tower_bearer::{
    config::{ConfigSource, Environment, Reloaded},
    testing::{ManualClock, TestAuthorizationServer},
};

use super::{Folder, load, parse_toml, problems, toml_source};
use crate::support::App;

/// Serves an authorization server on loopback.
async fn authority() -> TestAuthorizationServer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let authority = TestAuthorizationServer::new(&issuer).with_clock(ManualClock::starting_now());
    let router = Router::new().fallback_service(authority.clone());
    tokio::spawn(::axum::serve(listener, router).into_future());
    authority
}

fn introspection(authority: &TestAuthorizationServer) -> String {
    format!(
        "audience = 'urn:orders'\n[[issuers]]\nissuer = '{}'\nallow_http_on_loopback = true\nvalidation = 'introspection'\n\
         cache_ttl = '0s'\n[issuers.credential]\nmethod = 'secret_basic'\nid = 'resource-server'\n",
        authority.issuer()
    )
}

fn last_credential(authority: &TestAuthorizationServer) -> String {
    let requests = authority.requests_to(&authority.introspection_endpoint());
    let header = requests.last().unwrap().headers()["authorization"].to_str().unwrap().to_owned();
    String::from_utf8(STANDARD.decode(header.strip_prefix("Basic ").unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn secret_is_read_beside_the_document_without_its_line_break_and_again_after_a_change() {
    let (folder, authority) = (Folder::new(), authority().await);
    folder.write("secret", "resource-server-secret\n");
    let path = folder.write("auth.toml", &format!("{}secret_file = 'secret'\n", introspection(&authority)));
    let watch = toml_source(&path).watch().unwrap();
    let app = App::new(watch.resource_server().require_token());
    let token = authority.token().audience("urn:orders").opaque();

    app.present(&token).await.assert_pass();
    assert_eq!(last_credential(&authority), "resource-server:resource-server-secret");

    folder.write("secret", "r0tated\r\n");
    assert_eq!(watch.reload().await.unwrap(), Reloaded::Changed);
    assert_eq!(app.present(&token).await.status, 500);
    assert_eq!(last_credential(&authority), "resource-server:r0tated");

    folder.write("secret", "resource-server-secret");
    assert_eq!(watch.reload().await.unwrap(), Reloaded::Changed);
    app.present(&token).await.assert_pass();
}

#[tokio::test]
async fn name_of_the_secret_file_comes_from_the_environment() {
    let (folder, authority) = (Folder::new(), authority().await);
    let secret = folder.write("secret", "resource-server-secret");
    let environment = Environment::from_variables(
        "TOWER_BEARER_",
        [("TOWER_BEARER_ISSUERS_0_CREDENTIAL_SECRET_FILE", secret.into_os_string())],
    );
    let document = parse_toml(&introspection(&authority)).unwrap();
    let server = ConfigSource::document(document).environment(environment).load().unwrap();

    let token = authority.token().audience("urn:orders").opaque();
    App::new(server.require_token()).present(&token).await.assert_pass();

    assert_eq!(last_credential(&authority), "resource-server:resource-server-secret");
}

#[test]
fn secret_file_that_cannot_be_used_is_a_problem_and_its_name_is_not_shown() {
    let folder = Folder::new();
    let empty = folder.write("empty", "\n").display().to_string();
    let binary = folder.path("binary");
    std::fs::write(&binary, [0xff, 0xfe]).unwrap();
    let binary = binary.display().to_string();
    let pipe = folder.path("pipe").display().to_string();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for (file, expected) in [
        ("canary", "expected a file that can be read ("),
        (&*empty, "expected a file that is not empty"),
        (&*binary, "expected a file in UTF-8"),
        // Nothing is written to it, so reading it would never end.
        (&*pipe, "expected a file that can be read (not a regular file)"),
        ("", "expected the path of a file"),
    ] {
        let found = problems(load(&format!(
            "audience = 'urn:a'\n[[issuers]]\nissuer = 'https://as.example.com'\nvalidation = 'introspection'\n\
             credential = {{ method = 'bearer', secret_file = '{file}' }}\n"
        )));

        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&format!("issuers[0].credential.secret_file: {expected}")), "{found:?}");
        assert!(!found[0].contains("canary"), "{found:?}");
    }
}

#[tokio::test]
async fn keys_are_read_from_a_jwk_set_and_from_pem() {
    let authority =
        TestAuthorizationServer::new("https://as.example.com").with_clock(ManualClock::starting_now());
    let folder = Folder::new();
    folder.write("jwks.json", &authority.jwks().to_string());
    let issuer = "audience = 'urn:orders'\n[[issuers]]\nissuer = 'https://as.example.com'\n";
    let path = folder.write("auth.toml", &format!("{issuer}keys = [{{ file = 'jwks.json' }}]\n"));

    let server = toml_source(&path).load().unwrap();

    let token = authority.token().audience("urn:orders").sign();
    App::new(server.require_token()).present(&token).await.assert_pass();
    for (keys, expected) in [
        (
            "{ file = 'jwks.json', algorithm = 'RS256' }",
            "issuers[0].keys[0].algorithm: expected none for a JWK Set",
        ),
        ("{ file = 'key.pem' }", "issuers[0].keys[0].algorithm: expected the algorithm of the PEM key"),
        ("{ file = 'key.pem', algorithm = 'ES256' }", "issuers[0].keys[0].file: "),
        ("{ file = 'auth.toml' }", "issuers[0].keys[0].file: expected a JWK Set"),
    ] {
        folder.write("key.pem", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
        let path = folder.write("auth.toml", &format!("{issuer}keys = [{keys}]\n"));

        let found = problems(toml_source(&path).load());

        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(expected), "{found:?}");
    }
}

#[test]
fn proxy_and_private_authority_are_checked() {
    let folder = Folder::new();
    folder.write("password", "p4ss\n");
    folder.write("ca.pem", "not a certificate");
    let issuer = "audience = 'urn:orders'\n[[issuers]]\nissuer = 'https://as.example.com'\n";
    for (client, expected) in [
        (
            "proxy = 'http://user:canary@proxy.example:8080'",
            Some("issuers[0].http_client.proxy \"http://[redacted]@proxy.example:8080\": expected"),
        ),
        (
            "proxy = 'socks5://proxy.example'",
            Some("issuers[0].http_client.proxy \"socks5://proxy.example\": expected"),
        ),
        (
            "proxy = 'http://proxy.example', no_proxy = true",
            Some("issuers[0].http_client.proxy: expected no proxy"),
        ),
        (
            "proxy = 'http://proxy.example', proxy_user = 'u'",
            Some("issuers[0].http_client.proxy_password_file: expected both"),
        ),
        ("proxy_user = 'u'", Some("issuers[0].http_client.proxy_user: expected only together with proxy")),
        ("ca_file = 'ca.pem'", Some("issuers[0].http_client.ca_file: expected certificates in PEM")),
        ("proxy = 'http://proxy.example', proxy_user = 'u', proxy_password_file = 'password'", None),
        ("no_proxy = true", None),
        ("public_addresses_only = true, allowed_addresses = ['10.20.0.0/16']", None),
        (
            "allowed_addresses = ['10.20.0.0/16']",
            Some("issuers[0].http_client.allowed_addresses: expected only together"),
        ),
        (
            "public_addresses_only = true, allowed_addresses = ['10.20.0.1/16']",
            Some("issuers[0].http_client: expected settings"),
        ),
        (
            "public_addresses_only = true, no_proxy = true",
            Some("issuers[0].http_client.no_proxy: expected none"),
        ),
    ] {
        let path = folder.write("auth.toml", &format!("{issuer}http_client = {{ {client} }}\n"));

        let found: Vec<_> = toml_source(&path)
            .load()
            .err()
            .iter()
            .flat_map(|error| error.problems().collect::<Vec<_>>())
            .collect();

        assert_eq!(found.len(), usize::from(expected.is_some()), "{client}: {found:?}");
        assert!(
            found.iter().all(|problem| problem.starts_with(expected.unwrap()) && !problem.contains("canary")),
            "{found:?}"
        );
    }
}
