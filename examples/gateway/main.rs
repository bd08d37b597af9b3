//! Protects a server that is not written in Rust: a gateway that validates access tokens and forwards requests.
//!
//! `cargo run --features axum,config --example gateway` starts an imitation of Jenkins, an authorization server and the gateway on
//! this machine. It prints what clients get, and fails if something is not as expected.
//!
//! With `-- --serve`, it prints the address and a token, and serves until it is stopped. The environment variable
//! `BACKEND_URL` selects another backend, and `JENKINS_AUTHORIZATION` is the `Authorization` header for it.
//!
//! With the environment variable `GATEWAY_CONFIG`, it serves as configured in that file, without embedded servers. An example is
//! `gateway.toml` next to this file. When the file changes, the next request follows its rules.
//!
//! | file | contents |
//! |---|---|
//! | `settings` | the configuration |
//! | `listener` | accepts connections, and refuses requests whose head can be read in two ways |
//! | `proxy` | forwards requests |
//! | `header_rules` | which headers pass; `Forwarded` |
//! | `claim_headers` | claims of the token, as headers for the backend |
//! | `body` | bodies, passed on part by part |
//! | `decision` | decides for nginx, Traefik, Caddy and HAProxy, which ask `GET /auth` |
//! | `ext_authz` | decides for Envoy, over gRPC |
//! | `websocket` | upgrades, tokens of browsers, tunnels |
//! | `walk` | what clients get |
//!
//! The HTTP client is that of hyper-util. No ready-made reverse proxy fits: `axum-reverse-proxy` keeps `X-Forwarded-Host` and
//! `X-Forwarded-Proto` of the client, passes trailers of requests on unchanged, and does not wait for the backend's
//! `100 Continue`; `hyper-reverse-proxy` needs hyper 0.14.

#![allow(clippy::print_stdout, reason = "an example prints")]

#[path = "../authorization_server/mod.rs"]
pub(crate) mod authorization_server;
#[path = "../jenkins_imitation/mod.rs"]
pub(crate) mod jenkins_imitation;

pub(crate) mod body;
pub(crate) mod claim_headers;
pub(crate) mod decision;
pub(crate) mod ext_authz;
pub(crate) mod header_rules;
pub(crate) mod listener;
pub(crate) mod proxy;
pub(crate) mod settings;
pub(crate) mod walk;
pub(crate) mod websocket;

use std::{convert::Infallible, env, error::Error, path::Path, sync::Arc};

use http::{HeaderValue, Request, Response};
use http_body_util::Either;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};
use tower_bearer::{ConfigError, ResourceServer, ValidateTokenLayer};

use self::{
    authorization_server::{AuthorizationServer, Minting, TokenFormat},
    body::BoxError,
    decision::DecisionService,
    ext_authz::ExtAuthz,
    jenkins_imitation::{API_TOKEN, JenkinsImitation, USER},
    proxy::Proxy,
    settings::{Configuration, ProxySettings},
    walk::demonstrate,
};

/// Returns the service of the gateway. The metadata is public; everything else needs what the layer requires.
pub(crate) fn app(
    resource_server: &ResourceServer,
    layer: &ValidateTokenLayer,
    settings: ProxySettings,
    websocket_token_prefix: Option<String>,
) -> Result<
    impl Service<
        Request<Incoming>,
        Response = Response<impl http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + use<>>,
        Error = Infallible,
        Future: Send,
    >
    + Clone
    + Send
    + 'static
    + use<>,
    ConfigError,
> {
    let guarded = layer.layer(Proxy::new(settings));
    let metadata = resource_server.metadata_service()?;
    let metadata_paths: Arc<[String]> =
        resource_server.metadata_paths().into_iter().map(str::to_owned).collect();
    Ok(service_fn(move |mut request: Request<Incoming>| {
        let (guarded, metadata) = (guarded.clone(), metadata.clone());
        let is_metadata = metadata_paths.iter().any(|path| path == request.uri().path());
        if let Some(prefix) = &websocket_token_prefix {
            websocket::move_token(&mut request, prefix);
        }
        async move {
            if is_metadata {
                return Ok::<_, Infallible>(metadata.oneshot(request).await?.map(Either::Left));
            }
            Ok(guarded.oneshot(request).await?.map(Either::Right))
        }
    }))
}

