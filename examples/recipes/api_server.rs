//! Imitates the API server of a Kubernetes cluster: TLS with a private authority, and a key set for callers with a token.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer},
};
use tower_bearer::testing::TestAuthorizationServer;

use super::Failure;

/// A running server. Stops when it is dropped.
pub(crate) struct ApiServer {
    pub(crate) url: String,
    /// The certificate of the private authority, as PEM.
    pub(crate) authority: String,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

struct Shared {
    cluster: TestAuthorizationServer,
    /// The token that callers must send.
    token: Mutex<String>,
}

impl ApiServer {
    pub(crate) async fn start(cluster: TestAuthorizationServer) -> Result<Self, Failure> {
        let (authority, config) = certificates()?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://localhost:{}", listener.local_addr()?.port());
        let shared = Arc::new(Shared { cluster, token: Mutex::default() });
        let app = Router::new().route("/openid/v1/jwks", get(key_set)).with_state(Arc::clone(&shared));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, app) = (acceptor.clone(), app.clone());
                connections.spawn(async move {
                    // Fails if the client does not trust the certificate.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let connection = auto::Builder::new(TokioExecutor::new());
                        let service = TowerToHyperService::new(app);
                        let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                    }
                });
            }
        });
        Ok(Self { url, authority, shared, _serving: serving })
    }

    /// Accepts this token from now on, and no other.
    pub(crate) fn accept(&self, token: &str) {
        token.clone_into(&mut self.shared.token.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

async fn key_set(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let expected = format!("Bearer {}", shared.token.lock().unwrap_or_else(PoisonError::into_inner));
    if headers.get(header::AUTHORIZATION).is_none_or(|found| *found != *expected) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let keys = shared.cluster.jwks().to_string();
    ([(header::CONTENT_TYPE, "application/jwk-set+json")], keys).into_response()
}

/// Creates an authority and a certificate for `localhost`.
fn certificates() -> Result<(String, ServerConfig), Failure> {
    let mut authority = CertificateParams::new([])?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority_key = KeyPair::generate()?;
    let pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::from_params(&authority, &authority_key);

    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(["localhost".to_owned()])?.signed_by(&key, &issuer)?;
    let private_key = PrivateKeyDer::try_from(key.serialize_der())?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private_key)?;
    Ok((pem, config))
}
