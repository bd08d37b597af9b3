//! Fetches client ID metadata documents from URLs that anyone may choose.
//!
//! Section numbers are those of draft-ietf-oauth-client-id-metadata-document-01.

use std::{
    error::Error,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::http::{HeaderMap, StatusCode, header};
use reqwest::{
    Response,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};
use tokio::{net::lookup_host, sync::Semaphore, time::timeout};
use url::{Host, Url};

use super::{
    client_id_document::{Loopback, invalid_client},
    oauth_error::OAuthError,
};

/// Sends the requests. It connects only to the public internet, and to loopback if that was allowed.
pub(super) struct DocumentFetcher {
    guard: AddressGuard,
    http: OnceLock<reqwest::Client>,
    permits: Semaphore,
}

impl Default for DocumentFetcher {
    fn default() -> Self {
        let permits = Semaphore::new(MAX_CONCURRENT);
        Self { guard: AddressGuard::default(), http: OnceLock::new(), permits }
    }
}

impl DocumentFetcher {
    pub(super) fn allow_loopback(&self) {
        self.guard.loopback_allowed.store(true, Ordering::Relaxed);
    }

    pub(super) fn loopback(&self) -> Loopback {
        if self.guard.loopback_allowed.load(Ordering::Relaxed) { Loopback::Accept } else { Loopback::Refuse }
    }

    /// Fetches a document. Returns its text, and for how many seconds it is fresh.
    pub(super) async fn fetch(&self, url: Url) -> Result<(Vec<u8>, u64), OAuthError> {
        match timeout(DEADLINE, self.try_fetch(url)).await {
            Ok(Ok(document)) => Ok(document),
            // The same error for all failures, so that a client learns nothing about our network from the URL that it chose.
            Ok(Err(_)) | Err(_) => Err(invalid_client("the document of the client could not be fetched")),
        }
    }

    async fn try_fetch(&self, url: Url) -> Result<(Vec<u8>, u64), Box<dyn Error + Send + Sync>> {
        // The HTTP client resolves only names, so addresses are checked here.
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) | None => None,
        };
        if literal.is_some_and(|address| !self.guard.allows(address)) {
            return Err("the address is not allowed".into());
        }
        let _permit = self.permits.acquire().await?;
        let request = self.http()?.get(url).header(header::ACCEPT, "application/json");
        let response = request.send().await?;
        // Section 4: any other status is an error, including redirects.
        if response.status() != StatusCode::OK || !is_json(response.headers()) {
            return Err("not a successful response with JSON".into());
        }
        let lifetime = lifetime(response.headers());
        Ok((read_body(response).await?, lifetime))
    }

    fn http(&self) -> reqwest::Result<&reqwest::Client> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let http = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            // A proxy would resolve the name itself.
            .no_proxy()
            .dns_resolver(Arc::new(self.guard.clone()))
            // Each request opens a new connection, so the address is checked each time.
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(self.http.get_or_init(|| http))
    }
}

/// Reads a body up to the limit. A longer one is not read to its end.
async fn read_body(mut response: Response) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_DOCUMENT_LEN {
            return Err("the document is too long".into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

// Section 4.1.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let subtype = media_type.strip_prefix("application/");
    subtype.is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

/// Returns how many seconds a response is fresh (RFC 9111 section 4.2), within our limits (section 4.4).
fn lifetime(headers: &HeaderMap) -> u64 {
    let values = headers.get_all(header::CACHE_CONTROL).into_iter();
    let text = values.map(|value| value.to_str().unwrap_or("no-store")).collect::<Vec<_>>().join(",");
    let mut max_age = None;
    for directive in text.to_ascii_lowercase().split(',').map(str::trim) {
        match directive.split_once('=') {
            Some(("max-age", seconds)) if max_age.is_none() => {
                // RFC 9111 section 4.2.1: a response with an invalid value is stale.
                max_age = Some(seconds.trim_matches('"').parse::<u64>().unwrap_or_default());
            }
            None if directive == "no-store" || directive == "no-cache" => return 0,
            Some(_) | None => {}
        }
    }
    let age = headers.get(header::AGE).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    max_age.unwrap_or(DEFAULT_LIFETIME).saturating_sub(age.unwrap_or_default()).min(MAX_LIFETIME)
}

/// Decides which addresses may be connected to.
///
/// It is also the resolver of the HTTP client, which connects only to the addresses that it returns. A check before the request
/// would not be enough: the name could have another address by the time of the connection.
#[derive(Clone, Default)]
struct AddressGuard {
    loopback_allowed: Arc<AtomicBool>,
}

impl AddressGuard {
    fn allows(&self, address: IpAddr) -> bool {
        if address.to_canonical().is_loopback() {
            return self.loopback_allowed.load(Ordering::Relaxed);
        }
        !is_special_use(address)
    }
}

impl Resolve for AddressGuard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found = lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| guard.allows(address.ip())).collect();
            if allowed.is_empty() {
                return Err("no address of this name is allowed".into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Returns whether an address is anything but that of a host on the public internet (RFC 6890, section 6.5).
pub fn is_special_use(address: IpAddr) -> bool {
    !tower_bearer::AddressGuard::new().allows(address)
}

/// Maximum time of a fetch, from the lookup of the name to the end of the document.
const DEADLINE: Duration = Duration::from_secs(5);

/// Maximum length of a document, in bytes. Section 6.6 recommends 5 kilobytes.
const MAX_DOCUMENT_LEN: usize = 5 * 1024;

/// Maximum number of concurrent requests. Further ones wait within their deadline.
const MAX_CONCURRENT: usize = 16;

/// How long a document without `max-age` is fresh, in seconds.
const DEFAULT_LIFETIME: u64 = 300;

/// How long a document is fresh at most, in seconds. Changes to it take effect within this time.
const MAX_LIFETIME: u64 = 3_600;
