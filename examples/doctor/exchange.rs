//! Sends requests, with deadlines and limits: [`Client`].

use std::{
    error::Error,
    fs,
    time::{Duration, Instant, SystemTime},
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use reqwest::redirect::Policy;
use url::{Host, Url};

use super::arguments::Settings;

/// Maximum length of a body that is read, in bytes. The same as in the library.
pub(crate) const MAX_BODY_LEN: usize = 256 * 1024;

/// How many deadlines of one request the whole examination may take.
const MAX_DEADLINES: u32 = 6;

/// Sends requests and records them. Follows no redirects and keeps no cookies.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    timeout: Duration,
    ends_at: Instant,
    log: Vec<Exchange>,
}

/// One request that was sent, and its outcome.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) purpose: &'static str,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) outcome: Result<StatusCode, String>,
    pub(crate) elapsed: Duration,
}

/// A request to send.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    /// Why it is sent, for the report.
    pub(crate) purpose: &'static str,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Option<String>,
}

/// A response.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Why the body is not complete.
    pub(crate) cut: Option<String>,
    /// Until the head of the response was received.
    pub(crate) elapsed: Duration,
    pub(crate) received: SystemTime,
}

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection.
    Connect(String),
    /// A connection, but no TLS.
    Tls(String),
    /// No response in time.
    Timeout(Duration),
    /// The connection was closed, or the response is not HTTP.
    Broken(String),
    /// The time for the whole examination is over. The request was not sent.
    OutOfTime,
}

impl Client {
    /// # Errors
    /// If the file with certificates cannot be read.
    pub(crate) fn new(settings: &Settings) -> Result<Self, String> {
        let mut builder = reqwest::Client::builder()
            .redirect(Policy::none())
            .user_agent(concat!("tower-bearer-doctor/", env!("CARGO_PKG_VERSION")))
            .pool_max_idle_per_host(0)
            .connect_timeout(settings.timeout)
            .timeout(settings.timeout);
        if is_loopback(&settings.target) {
            builder = builder.no_proxy();
        }
        if let Some(path) = &settings.ca {
            let problem = |error: &dyn Error| format!("--ca {path:?}: {error}");
            let pem = fs::read(path).map_err(|error| problem(&error))?;
            let certificates =
                reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| problem(&error))?;
            if certificates.is_empty() {
                return Err(format!("--ca {path:?}: no certificate, expected PEM"));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        let http = builder.build().map_err(|error| format!("HTTP client: {}", with_causes(&error)))?;
        let ends_at = Instant::now() + settings.timeout * MAX_DEADLINES;
        Ok(Self { http, timeout: settings.timeout, ends_at, log: Vec::new() })
    }

    /// Sends a request and reads the response, up to [`MAX_BODY_LEN`].
    ///
    /// The response is returned even if its body is too long or incomplete. The body of an event stream is not read.
    pub(crate) async fn send(&mut self, outgoing: Outgoing) -> Result<Answer, Failure> {
        let started = Instant::now();
        let Outgoing { purpose, method, url, .. } = outgoing.clone();
        let outcome = self.exchange(outgoing, started).await;
        let recorded = match &outcome {
            Ok(answer) => Ok(answer.status),
            Err(failure) => Err(failure.to_string()),
        };
        self.log.push(Exchange { purpose, method, url, outcome: recorded, elapsed: started.elapsed() });
        outcome
    }

    async fn exchange(&self, outgoing: Outgoing, started: Instant) -> Result<Answer, Failure> {
        let left = self.ends_at.saturating_duration_since(started).min(self.timeout);
        if left.is_zero() {
            return Err(Failure::OutOfTime);
        }
        let mut request = self.http.request(outgoing.method, outgoing.url).timeout(left);
        for (name, value) in outgoing.headers {
            request = request.header(name, value);
        }
        if let Some(body) = outgoing.body {
            request = request.body(body);
        }
        // The client enforces the same deadline. This one also ends what the client does not count, such as looking up a name.
        let response = tokio::time::timeout(left, request.send()).await;
        let mut response = match response {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(Failure::of(&error, self.timeout)),
            Err(_) => return Err(Failure::Timeout(self.timeout)),
        };
        let (elapsed, received) = (started.elapsed(), SystemTime::now());
        let (status, headers) = (response.status(), response.headers().clone());
        let (mut body, mut cut) = (Vec::new(), None);
        let has_end = !media_type(&headers).eq_ignore_ascii_case("text/event-stream");
        while has_end && cut.is_none() {
            let left = left.saturating_sub(started.elapsed());
            match tokio::time::timeout(left, response.chunk()).await {
                Ok(Ok(None)) => break,
                Ok(Ok(Some(chunk))) => {
                    let room = MAX_BODY_LEN - body.len();
                    body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
                    if chunk.len() > room {
                        cut = Some(format!("body longer than {MAX_BODY_LEN} bytes"));
                    }
                }
                Ok(Err(error)) if error.is_timeout() => {
                    cut = Some(format!("no end of the body within {:?}", self.timeout));
                }
                Ok(Err(error)) => cut = Some(format!("body ends early: {}", with_causes(&error))),
                Err(_) => cut = Some(format!("no end of the body within {:?}", self.timeout)),
            }
        }
        Ok(Answer { status, headers, body, cut, elapsed, received })
    }

    /// Returns what was sent.
    pub(crate) fn into_log(self) -> Vec<Exchange> {
        self.log
    }
}

impl Outgoing {
    pub(crate) fn get(purpose: &'static str, url: Url) -> Self {
        Self { purpose, method: Method::GET, url, headers: Vec::new(), body: None }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn purpose(self, purpose: &'static str) -> Self {
        Self { purpose, ..self }
    }
}

impl Answer {
    /// Returns the values of a header field, with invalid UTF-8 replaced.
    pub(crate) fn values(&self, name: &HeaderName) -> Vec<String> {
        let values = self.headers.get_all(name).iter();
        values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    }

