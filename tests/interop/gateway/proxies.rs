//! Third-party proxies that ask the decision service before they forward a request.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use axum::{Router, extract::Request};
use http::{HeaderMap, Method, StatusCode, header};
use reqwest::{RequestBuilder, Response};
use tokio::process::{Child, Command};

use tower_bearer::{PathRules, Scope};

use crate::support::{Script, Tools, http_client, serve_with, soon, system_program};

use super::*;

/// The content of the page that requires a token.
const PAGE: &str = "the protected page";

/// A third-party proxy between a client and the protected page.
struct Proxy {
    _child: Child,
    authority: AuthorizationServer,
    http: reqwest::Client,
    url: String,
    /// The requests that reached the page.
    seen: Arc<Mutex<Vec<HeaderMap>>>,
    /// How this proxy answers where the decision was neither 2xx, 401 nor 403.
    other_refusals: Refusals,
}

#[derive(Clone, Copy)]
enum Refusals {
    AsDecided,
    As500,
}

#[tokio::test]
async fn a55_nginx_does_not_forward_refused_requests() {
    let Some(program) = system_program("nginx") else { return };
    let proxy = Proxy::start("nginx", DECIDED_BY_ORIGINAL, Refusals::As500, |place| {
        let config = place.write("nginx.conf", NGINX);
        let mut command = Command::new(&program);
        command.arg("-p").arg(&place.directory).arg("-c").arg(config).arg("-e").arg("stderr");
        command
    })
    .await;

    proxy.assert_closed_for_each_refusal().await;
}

#[tokio::test]
async fn a55_haproxy_does_not_forward_refused_requests() {
    let Some(program) = system_program("haproxy") else { return };
    let proxy = Proxy::start("haproxy", DECIDED_BY_ORIGINAL, Refusals::AsDecided, |place| {
        place.write("decide.lua", HAPROXY_SCRIPT);
        let config = place.write("haproxy.cfg", HAPROXY);
        let mut command = Command::new(&program);
        command.arg("-db").arg("-q").arg("-f").arg(config);
        command
    })
    .await;

    proxy.assert_closed_for_each_refusal().await;
}

#[tokio::test]
async fn a55_caddy_does_not_forward_refused_requests() {
    let Some(program) = system_program("caddy") else { return };
    let proxy = Proxy::start("caddy", "x-forwarded", Refusals::AsDecided, |place| {
        let config = place.write("Caddyfile", CADDY);
        let mut command = Command::new(&program);
        command.arg("run").arg("--adapter").arg("caddyfile").arg("--config").arg(config);
        command.env("HOME", &place.directory).env("XDG_CONFIG_HOME", &place.directory);
        command.env("XDG_DATA_HOME", &place.directory).stderr(std::process::Stdio::null());
        command
    })
    .await;

    proxy.assert_closed_for_each_refusal().await;
}

/// Envoy itself is not packaged, so another client sends the messages of its API.
#[tokio::test]
async fn a55_envoys_own_messages_are_understood_and_refusals_are_denied() {
    let Some(tools) = Tools::find() else { return };
    let authority = AuthorizationServer::start().await.unwrap();
    let listener = bind().await;
    let address = listener.local_addr().unwrap().to_string();
    let resource = "http://127.0.0.1:8080";
    let token = authority.mint(Minting { resource, scope: "mcp:read", ..Minting::default() });
    let decision = decision_service(&authority, resource, "x-original");
    tokio::spawn(serve(listener, decisions(decision)));

    let mut client = Script::start(&tools, "envoy_client.py", &[&address, &token]);

    for expected in [
        "valid: OK set x-forwarded-user=alice append=False remove authorization",
        "valid, raw headers: OK set x-forwarded-user=alice append=False remove authorization",
        "none: UNAUTHENTICATED 401 Bearer scope=\"mcp:read\"",
        "forged: UNAUTHENTICATED 401 Bearer error=\"invalid_token\"",
        "two: PERMISSION_DENIED 400 Bearer error=\"invalid_request\"",
        "no description: PERMISSION_DENIED 403 None",
    ] {
        let line = client.line().await;
        assert!(line.starts_with(expected), "{line} instead of {expected}");
    }
}

