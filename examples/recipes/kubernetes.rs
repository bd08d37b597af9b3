//! Accepts the tokens of Kubernetes service accounts, so that pods can call each other.
//!
//! The calling pod mounts a token with the audience `orders` (a projected volume with `serviceAccountToken`). The key set of
//! the cluster is at the API server, which has a certificate from the cluster's own authority. It requires a token, and gets
//! that of this pod.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use axum::{Router, routing::get};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use tower_bearer::{
    AccessTokenRule, Audience, AuthorizationServer, BoxFuture, ClaimRule, ConfigError, HttpClient, HttpError,
    JwtValidator, ReqwestClient, ResourceServer,
    testing::{ManualClock, TestAuthorizationServer},
};

use super::{Failure, api_server::ApiServer, expect_bearer, orders};

/// Sends the token in a file with each request.
///
/// Kubernetes replaces the token long before it expires, so the file is read again each time. It is read every few minutes, when
/// the keys are fetched. Default headers of the HTTP client would keep the first token, which expires after an hour.
#[derive(Clone, Debug)]
pub(crate) struct ServiceAccountClient<C> {
    pub(crate) client: C,
    pub(crate) token_file: PathBuf,
}

impl<C: HttpClient> HttpClient for ServiceAccountClient<C> {
    fn send(
        &self,
        mut request: Request<Bytes>,
        body_limit: usize,
    ) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        Box::pin(async move {
            let token = tokio::fs::read_to_string(&self.token_file).await.map_err(HttpError::new)?;
            // An invalid header value must not be shown: it has the token in it.
            let bearer = HeaderValue::try_from(format!("Bearer {}", token.trim_ascii()));
            let mut bearer = bearer.map_err(|_| HttpError::new("the token file does not contain a token"))?;
            bearer.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, bearer);
            self.client.send(request, body_limit).await
        })
    }
}

/// Creates a validator for the service accounts of this cluster.
///
/// `mount` is `/var/run/secrets/kubernetes.io/serviceaccount` in a pod, `api_server` is `https://kubernetes.default.svc`, and the
/// issuer is what `kubectl get --raw /.well-known/openid-configuration` shows.
pub(crate) fn validator(mount: &Path, api_server: &str, issuer: &str) -> Result<JwtValidator, Failure> {
    let authority = reqwest::Certificate::from_pem(&fs::read(mount.join("ca.crt"))?)?;
    // Only this authority: a certificate of a public one is not the API server's.
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only([authority]);
    let client = ServiceAccountClient {
        client: ReqwestClient::from_builder(builder)?,
        token_file: mount.join("token"),
    };
    Ok(build(client, api_server, issuer)?)
}

fn build(client: impl HttpClient, api_server: &str, issuer: &str) -> Result<JwtValidator, ConfigError> {
    // Without discovery: the metadata names the API server by an address that need not be in its certificate.
    let server = AuthorizationServer::with_endpoints(issuer)
        .jwks_uri(format!("{api_server}/openid/v1/jwks"))
        .http_client(client);
    // Tokens with the cluster's default audience are for the API server. With one of your own, they are for this service only.
    JwtValidator::builder(server, Audience::opaque("orders"))
        .accept_typ_jwt(AccessTokenRule::has_claim("kubernetes.io"))
        .claim_rule(ClaimRule::one_of("sub", ["system:serviceaccount:shop:checkout"]).forbidden())
        .build()
}

pub(crate) async fn demonstrate() -> Result<(), Failure> {
    println!("Kubernetes service accounts");
    let cluster = TestAuthorizationServer::new("https://kubernetes.default.svc.cluster.local")
        .with_clock(ManualClock::starting_now());
    let api_server = ApiServer::start(cluster.clone()).await?;
    let mount = Mount::new()?;
    fs::write(mount.0.join("ca.crt"), &api_server.authority)?;
    fs::write(mount.0.join("token"), "first\n")?;
    api_server.accept("first");

    let resource_server =
        ResourceServer::builder(validator(&mount.0, &api_server.url, cluster.issuer())?).build()?;
    let app = Router::new().route("/orders", get(orders).route_layer(resource_server.require_token()));

    let token = |subject: &str, audience: &str| {
        let kubernetes = serde_json::json!({ "namespace": "shop" });
        let token = cluster.token().subject(subject).audience(audience).claim("kubernetes.io", kubernetes);
        token.without_header("typ").sign()
    };
    let checkout = "system:serviceaccount:shop:checkout";
    expect_bearer(&app, "  the token of the account checkout", &token(checkout, "orders"), 200).await?;
    expect_bearer(&app, "  its token for the API server", &token(checkout, cluster.issuer()), 401).await?;
    let other = token("system:serviceaccount:shop:default", "orders");
    expect_bearer(&app, "  the token of another account", &other, 403).await?;

    fs::write(mount.0.join("token"), "second\n")?;
    api_server.accept("second");
    cluster.rotate_keys();
    println!("  Kubernetes replaced the token of this pod, and the key of the cluster.");
    expect_bearer(&app, "  a token with the new key", &token(checkout, "orders"), 200).await?;

    // A client that trusts the authorities of the platform, and not that of the cluster.
    let client = ServiceAccountClient { client: ReqwestClient::new()?, token_file: mount.0.join("token") };
    let stranger = ResourceServer::builder(build(client, &api_server.url, cluster.issuer())?).build()?;
    let stranger = Router::new().route("/orders", get(orders).route_layer(stranger.require_token()));
    expect_bearer(&stranger, "  without the authority of the cluster", &token(checkout, "orders"), 503).await
}

/// A directory like the one that Kubernetes mounts. Deleted at the end.
struct Mount(PathBuf);

impl Mount {
    fn new() -> io::Result<Self> {
        let mut name = [0; 8];
        aws_lc_rs::rand::fill(&mut name).map_err(|_| io::Error::other("no random numbers"))?;
        let path = std::env::temp_dir().join(format!("serviceaccount-{:016x}", u64::from_ne_bytes(name)));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