    /// Returns the members of a comma-separated list in lower case.
    pub(crate) fn list(&self, name: &HeaderName) -> Vec<String> {
        let values = self.values(name).join(",").to_ascii_lowercase();
        values.split(',').map(|member| member.trim().to_owned()).filter(|member| !member.is_empty()).collect()
    }

    pub(crate) fn location(&self) -> Option<String> {
        self.values(&header::LOCATION).into_iter().next()
    }

    pub(crate) fn media_type(&self) -> String {
        media_type(&self.headers)
    }
}

fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let value = String::from_utf8_lossy(value);
    value.split(';').next().unwrap_or_default().trim().to_owned()
}

impl Failure {
    fn of(error: &reqwest::Error, timeout: Duration) -> Self {
        let text = with_causes(error);
        let is_https = error.url().is_some_and(|url| url.scheme() == "https");
        // The texts of the connector, before TLS begins.
        let is_before_tls = ["dns error", "tcp connect error"].iter().any(|words| text.contains(words));
        match error {
            error if error.is_timeout() => Self::Timeout(timeout),
            error if error.is_connect() && is_https && !is_before_tls => Self::Tls(text),
            error if error.is_connect() => Self::Connect(text),
            _ => Self::Broken(text),
        }
    }

    /// Returns whether other requests to the same server would fail too.
    pub(crate) fn is_of_server(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Tls(_) | Self::OutOfTime => true,
            Self::Timeout(_) | Self::Broken(_) => false,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connect(text) => write!(f, "no connection: {text}"),
            Self::Tls(text) => write!(f, "no TLS connection: {text}"),
            Self::Timeout(time) => write!(f, "no response within {time:?}"),
            Self::Broken(text) => write!(f, "no valid response: {text}"),
            Self::OutOfTime => f.write_str("not sent, because the time for the whole examination was over"),
        }
    }
}

/// Writes an error with its causes, without URLs and repetitions.
fn with_causes(error: &dyn Error) -> String {
    let mut text = String::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let line = cause.to_string();
        if !text.contains(&line) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&line);
        }
        next = cause.source();
    }
    if text.is_empty() {
        text = error.to_string();
    }
    text.chars().filter(|character| !character.is_control()).take(400).collect()
}

/// Returns whether a URL names this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}