impl Proxy {
    /// `described_by` is the prefix of the headers in which this proxy describes the original request.
    async fn start(
        name: &str,
        described_by: &str,
        other_refusals: Refusals,
        command: impl FnOnce(&Place) -> Command,
    ) -> Self {
        // The proxy binds this port again. Until then, the system gives it to nobody else unless it runs out of ports.
        let address = bind().await.local_addr().unwrap();
        let url = format!("http://{address}");
        let authority = AuthorizationServer::start().await.unwrap();
        authority.add_resource(&url, TokenFormat::Jwt, &["mcp:read"]);

        let decision = decision_service(&authority, &url, described_by);
        let listener = bind().await;
        let decision_address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, decisions(decision)));

        let seen: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
        let recorder = Arc::clone(&seen);
        let page = Router::new().fallback(move |request: Request| {
            recorder.lock().unwrap().push(request.headers().clone());
            async { PAGE }
        });
        let listener = bind().await;
        let page_address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, page).into_future());

        let place = Place::new(name, [address, decision_address, page_address]);
        let child = serve_with(&mut command(&place), address).await;
        Self { _child: child, authority, http: http_client(), url, seen, other_refusals }
    }

    async fn assert_closed_for_each_refusal(&self) {
        let valid = self.valid();
        self.assert_open(&valid).await;

        let expired = self.mint(Minting { age: std::time::Duration::from_secs(7_200), ..Minting::default() });
        let underscoped = Minting { resource: &self.url, scope: "profile", ..Minting::default() };
        let underscoped = format!("Bearer {}", self.authority.mint(underscoped));
        let elsewhere = Minting { resource: "https://elsewhere.example", ..Minting::default() };
        let elsewhere = format!("Bearer {}", self.authority.mint(elsewhere));
        for (authorizations, status, part) in [
            (vec![], 401, "resource_metadata="),
            (vec![&*expired], 401, "error=\"invalid_token\""),
            (vec![&*elsewhere], 401, "error=\"invalid_token\""),
            (vec!["Bearer forged"], 401, "error=\"invalid_token\""),
            (vec!["Basic YTpi"], 401, "resource_metadata="),
            (vec!["Bearer two words"], 400, "error=\"invalid_request\""),
            (vec![&*underscoped], 403, "error=\"insufficient_scope\""),
        ] {
            for request in self.requests() {
                let request = authorizations
                    .iter()
                    .fold(request, |request, value| request.header(header::AUTHORIZATION, *value));

                self.assert_closed(request, status, part).await;
            }
        }

        // A proxy may remove what `Connection` names, and then asks about a request without a token.
        let hidden = self.http.get(format!("{}/page", self.url)).header(header::CONNECTION, "authorization");
        self.assert_closed(hidden.header(header::AUTHORIZATION, &expired), 401, "resource_metadata=").await;
        // Paths that no rule allows, and a path that this proxy or the page could read as another one.
        for (path, status) in [("/", 403), ("/other", 403), ("/page%2F..%2Fother", 400), ("/page;x", 400)] {
            let request = self.http.get(format!("{}{path}", self.url));
            self.assert_closed(request.header(header::AUTHORIZATION, &valid), status, "").await;
        }
    }

    /// Requests with everything that might open the page, but no credentials.
    fn requests(&self) -> Vec<RequestBuilder> {
        let request = |method| self.http.request(method, format!("{}/page?x=1", self.url));
        let grpc = |request: RequestBuilder| request.header(header::CONTENT_TYPE, "application/grpc");
        let preflight = request(Method::OPTIONS)
            .header(header::ORIGIN, "https://app.example")
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, "GET");
        let forged = ["x-original-method", "x-forwarded-method"].into_iter();
        let forged = forged.fold(request(Method::GET), |request, name| request.header(name, "OPTIONS"));
        let forged = ["x-original-uri", "x-forwarded-uri"]
            .into_iter()
            .fold(forged, |request, name| request.header(name, "/.well-known/oauth-protected-resource"));
        vec![
            request(Method::GET),
            request(Method::HEAD),
            request(Method::POST).body("body"),
            grpc(request(Method::POST)),
            grpc(request(Method::GET)),
            preflight,
            forged.header("x-forwarded-user", "admin"),
        ]
    }

    /// The page is shown, with the user of the token and without the token.
    async fn assert_open(&self, authorization: &str) {
        let request = self.http.get(format!("{}/page", self.url)).header("x-forwarded-user", "admin");

        let response = soon(request.header(header::AUTHORIZATION, authorization).send()).await.unwrap();

        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(soon(response.text()).await.unwrap(), PAGE);
        let seen = self.seen.lock().unwrap().pop().expect("the page was called");
        assert_eq!(seen.get_all("x-forwarded-user").iter().collect::<Vec<_>>(), ["alice"]);
        assert!(seen.get(header::AUTHORIZATION).is_none_or(http::HeaderValue::is_empty), "{seen:?}");
    }

    async fn assert_closed(&self, request: RequestBuilder, status: u16, challenge: &str) {
        let what = format!("{request:?}");

        let response: Response = soon(request.send()).await.unwrap();

        let expected = match self.other_refusals {
            Refusals::As500 if status != 401 && status != 403 => 500,
            _ => status,
        };
        assert_eq!(response.status(), expected, "{what}");
        if expected == status {
            let found: Vec<_> = response.headers().get_all(header::WWW_AUTHENTICATE).iter().collect();
            assert_eq!(found.len(), usize::from(!challenge.is_empty()), "{what}: {found:?}");
            assert!(
                found.iter().all(|found| found.to_str().unwrap().contains(challenge)),
                "{what}: {found:?}"
            );
        }
        assert!(!soon(response.text()).await.unwrap().contains(PAGE), "{what}");
        assert!(self.seen.lock().unwrap().is_empty(), "{what}");
    }

    fn valid(&self) -> String {
        self.mint(Minting::default())
    }

    fn mint(&self, minting: Minting<'_>) -> String {
        let minting = Minting { resource: &self.url, scope: "mcp:read", ..minting };
        format!("Bearer {}", self.authority.mint(minting))
    }
}

