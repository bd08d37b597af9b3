//! The configuration: [`Configuration`].

use std::{collections::BTreeMap, error::Error, fs, path::Path, time::Duration};

use http::{
    HeaderName, HeaderValue, Uri,
    header::InvalidHeaderName,
    uri::{Authority, PathAndQuery, Scheme},
};
use serde::Deserialize;
use tower_bearer::{
    ResourceServer,
    config::{ConfigSource, Document, Environment},
};

use super::{claim_headers::ClaimHeaders, decision::DescribedBy, header_rules::HeaderRules};

/// A document such as `gateway.toml`: the settings of the gateway, and those of its resource server.
pub(crate) struct Configuration {
    pub(crate) gateway: Settings,
    /// Which tokens are valid, and what each method and path needs. What matches no rule is refused.
    pub(crate) source: ConfigSource,
}

/// The table `gateway` of the document.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The address to listen on.
    pub(crate) listen: String,
    pub(crate) backend: BackendSettings,
    /// Claims that the backend gets, as header name to claim name. Default: none.
    #[serde(default)]
    pub(crate) claim_headers: BTreeMap<String, String>,
    /// More headers that the backend trusts, and that are removed from requests. Default: none.
    #[serde(default)]
    pub(crate) remove_headers: Vec<String>,
    /// The prefix of the subprotocol that contains the token of a browser's WebSocket. Default: subprotocols contain no token.
    pub(crate) websocket_token_prefix: Option<String>,
    /// The decision service for other proxies, on its own address. Default: off.
    pub(crate) decision: Option<DecisionSettings>,
    /// How long a WebSocket may outlive its token. Default: 30 seconds.
    #[serde(default = "default_clock_skew_seconds")]
    pub(crate) clock_skew_seconds: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackendSettings {
    /// An http URL. Its path is put before the path of each request. The connection is not encrypted, so the backend must
    /// be on the same machine or on an encrypted network.
    pub(crate) url: String,
    /// Whether to use HTTP/2, as gRPC backends need. WebSockets need HTTP/1.1. Default: false.
    #[serde(default)]
    pub(crate) http2: bool,
    /// Maximum time to connect. Default: 5 seconds.
    #[serde(default = "default_connect_seconds")]
    pub(crate) connect_seconds: u64,
    /// Maximum time without progress until the head of the response arrives. Each part of the request's body is progress.
    /// Default: 30 seconds.
    #[serde(default = "default_response_seconds")]
    pub(crate) response_seconds: u64,
    /// The name of an environment variable with the value of `Authorization` that the backend requires. Default: none.
    pub(crate) authorization_from: Option<String>,
}

/// The decision service. Its address must be reachable for the proxies only.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecisionSettings {
    pub(crate) listen: String,
    /// The header in which the proxy sends the original method. The proxy must replace the one of the client.
    pub(crate) method_header: String,
    /// The header in which the proxy sends the original path and query.
    pub(crate) uri_header: String,
}

/// The checked configuration of a proxy.
#[derive(Debug)]
pub(crate) struct ProxySettings {
    pub(crate) backend: Backend,
    pub(crate) public_scheme: Scheme,
    pub(crate) public_host: HeaderValue,
    pub(crate) claim_headers: ClaimHeaders,
    pub(crate) header_rules: HeaderRules,
    pub(crate) clock_skew: Duration,
}

#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) authority: Authority,
    /// Without a slash at the end.
    base_path: String,
    pub(crate) http2: bool,
    pub(crate) connect_timeout: Duration,
    pub(crate) response_timeout: Duration,
    pub(crate) authorization: Option<HeaderValue>,
}

type BoxError = Box<dyn Error + Send + Sync>;

impl Configuration {
    /// Reads a document from a file, and the environment variables that begin with `TOWER_BEARER_`.
    pub(crate) fn read(path: &Path) -> Result<Self, Box<dyn Error>> {
        let text = fs::read_to_string(path)?;
        let (_, gateway) =
            parse(&text, &Environment::from_process()).map_err(|error| error as Box<dyn Error>)?;
        // The document is read again when it changes. Then a problem in the table `gateway` is one of the document.
        let parse = |text: &str| parse(text, &Environment::from_process()).map(|(document, _)| document);
        let source = ConfigSource::file(path, parse).environment(Environment::from_process());
        Ok(Self { gateway, source })
    }