/// Returns the decision service for other proxies: `GET /auth`, and gRPC for Envoy.
pub(crate) fn decisions(
    service: DecisionService,
) -> impl Service<
    Request<Incoming>,
    Response = Response<impl http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + use<>>,
    Error = Infallible,
    Future: Send,
> + Clone
+ Send
+ 'static {
    let ext_authz = ExtAuthz::new(service.clone());
    service_fn(move |request: Request<Incoming>| {
        let (service, ext_authz) = (service.clone(), ext_authz.clone());
        async move {
            match request.uri().path() {
                "/auth" => Ok::<_, Infallible>(service.oneshot(request).await?.map(Either::Left)),
                ext_authz::CHECK => Ok(ext_authz.oneshot(request).await?.map(Either::Right)),
                _ => Ok(decision::undescribed().map(Either::Left)),
            }
        }
    })
}

/// Returns the gateway's own credential for the imitation of Jenkins.
pub(crate) fn jenkins_authorization() -> HeaderValue {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let credentials = STANDARD.encode(format!("{USER}:{API_TOKEN}"));
    HeaderValue::try_from(format!("Basic {credentials}")).expect("base64 is ASCII")
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    if let Ok(path) = env::var("GATEWAY_CONFIG") {
        return serve_configured(path.as_ref()).await;
    }
    if env::args().any(|argument| argument == "--serve") { serve().await } else { demonstrate().await }
}

/// Serves as configured in a file.
async fn serve_configured(path: &Path) -> Result<(), Box<dyn Error>> {
    // Without a log, nobody would see why a changed file is not followed.
    tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::INFO).init();
    let Configuration { gateway, source } = Configuration::read(path)?;
    // The file is followed until this value is dropped.
    let watch = source.watch()?;
    let resource_server = watch.resource_server();
    let proxy = gateway.proxy(resource_server)?;
    let listener = TcpListener::bind(&gateway.listen).await?;
    let layer = resource_server.require_policy()?;
    println!("gateway: {}://{}", proxy.public_scheme, proxy.public_host.to_str()?);
    if let Some(decision) = &gateway.decision {
        let listener = TcpListener::bind(&decision.listen).await?;
        let service = DecisionService::new(&layer, decision.described_by()?, proxy.claim_headers.clone());
        println!("decisions: http://{}/auth", decision.listen);
        tokio::spawn(listener::serve(listener, decisions(service)));
    }
    listener::serve(listener, app(resource_server, &layer, proxy, gateway.websocket_token_prefix)?).await;
    drop(watch);
    Ok(())
}

/// Serves in front of Jenkins or `BACKEND_URL`, with tokens of an embedded authorization server.
async fn serve() -> Result<(), Box<dyn Error>> {
    let jenkins = JenkinsImitation::start().await?;
    let backend = env::var("BACKEND_URL").ok();
    let authority = AuthorizationServer::start().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let public_url = format!("http://{}", listener.local_addr()?);
    authority.add_resource(&public_url, TokenFormat::Jwt, &["mcp:read", "mcp:write"]);
    let token = authority.mint(Minting { resource: &public_url, scope: "mcp:write", ..Minting::default() });

    let backend_url = backend.as_deref().unwrap_or(jenkins.url());
    let Configuration { gateway, source } =
        Configuration::embedded(authority.issuer(), &public_url, backend_url)?;
    let resource_server = source.load()?;
    let mut proxy = gateway.proxy(&resource_server)?;
    proxy.backend.authorization = match &backend {
        None => Some(jenkins_authorization()),
        Some(_) => {
            env::var("JENKINS_AUTHORIZATION").ok().map(HeaderValue::try_from).transpose()?.map(sensitive)
        }
    };
    println!("authorization server: {}\ngateway: {public_url}", authority.issuer());
    println!("token with mcp:write, for one hour: {token}");
    let layer = resource_server.require_policy()?;
    listener::serve(listener, app(&resource_server, &layer, proxy, gateway.websocket_token_prefix)?).await;
    Ok(())
}