fn decision_service(authority: &AuthorizationServer, resource: &str, described_by: &str) -> DecisionService {
    let claims = [("X-Forwarded-User".to_owned(), "sub".to_owned())];
    let claim_headers = ClaimHeaders::new(&claims.into()).unwrap();
    let header = |name| format!("{described_by}-{name}").parse().unwrap();
    let described_by = DescribedBy { method: header("method"), uri: header("uri") };
    let configuration = Configuration::embedded(authority.issuer(), resource, resource).unwrap();
    let resource_server = configuration.source.load().unwrap();
    let rules = PathRules::builder().any_method("/page", READ).build().unwrap();
    DecisionService::new(&resource_server.require_by(rules), described_by, claim_headers)
}

/// The directory and the addresses for the configuration of a proxy.
struct Place {
    directory: PathBuf,
    /// Of the proxy, the decision service and the page.
    addresses: [SocketAddr; 3],
}

impl Place {
    fn new(name: &str, addresses: [SocketAddr; 3]) -> Self {
        let directory =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", addresses[0].port()));
        fs::create_dir_all(&directory).unwrap();
        Self { directory, addresses }
    }

    /// Writes a file with the addresses and the directory filled in.
    fn write(&self, name: &str, template: &str) -> PathBuf {
        let mut text = template.replace("{directory}", self.directory.to_str().unwrap());
        for (placeholder, address) in ["{proxy}", "{decision}", "{page}"].iter().zip(self.addresses) {
            text = text.replace(placeholder, &address.to_string());
        }
        let path = self.directory.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Left behind if it cannot be removed; it is below target.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

const READ: Scope = Scope::from_static("mcp:read");

const DECIDED_BY_ORIGINAL: &str = "x-original";

const NGINX: &str = include_str!("nginx.conf");
const HAPROXY: &str = include_str!("haproxy.cfg");
const HAPROXY_SCRIPT: &str = include_str!("decide.lua");
const CADDY: &str = include_str!("Caddyfile");
