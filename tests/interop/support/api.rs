//! An API on loopback that requires tokens of a third-party authorization server.

use axum::{Router, routing::get};
use http::StatusCode;
use tokio::net::TcpListener;
use tower_bearer::{ProtectedResourceMetadata, ResourceServer, TokenValidator, ValidatedToken};

use super::{READ, WRITE, http_client, soon};

/// An API whose resources are served under its URL, each with its own validator.
#[derive(Debug)]
pub(crate) struct Api {
    listener: TcpListener,
    url: String,
    router: Router,
}

/// A running API.
#[derive(Debug)]
pub(crate) struct Running {
    url: String,
    client: reqwest::Client,
}

/// What a client gets.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) challenge: Option<String>,
    pub(crate) body: String,
}

impl Api {
    /// Reserves a port. Nothing is served yet.
    pub(crate) async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Self { listener, url, router: Router::new() }
    }

    /// Returns the identifier of a resource of this API.
    pub(crate) fn resource(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    /// Adds a resource: `GET /<name>/orders` requires `orders:read`, `POST` requires `orders:write`.
    pub(crate) fn with(mut self, name: &str, validator: impl TokenValidator) -> Self {
        let metadata = ProtectedResourceMetadata::new(self.resource(name)).allow_http_on_loopback();
        let resource_server = ResourceServer::builder(validator).resource_metadata(metadata).build().unwrap();
        let orders = get(greet)
            .route_layer(resource_server.require_scopes(READ))
            .merge(axum::routing::post(greet).route_layer(resource_server.require_scopes(WRITE)));
        self.router = self
            .router
            .route(&format!("/{name}/orders"), orders)
            .merge(resource_server.metadata_router().unwrap());
        self
    }

    /// Serves until the test ends.
    pub(crate) fn serve(self) -> Running {
        tokio::spawn(axum::serve(self.listener, self.router).into_future());
        Running { url: self.url, client: http_client() }
    }
}

impl Running {
    /// Reads the orders of a resource.
    pub(crate) async fn read(&self, name: &str, token: &str) -> Answer {
        self.send(self.client.get(format!("{}/{name}/orders", self.url)).bearer_auth(token)).await
    }

    /// Writes an order of a resource.
    pub(crate) async fn write(&self, name: &str, token: &str) -> Answer {
        self.send(self.client.post(format!("{}/{name}/orders", self.url)).bearer_auth(token)).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = soon(request.send()).await.unwrap();
        let status = response.status();
        let challenge =
            response.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
        Answer { status, challenge, body: soon(response.text()).await.unwrap() }
    }
}

impl Answer {
    /// Asserts that the handler answered for this subject.
    #[track_caller]
    pub(crate) fn assert_orders_of(&self, subject: &str) {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        assert_eq!(self.body, format!("orders of {subject}"));
    }

    /// Asserts 401 `invalid_token`.
    #[track_caller]
    pub(crate) fn assert_invalid_token(&self) {
        assert_eq!(self.status, StatusCode::UNAUTHORIZED, "{self:?}");
        self.assert_challenge_has(r#"error="invalid_token""#);
    }

    /// Asserts 403 `insufficient_scope` naming this scope.
    #[track_caller]
    pub(crate) fn assert_insufficient_scope(&self, scope: &str) {
        assert_eq!(self.status, StatusCode::FORBIDDEN, "{self:?}");
        self.assert_challenge_has(r#"error="insufficient_scope""#);
        self.assert_challenge_has(&format!(r#"scope="{scope}""#));
    }

    #[track_caller]
    fn assert_challenge_has(&self, parameter: &str) {
        let challenge = self.challenge.as_deref().unwrap_or_default();
        assert!(challenge.starts_with("Bearer ") && challenge.contains(parameter), "{self:?}");
    }
}

async fn greet(token: ValidatedToken) -> String {
    format!("orders of {}", token.subject().unwrap_or("a service"))
}