    /// Returns the settings of `gateway.toml`, for servers in this process.
    pub(crate) fn embedded(issuer: &str, public_url: &str, backend: &str) -> Result<Self, Box<dyn Error>> {
        let variables = [
            ("AUDIENCE", public_url),
            ("METADATA_RESOURCE", public_url),
            ("ISSUERS_0_ISSUER", issuer),
            ("GATEWAY_BACKEND_URL", backend),
        ];
        let environment = Environment::from_variables("", variables);
        let (document, mut gateway) =
            parse(include_str!("gateway.toml"), &environment).map_err(|error| error as Box<dyn Error>)?;
        gateway.backend.authorization_from = None;
        Ok(Self { gateway, source: ConfigSource::document(document).environment(environment) })
    }
}

fn parse(text: &str, environment: &Environment) -> Result<(Document, Settings), BoxError> {
    let mut document = Document::with_positions(text, toml::Deserializer::parse(text)?)?;
    let gateway = document.take_with("gateway", environment)?;
    Ok((document, gateway))
}

impl Settings {
    /// Checks the configuration of the proxy, and reads the environment variable of `authorization_from`.
    ///
    /// The resource is the URL that clients use. `X-Forwarded-Host` and `-Proto` come from it.
    pub(crate) fn proxy(&self, resource_server: &ResourceServer) -> Result<ProxySettings, Box<dyn Error>> {
        let metadata = resource_server.metadata().ok_or("expected metadata with the URL of the gateway")?;
        let public: Uri = metadata["resource"].as_str().unwrap_or_default().parse()?;
        let (Some(public_scheme), Some(host)) = (public.scheme(), public.authority()) else {
            return Err("metadata.resource must be an absolute URL".into());
        };
        let claim_headers = ClaimHeaders::new(&self.claim_headers)?;
        let more: Vec<_> = self.remove_headers.iter().map(HeaderName::try_from).collect::<Result<_, _>>()?;
        let header_rules = HeaderRules::new(claim_headers.names().chain(&more));
        Ok(ProxySettings {
            backend: Backend::new(&self.backend)?,
            public_scheme: public_scheme.clone(),
            public_host: HeaderValue::try_from(host.as_str())?,
            claim_headers,
            header_rules,
            clock_skew: Duration::from_secs(self.clock_skew_seconds),
        })
    }
}

impl DecisionSettings {
    pub(crate) fn described_by(&self) -> Result<DescribedBy, InvalidHeaderName> {
        Ok(DescribedBy { method: self.method_header.parse()?, uri: self.uri_header.parse()? })
    }
}

impl Backend {
    fn new(settings: &BackendSettings) -> Result<Self, Box<dyn Error>> {
        let url: Uri = settings.url.parse()?;
        let authority = url.authority().filter(|authority| !authority.as_str().contains('@'));
        let (Some("http"), Some(authority), None) = (url.scheme_str(), authority, url.query()) else {
            return Err("backend.url must be an http URL without a user and a query".into());
        };
        let authorization = match &settings.authorization_from {
            None => None,
            Some(variable) => {
                let value = std::env::var(variable).map_err(|error| format!("{variable}: {error}"))?;
                let mut value = HeaderValue::try_from(value)?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Ok(Self {
            authority: authority.clone(),
            base_path: url.path().trim_end_matches('/').to_owned(),
            http2: settings.http2,
            connect_timeout: Duration::from_secs(settings.connect_seconds),
            response_timeout: Duration::from_secs(settings.response_seconds),
            authorization,
        })
    }

    /// Returns the URL at the backend for a request. The path and the query stay as they were checked.
    pub(crate) fn url_for(&self, request: &Uri) -> Result<Uri, http::Error> {
        let path = request.path_and_query().map_or("/", PathAndQuery::as_str);
        let path = format!("{}{path}", self.base_path);
        Uri::builder().scheme("http").authority(self.authority.clone()).path_and_query(path).build()
    }
}

fn default_clock_skew_seconds() -> u64 {
    30
}

fn default_connect_seconds() -> u64 {
    5
}

fn default_response_seconds() -> u64 {
    30
}
